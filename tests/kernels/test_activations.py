"""Every row of the table of activations: its own formulas agree, and the kernels with them."""

from itertools import product

import numpy as np
import pytest
from privates import TABLE, aligned_zeros
from reference import DTYPES, HIDDEN, VARIANTS, kernels

on_every_kernel = pytest.mark.parametrize(("variant", "dtype"), list(product(VARIANTS, DTYPES)))
for_every_activation = pytest.mark.parametrize("name", HIDDEN)
Z = np.sort(np.random.default_rng(0).normal(size=1024)) * 3


def activate(variant, dtype, name, z):
    """(a, act') of the kernels."""
    arrays = [aligned_zeros(-(-len(z) // 16) * 16, np.dtype(dtype)) for _ in range(3)]
    arrays[0][: len(z)] = z
    kernels(variant, dtype).activate(name, TABLE[name].default, *arrays)
    return [x[: len(z)] for x in arrays[1:]]


@for_every_activation
def test_the_derivatives_of_the_table_are_those_of_its_functions(name):
    row, h = TABLE[name], 1e-5
    z = Z[abs(Z) > 0.01]
    for function, derivative in ((row.value, row.derivative), (row.derivative, row.second)):
        differences = (function(z + h, row.default) - function(z - h, row.default)) / (2 * h)
        np.testing.assert_allclose(derivative(z, row.default), differences, rtol=1e-6, atol=1e-9)


@for_every_activation
def test_what_the_table_says_of_its_functions_is_so(name):
    row = TABLE[name]
    z = np.linspace(-50, 50, 100_001)
    a, derivative = row.value(z, row.default), row.derivative(z, row.default)
    low, high = row.range
    assert a.min() >= low
    assert a.max() <= high
    assert a.min() < low + 0.01 if np.isfinite(low) else a.min() < -0.4
    assert a.max() > high - 0.01 if np.isfinite(high) else a.max() > 49
    assert row.is_straight == (not row.second(z, row.default).any())
    assert row.can_die == bool((derivative[z < 0] == 0).all())
    if row.steepest is not None:
        assert derivative.max() == pytest.approx(row.steepest)
        assert derivative[[0, -1]].max() < 1e-9


@on_every_kernel
@for_every_activation
def test_the_kernels_agree_with_the_table(variant, dtype, name):
    row, eps = TABLE[name], np.finfo(dtype).eps
    z = Z.astype(dtype)
    a, derivative = activate(variant, dtype, name, z)
    z = z.astype(float)
    true, true_derivative = row.value(z, row.default), row.derivative(z, row.default)
    assert (abs(a - true) <= 4 * eps * abs(true)).all()
    assert (abs(derivative - true_derivative) <= 8 * eps).all()


@on_every_kernel
@for_every_activation
def test_infinite_and_huge_z_have_limits_and_nan_stays(variant, dtype, name):
    row, largest = TABLE[name], float(np.finfo(dtype).max)
    z = np.array([np.inf, largest, 1e4, -1e4, -largest, -np.inf])
    a, derivative = activate(variant, dtype, name, z)
    with np.errstate(over="ignore"):
        expected = row.value(z, row.default).astype(dtype)
    close = {"rtol": 2 * np.finfo(dtype).eps, "atol": 0}
    np.testing.assert_allclose(a, expected, **close)
    with np.errstate(over="ignore"):
        derivatives = row.derivative(z, row.default).astype(dtype)
    np.testing.assert_allclose(derivative, derivatives, **close)
    nan = activate(variant, dtype, name, np.array([np.nan]))
    assert np.isnan(nan[0]).all()


@on_every_kernel
def test_softplus_keeps_its_digits_at_both_ends(variant, dtype):
    z = np.array([-80, -20, -1, 0, 1, 20, 80], dtype)
    a, derivative = activate(variant, dtype, "softplus", z)
    exact = np.maximum(z, 0) + np.log1p(np.exp(-abs(z.astype(float))))
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(a, exact, rtol=3 * eps)
    np.testing.assert_allclose(derivative, 1 / (1 + np.exp(-z.astype(float))), rtol=4 * eps)
