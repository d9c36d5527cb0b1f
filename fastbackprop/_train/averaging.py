"""WeightAveraging: means of weights over steps or epochs."""

from typing import Any

import numpy as np

from fastbackprop._core.arithmetic import exact_mode
from fastbackprop._core.buffers import aligned_empty
from fastbackprop._core.naming import unusual
from fastbackprop._core.validation import check_integer, check_like, check_real
from fastbackprop._train.callback import Callback

__all__ = ["WeightAveraging"]


class WeightAveraging(Callback):
    """Validates with the average of the weights, and leaves it in the model at the end.

    With ``decay`` it is the exponential moving average of the weights after each step (Polyak and
    Juditsky 1992): average <- decay * average + (1 - decay) * weights, from those after the first
    step on. With ``decay=None`` it is the plain mean of the weights at the ends of epochs
    (stochastic weight averaging, Izmailov et al. 2018).

    Parameters
    ----------
    decay : float or None, default=0.999
        How much of the average is kept at each step, at least 0 and below 1; None averages over
        epochs.
    start_epoch : int, default=1
        The epoch with which averaging begins.

    Notes
    -----
    Training goes on with the weights as they are; metrics and validation see the average, also
    where ``EarlyStopping`` keeps the best. It is left in the model however the fit ends, unless
    training diverged. Running statistics are averaged as weights are. With ``decay`` each step is a
    call of the kernels, and one of Python.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> trainer = fb.Trainer(fb.mlp([1, 1], seed=0), "half_squared_error", fb.SGD(0.5), seed=0)
    >>> averaging = fb.WeightAveraging(0.9)
    >>> history = trainer.fit([[0.0], [1.0]], [1.0, 2.0], epochs=5, callbacks=[averaging])
    """

    def __init__(self, decay: float | None = 0.999, *, start_epoch: int = 1) -> None:
        self.decay = None if decay is None else check_real("decay", decay, at_least=0.0, below=1.0)
        self.start_epoch = check_integer("start_epoch", start_epoch)
        self._is_by_step = decay is not None
        self._begin()

    def _begin(self) -> None:
        self._average: np.ndarray | None = None
        self._n_averaged = 0

    def on_fit_begin(self, trainer: Any) -> None:
        """Begin anew: see Callback.

        Parameters
        ----------
        trainer : Trainer
            The trainer.
        """
        self._begin()

    def _after_step(self, trainer: Any) -> None:
        if trainer._state.epoch >= self.start_epoch:
            self._add(trainer, self.decay)

    def _before_validation(self, trainer: Any) -> None:
        if self.decay is None and trainer._state.epoch >= self.start_epoch:
            self._add(trainer, self._n_averaged / (self._n_averaged + 1))

    def _add(self, trainer: Any, decay: Any) -> None:
        """Take the weights of now into the average, which keeps so much of what it was."""
        values = trainer._state.parameters.store
        if self._average is None:
            average = aligned_empty(values.size, values.dtype)
            average[:] = values
            self._average = average
        else:
            with exact_mode():
                difference = values - self._average
                difference *= 1 - decay
                self._average += difference
        self._n_averaged += 1
        trainer._state.average = self._average

    def _settle(self, trainer: Any) -> None:
        if self._average is not None:
            if not trainer._state.has_diverged:
                np.copyto(trainer._state.parameters.store, self._average)
            self._average = trainer._state.average = None

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint stores: see Callback.

        Returns
        -------
        dict
            The average as the model lays out its weights, and of how many it is.
        """
        average = None if self._average is None else self._average.copy()
        return {"average": average, "n_averaged": self._n_averaged}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a stored state: see Callback.

        Parameters
        ----------
        state : dict
            What ``state`` has returned.
        """
        average = state["average"]
        if average is not None:
            room = aligned_empty(average.size, average.dtype)
            room[:] = average
            self._average = room
        self._n_averaged = int(state["n_averaged"])

    def _go_on(self, trainer: Any) -> None:
        if self._average is None:
            return
        try:
            weights = trainer._state.parameters.store
            check_like("the average of WeightAveraging", self._average, weights)
        except ValueError:
            self._begin()  # or it would be left in the model
            raise
        trainer._state.average = self._average

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: no weights of a model that is elsewhere."""
        return {**self.__dict__, "_average": None}

    def __repr__(self) -> str:
        more = unusual({"start_epoch": (self.start_epoch, 1)})
        return f"WeightAveraging({self.decay}{more})"
