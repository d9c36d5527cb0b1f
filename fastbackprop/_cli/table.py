"""A .csv file as inputs and target: numbers as they are, text as classes."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastbackprop._cli.data import read_cells

__all__ = ["Table", "read_table"]

MOST_CLASSES = 20  # of a target, or of a column of text
LEAST_ROWS = 2  # of a class, on average: whole numbers that are nearly all different are numbers


class Table(NamedTuple):
    """Inputs with their names, and the target: labels of classes, or numbers without classes."""

    X: np.ndarray
    names: list[str]
    y: np.ndarray
    target: str
    classes: list[str]


def read_table(path: Path, target: str | None) -> Table:
    """Return a .csv file's inputs and target.

    A column of text becomes a column of 0 and 1 for each of its values. A target of text, or of at
    most 20 different whole numbers that occur at least twice on average, is one of classes.

    Raises
    ------
    ValueError
        If there is no such target, or a column can't be an input.
    """
    rows, names, _ = read_cells(path)
    if not rows:
        raise ValueError(f"DATA must have at least one row, got none in {path}.")
    lines, cells = zip(*rows, strict=True)
    names = names or [f"column {i + 1}" for i in range(len(cells[0]))]
    [(name, count)] = Counter(names).most_common(1)
    if count > 1:
        raise ValueError(f"columns of DATA must have names of their own, got {name!r} twice.")
    if len(names) < 2:
        raise ValueError(f"DATA must have an input and a target, got {len(names)} column.")
    if target is not None and target not in names:
        raise ValueError(f"--target must be one of {', '.join(names)}, got {target}.")
    place = len(names) - 1 if target is None else names.index(target)
    columns = [np.array(column) for column in zip(*cells, strict=True)]
    for name, column in zip(names, columns, strict=True):
        _check_filled(name, column, lines)
    inputs, input_names = [], []
    for i, (name, column) in enumerate(zip(names, columns, strict=True)):
        if i != place:
            for own_name, values in _inputs_of(name, column):
                inputs.append(values)
                input_names.append(own_name)
    y, classes = _target_of(names[place], columns[place])
    return Table(np.stack(inputs, axis=1), input_names, y, names[place], classes)


def _numbers_of(column: np.ndarray) -> np.ndarray | None:
    """Return a column's numbers, None if it has something else."""
    try:
        numbers = column.astype(np.float64)
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _check_filled(name: str, column: np.ndarray, lines: Sequence[int]) -> None:
    """Refuse a column with gaps; lines are those of the file, as in all complaints of it."""
    empty = np.flatnonzero(np.isin(np.char.lower(column), ("", "nan", "na", "null", "?")))
    if len(empty):
        raise ValueError(
            f"column {name} must have a value in each row, got {len(empty):,} without one, the "
            f"first in line {lines[empty[0]]}."
        )


def _inputs_of(name: str, column: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Return the inputs that a column gives, with their names."""
    numbers = _numbers_of(column)
    if numbers is not None:
        return [(name, numbers)]
    values = np.unique(column)
    if len(values) > MOST_CLASSES:
        raise ValueError(
            f"column {name} must hold numbers, or at most {MOST_CLASSES} different texts, got "
            f"{len(values):,}, among them {str(values[0])[:40]!r}; leave it out."
        )
    return [(f"{name}={value}", (column == value).astype(np.float64)) for value in values]


def _target_of(name: str, column: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return labels and the names of their classes, or numbers and no classes."""
    numbers = _numbers_of(column)
    values, labels = np.unique(column if numbers is None else numbers, return_inverse=True)
    if len(values) < 2:
        raise ValueError(f"target {name} must have two different values, got one.")
    if numbers is not None:
        are_few = len(values) <= min(MOST_CLASSES, len(numbers) // LEAST_ROWS)
        if not are_few or (values != values.round()).any():
            return numbers, []
        return labels, [str(int(x)) for x in values]
    if len(values) > MOST_CLASSES:
        raise ValueError(
            f"target {name} must have at most {MOST_CLASSES} classes, got {len(values):,}."
        )
    return labels, [str(x) for x in values]
