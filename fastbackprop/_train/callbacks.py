"""The callbacks of a fit, called together."""

from collections.abc import Callable, Iterable
from typing import Any

from fastbackprop._train.averaging import WeightAveraging
from fastbackprop._train.callback import Callback
from fastbackprop._train.history import History

__all__ = ["Callbacks", "EpochFunction", "as_callbacks"]


class EpochFunction(Callback):
    """A function that is called with the history after each epoch.

    Parameters
    ----------
    function : callable
        The function.
    """

    def __init__(self, function: Callable[[History], object]) -> None:
        self._function = function

    def on_epoch_end(self, trainer: Any, history: Any) -> None:
        """Call it."""
        self._function(history)


def as_callbacks(callbacks: Any, on_epoch_end: Any) -> list[Callback]:
    """Return the callbacks that a user has given, or a complaint."""
    listed = [callbacks] if isinstance(callbacks, Callback) else callbacks
    if not isinstance(listed, Iterable) or isinstance(listed, str):
        raise TypeError(f"callbacks must be a list of Callback objects, got {callbacks!r}.")
    result = list(listed)
    for callback in result:
        if not isinstance(callback, Callback):
            raise TypeError(
                f"callbacks must be Callback objects, got {callback!r}; a function of the history "
                f"goes into on_epoch_end."
            )
    if len({id(callback) for callback in result}) < len(result):
        raise ValueError("callbacks must be different objects, got one of them twice.")
    if on_epoch_end is not None:
        if not callable(on_epoch_end):
            raise TypeError(f"on_epoch_end must be callable, got {on_epoch_end!r}.")
        result.append(EpochFunction(on_epoch_end))
    return result


class Callbacks:
    """Calls the callbacks of one fit.

    Parameters
    ----------
    trainer : Trainer
        Trainer that they are given.
    callbacks : list of Callback
        In their order.
    """

    def __init__(self, trainer: Any, callbacks: list[Callback]) -> None:
        self._trainer = trainer
        self._all = sorted(callbacks, key=lambda callback: callback._rank)
        self._begun: list[Callback] = []
        self.kept: str | None = None  # whose weights were put back
        self._hears_calls = [x for x in self._all if _overrides(x, "_after_steps")]
        self._hears_batches = [x for x in self._all if _overrides(x, "on_batch_end")]
        self._hears_steps = [x for x in self._all if x._is_by_step]

    @property
    def are_by_step(self) -> bool:
        """Whether each step is a call of the kernels by itself."""
        return bool(self._hears_batches or self._hears_steps)

    @property
    def want_losses(self) -> bool:
        """Whether the loss of each batch is asked for."""
        return bool(self._hears_batches)

    @property
    def want_end(self) -> bool:
        """Whether the fit is to end."""
        return bool(self._trainer.stop_training)

    def check(self, figures: dict[str, bool]) -> None:
        """Let them complain before training: see Callback."""
        for callback in self._all:
            callback._check(figures)

    def begin(self) -> None:
        """Begin the fit."""
        for callback in self._all:
            self._begun.append(callback)
            callback.on_fit_begin(self._trainer)

    def advanced(self, n_rows: int, step: int, loss: Callable[[], float]) -> bool:
        """Hear of a call of the kernels; return whether the fit is to end.

        Parameters
        ----------
        n_rows : int
            Rows that it has used.
        step : int
            The number of its last step.
        loss : callable
            Function that returns the cost of the batch, where the call was a single step.
        """
        for callback in self._hears_steps:
            callback._after_step(self._trainer)
        if self._hears_batches:
            cost = loss()
            for callback in self._hears_batches:
                callback.on_batch_end(self._trainer, step, cost)
        for callback in self._hears_calls:
            callback._after_steps(self._trainer, n_rows)
        return self.want_end

    def before_validation(self) -> None:
        """Hear that the steps of an epoch are done."""
        for callback in self._all:
            callback._before_validation(self._trainer)

    def epoch_end(self, history: History) -> None:
        """Hear of an epoch that has ended."""
        for callback in self._all:
            callback.on_epoch_end(self._trainer, history)

    def keeps(self) -> str | None:
        """Return whose weights will be put back at the end, in words; None if none will."""
        words = [callback._keeps() for callback in self._begun]
        return next((x for x in reversed(words) if x is not None), None)

    def settle(self) -> None:
        """Do what must be done to the model however a fit ends; it may be done twice."""
        self.kept = self.keeps() or self.kept
        # What stands for the weights comes first, and then what is put back of former epochs.
        for callback in sorted(self._begun, key=lambda x: not isinstance(x, WeightAveraging)):
            callback._settle(self._trainer)

    def end(self) -> None:
        """End the fit: call all that have begun, and raise what the first of them raises."""
        error: BaseException | None = None
        while self._begun:
            try:
                self._begun.pop(0).on_fit_end(self._trainer)
            except BaseException as raised:  # the others have files to close, too
                error = error or raised
        if error is not None:
            raise error


def _overrides(callback: Callback, name: str) -> bool:
    """Whether a callback has a method of its own."""
    return getattr(type(callback), name) is not getattr(Callback, name) or name in vars(callback)
