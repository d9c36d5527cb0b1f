"""Finds inputs whose values become the same number where they are rounded to float32."""

from collections.abc import Iterator, Sequence

import numpy as np

from fastbackprop._core.rows import Rows
from fastbackprop._diagnose.columns import columns_in_words
from fastbackprop._diagnose.findings import Finding

__all__ = ["lost_columns", "lost_inputs"]

LEFT = 0.9  # of a column's values: where a few meet by chance nothing is lost
NOISE = 1e-15  # a column's range by its size: what differs less is float64's own rounding


def lost_columns(source: Rows | None, rows: np.ndarray) -> dict[int, tuple[int, int]]:
    """Return columns that lose values in float32: how many they have, and how many are left.

    Parameters
    ----------
    source : Rows or None
        Rows as the user has them, in float64; None where the model's dtype holds them.
    rows : ndarray
        Indices of those that are looked at.
    """
    if source is None:
        return {}
    x = source[rows]
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = x.astype(np.float32)
        is_wide = np.ptp(x, axis=0) > NOISE * np.abs(x).max(axis=0)
    lost = {}
    for k in np.flatnonzero(is_wide & (narrow != x).any(axis=0)).tolist():
        n_values, n_left = len(np.unique(x[:, k])), len(np.unique(narrow[:, k]))
        if n_left < LEFT * n_values:
            lost[k] = n_values, n_left
    return lost


def lost_inputs(
    lost: dict[int, tuple[int, int]], n_columns: int, names: Sequence[str] | None
) -> Iterator[Finding]:
    """Say which columns they are, and what keeps their values apart."""
    if not lost:
        return
    left = np.full(n_columns, np.inf)
    for k, (_, n_left) in lost.items():
        left[k] = n_left
    first = min(lost, key=lambda k: lost[k][1])
    one, _ = columns_in_words(np.array([first]), left, names=names)
    n_values, n_left = lost[first]
    yield Finding(
        "inputs lost in float32",
        *columns_in_words(np.array(list(lost)), left, names=names, smallest_first=True),
        f"{one} has {n_values:,} values, {n_left:,} of them left in float32: scale inside the "
        f"model, or dtype='float64'.",
    )
