"""Random words: raw 64-bit words of NumPy's PCG64, for whoever keeps a generator for long."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["RawWords"]

_process = 0  # a number for each of the forked processes, without a call of the system


def _count_fork() -> None:
    """Number a forked child."""
    global _process
    _process += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


class RawWords:
    """Raw words of a PCG64, which a forked child goes on with.

    NumPy's generator has a lock, which another thread may hold at the moment of a fork: in the
    child nobody would open it. So the child takes a new generator, behind the last whole draw.

    Parameters
    ----------
    seed : SeedSequence
        Seed from which the first state is made.
    """

    def __init__(self, seed: np.random.SeedSequence) -> None:
        self._generator = np.random.PCG64(seed)
        self._first_state, self._n_drawn = self._generator.state, 0
        self._n_skipped = 0  # of these, that the generator has still to pass
        self._process = _process

    def random_raw(self, size: int) -> np.ndarray:
        """Draw so many words."""
        if self._process != _process:
            self.__setstate__(self.__getstate__())
        if self._n_skipped:
            skipped, self._n_skipped = self._n_skipped, 0
            self._generator.advance(skipped)
        words = self._generator.random_raw(size)
        self._n_drawn += size
        return words

    def skip(self, size: int) -> None:
        """Leave out so many words, as if they had been drawn."""
        self._n_drawn += size
        self._n_skipped += size

    def backwards(self, size: int, at_most: int) -> Iterator[tuple[int, np.ndarray]]:
        """Draw so many words, and yield them in parts, the last part first.

        Each part comes with the place of its first word: memory is that of one part.
        """
        if size <= at_most:  # the usual case, without the microseconds that going back takes
            yield 0, self.random_raw(size)
            return
        first_state, n_before = self.__getstate__()
        for first in reversed(range(0, size, at_most)):
            self.__setstate__((first_state, n_before + first))
            yield first, self._generator.random_raw(min(at_most, size - first))
        self.__setstate__((first_state, n_before + size))

    def apart(self, size: int) -> np.ndarray:
        """Return so many words of the same seed, always the same, that ``random_raw`` never has."""
        generator = np.random.PCG64(0)
        generator.state = self._first_state
        return generator.jumped().random_raw(size)

    def restart(self) -> None:
        """Go back to before the first draw."""
        self.__setstate__((self._first_state, 0))

    def __getstate__(self) -> Any:
        return self._first_state, self._n_drawn

    def __setstate__(self, state: Any) -> None:
        self._first_state, self._n_drawn = state
        self._generator = np.random.PCG64(0)
        self._generator.state = self._first_state
        self._generator.advance(self._n_drawn)
        self._n_skipped = 0
        self._process = _process
