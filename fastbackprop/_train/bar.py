"""tqdm's bar, on a terminal or in a notebook; imported when one is shown.

It is such that a fork neither warns of it nor hangs in it.
"""

import os
import threading
from typing import Any

from tqdm.auto import tqdm
from tqdm.std import TqdmDefaultWriteLock  # type: ignore[attr-defined]  # the stubs lack it

__all__ = ["Bar"]


class Bar(tqdm):
    """A tqdm bar without the monitor.

    The monitor is a thread that stays when the bar is gone, and Python 3.12 and later warn of forks
    where there are threads. It draws bars whose updates became rare, so ``miniters`` should be 1:
    then each update draws, unless it comes too soon after the last.
    """

    monitor_interval = 0


def _renew_locks() -> None:
    """Begin anew in a forked child: another thread may have held tqdm's lock of threads."""
    held = TqdmDefaultWriteLock.th_lock
    TqdmDefaultWriteLock.th_lock = threading.RLock()
    drawing: list[Any] = [vars(bar_class).get("_lock") for bar_class in Bar.__mro__]
    for lock in drawing:
        if isinstance(lock, TqdmDefaultWriteLock):
            lock.locks = [TqdmDefaultWriteLock.th_lock if x is held else x for x in lock.locks]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
