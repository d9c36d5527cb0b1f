"""The weights that a fit goes back to where it diverges."""

import math

import numpy as np

from fastbackprop._core.buffers import Parameters, aligned_empty

__all__ = ["BestWeights"]


class BestWeights:
    """A copy of weights and optimizer state: of the best epoch so far, at first of the start.

    Parameters
    ----------
    parameters : Parameters
        Those of the model.
    state : ndarray or None
        The optimizer's state, if it has one.
    """

    def __init__(self, parameters: Parameters, state: np.ndarray | None) -> None:
        self._parameters, self._state = parameters, state
        size = parameters.values.size * (1 if state is None else 2)
        self.room = aligned_empty(size, parameters.values.dtype)
        self.loss, self.epoch = math.inf, 0
        parameters.save(state, self.room)

    def note(self, epoch: int, loss: float) -> None:
        """Copy what is there at the end of an epoch, if its loss is the lowest so far."""
        if loss < self.loss:
            self._parameters.save(self._state, self.room)
            self.loss, self.epoch = loss, epoch

    def __str__(self) -> str:
        return f"of epoch {self.epoch}, the best" if self.epoch else "of before the fit"
