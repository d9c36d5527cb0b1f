"""The second derivative of each loss, read off a network that is nothing but its last layer.

The bias of such a layer is z: so H v for the biases is d2C/dz2 v, which is known in closed form.
"""

import numpy as np
import pytest
from privates import ACTIVATIONS, LOSSES, TABLE

import fastbackprop as fb

N_OUT = 3
# d2c/dy_hat2 of one sample's cost, as a function of y_hat and y.
BY_OUTPUT = {
    "half_squared_error": lambda a, y: np.eye(N_OUT),
    "mean_squared_error": lambda a, y: 2 / N_OUT * np.eye(N_OUT),
    "cross_entropy": lambda a, y: np.diag(y / a**2),
    "binary_cross_entropy": lambda a, y: np.diag(y / a**2 + (1 - y) / (1 - a) ** 2) / N_OUT,
}
# dc/dy_hat, which the second derivative of the activation is multiplied by.
FIRST = {
    "half_squared_error": lambda a, y: a - y,
    "mean_squared_error": lambda a, y: 2 / N_OUT * (a - y),
    "cross_entropy": lambda a, y: -y / a,
    "binary_cross_entropy": lambda a, y: (a - y) / (a * (1 - a)) / N_OUT,
}


def first_and_second(activation, z, a):
    """da_o/dz_i as [o, i], and d2a_o/dz_i dz_j as [o, i, j]."""
    one, row = np.eye(len(a)), TABLE[activation]
    if activation == "softmax":
        slopes = np.diag(a) - np.outer(a, a)
        second = (
            np.einsum("oi,oj->oij", slopes, one)
            - np.einsum("oi,j->oij", slopes, a)
            - np.einsum("o,ij->oij", a, slopes)
        )
        return slopes, second
    slope, curvature = row.derivative(z, row.default), row.second(z, row.default)
    return np.diag(slope), np.einsum("o,oi,oj->oij", curvature, one, one)


COMBINATIONS = [
    (activation, loss, labels)
    for activation in ACTIVATIONS
    for loss in BY_OUTPUT
    for labels in ((False, True) if loss == "cross_entropy" else (False,))
    if LOSSES[loss].activation in (None, activation)
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("activation", "loss", "labels"), COMBINATIONS)
def test_every_loss_has_its_second_derivative(activation, loss, labels, dtype):
    rng = np.random.default_rng(3)
    n = 5
    layer = fb.Dense(2, N_OUT, activation, weight_init=rng.normal(size=(2, N_OUT)))
    model = fb.Sequential([layer], dtype=dtype)
    X, y = rng.normal(size=(n, 2)), rng.dirichlet(np.ones(N_OUT), n)
    if labels:
        y = np.eye(N_OUT)[rng.integers(0, N_OUT, n)]
    v = rng.normal(size=N_OUT)
    given = y.argmax(axis=1) if labels else y
    found = model.hessian_vector_product(X, given, loss, [(np.zeros((2, N_OUT)), v)])[0][1]
    expected = np.zeros(N_OUT)
    for x, target in zip(X, y, strict=True):
        z = x @ layer.weight
        a = TABLE[activation].value(z[None], TABLE[activation].default)[0]
        slopes, seconds = first_and_second(activation, z, a)
        by_z = slopes.T @ BY_OUTPUT[loss](a, target) @ slopes
        by_z += np.einsum("o,oij->ij", FIRST[loss](a, target), seconds)
        expected += by_z @ v / n
    np.testing.assert_allclose(found, expected, rtol=1e-4 if dtype == "float32" else 1e-10,
                               atol=1e-6 if dtype == "float32" else 1e-12)  # fmt: skip


def test_the_constants_of_a_loss_reach_its_second_derivative():
    class Thrice(fb.MeanSquaredError):
        def _factors(self, n_out):
            return tuple(3 * x for x in super()._factors(n_out))

    model = fb.mlp([2, 4, 2], activation="tanh", seed=0, dtype="float64")
    X, y = [[1, 2], [3, 4]], [[0, 1], [1, 0]]
    v = [(np.ones_like(x.weight), np.ones_like(x.bias)) for x in model.layers]
    once = model.hessian_vector_product(X, y, fb.MeanSquaredError(), v)
    thrice = model.hessian_vector_product(X, y, Thrice(), v)
    for pair, other in zip(once, thrice, strict=True):
        for a, b in zip(pair, other, strict=True):
            np.testing.assert_allclose(3 * a, b, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
def test_a_call_leaves_nothing_for_the_next(normalization, dtype):
    """Room is used again: after other vectors, overflow, refused ones and other batches."""
    rng = np.random.default_rng(0)
    model = fb.mlp([3, 9, 2], activation="tanh", normalization=normalization, seed=0, dtype=dtype)
    X, y = rng.normal(size=(5, 3)).astype(dtype), rng.normal(size=(5, 2)).astype(dtype)

    def vector(scale):
        parts = model.sample_gradients(X, y, "mean_squared_error")
        return [tuple(None if x is None else x[0] * scale for x in pair) for pair in parts]

    def product(v, rows=5):
        pairs = model.hessian_vector_product(X[:rows], y[:rows], "mean_squared_error", v)
        return [x for pair in pairs for x in pair if x is not None]

    v = vector(1)
    first, fewer = product(v), product(v, 3)
    kept = [x.copy() for x in first]
    infinite = [tuple(None if x is None else np.full_like(x, np.inf) for x in p) for p in v]
    product(vector(np.finfo(dtype).max / 1e3))
    with pytest.raises(ValueError, match=r"v\[0\]\[0\] must be finite"):
        product(infinite)
    lists = [tuple(None if x is None else x.tolist() for x in pair) for pair in v]
    for again in (product(v), product(lists), product(tuple(v))):
        for a, b, c in zip(first, again, kept, strict=True):
            np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(a, c)
    for a, b in zip(fewer, product(v, 3), strict=True):
        np.testing.assert_array_equal(a, b)
    model.layers[0].trainable = False  # another plan
    for a, b in zip(first, product(v), strict=True):
        np.testing.assert_array_equal(a, b)
