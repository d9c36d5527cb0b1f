"""Schedules: a learning rate, momentum or weight decay as a function of the step."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from fastbackprop._core.arithmetic import in_exact_mode
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.validation import check_integer, check_real

__all__ = [
    "Constant",
    "Cosine",
    "CosineRestarts",
    "Exponential",
    "InverseScaling",
    "Linear",
    "OneCycle",
    "Piecewise",
    "Polynomial",
    "Position",
    "ReduceOnPlateau",
    "Schedule",
    "Steps",
    "Warmup",
    "is_schedule",
    "largest_of",
    "table_of",
]

# ---- functions of the step, the same bits on every machine ------------------------------------

# of sin(x) / x in powers of x^2: x up to pi / 4
SINE = [(-1) ** k / math.factorial(2 * k + 1) for k in range(10)]


def half_cosine(x: np.ndarray) -> np.ndarray:
    """Return (1 + cos(pi x)) / 2 for x in [0, 1], by additions and multiplications alone."""
    is_late = x > 0.5
    angle = math.pi / 2 * np.where(is_late, 1 - x, x)
    total = np.full(x.shape, SINE[-1])
    for coefficient in SINE[-2::-1]:
        total = total * (angle * angle) + coefficient
    square = (total * angle) * (total * angle)
    return np.where(is_late, square, 1 - square)


def power(base: float | np.ndarray, exponent: float | np.ndarray) -> np.ndarray:
    """Return base ** exponent for a base of at least 0, by the kernels' exp and log."""
    bases, exponents = np.broadcast_arrays(
        np.asarray(base, np.float64), np.asarray(exponent, np.float64)
    )
    bases = np.ascontiguousarray(bases).ravel()
    out, kernel = np.empty(bases.size), kernels("float64")
    kernel.apply("log", np.where(bases > 0, bases, 1.0), out)
    kernel.apply("exp", np.ascontiguousarray(out * exponents.ravel()), out)
    return np.where(bases > 0, out, np.where(exponents.ravel() == 0, 1.0, 0.0))


# ---- what a schedule is -----------------------------------------------------------------------


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


NOT_NEGATIVE = {"at_least": 0.0}
FRACTION = {"above": 0.0, "at_least": 0.0}


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
class Cosine(Schedule):
    """Half a cosine wave down: final + (initial - final) (1 + cos(pi t / n)) / 2.

    It reaches ``final`` one step after the last, and stays there (Loshchilov & Hutter 2017).

    Parameters
    ----------
    initial : float
        The value at step 0, at least 0.
    final : float, default=0
        The value at the end, at least 0.
    n_steps : int, optional
        Over how many steps; None takes those of the fit, anew in each fit.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> cosine = fb.Cosine(1, n_steps=4)
    >>> [round(cosine(step), 6) for step in range(5)]
    [1.0, 0.853553, 0.5, 0.146447, 0.0]
    """

    initial: float
    final: float = 0.0
    n_steps: int | None = None

    def __post_init__(self) -> None:
        self._check(initial=NOT_NEGATIVE, final=NOT_NEGATIVE)

    def _values(self, steps: np.ndarray, length: int | None) -> np.ndarray:
        share = half_cosine(self._share(steps, length))
        return share * self.initial + (1 - share) * self.final


@dataclass(frozen=True)
class Linear(Schedule):
    """A straight line from initial to final, which it reaches one step after the last.

    Parameters
    ----------
    initial : float
        The value at step 0, at least 0.
    final : float, default=0
        The value at the end, at least 0.
    n_steps : int, optional
        Over how many steps; None takes those of the fit, anew in each fit.
    """

    initial: float
    final: float = 0.0
    n_steps: int | None = None

    def __post_init__(self) -> None:
        self._check(initial=NOT_NEGATIVE, final=NOT_NEGATIVE)

    def _values(self, steps: np.ndarray, length: int | None) -> np.ndarray:
        share = self._share(steps, length)
        return (1 - share) * self.initial + share * self.final


@dataclass(frozen=True)
class Polynomial(Schedule):
    """A power of a line: final + (initial - final) (1 - t / n)^exponent.

    Parameters
    ----------
    initial : float
        The value at step 0, at least 0.
    final : float, default=0
        The value one step after the last, at least 0.
    exponent : float, default=1
        Exponent, above 0; 1 is ``Linear``.
    n_steps : int, optional
        Over how many steps; None takes those of the fit, anew in each fit.
    """

    initial: float
    final: float = 0.0
    exponent: float = 1.0
    n_steps: int | None = None

    def __post_init__(self) -> None:
        self._check(initial=NOT_NEGATIVE, final=NOT_NEGATIVE, exponent={"above": 0.0})

    def _values(self, steps: np.ndarray, length: int | None) -> np.ndarray:
        share = power(1 - self._share(steps, length), self.exponent)
        return share * self.initial + (1 - share) * self.final


@dataclass(frozen=True)
class Exponential(Schedule):
    """Steady decay: initial * decay^(t / every).

    Parameters
    ----------
    initial : float
        The value at step 0, at least 0.
    decay : float
        What is left after ``every`` steps, above 0.
    every : int, default=1
        Number of steps after which it changes.
    """

    initial: float
    decay: float
    every: int = 1

    def __post_init__(self) -> None:
        self._check(initial=NOT_NEGATIVE, decay={"above": 0.0})
        check_integer("every", self.every)

    def _values(self, steps: np.ndarray, length: int | None) -> np.ndarray:
        return self.initial * power(self.decay, steps / self.every)


@dataclass(frozen=True)
class Steps(Schedule):
    """Decay in stairs: initial * decay^floor(t / every), PyTorch's StepLR.

    Parameters
    ----------
    initial : float
        The value at step 0, at least 0.
    decay : float
        Factor by which it is multiplied every so many steps, above 0.
    every : int
        Number of steps after which it changes.
    """

    initial: float
    decay: float
    every: int

    def __post_init__(self) -> None:
        self._check(initial=NOT_NEGATIVE, decay={"above": 0.0})
        check_integer("every", self.every)

    def _values(self, steps: np.ndarray, length: int | None) -> np.ndarray:
        return self.initial * power(self.decay, steps // self.every)


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """Decay by a power of the step: initial / (t + 1)^exponent, scikit-learn's "invscaling".

    Parameters
    ----------
    initial : float
        The value at step 0, at least 0.
    exponent : float, default=0.5
        Exponent, at least 0.
    """

    initial: float
    exponent: float = 0.5

    def __post_init__(self) -> None:
        self._check(initial=NOT_NEGATIVE, exponent=NOT_NEGATIVE)

    def _values(self, steps: np.ndarray, length: int | None) -> np.ndarray:
        return self.initial / power(steps + 1.0, self.exponent)


@dataclass(frozen=True)
class CosineRestarts(Schedule):
    """Cosines that begin anew, each longer by a factor (SGDR, Loshchilov & Hutter 2017).

    Parameters
    ----------
    initial : float
        The value at the beginning of each cycle, at least 0.
    first : int
        Steps of the first cycle.
    factor : int, default=2
        Length of each cycle as a multiple of the one before, at least 1.
    final : float, default=0
        Value to which each cycle falls, at least 0.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> restarts = fb.schedules.CosineRestarts(0.5, first=1, factor=2)
    >>> [round(restarts(step), 6) for step in range(8)]
    [0.5, 0.5, 0.25, 0.5, 0.426777, 0.25, 0.073223, 0.5]
    """

    initial: float
    first: int
    factor: int = 2
    final: float = 0.0

    def __post_init__(self) -> None:
        self._check(initial=NOT_NEGATIVE, final=NOT_NEGATIVE)
        check_integer("first", self.first)
        check_integer("factor", self.factor)

    def _values(self, steps: np.ndarray, length: int | None) -> np.ndarray:
        begins, lengths = [0], [self.first]
        last = int(steps.max(initial=0))
        if self.factor == 1:
            begin, n = steps // self.first * self.first, np.full(len(steps), self.first)
        else:
            while begins[-1] + lengths[-1] <= last:
                begins.append(begins[-1] + lengths[-1])
                lengths.append(lengths[-1] * self.factor)
            cycle = np.searchsorted(begins, steps, side="right") - 1
            begin, n = np.array(begins)[cycle], np.array(lengths)[cycle]
        share = half_cosine((steps - begin) / n)
        return share * self.initial + (1 - share) * self.final


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up to a largest value and down again, PyTorch's OneCycleLR without its cycle of momentum.

    Half a cosine from max / 25 up over the first 0.3 of the steps, and another one down to
    max / 250,000, which is that of the last step (Smith & Topin 2018).

    Parameters
    ----------
    max : float
        The largest value, above 0.
    n_steps : int, optional
        Over how many steps; None takes those of the fit, anew in each fit.
    """

    max: float
    n_steps: int | None = None

    def __post_init__(self) -> None:
        self._check(max={"above": 0.0})

    def _values(self, steps: np.ndarray, length: int | None) -> np.ndarray:
        n_steps = length if self.n_steps is None else self.n_steps
        assert n_steps is not None
        top, end = 0.3 * n_steps - 1, n_steps - 1.0
        first, last = self.max / 25, self.max / 25 / 1e4
        steps = np.minimum(steps, end)
        up = half_cosine(np.clip(1 - steps / max(top, 1e-300), 0, 1))
        down = half_cosine(np.clip((steps - top) / max(end - top, 1e-300), 0, 1))
        return np.where(
            steps <= top, first + (self.max - first) * up, last + (self.max - last) * down
        )

    def _largest(self) -> float:
        return self.max


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
        self._check(initial=NOT_NEGATIVE)

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

    Improvement is a value below the best one by more than ``min_delta``; after ``patience`` epochs
    without one the value is multiplied by ``factor``, and the epochs are counted anew.

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
    """

    initial: float
    factor: float = 0.1
    patience: int = 10
    min_delta: float = 0.0
    monitor: str = "loss"
    minimum: float = 0.0

    def __post_init__(self) -> None:
        self._check(
            initial={"above": 0.0},
            factor={"above": 0.0, "below": 1.0},
            min_delta=NOT_NEGATIVE,
            minimum=NOT_NEGATIVE,
        )
        check_integer("patience", self.patience)

    def _values(self, steps: np.ndarray, length: int | None) -> np.ndarray:
        return np.full(len(steps), self.initial)

    def _after(self, history: Any) -> float:
        """Return the value for the epoch that follows those of a history."""
        value, best, n_waited = self.initial, math.inf, 0
        figures = getattr(history, self.monitor, None)
        if history is not None and len(history) > 0 and not figures:
            known = ", ".join(map(repr, history.to_dict()))
            raise ValueError(
                f"monitor of ReduceOnPlateau must be a figure of the history ({known}), got "
                f"{self.monitor!r}."
            )
        for figure in figures or ():
            if figure < best - self.min_delta:
                best, n_waited = figure, 0
                continue
            n_waited += 1
            if n_waited == self.patience:
                value, n_waited = max(value * self.factor, self.minimum), 0
        return value


@dataclass(frozen=True)
class _Own(Schedule):
    """A user's function of the step."""

    function: Callable[[int], float]

    def _values(self, steps: np.ndarray, length: int | None) -> np.ndarray:
        return np.array([float(self.function(int(step))) for step in steps])

    def _largest(self) -> float:
        return float(self.function(0))


Scheduled: TypeAlias = float | Schedule | Callable[[int], float]


def is_schedule(value: object) -> bool:
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
    schedule = as_schedule("value", value)
    if isinstance(schedule, ReduceOnPlateau):
        return np.full(n, schedule._after(position.history))
    is_of_fit = schedule._needs_length() and position.fit_step is not None
    first = position.fit_step if is_of_fit else position.step
    assert first is not None
    return schedule._values(np.arange(first, first + n), schedule._length(position.fit_length))
