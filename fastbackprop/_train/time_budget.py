"""TimeBudget: an end after some seconds."""

import time
from typing import Any

from fastbackprop._core.validation import check_real
from fastbackprop._train.callback import Callback

__all__ = ["TimeBudget"]


class TimeBudget(Callback):
    """Ends a fit after so many seconds, also inside of an epoch.

    It ends after the step that is at work then, or after the validation. An epoch that is cut short
    has no line in the history; its steps are done.

    Parameters
    ----------
    seconds : float
        How long the fit may take, above 0; a resumed fit goes on with what was left.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> trainer = fb.Trainer(fb.mlp([1, 1], seed=0), "half_squared_error", fb.SGD(0.1))
    >>> history = trainer.fit([[1.0]], [1.0], epochs=10**9, callbacks=[fb.TimeBudget(0.05)])
    >>> 0 < len(history) < 10**9
    True
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = check_real("seconds", seconds, above=0.0)
        self._deadline = 0.0

    def on_fit_begin(self, trainer: Any) -> None:
        """Begin to count: see Callback.

        Parameters
        ----------
        trainer : Trainer
            The trainer.
        """
        self._deadline = time.monotonic() + self.seconds

    def on_epoch_end(self, trainer: Any, history: Any) -> None:
        """End the fit if the time is over: see Callback.

        Parameters
        ----------
        trainer, history : Trainer and History
            Where the fit is.
        """
        self._after_steps(trainer, 0)

    def _after_steps(self, trainer: Any, n_rows: int) -> None:
        if time.monotonic() >= self._deadline:
            trainer.stop_training = True

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint stores: see Callback.

        Returns
        -------
        dict
            The seconds that are left.
        """
        return {"seconds_left": max(0.0, self._deadline - time.monotonic())}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on with the seconds that were left: see Callback.

        Parameters
        ----------
        state : dict
            What ``state`` has returned.
        """
        self._deadline = time.monotonic() + state["seconds_left"]

    def __repr__(self) -> str:
        return f"TimeBudget({self.seconds:g})"
