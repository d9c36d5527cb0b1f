"""Columns of one scale: (x - center) / scale in float64, before a number is rounded.

So columns keep their digits that float32 can't hold, as a time in seconds, 1.7e9 + 0..63.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fastbackprop._core.arithmetic import in_exact_mode
from fastbackprop._core.copies import restore_fields
from fastbackprop._core.dispatch import kernels

__all__ = ["ColumnScale", "by_inputs", "mean_and_deviation", "median_and_range"]

Pieces = Callable[[], Iterator[np.ndarray]]  # anew at each call: rows in float64, C-contiguous

HUGE = 2.0**960  # a center this large may take a difference beyond the largest number
LARGEST = float(np.finfo(np.float64).max) / 4
QUARTILES = (25, 75)


@dataclass(frozen=True, eq=False)
class ColumnScale:
    """What columns are scaled by.

    Parameters
    ----------
    center, scale : ndarray of shape (n_columns,)
        What is subtracted, and then divided by: finite, in float64, the latter above 0.
    """

    center: np.ndarray
    scale: np.ndarray

    def __post_init__(self) -> None:
        """Refuse what no statistics are; nobody can change the arrays from here on."""
        for name in ("center", "scale"):
            array = getattr(self, name)
            if not isinstance(array, np.ndarray) or array.dtype != np.float64 or array.ndim != 1:
                raise ValueError(f"{name} of columns must be numbers in float64, got {array!r}.")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} of columns must be finite, got {array}.")
            array = array.copy()
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if self.center.shape != self.scale.shape:
            raise ValueError(
                f"center and scale must be of as many columns, got {len(self)} and "
                f"{len(self.scale)}."
            )
        if (self.scale <= 0).any():
            raise ValueError(f"scale of columns must be above 0, got {self.scale.min()}.")

    def __len__(self) -> int:
        return len(self.center)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: a copy, without what follows from it."""
        return {"center": self.center, "scale": self.scale}

    def __setstate__(self, state: Any) -> None:
        """Take what was pickled, checked."""
        restore_fields(self, state)

    def is_same(self, other: "ColumnScale | None") -> bool:
        """Whether another one does the same."""
        return other is not None and all(
            np.array_equal(x, y)
            for x, y in ((self.center, other.center), (self.scale, other.scale))
        )

    @property
    def is_huge(self) -> bool:
        """Whether differences could overflow, and are of halves."""
        return self._parts[2] is not None

    @property
    def is_uniform(self) -> bool:
        """Whether all columns are scaled by the same numbers."""
        return bool((self.center == self.center[0]).all() and (self.scale == self.scale[0]).all())

    @cached_property
    def _parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Center, scale, and what they and the numbers are multiplied by against overflow."""
        is_huge = np.abs(self.center) > HUGE
        if not is_huge.any():
            return self.center, self.scale, None
        factor = np.where(is_huge, 0.5, 1.0)
        return self.center * factor, self.scale * factor, factor

    def apply(self, numbers: np.ndarray, out: np.ndarray, multiplier: float = 1.0) -> None:
        """Write (multiplier * numbers - center) / scale to ``out``, rounded once, at the end."""
        center, scale, factor = self._parts
        if factor is None and multiplier == 1 and _is_for_kernels(numbers, out):
            kernels(out.dtype).scale_columns(numbers, center, scale, out)
            return
        with np.errstate(over="ignore", invalid="ignore"):
            if multiplier != 1:
                numbers = np.multiply(numbers, multiplier, dtype=np.float64, casting="unsafe")
            if factor is not None:
                numbers = np.multiply(numbers, factor, dtype=np.float64, casting="unsafe")
            differences = np.subtract(numbers, center, dtype=np.float64, casting="unsafe")
            np.divide(differences, scale, out=out, dtype=np.float64, casting="unsafe")

    def undo(self, numbers: np.ndarray) -> np.ndarray:
        """Return numbers in the columns' own units, in float64."""
        return numbers.astype(np.float64) * self.scale + self.center


def _is_for_kernels(numbers: np.ndarray, out: np.ndarray) -> bool:
    """Whether the kernels can scale these rows, which is some times as fast as in NumPy."""
    return (
        numbers.dtype in (np.float32, np.float64)
        and numbers.ndim == 2
        and numbers.flags.c_contiguous
        and numbers.flags.aligned
        and out.flags.c_contiguous
    )


@in_exact_mode
def by_inputs(derivatives: np.ndarray, columns: ColumnScale | None) -> np.ndarray:
    """Return derivatives by scaled columns (the last axis) as those by the columns themselves."""
    if columns is None:
        return derivatives
    with np.errstate(over="ignore"):
        return (derivatives / columns.scale).astype(derivatives.dtype)


@in_exact_mode
def mean_and_deviation(pieces: Pieces) -> ColumnScale:
    """Return means and standard deviations (divided by n); 1 for a column of equal numbers.

    The pieces' sums are put together as by Chan, Golub and LeVeque 1983, "Algorithms for computing
    the sample variance", of numbers between 0 and 1: so nothing overflows, and no digits are lost
    where the deviation is small beside the mean.
    """
    low, high = _limits(pieces)
    # A power of two, by which dividing is exact, and quarters, whose difference is finite.
    span = 0.25 * high - 0.25 * low
    unit = np.ldexp(1.0, np.frexp(np.where(span > 0, span, 1.0))[1])
    n, mean, squares = 0, np.zeros_like(low), np.zeros_like(low)
    for piece in pieces():
        t = (0.25 * piece - 0.25 * low) / unit
        m, own_mean = len(t), t.mean(axis=0)
        t -= own_mean
        rest = t.sum(axis=0)
        own_squares = (t * t).sum(axis=0) - rest * rest / m
        step = own_mean - mean
        n += m
        mean += step * (m / n)
        squares += own_squares + step * step * (m * (n - m) / n)
    center = np.clip(0.25 * low + mean * unit, 0.25 * low, 0.25 * high)
    scale = np.minimum(np.sqrt(np.maximum(squares, 0) / n) * unit, LARGEST)
    return _unless_constant(4 * center, 4 * scale)


def _limits(pieces: Pieces) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest number of each column."""
    low: Any = np.inf
    high: Any = -np.inf
    for piece in pieces():
        low, high = np.minimum(low, piece.min(axis=0)), np.maximum(high, piece.max(axis=0))
    return low, high


@in_exact_mode
def median_and_range(columns: Iterator[np.ndarray]) -> ColumnScale:
    """Return medians and interquartile ranges, as scikit-learn; 1 for a range of 0.

    Parameters
    ----------
    columns : iterator of ndarray
        Some whole columns at a time, in float64.
    """
    centers, scales = [], []
    for numbers in columns:
        quarters = 0.25 * numbers  # exact, and their sums and differences are finite
        first, third = np.percentile(quarters, QUARTILES, axis=0)
        centers.append(4 * np.median(quarters, axis=0))
        scales.append(4 * np.minimum(third - first, LARGEST))
    return _unless_constant(np.concatenate(centers), np.concatenate(scales))


def _unless_constant(center: np.ndarray, scale: np.ndarray) -> ColumnScale:
    """Return the scale, but 1 for columns that float64's own rounding keeps from being constant."""
    is_constant = scale <= np.finfo(np.float64).eps * np.abs(center)
    return ColumnScale(center, np.where(is_constant, 1.0, scale))
