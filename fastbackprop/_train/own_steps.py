"""Steps with a loss of the user's own: predict, compare, blame, correct, in Python."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastbackprop._compare.own_loss import OwnLoss
from fastbackprop._core.errors import DivergenceError
from fastbackprop._core.validation import as_numeric
from fastbackprop._correct.clipping import Clipping
from fastbackprop._correct.schedule import Position
from fastbackprop._model.sequential import Sequential
from fastbackprop._train.data import TrainingData
from fastbackprop._train.state import Outcome, Sums, Wrong

__all__ = ["own_steps"]

LARGE_OUTPUT = 1000.0


def own_steps(
    model: Sequential,
    loss: OwnLoss,
    optimizer: Any,
    data: TrainingData,
    sums: Sums,
    advance: Callable[[Sums], object],
    position: Position,
    clipping: Clipping,
) -> Wrong | None:
    """All steps from the row of ``sums`` on; returns where one went wrong, and wasn't done."""
    last_layer = len(model.layers) - 1

    def rates() -> np.ndarray | None:
        return optimizer._rates(position, 1, model.dtype)

    for first in range(sums.row, data.n_used, data.batch_size):
        end = min(first + data.batch_size, data.n_used)
        rows: Any = slice(first, end) if data.order is None else data.order[first:end]
        targets = data.targets[rows]
        y_hat = model._forward(data.rows[rows], targets.weights, position=position)
        if targets.weights is not None and not targets.weights.any():
            optimizer._state(model._parameters).skip_step()
            sums = Sums(end, sums.cost, 0)
            if advance(sums):
                break
            position = position.after(1)
            continue
        if not np.isfinite(y_hat).all():
            return _undone(model, Outcome.LOSS, first, last_layer, rates())
        outputs_before = float(np.abs(y_hat).max())  # a loss may change them
        cost, d_y_hat = loss(y_hat, targets.values, targets.weights)
        if not np.isfinite(cost):
            wrong = _undone(model, Outcome.LOSS, first, last_layer, rates())
            return wrong._replace(cause=_cause("a cost", cost, outputs_before))
        gradient = as_numeric("d_y_hat", d_y_hat)
        if not np.isfinite(gradient).all():
            wrong = _undone(model, Outcome.GRADIENT, first, last_layer, rates())
            number = float(gradient[~np.isfinite(gradient)][0])
            return wrong._replace(cause=_cause("a gradient", number, outputs_before))
        model.backward(d_y_hat)
        try:
            clipping.apply(model)
        except DivergenceError as error:
            return _undone(model, Outcome.GRADIENT, first, error.layer, rates())
        try:
            optimizer._step(model, position)
        except DivergenceError as error:
            return _undone(model, Outcome.WEIGHTS, first, error.layer, rates())
        sums = Sums(end, sums.cost + cost * targets.total, 0)
        if advance(sums):
            break
        position = position.after(1)
    return None


def _undone(
    model: Sequential, outcome: Outcome, row: int, layer: int, rates: np.ndarray | None
) -> Wrong:
    """Say where a step went wrong, whose forward doesn't count then, as in the kernels."""
    model._parameters.count_forwards(-1)
    return Wrong(outcome, row, layer, rates)


def _cause(what: str, number: float, largest: float) -> str | None:
    """Name the loss where it made this of outputs that no step has blown up; None elsewhere."""
    if largest >= LARGE_OUTPUT:
        return None
    return f"The cause: the loss gave {what} of {number:g} for outputs of at most {largest:.3g}."
