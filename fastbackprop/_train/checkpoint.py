"""Checkpoint: writes down where a fit is, again and again."""

import os
import time
from pathlib import Path
from typing import Any, ClassVar

from fastbackprop._compare.monitor import Monitor
from fastbackprop._core.naming import unusual
from fastbackprop._core.validation import check_integer, check_real, check_true_false
from fastbackprop._train.callback import Callback

__all__ = ["Checkpoint"]


class Checkpoint(Callback):
    """Writes a checkpoint while a fit goes on; ``Trainer.resume`` and the same fit finish it.

    The file is replaced whole: whenever the process is killed, or the machine stops, the one before
    or the new one is there.

    Parameters
    ----------
    path : str or path-like
        The file.
    every_epochs : int or None, default=1
        Number of epochs after which it is written; None leaves it to ``every_seconds``.
    every_seconds : float, optional
        Seconds after which it is written as well, at the end of a step, above 0.
    keep_best : bool, default=False
        Whether it is written at ends of epochs only, and only where the validation loss (without
        validation data the loss) is lower than at any end before: the file has the best of these.
        ``fastbackprop.load`` reads its model, whose weights are those that were validated: beside
        ``WeightAveraging`` the average. ``Trainer.resume`` goes on with those of training.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    See Also
    --------
    Trainer.save_checkpoint : What it calls.
    Trainer.resume : The way back.

    Examples
    --------
    >>> import os, tempfile
    >>> import fastbackprop as fb
    >>> path = os.path.join(tempfile.mkdtemp(), "fit.checkpoint")
    >>> if os.path.exists(path):
    ...     trainer = fb.Trainer.resume(path)
    ... else:
    ...     trainer = fb.Trainer(fb.mlp([1, 4, 1], seed=0), "half_squared_error", "adam", seed=0)
    >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]
    >>> history = trainer.fit(X, y, epochs=10, callbacks=[fb.Checkpoint(path)])
    >>> fb.Trainer.resume(path).fit(X, y, epochs=10) == history
    True
    """

    _rank: ClassVar[int] = 1  # what others know of the epoch is written down, too

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        every_epochs: int | None = 1,
        every_seconds: float | None = None,
        keep_best: bool = False,
    ) -> None:
        self.path = Path(path)
        self.every_epochs = (
            None if every_epochs is None else check_integer("every_epochs", every_epochs)
        )
        self.every_seconds = (
            None if every_seconds is None else check_real("every_seconds", every_seconds, above=0.0)
        )
        if self.every_epochs is None and self.every_seconds is None:
            raise ValueError("every_epochs or every_seconds must be given, got None for both.")
        self.keep_best = check_true_false("keep_best", keep_best)
        self._begin()

    def _begin(self) -> None:
        self._best = Monitor("Checkpoint", "loss", "min").worst
        self._last = time.monotonic()

    @property
    def best(self) -> float:
        """The loss of what is in the file, where the best is kept."""
        return self._best

    def on_fit_begin(self, trainer: Any) -> None:
        """Begin anew: see Callback.

        Parameters
        ----------
        trainer : Trainer
            The trainer.
        """
        self._begin()

    def on_epoch_end(self, trainer: Any, history: Any) -> None:
        """Write, if it is time: see Callback.

        Parameters
        ----------
        trainer, history : Trainer and History
            Where the fit is.
        """
        is_due = self.every_epochs is not None and len(history) % self.every_epochs == 0
        if not is_due and not self._is_time():
            return
        if self.keep_best:
            value = (history.validation_loss or history.loss)[-1]
            if not value < self._best:  # NaN is never best
                return
            self._best = value
        self._write(trainer)

    def _after_steps(self, trainer: Any, n_rows: int) -> None:
        # Behind the last step the end of the epoch is near, and has more to say.
        is_last = trainer._plan is not None and trainer._state.sums.row == trainer._plan.data.n_used
        if self._is_time() and not self.keep_best and not is_last:
            self._write(trainer)

    def _is_time(self) -> bool:
        every = self.every_seconds
        return every is not None and time.monotonic() - self._last >= every

    def _write(self, trainer: Any) -> None:
        trainer.save_checkpoint(self.path)
        self._last = time.monotonic()

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint stores: see Callback.

        Returns
        -------
        dict
            The loss of what is in the file.
        """
        return {"best": self._best}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a stored state: see Callback.

        Parameters
        ----------
        state : dict
            What ``state`` has returned.
        """
        self._best = float(state["best"])

    def __repr__(self) -> str:
        more = unusual(
            {
                "every_epochs": (self.every_epochs, 1),
                "every_seconds": (self.every_seconds, None),
                "keep_best": (self.keep_best, False),
            }
        )
        return f"Checkpoint({str(self.path)!r}{more})"
