"""Random words: raw 64-bit words of NumPy's PCG64, for whoever keeps a generator for long."""

import os
from typing import Any

import numpy as np

__all__ = ["RawWords"]


class RawWords:
    """Raw words of a PCG64, which a forked child goes on with.

    NumPy's generator has a lock, which another thread may hold at the moment of the fork: in the
    child nobody would open it. So the child takes a new one, in the state after the last draw.

    Parameters
    ----------
    seed : SeedSequence
        What the first state is made from.
    """

    def __init__(self, seed: np.random.SeedSequence) -> None:
        self._use(np.random.PCG64(seed))

    def _use(self, generator: np.random.PCG64) -> None:
        self._generator, self._state = generator, generator.state
        self._process = os.getpid()

    def random_raw(self, size: int) -> np.ndarray:
        """Draw so many words."""
        if self._process != os.getpid():
            self.__setstate__(self._state)
        words = self._generator.random_raw(size)
        self._state = self._generator.state
        return words

    def __getstate__(self) -> Any:
        return self._state

    def __setstate__(self, state: Any) -> None:
        generator = np.random.PCG64(0)
        generator.state = state
        self._use(generator)
