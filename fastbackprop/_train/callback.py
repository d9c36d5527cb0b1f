"""What callbacks are."""

from typing import Any, ClassVar

__all__ = ["Callback"]


class Callback:
    """Base of callbacks: what is done while a fit goes on, besides training.

    Override what you need. A callback may set ``trainer.stop_training = True``, which ends the fit
    after the step, and may change ``trainer.optimizer.learning_rate``; it may raise to end the fit.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> class Print(fb.Callback):
    ...     def on_epoch_end(self, trainer, history):
    ...         print(f"{len(history)}: {history.loss[-1]:.3f}")
    >>> trainer = fb.Trainer(fb.mlp([1, 1], seed=0), "half_squared_error", fb.SGD(0.5), seed=0)
    >>> history = trainer.fit([[0.0], [1.0]], [1.0, 2.0], epochs=2, callbacks=[Print()])
    1: 0.832
    2: 0.100
    """

    # Where it stands among others at the end of an epoch: what stores the rest goes last.
    _rank: ClassVar[int] = 0
    # Whether it is told of each step by ``_after_step``: such steps are a call of the kernels each.
    _is_by_step: bool = False

    def on_fit_begin(self, trainer: Any) -> None:
        """Begin: called before the first step of each fit.

        A callback that is used in several fits begins anew here.

        Parameters
        ----------
        trainer : Trainer
            The trainer.
        """

    def on_epoch_end(self, trainer: Any, history: Any) -> None:
        """Look at an epoch that has ended.

        Parameters
        ----------
        trainer : Trainer
            The trainer; what it records can be seen in ``history``.
        history : History
            The figures of the epochs of this fit so far; ``len(history)`` of them.
        """

    def on_batch_end(self, trainer: Any, step: int, loss: float) -> None:
        """Look at a step; only where this is overridden is Python called for each.

        Parameters
        ----------
        trainer : Trainer
            The trainer.
        step : int
            Number of the step in this fit, counted from 1.
        loss : float
            The cost of its batch, as it was before the step.
        """

    def on_fit_end(self, trainer: Any) -> None:
        """End: called once behind each ``on_fit_begin``, however the fit ends.

        The model has the weights that the fit leaves.

        Parameters
        ----------
        trainer : Trainer
            The trainer.
        """

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint stores, so that a resumed fit goes on where this one was.

        Returns
        -------
        dict
            Numbers, strings, None and arrays by name; nothing here.
        """
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` returned; called behind ``on_fit_begin`` of a resumed fit.

        Parameters
        ----------
        state : dict
            What ``state`` has returned.
        """

    def _go_on(self, trainer: Any) -> None:
        """Complain of a stored state that is none of this model, behind ``set_state``."""

    def _check(self, figures: dict[str, bool]) -> None:
        """Complain before training; ``figures`` is all names that a history may have here.

        Each name has whether this fit will record it.
        """

    def _after_steps(self, trainer: Any, n_rows: int) -> None:
        """Hear that so many rows more were used: after each call of the kernels."""

    def _after_step(self, trainer: Any) -> None:
        """Hear of a single step, where ``_is_by_step``."""

    def _before_validation(self, trainer: Any) -> None:
        """Hear that an epoch's steps are done."""

    def _keeps(self) -> str | None:
        """Return whose weights ``_settle`` will put back, in words; None if it won't."""
        return None

    def _settle(self, trainer: Any) -> None:
        """Do what must be done to the model however a fit ends; it may be done twice."""
