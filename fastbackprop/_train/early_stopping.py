"""EarlyStopping: the best epoch's weights, and an end where nothing improves."""

from typing import Any, NamedTuple

import numpy as np

from fastbackprop._compare.monitor import Monitor
from fastbackprop._core.buffers import aligned_empty
from fastbackprop._core.naming import unusual
from fastbackprop._core.validation import check_integer, check_like, check_true_false
from fastbackprop._train.callback import Callback

__all__ = ["EarlyStopping"]


class _Best(NamedTuple):
    """The best epoch so far: replaced as a whole, so that Ctrl-C finds all of it or none."""

    value: float
    epoch: int
    room: np.ndarray | None  # weights and optimizer state; None where they aren't kept


class EarlyStopping(Callback):
    """Ends a fit that doesn't improve any more, and leaves the weights of its best epoch.

    Parameters
    ----------
    monitor : str, default="validation_loss"
        Figure of the history to look at: "loss", a metric, or one of them behind "validation_".
    patience : int, default=10
        Epochs without improvement after which the fit ends.
    min_delta : float, default=0
        A value is an improvement if it is better than the best one by more than this.
    mode : str, default="auto"
        "min" where small values are good, "max" where large ones are; "auto" knows it of losses and
        metrics, and of functions that end in "_loss", "_error" or "_score".
    restore_best_weights : bool, default=True
        Whether the fit leaves the weights and optimizer state of the best epoch *however* it ends:
        also where the epochs are over, at Ctrl-C, at an exception of another callback, and where
        training diverges. If no epoch was best, they stay as they are.

    Attributes
    ----------
    best : float
        The best value of this fit, or of the last one; NaN is never best, and of equal values the
        first is.
    best_epoch : int
        The epoch of it, counted from 1; 0 before the first.
    stopped_epoch : int
        The epoch after which this has ended the fit, 0 if it hasn't.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range; by ``fit``, before it trains, if the monitor isn't there:
        for instance where there is no validation data.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 2.0, 3.0]
    >>> trainer = fb.Trainer(fb.mlp([1, 1], seed=0), "half_squared_error", fb.SGD(0.3), seed=0)
    >>> stopping = fb.EarlyStopping(patience=3)
    >>> history = trainer.fit(
    ...     X, y, epochs=10_000, validation_data=([[0.5]], [1.6]), callbacks=[stopping]
    ... )
    >>> len(history) == stopping.stopped_epoch == stopping.best_epoch + 3
    True
    >>> trainer.evaluate([[0.5]], [1.6])["loss"] == stopping.best
    True
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        patience: int = 10,
        min_delta: float = 0.0,
        mode: str = "auto",
        restore_best_weights: bool = True,
    ) -> None:
        self._monitor = Monitor("EarlyStopping", monitor, mode, min_delta)
        self.patience = check_integer("patience", patience)
        self.restore_best_weights = check_true_false("restore_best_weights", restore_best_weights)
        self._begin()

    def _begin(self) -> None:
        self._best = _Best(self._monitor.worst, 0, None)
        self._n_waited = self.stopped_epoch = 0

    @property
    def monitor(self) -> str:
        """Figure of the history."""
        return self._monitor.name

    @property
    def min_delta(self) -> float:
        """Least improvement that counts."""
        return self._monitor.min_delta

    @property
    def mode(self) -> str:
        """What is better."""
        return self._monitor.mode

    @property
    def best(self) -> float:
        """The best value so far."""
        return self._best.value

    @property
    def best_epoch(self) -> int:
        """Its epoch."""
        return self._best.epoch

    def on_fit_begin(self, trainer: Any) -> None:
        """Begin anew: see Callback.

        Parameters
        ----------
        trainer : Trainer
            The trainer.
        """
        self._begin()

    def on_epoch_end(self, trainer: Any, history: Any) -> None:
        """Keep the weights if they are better, or end the fit: see Callback.

        Parameters
        ----------
        trainer, history : Trainer and History
            Where the fit is.
        """
        value, best = getattr(history, self.monitor)[-1], self._best
        if self._monitor.is_better(value, best.value):
            room = trainer._state.copy() if self.restore_best_weights else None
            self._best, self._n_waited = _Best(value, trainer._state.epoch, room), 0
            return
        self._n_waited += 1
        if self._n_waited >= self.patience:
            self.stopped_epoch = trainer._state.epoch
            trainer.stop_training = True

    def _check(self, figures: dict[str, bool]) -> None:
        self._monitor.check(figures)

    def _keeps(self) -> str | None:
        if self._best.room is None:
            return None
        return f"of epoch {self.best_epoch}, the best by {self.monitor}"

    def _settle(self, trainer: Any) -> None:
        if self._best.room is not None:
            trainer._state.put_back(self._best.room, self.best_epoch)
            self._best = self._best._replace(room=None)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint stores: see Callback.

        Returns
        -------
        dict
            The best value and epoch, the epochs since then, and the weights of the best epoch with
            the optimizer's state, as the model lays them out.
        """
        best = self._best
        return {
            "best": best.value,
            "best_epoch": best.epoch,
            "n_waited": self._n_waited,
            "stopped_epoch": self.stopped_epoch,
            "weights": None if best.room is None else best.room.copy(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a stored state: see Callback.

        Parameters
        ----------
        state : dict
            What ``state`` has returned.
        """
        weights = state["weights"]
        if weights is not None:
            room = aligned_empty(weights.size, weights.dtype)
            room[:] = weights
            weights = room
        self._best = _Best(float(state["best"]), int(state["best_epoch"]), weights)
        self._n_waited = int(state["n_waited"])
        self.stopped_epoch = int(state.get("stopped_epoch", 0))

    def _go_on(self, trainer: Any) -> None:
        room, state = self._best.room, trainer._state
        if room is None:
            return
        try:
            check_like("the best weights of EarlyStopping", room, state.copy())
        except ValueError:
            self._begin()  # or they would be put back
            raise

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: no weights of a model that is elsewhere."""
        return {**self.__dict__, "_best": self._best._replace(room=None)}

    def __repr__(self) -> str:
        more = unusual(
            {
                "min_delta": (self.min_delta, 0.0),
                "mode": (self.mode, "auto"),
                "restore_best_weights": (self.restore_best_weights, True),
            }
        )
        return f"EarlyStopping(monitor={self.monitor!r}, patience={self.patience}{more})"
