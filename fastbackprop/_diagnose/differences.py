"""Central differences: the slope of the cost by turning one number a little.

They are of fourth order, (8 (C(w + h) - C(w - h)) - (C(w + 2h) - C(w - 2h))) / 12h, so that h can
be long enough for rounding to be small; the noise of the cost is measured and allowed for.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastbackprop._model.sequential import Sequential

__all__ = ["SMALLEST", "Cost", "Difference", "difference", "noise_of"]

# From where rounding (of the cost, by h) and what the formula leaves out (h^4) are both small to
# where no relu has its kink within the step.
STEPS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
LOST = 1e-2  # of a gradient: more noise than that in the differences hides an error of 1 %
SMALLEST = 1e-10  # gradients below that are 0 for all that a training would notice
KINK_TOLERANCE = 1e-6  # of one-sided differences, which are less exact


class Cost(NamedTuple):
    """The cost as a function of the network as it is, and its noise."""

    of: Callable[[], float]
    noise: float


class Difference(NamedTuple):
    """What was found by turning a number a little.

    That is the slope of the cost, how far backward is from it (relative to the slope), and how far
    it may be: the tolerance and the noise of the slope.
    """

    slope: float
    error: float
    allowed: float
    is_kink: bool
    is_lost: bool


class _Turned(NamedTuple):
    """One number of an array that can be turned, and what backward says of it."""

    array: np.ndarray
    place: tuple[np.intp, ...]
    backward: float
    least: float
    cost: Cost

    @property
    def unit(self) -> float:
        """What steps are relative to."""
        return max(1.0, abs(float(self.array[self.place])))

    def cost_at(self, change: float) -> float:
        """Return the cost with the number changed by that much."""
        before = self.array[self.place]
        self.array[self.place] = before + change
        cost = self.cost.of()
        self.array[self.place] = before
        return cost


def difference(
    array: np.ndarray, flat: int, backward: float, least: float, tolerance: float, cost: Cost
) -> Difference:
    """Turn one number, by steps that get shorter as long as backward and the slope differ.

    A relu of another row may have its kink within a long step, but hardly within all of them; an
    error of backward stays.
    """
    turned = _Turned(array, np.unravel_index(flat, array.shape), backward, least, cost)
    best = Difference(0.0, np.inf, tolerance, False, False)
    for step in STEPS:
        tried = _central(turned, step * turned.unit, tolerance)
        if step < STEPS[0] and tried.is_lost:
            break
        best = min(best, tried, key=lambda x: x.error - x.allowed)
        if tried.error <= tried.allowed:
            return tried
    return _one_sided(turned, tolerance) or best


def _central(turned: _Turned, h: float, tolerance: float) -> Difference:
    """Return the difference of fourth order over a step h."""
    cost_at, backward, noise = turned.cost_at, turned.backward, 8 * turned.cost.noise / h
    slope = (8 * (cost_at(h) - cost_at(-h)) - (cost_at(2 * h) - cost_at(-2 * h))) / (12 * h)
    size = max(abs(slope), abs(backward), turned.least)
    is_lost = noise > LOST * size and slope != backward
    size = max(size, SMALLEST)
    return Difference(slope, abs(slope - backward) / size, tolerance + noise / size, False, is_lost)


def _one_sided(turned: _Turned, tolerance: float) -> Difference | None:
    """Return the difference at a kink, where any slope between those of its sides is right.

    It is one where the slopes of the sides stay apart however near: else None.
    """
    cost_at, backward, least = turned.cost_at, turned.backward, turned.least
    middle = cost_at(0.0)
    gaps, sides = [], [0.0, 0.0]
    for h in (1e-4 * turned.unit, 1e-5 * turned.unit):
        sides = [
            (4 * cost_at(d * h) - cost_at(2 * d * h) - 3 * middle) / (2 * d * h) for d in (1, -1)
        ]
        gaps.append(abs(sides[0] - sides[1]))
    noise = 80 * turned.cost.noise / (1e-5 * turned.unit)
    if gaps[1] <= 0.5 * gaps[0] or gaps[1] <= LOST * max(*map(abs, sides), least) + noise:
        return None
    nearest = min(max(backward, min(sides)), max(sides))
    error = abs(backward - nearest) / max(*map(abs, sides), abs(backward), least, SMALLEST)
    return Difference(nearest, error, max(tolerance, KINK_TOLERANCE), True, False)


def noise_of(model: Sequential, cost: Callable[[], float]) -> float:
    """Return how far rounding keeps the cost from being smooth.

    That is its second differences over steps that are too short to curve it.
    """
    weight = next(x for x, _ in model._parameters.views() if x.size)
    before = weight.copy()
    costs = []
    for i in range(9):
        weight[...] = before * (1 + i * 1e-10)
        costs.append(cost())
    weight[...] = before
    return max(float(np.abs(np.diff(costs, 2)).max()), 2.0**-52 * abs(costs[0]))
