"""gradient_check: is blame right? The slow way, by trying: central differences in float64.

Of fourth order, (8 (C(w + h) - C(w - h)) - (C(w + 2h) - C(w - 2h))) / 12h, so that h can be long
enough for rounding to be small; the noise of the cost is measured and allowed for.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastbackprop._compare.losses import Loss
from fastbackprop._core.arithmetic import in_exact_mode
from fastbackprop._core.naming import layer_in_code
from fastbackprop._core.validation import check_integer, check_real, check_seed
from fastbackprop._explain.chain import bias_name, name_of, weight_name
from fastbackprop._explain.explain import (
    LossFunction,
    Samples,
    data_of,
    loss_of,
    predict_and_compare,
)
from fastbackprop._model.copies import copy_of
from fastbackprop._model.sequential import Sequential

__all__ = ["CheckedPart", "GradientCheck", "WorstGradient", "gradient_check"]

# From where rounding (of the cost, by h) and what the formula leaves out (h^4) are both small to
# where no relu bends.
STEPS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
LOST = 1e-2  # of a gradient: more noise than that in the differences hides an error of 1 %
SMALLEST = 1e-10  # gradients below that are 0 for all that a training would notice
KINK_TOLERANCE = 1e-6  # of one-sided differences, which are less exact
FLOAT32_TOLERANCE = 1e-3  # beyond what rounding weights and inputs to float32 does to the gradient


class CheckedPart(NamedTuple):
    """The weights or the biases of a layer, or the inputs.

    ``checked`` of ``size`` were tried. ``kinks`` of these lie where the cost has a kink, and any
    slope between those of its two sides is right; ``lost`` are so small that the rounding of the
    cost could hide an error of 1 %. ``error`` is the relative error as it was measured, of the
    gradient where it is the largest part of what is allowed there; ``allowed`` is that: the
    tolerance, and what the rounding of the cost can do. ``float32_error`` and ``float32_allowed``
    are the same for the model's own float32 gradients, or None.
    """

    name: str
    size: int
    checked: int
    kinks: int
    lost: int
    error: float
    allowed: float
    float32_error: float | None
    float32_allowed: float | None

    @property
    def passed(self) -> bool:
        """Whether no error is larger than what is allowed."""
        single_passed = (self.float32_error or 0) <= (self.float32_allowed or 0)
        return self.error <= self.allowed and single_passed


class WorstGradient(NamedTuple):
    """Where backward is farthest off, by what is allowed there.

    ``error`` and ``allowed`` are those of CheckedPart. ``dtype`` "float32" is the model's own
    backward, and ``differences`` then what backward gives in float64.
    """

    name: str
    where: tuple[int, ...]
    backward: float
    differences: float
    error: float
    allowed: float
    dtype: str


class GradientCheck:
    """What ``gradient_check`` found; print it, or use it as a condition.

    Parameters
    ----------
    parts : list of CheckedPart
        Weights and biases of each layer, then the inputs.
    worst : WorstGradient
        Of all.
    tolerance : float
        For the relative error, beyond what rounding can do.

    Attributes
    ----------
    passed : bool
        Whether no error is larger than what is allowed.
    """

    def __init__(self, parts: list[CheckedPart], worst: WorstGradient, tolerance: float) -> None:
        self.parts = parts
        self.worst = worst
        self.tolerance = tolerance
        self.passed = all(x.passed for x in parts)

    def __bool__(self) -> bool:
        return self.passed

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data.

        Returns
        -------
        dict
            ``passed``, ``tolerance``, ``worst`` and ``parts``.
        """
        return {
            "passed": self.passed,
            "tolerance": self.tolerance,
            "worst": {**self.worst._asdict(), "where": list(self.worst.where)},
            "parts": [x._asdict() for x in self.parts],
        }

    def __str__(self) -> str:
        head = ("", "checked", "at a kink", "lost in rounding", "error", "allowed")
        rows: list[tuple[str, ...]] = [(*head, "of float32", "allowed")]
        for x in self.parts:
            checked = f"{x.checked:,} of {x.size:,}"
            errors = (x.error, x.allowed, x.float32_error, x.float32_allowed)
            shown = ["" if error is None else f"{error:.1e}" for error in errors]
            rows.append((x.name, checked, str(x.kinks), str(x.lost), *shown))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        if self.parts[0].float32_error is None:
            lines[0] = lines[0].partition("  of float32")[0].rstrip()
        w, is_double = self.worst, self.worst.dtype == "float64"
        lines.append(
            f"{'passed' if self.passed else 'FAILED'}: the worst is d{w.name}, by backward "
            f"{w.backward:.6g}"
            f"{'' if is_double else ' in float32'}, by "
            f"{'differences' if is_double else 'float64'} "
            f"{w.differences:.6g}, error {w.error:.1e} (allowed {w.allowed:.1e})"
        )
        if lost := sum(x.lost for x in self.parts):
            lines.append(
                f"{lost:,} gradients are too small to be told from rounding: check a network with "
                f"more to learn."
            )
        return "\n".join(lines)


@in_exact_mode
def gradient_check(
    model: Sequential,
    X: Any,
    y: Any,
    *,
    loss: str | Loss | LossFunction,
    tolerance: float = 1e-5,
    most: int = 200,
    seed: int | None = 0,
) -> GradientCheck:
    """Compare the gradients of backward with central differences of the cost, in float64.

    Parameters
    ----------
    model : Sequential
        Stays as it is. One in float32 is checked by a copy in float64, and its own gradients
        against that copy's.
    X, y : array-like
        A batch, as in ``Trainer.step``.
    loss : str, Loss or callable
        As for Trainer; or your own: ``cost, d_y_hat = loss(y_hat, y)``, the cost in float64 and
        always the same.
    tolerance : float, default=1e-5
        For the error of each gradient, relative to the larger of the two numbers, or to a hundredth
        of the largest gradient of its kind where that is more; of float32's own gradients it is
        0.001.
    most : int, default=200
        Weights of a layer, and likewise biases and inputs, to try. Each costs four predictions of
        the batch, more where a relu bends.
    seed : int or None, default=0
        Of the choice among more.

    Returns
    -------
    GradientCheck
        True if it passed; ``print`` shows a table.

    Raises
    ------
    ValueError, TypeError
        If data or an argument doesn't fit.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> model = fb.mlp([2, 3, 1], activation="tanh", seed=0)
    >>> fb.gradient_check(model, [[1, 2], [3, 4]], [0, 1], loss="half_squared_error").passed
    True
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"model must be a Sequential, got {type(model).__name__}.")
    tolerance = check_real("tolerance", tolerance, above=0.0)
    most = check_integer("most", most)
    generator = np.random.default_rng(check_seed(seed))
    compare = loss_of(loss)
    own = copy_of(model, "float64")
    samples = data_of(own, X, y, compare, "X")
    rows, targets = samples.rows.copy(), samples.targets.copy()

    def cost_of() -> float:
        return float(compare(own.forward(rows), targets)[0])

    first = predict_and_compare(own, Samples(rows, targets, samples.are_labels), compare)[1]
    again = cost_of()
    if first != again:
        raise ValueError(
            f"loss must give the same cost for the same y_hat and y, got {first!r} and {again!r}."
        )
    cost = _Cost(cost_of, _noise(own, cost_of))
    found = _gradients(own, rows, targets, compare)
    values = [x for layer in own.layers for x in (layer.weight, layer.bias)] + [rows]
    single, roundings = None, [0.0] * len(values)
    if model.dtype != own.dtype:
        narrow = copy_of(model, "float32")
        single = _single_gradients(narrow, data_of(narrow, X, y, compare, "X"), compare)
        roundings = _roundings(own, rows, targets, compare)
    parts, worst = [], []
    for at, (value, gradient) in enumerate(zip(values, found, strict=True)):
        if value is None or gradient is None:
            continue
        chosen = np.sort(generator.permutation(value.size)[:most])
        least = _least(gradient)
        tried = [
            _try(value, int(i), float(gradient.flat[i]), least, tolerance, cost) for i in chosen
        ]
        i = int(np.argmax([x.error / x.allowed for x in tried]))
        flat, most_wrong = int(chosen[i]), tried[i]
        where = [
            _Wrong(
                "float64",
                flat,
                float(gradient.flat[flat]),
                most_wrong.slope,
                most_wrong.error,
                most_wrong.allowed,
            )
        ]
        other = None if single is None else single[at]
        if other is not None:
            where.append(_worst_of_float32(other, gradient, roundings[at], least))
        is_input = at == len(values) - 1
        part = "x" if is_input else _parameters_name(at)
        n_kinks, n_lost = sum(x.is_kink for x in tried), sum(x.is_lost for x in tried)
        single_error, single_allowed = (
            (None, None) if other is None else (where[1].error, where[1].allowed)
        )
        parts.append(
            CheckedPart(
                part,
                value.size,
                len(chosen),
                n_kinks,
                n_lost,
                most_wrong.error,
                most_wrong.allowed,
                single_error,
                single_allowed,
            )
        )
        for x in where:
            index = tuple(int(i) for i in np.unravel_index(x.at, value.shape))
            name = f"C/d{_name(own, at, index, is_input)}"
            place = index if is_input else (at // 2, *index)
            worst.append(
                WorstGradient(name, place, x.backward, x.reference, x.error, x.allowed, x.dtype)
            )
    return GradientCheck(parts, max(worst, key=lambda x: x.error / x.allowed), tolerance)


class _Wrong(NamedTuple):
    """The worst of a part: of which backward, at which of its numbers, and against what."""

    dtype: str
    at: int
    backward: float
    reference: float
    error: float
    allowed: float


def _worst_of_float32(
    single: np.ndarray, double: np.ndarray, rounding: float, least: float
) -> _Wrong:
    """Find where float32's gradients are farthest off, by what is allowed there.

    That is FLOAT32_TOLERANCE, and ten times what rounding its weights and inputs does.
    """
    sizes = np.maximum(np.maximum(np.abs(single), np.abs(double)), max(least, SMALLEST))
    errors = np.abs(single - double) / sizes
    allowed = FLOAT32_TOLERANCE + 10 * rounding / sizes
    at = int((errors / allowed).argmax())
    return _Wrong(
        "float32",
        at,
        float(single.flat[at]),
        float(double.flat[at]),
        float(errors.flat[at]),
        float(allowed.flat[at]),
    )


def _single_gradients(model: Sequential, samples: Samples, compare: Any) -> list[np.ndarray | None]:
    """What float32's backward gives; refuse a model whose numbers outgrow float32."""
    predict_and_compare(model, samples, compare)
    return _gradients(model, samples.rows, samples.targets, compare)


def _gradients(
    model: Sequential, rows: np.ndarray, targets: np.ndarray, compare: Any
) -> list[np.ndarray | None]:
    """Weight and bias of each layer, then dC/dx: what backward gives."""
    _, d = compare(model.forward(rows), targets)
    d_x = model.backward(d)
    found = [x for layer in model.layers for x in (layer.weight_gradient, layer.bias_gradient)]
    return [None if x is None else x.astype(np.float64) for x in [*found, d_x]]


def _noise(own: Sequential, cost: Callable[[], float]) -> float:
    """Return how far rounding keeps the cost from being smooth.

    That is its second differences over steps that are too short to curve it.
    """
    weight = own.layers[0].weight
    before = weight.copy()
    costs = []
    for i in range(9):
        weight[...] = before * (1 + i * 1e-10)
        costs.append(cost())
    weight[...] = before
    return max(float(np.abs(np.diff(costs, 2)).max()), 2.0**-52 * abs(costs[0]))


class _Tried(NamedTuple):
    """Describes a number that was turned a little.

    It holds the slope of the cost, how far backward is from it, in parts of it, and how far it may
    be: the tolerance and the noise of the slope.
    """

    slope: float
    error: float
    allowed: float
    is_kink: bool
    is_lost: bool


def _try(
    value: np.ndarray, at: int, backward: float, least: float, tolerance: float, cost: "_Cost"
) -> _Tried:
    """Turn one number, by steps that get shorter as long as backward and the slope differ.

    A relu of another row may bend within a long step, but hardly within all of them; an error of
    backward stays.
    """
    place = np.unravel_index(at, value.shape)
    before = float(value[place])
    unit = max(1.0, abs(before))

    def moved(by: float) -> float:
        value[place] = before + by
        found = cost.of()
        value[place] = before
        return found

    best = _Tried(0.0, np.inf, tolerance, False, False)
    for step in STEPS:
        h, noise = step * unit, 8 * cost.noise / (step * unit)
        slope = (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h)
        size = max(abs(slope), abs(backward), least)
        is_lost = noise > LOST * size and slope != backward
        if step < STEPS[0] and is_lost:
            break
        size = max(size, SMALLEST)
        error, allowed = abs(slope - backward) / size, tolerance + noise / size
        tried = _Tried(slope, error, allowed, False, is_lost)
        best = min(best, tried, key=lambda x: x.error - x.allowed)
        if error <= allowed:
            return tried
    # Sides that stay apart however near: a kink just here, where any slope between them is right.
    middle = moved(0.0)
    gaps, sides = [], [0.0, 0.0]
    for h in (1e-4 * unit, 1e-5 * unit):
        sides = [(4 * moved(d * h) - moved(2 * d * h) - 3 * middle) / (2 * d * h) for d in (1, -1)]
        gaps.append(abs(sides[0] - sides[1]))
    if gaps[1] > 0.5 * gaps[0] and gaps[1] > LOST * max(
        *map(abs, sides), least
    ) + 80 * cost.noise / (1e-5 * unit):
        nearest = min(max(backward, min(sides)), max(sides))
        error = abs(backward - nearest) / max(*map(abs, sides), abs(backward), least, SMALLEST)
        return _Tried(nearest, error, max(tolerance, KINK_TOLERANCE), True, False)
    return best


class _Cost(NamedTuple):
    """The cost as a function of the network as it is, and its noise."""

    of: Callable[[], float]
    noise: float


def _roundings(
    model: Sequential, rows: np.ndarray, targets: np.ndarray, compare: Any
) -> list[float]:
    """Return how far each part's gradients move if weights and inputs are rounded at random.

    They are rounded to float32.
    """
    generator = np.random.default_rng(0)
    exact = _gradients(model, rows, targets, compare)
    most = [0.0] * len(exact)
    for _ in range(3):
        near = copy_of(model, "float64")
        for x in (
            value
            for layer in near.layers
            for value in (layer.weight, layer.bias)
            if value is not None
        ):
            x *= 1 + generator.choice([-1, 1], x.shape) * 2.0**-23
        moved = _gradients(
            near, rows * (1 + generator.choice([-1, 1], rows.shape) * 2.0**-23), targets, compare
        )
        for k, (own, other) in enumerate(zip(exact, moved, strict=True)):
            if own is not None and other is not None:
                most[k] = max(most[k], float(np.abs(own - other).max(initial=0)))
    return most


def _least(gradient: np.ndarray) -> float:
    """Return what errors of smaller gradients are relative to: 1/100 of the largest of its kind."""
    return 1e-2 * float(np.abs(gradient).max(initial=0))


def _parameters_name(at: int) -> str:
    return f"{layer_in_code(at // 2)}.{'weight' if at % 2 == 0 else 'bias'}"


def _name(model: Sequential, at: int, index: tuple[int, ...], is_input: bool) -> str:
    if is_input:
        return name_of("x", 2, index[1]) + f" of row {index[0]}"
    shape = model.layers[at // 2].weight.shape
    return weight_name(shape, at // 2, *index) if at % 2 == 0 else bias_name(shape, at // 2, *index)
