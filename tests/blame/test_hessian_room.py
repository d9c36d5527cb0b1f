"""The room of a product with the Hessian is used again; nothing of one call reaches the next."""

import numpy as np
import pytest

import fastbackprop as fb

WIDTHS = (70, 90, 80, 7)


def problem(n, dtype="float32", widths=WIDTHS):
    rng = np.random.default_rng(5)
    model = fb.mlp(widths, activation="tanh", output_activation="softmax", seed=0, dtype=dtype)
    X = rng.normal(size=(n, widths[0])).astype(dtype)
    y = rng.integers(0, widths[-1], n)
    v = [
        (rng.normal(size=x.weight.shape).astype(dtype), rng.normal(size=x.bias.shape).astype(dtype))
        for x in model.layers
    ]
    return model, X, y, v


def product_of(model, X, y, v):
    pairs = model.hessian_vector_product(X, y, "cross_entropy", v)
    return np.concatenate([x.ravel() for pair in pairs for x in pair])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 8, 9, 40, 230])  # directly, turned round, by W^T
def test_a_second_call_has_the_bits_of_the_first_after_any_other(dtype, n):
    model, X, y, v = problem(n, dtype)
    first = product_of(model, X, y, v)
    assert first.any()
    huge = [(weight * (np.finfo(dtype).max / 8), bias) for weight, bias in v]
    with np.errstate(all="ignore"):
        assert not np.isfinite(product_of(model, X, y, huge)).all()
    product_of(model, X[: n // 2 + 1], y[: n // 2 + 1], v)
    np.testing.assert_array_equal(product_of(model, X, y, v), first)


@pytest.mark.parametrize("widths", [WIDTHS, (520, 600, 300, 70)])
@pytest.mark.parametrize("n", [3, 20, 83, 500])
def test_any_number_of_threads_gives_the_same_bits(widths, n):
    model, X, y, v = problem(n, widths=widths)
    products = []
    for n_threads in (1, 2, 3, 7):
        with fb.set_num_threads(n_threads):
            products.append(product_of(model, X, y, v))
    for other in products[1:]:
        np.testing.assert_array_equal(products[0], other)


def test_products_of_a_call_are_the_callers_own():
    model, X, y, v = problem(20)
    kept = model.hessian_vector_product(X, y, "cross_entropy", v)
    before = [x.copy() for pair in kept for x in pair]
    model.hessian_vector_product(X, y, "cross_entropy", [(2 * w, 2 * b) for w, b in v])
    for x, copy in zip((x for pair in kept for x in pair), before, strict=True):
        np.testing.assert_array_equal(x, copy)
