"""Blame of few rows goes by W as it is stored, that of many by W^T: to the same bits."""

from itertools import product

import numpy as np
import pytest
from reference import DTYPES, VARIANTS, Kernels, Layer, backward, forward

import fastbackprop as fb

# Inputs that end in the middle of a tile and of a cache line, outputs that are no multiple of 4.
WIDTHS = (130, 200, 261, 149, 11)
MANY = 230  # rows that go back by W^T
FEW = (1, 2, 3, 5, 8, 9, 15, 16, 17, 21)  # of 200 x 261 up to 27 are few, up to 8 very few
on_every_kernel = pytest.mark.parametrize(("variant", "dtype"), list(product(VARIANTS, DTYPES)))


def net(hidden):
    rng = np.random.default_rng(3)
    activations = [hidden] * (len(WIDTHS) - 2) + ["identity"]
    return [
        Layer(rng.normal(size=(a, b)) / a**0.5, rng.normal(size=b), activation)
        for a, b, activation in zip(WIDTHS[:-1], WIDTHS[1:], activations, strict=True)
    ]


def rows(n):
    rng = np.random.default_rng(4)
    return rng.normal(size=(MANY, WIDTHS[0]))[:n], rng.normal(size=(MANY, WIDTHS[-1]))[:n]


@on_every_kernel
@pytest.mark.parametrize("hidden", ["relu", "tanh", "gelu", "elu"])
def test_few_rows_have_the_bits_that_they_have_among_many(variant, dtype, hidden):
    layers = net(hidden)
    own = Kernels(variant, dtype, layers)
    fence = own.spoil_scratch(MANY)
    X, d = rows(MANY)
    own.forward(X)
    _, all_d_x = own.backward(d)
    for n in FEW:  # one after the other in the same scratch
        own.forward(X[:n])
        gradients, d_x = own.backward(d[:n])
        np.testing.assert_array_equal(d_x, all_d_x[:n])
        assert not own.padding(gradients).any()
        pairs = forward(layers, X[:n])
        _, expected = backward(layers, X[:n], pairs, d[:n])
        scale = np.abs(expected).max()
        tolerance = 2e-5 if dtype == "float32" else 1e-13
        np.testing.assert_allclose(d_x, expected, atol=tolerance * scale)
    own.forward(X)  # and W^T has its zeros again
    np.testing.assert_array_equal(own.backward(d)[1], all_d_x)
    assert np.isnan(fence).all()


@on_every_kernel
def test_steps_of_few_rows_have_the_same_bits_by_any_number_of_threads(variant, dtype):
    X, y = rows(40)
    results = []
    for n_threads in (1, 2, 3, 7):
        own = Kernels(variant, dtype, net("tanh"))
        own.spoil_scratch(40)
        for size in (20, 7, 40):  # few, few, many
            own.train("half_squared_error", (0.01, 0.5, False, 0.0), X, y, batch_size=size,
                      state=own.state().buffer, n_threads=n_threads)  # fmt: skip
        results.append(own.parameters.values.copy())
        assert np.isfinite(results[-1]).all()
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


@pytest.mark.parametrize("dtype", DTYPES)
def test_derivatives_have_the_same_bits_in_chunks_of_any_size(dtype):
    """More threads take fewer samples together; a wide net more; parts of a call follow others."""
    for widths in ((70, 90, 80, 7), (520, 600, 300, 70)):
        model = fb.mlp(widths, activation="tanh", seed=0, dtype=dtype)
        X = np.random.default_rng(0).normal(size=(83, widths[0])).astype(dtype)
        jacobians, gradients = [], []
        for n_threads in (1, 2, 3, 7):
            with fb.set_num_threads(n_threads):
                jacobians.append(model.jacobian(X))
                gradients.append(model.input_gradient(X, output=2))
        for i in (0, 1, 40, 82):
            one = model.jacobian(X[i])
            for jacobian, gradient in zip(jacobians, gradients, strict=True):
                np.testing.assert_array_equal(jacobian[i], one)
                np.testing.assert_array_equal(gradient[i], one[2])
