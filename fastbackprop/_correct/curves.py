"""Schedules that follow one curve."""

from dataclasses import dataclass, field

import numpy as np

from fastbackprop._core.validation import check_integer
from fastbackprop._correct.exact import half_cosine, power
from fastbackprop._correct.schedule import NOT_NEGATIVE, Schedule

__all__ = [
    "Cosine",
    "CosineRestarts",
    "Exponential",
    "InverseScaling",
    "Linear",
    "OneCycle",
    "Polynomial",
    "Steps",
]


@dataclass(frozen=True)
class Fall(Schedule):
    """Base of curves from one value to another, over so many steps."""

    initial: float
    final: float = 0.0
    n_steps: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self._check(initial=NOT_NEGATIVE, final=NOT_NEGATIVE)

    def _values(self, steps: np.ndarray, length: int | None) -> np.ndarray:
        left = self._left(self._share(steps, length))
        return left * self.initial + (1 - left) * self.final

    def _left(self, share: np.ndarray) -> np.ndarray:
        """Return how much of the way is left where a share of the steps is done."""
        raise NotImplementedError


@dataclass(frozen=True)
class Cosine(Fall):
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

    def _left(self, share: np.ndarray) -> np.ndarray:
        return half_cosine(share)


@dataclass(frozen=True)
class Linear(Fall):
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

    def _left(self, share: np.ndarray) -> np.ndarray:
        return 1 - share


@dataclass(frozen=True)
class Polynomial(Fall):
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

    exponent: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(exponent={"above": 0.0})

    def _left(self, share: np.ndarray) -> np.ndarray:
        return power(1 - share, self.exponent)


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
    n_steps: int | None = field(default=None, kw_only=True)

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
