"""How much the kernels do between two visits to Python, where Ctrl-C and the progress bar wait."""

import time
from collections.abc import Iterator

import numpy as np

from fastbackprop._core import threads
from fastbackprop._core.rows import Rows

__all__ = ["Visits"]

# About 10 ms near the peak of a core, 0.2 s far below it.
OPERATIONS_PER_CALL = 1e9

# Where coming back takes long, calls last this many times as long as that, but not longer than
# Ctrl-C and the progress bar may wait.
CALL_PER_WAIT = 20
LONGEST_CALL = 0.1  # seconds


class Visits:
    """Cuts work into calls of the kernels.

    After each call Python's lock (the GIL) must be got back. Where another Python thread computes,
    that takes its switch interval, 5 ms, and helpers wait as long before they begin. Then the calls
    become longer, so that waiting stays a small part of the time. Results don't depend on it.
    """

    def __init__(self) -> None:
        self._longer = 1.0  # than OPERATIONS_PER_CALL

    def parts(
        self, n: int, unit: int, operations: float, most_rows: int | None = None
    ) -> Iterator[tuple[int, int]]:
        """Yield (first, last) rows of each call, in order.

        Parameters
        ----------
        n : int
            Rows in all.
        unit : int
            Rows that stay together; only the last unit may be shorter.
        operations : float
            Floating-point operations of one unit.
        most_rows : int, optional
            Rows that one call may have at most, unless one unit has more.
        """
        first = 0
        while first < n:
            n_units = max(1, int(self._longer * OPERATIONS_PER_CALL / operations))
            if most_rows is not None:
                n_units = max(1, min(n_units, most_rows // unit))
            last = min(first + n_units * unit, n)
            start = time.perf_counter()
            yield first, last
            seconds = time.perf_counter() - start - threads.last_wait
            done = (last - first) / unit * operations
            self._longer = _longer(seconds * OPERATIONS_PER_CALL / done)
            first = last

    def parts_of(
        self, rows: Rows, unit: int, operations: float
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the number of a first row, and the rows of one call from there on.

        They are converted so many at a time as memory allows; units stay together as in ``parts``.
        """
        for start, converted in rows.parts(max(1, len(rows))):
            for first, last in self.parts(len(converted), unit, operations):
                yield start + first, converted[first:last]


def _longer(seconds: float) -> float:
    """Return how many times longer a call should be that takes so many seconds."""
    wanted = min(CALL_PER_WAIT * threads.last_wait, LONGEST_CALL)
    return wanted / seconds if 0 < seconds < wanted else 1.0
