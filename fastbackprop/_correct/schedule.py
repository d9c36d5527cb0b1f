"""What a schedule is: a learning rate, momentum or weight decay as a function of the step."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from fastbackprop._core.arithmetic import in_exact_mode
from fastbackprop._core.copies import restore_fields
from fastbackprop._core.validation import check_integer, check_real

__all__ = [
    "NOT_NEGATIVE",
    "Constant",
    "Position",
    "Schedule",
    "Scheduled",
    "as_schedule",
    "is_schedule",
    "largest_of",
    "table_of",
]

NOT_NEGATIVE = {"at_least": 0.0}


@dataclass(slots=True)
class Position:
    """Where a step is.

    Parameters
    ----------
    step : int
        The steps that the optimizer has done on this model before.
    fit_step, fit_length : int or None
        The steps that the fit has done before, and those that it will have done; outside of a fit
        None.
    history : History or None
        The figures of the fit's epochs so far.
    """

    step: int = 0
    fit_step: int | None = None
    fit_length: int | None = None
    history: Any = None

    def after(self, n_steps: int) -> "Position":
        """Return where it is after so many steps of the same epoch."""
        fit_step = None if self.fit_step is None else self.fit_step + n_steps
        return Position(self.step + n_steps, fit_step, self.fit_length, self.history)


class Schedule:
    """A number that changes from step to step; the base of all schedules.

    It can be called with the number of a step, counted from 0.
    """

    def __call__(self, step: int) -> float:
        step = check_integer("step", step, at_least=0)
        return float(self._values(np.array([step]), self._length(None))[0])

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what was pickled, checked as the constructor checks it."""
        restore_fields(self, state)

    def _length(self, fit_length: int | None) -> int | None:
        """Return over how many steps it goes, None if that doesn't matter."""
        if not self._needs_length():
            return None
        if fit_length is None:
            raise ValueError(
                f"n_steps of {type(self).__name__} must be given outside of fit, which alone knows "
                f"its length, got None."
            )
        return fit_length

    def _needs_length(self) -> bool:
        """Whether it goes over a whole fit, anew in each."""
        return getattr(self, "n_steps", 0) is None

    def _at(self, history: Any) -> "Schedule":
        """Return what this is for the epoch that follows those of a history."""
        return self

    def _check_figures(self, figures: dict[str, bool]) -> None:
        """Complain of a figure that a fit won't have; ``figures`` says which it records."""

    def _values(self, steps: np.ndarray, length: int | None) -> np.ndarray:
        """Return the values at these steps; ``length`` is that of the fit where it is needed."""
        raise NotImplementedError

    def _largest(self) -> float:
        """Return a number that no value exceeds by much: what advice speaks of."""
        return float(getattr(self, "initial", 0.0))

    def _check(self, **bounds: Any) -> None:
        """Check the numbers of a frozen value; keep them as floats."""
        for name, limits in bounds.items():
            object.__setattr__(self, name, check_real(name, getattr(self, name), **limits))
        if getattr(self, "n_steps", None) is not None:
            check_integer("n_steps", self.n_steps)  # type: ignore[attr-defined]

    def _share(self, steps: np.ndarray, length: int | None) -> np.ndarray:
        """Return how much of its length is over: from 0 to 1."""
        n_steps = getattr(self, "n_steps", None)
        n_steps = length if n_steps is None else n_steps
        assert n_steps is not None
        return np.minimum(steps, n_steps) / n_steps


@dataclass(frozen=True)
class Constant(Schedule):
    """The same at each step: for a piece, or behind a warm-up.

    Parameters
    ----------
    initial : float
        The value, at least 0.
    """

    initial: float

    def __post_init__(self) -> None:
        self._check(initial=NOT_NEGATIVE)

    def _values(self, steps: np.ndarray, length: int | None) -> np.ndarray:
        return np.full(len(steps), self.initial)


@dataclass(frozen=True)
class _Own(Schedule):
    """A user's function of the step."""

    function: Callable[[int], float]

    def _values(self, steps: np.ndarray, length: int | None) -> np.ndarray:
        return np.array([self._number(int(step)) for step in steps])

    def _number(self, step: int) -> float:
        value: Any = self.function(step)
        try:
            return float("no number" if isinstance(value, str) else value)
        except (TypeError, ValueError):
            raise TypeError(
                f"A schedule must return a number for each step, got {value!r:.100} for step "
                f"{step}."
            ) from None

    def _largest(self) -> float:
        return self._number(0)


Scheduled: TypeAlias = float | Schedule | Callable[[int], float]


def is_schedule(value: Any) -> bool:
    """Whether a value changes with the step: a schedule, or any callable but a class."""
    return callable(value) and not isinstance(value, type)


def as_schedule(what: str, value: Any) -> Schedule:
    """Return a schedule for a number, a schedule or a callable."""
    if isinstance(value, Schedule):
        return value
    return _Own(value) if is_schedule(value) else Constant(check_real(what, value, at_least=0.0))


def largest_of(value: Any) -> float:
    """Return a number, or one that stands for a schedule."""
    return as_schedule("value", value)._largest()


@in_exact_mode
def table_of(value: Any, position: Position, n: int) -> np.ndarray:
    """Return what a number or a schedule is in the next n steps."""
    schedule = as_schedule("value", value)._at(position.history)
    is_of_fit = schedule._needs_length() and position.fit_step is not None
    first = position.fit_step if is_of_fit else position.step
    assert first is not None
    return schedule._values(np.arange(first, first + n), schedule._length(position.fit_length))
