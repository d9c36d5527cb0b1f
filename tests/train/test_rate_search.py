"""find_learning_rate: a useful suggestion, and nothing has changed."""

import copy

import numpy as np
import pytest
from privates import generator_of, load_digits, state_of, values_of

import fastbackprop as fb

X = np.random.default_rng(0).normal(size=(500, 4))
Y = X.sum(axis=1)


def new_trainer(momentum=0.0):
    model = fb.mlp([4, 8, 1], activation="tanh", seed=0)
    return fb.Trainer(model, "half_squared_error", fb.SGD(0.3, momentum=momentum), seed=0)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_model_optimizer_and_random_state_stay_as_they_were(momentum):
    trainer = new_trainer(momentum)
    trainer.fit(X, Y)
    buffers = values_of(trainer.model), state_of(trainer.optimizer, trainer.model).buffer
    before, words, history = [x.tobytes() for x in buffers], generator_of(trainer), trainer.history
    drawn = copy.deepcopy(words).random_raw(3)
    trainer.find_learning_rate(X, Y)
    assert [x.tobytes() for x in buffers] == before
    assert (copy.deepcopy(words).random_raw(3) == drawn).all()
    assert trainer.optimizer.learning_rate == 0.3
    assert trainer.history is history


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_suggestion_trains_better_than_rates_far_from_it(momentum):
    X, y = load_digits()["train"]
    losses = []
    for factor in (0.01, 1, 100):
        model = fb.mlp([64, 32, 10], output_activation="softmax", seed=0)
        sgd = fb.SGD(0.1, momentum=momentum)
        trainer = fb.Trainer(model, "cross_entropy", sgd, seed=0)
        rate = trainer.find_learning_rate(X, y).suggestion
        sgd.learning_rate = factor * rate
        try:
            trainer.fit(X, y, epochs=3)
            losses.append(trainer.evaluate(X, y)["loss"])
        except fb.DivergenceError:
            losses.append(np.inf)
    assert losses[1] < 0.5 * min(losses[0], losses[2])


def test_a_sweep_ends_where_the_loss_has_risen_for_good_and_is_the_same_again():
    search, again = (new_trainer().find_learning_rate(X, Y, highest=1e6) for _ in "ab")
    assert 11 < len(search.rates) == len(search.losses) == len(search.smoothed) < 100
    assert search.losses == again.losses
    assert search.rates[0] == pytest.approx(1e-6)
    ratios = np.diff(np.log(search.rates))
    assert ratios == pytest.approx(np.log(1e12) / 99)
    assert search.smoothed[0] == search.losses[0]
    assert search.smoothed[1] == pytest.approx((0.9 * search.losses[0] + search.losses[1]) / 1.9)
    assert repr(search).startswith(f"LearningRateSearch({len(search.rates)} steps from 1e-06 to ")


def test_the_first_step_is_done_with_the_lowest_rate():
    trainer = new_trainer()
    search = trainer.find_learning_rate(X, Y, batch_size=500)
    assert search.losses[0] == pytest.approx(trainer.evaluate(X, Y)["loss"], rel=1e-6)


def test_rates_that_never_help_are_undercut():
    trainer = new_trainer()
    assert trainer.find_learning_rate(X, Y, lowest=100.0, highest=1000.0).suggestion < 100


def test_arguments_are_checked_before_anything_is_done():
    trainer = new_trainer()
    for options, words in [
        ({"lowest": 0.0}, "lowest must be a finite number above 0, got 0"),
        ({"lowest": 1.0, "highest": 1.0}, "lowest must be below highest, got 1 and 1"),
        ({"n_steps": 9}, "n_steps must be an integer of at least 10, got 9"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
    ]:
        with pytest.raises(ValueError, match=words):
            trainer.find_learning_rate(X, Y, **options)
    with pytest.raises(ValueError, match="lowest must be a rate that can be trained with, got 1e"):
        trainer.find_learning_rate(X, 1e30 * Y)


def test_the_picture_has_the_curve_and_the_suggestion():
    pytest.importorskip("matplotlib")
    search = new_trainer().find_learning_rate(X, Y)
    axes = search.plot()
    assert axes.get_xscale() == "log"
    assert list(axes.lines[1].get_ydata()) == search.smoothed
    assert axes.lines[2].get_xdata()[0] == search.suggestion
    assert search.plot(axes) is axes


def test_schedules_go_over_the_sweep():
    """Of momentum and decay, that is: the rate is what is swept."""
    X = np.random.default_rng(0).normal(size=(200, 2))
    momentum = fb.schedules.Linear(0.5, 0.9)

    def search(momentum):
        optimizer = fb.SGD(fb.Cosine(0.1), momentum=momentum)
        trainer = fb.Trainer(fb.mlp([2, 4, 1], seed=0), "half_squared_error", optimizer, seed=0)
        return trainer.find_learning_rate(X, X.sum(axis=1), n_steps=20)

    losses = search(momentum).losses
    assert losses == search(fb.schedules.Linear(0.5, 0.9, n_steps=20)).losses
    assert losses != search(0.5).losses
