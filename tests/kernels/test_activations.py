"""Every row of the table of activations: its own formulas agree, and the kernels with them."""

from itertools import product

import numpy as np
import pytest
from privates import TABLE, aligned_zeros
from reference import DTYPES, HIDDEN, VARIANTS, kernels

import fastbackprop as fb

on_every_kernel = pytest.mark.parametrize(("variant", "dtype"), list(product(VARIANTS, DTYPES)))
for_every_activation = pytest.mark.parametrize("name", HIDDEN)
Z = np.sort(np.random.default_rng(0).normal(size=1024)) * 3
KINKS = (-3, -1, 0, 1, 3)  # of all rows together
FORMULAS = ("value", "derivative", "second")


def activate(variant, dtype, name, z, alpha=None):
    """(a, act', act'') of the kernels."""
    arrays = [aligned_zeros(-(-len(z) // 16) * 16, np.dtype(dtype)) for _ in range(4)]
    arrays[0][: len(z)] = z
    alpha = TABLE[name].default if alpha is None else alpha
    kernels(variant, dtype).activate(name, alpha, *arrays)
    return [x[: len(z)] for x in arrays[1:]]


def of_table(name, z):
    """(a, act', act'') of the table."""
    return [getattr(TABLE[name], what)(z, TABLE[name].default) for what in FORMULAS]


@for_every_activation
def test_the_derivatives_of_the_table_are_those_of_its_functions(name):
    row, h = TABLE[name], 1e-5
    z = Z[np.abs(Z[:, None] - KINKS).min(axis=1) > 0.01]
    for function, derivative in ((row.value, row.derivative), (row.derivative, row.second)):
        differences = (function(z + h, row.default) - function(z - h, row.default)) / (2 * h)
        np.testing.assert_allclose(derivative(z, row.default), differences, rtol=1e-6, atol=1e-9)


@for_every_activation
def test_what_the_table_says_of_its_functions_is_so(name):
    row = TABLE[name]
    z = np.linspace(-50, 50, 100_001)
    a, derivative, second = of_table(name, z)
    low, high = row.range
    assert a.min() >= low
    assert a.max() <= high
    assert a.min() < low + 0.03 if np.isfinite(low) else a.min() < -0.4
    assert a.max() > high - 0.03 if np.isfinite(high) else a.max() > 49
    assert row.is_straight == (not second.any())
    assert row.can_die == bool((derivative[z < 0] == 0).all())
    if row.steepest is not None:
        assert derivative.max() == pytest.approx(row.steepest)
        assert derivative[[0, -1]].max() < 1e-3


def exact_formulas():
    """The curved ones in mpmath, whose derivatives it finds itself."""
    mp = pytest.importorskip("mpmath")
    mp.mp.dps = 50
    scale, alpha = mp.mpf("1.0507009873554804934193"), mp.mpf("1.6732632423543772848170")
    b = 2 * mp.sqrt(2 / mp.pi)
    return mp, {
        "sigmoid": lambda z: 1 / (1 + mp.exp(-z)),
        "tanh": mp.tanh,
        "softplus": lambda z: mp.log1p(mp.exp(z)),
        "elu": lambda z: z if z > 0 else mp.expm1(z),
        "selu": lambda z: scale * (z if z > 0 else alpha * mp.expm1(z)),
        "gelu": lambda z: z * mp.erfc(-z / mp.sqrt(2)) / 2,
        "gelu_tanh": lambda z: z / (1 + mp.exp(-b * (z + mp.mpf("0.044715") * z**3))),
        "silu": lambda z: z / (1 + mp.exp(-z)),
        "mish": lambda z: z * mp.tanh(mp.log1p(mp.exp(z))),
        "softsign": lambda z: z / (1 + abs(z)),
        "exp": mp.exp,
    }


CURVED = [name for name in HIDDEN if not TABLE[name].is_straight]
# Units in the last place, just above the largest errors that were found. That of gelu_tanh is
# the rounding of v in e^v too, where it is z sigmoid(v): two units for each 1 of |v|.
BOUNDS = {"sigmoid": 2.5, "tanh": 2.7, "softplus": 2.5, "elu": 1.1, "selu": 2.0, "gelu": 7,
          "gelu_tanh": 5, "silu": 3.1, "mish": 4.0, "softsign": 1.6, "exp": 1.1}  # fmt: skip


def test_every_curved_activation_has_a_bound():
    assert sorted(BOUNDS) == sorted(CURVED)


def arguments(dtype, n):
    rng = np.random.default_rng(0)
    tiny = rng.choice([-1, 1], n // 3) * 2.0 ** rng.uniform(-30, 6, n // 3)
    z = [rng.uniform(-100, 100, n // 3), rng.normal(size=n // 3) * 3, tiny]
    z = np.concatenate(z).astype(dtype)
    return z[abs(z) < (85 if dtype == "float32" else 600)]


def truths_and_errors(name, dtype, z, got):
    """The exact numbers, as floats, and the distances of those that were got from them."""
    if dtype == "float32":
        truths = of_table(name, z.astype(float))
        return truths, [abs(x - true) for x, true in zip(got, truths, strict=True)]
    mp, formulas = exact_formulas()
    numbers = [mp.mpf(float(x)) for x in z]
    truths = [[mp.diff(formulas[name], x, order) for x in numbers] for order in range(3)]
    if name in ("tanh", "sigmoid"):  # whose differences vanish in 50 digits
        half = 1 if name == "tanh" else 2
        truths[1] = [(mp.sech(x / half) / half) ** 2 for x in numbers]
    errors = [
        np.array([float(abs(mp.mpf(float(a)) - b)) for a, b in zip(x, true, strict=True)])
        for x, true in zip(got, truths, strict=True)
    ]
    return [np.array(true, float) for true in truths], errors


@on_every_kernel
@pytest.mark.parametrize("name", CURVED)
def test_errors_are_within_the_promised_units_in_the_last_place(variant, dtype, name):
    info, row = np.finfo(dtype), TABLE[name]
    z = arguments(dtype, 300_000 if dtype == "float32" else 600)
    truths, errors = truths_and_errors(name, dtype, z, activate(variant, dtype, name, z))
    value, derivative, second = truths
    bound = np.full(z.shape, float(BOUNDS[name]))
    if name == "gelu_tanh":
        bound += 2.5 * abs(1.596 * z + 0.0714 * z.astype(float) ** 3)
    # Below the smallest normal number z, and what v changes by z, times what is rounded there.
    rounding = info.smallest_subnormal * (2 + abs(z.astype(float))) ** 3
    unit = np.spacing(np.maximum(abs(value), info.tiny).astype(dtype)).astype(float)
    assert (errors[0] <= bound * unit + rounding).all(), name
    if row.needs_z or name in ("softplus", "exp"):
        # Of the larger of two terms, where the derivative is their sum.
        size = abs(derivative) + (abs(value / z) if row.needs_z else 0)
        assert (errors[1] <= np.maximum(bound, 3) * info.eps * size + rounding).all(), name
    elif row.keeps_slope:
        # That of tanh is 0 where it is hardly larger than the smallest normal number.
        assert (errors[1] <= 6 * info.eps * derivative + 4 * info.tiny).all(), name
    else:
        assert (errors[1] <= 8 * info.eps).all(), name
    assert (errors[2] <= 8 * info.eps * (1 + abs(second) * (1 + abs(z)))).all(), name


@on_every_kernel
def test_derivatives_of_tanh_and_sigmoid_keep_their_digits_near_saturation(variant, dtype):
    known = {
        "tanh": {8: 4.5014e-07, 10: 8.2446e-09, 40: 7.2194e-35, np.inf: 0},
        "sigmoid": {20: 2.0612e-09, 80: 1.8049e-35, np.inf: 0},
    }
    for name, numbers in known.items():
        z = np.array([*numbers, *(-x for x in numbers)], dtype)
        _, derivative, _ = activate(variant, dtype, name, z)
        exact = of_table(name, z.astype(float))[1]
        assert [float(f"{x:.4e}") for x in exact[: len(numbers)]] == [*numbers.values()]
        np.testing.assert_allclose(derivative, exact, rtol=1e-5, atol=4 * np.finfo(dtype).tiny)


@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize(("name", "z"), [("tanh", 8), ("tanh", -10), ("sigmoid", 20)])
def test_training_explain_and_jacobian_have_the_digits_too(name, z, n):
    """Inputs reach the sum z of a hidden unit, or of the last, whose derivative is all of dC/dx."""
    exact = float(TABLE[name].derivative(np.float64(z), 0.0))
    one = {"weight_init": 1.0}
    for last in ([fb.Dense(1, 1, **one)], []):
        model = fb.Sequential([fb.Dense(1, 1, name, **one), *last], seed=0)
        X = np.full((n, 1), z, "float32")
        assert model.jacobian(X).ravel() == pytest.approx([exact] * n, rel=1e-5)
        e = fb.explain(model, X, np.zeros((n, 1)), loss="half_squared_error")
        assert e.layers[0].derivative.ravel() == pytest.approx([exact] * n, rel=1e-5)
        a = float(model.predict(X)[0, 0])
        assert e.layers[0].weight_gradient.item() == pytest.approx(a * exact * z, rel=1e-5)
        (gradient, _), *_ = model.sample_gradients(X, np.zeros((n, 1)), "half_squared_error")
        assert gradient.ravel() == pytest.approx([a * exact * z] * n, rel=1e-5)


@on_every_kernel
@pytest.mark.parametrize("name", [name for name in HIDDEN if TABLE[name].is_straight])
def test_straight_activations_agree_with_the_table(variant, dtype, name):
    z = Z.astype(dtype)
    for got, true in zip(
        activate(variant, dtype, name, z), of_table(name, z.astype(float)), strict=True
    ):
        assert (abs(got - true) <= 2 * np.finfo(dtype).eps * (1 + abs(true))).all()


@on_every_kernel
@for_every_activation
def test_infinite_and_huge_z_have_limits_and_nan_stays(variant, dtype, name):
    largest = float(np.finfo(dtype).max)
    z = np.array([np.inf, largest, 1e4, -1e4, -largest, -np.inf])
    got = activate(variant, dtype, name, z)
    with np.errstate(over="ignore", invalid="ignore"):
        for x, expected in zip(got, of_table(name, z), strict=True):
            np.testing.assert_allclose(
                x, expected.astype(dtype), rtol=2 * np.finfo(dtype).eps, atol=1e-30
            )
    nan = activate(variant, dtype, name, np.array([np.nan]))
    assert np.isnan(nan[0]).all()


@on_every_kernel
@pytest.mark.parametrize(("name", "alpha"), [("leaky_relu", 0.3), ("elu", 0.3), ("elu", 0.0)])
def test_alpha_is_used(variant, dtype, name, alpha):
    row, z = TABLE[name], Z.astype(dtype)
    for got, what in zip(activate(variant, dtype, name, z, alpha), FORMULAS, strict=True):
        expected = getattr(row, what)(z.astype(float), alpha)
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)


# Of the formulas' sources: PyTorch's documentation, evaluated to 10 digits by mpmath.
KNOWN = {
    "elu": -0.6321205588, "selu": -1.111330738, "gelu": -0.1586552539, "gelu_tanh": -0.1588080094,
    "silu": -0.2689414214, "mish": -0.3034014613, "softplus": 0.3132616875, "softsign": -0.5,
    "hard_sigmoid": 1 / 3, "hard_tanh": -1.0, "exp": 0.3678794412, "leaky_relu": -0.01,
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_values_of_minus_1(name):
    layer = fb.Dense(1, 1, name, weight_init=1.0)
    model = fb.Sequential([layer], dtype="float64")
    assert model.predict([[-1.0]])[0, 0] == pytest.approx(KNOWN[name], rel=1e-9)
