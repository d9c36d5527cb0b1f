"""The statistics that columns are scaled by: of rows of any source, a part of them at a time."""

from collections.abc import Iterator

import numpy as np

from fastbackprop._core.rows import PART, Rows
from fastbackprop._core.scaling import ColumnScale, mean_and_deviation, median_and_range

__all__ = ["robust_scale", "standard_scale", "standard_scale_of_targets"]

MOST_BYTES = 4 * PART  # of whole columns, whose quartiles need all rows


def standard_scale(rows: Rows) -> ColumnScale:
    """Return the means and standard deviations of columns."""
    rows = rows.in_double()

    def pieces() -> Iterator[np.ndarray]:
        # As many whatever the source, so that sums have one order.
        for _, part in rows.parts(rows.rows_in(PART)):
            yield part

    return mean_and_deviation(pieces)


def robust_scale(rows: Rows) -> ColumnScale:
    """Return the medians and interquartile ranges of columns."""
    rows = rows.in_double()
    n_rows, n_columns = rows.shape
    size = max(1, MOST_BYTES // (n_rows * rows.dtype.itemsize))
    groups = (slice(first, first + size) for first in range(0, n_columns, size))
    return median_and_range(rows.whole_columns(some) for some in groups)


def standard_scale_of_targets(values: np.ndarray) -> ColumnScale:
    """Return the means and standard deviations of the targets that aren't missing (NaN)."""
    centers, scales = np.zeros(values.shape[1]), np.ones(values.shape[1])
    for k, column in enumerate(values.T):
        numbers = column[~np.isnan(column)]
        if len(numbers):
            of_column = mean_and_deviation(lambda: iter([numbers[:, np.newaxis]]))  # noqa: B023
            centers[k], scales[k] = of_column.center[0], of_column.scale[0]
    return ColumnScale(centers, scales)
