"""gradient_check: is blame right? The slow way, by trying: central differences in float64."""

from dataclasses import replace
from typing import Any

import numpy as np

from fastbackprop._compare.losses import Loss
from fastbackprop._compare.own_loss import LossFunction, as_loss_or_function
from fastbackprop._core.arithmetic import in_exact_mode
from fastbackprop._core.validation import check_integer, check_real, check_seed
from fastbackprop._diagnose.check_report import CheckedPart, GradientCheck, WorstGradient
from fastbackprop._diagnose.differences import Cost, Difference, difference, noise_of
from fastbackprop._diagnose.gradients import (
    Wrong,
    float32_gradients,
    gradient_name,
    gradients_of,
    is_undone,
    learning_copy_of,
    part_name,
    roundings_of,
    smallest_size,
    worst_of_float32,
)
from fastbackprop._explain.inspection import predict_and_compare
from fastbackprop._explain.samples import Samples, data_of
from fastbackprop._model.sequential import Sequential

__all__ = ["gradient_check"]


@in_exact_mode
def gradient_check(
    model: Sequential,
    X: Any,
    y: Any,
    loss: str | Loss | LossFunction,
    *,
    tolerance: float = 1e-5,
    most: int = 200,
    seed: int | None = 0,
) -> GradientCheck:
    """Compare the gradients of backward with central differences of the cost, in float64.

    Layers do what they do in training, with the masks of the model's next step; frozen ones are
    checked as if they learned.

    Parameters
    ----------
    model : Sequential
        Model that is checked; it stays as it is. One in float32 is checked by a copy in float64,
        and its own gradients against that copy's.
    X, y : array-like
        Batch, as in ``Trainer.step``.
    loss : str, Loss or callable
        Loss as for Trainer; or your own: ``cost, d_y_hat = loss(y_hat, y)``, the cost in float64
        and always the same.
    tolerance : float, default=1e-5
        Tolerance of each gradient's error, relative to the larger of the two numbers, or to a
        hundredth of the largest gradient of its kind where that is more; of float32's own gradients
        it is 0.001.
    most : int, default=200
        Number of weights of a layer, and likewise of biases and inputs, to try. Each costs four
        predictions of the batch, more where a relu has its kink.
    seed : int or None, default=0
        Seed for choosing among more.

    Returns
    -------
    GradientCheck
        What was found: true if it passed; ``print`` shows a table.

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
    compare = as_loss_or_function(loss)
    double = learning_copy_of(model, "float64")
    samples = data_of(double, X, y, compare, "X")
    samples = replace(samples, rows=samples.rows.copy(), targets=samples.targets.copy())
    cost = _cost_of(double, samples, compare)
    rows, targets = samples.rows, samples.targets
    gradients = gradients_of(double, rows, targets, compare)
    values = [x for pair in double._parameters.views() for x in pair] + [rows]
    single: list[np.ndarray | None] = [None] * len(values)
    roundings = [0.0] * len(values)
    if model.dtype != double.dtype:
        narrow = learning_copy_of(model, "float32")
        single = float32_gradients(narrow, data_of(narrow, X, y, compare, "X"), compare)
        roundings = roundings_of(double, rows, targets, compare)
    parts, worst = [], []
    for part, (value, gradient) in enumerate(zip(values, gradients, strict=True)):
        if value is None or gradient is None or value.size == 0:
            continue
        chosen = np.sort(generator.permutation(value.size)[:most])
        smallest = smallest_size(gradient)
        if part % 2 and is_undone(double, part // 2):
            smallest = smallest_size(gradients[part - 1])
        tried = [
            difference(value, int(i), float(gradient.flat[i]), smallest, tolerance, cost)
            for i in chosen
        ]
        wrong = [_worst_of(chosen, tried, gradient)]
        if (narrow_gradient := single[part]) is not None:
            wrong.append(worst_of_float32(narrow_gradient, gradient, roundings[part], smallest))
        parts.append(_checked_part(part_name(double, part), value.size, tried, wrong))
        worst += [_worst_gradient(double, part, value.shape, x) for x in wrong]
    return GradientCheck(parts, max(worst, key=lambda x: x.error / x.allowed), tolerance)


def _cost_of(model: Sequential, samples: Samples, compare: Any) -> Cost:
    """Return the cost as a function, and its noise; refuse a loss that draws random numbers."""

    def cost() -> float:
        return float(compare(model._forward_rows(samples.rows), samples.targets)[0])

    first = predict_and_compare(model, samples, compare)[1]
    again = cost()
    if first != again:
        raise ValueError(
            f"loss must give the same cost for the same y_hat and y, got {first!r} and {again!r}."
        )
    return Cost(cost, noise_of(model, cost))


def _worst_of(chosen: np.ndarray, tried: list[Difference], gradient: np.ndarray) -> Wrong:
    """Return the gradient of a part that is farthest off, by what is allowed there."""
    i = int(np.argmax([x.error / x.allowed for x in tried]))
    flat = int(chosen[i])
    backward = float(gradient.flat[flat])
    return Wrong("float64", flat, backward, tried[i].slope, tried[i].error, tried[i].allowed)


def _checked_part(name: str, size: int, tried: list[Difference], wrong: list[Wrong]) -> CheckedPart:
    """Count what was tried; ``wrong`` is the worst of float64, and of float32 if there is one."""
    double, single = wrong[0], wrong[1] if len(wrong) > 1 else None
    return CheckedPart(
        name,
        size,
        len(tried),
        sum(x.is_kink for x in tried),
        sum(x.is_lost for x in tried),
        double.error,
        double.allowed,
        None if single is None else single.error,
        None if single is None else single.allowed,
    )


def _worst_gradient(
    model: Sequential, part: int, shape: tuple[int, ...], wrong: Wrong
) -> WorstGradient:
    """Say where it is."""
    index = tuple(int(i) for i in np.unravel_index(wrong.flat, shape))
    is_input = part == 2 * len(model.layers)
    return WorstGradient(
        f"C/d{gradient_name(model, part, index)}",
        index if is_input else (part // 2, *index),
        wrong.backward,
        wrong.reference,
        wrong.error,
        wrong.allowed,
        wrong.dtype,
    )
