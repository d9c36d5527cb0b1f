"""Where rows of data come from: an array of any real dtype and layout, or a frame.

The kernels read rows that are C-contiguous, aligned and of the model's dtype. ``Rows`` gives such
rows where they lie, or converts so many at a time that the copy stays small.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fastbackprop._core.arithmetic import exact_mode
from fastbackprop._core.arrays import (
    as_numeric,
    column_names,
    feature_names,
    is_sparse,
    place_words,
    sparse_rows,
)
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.scaling import ColumnScale

__all__ = ["Rows", "as_rows", "check_features", "convert"]

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
    scale: float = 1.0,
    columns: ColumnScale | None = None,
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
    scale : float
        What the numbers are multiplied by, in double.
    columns : ColumnScale, optional
        What the columns are scaled by then, in double too.
    """
    array = _converted(numbers, dtype, out, scale, columns)
    # Integers are finite in each of our dtypes.
    if check_finite and (numbers.dtype.kind == "f" or scale != 1 or columns is not None):
        _check_finite(what, array, numbers, names, origin)
    return array


def _converted(
    numbers: np.ndarray,
    dtype: np.dtype,
    out: np.ndarray | None,
    scale: float,
    columns: ColumnScale | None,
) -> np.ndarray:
    if (
        scale == 1
        and columns is None
        and numbers.dtype == dtype
        and numbers.flags.c_contiguous
        and numbers.flags.aligned
    ):
        return numbers
    array = np.empty(numbers.shape, dtype) if out is None else out
    with exact_mode():
        if columns is not None:
            columns.apply(numbers, array, scale)
        elif scale != 1:
            with np.errstate(over="ignore", invalid="ignore"):
                np.multiply(numbers, scale, out=array, dtype=np.float64, casting="unsafe")
        elif numbers.dtype.kind != "f" or numbers.dtype.itemsize < dtype.itemsize:
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
    base : ndarray or matrix of scipy.sparse, of shape (n, columns)
        Real numbers of any dtype and layout; a file that is mapped into memory, for instance; or
        sparse, as CSR.
    dtype : dtype
        That of the rows wanted: float32 or float64.
    names : list, optional
        What complaints call the columns.
    check_finite : bool, default=True
        Whether NaN and infinity are refused, when their rows are asked for.
    scale : float, default=1.0
        What each number is multiplied by, in double, before it is rounded to dtype.
    index : ndarray, optional
        Which rows of ``base`` these are.
    columns : ColumnScale, optional
        What the columns are scaled by, in double too.
    """

    def __init__(
        self,
        what: str,
        base: Any,
        dtype: np.dtype,
        names: list[Any] | None = None,
        check_finite: bool = True,
        scale: float = 1.0,
        index: np.ndarray | None = None,
        columns: ColumnScale | None = None,
    ) -> None:
        self._what = what
        self._names = names
        self._check_finite = check_finite
        self._scale = scale
        self._index = index
        self._columns = columns
        self.base = base
        self.dtype = dtype

    def __len__(self) -> int:
        # Sparse matrices have no len.
        return int(self.base.shape[0]) if self._index is None else len(self._index)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """Return some rows, converted; of an array that is ready a slice copies nothing."""
        origin = (rows.start or 0, 0) if isinstance(rows, slice) else (0, 0)
        return self._converted(rows, None, origin)

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns."""
        return len(self), int(self.base.shape[1])

    def whole(self) -> np.ndarray:
        """Return all rows; no copy if they are as the kernels want them."""
        return self[:]

    def parts(self, n_rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the number of a first row, and the rows from there on: ``n_rows`` or fewer.

        Rows that must be converted lie in one buffer, which the next part overwrites.
        """
        if not self.is_ready:
            n_rows = min(n_rows, self.rows_in(PART))
        if len(self) <= n_rows:
            if len(self):
                yield 0, self.whole()
            return
        buffer = None if self.is_ready else np.empty((n_rows, self.shape[1]), self.dtype)
        for first in range(0, len(self), n_rows):
            last = min(first + n_rows, len(self))
            yield first, self._converted(slice(first, last), buffer, (first, 0))

    def check(self) -> None:
        """Refuse rows that aren't finite now, instead of when they are asked for.

        Rows that are one part are converted too, so that they are only once.
        """
        if len(self) <= self.rows_in(PART):
            self.base, self._scale, self._index = self.whole(), 1.0, None
            self._columns = None
        elif self._check_finite and (self.base.dtype.kind == "f" or self._is_scaled):
            for _ in self.parts(self.rows_in(PART)):
                pass
        self._check_finite = False

    def copy(self) -> "Rows":
        """Return the same rows in memory of their own."""
        return self._with(self.base.copy(), self._index)

    def chosen(self, index: np.ndarray) -> "Rows":
        """Return the rows with these numbers, which are copied when they are asked for."""
        return self._with(self.base, index if self._index is None else self._index[index])

    def _with(self, base: Any, index: np.ndarray | None) -> "Rows":
        return Rows(
            self._what, base, self.dtype, self._names, self._check_finite, self._scale, index,
            self._columns,
        )  # fmt: skip

    def in_double(self, check_finite: bool = True) -> "Rows":
        """Return the same rows as the user has them, but for ``scale``, in float64."""
        return Rows(
            self._what, self.base, np.dtype(np.float64), self._names, check_finite, self._scale,
            self._index,
        )  # fmt: skip

    def whole_columns(self, some: slice) -> np.ndarray:
        """Return some of the columns, of all rows, converted but not scaled."""
        numbers: Any = self.base[:, some]
        if self._index is not None:
            numbers = numbers[self._index]
        if self.is_sparse:
            numbers = numbers.toarray()
        origin = (0, some.start)
        return convert(
            self._what, numbers, self.dtype, names=self._names, origin=origin, scale=self._scale
        )

    @property
    def _is_scaled(self) -> bool:
        return self._scale != 1 or self._columns is not None

    @property
    def is_sparse(self) -> bool:
        """Whether the rows are those of a sparse matrix."""
        return not isinstance(self.base, np.ndarray)

    @property
    def is_ready(self) -> bool:
        """Whether the rows are as the kernels want them, where they lie."""
        if self.is_sparse or self._is_scaled or self._index is not None:
            return False
        flags = self.base.flags
        return bool(self.base.dtype == self.dtype and flags.c_contiguous and flags.aligned)

    def rows_in(self, n_bytes: int) -> int:
        """Rows whose copy takes no more than this: whole groups of them, if it is so many."""
        n_rows = max(1, n_bytes // max(1, self.shape[1] * self.dtype.itemsize))
        return n_rows if n_rows < GROUP else n_rows // GROUP * GROUP

    def _converted(
        self, rows: slice | np.ndarray, buffer: np.ndarray | None, origin: tuple[int, ...]
    ) -> np.ndarray:
        numbers: Any = self.base[rows if self._index is None else self._index[rows]]
        if self.is_sparse:
            numbers = numbers.toarray()
        return convert(
            self._what,
            numbers,
            self.dtype,
            check_finite=self._check_finite,
            names=self._names,
            origin=origin,
            out=None if buffer is None else buffer[: len(numbers)],
            scale=self._scale,
            columns=self._columns,
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
    scale: float = 1.0,
    may_be_sparse: bool = False,
    scaling: ColumnScale | None = None,
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
    scale : float
        What the numbers are multiplied by.
    may_be_sparse : bool
        Whether it may be a matrix of scipy.sparse.
    scaling : ColumnScale, optional
        What the columns are scaled by.
    """
    if features is not None and (found := feature_names(value)) is not None:
        check_features(what, found, features)
    numbers: Any
    if may_be_sparse and is_sparse(value):
        numbers = sparse_rows(what, value)
    else:
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
    names = names or column_names(value)
    rows = Rows(what, numbers, dtype, names, check_finite, scale, columns=scaling)
    return rows, is_row


def check_features(what: str, names: Sequence[str], features: Sequence[str]) -> None:
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
