"""Schedules of schedules, and one that looks at how the fit goes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastbackprop._compare.monitor import Monitor
from fastbackprop._core.validation import check_integer, did_you_mean
from fastbackprop._correct.schedule import NOT_NEGATIVE, Constant, Schedule, as_schedule

__all__ = ["Piecewise", "ReduceOnPlateau", "Warmup"]


@dataclass(frozen=True)
class Warmup(Schedule):
    """A straight line from 0 up to where another schedule begins, then that schedule.

    Parameters
    ----------
    schedule : schedule, callable or float
        What follows; it counts its steps from there.
    n_steps : int
        Steps of the warm-up.
    initial : float, default=0
        The value at step 0, at least 0.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> warmup = fb.Warmup(fb.Cosine(0.1, n_steps=100), 4)
    >>> [round(warmup(step), 6) for step in (0, 1, 4, 104)]
    [0.0, 0.025, 0.1, 0.0]
    """

    schedule: Any
    n_steps: int
    initial: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "schedule", as_schedule("schedule", self.schedule))
        check_integer("n_steps", self.n_steps)
        self._check(initial=NOT_NEGATIVE)

    def _at(self, history: Any) -> Schedule:
        return replace(self, schedule=self.schedule._at(history))

    def _check_figures(self, figures: dict[str, bool]) -> None:
        self.schedule._check_figures(figures)

    def _needs_length(self) -> bool:
        return bool(self.schedule._needs_length())

    def _values(self, steps: np.ndarray, length: int | None) -> np.ndarray:
        length = None if length is None else max(1, length - self.n_steps)
        later = self.schedule._values(np.maximum(steps - self.n_steps, 0), length)
        share = np.minimum(steps, self.n_steps) / self.n_steps
        first = self.schedule._values(np.zeros(1, np.int64), length)[0]
        return np.where(steps < self.n_steps, self.initial + (first - self.initial) * share, later)

    def _largest(self) -> float:
        return float(self.schedule._largest())


@dataclass(frozen=True)
class Piecewise(Schedule):
    """One value, or schedule, after the other.

    Parameters
    ----------
    values : sequence
        Numbers, schedules or callables; each counts its steps from where it begins.
    boundaries : sequence of int
        The steps at which the second begins, the third, and so on; rising.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> pieces = fb.schedules.Piecewise([0.1, 0.01], [2])
    >>> [pieces(step) for step in range(4)]
    [0.1, 0.1, 0.01, 0.01]
    """

    values: Sequence[Any]
    boundaries: Sequence[int]

    def __post_init__(self) -> None:
        values = tuple(as_schedule("each of values", value) for value in self.values)
        boundaries = tuple(check_integer("each of boundaries", x) for x in self.boundaries)
        if len(values) != len(boundaries) + 1 or any(np.diff(boundaries) <= 0):
            raise ValueError(
                f"boundaries must be rising, one fewer than values, got {list(boundaries)} for "
                f"{len(values)} values."
            )
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "boundaries", boundaries)

    def _at(self, history: Any) -> Schedule:
        return replace(self, values=[value._at(history) for value in self.values])

    def _check_figures(self, figures: dict[str, bool]) -> None:
        for value in self.values:
            value._check_figures(figures)

    def _needs_length(self) -> bool:
        return bool(self.values[-1]._needs_length())

    def _values(self, steps: np.ndarray, length: int | None) -> np.ndarray:
        begins = np.array([0, *self.boundaries])
        ends = [*self.boundaries, begins[-1] + 1 if length is None else length]
        piece = np.searchsorted(begins, steps, side="right") - 1
        result = np.empty(len(steps))
        for k, schedule in enumerate(self.values):
            chosen = piece == k
            n_steps = max(1, int(ends[k] - begins[k]))
            result[chosen] = schedule._values(steps[chosen] - begins[k], n_steps)
        return result

    def _largest(self) -> float:
        return max(float(value._largest()) for value in self.values)


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """A value that is reduced when a figure of the epochs has stopped to improve.

    Improvement is a figure better than the best one by more than ``min_delta``; after ``patience``
    epochs without one the value is multiplied by ``factor``, and the epochs are counted anew.

    Parameters
    ----------
    initial : float
        The value at first, above 0.
    factor : float, default=0.1
        Factor by which the rate is multiplied, above 0 and below 1.
    patience : int, default=10
        Epochs without improvement.
    min_delta : float, default=0
        Least improvement that counts, at least 0.
    monitor : str, default="loss"
        A figure of the history, as "validation_loss".
    minimum : float, default=0
        The value doesn't fall below it.
    mode : str, default="auto"
        "min" where small figures are good, "max" where large ones are; "auto" knows it of losses
        and metrics by their names.
    """

    initial: float
    factor: float = 0.1
    patience: int = 10
    min_delta: float = 0.0
    monitor: str = "loss"
    minimum: float = 0.0
    mode: str = "auto"

    def __post_init__(self) -> None:
        self._monitor()
        self._check(
            initial={"above": 0.0},
            factor={"above": 0.0, "below": 1.0},
            min_delta=NOT_NEGATIVE,
            minimum=NOT_NEGATIVE,
        )
        check_integer("patience", self.patience)

    def _values(self, steps: np.ndarray, length: int | None) -> np.ndarray:
        return np.full(len(steps), self.initial)

    def _monitor(self) -> Monitor:
        return Monitor("ReduceOnPlateau", self.monitor, self.mode, self.min_delta)

    def _check_figures(self, figures: dict[str, bool]) -> None:
        self._monitor().check(figures)

    def _at(self, history: Any) -> Schedule:
        monitor, value, n_waited = self._monitor(), self.initial, 0
        best = monitor.worst
        figures = getattr(history, self.monitor, None)
        if history is not None and len(history) > 0 and not figures:
            known = ", ".join(map(repr, history.to_dict()))
            raise ValueError(
                f"monitor of ReduceOnPlateau must be a figure of the history ({known}), got "
                f"{self.monitor!r}.{did_you_mean(self.monitor, history.to_dict())}"
            )
        for figure in figures or ():
            if monitor.is_better(figure, best):
                best, n_waited = figure, 0
                continue
            n_waited += 1
            if n_waited == self.patience:
                value, n_waited = max(value * self.factor, self.minimum), 0
        return Constant(value)
