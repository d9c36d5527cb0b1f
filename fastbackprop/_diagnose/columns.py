"""Columns of X or y in words, for findings."""

from collections.abc import Sequence

import numpy as np

__all__ = ["columns_in_words"]


def columns_in_words(
    indices: np.ndarray,
    numbers: np.ndarray,
    *,
    letter: str = "x",
    names: Sequence[str] | None = None,
    smallest_first: bool = False,
) -> tuple[str, float]:
    """Return the columns by the size of their numbers, and the number of the first.

    One is ``x[3]``; several are ``x[3] (806), x[5] (33) and 7 more``. Columns of a frame have their
    names behind: ``x[12] 'proline' (806)``.

    Parameters
    ----------
    indices : ndarray
        Indices of the columns, at least one.
    numbers : ndarray
        Number that was measured, for all columns.
    names : sequence of str, optional
        Names of all columns.
    """

    def name_of(i: int) -> str:
        return f"{letter}[{i}]" if names is None else f"{letter}[{i}] {names[i]!r}"

    sizes = abs(numbers[indices])
    order = indices[np.argsort(sizes if smallest_first else -sizes, kind="stable")]
    first = float(numbers[order[0]])
    if len(order) == 1:
        return name_of(order[0]), first
    listed = ", ".join(f"{name_of(i)} ({numbers[i]:.3g})" for i in order[:3])
    return listed if len(order) <= 3 else f"{listed} and {len(order) - 3:,} more", first
