"""Data files for the command line: X and y from .npz, or from the .csv of any program.

A .csv file is one sample a line, the model's inputs first and y behind them; what is neither a
finite number nor a label of the model's classes is refused in a sentence that names line and
column. How its cells are read is in ``cells``.
"""

import csv
import io
import math
import sys
import warnings
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from fastbackprop._cli.cells import Cells, cells_of, number_of, text_of
from fastbackprop._core.rows import check_features
from fastbackprop._model.files import one_line

__all__ = ["read_cells", "read_data"]


class Table(NamedTuple):
    """The numbers of a .csv file, the labels in its last column, and its header."""

    numbers: np.ndarray
    labels: np.ndarray | None  # None where that column, too, is of numbers
    names: list[str]
    told: str


def read_data(
    path: Path | None,
    n_in: int,
    n_out: int,
    *,
    features: Sequence[str] | None = None,
    classes: Collection[str] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Return X and y for a model with so many inputs and outputs.

    They are read from a file, or from standard input if there is no path. ``features`` are the
    names that a header must have for the inputs, ``classes`` those that y may have for numbers.

    Raises
    ------
    ValueError
        If the file can't be read as such; one sentence says why.
    MemoryError
        If its arrays need more memory than there is.
    """
    name = "standard input" if path is None else str(path)
    content = _content(path, name, n_in, classes)
    if isinstance(content, dict):
        if missing := [x for x in ("X", "y") if x not in content]:
            raise ValueError(
                f"DATA must have arrays X and y, got {', '.join(content) or 'none'}: "
                f"no {missing[0]}."
            )
        return np.atleast_1d(content["X"]), np.atleast_1d(content["y"])
    numbers, labels, names, told = content
    if numbers.size == 0:
        why = f": {told}" if told else ""
        raise ValueError(f"DATA must have at least one row, got none in {name}{why}.")
    n_targets = numbers.shape[1] + (labels is not None) - n_in
    if n_targets not in (1, n_out):
        raise ValueError(
            f"DATA must have {n_in} columns (the model's n_in) and behind them 1 or {n_out} of y, "
            f"got {numbers.shape[1]}."
        )
    # Numbers that count the columns are no names.
    if features is not None and any(number_of(x) is None for x in names[:n_in]):
        check_features("DATA", names[:n_in], features)
    if told:
        print(f"fastbackprop: {told}.", file=sys.stderr)
    y = numbers[:, n_in:] if labels is None else labels[:, np.newaxis]
    return numbers[:, :n_in], y[:, 0] if n_targets == 1 else y


def _content(
    path: Path | None, name: str, n_in: int, classes: Collection[str]
) -> dict[str, np.ndarray] | Table:
    """Return the arrays of a .npz file, or what a .csv file holds."""
    suffix = "" if path is None else _suffix(path, name)
    try:
        with nullcontext(sys.stdin.buffer) if path is None else path.open("rb") as file:
            # A pipe, as standard input, can't be read twice.
            opened = file if path and file.seekable() else io.BytesIO(file.read())
            if suffix not in (".npz", ".csv"):
                suffix = ".npz" if opened.read(4) == b"PK\x03\x04" else ".csv"
                opened.seek(0)
            if suffix == ".npz":
                return _arrays(opened)
            return _table(cells_of(text_of(opened.read()), classes), n_in, classes)
    except MemoryError:
        raise MemoryError(f"{name} needs more memory than there is.") from None
    except Exception as error:  # NumPy, zipfile and csv raise anything where a file is damaged
        raise ValueError(
            f"DATA must be a {suffix or 'data'} file that can be read, got {name}: "
            f"{one_line(error)}."
        ) from None


def _suffix(path: Path, name: str) -> str:
    """Return the suffix of a path; refuse what can't be a data file."""
    if path.is_dir() or not path.exists():
        kind = "a directory" if path.is_dir() else "where there is none"
        raise ValueError(f"DATA must be a file, got {name}, {kind}.")
    suffix = path.suffix.lower()
    if suffix not in (".npz", ".csv", "") and path.is_file():
        raise ValueError(f"DATA must be a .npz or a .csv file, got {name}.")
    return suffix


def _arrays(file: BinaryIO) -> dict[str, np.ndarray]:
    """Return X and y of a .npz file, and the names of what else is in it."""
    with warnings.catch_warnings():  # of what is wrong with the file; an error says it
        warnings.simplefilter("ignore")
        archive = np.load(file, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise ValueError("a single array, as in .npy")
        return {
            name: archive[name] if name in ("X", "y") else np.empty(0) for name in archive.files
        }


def read_cells(path: Path) -> Cells:
    """Return the cells of a .csv file, and the names of its columns.

    Raises
    ------
    ValueError
        If the file can't be read as such; one sentence says why.
    """
    _suffix(path, str(path))
    try:
        return cells_of(text_of(path.read_bytes()))
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(
            f"DATA must be a .csv file that can be read, got {path}: {one_line(error)}."
        ) from None


def _table(content: Cells, n_in: int, classes: Collection[str]) -> Table:
    """Return what a .csv file holds for a model with so many inputs, and such classes."""
    rows, names, told = content
    if not rows:
        return Table(np.empty((0, 0)), None, names, told)
    labels = None
    last = [cells[-1] for _, cells in rows]
    # Labels as numbers are the places of their classes.
    has_text = any(cell in classes or number_of(cell) is None for cell in last)
    if classes and has_text and len(rows[0][1]) == n_in + 1:
        for line, cells in rows:
            if cells[-1] not in classes:
                what = "must be one of the model's classes"
                raise ValueError(_complaint(line, n_in, cells[-1], names, what))
        labels = np.array(last)
        rows = [(line, cells[:-1]) for line, cells in rows]
    return Table(np.array([_numbers(*row, names) for row in rows]), labels, names, told)


def _numbers(line: int, cells: list[str], names: list[str]) -> list[float]:
    """Return the numbers in a line, or say what stands there instead of one."""
    numbers = []
    for i, cell in enumerate(cells):
        value = number_of(cell)
        if value is None or not math.isfinite(value):
            raise ValueError(_complaint(line, i, cell, names, "must be a finite number"))
        numbers.append(value)
    return numbers


def _complaint(line: int, i: int, cell: str, names: list[str], what: str) -> str:
    name = f" ({names[i][:40]})" if names else ""
    got = repr(cell[:40]) if cell else "nothing"
    return f"line {line}, column {i + 1}{name} {what}, got {got}"
