"""gradient_check: is blame right? The slow way, by trying: central differences in float64."""

from typing import Any, NamedTuple

import numpy as np

from fastbackprop._chain import bias_name, name_of, weight_name
from fastbackprop._explain import LossFunction, data_of, loss_of
from fastbackprop._losses import Loss
from fastbackprop._model import Sequential, copy_of
from fastbackprop._validation import check_integer, check_real, check_seed

__all__ = ["CheckedPart", "GradientCheck", "WorstGradient", "gradient_check"]

STEP = 1e-6
# The two one-sided slopes of a smooth cost differ by about STEP times its curvature; across a kink by much more.
KINK = 1e-3
FLOAT32_TOLERANCE = 1e-3


class CheckedPart(NamedTuple):
    """The weights or the biases of a layer, or the inputs.

    ``checked`` of ``size`` were tried, ``kinks`` of these left out, since a relu bends within the step; ``error`` is
    the largest relative error, ``float32_error`` that of the model's own float32 gradients, or None.
    """

    name: str
    size: int
    checked: int
    kinks: int
    error: float
    float32_error: float | None


class WorstGradient(NamedTuple):
    """Where backward and the differences are farthest apart."""

    name: str
    where: tuple[int, ...]
    backward: float
    differences: float
    error: float


class GradientCheck:
    """What ``gradient_check`` found; print it, or use it as a condition.

    Parameters
    ----------
    parts : list of CheckedPart
        Weights and biases of each layer, then the inputs.
    worst : WorstGradient
        Of all.
    tolerance : float
        For the relative error.

    Attributes
    ----------
    passed : bool
        Whether all errors are within the tolerance.
    """

    def __init__(self, parts: list[CheckedPart], worst: WorstGradient, tolerance: float) -> None:
        self.parts = parts
        self.worst = worst
        self.tolerance = tolerance
        self.passed = all(x.error <= tolerance and (x.float32_error or 0) <= FLOAT32_TOLERANCE for x in parts)

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
        rows = [("", "checked", "at a kink", "largest error", "of float32")]
        for x in self.parts:
            single = "" if x.float32_error is None else f"{x.float32_error:.1e}"
            checked = f"{x.checked:,} of {x.size:,}"
            rows.append((x.name, checked, str(x.kinks), f"{x.error:.1e}", single))
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        w = self.worst
        lines.append(
            f"{'passed' if self.passed else 'FAILED'}: the worst is d{w.name}, by backward {w.backward:.6g}, "
            f"by differences {w.differences:.6g}, error {w.error:.1e} (tolerance {self.tolerance:g})"
        )
        return "\n".join(lines)


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
    """Compare the gradients of backward with central differences, (C(w + h) - C(w - h)) / 2h, in float64.

    Parameters
    ----------
    model : Sequential
        Stays as it is. One in float32 is checked by a copy in float64, and its own gradients against that copy's.
    X, y : array-like
        A batch, as in ``Trainer.step``.
    loss : str, Loss or callable
        As for Trainer; or your own: ``cost, d_y_hat = loss(y_hat, y)``.
    tolerance : float, default=1e-5
        For the error of each gradient, relative to the larger of the two numbers, or to a hundredth of the largest
        gradient of its kind where that is more.
    most : int, default=200
        Weights of a layer, and likewise biases and inputs, to try: each costs three predictions.
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
    rows, each, _ = data_of(own, X, y, compare, "X")
    rows = rows.copy()

    def cost() -> float:
        return float(compare(own.forward(rows), each)[0])

    found = _gradients(own, rows, each, compare)
    values = [x for layer in own.layers for x in (layer.weight, layer.bias)] + [rows]
    single = None
    if model.dtype != own.dtype:
        narrow = copy_of(model, "float32")
        single = _gradients(narrow, *data_of(narrow, X, y, compare)[:2], compare)
    parts, worst = [], []
    for at, (value, gradient) in enumerate(zip(values, found, strict=True)):
        if value is None or gradient is None:
            continue
        chosen = np.sort(generator.permutation(value.size)[:most])
        differences, bent = _differences(value, chosen, cost)
        backward = gradient.reshape(-1)[chosen]
        errors = np.where(bent, 0.0, _relative(backward, differences, gradient))
        other = None if single is None else single[at]
        single_error = None if other is None else float(_relative(other, gradient, gradient).max(initial=0))
        k = at // 2
        part = "x" if at == len(values) - 1 else f"layer {k + 1} {'weight' if at % 2 == 0 else 'bias'}"
        parts.append(
            CheckedPart(part, value.size, len(chosen), int(bent.sum()), float(errors.max(initial=0)), single_error)
        )
        i = int(errors.argmax())
        index = tuple(int(x) for x in np.unravel_index(chosen[i], value.shape))
        name = f"C/d{_name(own, at, index, part == 'x')}"
        where = index if part == "x" else (k, *index)
        worst.append(WorstGradient(name, where, float(backward[i]), float(differences[i]), float(errors[i])))
    return GradientCheck(parts, max(worst, key=lambda x: x.error), tolerance)


def _gradients(model: Sequential, rows: np.ndarray, each: np.ndarray, compare: Any) -> list[np.ndarray | None]:
    """Weight and bias of each layer, then dC/dx: what backward gives."""
    _, d = compare(model.forward(rows), each)
    d_x = model.backward(d)
    found = [x for layer in model.layers for x in (layer.weight_gradient, layer.bias_gradient)]
    return [None if x is None else x.astype(np.float64) for x in [*found, d_x]]


def _differences(value: np.ndarray, chosen: np.ndarray, cost: Any) -> tuple[np.ndarray, np.ndarray]:
    """The slope of the cost at each chosen number, and whether there is a kink within the step."""
    slopes, bent = np.empty(len(chosen)), np.zeros(len(chosen), bool)
    middle = cost()
    for i, at in enumerate(chosen):
        place = np.unravel_index(at, value.shape)
        before = value[place]
        h = STEP * max(1.0, float(abs(before)))
        value[place] = before + h
        ahead = cost()
        value[place] = before - h
        behind = cost()
        value[place] = before
        slopes[i] = (ahead - behind) / (2 * h)
        sides = [float(ahead - middle) / h, float(middle - behind) / h]
        noise = 1e-15 * abs(middle) / h
        bent[i] = abs(sides[0] - sides[1]) > KINK * max(map(abs, sides)) + 10 * noise
    return slopes, bent


def _relative(x: np.ndarray, y: np.ndarray, all_of_it: np.ndarray) -> np.ndarray:
    """|x - y| relative to the larger one, or to a hundredth of the largest of all."""
    least = max(1e-2 * float(np.abs(all_of_it).max(initial=0)), 1e-10)
    return np.abs(x - y) / np.maximum(np.maximum(np.abs(x), np.abs(y)), least)


def _name(model: Sequential, at: int, index: tuple[int, ...], is_input: bool) -> str:
    if is_input:
        return name_of("x", 2, index[1]) + f" of row {index[0]}"
    shape = model.layers[at // 2].weight.shape
    return weight_name(shape, at // 2, *index) if at % 2 == 0 else bias_name(shape, at // 2, *index)
