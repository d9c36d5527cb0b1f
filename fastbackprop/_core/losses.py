"""The table of losses: one row each, which everything that knows losses reads.

The formulas are NumPy's, of outputs, targets and the loss's parameter. The kernels have their own
(_kernels/compare/); setup.py runs this file by its path, so it imports nothing of the package, and
writes the kernels' list of kinds and the loops over outputs from it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["KINDS", "TABLE", "Row", "kernel_sources"]

Formula = Callable[[Any, Any, Any], Any]


@dataclass(frozen=True)
class Row:
    """One loss: what a sample costs, of its outputs and targets.

    Parameters
    ----------
    name : str
        Name by which users call it.
    formula : str
        The cost of one sample as text.
    cost, gradient : callable
        The costs (n,) and their derivatives by the outputs (n, n_out), in NumPy; of y_hat (n,
        n_out), y (n, n_targets), and the parameter.
    kernel : str, optional
        Name by which the kernels call it, and begin their functions; None is ``name``.
    activation : str, optional
        The last layer's activation that it is fused with: the kernels make dC/dz at once.
    is_classification : bool, default=False
        Whether an answer is right or wrong.
    by_output : bool, default=True
        Whether the cost is a sum of what each output costs; else the kernels have a function of the
        whole row.
    cost_factor, gradient_factor : float, default=1.0
        What the kernel's cost and gradient are multiplied by.
    is_mean : bool, default=False
        Whether both are divided by the number of targets of a sample.
    parameter : str, optional
        How users call the parameter.
    default : float, optional
        The parameter where none is given.
    """

    name: str
    formula: str
    cost: Formula
    gradient: Formula
    kernel: str | None = None
    activation: str | None = None
    is_classification: bool = False
    by_output: bool = True
    cost_factor: float = 1.0
    gradient_factor: float = 1.0
    is_mean: bool = False
    parameter: str | None = None
    default: float | None = None

    @property
    def kind(self) -> str:
        """Name by which the kernels call it."""
        return self.kernel or self.name


def _huber(e: Any, delta: Any) -> Any:
    size = np.abs(e)
    return np.where(size > delta, delta * (size - delta / 2), e * e / 2)


def _focal_gradient(a: Any, y: Any, gamma: Any) -> Any:
    q = 1 - a
    return y * (gamma * q ** (gamma - 1) * np.log(a) - q**gamma / a)


def _gaussian(a: Any, y: Any) -> tuple[Any, Any, Any]:
    """Return errors, precisions and logarithms of variances."""
    n = y.shape[1]
    return a[:, :n] - y, np.exp(-a[:, n:]), a[:, n:]


def _gaussian_cost(a: Any, y: Any, p: Any) -> Any:
    e, precision, s = _gaussian(a, y)
    return (s + e * e * precision).mean(axis=1) / 2


def _gaussian_gradient(a: Any, y: Any, p: Any) -> Any:
    e, precision, _ = _gaussian(a, y)
    return np.hstack([e * precision, (1 - e * e * precision) / 2]) / y.shape[1]


def _hinge(a: Any, y: Any) -> tuple[Any, Any]:
    """Return what the margins lack, and 1 or -1."""
    t = 2 * y - 1
    return np.maximum(0, 1 - t * a), t


TABLE = {
    row.name: row
    for row in (
        Row(
            "half_squared_error",
            "1/2 sum (y_hat - y)^2",
            lambda a, y, p: ((a - y) ** 2).sum(axis=1) / 2,
            lambda a, y, p: a - y,
            kernel="squared_error",
            cost_factor=0.5,
        ),
        Row(
            "mean_squared_error",
            "mean of (y_hat - y)^2",
            lambda a, y, p: ((a - y) ** 2).mean(axis=1),
            lambda a, y, p: 2 * (a - y) / a.shape[1],
            kernel="squared_error",
            gradient_factor=2.0,
            is_mean=True,
        ),
        Row(
            "mean_absolute_error",
            "mean of |y_hat - y|",
            lambda a, y, p: np.abs(a - y).mean(axis=1),
            lambda a, y, p: np.sign(a - y) / a.shape[1],
            is_mean=True,
        ),
        Row(
            "huber",
            "mean of (e^2 / 2, or delta (|e| - delta / 2) where |e| > delta; e = y_hat - y)",
            lambda a, y, p: _huber(a - y, p).mean(axis=1),
            lambda a, y, p: np.clip(a - y, -p, p) / a.shape[1],
            is_mean=True,
            parameter="delta",
            default=1.0,
        ),
        Row(
            "log_cosh",
            "mean of log cosh(y_hat - y)",
            lambda a, y, p: np.log(np.cosh(a - y)).mean(axis=1),
            lambda a, y, p: np.tanh(a - y) / a.shape[1],
            is_mean=True,
        ),
        Row(
            "quantile",
            "mean of max(q (y - y_hat), (q - 1) (y - y_hat))",
            lambda a, y, p: np.maximum(p * (y - a), (p - 1) * (y - a)).mean(axis=1),
            lambda a, y, p: np.where(a > y, 1 - p, np.where(a < y, -p, 0.0)) / a.shape[1],
            is_mean=True,
            parameter="q",
            default=0.5,
        ),
        Row(
            "poisson",
            "mean of (y_hat - y log y_hat)",
            lambda a, y, p: (a - y * np.log(a)).mean(axis=1),
            lambda a, y, p: (1 - y / a) / a.shape[1],
            activation="exp",
            is_mean=True,
        ),
        Row(
            "gaussian_nll",
            "mean of 1/2 (s + (y - m)^2 e^-s), y_hat = all m, all s",
            _gaussian_cost,
            _gaussian_gradient,
            by_output=False,
            is_mean=True,
        ),
        Row(
            "hinge",
            "mean of max(0, 1 - t y_hat), t = 1 or -1",
            lambda a, y, p: _hinge(a, y)[0].mean(axis=1),
            lambda a, y, p: np.where(_hinge(a, y)[0] > 0, -_hinge(a, y)[1], 0.0) / a.shape[1],
            is_classification=True,
            is_mean=True,
        ),
        Row(
            "cross_entropy",
            "-sum y log y_hat",
            lambda a, y, p: -(y * np.log(a)).sum(axis=1),
            lambda a, y, p: -y / a,
            activation="softmax",
            is_classification=True,
            by_output=False,
        ),
        Row(
            "focal_cross_entropy",
            "-sum y (1 - y_hat)^gamma log y_hat",
            lambda a, y, p: -(y * (1 - a) ** p * np.log(a)).sum(axis=1),
            _focal_gradient,
            activation="softmax",
            is_classification=True,
            by_output=False,
            parameter="gamma",
            default=2.0,
        ),
        Row(
            "binary_cross_entropy",
            "-mean of (y log y_hat + (1 - y) log(1 - y_hat))",
            lambda a, y, p: -(y * np.log(a) + (1 - y) * np.log1p(-a)).mean(axis=1),
            lambda a, y, p: (a - y) / (a * (1 - a)) / a.shape[1],
            activation="sigmoid",
            is_classification=True,
            is_mean=True,
        ),
    )
}
KINDS = tuple(dict.fromkeys(row.kind for row in TABLE.values()))

FORWARD_LOOP = """    {word}if own.kind == {constant}:
        for i in range(batch.n):
            at = i * batch.row
            y = loss.targets + place_of(order, first, i) * own.n_targets
            for k in range(VECTORS_PER_BLOCK):
                parts[k] = v_zero()
            for b in range(batch.width // BLOCK):
                for k in range(VECTORS_PER_BLOCK):
                    j = b * BLOCK + k * LANES
                    t = load_target(y, j, batch.n_out)
                    total = {name}_add(&own, v_load(batch.z + at + j), v_load(batch.a + at + j), t,
                                       j, parts[k], &gradient)
                    if own.masks:                # NaN is not there
                        is_there = v_less(v_abs(t), v_set1(INFINITY))
                        total = v_select(is_there, total, parts[k])
                        gradient = v_select(is_there, gradient, v_zero())
                    parts[k] = v_first_or(total, batch.n_out - j, parts[k])
                    if batch.delta != NULL:
                        v_store(batch.delta + at + j,
                                v_first(v_mul(gradient, scale), batch.n_out - j))
            batch.costs[i] = v_sum_of_block(parts)
"""
SECOND_LOOP = """    {word}if loss.kind == {constant}:
        for b in range(width // LANES):
            j = b * LANES
            t = load_target(y, j, n)
            change = {name}_second(loss, v_load(z + j), v_load(a + j), t, j)
            change = v_mul(v_mul(v_load(r_a + j), change), scale)
            if loss.masks:
                change = v_select(v_less(v_abs(t), v_set1(INFINITY)), change, v_zero())
            v_store(r_delta + j, v_first(change, n - j))
"""
ONE = """    {word}if kind == {constant}:
        return {name}_add(loss, z, a, y, 0, v_zero(), gradient)
"""
ENUM = """cdef enum LossKind:
    {kinds}


cdef inline bint is_by_output(int kind) noexcept nogil:
    '''Whether the cost is a sum of what each output costs.'''
    return kind in ({by_output},)


cdef inline bint is_yes_or_no(int kind) noexcept nogil:
    '''Whether each output's answer is right or wrong.'''
    return kind in ({yes_or_no},)
"""
LOOPS = """cdef void outputs_rows(
    const Loss* loss, const Batch* batch,        # OUT: its costs, before cost_scale, and delta
    const int64_t* order, Py_ssize_t first,      # the batch's rows among the targets
) noexcept nogil:
    '''Costs and gradients of all rows, where a row costs what its outputs cost together.'''
    cdef Loss own = loss[0]                      # which no store can change
    cdef vec parts[VECTORS_PER_BLOCK]
    cdef vec scale = v_set1(own.gradient_scale)
    cdef vec t, total, gradient
    cdef vmask is_there
    cdef const real* y
    cdef Py_ssize_t i, at, b, j, k
{forward}

cdef void second_row(
    const Loss* loss,
    const real* z, const real* a,                # IN (width,)
    const real* y,                               # IN (n,)
    const real* r_a,                             # IN (width,): R{{a}}
    real* r_delta,                               # OUT (width,)
    Py_ssize_t n, Py_ssize_t width,
) noexcept nogil:
    '''R{{.}} of the gradients of a row.'''
    cdef vec scale = v_set1(loss.gradient_scale)
    cdef vec t, change
    cdef Py_ssize_t b, j
{second}

cdef inline vec costs_of_outputs(
    int kind, const Loss* loss, vec z, vec a, vec y,
    vec* gradient,                               # OUT: before gradient_scale
) noexcept nogil:
    '''What each output costs, of the first vector of a row; none is missing.'''
{one}    return v_zero()
"""


def _loops(kinds: list[str], loop: str) -> str:
    return "".join(
        loop.format(word="el" if k else "", constant=kind.upper(), name=kind)
        for k, kind in enumerate(kinds)
    )


def kernel_sources() -> dict[str, str]:
    """Return what the kernels include of the table: file name -> text."""
    rows = [row for row in TABLE.values() if row.by_output]
    by_output = list(dict.fromkeys(row.kind for row in rows))
    yes_or_no = [row.kind for row in rows if row.is_classification]
    return {
        "loss_kinds.pxi": ENUM.format(
            kinds=", ".join(KINDS).upper(),
            by_output=", ".join(by_output).upper(),
            yes_or_no=", ".join(yes_or_no).upper(),
        ),
        "loss_names.pxi": f"LOSSES = {KINDS}\n",
        "loss_loops.pxi": LOOPS.format(
            forward=_loops(by_output, FORWARD_LOOP),
            second=_loops(by_output, SECOND_LOOP),
            one=_loops(by_output, ONE),
        ),
    }
