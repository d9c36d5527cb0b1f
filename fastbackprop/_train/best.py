"""The weights that a fit goes back to where it diverges."""

import math
from collections import deque
from collections.abc import Callable

import numpy as np

from fastbackprop._core.buffers import Parameters, aligned_empty

__all__ = ["BestWeights", "put_back"]


def put_back(parameters: Parameters, state: np.ndarray, room: np.ndarray) -> None:
    """Let weights, running statistics and an optimizer's state be those of a copy.

    In one call of C, which nothing can interrupt: they belong together.
    """
    size = parameters.store.size
    deque(map(np.copyto, [parameters.store, state], [room[:size], room[size:]]), maxlen=0)


class BestWeights:
    """A copy of weights and optimizer state: of the best epoch so far, at first of the start.

    Parameters
    ----------
    parameters : Parameters
        Those of the model.
    state : ndarray
        The buffer of the optimizer's state.
    """

    def __init__(self, parameters: Parameters, state: np.ndarray) -> None:
        self._parameters, self._state = parameters, state
        size = parameters.store.size + state.size
        self._start = aligned_empty(size, parameters.values.dtype)
        parameters.save(state, self._start)
        self.room = self._start
        self.loss, self.epoch = math.inf, 0

    def note(self, epoch: int, loss: float) -> None:
        """Copy what is there at the end of an epoch, if its loss is the lowest so far."""
        if epoch == 1:
            self.room = aligned_empty(self._start.size, self._start.dtype)
        if loss < self.loss or epoch == 1:
            self._parameters.save(self._state, self.room)
            self.loss, self.epoch = loss, epoch

    @property
    def start(self) -> np.ndarray:
        """The copy of the start."""
        return self._start

    def restore(self, start: np.ndarray, room: np.ndarray, epoch: int, loss: float) -> None:
        """Take the copies of a fit that was interrupted."""
        self._start, self.room = start, room if epoch else start
        self.epoch, self.loss = epoch, loss

    def is_now(self) -> bool:
        """Whether the best epoch is the one that has just ended."""
        now = np.empty_like(self.room)
        self._parameters.save(self._state, now)
        return now.tobytes() == self.room.tobytes()

    def settle(self, loss_now: Callable[[], float]) -> None:
        """Go back to the start where the weights of the best epoch, already there, are worse.

        An epoch's loss is measured before its steps, so the last of them may have spoilt the
        weights of even the best.
        """
        if not self.epoch:
            return
        best_loss = loss_now()
        self._put_back(self._start)
        if best_loss <= loss_now():
            self._put_back(self.room)
        else:
            self.epoch = 0

    def put_back(self) -> None:
        """Go back to the best epoch, or to the start if none has ended."""
        self._put_back(self.room)

    def _put_back(self, room: np.ndarray) -> None:
        put_back(self._parameters, self._state, room)

    def __str__(self) -> str:
        return f"of epoch {self.epoch}, the best" if self.epoch else "of before the fit"
