"""Turns what users have into what kernels want; every complaint about input is made here.

A complaint is one sentence: what, must be, got. Checks come before any change.
"""

import math
import numbers
import operator
from collections.abc import Iterable, Sized
from typing import Any

import numpy as np

from fastbackprop._core.arrays import LABELS_ADVICE, NUMBERS_ADVICE, as_numeric, refuse_masked
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.hints import did_you_mean
from fastbackprop._core.rows import Rows, as_rows, convert

__all__ = [
    "LABELS_ADVICE",
    "NUMBERS_ADVICE",
    "Rows",
    "as_labels",
    "as_matrix",
    "as_numeric",
    "as_rows",
    "as_vector",
    "check_choice",
    "check_feature_names",
    "check_held",
    "check_integer",
    "check_like",
    "check_out",
    "check_real",
    "check_seed",
    "check_true_false",
    "did_you_mean",
    "same_length",
]


def check_choice(what: str, value: object, choices: Iterable[str]) -> str:
    """Return a name that is one of ``choices``, or name them all and the nearest."""
    known = list(choices)
    if isinstance(value, str) and value in known:
        return value
    hint = did_you_mean(value, known) if isinstance(value, str) else ""
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
        hint = f" Did you mean {value.__name__}(...)?" if isinstance(value, type) else ""
        raise TypeError(f"{what} must be a finite number{bounds}, got {value!r}.{hint}")
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
            f"{what} must fit {dtype}, got {number!r}, which is not from {smallest:g} to "
            f"{largest:g} in size{hint}."
        )
    if number < below <= dtype.type(number):
        raise ValueError(
            f"{what} must be below {below:g} in {dtype}, got {number!r}, which rounds to "
            f"{below:g}{hint}."
        )


def check_like(what: str, value: object, array: np.ndarray) -> None:
    """Refuse what is no array of the same shape and dtype."""
    if isinstance(value, np.ndarray) and (value.shape, value.dtype) == (array.shape, array.dtype):
        return
    got = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else repr(value)
    raise ValueError(f"{what} must be {array.dtype} of shape {array.shape}, got {got}.")


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
    names: list[Any] | None = None,
) -> np.ndarray:
    """Return a C-contiguous (n, columns) array of this dtype; no copy if it is one.

    Parameters
    ----------
    what, meaning : str
        The argument's name, and what ``columns`` stands for, for the complaint.
    value : array-like
        Rows of shape (n, columns). With ``may_be_row`` also (columns,), one row; with
        ``may_be_column`` and one column also (n,).
    names : list, optional
        What complaints call the columns, where they aren't a frame's.
    """
    rows, _ = as_rows(
        what,
        value,
        dtype,
        columns,
        meaning,
        may_be_row=may_be_row,
        may_be_column=may_be_column,
        check_finite=check_finite,
        names=names,
    )
    return rows.whole()


def as_vector(what: str, value: Any, dtype: np.dtype, size: int) -> np.ndarray:
    """Return a finite C-contiguous array of shape (size,)."""
    numbers = as_numeric(what, value)
    if numbers.shape != (size,):
        raise ValueError(f"{what} must have shape ({size},), got {numbers.shape}.")
    return convert(what, numbers, dtype)


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
    index = kernels("float32").first_outside(labels, n_classes)
    if index >= 0:
        raise ValueError(
            f"{what} must hold labels from 0 to {n_classes - 1} (n_out - 1), got {array[index]} at "
            f"index {index}."
        )
    return labels


def check_feature_names(names: Any, n: int) -> tuple[str, ...] | None:
    """Return names of inputs, all different; None for None."""
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise TypeError(f"feature_names must be a sequence of {n} names, got {names!r}.")
    names = tuple(names)
    for i, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(f"feature_names[{i}] must be text, got {name!r}.")
    if len(names) != n or len(set(names)) != n:
        got = f"{len(names)}" if len(names) != n else f"{len(set(names))}"
        raise ValueError(f"feature_names must be {n} different names, got {got}.")
    return tuple(map(str, names))


def check_out(out: object, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return ``out`` if results can be written straight into it."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy array, got {type(out).__name__}.")
    refuse_masked("out", out)
    if out.shape != shape or out.dtype != dtype or not out.flags.carray:
        kind = "" if out.flags.c_contiguous else ", not C-contiguous"
        kind += "" if out.flags.aligned else ", not aligned"
        kind += "" if out.flags.writeable else ", read-only"
        raise ValueError(
            f"out must be a writeable, aligned, C-contiguous {dtype} array of shape {shape}, "
            f"got {out.dtype} of shape {out.shape}{kind}."
        )
    return out
