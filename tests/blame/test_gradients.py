"""Every gradient against the definition of a derivative: finite differences of the cost."""

from itertools import product

import numpy as np
import pytest
from privates import ACTIVATIONS, TABLE, alpha_of
from reference import HIDDEN, mildness, parameters

import fastbackprop as fb

STEP = 3e-4
# The 4th-order difference is off by about step^4 times the 5th derivative, and by
# eps / step from rounding: 1e-12 or so; sums of several outputs make it 1e-10.
TOLERANCE = 1e-9
LABELS = np.array([2, 0, 1, 2, 2, 1])
RNG = np.random.default_rng(1)
X, Y = RNG.uniform(-1.5, 1.5, (6, 3)), RNG.uniform(0.1, 0.9, (6, 3))
PROBABILITIES = Y / Y.sum(axis=1, keepdims=True)

COMBINATIONS = [
    *[
        (last, loss, Y)
        for last in ACTIVATIONS
        for loss in ("half_squared_error", "mean_squared_error")
    ],
    ("softmax", "cross_entropy", LABELS),
    ("softmax", "cross_entropy", PROBABILITIES),
    ("sigmoid", "binary_cross_entropy", Y),
]
LOSSES = {
    "half_squared_error": fb.HalfSquaredError(),
    "mean_squared_error": fb.MeanSquaredError(),
    "cross_entropy": fb.CrossEntropy(),
    "binary_cross_entropy": fb.BinaryCrossEntropy(),
}
for_every_net = pytest.mark.parametrize(
    ("hidden", "last", "loss", "y"),
    [
        pytest.param(h, *c, id=f"{h}-{c[0]}-{c[1]}-{c[2].ndim}d")
        for h, c in product(HIDDEN, COMBINATIONS)
    ],
)


def net_without_kinks_nearby(hidden, last):
    """3-5-4-3 in float64; no z so near 0 that a step could cross the kink of a rectifier."""
    for seed in range(1000):
        model = fb.mlp(
            [3, 5, 4, 3], activation=hidden, output_activation=last, seed=seed, dtype="float64"
        )
        for layer in model.layers:
            layer.weight *= mildness(layer.activation)
            layer.bias = np.random.default_rng(seed).uniform(-0.5, 0.5, layer.n_out)
        a, margin, alive = X, np.inf, True
        for layer in model.layers:
            z = a @ layer.weight + layer.bias
            margin = min(margin, *(abs(z - kink).min() for kink in (-3, -1, 0, 1, 3)))
            a = TABLE[layer.activation].value(z, alpha_of(layer))
            row = TABLE[layer.activation]
            alive = alive and (
                not row.derivative or row.derivative(z, row.default).any(axis=0).all()
            )
        if margin > 0.005 and alive:
            return model
    raise AssertionError("no seed without a kink nearby")


def slopes(cost, array):
    """The derivative of cost() by every element of the array, by 4th-order central differences."""
    result = np.empty(array.shape)
    for at in np.ndindex(array.shape):
        start, values = array[at], []
        for steps in (-2, -1, 1, 2):
            array[at] = start + steps * STEP
            values.append(cost())
        array[at] = start
        result[at] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * STEP)
    return result


@for_every_net
def test_blame_by_hand_is_the_derivative_of_the_cost(hidden, last, loss, y):
    model, x = net_without_kinks_nearby(hidden, last), X.copy()

    def cost():
        return LOSSES[loss](model.forward(x), y)[0]

    _, d_y_hat = LOSSES[loss](model.forward(x), y)
    d_x = model.backward(d_y_hat)
    gradients = [g.copy() for v in model.layers for g in (v.weight_gradient, v.bias_gradient)]
    assert abs(d_x - slopes(cost, x)).max() < TOLERANCE
    for array, gradient in zip(parameters(model), gradients, strict=True):
        assert abs(gradient - slopes(cost, array)).max() < TOLERANCE
    assert max(abs(g).max() for g in gradients) > 1e-3  # else nothing was tested


@for_every_net
def test_fused_step_moves_weights_by_the_derivative_of_the_cost(hidden, last, loss, y):
    """Plain SGD: (w before - w after) / learning rate, with the cost of Trainer.evaluate."""
    model, rate = net_without_kinks_nearby(hidden, last), 0.5
    trainer = fb.Trainer(model, loss, fb.SGD(rate))
    true = [slopes(lambda: trainer.evaluate(X, y)["loss"], array) for array in parameters(model)]
    before = [array.copy() for array in parameters(model)]
    trainer.step(X, y)
    for old, new, slope in zip(before, parameters(model), true, strict=True):
        assert abs((old - new) / rate - slope).max() < TOLERANCE


@pytest.mark.parametrize(("last", "loss", "y"), COMBINATIONS[-3:])
def test_cross_entropies_give_the_same_gradient_from_plain_arrays(last, loss, y):
    """Where y_hat no longer remembers its z, dC/dy_hat itself goes back through the activation."""
    model = net_without_kinks_nearby("tanh", last)
    d_x = model.backward(LOSSES[loss](model.forward(X), y)[1])
    _, d_y_hat = LOSSES[loss](np.array(model.forward(X)), y)
    assert abs(model.backward(np.array(d_y_hat)) - d_x).max() < 1e-12
    assert abs(d_x).max() > 1e-3


def test_gradient_of_one_sample_given_as_a_row():
    model, x = net_without_kinks_nearby("tanh", "softmax"), X[0].copy()

    def cost():
        return fb.CrossEntropy()(model.forward(x), 2)[0]

    d_x = model.backward(fb.CrossEntropy()(model.forward(x), 2)[1])
    assert d_x.shape == (3,)
    assert abs(d_x - slopes(cost, x)).max() < TOLERANCE
