"""Labels of the user's own: text, true and false, any integers; the kernels know indices only.

Integers that all lie from 0 to n - 1, n classes, are indices already. Of other labels the sorted
distinct ones are the classes: the k-th belongs to the k-th output, or to no and yes of a single
one.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from fastbackprop._core.arrays import is_missing, refuse_masked

__all__ = ["Classes", "Encoded", "check_classes", "encode"]

KINDS = "text, True and False, or integers"
SHOWN = 5  # labels that a complaint names


class Classes:
    """The labels of a model's classes, in the order of its outputs.

    Parameters
    ----------
    labels : list
        Distinct text, bools or integers, all of one kind.
    """

    def __init__(self, labels: list[Any]) -> None:
        array = _as_array(labels)
        array.flags.writeable = False
        self.labels = array
        self._indices = {label: k for k, label in enumerate(labels)}

    def __len__(self) -> int:
        return len(self.labels)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Classes) and self.as_list() == other.as_list()

    __hash__ = None  # type: ignore[assignment]

    @property
    def are_text(self) -> bool:
        """Whether the labels are text."""
        return self.labels.dtype.kind in "UO"

    def as_list(self) -> list[Any]:
        """Return the labels as Python's own objects, as a file takes them."""
        labels: list[Any] = self.labels.tolist()
        return labels

    def indices(self, name: str, labels: list[Any]) -> np.ndarray:
        """Return the index of each label, or complain of the first that is no class."""
        try:
            return np.fromiter(map(self._indices.__getitem__, labels), np.int64, len(labels))
        except KeyError:
            place = next(i for i, label in enumerate(labels) if label not in self._indices)
        raise ValueError(
            f"{name} must hold labels of the model's classes, {_words(self.as_list())}, got "
            f"{labels[place]!r} at index {place}."
        )

    def __repr__(self) -> str:
        return f"Classes({self.as_list()!r})"


class Encoded(NamedTuple):
    """Y as a loss takes it, and the classes whose labels it had; None where there were none."""

    y: Any
    classes: Classes | None


def check_classes(what: str, classes: Any, n: int) -> Classes:
    """Return the classes that a user names, n of them, or a complaint."""
    if isinstance(classes, str | bytes) or not isinstance(classes, Iterable):
        raise TypeError(f"{what} must be a sequence of {n} labels, got {classes!r}.")
    labels = _plain(list(classes))
    if _kind_of(labels) is None:
        raise TypeError(f"{what} must be labels of one kind, {KINDS}, got {_words(labels)}.")
    if len(labels) != n or len(set(labels)) != n:
        raise ValueError(f"{what} must be {n} different labels, got {_words(labels)}.")
    return Classes(labels)


def encode(
    name: str,
    y: Any,
    n_classes: int | None,
    known: Classes | None,
    *,
    one_row: bool = False,
    may_learn: bool = False,
) -> Encoded:
    """Return labels as the indices of their classes; y that holds none as it is.

    Parameters
    ----------
    name : str
        What a complaint calls y.
    y : array-like
        Whatever the user has; one label for each sample if it has labels.
    n_classes : int or None
        How many classes there are; None where a sample has none.
    known : Classes or None
        The classes of the model, if it has some.
    one_row : bool
        Whether y belongs to a single sample.
    may_learn : bool
        Whether classes that aren't known are those of y.
    """
    if n_classes is None:
        return Encoded(y, None)
    column = _column_of(name, y)
    if column is None or not column.size or (one_row and column.size > 1):
        return Encoded(y, known)
    if column.dtype.kind in "OUST":
        labels = _python_labels(name, column)
        if labels is None:
            return Encoded(y, known)  # numbers that aren't whole, or dates: others complain of it
        if isinstance(labels[0], str):
            known = known or _learned(name, labels, n_classes, may_learn)
            return Encoded(known.indices(name, labels), known)
        y = column = _as_array(labels)
    if known is not None:
        if _are_labels_of(known, column):
            return Encoded(known.indices(name, column.tolist()), known)
    elif may_learn and column.dtype.kind == "b":
        known = _check_number(name, [False, True], n_classes)
    elif may_learn and column.dtype.kind in "iu" and _are_no_indices(column, n_classes):
        distinct = np.unique(column).tolist()
        if len(distinct) == n_classes:  # else they are wrong indices, of which the loss complains
            known = Classes(distinct)
            return Encoded(known.indices(name, column.tolist()), known)
    return Encoded(y, known)


def _learned(name: str, labels: list[Any], n_classes: int, may_learn: bool) -> Classes:
    """Return the sorted distinct labels as classes."""
    if not may_learn:
        raise TypeError(
            f"{name} must hold integer labels from 0 to {n_classes - 1}, or probabilities, got "
            f"{labels[0]!r} at index 0; other labels are those of classes, which fit learns and "
            f"Trainer(classes=[...]) names."
        )
    return _check_number(name, sorted(set(labels)), n_classes)


def _check_number(name: str, distinct: list[Any], n_classes: int) -> Classes:
    if len(distinct) != n_classes:
        outputs = "one for each output" if n_classes > 2 else "for no and yes or for two outputs"
        raise ValueError(
            f"{name} must hold {n_classes} different labels, {outputs}, got {len(distinct)}: "
            f"{_words(distinct)}."
        )
    return Classes(distinct)


def _column_of(name: str, y: Any) -> np.ndarray | None:
    """Return y as an array (n,), or None if it isn't one label for each sample."""
    refuse_masked(name, y)
    try:
        array = y if isinstance(y, np.ndarray) else np.asarray(y)
    except (ValueError, TypeError):  # rows of different lengths; others complain of it
        return None
    if array.ndim == 0 and array.dtype.kind == "O":  # a sparse matrix, for instance
        return None
    if array.ndim <= 1 or array.shape[1:] == (1,) or array.shape == (1, 1):
        if array.dtype.kind == "U" and isinstance(y, list | tuple):
            array = np.asarray(y, object)  # NumPy makes text of numbers beside text
        return array.reshape(-1)
    return None


def _python_labels(name: str, column: np.ndarray) -> list[Any] | None:
    """Return the labels of an array of text or objects; None if there is none among them."""
    labels = _plain(column.tolist())
    if _kind_of(labels) is not None:
        return labels
    for i, label in enumerate(labels):
        if is_missing(label):
            raise ValueError(
                f"{name} must have no missing values, got one at index {i}; fill it, or leave its "
                f"row out."
            )
    if not any(isinstance(x, str | bytes) for x in labels):
        return None
    first = type(labels[0])
    place = next((i for i, x in enumerate(labels) if type(x) is not first), 0)
    raise TypeError(
        f"{name} must hold labels of one kind, {KINDS}, got {labels[place]!r} at index {place}."
    )


def _plain(labels: list[Any]) -> list[Any]:
    """Return Python's own objects for NumPy's."""
    if any(issubclass(x, np.generic) for x in set(map(type, labels))):
        return [x.item() if isinstance(x, np.generic) else x for x in labels]
    return labels


def _kind_of(labels: list[Any]) -> type | None:
    """Return str, bool or int, what all labels are; None for anything else."""
    kinds = set(map(type, labels))
    return kinds.pop() if kinds in ({str}, {bool}, {int}) else None


def _are_no_indices(column: np.ndarray, n_classes: int) -> bool:
    return not (column.min() >= 0 and column.max() < n_classes)


def _are_labels_of(known: Classes, column: np.ndarray) -> bool:
    """Return whether numbers are labels: not behind text, where they are indices as ever."""
    if known.are_text or (known.labels == np.arange(len(known))).all():
        return False
    # Whole numbers may come as floats; others are probabilities.
    return column.dtype.kind != "f" or bool((column == np.floor(column)).all())


def _as_array(labels: list[Any]) -> np.ndarray:
    """Return labels as an array that gives back the same ones."""
    array = np.array(labels)
    if array.dtype.kind not in "Ubiu" or array.tolist() != labels:
        array = np.array(labels, object)
    return array


def _words(labels: list[Any]) -> str:
    more = f" and {len(labels) - SHOWN:,} more" if len(labels) > SHOWN else ""
    return (", ".join(map(repr, labels[:SHOWN])) or "none") + more
