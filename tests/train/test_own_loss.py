"""Losses of the user's own: any callable, to the bits of a loop by hand."""

import copy
import pickle

import numpy as np
import pytest
from privates import values_of

import fastbackprop as fb

X = np.random.default_rng(0).normal(size=(50, 3)).astype("f4")
Y = (X @ np.ones((3, 2))).astype("f4")


def half_squared(y_hat, y):
    difference = y_hat - y
    return 0.5 * (difference.astype(float) ** 2).sum() / len(y), difference / len(y)


def absolute(y_hat, y):
    return np.abs(y_hat - y).sum() / len(y), np.sign(y_hat - y) / len(y)


def new_trainer(loss, rate=0.1, output="identity", **options):
    model = fb.mlp([3, 5, 2], activation="tanh", output_activation=output, seed=0)
    return fb.Trainer(model, loss, fb.SGD(rate, momentum=0.5), batch_size=8, seed=0, **options)


def test_a_fit_is_a_loop_by_hand():
    trainer = new_trainer(absolute)
    history = trainer.fit(X, Y, epochs=2, shuffle=False)
    model, sgd, losses = fb.mlp([3, 5, 2], activation="tanh", seed=0), fb.SGD(0.1, momentum=0.5), []
    for _ in range(2):
        total = 0.0
        for first in range(0, 50, 8):
            y = Y[first : first + 8]
            cost, d_y_hat = absolute(model.forward(X[first : first + 8]), y)
            model.backward(d_y_hat)
            sgd.step(model)
            total += float(cost) * len(y)
        losses.append(total / 50)
    assert values_of(model).tobytes() == values_of(trainer.model).tobytes()
    assert history.loss == pytest.approx(losses, rel=1e-12)
    assert list(history.to_dict()) == ["loss", "seconds"]


@pytest.mark.parametrize(
    ("output", "loss", "y"),
    [
        ("identity", fb.HalfSquaredError(), Y),
        ("softmax", fb.CrossEntropy(), (Y[:, 0] > 0).astype(int)),
        ("sigmoid", fb.BinaryCrossEntropy(), (Y > 0).astype("f4")),
    ],
)
def test_a_callable_around_a_loss_has_its_bits(output, loss, y):
    ours, own = (
        new_trainer(x, output=output)
        for x in (loss, lambda y_hat, y: loss(y_hat, y if y.shape[-1] == 2 else y.ravel()))
    )
    figures = [t.fit(X, y, epochs=3).loss for t in (ours, own)]
    assert figures[0] == pytest.approx(figures[1], rel=1e-6)
    assert values_of(ours.model).tobytes() == values_of(own.model).tobytes()


def test_evaluate_step_validation_and_search_take_it():
    trainer = new_trainer(half_squared)
    twin = new_trainer("half_squared_error")
    assert trainer.loss is half_squared
    assert trainer.evaluate(X, Y) == pytest.approx(twin.evaluate(X, Y), rel=1e-6)
    assert trainer.step(X, Y) == pytest.approx(twin.step(X, Y), rel=1e-6)
    history = trainer.fit(X, Y, validation_data=(X, Y))
    assert history.validation_loss[-1] == trainer.evaluate(X, Y)["loss"]
    assert trainer.find_learning_rate(X, Y, n_steps=20).suggestion > 0
    assert "loss='half_squared'" in repr(trainer)


def test_y_is_what_the_user_has():
    shapes = []

    def loss(y_hat, y):
        shapes.append((y.shape, y.dtype.name))
        return 0.0, np.zeros_like(y_hat)

    new_trainer(loss).fit(X, np.arange(50), batch_size=20, shuffle=False)
    new_trainer(loss).step(X[:2], np.zeros((2, 3, 4), "f8"))
    assert shapes == [((20,), "int64")] * 2 + [((10,), "int64"), ((2, 3, 4), "float64")]


def test_the_rows_of_y_are_those_of_the_outputs():
    model = fb.Sequential([fb.Dense(1, 1, weight_init=[[1.0]])])

    def check(y_hat, y):
        assert np.array_equal(y_hat, y.astype("f4"))
        return 0.0, np.zeros_like(y_hat)

    rows = np.arange(50.0)
    fb.Trainer(model, check, batch_size=7, seed=1).fit(rows[:, None], rows, epochs=3)


@pytest.mark.parametrize("n_good", [0, 3, 10])
@pytest.mark.parametrize("what", ["loss", "gradient", "weights"])
def test_a_loss_that_stops_being_finite_leaves_good_weights(what, n_good):
    calls = []

    def loss(y_hat, y):
        calls.append(0)
        cost, gradient = half_squared(y_hat, y)
        if len(calls) <= n_good:
            return cost, gradient
        if what == "loss":
            return np.nan, gradient
        return cost, np.full_like(gradient, np.inf if what == "gradient" else 3e38)

    trainer = new_trainer(loss, rate=1.5 if what == "weights" else 0.1)
    start = values_of(trainer.model).copy()
    words = {
        "loss": "The loss stopped being finite in",
        "gradient": "The gradient isn't finite in",
        "weights": "A step would have made weights infinite or NaN in",
    }
    with pytest.raises(fb.DivergenceError, match=words[what]) as caught:
        trainer.fit(X, Y, epochs=3, shuffle=False)
    assert (caught.value.epoch, caught.value.batch) == (n_good // 7 + 1, n_good % 7 + 1)
    assert np.isfinite(values_of(trainer.model)).all()
    if n_good < 7:
        assert (values_of(trainer.model) == start).all()
    before = values_of(trainer.model).copy()
    with pytest.raises(fb.DivergenceError, match=words[what]):
        trainer.step(X, Y)
    assert (values_of(trainer.model) == before).all()


def test_a_divergence_with_labels_for_a_loss_of_ones_own_is_reported():
    trainer = new_trainer(lambda y_hat, y: (np.inf, y_hat))
    with pytest.raises(fb.DivergenceError, match="epoch 1, batch 1"):
        trainer.fit(X, np.arange(50))


def test_what_is_no_loss_is_refused_in_one_sentence():
    with pytest.raises(TypeError, match="loss must be one of 'half_squared_error'"):
        new_trainer(3)
    with pytest.raises(TypeError, match="Did you mean HalfSquaredError"):
        new_trainer(fb.HalfSquaredError)
    for result, words in [
        (1.0, r"loss must return a tuple \(cost, d_y_hat\), got float"),
        (("a", Y), "the cost that loss returns must be a number, got 'a'"),
        ((1.0, Y[:3]), r"d_y_hat must have shape \(8, 2\), as forward returned, got \(3, 2\)"),
    ]:
        with pytest.raises((TypeError, ValueError), match=words):
            new_trainer(lambda y_hat, y, result=result: result).fit(X, Y)


def test_the_users_own_error_comes_through_with_the_weights_of_a_step():
    def loss(y_hat, y):
        raise ZeroDivisionError

    trainer = new_trainer(loss)
    with pytest.raises(ZeroDivisionError):
        trainer.fit(X, Y)
    assert np.isfinite(values_of(trainer.model)).all()


def test_copies_keep_it():
    trainer = new_trainer(absolute)
    trainer.fit(X, Y)
    for twin in (copy.deepcopy(trainer), pickle.loads(pickle.dumps(trainer))):
        assert twin.loss is absolute
        assert twin.fit(X, Y).loss == copy.deepcopy(trainer).fit(X, Y).loss


def test_a_batch_without_weight_counts_as_a_step_of_a_schedule():
    def fitted(loss):
        model = fb.mlp([3, 2], seed=0)
        sgd = fb.SGD(fb.Cosine(0.1))
        trainer = fb.Trainer(model, loss, sgd, batch_size=8, seed=0)
        weights = np.repeat([1.0, 0.0, 1.0], 8)
        trainer.fit(X[:24], Y[:24], sample_weight=weights, shuffle=False)
        return values_of(model).tobytes()

    assert fitted(lambda y_hat, y, w=None: fb.HalfSquaredError()(y_hat, y, w)) == fitted(
        "half_squared_error"
    )


def test_weights_need_a_third_argument():
    def weighted(y_hat, y, sample_weight=None):
        return half_squared(y_hat, y)

    trainer = new_trainer(half_squared)
    before = values_of(trainer.model).copy()
    words = r"^loss must take weights as a third argument, .* got half_squared, which takes no"
    for call in (trainer.fit, trainer.step, trainer.evaluate):
        with pytest.raises(TypeError, match=words):
            call(X, Y, sample_weight=np.ones(50))
    np.testing.assert_array_equal(values_of(trainer.model), before)
    new_trainer(weighted).fit(X, Y, sample_weight=np.ones(50))
