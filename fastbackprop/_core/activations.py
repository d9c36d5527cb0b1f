"""The table of activations: one row each, which everything that knows activations reads.

The formulas are NumPy's, of z and of alpha, the activation's parameter. The kernels have their own
(_kernels/predict/activations.pxi); setup.py runs this file by its path, so it imports nothing of
the package, and writes the kernels' list of kinds and their dispatch from it.
"""

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
        What can come out, from and to.
    parameter : str, optional
        How users call alpha.
    default : float, default=0.0
        Alpha where none is given.
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
    )
}
ACTIVATIONS = tuple(TABLE)

LOOP = """    {word}if kind == {kind}:
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
"""
DISPATCH = """cdef void activate_row(
    int kind, real alpha,
    const real* z, real* a,                      # IN, OUT (width,); may be the same
    Py_ssize_t width,
) noexcept nogil:
    '''a = act(z), for all but softmax.'''
    cdef Py_ssize_t i, j
    cdef vec v_alpha = v_set1(alpha)
{forward}

cdef void derive_row(
    int kind, real alpha,
    const real* a, real* delta,                  # IN, IN/OUT (width,)
    Py_ssize_t width,
) noexcept nogil:
    '''delta = delta act'(z), where delta comes as dC/da; for all but softmax.'''
    cdef Py_ssize_t i, j
    cdef vec v_alpha = v_set1(alpha)
{backward}

cdef void add_second_row(
    int kind, real alpha,
    const real* a, const real* r_a, const real* d,       # IN (width,): a, R{{a}} and dC/da
    real* delta,                                         # IN/OUT (width,)
    Py_ssize_t width,
) noexcept nogil:
    '''delta += R{{act'(z)}} dC/da.'''
    cdef Py_ssize_t i, j
    cdef vec v_alpha = v_set1(alpha)
{second}"""
FORWARD = "v_store(a + j, {name}_forward(v_load(z + j), v_alpha))"
BACKWARD = "v_store(delta + j, {name}_backward(v_load(a + j), v_load(delta + j), v_alpha))"
SECOND = """v_store(delta + j, v_add(v_load(delta + j), v_mul(
                v_mul(v_load(r_a + j), {name}_second(v_load(a + j), v_alpha)), v_load(d + j))))"""


def _kinds(rows: list[Row]) -> str:
    return ", ".join(row.name.upper() for row in rows) + ","


def _loops(rows: list[Row], line: str) -> str:
    return "".join(
        LOOP.format(word="el" if k else "", kind=row.name.upper(), line=line.format(name=row.name))
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
    )
    dispatch = DISPATCH.format(
        forward=_loops(by_element, FORWARD),
        backward=_loops(by_element, BACKWARD),
        second=_loops([row for row in by_element if not row.is_straight], SECOND),
    )
    return {
        "activation_kinds.pxi": kinds,
        "activation_names.pxi": f"ACTIVATIONS = {ACTIVATIONS}\n",
        "activation_dispatch.pxi": dispatch,
    }
