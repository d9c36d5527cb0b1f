"""The table of activations: one row each, which everything that knows activations reads.

The formulas are NumPy's, of z and of alpha, the activation's parameter. The kernels have their own
(_kernels/predict/activations.pxi); setup.py runs this file by its path, so it imports nothing of
the package, and writes the kernels' list of kinds and their dispatch from it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["ACTIVATIONS", "TABLE", "Row", "kernel_sources"]

Formula = Callable[[Any, float], Any]


@dataclass(frozen=True)
class Row:
    """One activation: a = act(z).

    Parameters
    ----------
    name : str
        Name by which users call it; the kernels' functions begin with it.
    formula : str
        The function as text.
    value, derivative, second : callable
        act(z, alpha), act'(z, alpha) and act''(z, alpha) in NumPy; the derivatives are None for
        softmax, where each output depends on all z of the row.
    range : tuple of float, default=(-inf, inf)
        What can come out, from and to, whatever alpha is.
    parameter : str, optional
        Name by which users call alpha.
    default : float, default=0.0
        Alpha where none is given.
    needs_z : bool, default=False
        Whether the kernels' derivative is written in terms of z, which the plan then keeps, instead
        of a.
    keeps_slope : bool, default=False
        Whether the kernels make the derivative beside a, and training keeps it: where it can't be
        written in terms of a without losing digits, and again from z it would be dear.
    is_straight : bool, default=False
        Whether it is made of straight lines: act'' is 0, and the kernels have no function for it.
    in_tile : bool, default=False
        Whether the product's tile applies it to its sums before they are stored.
    initializer : str, default="glorot_uniform"
        Weights' initializer that "auto" means in front of it.
    loss : str, optional
        Loss that is fused with it behind the last layer, which reads z.
    steepest : float, optional
        Largest derivative of a function that is flat on both sides: units can saturate.
    can_die : bool, default=False
        Whether a unit can be 0 for all samples and learn nothing.
    """

    name: str
    formula: str
    value: Formula
    derivative: Formula | None
    second: Formula | None
    range: tuple[float, float] = (-np.inf, np.inf)
    parameter: str | None = None
    default: float = 0.0
    needs_z: bool = False
    keeps_slope: bool = False
    is_straight: bool = False
    in_tile: bool = False
    initializer: str = "glorot_uniform"
    loss: str | None = None
    steepest: float | None = None
    can_die: bool = False


def _sigmoid(z: Any) -> Any:
    e = np.exp(-np.abs(z))
    return np.where(z < 0, e, 1) / (1 + e)


def _sigmoid_derivative(z: Any) -> Any:
    e = np.exp(-np.abs(z))
    return e / (1 + e) ** 2


def _tanh_derivative(z: Any) -> Any:
    return 4 * _sigmoid_derivative(2 * z)


def _elu(z: Any, alpha: float) -> Any:
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def _elu_second(z: Any, alpha: float) -> Any:
    return np.where(z > 0, 0.0, alpha * np.exp(np.minimum(z, 0)))


def _elu_derivative(z: Any, alpha: float) -> Any:
    return np.where(z > 0, 1.0, _elu_second(z, alpha))


SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


def _bounded(z: Any) -> Any:
    """Return z, but where infinite z times what vanishes would be NaN, large ones."""
    return np.clip(z, -1e3, 1e3)


_normal = np.vectorize(lambda z: math.erfc(-z / math.sqrt(2)) / 2, otypes=[float])


def _density(z: Any) -> Any:
    return np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


def _gelu_tanh(z: Any) -> list[Any]:
    """Return z bounded, sigmoid(v), sigmoid'(v), dv/dz, d2v/dz2; gelu_tanh is z sigmoid(v)."""
    z, b = _bounded(z), math.sqrt(8 / math.pi)
    v = z * (b + 0.044715 * b * z**2)
    slope, curvature = b + 3 * 0.044715 * b * z**2, 6 * 0.044715 * b * z
    return [z, _sigmoid(v), _sigmoid_derivative(v), slope, curvature]


def _gelu_tanh_derivative(z: Any) -> Any:
    z, s, s_slope, slope, _ = _gelu_tanh(z)
    return s + z * s_slope * slope


def _gelu_tanh_second(z: Any) -> Any:
    z, s, s_slope, slope, curvature = _gelu_tanh(z)
    return s_slope * (2 * slope + z * curvature + z * slope**2 * (1 - 2 * s))


def _mish_factor(z: Any) -> tuple[Any, Any, Any]:
    """Return tanh(log(1 + e^z)) and its first two derivatives."""
    e = np.exp(np.minimum(z, 40))
    q = e * e + 2 * e + 2
    t, slope = e * (e + 2) / q, 4 * e / q * ((e + 1) / q)
    return t, slope, slope * (1 + e / (e + 1) - 4 * e * (e + 1) / q)


def _mish_derivative(z: Any) -> Any:
    z = _bounded(z)
    t, slope, _ = _mish_factor(z)
    return t + z * slope


def _mish_second(z: Any) -> Any:
    z = _bounded(z)
    _, slope, curvature = _mish_factor(z)
    return 2 * slope + z * curvature


def _silu_derivative(z: Any) -> Any:
    z = _bounded(z)
    return _sigmoid(z) + z * _sigmoid_derivative(z)


def _silu_second(z: Any) -> Any:
    z = _bounded(z)
    return _sigmoid_derivative(z) * (2 - z * np.tanh(z / 2))


def _softmax(z: Any) -> Any:
    """Softmax of each row; the largest z share 1 also where they are infinite."""
    largest = z.max(axis=1, keepdims=True)
    below = np.subtract(z, largest, out=np.zeros(z.shape), where=(z != largest) | np.isnan(z))
    e = np.exp(below)
    return e / e.sum(axis=1, keepdims=True)


TABLE = {
    row.name: row
    for row in (
        Row(
            "identity",
            "z",
            lambda z, alpha: z,
            lambda z, alpha: np.ones_like(z),
            lambda z, alpha: np.zeros_like(z),
            is_straight=True,
            in_tile=True,
        ),
        Row(
            "relu",
            "max(0, z)",
            lambda z, alpha: np.maximum(z, 0),
            lambda z, alpha: np.where(z > 0, 1.0, 0.0),
            lambda z, alpha: np.zeros_like(z),
            range=(0.0, np.inf),
            is_straight=True,
            in_tile=True,
            initializer="he_normal",
            can_die=True,
        ),
        Row(
            "leaky_relu",
            "z, or slope z for z < 0",
            lambda z, alpha: np.where(z < 0, alpha * z, z),
            lambda z, alpha: np.where(z > 0, 1.0, alpha),
            lambda z, alpha: np.zeros_like(z),
            parameter="slope",
            default=0.01,
            is_straight=True,
            in_tile=True,
            initializer="he_normal",
        ),
        Row(
            "sigmoid",
            "1 / (1 + e^-z)",
            lambda z, alpha: _sigmoid(z),
            lambda z, alpha: _sigmoid_derivative(z),
            lambda z, alpha: -_sigmoid_derivative(z) * np.tanh(z / 2),
            range=(0.0, 1.0),
            keeps_slope=True,
            loss="binary_cross_entropy",
            steepest=0.25,
        ),
        Row(
            "tanh",
            "(e^z - e^-z) / (e^z + e^-z)",
            lambda z, alpha: np.tanh(z),
            lambda z, alpha: _tanh_derivative(z),
            lambda z, alpha: -2 * np.tanh(z) * _tanh_derivative(z),
            range=(-1.0, 1.0),
            keeps_slope=True,
            steepest=1.0,
        ),
        Row(
            "softmax",
            "e^z / sum e^z over a row",
            lambda z, alpha: _softmax(z),
            None,
            None,
            range=(0.0, 1.0),
            loss="cross_entropy",
        ),
        Row(
            "softplus",
            "log(1 + e^z)",
            lambda z, alpha: np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))),
            lambda z, alpha: _sigmoid(z),
            lambda z, alpha: _sigmoid_derivative(z),
            range=(0.0, np.inf),
            initializer="he_normal",
        ),
        Row(
            "elu",
            "z, or alpha (e^z - 1) for z < 0",
            _elu,
            _elu_derivative,
            _elu_second,
            parameter="alpha",
            default=1.0,
            needs_z=True,
            initializer="he_normal",
        ),
        Row(
            "selu",
            "1.0507 z, or 1.7581 (e^z - 1) for z < 0",
            lambda z, alpha: SELU_SCALE * _elu(z, SELU_ALPHA),
            lambda z, alpha: SELU_SCALE * _elu_derivative(z, SELU_ALPHA),
            lambda z, alpha: SELU_SCALE * _elu_second(z, SELU_ALPHA),
            range=(-SELU_SCALE * SELU_ALPHA, np.inf),
            needs_z=True,
            initializer="lecun_normal",
        ),
        Row(
            "gelu",
            "z Phi(z), Phi being the normal distribution",
            lambda z, alpha: np.maximum(z, -1e3) * _normal(z),
            lambda z, alpha: _normal(z) + _bounded(z) * _density(_bounded(z)),
            lambda z, alpha: _density(_bounded(z)) * (2 - _bounded(z) ** 2),
            range=(-0.16998, np.inf),
            needs_z=True,
            initializer="he_normal",
        ),
        Row(
            "gelu_tanh",
            "z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) / 2",
            lambda z, alpha: np.maximum(z, -1e3) * _gelu_tanh(z)[1],
            lambda z, alpha: _gelu_tanh_derivative(z),
            lambda z, alpha: _gelu_tanh_second(z),
            range=(-0.17005, np.inf),
            needs_z=True,
            initializer="he_normal",
        ),
        Row(
            "silu",
            "z / (1 + e^-z)",
            lambda z, alpha: np.maximum(z, -1e3) * _sigmoid(z),
            lambda z, alpha: _silu_derivative(z),
            lambda z, alpha: _silu_second(z),
            range=(-0.27847, np.inf),
            needs_z=True,
            initializer="he_normal",
        ),
        Row(
            "mish",
            "z tanh(log(1 + e^z))",
            lambda z, alpha: np.maximum(z, -1e3) * _mish_factor(z)[0],
            lambda z, alpha: _mish_derivative(z),
            lambda z, alpha: _mish_second(z),
            range=(-0.30885, np.inf),
            needs_z=True,
            initializer="he_normal",
        ),
        Row(
            "softsign",
            "z / (1 + |z|)",
            lambda z, alpha: np.clip(z, -1e300, 1e300) / (1 + np.abs(np.clip(z, -1e300, 1e300))),
            lambda z, alpha: (1 / (1 + np.abs(z))) ** 2,
            lambda z, alpha: -2 * np.sign(z) * (1 / (1 + np.abs(z))) ** 3,
            range=(-1.0, 1.0),
            needs_z=True,
            steepest=1.0,
        ),
        Row(
            "hard_sigmoid",
            "z / 6 + 1 / 2, from 0 to 1",
            lambda z, alpha: np.clip(z / 6 + 0.5, 0, 1),
            lambda z, alpha: np.where(np.abs(z) < 3, 1 / 6, 0.0),
            lambda z, alpha: np.zeros_like(z),
            range=(0.0, 1.0),
            is_straight=True,
            steepest=1 / 6,
        ),
        Row(
            "hard_tanh",
            "z, from -1 to 1",
            lambda z, alpha: np.clip(z, -1, 1),
            lambda z, alpha: np.where(np.abs(z) < 1, 1.0, 0.0),
            lambda z, alpha: np.zeros_like(z),
            range=(-1.0, 1.0),
            is_straight=True,
            steepest=1.0,
        ),
        Row(
            "exp",
            "e^z",
            lambda z, alpha: np.exp(z),
            lambda z, alpha: np.exp(z),
            lambda z, alpha: np.exp(z),
            range=(0.0, np.inf),
            loss="poisson",
        ),
    )
}
ACTIVATIONS = tuple(TABLE)

LOOP = """    {word}if kind == {kind}{condition}:
        for i in range(width // LANES):
            j = i * LANES
            {line}
"""
KINDS = """cdef enum Activation:
    {kinds}


cdef inline bint is_in_tile(int kind) noexcept nogil:
    return kind in ({in_tile})


cdef inline bint keeps_z(int kind) noexcept nogil:
    '''Whether the loss that is fused with it reads z.'''
    return kind in ({keeps_z})


cdef inline bint derives_from_z(int kind) noexcept nogil:
    '''Whether the derivative is written in terms of z, not a.'''
    return kind in ({needs_z})


cdef inline bint keeps_slope(int kind) noexcept nogil:
    '''Whether the derivative is made beside a, and kept.'''
    return kind in ({keeps_slope})
"""
DISPATCH = """cdef void activate_row(
    int kind, real alpha,
    const real* z, real* a,                      # IN, OUT (width,); may be the same
    real* slope,                                 # OUT (width,): act'(z), or NULL if it isn't kept
    Py_ssize_t width,
) noexcept nogil:
    '''a = act(z), for all but softmax.'''
    cdef Py_ssize_t i, j
    cdef vec v_slope, v_alpha = v_set1(alpha)
{forward}

cdef void derive_row(
    int kind, real alpha,
    const real* x, real* delta,                  # IN derivative_input of a layer, IN/OUT (width,)
    Py_ssize_t width,
) noexcept nogil:
    '''delta = delta act'(z), where delta comes as dC/da; for all but softmax.'''
    cdef Py_ssize_t i, j
    cdef vec v_alpha = v_set1(alpha)
{backward}

cdef void add_second_row(
    int kind, real alpha,
    const real* x, const real* r_x, const real* d,       # IN (width,): z or a, R{{x}}, dC/da
    real* delta,                                         # IN/OUT (width,)
    Py_ssize_t width,
) noexcept nogil:
    '''delta += R{{act'(z)}} dC/da.'''
    cdef Py_ssize_t i, j
    cdef vec v_alpha = v_set1(alpha)
{second}"""
ONE = """    {word}if kind == {kind}:
        {line}
"""
VECTORS = """

cdef inline vec activated(int kind, vec alpha, vec z, vec* kept) noexcept nogil:
    '''a = act(z) of one vector, and what act' is made from; for all but softmax.'''
    cdef vec a = z
{forward}    kept[0] = z if derives_from_z(kind) else a
    return a


cdef inline vec derived(int kind, vec alpha, vec kept, vec d) noexcept nogil:
    '''d act'(z) of one vector; for all but softmax.'''
{backward}    return d
"""
KEEPING = """v_store(a + j, {name}_and_slope(v_load(z + j), &v_slope))
            v_store(slope + j, v_slope)"""
FORWARD = "v_store(a + j, {name}_forward(v_load(z + j), v_alpha))"
BACKWARD = "v_store(delta + j, {name}_backward(v_load(x + j), v_load(delta + j), v_alpha))"
SECOND = """v_store(delta + j, v_add(v_load(delta + j), v_mul(
                v_mul(v_load(r_x + j), {name}_second(v_load(x + j), v_alpha)), v_load(d + j))))"""


def _kinds(rows: list[Row]) -> str:
    return ", ".join(row.name.upper() for row in rows) + ","


def _loops(
    rows: list[Row], line: str, condition: str = "", word: str = "", loop: str = LOOP
) -> str:
    return "".join(
        loop.format(
            word="el" if k else word,
            kind=row.name.upper(),
            condition=condition,
            line=line.format(name=row.name),
        )
        for k, row in enumerate(rows)
    )


def kernel_sources() -> dict[str, str]:
    """Return what the kernels include of the table: file name -> text."""
    rows = list(TABLE.values())
    by_element = [row for row in rows if row.derivative is not None]
    kinds = KINDS.format(
        kinds=_kinds(rows)[:-1],
        in_tile=_kinds([row for row in rows if row.in_tile]),
        keeps_z=_kinds([row for row in rows if row.loss]),
        needs_z=_kinds([row for row in rows if row.needs_z]),
        keeps_slope=_kinds(keeping := [row for row in rows if row.keeps_slope]),
    )
    dispatch = DISPATCH.format(
        forward=_loops(keeping, KEEPING, " and slope != NULL")
        + _loops(by_element, FORWARD, word="el"),
        backward=_loops(by_element, BACKWARD),
        second=_loops([row for row in by_element if not row.is_straight], SECOND),
    ) + VECTORS.format(
        forward=_loops(keeping, "return {name}_and_slope(z, kept)", loop=ONE)
        + _loops(
            [row for row in by_element if row not in keeping],
            "a = {name}_forward(z, alpha)",
            word="el",
            loop=ONE,
        ),
        backward=_loops(by_element, "return {name}_backward(kept, d, alpha)", loop=ONE),
    )
    return {
        "activation_kinds.pxi": kinds,
        "activation_names.pxi": f"ACTIVATIONS = {ACTIVATIONS}\n",
        "activation_dispatch.pxi": dispatch,
    }
