"""From what users have to what kernels want; every complaint about input is made here.

A complaint is one sentence: what, must be, got. Checks come before any change.
"""

import math
import numbers
import operator
from collections.abc import Iterable, Sized
from typing import Any

import numpy as np

from fastbackprop._core.arithmetic import exact_mode
from fastbackprop._core.dispatch import kernels

__all__ = [
    "as_labels",
    "as_matrix",
    "as_numeric",
    "as_vector",
    "check_choice",
    "check_held",
    "check_integer",
    "check_out",
    "check_real",
    "check_seed",
    "check_true_false",
    "same_length",
]


def check_choice(what: str, value: object, choices: Iterable[str]) -> str:
    """Return a name that is one of ``choices``, or name them all and the nearest."""
    known = list(choices)
    if isinstance(value, str) and value in known:
        return value
    # not before there is a complaint: importing it takes longer than most of this package
    import difflib

    near = (
        difflib.get_close_matches(value.lower(), known, n=1, cutoff=0.5)
        if isinstance(value, str)
        else []
    )
    hint = f" Did you mean {near[0]!r}?" if near else ""
    if isinstance(value, type):
        hint = f" Did you mean {value.__name__}()?"
    error = ValueError if isinstance(value, str) else TypeError
    raise error(f"{what} must be one of {', '.join(map(repr, known))}, got {value!r}.{hint}")


def check_integer(what: str, value: object, at_least: int = 1) -> int:
    """Return a whole number that is at least ``at_least``; no bool, no 3.0."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(
            f"{what} must be an integer of at least {at_least}, got {value!r}."
        ) from None
    if number < at_least:
        raise ValueError(f"{what} must be an integer of at least {at_least}, got {value!r}.")
    return number


def check_real(
    what: str,
    value: object,
    *,
    above: float = -math.inf,
    at_least: float = -math.inf,
    below: float = math.inf,
) -> float:
    """Return a finite number inside the bounds, as a float."""
    bounds = ""
    if above > -math.inf:
        bounds += f" above {above:g}"
    if at_least > -math.inf:
        bounds += f" of at least {at_least:g}"
    if below < math.inf:
        bounds += f"{' and' if bounds else ''} below {below:g}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{what} must be a finite number{bounds}, got {value!r}.")
    try:
        number = float(value)
    except OverflowError:  # an integer or a fraction beyond the largest float
        number = math.inf
    if not (math.isfinite(number) and above < number < below and number >= at_least):
        raise ValueError(f"{what} must be a finite number{bounds}, got {value!r}.")
    return number


def check_held(what: str, number: float, dtype: np.dtype, *, below: float = math.inf) -> None:
    """Refuse a setting that a model's dtype would round to 0, to infinity or up to its bound.

    A number that is subnormal there has lost digits, and is refused too; 0 is fine.
    """
    smallest, largest = float(np.finfo(dtype).tiny), float(np.finfo(dtype).max)
    hint = "; use dtype='float64'" if dtype == np.float32 else ""
    if 0 < abs(number) < smallest or abs(number) > largest:
        raise ValueError(
            f"{what} must be between {smallest:g} and {largest:g} in size for a model in "
            f"{dtype}, got {number!r}{hint}."
        )
    if number < below <= dtype.type(number):
        raise ValueError(
            f"{what} must be below {below:g} for a model in {dtype}, got {number!r}, which it "
            f"rounds to {below:g}{hint}."
        )


def check_true_false(what: str, value: object) -> bool:
    """Return a bool; 0, 1 and None are refused, since they are mistakes more often."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{what} must be True or False, got {value!r}.")
    return bool(value)


def check_seed(seed: object) -> int | None:
    """Return a seed: None, or an integer of at least 0."""
    return None if seed is None else check_integer("seed", seed, at_least=0)


def same_length(X: Sized, y: Sized, x_name: str = "X", y_name: str = "y") -> None:
    """Refuse X and y with different numbers of rows."""
    if len(X) != len(y):
        raise ValueError(
            f"{x_name} and {y_name} must have the same number of rows, got {len(X)} and {len(y)}."
        )


def as_numeric(what: str, value: Any, must: str = "be an array of real numbers") -> np.ndarray:
    """An array of bool, integers or reals; anything else is refused by its kind."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(
            f"{what} must be an array with rows of one length, got rows of different lengths."
        ) from None
    if array.dtype.kind not in "buif" or array.dtype.itemsize > 16:
        raise TypeError(f"{what} must {must}, got dtype {array.dtype}.")
    return array


def _check_finite(what: str, converted: np.ndarray, given: np.ndarray) -> None:
    """Refuse NaN and infinity, naming the first; also what overflowed in conversion."""
    at = kernels(converted.dtype).first_nonfinite(converted.reshape(-1))
    if at < 0:
        return
    place = np.unravel_index(at, given.shape)
    where = f"row {place[0]}, column {place[1]}" if given.ndim == 2 else f"index {place[0]}"
    got = given[place]
    if np.isfinite(got):
        raise ValueError(
            f"{what} must fit {converted.dtype}, got {got} at {where}; use dtype='float64' or "
            f"scale it."
        )
    raise ValueError(f"{what} must be finite, got {got} at {where}.")


def _plain(given: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """C-contiguous, of this dtype, and aligned to its numbers; no copy if it is that."""
    if given.dtype == dtype:
        array = np.ascontiguousarray(given)
    else:
        with exact_mode():
            array = np.ascontiguousarray(given, dtype=dtype)
    return array if array.flags.aligned else array.copy()


def as_matrix(
    what: str,
    value: Any,
    dtype: np.dtype,
    columns: int,
    meaning: str,
    *,
    may_be_row: bool = False,
    may_be_column: bool = False,
    check_finite: bool = True,
) -> np.ndarray:
    """Return a C-contiguous (n, columns) array of this dtype; no copy if it is one.

    Parameters
    ----------
    what, meaning : str
        The argument's name, and what ``columns`` stands for, for the complaint.
    value : array-like
        Of shape (n, columns). With ``may_be_row`` also (columns,), one row; with
        ``may_be_column`` and one column also (n,).
    """
    given = as_numeric(what, value)
    shape = given.shape
    if given.ndim == 1 and may_be_row:
        given = given[np.newaxis]
    elif given.ndim == 1 and may_be_column and columns == 1:
        given = given[:, np.newaxis]
    if given.ndim != 2 and not (given.ndim == 1 and may_be_column):
        expected = f"(n, {columns})" + (f" or ({columns},)" if may_be_row else "")
        raise ValueError(f"{what} must have shape {expected}, got {shape}.")
    if given.ndim == 1 or given.shape[1] != columns:
        got = shape[-1] if len(shape) == 2 or may_be_row else f"shape {shape}"
        raise ValueError(
            f"{what} must have {columns} column{'s' * (columns != 1)} ({meaning}), got {got}."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        array = _plain(given, dtype)
    if check_finite:
        _check_finite(what, array, given)
    return array


def as_vector(what: str, value: Any, dtype: np.dtype, size: int) -> np.ndarray:
    """Return a finite C-contiguous array of shape (size,)."""
    given = as_numeric(what, value)
    if given.shape != (size,):
        raise ValueError(f"{what} must have shape ({size},), got {given.shape}.")
    with np.errstate(over="ignore", invalid="ignore"):
        array = _plain(given, dtype)
    _check_finite(what, array, given)
    return array


def as_labels(what: str, value: np.ndarray, n_classes: int) -> np.ndarray:
    """Return class labels (n,) as int64, each an integer from 0 to n_classes - 1."""
    array = value.reshape(-1)
    if array.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            wrong = np.flatnonzero(array != np.floor(array))
        if not np.all(np.isfinite(array)):
            wrong = np.flatnonzero(~np.isfinite(array))
        if len(wrong):
            raise ValueError(
                f"{what} must hold integer labels, got {array[wrong[0]]} at index {wrong[0]}."
            )
    # Always a copy: the kernels index with labels, so nobody may change them in between.
    with np.errstate(
        invalid="ignore"
    ):  # a float beyond int64 becomes its smallest number: out of range too
        labels = np.array(array, dtype=np.int64)
    at = kernels("float32").first_outside(labels, n_classes)
    if at >= 0:
        raise ValueError(
            f"{what} must hold labels from 0 to {n_classes - 1} (n_out - 1), got {array[at]} at "
            f"index {at}."
        )
    return labels


def check_out(out: object, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return ``out`` if results can be written straight into it."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy array, got {type(out).__name__}.")
    if out.shape != shape or out.dtype != dtype or not out.flags.carray:
        kind = "" if out.flags.c_contiguous else ", not C-contiguous"
        kind += "" if out.flags.aligned else ", not aligned"
        kind += "" if out.flags.writeable else ", read-only"
        raise ValueError(
            f"out must be a writeable, aligned, C-contiguous {dtype} array of shape {shape}, "
            f"got {out.dtype} of shape {out.shape}{kind}."
        )
    return out
