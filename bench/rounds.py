"""Measures runners against each other: in many short rounds, each once a round; medians of all.

A machine's speed changes from second to second, with its clock and its neighbours. What
is measured within one round has met the same conditions.
"""

import gc
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

# how long a runner is measured in one round: long for the clock, short for the machine's moods
ROUND_SECONDS = 0.012
CALIBRATION_SECONDS = 0.004
MINIMUM_ROUNDS = 5


@dataclass
class Entry:
    """A runner in the rounds.

    Attributes
    ----------
    label, way : str
        Name of the library, and how it does it.
    timed : callable
        Takes a number of units (steps, calls) and returns what is called with the clock running.
    multiple : int
        The number of units must be a multiple of this: the steps of an epoch, for those who can't
        do less.
    begin : callable
        Called before each measurement: brings back the initial weights.
    """

    label: str
    way: str
    timed: Callable[[int], Callable[[], object]]
    multiple: int = 1
    begin: Callable[[], object] = lambda: None
    units: int = 0
    run: Callable[[], object] = lambda: None
    seconds: list[float] = field(default_factory=list)  # of one unit, in each round

    @property
    def median(self) -> float:
        """Median of the seconds of a unit."""
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Quartiles, between which half of the rounds lay."""
        lower, _, upper = statistics.quantiles(self.seconds, n=4)
        return lower, upper


def clocked(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def calibrate(entry: Entry) -> float:
    """Find out how many units fill a round; return the seconds of one."""
    units = entry.multiple
    entry.begin()
    entry.timed(units)()  # compiles, allocates, fills caches
    while True:
        run = entry.timed(units)
        entry.begin()
        # The least of some: one that was interrupted would make the rounds too short.
        seconds = min(clocked(run) for _ in range(3))
        if seconds >= CALIBRATION_SECONDS:
            break
        units *= 2 if seconds > CALIBRATION_SECONDS / 8 else 8
    of_one = seconds / units
    entry.units = max(1, round(ROUND_SECONDS / of_one / entry.multiple)) * entry.multiple
    entry.run = entry.timed(entry.units)
    return of_one


def interleave(
    entries: list[Entry], seconds: float, settling: float, between: Callable[[], object]
) -> None:
    """Measure all entries, in a new order each round, until the time is over.

    Parameters
    ----------
    entries : list of Entry
        Runners, calibrated; their ``seconds`` are filled.
    seconds : float
        Time to spend, at least for ``MINIMUM_ROUNDS``.
    settling : float
        Seconds of sleep before each measurement: a worker thread of the runner before
        may still spin.
    between : callable
        Called once a round: measures the peak of the machine.
    """
    shuffle = random.Random(0).shuffle
    end = time.perf_counter() + seconds
    n_rounds = 0
    gc.collect()
    gc.freeze()  # all that the libraries hold, so that a collection between rounds is short
    gc.disable()
    try:
        while n_rounds < MINIMUM_ROUNDS or time.perf_counter() < end:
            between()
            shuffle(entries)
            for entry in entries:
                time.sleep(settling)
                entry.begin()
                if n_rounds == 0 or entry.seconds[-1] * entry.units < 4 * ROUND_SECONDS:
                    entry.run()  # caches and clock; a long run warms up by itself
                entry.seconds.append(clocked(entry.run) / entry.units)
            gc.collect()
            n_rounds += 1
    finally:
        gc.enable()
        gc.unfreeze()
