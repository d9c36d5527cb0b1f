"""Where rows of data come from: an array of any real dtype and layout, or a frame.

The kernels read rows that are C-contiguous, aligned and of the model's dtype. ``Rows`` gives such
rows where they lie, or converts so many at a time that the copy stays small.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fastbackprop._core.arithmetic import exact_mode
from fastbackprop._core.arrays import as_numeric, column_names, feature_names, place_words
from fastbackprop._core.dispatch import kernels

__all__ = ["Rows", "as_rows", "convert"]

PART = 16 * 2**20  # bytes of rows that are converted at a time
GROUP = 64  # rows: parts are whole groups, as calls of the kernels are


def convert(
    what: str,
    numbers: np.ndarray,
    dtype: np.dtype,
    *,
    check_finite: bool = True,
    names: list[Any] | None = None,
    origin: tuple[int, ...] = (0, 0),
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the numbers C-contiguous, aligned and of this dtype; no copy if they are that.

    Parameters
    ----------
    what, numbers, dtype
        The argument's name for complaints, its numbers, and the dtype wanted.
    check_finite : bool
        Whether NaN, infinity and what overflows are refused.
    names : list, optional
        What complaints call the columns.
    origin : tuple of int
        The place of the first number in what the user has, of which this may be a part.
    out : ndarray, optional
        Room for the copy.
    """
    array = _converted(numbers, dtype, out)
    if check_finite and numbers.dtype.kind == "f":  # integers are finite in each of our dtypes
        _check_finite(what, array, numbers, names, origin)
    return array


def _converted(numbers: np.ndarray, dtype: np.dtype, out: np.ndarray | None) -> np.ndarray:
    if numbers.dtype == dtype and numbers.flags.c_contiguous and numbers.flags.aligned:
        return numbers
    array = np.empty(numbers.shape, dtype) if out is None else out
    with exact_mode():
        if numbers.dtype.kind != "f" or numbers.dtype.itemsize < dtype.itemsize:
            array[...] = numbers
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                array[...] = numbers
    return array


def _check_finite(
    what: str,
    converted: np.ndarray,
    numbers: np.ndarray,
    names: list[Any] | None,
    origin: tuple[int, ...],
) -> None:
    """Refuse NaN and infinity, naming the first; also what overflowed in conversion."""
    index = kernels(converted.dtype).first_nonfinite(converted.reshape(-1))
    if index < 0:
        return
    place = np.unravel_index(index, numbers.shape)
    where = place_words(tuple(map(sum, zip(place, origin, strict=False))), names)
    got = numbers[place]
    if np.isfinite(got):
        raise ValueError(
            f"{what} must fit {converted.dtype}, got {got} at {where}; use dtype='float64' or "
            f"scale it."
        )
    raise ValueError(f"{what} must be finite, got {got} at {where}.")


class Rows:
    """Rows of data as the user has them, which become the kernels' rows when they are asked for.

    Parameters
    ----------
    what : str
        The argument's name, for complaints.
    base : ndarray of shape (n, columns)
        Real numbers of any dtype and layout; a file that is mapped into memory, for instance.
    dtype : dtype
        That of the rows wanted: float32 or float64.
    names : list, optional
        What complaints call the columns.
    check_finite : bool, default=True
        Whether NaN and infinity are refused, when their rows are asked for.
    """

    def __init__(
        self,
        what: str,
        base: np.ndarray,
        dtype: np.dtype,
        names: list[Any] | None = None,
        check_finite: bool = True,
    ) -> None:
        self._what = what
        self._names = names
        self._check_finite = check_finite
        self.base = base
        self.dtype = dtype

    def __len__(self) -> int:
        return len(self.base)

    def whole(self) -> np.ndarray:
        """Return all rows; no copy if they are as the kernels want them."""
        return self._converted(0, len(self), None)

    def parts(self, n_rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the number of a first row, and the rows from there on: ``n_rows`` or fewer.

        Rows that must be converted lie in one buffer, which the next part overwrites.
        """
        if not self._is_ready:
            n_rows = min(n_rows, self._rows_that_fit())
        if len(self) <= n_rows:
            if len(self):
                yield 0, self.whole()
            return
        shape = (n_rows, self.base.shape[1])
        buffer = None if self._is_ready else np.empty(shape, self.dtype)
        for first in range(0, len(self), n_rows):
            yield first, self._converted(first, min(first + n_rows, len(self)), buffer)

    def check(self) -> None:
        """Refuse rows that aren't finite now, instead of when they are asked for.

        Rows that are one part are converted too, so that they are only once.
        """
        if len(self) <= self._rows_that_fit():
            self.base = self.whole()
        elif self._check_finite and self.base.dtype.kind == "f":
            for _ in self.parts(self._rows_that_fit()):
                pass
        self._check_finite = False

    def copy(self) -> "Rows":
        """Return the same rows in memory of their own."""
        return Rows(self._what, self.base.copy(), self.dtype, self._names, self._check_finite)

    @property
    def _is_ready(self) -> bool:
        flags = self.base.flags
        return self.base.dtype == self.dtype and flags.c_contiguous and flags.aligned

    def _rows_that_fit(self) -> int:
        """Rows whose copy takes no more than a part: whole groups of them, if it is so many."""
        n_rows = max(1, PART // max(1, self.base.shape[1] * self.dtype.itemsize))
        return n_rows if n_rows < GROUP else n_rows // GROUP * GROUP

    def _converted(self, first: int, last: int, buffer: np.ndarray | None) -> np.ndarray:
        return convert(
            self._what,
            self.base[first:last],
            self.dtype,
            check_finite=self._check_finite,
            names=self._names,
            origin=(first, 0),
            out=None if buffer is None else buffer[: last - first],
        )


def as_rows(
    what: str,
    value: Any,
    dtype: np.dtype,
    columns: int,
    meaning: str,
    *,
    may_be_row: bool = False,
    may_be_column: bool = False,
    check_finite: bool = True,
    names: list[Any] | None = None,
    features: Sequence[str] | None = None,
) -> tuple[Rows, bool]:
    """Return the rows of an argument, and whether it was one row without the first axis.

    Parameters
    ----------
    what, meaning : str
        The argument's name, and what ``columns`` stands for, for the complaint.
    value : array-like
        Rows of shape (n, columns). With ``may_be_row`` also (columns,), one row; with
        ``may_be_column`` and one column also (n,).
    dtype : dtype
        That of the rows wanted.
    check_finite : bool
        Whether NaN and infinity are refused, when their rows are asked for.
    names : list, optional
        What complaints call the columns, where they aren't a frame's.
    features : sequence of str, optional
        The names that the columns of a frame must have, in this order.
    """
    if features is not None and (found := feature_names(value)) is not None:
        _check_features(what, found, features)
    numbers = as_numeric(what, value)
    shape = numbers.shape
    is_row = numbers.ndim == 1 and may_be_row
    if is_row:
        numbers = numbers[np.newaxis]
    elif numbers.ndim == 1 and may_be_column and columns == 1:
        numbers = numbers[:, np.newaxis]
    if numbers.ndim != 2 and not (numbers.ndim == 1 and may_be_column):
        expected = f"(n, {columns})" + (f" or ({columns},)" if may_be_row else "")
        raise ValueError(f"{what} must have shape {expected}, got {shape}.")
    if numbers.ndim == 1 or numbers.shape[1] != columns:
        got = shape[-1] if len(shape) == 2 or may_be_row else f"shape {shape}"
        raise ValueError(
            f"{what} must have {columns} column{'s' * (columns != 1)} ({meaning}), got {got}."
        )
    return Rows(what, numbers, dtype, names or column_names(value), check_finite), is_row


def _check_features(what: str, names: Sequence[str], features: Sequence[str]) -> None:
    """Refuse a frame with other columns than those that the model knows, or in another order."""
    differs = [x != y for x, y in zip(names, features, strict=False)]
    if not any(differs):
        return  # too many or too few are complained of as such
    place = differs.index(True)
    is_order = sorted(names) == sorted(features)
    raise ValueError(
        f"{what} must have the columns of the model's feature_names, got column {place} "
        f"{names[place]!r} in place of {features[place]!r}"
        f"{': the same columns in another order' if is_order else ''}."
    )
