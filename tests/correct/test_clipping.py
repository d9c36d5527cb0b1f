"""Clipping: by hand and in training, on any number of threads to the same bits."""

import re

import numpy as np
import pytest
from privates import state_of, values_of
from reference import DTYPES

import fastbackprop as fb


def by_hand(gradient, dtype="float32", **limits):
    """Clip a gradient of one layer; returns the norm and the new gradient."""
    gradient = np.atleast_2d(gradient)
    n_in, n_out = gradient.shape
    model = fb.Sequential([fb.Dense(n_in, n_out, bias=False)], dtype=dtype)
    model.forward(np.eye(n_in))
    model.backward(gradient)
    return fb.clip_gradients(model, **limits), model.layers[0].weight_gradient.astype(np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_norm_is_the_global_one(dtype):
    eps = float(np.finfo(dtype).eps)
    norm, clipped = by_hand([3, 4], dtype, norm=1)
    assert norm == 5
    assert clipped == pytest.approx(np.array([[0.6, 0.8]]), rel=2 * eps)
    assert by_hand([3, 4], dtype, norm=5)[1].tolist() == [[3, 4]]
    assert by_hand([0, 0], dtype, norm=1)[1].tolist() == [[0, 0]]
    assert by_hand([-3, 4], dtype, value=2)[1].tolist() == [[-2, 2]]
    norm, clipped = by_hand([-3, 40], dtype, value=4, norm=1)
    assert norm == 5
    assert clipped == pytest.approx(np.array([[-0.6, 0.8]]), rel=2 * eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("part", [0.9, 1e-10, 1e-25])
def test_the_largest_and_smallest_numbers_have_a_norm(dtype, part):
    largest, smallest = np.finfo(dtype).max, np.finfo(dtype).tiny
    huge = part * float(largest) * np.array([0.6, 0.8])
    assert by_hand(huge, dtype, norm=1)[1] == pytest.approx(np.array([[0.6, 0.8]]), rel=1e-6)
    small = float(smallest) / part * np.array([0.6, 0.8]) * 4
    clipped = by_hand(small, dtype, norm=float(smallest) * 2 / part)[1]
    assert clipped == pytest.approx(np.atleast_2d(small) / 2, rel=1e-6)


def test_the_numbers_of_the_issue():
    assert by_hand([3e38, 4e38 * 0.8], norm=1)[0] == pytest.approx(4.386342e38, rel=1e-6)
    assert by_hand([3e38, 0], norm=1)[1].tolist() == [[1, 0]]
    _, clipped = by_hand([3e38, 4e38], "float64", norm=1)
    assert clipped == pytest.approx(np.array([[0.6, 0.8]]), rel=1e-15)
    norm, clipped = by_hand([0.9e308, 1.2e308, 1.2e308], "float64", norm=2)
    assert norm == np.inf  # the norm is 1.92e308: beyond a double
    assert np.linalg.norm(clipped) == pytest.approx(2, rel=1e-15)


def test_what_is_refused():
    model = fb.mlp([1, 2], seed=0)
    with pytest.raises(RuntimeError, match=r"^clip_gradients must follow model\.backward"):
        fb.clip_gradients(model, norm=1)
    with pytest.raises(ValueError, match=r"^norm or value must be given, got neither\.$"):
        fb.clip_gradients(model)
    with pytest.raises(TypeError, match=r"^model must be a Sequential, got int"):
        fb.clip_gradients(1, norm=1)
    for limit in (0, -1, np.nan):
        with pytest.raises(ValueError, match=r"^norm must be a finite number above 0, got"):
            fb.clip_gradients(model, norm=limit)
        with pytest.raises(ValueError, match=r"^clip_value must be a finite number above 0, got"):
            fb.Trainer(model, "half_squared_error", clip_value=limit)
    with pytest.raises(ValueError, match=r"^clip_norm must fit float32, got 1e-46"):
        fb.Trainer(model, "half_squared_error", clip_norm=1e-46)
    model.forward([[1.0]])
    model.backward([[np.float32(3e38), 1.0]])
    model.layers[0].weight_gradient[0, 1] = np.inf
    before = model.layers[0].weight_gradient.copy()
    for limits in ({"norm": 1.0}, {"value": 1.0}):
        message = r"^Gradients of model\.layers\[0\] are infinite or NaN; they were left as they"
        with pytest.raises(fb.DivergenceError, match=message):
            fb.clip_gradients(model, **limits)
        assert np.array_equal(model.layers[0].weight_gradient, before)


LIMITS = [{"norm": 0.3}, {"value": 0.02}, {"norm": 0.3, "value": 0.05}, {"norm": 1e9}]
OPTIMIZERS = {
    "sgd": lambda: fb.SGD(0.1, weight_decay=0.01),
    "plain": lambda: fb.SGD(0.1),
    "momentum": lambda: fb.SGD(0.1, momentum=0.9),
    "adam": lambda: fb.AdamW(0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_trainer_clips_as_the_loop_by_hand_on_any_number_of_threads(name, limits, dtype):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 19)), rng.normal(size=(60, 5))
    results, norms = set(), []
    for n_threads in (None, 1, 2, 3, 7):
        model = fb.mlp([19, 130, 20, 5], activation="tanh", seed=0, dtype=dtype)
        optimizer, loss = OPTIMIZERS[name](), fb.HalfSquaredError()
        if n_threads is None:
            for _ in range(3):
                for first in range(0, 60, 25):
                    _, d = loss(model.forward(X[first : first + 25]), y[first : first + 25])
                    model.backward(d)
                    norms.append(fb.clip_gradients(model, **limits))
                    optimizer.step(model)
        else:
            trainer = fb.Trainer(
                model, loss, optimizer, batch_size=25, n_threads=n_threads,
                **{f"clip_{key}": limit for key, limit in limits.items()},
            )  # fmt: skip
            trainer.fit(X, y, epochs=3, shuffle=False)
        results.add(values_of(model).tobytes() + state_of(optimizer, model).buffer.tobytes())
    assert len(results) == 1
    assert all(norm > limits.get("norm", 0) for norm in norms) or limits["norm"] == 1e9


def test_without_need_a_limit_changes_no_bit():
    def trained(**limits):
        model = fb.mlp([3, 20, 1], activation="tanh", seed=0)
        X = np.sin(np.arange(90.0)).reshape(30, 3)
        trainer = fb.Trainer(model, "half_squared_error", fb.SGD(0.1), seed=0, **limits)
        trainer.fit(X, X[:, 0], epochs=3)
        return values_of(model).tobytes()

    assert trained() == trained(clip_norm=1e9) == trained(clip_value=1e9)


@pytest.mark.parametrize("limits", [{"clip_norm": 1.0}, {"clip_value": 1.0}])
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("how", ["fit", "step"])
def test_a_gradient_that_is_not_finite_ends_the_training(limits, n_threads, how):
    model = fb.mlp([1, 4, 1], weight_init=1.0, seed=0)
    model.layers[1].weight[:] = 1e-30
    trainer = fb.Trainer(
        model, "half_squared_error", fb.SGD(1e-3), n_threads=n_threads, batch_size=2, **limits
    )
    before = values_of(model).copy()
    X, y = np.full((2, 1), 3e38), np.full((2, 1), 1e10)  # dC/dW of the last layer: beyond float32
    what = "The gradient isn't finite in " if "clip_norm" in limits else ""
    with pytest.raises(fb.DivergenceError, match=f"^{what}.*" + re.escape("first in layers[1]")):
        trainer.fit(X, y) if how == "fit" else trainer.step(X, y)
    assert np.array_equal(values_of(model), before)
    assert state_of(trainer.optimizer, model).n_steps == 0


def test_a_loss_of_ones_own_is_clipped_and_scheduled_alike():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 6)), rng.normal(size=(40, 2))
    known, results = fb.HalfSquaredError(), set()
    for loss in (known, lambda y_hat, y: known(y_hat, y)):
        model = fb.mlp([6, 9, 2], activation="tanh", seed=0)
        adam = fb.Adam(fb.Cosine(0.01), weight_decay=lambda step: 0.1 / (1 + step))
        trainer = fb.Trainer(
            model, loss, adam, batch_size=9, seed=0, clip_norm=0.1, clip_value=0.05
        )
        trainer.fit(X, y, epochs=3)
        results.add(values_of(model).tobytes() + state_of(adam, model).buffer.tobytes())
    assert len(results) == 1
