"""The rates of dropout where a schedule stands for them: told to the kernels for each call."""

from typing import Any

import numpy as np

from fastbackprop._core.naming import layer_in_code
from fastbackprop._correct.schedule import Position, Schedule, table_of
from fastbackprop._model.structure import Structure
from fastbackprop._predict.plain import Dropout

__all__ = ["check_ends_of_dropout", "check_figures_of_dropout", "rate_seen", "tell_rates"]


def tell_rates(model: Structure, workspace: Any, n: int, position: Position | None = None) -> None:
    """Give a workspace the rates of the next n training forwards.

    Parameters
    ----------
    model : Structure
        Counts its training forwards, of which schedules without a length are functions.
    workspace : Workspace
        What will work with them.
    n : int
        How many forwards.
    position : Position, optional
        Where the first of them is in its fit; None is outside of any. Who only looks, at a model
        whose masks are pinned, sees the rate of the last fit's next step.
    """
    parameters = model._parameters
    n_before = parameters.n_forwards
    if position is None:
        position = Position(0, *parameters.place_in_fit) if parameters.is_pinned else Position()
    elif position.fit_step is not None and position.fit_length is not None:
        last = position.fit_length - 1
        parameters.place_in_fit = min(position.fit_step + n, last), position.fit_length
    position = Position(n_before, position.fit_step, position.fit_length, position.history)
    for k, layer in enumerate(model._layers):
        if isinstance(layer, Dropout) and layer._is_scheduled:
            rates = _rates(k, layer, position, n)
            workspace.drop_by(k, np.ascontiguousarray(rates), n_before)


def _rates(k: int, layer: Dropout, position: Position, n: int) -> np.ndarray:
    """Return the rates of layer k in the next n forwards, or complain of one."""
    rates = table_of(layer.rate, position, n)
    is_right = (rates >= 0) & (rates < 1)
    if not is_right.all():
        wrong = int(np.argmin(is_right))
        raise ValueError(
            f"The schedule of {layer_in_code(k)} must give rates of at least 0 and below 1, got "
            f"{rates[wrong]:g} for step {position.step + wrong}."
        )
    return rates


def check_ends_of_dropout(model: Structure, n: int) -> None:
    """Refuse schedules that begin or end outside of their range in a fit of n steps."""
    begin = Position(model._parameters.n_forwards, 0, n)
    for k, layer in enumerate(model._layers):
        if isinstance(layer, Dropout) and isinstance(layer.rate, Schedule):
            for position in (begin, begin.after(n - 1)):
                _rates(k, layer, position, 1)


def check_figures_of_dropout(model: Structure, figures: dict[str, bool]) -> None:
    """Refuse schedules that look at what a fit won't record."""
    for layer in model._layers:
        if isinstance(layer, Dropout) and isinstance(layer.rate, Schedule):
            layer.rate._check_figures(figures)


def rate_seen(model: Structure, layer: Dropout) -> float:
    """Return the rate that the next training forward has for those who only look at the model."""
    parameters = model._parameters
    position = Position(parameters.n_forwards, *parameters.place_in_fit)
    return float(table_of(layer.rate, position, 1)[0])
