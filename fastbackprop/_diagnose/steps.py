"""Finds learning rates that are too high or too low for a batch, by doing the step."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastbackprop._core.errors import DivergenceError
from fastbackprop._correct.optimizers import SGD
from fastbackprop._diagnose.findings import Finding
from fastbackprop._explain.samples import Samples
from fastbackprop._model.copies import copy_of
from fastbackprop._model.sequential import Sequential

__all__ = ["STILL_STEEP", "slope_of", "step_findings"]

RISE = 1.001  # the cost after a step, by that before it: less is rounding, or a kink of a relu
MUCH_LONGER = 1000.0  # a step so much longer that would still do what the gradient says ...
STRAIGHT = 0.9  # ... to this part
STILL_STEEP = 0.03  # the slope by the cost: below it, little is left to be learned


def slope_of(layers: list[dict[str, Any]]) -> float:
    """Return how much the cost falls per learning rate, along the gradient: its norm, squared."""
    gradients = [
        x[name]
        for x in layers
        for name in ("weight_gradient", "bias_gradient")
        if x[name] is not None
    ]
    return sum(float((x.astype(np.float64) ** 2).sum()) for x in gradients)


def step_findings(
    model: Sequential,
    samples: Samples,
    compare: Any,
    cost: float,
    layers: list[dict[str, Any]],
    rate: float,
) -> Iterator[Finding]:
    """Judge whether a step lowers the cost of this batch, and a much longer one would too."""
    slope = slope_of(layers)
    if rate * slope < 1e-6 * max(cost, 1e-12) and slope < 1e-8:
        return  # nothing to be learned from this batch any more
    after = _cost_after(model, samples, compare, rate)
    if after > RISE * cost:
        yield Finding(
            "learning rate too high",
            f"{rate:g}",
            after / cost if cost else np.inf,
            "So many times what it was is the cost after one step: try a tenth of it.",
        )
        return
    far = MUCH_LONGER * rate
    fall = cost - _cost_after(model, samples, compare, far)
    # A net that has learned its data has a small straight slope for ever: that is no fault of the
    # rate.
    if slope > STILL_STEEP * cost and far * slope < cost and fall > STRAIGHT * far * slope:
        yield Finding(
            "learning rate too low",
            f"{rate:g}",
            (cost - after) / cost,
            f"That part of the cost goes with one step, and {MUCH_LONGER:,.0f} times the step "
            "would still go straight down: try 100 times it.",
        )


def _cost_after(model: Sequential, samples: Samples, compare: Any, rate: float) -> float:
    """Return the cost after one step of this length; inf where the step can't be done."""
    moved = copy_of(model, model.dtype.name)
    _, d = compare(moved._forward_rows(samples.rows), samples.targets)
    moved.backward(d)
    try:
        SGD(rate).step(moved)
        with np.errstate(all="ignore"):
            cost = float(compare(moved._forward_rows(samples.rows), samples.targets)[0])
    except (DivergenceError, ValueError):
        return np.inf
    return cost if np.isfinite(cost) else np.inf
