"""How many threads share a piece of work, and the parked threads themselves.

Workers are Python threads that wait in a queue, without spinning, for work of the
kernels; they enter it once per call, without the GIL. Nobody depends on them: work
whose helpers come late, or can't be started, is done by the thread that asked for it (see
_kernels/run/team.pxi). They leave before a fork; parent and child start new ones when they need
them.
"""

import _thread
import math
import os
import threading
import time
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from fastbackprop._core.limit import MOST_THREADS, at_work, begin, granted, limit_of_process
from fastbackprop._core.sharing import LEAST_SHARED, Phase, worth
from fastbackprop._core.validation import check_integer

__all__ = [
    "MOST_THREADS",
    "available_cpus",
    "check_n_threads",
    "get_num_threads",
    "most_calls",
    "most_threads",
    "run",
    "share_of_work",
]

ENVIRONMENT_VARIABLES = ("FASTBACKPROP_NUM_THREADS", "OMP_NUM_THREADS")

# For so many calls per core there is scratch: a thread may have lost its core in the middle of one.
CALLS_PER_CORE = 2

CGROUPS_OF_PROCESS, CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")

TASKS = Path("/proc/self/task")  # this process's threads, where the system is Linux
PATIENCE = 1.0  # seconds that a fork waits for idle helpers, which leave in less than 1 ms

# Seconds that the last call of any thread waited until it had Python's lock (the GIL) again: who
# else computes is the same for all threads.
last_wait = 0.0


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


@cache
def most_calls() -> int:
    """For how many calls at once of one model to have scratch that nobody has to wait for."""
    return CALLS_PER_CORE * (os.cpu_count() or 1)


def check_n_threads(n_threads: object) -> int | None:
    """Return the number of threads that the argument orders, None if it leaves that to us.

    An environment variable of ours that is no number of threads is refused where it would count.
    """
    if n_threads is not None:
        return _at_most("n_threads", check_integer("n_threads", n_threads))
    _limit_of_environment()
    return None


def _limit_of_environment() -> int:
    """The most threads that the environment allows; MOST_THREADS where it says nothing."""
    ours, common = (os.environ.get(name, "").strip() for name in ENVIRONMENT_VARIABLES)
    if ours:
        if not ours.isdecimal() or len(ours) > 9 or int(ours) < 1:
            raise ValueError(
                f"{ENVIRONMENT_VARIABLES[0]} must be an integer of at least 1, got {ours!r}."
            )
        return _at_most(ENVIRONMENT_VARIABLES[0], int(ours))
    # OpenMP allows a list, for nested levels; what it would ignore is ignored.
    first = common.split(",")[0].strip()
    if first.isdecimal() and int(first[:9]) > 0:
        return min(int(first[:9]), MOST_THREADS)
    return MOST_THREADS


def _at_most(what: str, n_threads: int) -> int:
    if n_threads > MOST_THREADS:
        raise ValueError(f"{what} must be at most {MOST_THREADS:,}, got {n_threads:,}.")
    return n_threads


def most_threads() -> int:
    """The most threads that work gets unless ``n_threads`` orders more."""
    return min(available_cpus(), _limit_of_environment())


def get_num_threads() -> int:
    """Return the most threads that a call takes unless ``n_threads=`` orders more.

    Returns
    -------
    int
        The least of what ``set_num_threads``, FASTBACKPROP_NUM_THREADS (or else OMP_NUM_THREADS),
        the affinity of the process and its container allow.

    Raises
    ------
    ValueError
        If FASTBACKPROP_NUM_THREADS isn't a number of threads.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.get_num_threads() >= 1
    True
    """
    return min(most_threads(), limit_of_process())


def share_of_work(n_threads: int | None, work: float | tuple[Phase, ...]) -> tuple[int, bool]:
    """Return how many threads to use, and whether they are more than CPUs.

    Calls of other Python threads that are at work have theirs already.

    Parameters
    ----------
    n_threads : int or None
        What ``check_n_threads`` returned: an order, or None for as many as the work is worth,
        within ``most_threads``.
    work : float or tuple of Phase
        Floating-point operations between two meetings of the threads, in pieces as small as one
        likes; or all phases of what is repeated.
    """
    if n_threads is not None:
        n_threads = granted(n_threads, MOST_THREADS)
        return n_threads, n_threads > 1 and n_threads > available_cpus()
    phases = work if isinstance(work, tuple) else (Phase(work, MOST_THREADS),)
    if sum(phase.operations for phase in phases) < LEAST_SHARED:
        return 1, False
    most = most_threads()
    return granted(worth(phases, most), most), False


class _Workers:
    """Threads parked in a queue; more of them as they are needed."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[Any] = SimpleQueue()
        self.n_started = 0
        self.starting = threading.Lock()
        self.leading: set[int] = set()  # threads whose calls are at work
        # The system's numbers of all helpers that have come, and of those that have said goodbye.
        self.come: set[int] = set()
        self.gone: set[int] = set()

    def start(self, n_helpers: int) -> None:
        """Have at least so many, as far as the system lets threads start."""
        if self.n_started >= n_helpers:
            return
        with self.starting:
            while self.n_started < n_helpers:
                try:
                    # threading.Thread.start() waits until the thread says that it has begun: for
                    # ever, if memory ends there.
                    _thread.start_new_thread(self.serve, ())
                except (RuntimeError, MemoryError):
                    return  # a limit of threads, or Python is ending: helpers aren't needed
                self.n_started += 1

    def serve(self) -> None:
        """Wait for calls and help with them, in a thread of its own, until one is None."""
        number = threading.get_native_id()
        self.come.add(number)
        while (work := self.calls.get()) is not None:
            work.help()
            del work  # or the arrays of the last call would live as long as the worker waits
        self.calls.put(None)  # for the other helpers
        self.gone.add(number)

    def can_come(self) -> bool:
        """Whether there is somebody to call.

        Calls that nobody takes (a thread may have died of want of memory) must not pile up, since
        they keep arrays alive.
        """
        return self.n_started > 0 and self.calls.qsize() <= MOST_THREADS

    def send_away(self) -> None:
        """Let all leave, and wait until they have left, if no other thread has them at work."""
        if self.n_started == 0:
            return
        self.calls.put(None)
        end = time.monotonic() + PATIENCE
        while not self.leading - {threading.get_ident()} and time.monotonic() < end:
            if self.have_left():
                return
            time.sleep(0.0001)

    def have_left(self) -> bool:
        """Whether nobody is here any more."""
        if len(self.come) < self.n_started:
            return False  # one has been started, and begins in a moment
        if TASKS.exists():  # a thread is there for a moment after its last line of Python
            return not any((TASKS / str(number)).exists() for number in self.come.copy())
        return self.come == self.gone


_workers = _Workers()


def _send_workers_away() -> None:
    """Before a fork: Python 3.12 and later warn of a fork where there are other threads."""
    global _workers
    workers, _workers = _workers, _Workers()
    workers.send_away()


def _forget_workers() -> None:
    """Begin anew in a forked child: its threads are gone, its queue may be locked for ever."""
    global _workers
    _workers = _Workers()
    at_work.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_send_workers_away, after_in_child=_forget_workers)


def run(work: Any, n_threads: int) -> Any:
    """Do a Work of the kernels with this many threads; returns what its ``run`` returns."""
    global last_wait
    me = threading.get_ident()
    try:
        n_granted = begin(n_threads)
        if n_granted < n_threads:
            work.limit(n_granted)
            n_threads = n_granted
        result = work.run() if n_threads == 1 else _lead(work, n_threads - 1)
    finally:
        at_work.pop(me, None)
    last_wait = work.waited
    return result


def _lead(work: Any, n_helpers: int) -> Any:
    workers, me = _workers, threading.get_ident()  # a fork puts others in their place
    workers.start(n_helpers)
    try:
        workers.leading.add(me)
        # The kernels call the helpers themselves, and put is C: no Ctrl-C can come between that and
        # the work.
        return work.run(workers.calls.put if workers.can_come() else None)
    finally:
        workers.leading.discard(me)
