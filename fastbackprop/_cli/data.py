"""Data files for the command line: X and y from .npz, or from the .csv of any program.

A .csv file is one sample a line, the model's inputs first and y behind them. These rules say
how it is read; what they don't cover is refused in a sentence that names line and column.

- Cells are separated by what a first line ``sep=;`` says, as Excel writes it. Without one: by
  semicolons if the first line has one, else by tabs if it has one, else by commas.
- If commas don't separate the cells, numbers may have decimal commas, as in ``5,1;3,5;0``.
- The first line is a header if none of its cells is a number, or if those that are count the
  columns from 0, as in ``0,1,2,3`` or ``0,1,2,y`` (at least three columns). Where all of them
  are, stderr tells that the line was taken for a header.
- ``1_0`` is no number, though it is one in Python.
- Lines that are empty or begin with ``#`` are left out.
- The encoding is UTF-8 or UTF-16 with a byte-order mark, else UTF-8, else Latin-1.
"""

import codecs
import csv
import io
import math
import re
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

import numpy as np

from fastbackprop._model.files import one_line

__all__ = ["read_cells", "read_data"]

SEPARATOR = re.compile(r'"?sep=([;,\t|:])"?[;,\t|: ]*(?=[\r\n]|\Z)', re.IGNORECASE)
Rows = list[tuple[int, list[str]]]  # for each row its line in the file, and its cells


def read_data(path: Path | None, n_in: int, n_out: int) -> tuple[np.ndarray, np.ndarray]:
    """Return X and y for a model with so many inputs and outputs.

    They are read from a file, or from standard input if there is no path.

    Raises
    ------
    ValueError
        If the file can't be read as such; one sentence says why.
    MemoryError
        If its arrays need more memory than there is.
    """
    name = "standard input" if path is None else str(path)
    content, header = _content(path, name)
    if isinstance(content, dict):
        if missing := [x for x in ("X", "y") if x not in content]:
            raise ValueError(
                f"DATA must have arrays X and y, got {', '.join(content) or 'none'}: "
                f"no {missing[0]}."
            )
        return np.atleast_1d(content["X"]), np.atleast_1d(content["y"])
    if content.size == 0:
        why = f": {header}" if header else ""
        raise ValueError(f"DATA must have at least one row, got none in {name}{why}.")
    n_targets = content.shape[1] - n_in
    if n_targets not in (1, n_out):
        raise ValueError(
            f"DATA must have {n_in} columns (the model's n_in) and behind them 1 or {n_out} of y, "
            f"got {content.shape[1]}."
        )
    if header:
        print(f"fastbackprop: {header}.", file=sys.stderr)
    y = content[:, n_in:]
    return content[:, :n_in], y[:, 0] if n_targets == 1 else y


def _content(path: Path | None, name: str) -> tuple[dict[str, np.ndarray] | np.ndarray, str]:
    """Return the arrays of a .npz file or the numbers of a .csv file, and what to tell of it."""
    suffix = "" if path is None else _suffix(path, name)
    try:
        with nullcontext(sys.stdin.buffer) if path is None else path.open("rb") as file:
            # A pipe, as standard input, can't be read twice.
            opened = file if path and file.seekable() else io.BytesIO(file.read())
            if suffix not in (".npz", ".csv"):
                suffix = ".npz" if opened.read(4) == b"PK\x03\x04" else ".csv"
                opened.seek(0)
            return (_arrays(opened), "") if suffix == ".npz" else _table(_text(opened.read()))
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


def _text(content: bytes) -> str:
    """Decode a text file; its numbers are the same in every encoding tried."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _cells(text: str, delimiter: str) -> Rows:
    """Cut a .csv file into cells, without lines that are empty or comments."""
    # A comment is emptied, so that the lines keep their numbers.
    lines = ("\n" if x.startswith("#") else x for x in io.StringIO(text, newline=""))
    reader = csv.reader(lines, delimiter=delimiter)
    rows = ((reader.line_num, [cell.strip() for cell in cells]) for cells in reader)
    return [(line, cells) for line, cells in rows if any(cells)]


def _delimiter(text: str) -> str:
    """Return what separates the cells: see the rules at the top."""
    first = next((x for x in text.splitlines() if x.strip() and not x.startswith("#")), "")
    return next((x for x in ";\t" if x in first), ",")


def read_cells(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the names of the columns of a .csv file (none without a header), and its cells.

    Raises
    ------
    ValueError
        If the file can't be read as such; one sentence says why.
    """
    _suffix(path, str(path))
    try:
        rows, names, _ = _rows_of(_text(path.read_bytes()))
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(
            f"DATA must be a .csv file that can be read, got {path}: {one_line(error)}."
        ) from None
    return names, [cells for _, cells in rows]


def _table(text: str) -> tuple[np.ndarray, str]:
    """Return the numbers of a .csv file without its header, and what to tell about that."""
    rows, names, told = _rows_of(text)
    if not rows:
        return np.empty((0, 0)), told
    return np.array([_numbers(line, cells, names) for line, cells in rows]), told


def _rows_of(text: str) -> tuple[Rows, list[str], str]:
    """Return the rows of a .csv file, its header, and what to tell about that."""
    told = ""
    if separator := SEPARATOR.match(text):
        delimiter = separator[1]
        text = text[separator.end() :]  # from the end of the line, so that lines keep their numbers
    else:
        delimiter = _delimiter(text)
    rows = _cells(text, delimiter)
    if delimiter != ",":
        rows = _with_decimal_points(rows)
    if not rows:
        return [], [], told
    first_line, names = rows[0]
    for line, cells in rows:
        if len(cells) != len(names):
            raise ValueError(
                f"line {line} has {len(cells)} columns, line {first_line} has {len(names)}"
            )
    if _is_header(names):
        if not names[0]:
            raise ValueError(
                "the first column has no name; if it numbers the rows, write the file without it "
                "(in pandas with index=False)"
            )
        rows = rows[1:]
        if all(_value(cell) is not None for cell in names):
            some = names if len(names) <= 10 else [*names[:3], "...", names[-1]]
            told = f"the first line, {delimiter.join(some)}, was taken for a header"
    else:
        names = []
    return rows, names, told


def _with_decimal_points(rows: Rows) -> Rows:
    """Turn decimal commas into points, unless the file has both."""
    numbers = [
        cell for _, cells in rows for cell in cells if _value(cell.replace(",", ".")) is not None
    ]
    with_comma = next((cell for cell in numbers if "," in cell), None)
    with_point = next((cell for cell in numbers if "." in cell), None)
    if with_comma is None:
        return rows
    if with_point is not None:
        raise ValueError(
            f"its numbers have decimal points and decimal commas, {with_point} and {with_comma}"
        )
    return [(line, [cell.replace(",", ".") for cell in cells]) for line, cells in rows]


def _value(cell: str) -> float | None:
    """Return a cell's number, None if it isn't one."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _is_header(cells: list[str]) -> bool:
    """Return whether a first line names the columns: see the rules at the top."""
    numbers = [(i, cell) for i, cell in enumerate(cells) if _value(cell) is not None]
    return not numbers or (len(cells) >= 3 and all(cell == str(i) for i, cell in numbers))


def _numbers(line: int, cells: list[str], names: list[str]) -> list[float]:
    """Return the numbers in a line, or say what stands there instead of one."""
    numbers = []
    for i, cell in enumerate(cells):
        value = _value(cell)
        if value is None or not math.isfinite(value):
            name = f" ({names[i][:40]})" if names else ""
            raise ValueError(
                f"line {line}, column {i + 1}{name} must be a finite number, "
                f"got {repr(cell[:40]) if cell else 'nothing'}"
            )
        numbers.append(value)
    return numbers
