"""The cells of a .csv file of any program, and the names of its columns.

These rules say how it is read; what they don't cover is refused in a sentence that names the line.

- Cells are separated by what a first line ``sep=;`` says, as Excel writes it. Without one: by
  semicolons if the first line has one, else by tabs if it has one, else by commas.
- If commas don't separate the cells, numbers may have decimal commas, as in ``5,1;3,5;0``.
- The first line is a header if none of its cells is a number, or if those that are count the
  columns from 0, as in ``0,1,2,3`` or ``0,1,2,y`` (at least three columns); but not if the last
  one is a label that the model knows. Where all of them are numbers, stderr tells that the line
  was taken for a header.
- ``1_0`` is no number, though it is one in Python.
- Lines that are empty or begin with ``#`` are left out.
- The encoding is UTF-8 or UTF-16 with a byte-order mark, else UTF-8, else Latin-1.
"""

import codecs
import csv
import io
import re
from collections.abc import Collection
from typing import NamedTuple

__all__ = ["Cells", "Row", "cells_of", "number_of", "text_of"]

SEPARATOR = re.compile(r'"?sep=([;,\t|:])"?[;,\t|: ]*(?=[\r\n]|\Z)', re.IGNORECASE)
Row = tuple[int, list[str]]  # its line in the file, and its cells


class Cells(NamedTuple):
    """The rows below the header, the header (empty without one), and what to tell about that."""

    rows: list[Row]
    names: list[str]
    told: str


def text_of(content: bytes) -> str:
    """Decode a text file; its numbers are the same in every encoding tried."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def cells_of(text: str, labels: Collection[str] = ()) -> Cells:
    """Return the cells of a .csv file, for a model that knows such labels."""
    told = ""
    if separator := SEPARATOR.match(text):
        delimiter = separator[1]
        text = text[separator.end() :]  # from the end of the line, so that lines keep their numbers
    else:
        delimiter = _delimiter(text)
    rows = _cut(text, delimiter)
    if delimiter != ",":
        rows = _with_decimal_points(rows)
    if not rows:
        return Cells([], [], told)
    first_line, names = rows[0]
    for line, cells in rows:
        if len(cells) != len(names):
            raise ValueError(
                f"line {line} has {len(cells)} columns, line {first_line} has {len(names)}"
            )
    if not _is_header(names, labels):
        return Cells(rows, [], told)
    if not names[0]:
        raise ValueError(
            "the first column has no name; if it numbers the rows, write the file without it "
            "(in pandas with index=False)"
        )
    if all(number_of(cell) is not None for cell in names):
        some = names if len(names) <= 10 else [*names[:3], "...", names[-1]]
        told = f"the first line, {delimiter.join(some)}, was taken for a header"
    return Cells(rows[1:], names, told)


def number_of(cell: str) -> float | None:
    """Return a cell's number, None if it isn't one."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _cut(text: str, delimiter: str) -> list[Row]:
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


def _with_decimal_points(rows: list[Row]) -> list[Row]:
    """Turn decimal commas into points, unless the file has both; names and labels keep theirs."""
    numbers = [
        cell for _, cells in rows for cell in cells if number_of(cell.replace(",", ".")) is not None
    ]
    with_comma = next((cell for cell in numbers if "," in cell), None)
    with_point = next((cell for cell in numbers if "." in cell), None)
    if with_comma is None:
        return rows
    if with_point is not None:
        raise ValueError(
            f"its numbers have decimal points and decimal commas, {with_point} and {with_comma}"
        )
    return [(line, [_with_point(cell) for cell in cells]) for line, cells in rows]


def _with_point(cell: str) -> str:
    with_point = cell.replace(",", ".")
    return cell if number_of(with_point) is None else with_point


def _is_header(cells: list[str], labels: Collection[str]) -> bool:
    """Return whether a first line names the columns: see the rules at the top."""
    numbers = [(i, cell) for i, cell in enumerate(cells) if number_of(cell) is not None]
    if numbers and cells[-1] in labels:
        return False
    return not numbers or (len(cells) >= 3 and all(cell == str(i) for i, cell in numbers))
