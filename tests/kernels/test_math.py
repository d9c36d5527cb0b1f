"""exp, log, tanh, sigmoid: how far from the exact value, at the edges, and in losses."""

from functools import cache

import numpy as np
import pytest
import reference as twin
from reference import DTYPES, VARIANTS, Kernels, Layer, kernels

import fastbackprop as fb

# Units in the last place, just above the largest errors that were found, in float32 by
# trying every number of the range that matters: exp 1.046, log 0.840, log1p 1.231,
# tanh 2.554, sigmoid 2.402; in float64, sampled, up to 2.564 for tanh. FMA or not, the
# last steps decide, so that one bound holds for both.
BOUNDS = {"exp": 1.1, "log": 0.9, "log1p_small": 1.3, "tanh": 2.7, "sigmoid": 2.5}
HIGHER = {"float32": np.float64, "float64": np.longdouble}
HAS_LONGDOUBLE = np.finfo(np.longdouble).eps < np.finfo(np.float64).eps

on_every_kernel = pytest.mark.parametrize(
    ("variant", "dtype"), [(variant, dtype) for variant in VARIANTS for dtype in DTYPES]
)
for_every_function = pytest.mark.parametrize("function", BOUNDS)


def apply(variant, dtype, function, x):
    x = np.ascontiguousarray(x, dtype)
    out = np.full_like(x, 7)
    kernels(variant, dtype).apply(function, x, out)
    return out


@cache
def arguments(function, dtype):
    """Every exponent with random mantissas, and the function's own range densely."""
    rng = np.random.default_rng(0)
    info = np.finfo(dtype)
    n = 1_500_000 if dtype == "float32" else 200_000 if HAS_LONGDOUBLE else 1_000
    bits = rng.integers(0, 2**info.bits, n, np.uint64, endpoint=False)
    anywhere = bits.astype(np.uint32 if dtype == "float32" else np.uint64).view(dtype)
    edge = float(np.log(info.max))
    dense = rng.uniform(-1.1 * edge, 1.1 * edge, n).astype(dtype)
    central = (rng.choice([-1, 1], n) * 2.0 ** rng.uniform(-30, 5, n)).astype(dtype)
    x = np.concatenate([anywhere[np.isfinite(anywhere)], dense, central])
    if function == "log":
        x = np.concatenate([abs(x), rng.uniform(0.5, 2, n).astype(dtype)])
    return np.unique(abs(x) % 1) if function == "log1p_small" else x


@cache
def exact(function, dtype):
    """The function of the arguments, at least 11 bits more exact than the dtype."""
    x = arguments(function, dtype)
    if dtype == "float64" and not HAS_LONGDOUBLE:
        return exact_by_mpmath(function, x)
    return exact_by_numpy(function, x.astype(HIGHER[dtype]))


def exact_by_numpy(function, x):
    with np.errstate(over="ignore", divide="ignore"):
        if function == "sigmoid":
            e = np.exp(-abs(x))
            return np.where(x < 0, e, 1) / (1 + e)
        return {"exp": np.exp, "log": np.log, "log1p_small": np.log1p, "tanh": np.tanh}[function](x)


def exact_by_mpmath(function, x):
    """Pairs (nearest double, what is left), summed in units in the last place later."""
    mpmath = pytest.importorskip("mpmath")
    mpmath.mp.prec = 120
    functions = {
        "exp": mpmath.exp,
        "log": lambda v: mpmath.log(v) if v else -mpmath.inf,
        "log1p_small": mpmath.log1p,
        "tanh": mpmath.tanh,
        "sigmoid": lambda v: 1 / (1 + mpmath.exp(-v)),
    }
    return [functions[function](mpmath.mpf(float(v))) for v in x]


def errors(got, true, dtype):
    """|got - true| in units in the last place of true; infinity counts as the next after max."""
    info = np.finfo(dtype)
    if isinstance(true, list):  # of mpmath numbers
        import mpmath

        near = np.array([float(t) for t in true])
        pairs = zip(true, near, strict=True)
        rest = np.array(
            [float(t - mpmath.mpf(float(v))) if np.isfinite(v) else 0 for t, v in pairs]
        )
    else:
        near, rest = true, true.dtype.type(0)
    # One more than max would be 2^maxexp; max / 1.5 has the same spacing, and a neighbour above.
    beyond = near.dtype.type(2) ** info.maxexp if near.dtype != dtype else info.max
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.clip(abs(near), info.smallest_subnormal, info.max / 1.5).astype(dtype)
        distance = (
            np.clip(got.astype(near.dtype), -beyond, beyond) - np.clip(near, -beyond, beyond) - rest
        )
    return (abs(distance) / np.spacing(size)).astype(np.float64)


@on_every_kernel
@for_every_function
def test_error_is_within_the_promised_units_in_the_last_place(variant, dtype, function):
    x = arguments(function, dtype)
    error = errors(apply(variant, dtype, function, x), exact(function, dtype), dtype)
    worst = int(np.argmax(error))  # NaN counts as largest
    assert error[worst] <= BOUNDS[function], (
        f"{function}({x[worst]!r}) is off by {error[worst]:.3f} units"
    )


@pytest.mark.parametrize("dtype", DTYPES)
@for_every_function
def test_every_variant_with_fma_has_the_same_bits(dtype, function):
    x = arguments(function, dtype)
    results = {
        v: apply(v, dtype, function, x).tobytes() for v in VARIANTS if kernels(v, dtype).has_fma
    }
    assert len(set(results.values())) <= 1, f"{function} differs between {', '.join(results)}"


SPECIAL = {
    # function: [(x, exactly this)]
    "exp": [(0.0, 1.0), (-0.0, 1.0), (np.inf, np.inf), (-np.inf, 0.0), (np.nan, np.nan)],
    "log": [(1.0, 0.0), (0.0, -np.inf), (-0.0, -np.inf), (np.inf, np.inf), (-np.inf, np.nan),
            (-1.0, np.nan), (np.nan, np.nan)],
    "log1p_small": [(0.0, 0.0), (np.nan, np.nan)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (np.inf, 1.0), (-np.inf, -1.0), (30.0, 1.0),
             (-30.0, -1.0), (np.nan, np.nan)],
    "sigmoid": [(0.0, 0.5), (-0.0, 0.5), (np.inf, 1.0), (-np.inf, 0.0), (800.0, 1.0),
                (np.nan, np.nan)],
}  # fmt: skip


@on_every_kernel
@for_every_function
def test_special_values_are_exact_in_every_lane(variant, dtype, function):
    info = np.finfo(dtype)
    smallest, normal = info.smallest_subnormal, info.tiny
    cases = (
        SPECIAL[function]
        + {
            "exp": [(info.max, np.inf), (-info.max, 0), (smallest, 1), (-smallest, 1)],
            "log": [(-smallest, np.nan), (-info.max, np.nan)],
            "log1p_small": [(smallest, smallest), (normal, normal)],
            "tanh": [
                (smallest, smallest),
                (-smallest, -smallest),
                (normal, normal),
                (info.max, 1),
                (-info.max, -1),
            ],
            "sigmoid": [(smallest, 0.5), (info.max, 1), (-info.max, 0)],
        }[function]
    )
    x, true = np.array(cases, dtype).T
    for shift in range(len(x)):  # so that each value visits each lane
        got = apply(variant, dtype, function, np.tile(np.roll(x, shift), 3))
        np.testing.assert_array_equal(got, np.tile(np.roll(true, shift), 3))
        np.testing.assert_array_equal(
            np.signbit(got[got == 0]), np.signbit(np.tile(np.roll(true, shift), 3)[got == 0])
        )


@on_every_kernel
def test_exp_and_sigmoid_overflow_and_underflow_at_the_right_argument(variant, dtype):
    """The last finite and first infinite e^x, the last denormal and first zero."""
    info = np.finfo(dtype)
    largest = np.array(np.log(HIGHER[dtype](info.max)), dtype)
    smallest = np.array(np.log(HIGHER[dtype](info.smallest_subnormal)), dtype)
    steps = [
        np.nextafter(largest, -np.inf, dtype=dtype),
        np.nextafter(largest, np.inf, dtype=dtype),
    ]
    below, above = apply(variant, dtype, "exp", np.array(steps, dtype))
    assert info.max / 2 < below < np.inf
    assert above == np.inf
    # e^x rounds to the smallest denormal as long as it is above half of it.
    half = smallest - np.array(np.log(2), dtype)
    edge = apply(variant, dtype, "exp", np.array([half + 1e-3, half - 1e-3], dtype))
    np.testing.assert_array_equal(edge, [info.smallest_subnormal, 0])
    np.testing.assert_array_equal(
        apply(variant, dtype, "sigmoid", np.array([half + 1e-3, half - 1e-3], dtype)),
        [info.smallest_subnormal, 0],
    )


@on_every_kernel
def test_results_below_the_smallest_normal_number_are_rounded_not_flushed(variant, dtype):
    info = np.finfo(dtype)
    edge = float(np.log(info.tiny))
    x = np.linspace(edge - 10, edge - 0.001, 1001).astype(dtype)
    for function in ("exp", "sigmoid"):
        got = apply(variant, dtype, function, x)
        assert ((got > 0) & (got < info.tiny)).all()
    denormal = np.linspace(info.smallest_subnormal, info.tiny, 1001, dtype=dtype)
    for function in ("tanh", "log1p_small"):
        got = apply(variant, dtype, function, denormal)
        assert (abs(got - denormal) <= info.smallest_subnormal).all()


@on_every_kernel
def test_cross_entropies_and_softmax_are_stable_for_logits_of_ten_thousand(variant, dtype):
    """Finite, with the right cost and gradient, also where y_hat is exactly 0 or 1."""
    logits = np.array(
        [[1e4, -1e4, 0], [-1e4, 1e4, 1e4], [0, 0, 0], [-1e4, -1e4, -1e4], [1, 1e4, 2]]
    )
    labels = np.array([1, 0, 2, 1, 1])  # the first two are as wrong as can be
    for last, loss, y in [
        ("softmax", "cross_entropy", labels),
        ("softmax", "cross_entropy", np.eye(3)[labels]),
        ("sigmoid", "binary_cross_entropy", np.eye(3)[labels]),
    ]:
        layer = Layer(np.eye(3), np.zeros(3), last)
        net, eps = Kernels(variant, dtype, [layer]), 8 * np.finfo(dtype).eps
        true = twin.activate(layer, logits)
        net.spoil_scratch(5)
        cost, d_z = twin.compare(loss, layer, logits, true, y)
        assert abs(net.predict(logits) - true).max() <= eps, last
        assert abs(net.evaluate(loss, logits, y)[0] - 5 * cost) <= eps * 5 * cost, loss
        outcome, total, *_ = net.train(loss, (1.0, 0.0, False, 0.0), logits, y)
        assert outcome == 0
        assert abs(total - 5 * cost) <= eps * 5 * cost, loss
        assert abs(net.places[0].bias(net.parameters.values) + d_z.sum(axis=0)).max() <= eps, loss


@pytest.mark.parametrize("dtype", DTYPES)
def test_soft_labels_of_saturated_rows_cost_what_the_logits_say(dtype):
    """-sum y log p with p that underflows: once a row, the logits are summed."""
    n = 1000
    z = np.linspace(-1e4, 1e4, n).astype(dtype)
    layer = fb.Dense(1, n, "softmax", weight_init=z[None], bias=False)
    trainer = fb.Trainer(fb.Sequential([layer], dtype=dtype), "cross_entropy")
    y = np.full((1, n), 1 / n)
    expected = np.mean(z.max() + np.log(np.exp(np.float64(z) - z.max()).sum()) - np.float64(z))
    assert trainer.evaluate([[1.0]], y)["loss"] == pytest.approx(
        expected, rel=n * float(np.finfo(dtype).eps)
    )


@pytest.mark.parametrize("variant", [v for v in VARIANTS if kernels(v, "float32").has_fma])
def test_relu_keeps_the_sign_of_zero_alike_everywhere(variant):
    net = Kernels(variant, "float32", [Layer(np.array([[-1e-30]]), None, "relu")])
    out = net.predict(np.array([[1e-30]]))
    assert out[0, 0] == 0
    assert np.signbit(out[0, 0])
