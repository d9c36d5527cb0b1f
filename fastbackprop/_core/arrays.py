"""Arrays of real numbers out of what users bring: arrays, lists, columns of frames.

pandas, polars, pyarrow and scipy are never imported: their objects are known by what they offer.
"""

import sys
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any

import numpy as np

__all__ = [
    "LABELS_ADVICE",
    "NUMBERS_ADVICE",
    "as_numeric",
    "column_names",
    "feature_names",
    "is_missing",
    "is_sparse",
    "place_words",
    "refuse_masked",
    "sparse_rows",
]

NUMBERS = "be an array of real numbers"
# What complaints about text say where labels are expected.
LABELS_ADVICE = (
    "; turn labels into integers first, by classes, y = numpy.unique(labels, return_inverse=True)"
)
NUMBERS_ADVICE = "; labels of classes go with a loss of classes, such as 'cross_entropy'"
REAL_KINDS = "buif"  # of dtypes: bool, unsigned and signed integers, floats
TEXT_KINDS = "UST"


def as_numeric(what: str, value: Any, must: str = NUMBERS, *, text_advice: str = "") -> np.ndarray:
    """Return an array of bool, integers or reals; anything else is refused by its kind.

    Parameters
    ----------
    what : str
        The argument's name, for the complaint.
    value : object
        An array, a list, a column or a frame of columns.
    must : str
        What the argument must do, for the complaint about a kind.
    text_advice : str
        What the complaint about text says at its end.
    """
    if type(value) is np.ndarray and _is_real(value.dtype):
        return value
    refuse_masked(what, value)
    _refuse_sparse(what, value, must)
    if _is_pandas(value):
        return _from_pandas(what, value, must, text_advice)
    if hasattr(value, "collect") and not hasattr(value, "__array__"):
        raise TypeError(f"{what} must {must}, got a {type(value).__name__}; collect() it first.")
    columns = _columns(value)
    _refuse_nulls(what, columns)
    _refuse_times(what, must, columns)
    array = _as_array(what, value, must, columns)
    if not _is_real(array.dtype):
        names = column_names(value)
        if names is not None and array.dtype.kind == "O":
            _refuse_objects(what, array, must, text_advice, names)
        _refuse_kinds(what, must, columns)
        advice = _advice(what, array, text_advice)
        raise TypeError(f"{what} must {must}, got dtype {array.dtype}{advice}.")
    return array


def _as_array(what: str, value: Any, must: str, columns: list[tuple[Any, Any]]) -> np.ndarray:
    """Return what NumPy makes of it, by whichever way it offers."""
    try:
        if isinstance(value, list | tuple):
            return np.asarray(value)
        if hasattr(value, "__array__"):
            if "bfloat16" in str(getattr(value, "dtype", "")):
                # NumPy has no such number; float32 holds each of them.
                value = value.float() if hasattr(value, "float") else value.astype(np.float32)
            return np.asarray(value)
        if hasattr(value, "__dlpack__"):
            return np.from_dlpack(value)
        return np.asarray(value.to_numpy() if hasattr(value, "to_numpy") else value)
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(value, list | tuple) and isinstance(error, ValueError):
            raise ValueError(
                f"{what} must be an array with rows of one length, got rows of different lengths."
            ) from None
        _refuse_kinds(what, must, columns)
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise TypeError(
            f"{what} must {must}, got a {type(value).__name__} that NumPy can't take: {reason}."
        ) from error


def _columns(value: Any) -> list[tuple[Any, Any]]:
    """Return the columns of polars and pyarrow, with their names (None for one by itself)."""
    if isinstance(value, np.ndarray | list | tuple):
        return []
    if hasattr(value, "null_count") and hasattr(value, "is_null"):
        return [(None, value)]
    get_columns = getattr(value, "get_columns", None)
    columns = get_columns() if callable(get_columns) else getattr(value, "columns", None)
    names = column_names(value)
    if names is None or not isinstance(columns, list) or len(columns) != len(names):
        return []
    return list(zip(names, columns, strict=True))


def _refuse_nulls(what: str, columns: list[tuple[Any, Any]]) -> None:
    """Refuse what is missing in columns of polars and pyarrow, which NumPy would take for NaN."""
    for name, column in columns:
        count = getattr(column, "null_count", 0)
        if count() if callable(count) else count:
            missing = np.flatnonzero(np.asarray(column.is_null()))
            _complain_of_missing(what, int(missing[0]), name)


def _refuse_times(what: str, must: str, columns: list[tuple[Any, Any]]) -> None:
    """Refuse dates and times of polars, which beside numbers become numbers of nanoseconds."""
    for name, column in columns:
        dtype = getattr(column, "dtype", None)
        is_time = getattr(dtype, "is_temporal", None)
        if name is not None and callable(is_time) and is_time():
            raise TypeError(f"{what} must {must}, got dtype {dtype} in column {name!r}.")


def _refuse_kinds(what: str, must: str, columns: list[tuple[Any, Any]]) -> None:
    """Raise a complaint of the first column that isn't of numbers, if there is one."""
    for name, column in columns:
        dtype = np.asarray(column).dtype
        if name is not None and not _is_real(dtype):
            kind = getattr(column, "type", None) or getattr(column, "dtype", dtype)
            raise TypeError(f"{what} must {must}, got dtype {kind} in column {name!r}.")


def column_names(value: Any) -> list[Any] | None:
    """Return the names of a frame's columns; None for what isn't a frame."""
    if isinstance(value, np.ndarray | list | tuple):
        return None
    if hasattr(value, "dims") and hasattr(value, "coords"):  # xarray's
        return np.asarray(value.coords[value.dims[-1]]).tolist() if _has_names(value) else None
    # pyarrow's columns are data; pandas takes any attribute for a column's name.
    for attribute in ("columns",) if _is_pandas(value) else ("column_names", "columns"):
        names = getattr(value, attribute, None)
        if names is not None and not callable(names):
            try:
                return list(names)
            except TypeError:
                return None
    return None


def _has_names(array: Any) -> bool:
    """Return whether the last axis of an array of xarray has text for coordinates."""
    if not isinstance(array.dims, tuple) or array.ndim != 2 or array.dims[-1] not in array.coords:
        return False
    return np.asarray(array.coords[array.dims[-1]]).dtype.kind in "UO"


def feature_names(value: Any) -> list[str] | None:
    """Return the names of columns where all are text, each another; None for any others."""
    names = column_names(value)
    if not names or not all(isinstance(x, str) for x in names) or len(set(names)) < len(names):
        return None
    return [str(x) for x in names]


def place_words(place: tuple[Any, ...], names: list[Any] | None = None) -> str:
    """Return words for the place of an element; a column is called by its name if it has one."""
    if len(place) != 2:
        return f"index {place[0]}"
    row, column = place
    name = repr(names[column]) if names is not None and column < len(names) else column
    return f"row {row}, column {name}"


def _is_real(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind in REAL_KINDS and dtype.itemsize <= 16


def _advice(what: str, array: np.ndarray, text_advice: str) -> str:
    """Return what to do about text, by the caller's words, or about numbers among objects."""
    if array.dtype.kind in TEXT_KINDS or _holds(array, str | bytes, any):
        return text_advice
    if array.size and _holds(array, Real | np.bool_, all):
        return f"; pass the numbers in it as {what}.astype(float)"
    return ""


def _holds(array: np.ndarray, kinds: Any, some: Callable[[Iterable[bool]], bool]) -> bool:
    """Whether some or all elements of an array of objects are of these kinds."""
    return array.dtype.kind == "O" and some(isinstance(x, kinds) for x in array.flat)


def refuse_masked(what: str, value: Any) -> None:
    """Refuse masked elements: the number below a mask is no number of the user's."""
    masked_arrays = sys.modules.get("numpy.ma")
    if masked_arrays is None:
        return
    masked = masked_arrays.MaskedArray
    if isinstance(value, masked):
        mask = masked_arrays.getmask(value)
        if value.dtype.names is None and mask.any():
            place = tuple(int(i) for i in np.argwhere(mask)[0])
            _complain_of_mask(what, place_words(place) if place else "index ()")
    # By the set of types: a loop of Python's over a long list would take as long as its conversion.
    elif isinstance(value, list | tuple) and any(
        issubclass(x, masked) for x in set(map(type, value))
    ):
        for i, row in enumerate(value):
            if isinstance(row, masked) and masked_arrays.getmask(row).any():
                _complain_of_mask(what, f"index {i}" if row.ndim == 0 else f"row {i}")


def _complain_of_mask(what: str, where: str) -> None:
    raise ValueError(
        f"{what} must have no masked elements, got one at {where}; fill it by .filled(number), or "
        f"leave its row out."
    )


def is_sparse(value: Any) -> bool:
    """Return whether it is a matrix of scipy.sparse or of its like."""
    return hasattr(value, "nnz") and hasattr(value, "tocsr")


def sparse_rows(what: str, value: Any) -> Any:
    """Return a sparse matrix with real numbers as CSR, whose rows are found quickly."""
    if not _is_real(value.dtype):
        raise TypeError(f"{what} must {NUMBERS}, got the dtype {value.dtype} of a sparse matrix.")
    return value.tocsr()


def _refuse_sparse(what: str, value: Any, must: str) -> None:
    """Refuse scipy.sparse and its like, which NumPy takes for one object without shape."""
    if is_sparse(value):
        raise TypeError(
            f"{what} must {must}, got the sparse {type(value).__name__} of shape {value.shape}; "
            f"pass it as a dense array, {what}.toarray(), or some of its rows at a time."
        )


def _is_pandas(value: Any) -> bool:
    """Return whether it is a frame, a column, an index or an array of pandas or of its like."""
    return hasattr(value, "isna") and hasattr(value, "to_numpy") and hasattr(value, "shape")


def _from_pandas(what: str, value: Any, must: str, text_advice: str) -> np.ndarray:
    """Return the numbers of a frame or column, where each column has a dtype of its own."""
    names = column_names(value)
    if names is None:
        return _column(what, value, must, text_advice, None)
    dtypes = list(value.dtypes)
    if all(map(_is_real, dtypes)) and len({x.kind == "b" for x in dtypes}) <= 1:
        return np.asarray(value)  # NumPy has a dtype for all of them
    columns = [
        _column(what, value.iloc[:, j], must, text_advice, name) for j, name in enumerate(names)
    ]
    array = np.empty(value.shape, np.result_type(*(x.dtype for x in columns)))
    for j, column in enumerate(columns):
        array[:, j] = column
    return array


def _column(what: str, column: Any, must: str, text_advice: str, name: Any) -> np.ndarray:
    """Return the numbers of one column, or a complaint that names it."""
    # Int64, Float64, boolean and Arrow's kinds say which numbers they hold and what is missing.
    dtype = getattr(column.dtype, "numpy_dtype", column.dtype)
    if _is_real(dtype):
        if dtype is column.dtype:
            return np.asarray(column)
        missing = np.flatnonzero(np.asarray(column.isna()))
        if len(missing):
            _complain_of_missing(what, int(missing[0]), name)
        return np.asarray(column.to_numpy(dtype=dtype))
    values = np.asarray(column)  # categories may be numbers
    if _is_real(values.dtype):
        return values
    if values.dtype.kind == "O":
        names = None if name is None else [name]
        _refuse_objects(
            what, values if name is None else values[:, np.newaxis], must, text_advice, names
        )
    got = f"dtype {column.dtype}" + ("" if name is None else f" in column {name!r}")
    advice = _advice(what, values, text_advice)
    raise TypeError(f"{what} must {must}, got {got}{advice}.")


def _refuse_objects(
    what: str, array: np.ndarray, must: str, text_advice: str, names: list[Any] | None
) -> None:
    """Raise a complaint of the first text or missing value among objects, if there is one."""
    for place in np.ndindex(array.shape):
        element = array[place]
        if isinstance(element, str | bytes):
            text = repr(element) if len(element) <= 30 else repr(element[:30]) + "..."
            raise TypeError(
                f"{what} must {must}, got the text {text} at {place_words(place, names)}"
                f"{text_advice}."
            )
        if is_missing(element):
            _complain_of_missing(what, place[0], None if names is None else names[place[1]])


def is_missing(element: Any) -> bool:
    """Return whether an object stands for a value that isn't there."""
    # pandas.NA and NaT, which can't be compared without being imported.
    if element is None or type(element).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(element, float) and element != element


def _complain_of_missing(what: str, row: int, name: Any) -> None:
    where = f"index {row}" if name is None else f"row {row}, column {name!r}"
    raise ValueError(
        f"{what} must have no missing values, got one at {where}; fill it, or leave its row out."
    )
