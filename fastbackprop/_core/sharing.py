"""How many threads a piece of work is worth: a small model of chunks, and of what meetings cost.

The larger one, with the traffic between caches, is bench/scaling_model.py, which measures the
costs; bench/README.md has its table.
"""

from functools import lru_cache
from typing import NamedTuple

from fastbackprop._core import cpu

__all__ = ["LEAST_SHARED", "ROWS_SHARE", "Phase", "near_weights", "phases_of_step", "worth"]

# A thread more for each so many operations between two meetings of the threads: about
# 30 microseconds of work near the peak of a core, ten times what a meeting of two takes.
OPERATIONS_PER_THREAD = 3e6
LEAST_SHARED = 2 * OPERATIONS_PER_THREAD

# What a meeting costs for each thread in it, in operations that a core could do meanwhile: two
# cache lines that go from core to core, one after the other, 60 nanoseconds each.
OPERATIONS_PER_MEETING = 3e4

# The shortest time isn't worth threads that bring less than this of it: others have work for them.
SPARED = 0.03

ROWS_SHARE = 2 / 3  # of a step's operations: forward and blame; the rest corrects weights


# How many second caches of weights, in forward and blame, a core reads again and again without
# waiting much for the third: as measured.
NEAR_CACHES = 4
USUAL_CACHE = 1 << 20  # bytes, where the CPU doesn't say


class Phase(NamedTuple):
    """What threads do between two meetings.

    Parameters
    ----------
    operations : float
        Of all threads together.
    n_chunks : int
        The most pieces that it can be cut into; no more threads than that can help.
    """

    operations: float
    n_chunks: int


def phases_of_step(operations: float, n_chunks: int, n_pieces: int) -> tuple[Phase, Phase]:
    """Return the phases of a training step, of so many chunks of rows and of weights."""
    of_rows = ROWS_SHARE * operations
    return Phase(of_rows, n_chunks), Phase(operations - of_rows, max(1, n_pieces))


@lru_cache(maxsize=1024)
def worth(phases: tuple[Phase, ...], most: int) -> int:
    """Return how many threads the phases are worth, at most so many."""
    total = sum(phase.operations for phase in phases)
    most = min(most, int(total / OPERATIONS_PER_THREAD), max(x.n_chunks for x in phases))
    needed = [total, *(_needed(phases, n) for n in range(2, most + 1))]
    enough = min(needed) * (1 + SPARED)
    return 1 + next(i for i, operations in enumerate(needed) if operations <= enough)


def _needed(phases: tuple[Phase, ...], n_threads: int) -> float:
    """Return how many operations one core could do while so many threads do these phases."""
    of_busiest = (x.operations / x.n_chunks * -(-x.n_chunks // n_threads) for x in phases)
    return sum(of_busiest) + len(phases) * n_threads * OPERATIONS_PER_MEETING


@lru_cache(maxsize=1)
def near_weights() -> int:
    """Bytes of weights up to which threads take rows through all layers, instead of meeting."""
    return NEAR_CACHES * (cpu.second_cache() or USUAL_CACHE)
