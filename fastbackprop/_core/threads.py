"""How many threads share a piece of work, and the parked threads themselves.

Workers are Python threads that wait in a queue, without spinning, for work of the
kernels; they enter it once per call, without the GIL. Nobody depends on them: work
whose helpers come late is done by the thread that asked for it (see _kernels/run/team.pxi). They
belong to the process that started them: a forked child starts its own.
"""

import math
import os
import threading
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from fastbackprop._core.validation import check_integer

__all__ = [
    "MOST_THREADS",
    "OPERATIONS_PER_CALL",
    "available_cpus",
    "check_n_threads",
    "run",
    "share_of_work",
]

ENVIRONMENT_VARIABLES = ("FASTBACKPROP_NUM_THREADS", "OMP_NUM_THREADS")

# A thread more for each so many operations between two meetings of the threads: about
# 30 microseconds of work near the peak of a core, ten times what meeting takes.
OPERATIONS_PER_THREAD = 3e6

# Between two visits to Python (for Ctrl-C, for the progress bar) the kernels do at
# most about this many operations: 10 ms near the peak of a core, 0.2 s far below it.
OPERATIONS_PER_CALL = 1e9

CGROUPS_OF_PROCESS, CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")

MOST_THREADS = 1024  # more is a mistake: each has scratch and a stack of its own


def _quota_of(folder: Path) -> float:
    """CPUs' worth of time that one control group (version 2 or 1) may use; inf for no limit."""
    for names in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
        try:
            quota, period = (
                float(x) for x in " ".join((folder / name).read_text() for name in names).split()
            )
            if quota > 0 and period > 0:
                return quota / period
        except (OSError, ValueError):  # not there, or "max": no limit
            continue
    return math.inf


# reading files takes longer than many a call of the kernels; affinity is asked for each time
@cache
def _cgroup_quota() -> float:
    """The least quota of this process's control group and of those that it is in."""
    least = math.inf
    try:
        lines = CGROUPS_OF_PROCESS.read_text().splitlines()
    except OSError:
        return least
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if controllers and "cpu" not in controllers.split(","):
            continue
        for root in (
            (CGROUPS / controllers, CGROUPS / "cpu")
            if controllers
            else (CGROUPS, CGROUPS / "unified")
        ):
            group = root / path.lstrip(
                "/"
            )  # a container may know it by another path: then only the root is there
            least = min(
                [least, *(_quota_of(x) for x in (group, *group.parents) if x.is_relative_to(root))]
            )
    return least


def available_cpus() -> int:
    """CPUs that this process may use: affinity (taskset) and the container's quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return max(1, int(min(cpus, -(-_cgroup_quota() // 1))))


def check_n_threads(n_threads: object) -> int | None:
    """Return the number that argument or environment asks for; None leaves it to the work."""
    if n_threads is not None:
        return _at_most("n_threads", check_integer("n_threads", n_threads))
    ours, common = (os.environ.get(name, "").strip() for name in ENVIRONMENT_VARIABLES)
    if ours:
        if not ours.isdecimal() or len(ours) > 9 or int(ours) < 1:
            raise ValueError(
                f"{ENVIRONMENT_VARIABLES[0]} must be an integer of at least 1, got {ours!r}."
            )
        return _at_most(ENVIRONMENT_VARIABLES[0], int(ours))
    # OpenMP allows a list, for nested levels; what it would ignore is ignored.
    first = common.split(",")[0].strip()
    return min(int(first[:9]), MOST_THREADS) if first.isdecimal() and int(first[:9]) > 0 else None


def _at_most(what: str, n_threads: int) -> int:
    if n_threads > MOST_THREADS:
        raise ValueError(f"{what} must be at most {MOST_THREADS:,}, got {n_threads:,}.")
    return n_threads


def share_of_work(n_threads: int | None, operations: float) -> tuple[int, bool]:
    """Return how many threads to use, and whether they are more than CPUs.

    Parameters
    ----------
    n_threads : int or None
        What ``check_n_threads`` returned.
    operations : float
        Floating-point operations between two meetings of the threads.
    """
    if n_threads == 1 or (n_threads is None and operations < 2 * OPERATIONS_PER_THREAD):
        return 1, False
    cpus = available_cpus()
    if n_threads is None:
        return max(1, min(cpus, int(operations / OPERATIONS_PER_THREAD))), False
    return n_threads, n_threads > cpus


class _Workers:
    """Threads parked in a queue; more of them as they are needed."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[Any] = SimpleQueue()
        self.n_started = 0
        self.starting = threading.Lock()

    def start(self, n_helpers: int) -> None:
        """Have at least so many."""
        if self.n_started < n_helpers:
            with self.starting:
                while self.n_started < n_helpers:
                    name = f"fastbackprop-{self.n_started + 1}"
                    threading.Thread(
                        target=_serve, args=(self.calls,), name=name, daemon=True
                    ).start()
                    self.n_started += 1


def _serve(calls: "SimpleQueue[Any]") -> None:
    while True:
        work = calls.get()
        work.help()
        del work  # or the arrays of the last call would live as long as the worker waits


_workers = _Workers()


def _forget_workers() -> None:
    """In a forked child: its threads are gone, and the queue may be locked for ever."""
    global _workers
    _workers = _Workers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers)


def run(work: Any, n_threads: int) -> Any:
    """Do a Work of the kernels with this many threads; returns what its ``run`` returns."""
    if n_threads == 1:
        return work.run()
    _workers.start(n_threads - 1)
    # The kernels call the helpers themselves, and put is C: no Ctrl-C can come between that and the
    # work.
    return work.run(_workers.calls.put)
