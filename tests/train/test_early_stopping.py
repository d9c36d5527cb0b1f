"""EarlyStopping: which epoch is best, and that its weights stay however the fit ends."""

import copy
import itertools
import math
import pickle

import numpy as np
import pytest
from privates import state_of, values_of

import fastbackprop as fb

RNG = np.random.default_rng(1)
X = RNG.normal(size=(40, 3))
Y = X @ np.ones((3, 1)) + 0.1 * RNG.normal(size=(40, 1))
VALIDATION = RNG.normal(size=(20, 3)), RNG.normal(size=(20, 1))


def lead(values, **options):
    """Fit with EarlyStopping where the monitored value of each epoch is as listed."""
    trainer, seen, left = new_trainer(), [], iter(values)

    def led_error(y, y_hat):
        return next(left)

    stopping = fb.EarlyStopping("led_error", **options)
    history = trainer.fit(
        X,
        Y,
        epochs=len(values),
        metrics=[led_error],
        callbacks=[stopping],
        on_epoch_end=lambda _: seen.append(values_of(trainer.model).copy()),
    )
    return trainer, stopping, history, seen


def test_five_four_three_four_four_leaves_the_weights_of_epoch_three():
    weights = [np.sqrt(2.0 * loss) for loss in (5, 4, 3, 4, 4)]
    model = fb.Sequential([fb.Dense(1, 1, weight_init=0.0, bias=False)], dtype="float64")
    trainer = fb.Trainer(model, "half_squared_error", fb.SGD(1.0), batch_size=1)
    validation = [[1.0]], [0.0]
    # Each epoch sets the weight to its target, by a rate of 1 and x = 1.
    y = np.array([[weights[0]]])
    seen = []

    def next_target(history):
        seen.append((values_of(model).copy(), history.validation_loss[-1]))
        y[0, 0] = weights[min(len(history), 4)]

    stopping = fb.EarlyStopping(patience=5)
    history = trainer.fit(
        np.ones((1, 1)),
        y,
        epochs=5,
        validation_data=validation,
        callbacks=[stopping],
        on_epoch_end=next_target,
    )
    assert history.validation_loss == pytest.approx([5, 4, 3, 4, 4], rel=1e-15)
    assert len(history) == 5
    assert (stopping.best_epoch, stopping.stopped_epoch) == (3, 0)
    assert stopping.best == history.validation_loss[2]
    assert trainer.evaluate(*validation)["loss"] == history.validation_loss[2]
    assert values_of(model).tobytes() == seen[2][0].tobytes()


CASES = {
    "ties go to the first": ([3, 3, 3], {}, 1),
    "nan is never best": ([math.nan, 5, math.nan, 4, math.nan], {}, 4),
    "a small improvement is none": ([5, 4.6, 4.4, 4.1], {"min_delta": 0.5}, 3),
    "exactly min_delta is none": ([5, 4.5, 4], {"min_delta": 0.5}, 3),
    "the largest": ([1, 3, 2], {"mode": "max"}, 2),
    "of the largest the first": ([1, 3, 3, math.nan], {"mode": "max"}, 2),
    "infinity is never best": ([math.inf, 5, 6], {}, 2),
}


@pytest.mark.parametrize("case", CASES)
def test_which_epoch_is_best(case):
    losses, options, best = CASES[case]
    _, stopping, history, _ = lead(losses, **options)
    assert stopping.best_epoch == best
    assert stopping.best == losses[best - 1]
    assert len(history) == len(losses)


def test_nothing_is_put_back_where_no_epoch_was_best():
    trainer, stopping, _, seen = lead([math.nan, math.nan])
    assert stopping.best_epoch == 0
    assert values_of(trainer.model).tobytes() == seen[-1].tobytes()


def test_it_ends_when_patience_epochs_have_passed_without_improvement():
    losses = [5, 4, 4.5, 4.2, 3, 3, 3, 3, 3]
    for patience, n in ((1, 3), (2, 4), (3, 8)):
        _, stopping, history, _ = lead(losses, patience=patience)
        assert len(history) == stopping.stopped_epoch == n


def test_weights_stay_where_they_are_not_to_be_restored():
    trainer, stopping, _, seen = lead([1, 2, 3], restore_best_weights=False)
    assert stopping.best_epoch == 1
    assert values_of(trainer.model).tobytes() == seen[-1].tobytes()


# ---- however it ends ---------------------------------------------------------------------------


def new_trainer(rate=0.1):
    model = fb.mlp([3, 8, 1], activation="tanh", seed=3)
    return fb.Trainer(model, "half_squared_error", fb.SGD(rate, momentum=0.9), batch_size=8, seed=3)


class Record(fb.Callback):
    """Keeps weights and optimizer state of each epoch, and does something in the third."""

    def __init__(self, then=None):
        self.states, self.then = [], then

    def on_epoch_end(self, trainer, history):
        self.states.append(state(trainer))
        if len(history) == 6 and self.then is not None:
            self.then(trainer)


def state(trainer):
    return (
        values_of(trainer.model).tobytes(),
        state_of(trainer.optimizer, trainer.model).buffer.tobytes(),
    )


class EndError(Exception):
    pass


def raise_end(trainer):
    raise EndError


def interrupt(trainer):
    raise KeyboardInterrupt


def stop(trainer):
    trainer.stop_training = True


def diverge(trainer):
    trainer.optimizer.learning_rate = 1e38


ENDS = {
    "epochs": (None, None),
    "exception": (raise_end, EndError),
    "Ctrl-C": (interrupt, KeyboardInterrupt),
    "stop": (stop, None),
    "divergence": (diverge, fb.DivergenceError),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_best_weights_and_optimizer_state_stay_however_the_fit_ends(end):
    then, error = ENDS[end]
    trainer, record = new_trainer(), Record(then)
    values = iter([5, 4, 3, 4, 4, 6, 7, 8])
    stopping = fb.EarlyStopping("led_error", patience=100)

    def led_error(y, y_hat):
        return next(values)

    def fit():
        trainer.fit(X, Y, epochs=8, metrics=[led_error], callbacks=[stopping, record])

    if error is None:
        fit()
    else:
        with pytest.raises(error) as caught:
            fit()
        words = "of epoch 3, the best by led_error"
        if error is KeyboardInterrupt:
            assert caught.value.__notes__ == [f"The model has the weights {words}."]
        if error is fb.DivergenceError:
            assert f"the model keeps the weights {words}." in str(caught.value)
    assert state(trainer) == record.states[2]
    assert len(trainer.history) == (6 if then else 8)
    trainer.optimizer.learning_rate = 0.1
    twin = new_trainer()
    twin.fit(X, Y, epochs=3)
    assert trainer.fit(X, Y, shuffle=False).loss == twin.fit(X, Y, shuffle=False).loss


def test_ctrl_c_without_it_says_that_what_was_learned_is_kept():
    trainer, record = new_trainer(), Record(interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        trainer.fit(X, Y, epochs=10, callbacks=[record])
    assert caught.value.__notes__ == [
        "The model keeps what it has learned, of 6 whole epochs of 10; another fit goes on from "
        "there."
    ]
    assert state(trainer) == record.states[-1]


def test_it_is_the_same_on_validation_data_and_accuracy_of_classes():
    y = (Y[:, 0] > 0).astype(int)
    model = fb.mlp([3, 8, 2], output_activation="softmax", seed=0)
    trainer = fb.Trainer(model, "cross_entropy", fb.SGD(1.0), batch_size=4, seed=0)
    held_out = X[20:], y[20:]
    stopping = fb.EarlyStopping("validation_accuracy", patience=4)
    history = trainer.fit(X[:20], y[:20], epochs=50, validation_data=held_out, callbacks=[stopping])
    accuracies = history.validation_accuracy
    assert stopping.best == max(accuracies) == trainer.evaluate(*held_out)["accuracy"]
    assert stopping.best_epoch == accuracies.index(max(accuracies)) + 1
    assert len(history) == stopping.best_epoch + 4


@pytest.mark.parametrize("averages", [False, True])
def test_running_statistics_come_with_the_best_weights(averages):
    model = fb.mlp([3, 8, 1], normalization="batch", dropout=0.2, seed=0)
    trainer = fb.Trainer(model, "half_squared_error", fb.Adam(0.05), batch_size=8, seed=0)
    stopping = fb.EarlyStopping(patience=3)
    callbacks = [stopping, *([fb.WeightAveraging(0.8)] if averages else [])]
    history = trainer.fit(X, Y, epochs=60, validation_data=VALIDATION, callbacks=callbacks)
    assert len(history) < 60
    assert min(history.validation_loss) == history.validation_loss[stopping.best_epoch - 1]
    assert trainer.evaluate(*VALIDATION)["loss"] == min(history.validation_loss)


def test_one_object_in_two_fits_begins_anew():
    stopping = fb.EarlyStopping(patience=3)
    first, second = new_trainer(), new_trainer()
    first.fit(X, Y, epochs=2, validation_data=(X, Y), callbacks=[stopping])
    easy = stopping.best
    second.fit(X, Y, epochs=1, validation_data=VALIDATION, callbacks=[stopping])
    assert stopping.best_epoch == 1
    assert stopping.best == second.history.validation_loss[0] != easy
    # Ended before its first epoch, it has nothing to put back.
    before = state(second)

    class Refuse(fb.Callback):
        def on_fit_begin(self, trainer):
            raise EndError

    with pytest.raises(EndError):
        second.fit(X, Y, validation_data=VALIDATION, callbacks=[stopping, Refuse()])
    assert state(second) == before


def test_with_its_state_it_goes_on():
    whole, first, second = (fb.EarlyStopping("led_error", patience=3) for _ in range(3))
    losses = [5, 3, 4, 4, 4, 4]

    class GoOn(fb.Callback):
        def on_fit_begin(self, trainer):
            second.set_state(pickle.loads(pickle.dumps(kept)))

    class Keep(fb.Callback):
        def on_epoch_end(self, trainer, history):
            nonlocal kept
            kept = first.state()

    def fit(trainer, values, callbacks, **options):
        values = iter(values)

        def led_error(y, y_hat):
            return next(values)

        trainer.fit(X, Y, metrics=[led_error], callbacks=callbacks, shuffle=False, **options)

    kept, one, two = None, new_trainer(), new_trainer()
    fit(one, losses, [whole], epochs=6)
    fit(two, losses[:3], [first, Keep()], epochs=3)
    fit(two, losses[3:], [second, GoOn()], epochs=3)
    assert (second.best, second.best_epoch) == (whole.best, whole.best_epoch) == (3, 2)
    assert len(two.history) == 2
    assert state(one) == state(two)


def test_two_of_them_may_be_pickled_and_copied():
    stopping = fb.EarlyStopping("loss", patience=2)
    new_trainer().fit(X, Y, callbacks=[stopping])
    for twin in (pickle.loads(pickle.dumps(stopping)), copy.deepcopy(stopping)):
        assert twin.best == stopping.best
        assert repr(twin) == "EarlyStopping(monitor='loss', patience=2)"


REFUSED = {
    "no validation": ({}, "validation_data or validation_split must be given for monitor"),
    "unknown": ({"monitor": "f1"}, "must be a figure of the history ('loss', 'mine', 'seconds')"),
    "mode": ({"monitor": "mine"}, "must be 'min' or 'max' for monitor 'mine', whose name"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_monitored_is_refused_before_training(case):
    options, words = REFUSED[case]
    trainer = new_trainer()
    before, history = state(trainer), trainer.history

    def mine(y, y_hat):
        return 0.0

    with pytest.raises(ValueError) as caught:
        trainer.fit(X, Y, metrics=[mine], callbacks=[fb.EarlyStopping(**options)])
    assert words in str(caught.value)
    assert state(trainer) == before
    assert trainer.history is history


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"patience": 0}, "patience must be"),
        ({"patience": 1.5}, "patience must be"),
        ({"min_delta": -1}, "min_delta must be"),
        ({"mode": "best"}, "mode of EarlyStopping must be 'auto', 'min' or 'max', got 'best'"),
        ({"monitor": 3}, "monitor of EarlyStopping must be a figure's name, got 3"),
        ({"restore_best_weights": 1}, "restore_best_weights must be True or False"),
    ],
)
def test_arguments_out_of_range_are_refused(options, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        fb.EarlyStopping(**options)
    assert words in str(caught.value)


def test_the_way_of_a_name_is_known():
    for name, mode in itertools.product(("r2_score", "max_error", "log_loss"), ("auto",)):
        value = iter([1.0, 2.0])

        def metric(y, y_hat, value=value):
            return next(value)

        metric.__name__ = name
        stopping = fb.EarlyStopping(name, mode=mode)
        new_trainer().fit(X, Y, epochs=2, metrics=[metric], callbacks=[stopping])
        assert stopping.best_epoch == (2 if name == "r2_score" else 1)


@pytest.mark.parametrize(
    "other",
    [
        {"monitor": "validation_accuracy", "patience": 3, "mode": "max"},
        {"patience": 4, "min_delta": 0.05, "restore_best_weights": False},
    ],
)
def test_two_of_them_go_on_in_any_order(other, tmp_path):
    """Each takes the state of the one that had its settings."""
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = (X[:, 0] > 0).astype(int)

    def new_callbacks():
        return [fb.EarlyStopping(patience=4), fb.EarlyStopping(**other)]

    def fit(trainer, callbacks):
        return trainer.fit(X, y, epochs=40, validation_split=0.3, callbacks=callbacks)

    def new_trainer():
        model = fb.mlp([3, 8, 2], output_activation="softmax", seed=0)
        return fb.Trainer(model, "cross_entropy", fb.Adam(0.02), seed=0, batch_size=10)

    whole = fit(new_trainer(), new_callbacks())
    path = tmp_path / "c"
    trainer = new_trainer()
    saves = fb.Checkpoint(path, every_epochs=len(whole) - 1)
    fit(trainer, [*new_callbacks(), saves])
    again = fit(fb.Trainer.resume(path), [saves, *reversed(new_callbacks())])
    assert len(whole) < 40
    assert again.loss == whole.loss
