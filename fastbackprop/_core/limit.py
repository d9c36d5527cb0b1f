"""How many threads may compute at once in this process, all calls together."""

import threading
from types import TracebackType
from typing import Self

from fastbackprop._core.validation import check_integer

__all__ = ["Limit", "at_work", "begin", "granted", "limit_of_process", "set_num_threads"]

MOST_THREADS = 1024  # more is a mistake: each has scratch and a stack of its own

at_work: dict[int, int] = {}  # callers whose calls are at work, and the threads of each
_total: int | None = None  # what set_num_threads has said last


class Limit:
    """What ``set_num_threads`` returns: used by ``with``, it takes the limit back at the end."""

    def __init__(self, before: int | None) -> None:
        self._before = before

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        global _total
        _total = self._before


def set_num_threads(n_threads: int | None) -> Limit:
    """Set how many threads may compute at once in this process, all calls together.

    It wins over ``n_threads=`` and the environment variables. A call always has the thread that
    makes it; others help it only as long as no more than this are at work, so several Python
    threads that call at once share them. Results don't depend on it.

    Parameters
    ----------
    n_threads : int or None
        The most threads, at least 1; None is no limit.

    Returns
    -------
    Limit
        ``with set_num_threads(1): ...`` takes the limit back behind the block; without ``with`` it
        stays.

    Raises
    ------
    ValueError, TypeError
        If it isn't an integer from 1 to 1,024.

    Notes
    -----
    The limit is the process's, not a Python thread's. A forked child has its parent's; other new
    processes begin without one, and take what the environment says (joblib's workers find a share
    of the cores there).

    Examples
    --------
    >>> import fastbackprop as fb
    >>> with fb.set_num_threads(2):
    ...     fb.get_num_threads() <= 2
    True
    """
    global _total
    if n_threads is not None:
        n_threads = check_integer("n_threads", n_threads)
        if n_threads > MOST_THREADS:
            raise ValueError(f"n_threads must be at most {MOST_THREADS:,}, got {n_threads:,}.")
    before, _total = _total, n_threads
    return Limit(before)


def limit_of_process() -> int:
    """Return the most threads of all calls together; MOST_THREADS where nobody has set them."""
    return MOST_THREADS if _total is None else _total


def begin(n_threads: int) -> int:
    """Note that the caller's call is at work; return how many threads it may have by now.

    Others may have begun since they were granted: who looks after having said so sees all who did
    before, so that two that begin at once may both take too few, and never too many.
    """
    me = threading.get_ident()
    at_work[me] = n_threads
    if _total is not None:
        n_threads = at_work[me] = granted(n_threads, MOST_THREADS)
    return n_threads


def granted(n_threads: int, most: int) -> int:
    """Return how many of so many threads a call may have, where ``most`` are for all calls."""
    if n_threads == 1:
        return 1
    others = sum(list(at_work.values())) - at_work.get(threading.get_ident(), 0)
    return max(1, min(n_threads, min(most, limit_of_process()) - others))
