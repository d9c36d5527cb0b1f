"""What the kernels know for the estimators: scikit-learn's updates, and a report of each step."""

import numpy as np
import pytest
from privates import OptimizerState, aligned_zeros, dispatch, network_of, values_of
from reference import DTYPES

import fastbackprop as fb

RNG = np.random.default_rng(0)
GRADIENTS = RNG.normal(size=(40, 3, 5)) * 10.0 ** RNG.integers(-6, 3, (3, 5))
START = RNG.normal(size=(3, 5))
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


def weights_after(dtype, gradients, *arguments, rates=None, start=START, **settings):
    """The weights behind each step of the kernels' correct."""
    kernels = dispatch.kernels(np.dtype(dtype))
    shape = np.shape(start)
    model = fb.Sequential([fb.Dense(*shape, bias=False, weight_init=start)], dtype=dtype)
    spec, values = kernels.UpdateSpec(*arguments, **settings), values_of(model)
    state = OptimizerState(spec.n_planes, values.size, np.dtype(dtype))
    history = []
    for step, gradient in enumerate(gradients):
        buffer = aligned_zeros(values.size, np.dtype(dtype))
        buffer.reshape(shape[0], -1)[:, : shape[1]] = gradient
        row = None if rates is None else np.array([rates[step], *arguments[2:3], 0.0])
        room = aligned_zeros(values.size + state.buffer.size, np.dtype(dtype))
        assert kernels.correct(network_of(model), buffer, spec, state.buffer, room, row) == -1
        history.append(model.layers[0].weight.astype(np.float64))
    return np.array(history)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_rate_is_in_the_velocity(dtype):
    """Gradient 1 at rates 0.1, then 0.01: -0.2 (a velocity of gradients would say -0.119)."""
    arguments = {"start": [[0.0]], "rates": [0.1, 0.01], "scaled_velocity": True}
    last = weights_after(dtype, [1, 1], "sgd", 0.1, 0.9, **arguments)[-1].item()
    assert last == pytest.approx(-0.2, abs=1e-7)
    arguments["scaled_velocity"] = False
    last = weights_after(dtype, [1, 1], "sgd", 0.1, 0.9, **arguments)[-1].item()
    assert last == pytest.approx(-0.119, abs=1e-7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_follows_scikit_learns_formula(dtype, nesterov):
    rates = 0.1 / np.arange(1, len(GRADIENTS) + 1) ** 0.5
    arguments = "sgd", 0.1, 0.9, nesterov
    got = weights_after(dtype, GRADIENTS, *arguments, rates=rates, scaled_velocity=True)
    w, v, expected = START, 0.0, []
    for rate, g in zip(rates, GRADIENTS, strict=True):
        v = 0.9 * v - rate * g
        w = w + (0.9 * v - rate * g if nesterov else v)
        expected.append(w)
    expected = np.array(expected)
    assert np.abs(got - expected).max() <= TOLERANCE[dtype] * (1 + np.abs(expected).max())


@pytest.mark.parametrize("dtype", DTYPES)
def test_adam_follows_scikit_learns_formula(dtype):
    settings = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-3}
    got = weights_after(dtype, GRADIENTS, "adam", 0.01, bare_epsilon=True, **settings)
    m = v = 0.0
    w, expected = START, []
    for t, g in enumerate(GRADIENTS, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        rate = 0.01 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        w = w - rate * m / (np.sqrt(v) + 1e-3)
        expected.append(w)
    expected = np.array(expected)
    assert np.abs(got - expected).max() <= TOLERANCE[dtype] * (1 + np.abs(expected).max())
    others = weights_after(dtype, GRADIENTS, "adam", 0.01, **settings)
    assert np.abs(others - expected).max() > 1e-3


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("batch_size", "n_threads"), [(1, 1), (3, 1), (16, 1), (64, 2)])
def test_steps_report_costs_and_squares(dtype, batch_size, n_threads):
    """In each way that there is through a step: of one sample, of one thread, of two."""
    kernels = dispatch.kernels(np.dtype(dtype))
    model = fb.mlp([5, 70, 2], seed=0, dtype=dtype)
    X, y = RNG.normal(size=(64, 5)).astype(dtype), RNG.normal(size=(64, 2)).astype(dtype)
    n_steps = -(-len(X) // batch_size)
    loss = kernels.LossSpec("squared_error", False, 1.0, 0.5, 2)
    for decay in (0.0, 0.25):
        spec = kernels.UpdateSpec(
            "sgd", 0.0, weight_decay=decay, decay_biases=False, decay_per_weight=True
        )
        state, report = (
            OptimizerState(0, values_of(model).size, X.dtype),
            np.full((n_steps, 2), 7.0),
        )
        network = network_of(model)
        scratch = aligned_zeros(kernels.workspace_size(network, batch_size, False), X.dtype)
        work = kernels.TrainingWork(
            kernels.Workspace(network, batch_size, False, scratch), X, y, None, None, 0, len(X),
            batch_size, loss, spec, state.buffer, 0.0, 0, n_threads, report=report,
        )  # fmt: skip
        assert work.run()[0] == 0
        costs = ((model.predict(X) - y) ** 2).sum(axis=1) / 2
        expected = np.add.reduceat(costs, np.arange(0, len(X), batch_size))
        np.testing.assert_allclose(report[:, 0], expected, 1e-5)
        squares = sum((layer.weight.astype(float) ** 2).sum() for layer in model.layers)
        np.testing.assert_allclose(report[:, 1], squares if decay else 0, 1e-5)
