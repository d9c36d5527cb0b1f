"""The callbacks of a fit, called together."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fastbackprop._train.averaging import WeightAveraging
from fastbackprop._train.callback import Callback
from fastbackprop._train.history import History

__all__ = ["Callbacks", "EpochFunction", "as_callbacks", "with_those_of_resume"]


# Arrays that checkpoints hold.
STORED = {"float32", "float64", "bool", *(f"{x}int{n}" for x in ("", "u") for n in (8, 16, 32, 64))}


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


def with_those_of_resume(callbacks: Any, others: tuple[Callback, ...]) -> Any:
    """Return the callbacks of a fit behind those that ``resume`` was given."""
    if not others:
        return callbacks
    return [*others, *(x for x in as_callbacks(callbacks, None) if not _is_in(x, others))]


def _is_in(callback: Callback, others: Iterable[Callback]) -> bool:
    return any(callback is other for other in others)


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
        self._unheard: list[Callback] = []  # that have still to hear of the epoch
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
        self._unheard = list(self._all)
        while self._unheard:
            self._unheard.pop(0).on_epoch_end(self._trainer, history)

    def states(self) -> list[dict[str, Any]]:
        """Return what a checkpoint stores of them, and which have still to hear of the epoch."""
        return [
            {
                "callback": type(callback).__name__,
                "settings": _settings(callback),
                "state": _checked_state(callback),
                "has_heard": not _is_in(callback, self._unheard),
            }
            for callback in self._all
        ]

    def go_on(self, states: list[dict[str, Any]], stops: bool, state: Any) -> None:
        """Take what ``states`` returned: each goes to the first callback of its class and settings.

        Where none has the settings that it had, to the first of its class. Those that had still to
        hear of the epoch when it was written down hear of it now.
        """
        self._trainer.stop_training = stops
        unheard = []
        for callback, stored in _matched(self._all, states):
            _set_state(callback, stored["state"])
            callback._go_on(self._trainer)
            unheard += [] if stored["has_heard"] else [callback]
        self._unheard = unheard if state.is_between_epochs and state.epoch else []
        while self._unheard:
            self._unheard.pop(0).on_epoch_end(self._trainer, state.history)

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


def _settings(callback: Callback) -> str:
    """Return a callback's settings in words, where its class shows any."""
    return "" if type(callback).__repr__ is object.__repr__ else repr(callback)


def _matched(
    callbacks: list[Callback], states: list[dict[str, Any]]
) -> list[tuple[Callback, dict[str, Any]]]:
    """Return whom each state is for, in the order of the states; some may be for nobody."""
    left, matched = list(callbacks), {}
    for are_same in (True, False):
        for i, stored in enumerate(states):
            for callback in left if i not in matched else []:
                is_same = _settings(callback) == stored.get("settings") or not are_same
                if type(callback).__name__ == stored["callback"] and is_same:
                    matched[i] = callback
                    left = [x for x in left if x is not callback]
                    break
    return [(matched[i], states[i]) for i in sorted(matched)]


def _checked_state(callback: Callback) -> dict[str, Any]:
    """Return a callback's state, or complain of what a file can't hold."""
    state = callback.state()
    if not isinstance(state, dict) or not _can_be_stored(state):
        raise TypeError(
            f"state() of {type(callback).__name__} must hold numbers, text, None, arrays of "
            f"numbers, lists and dicts of text to these, got {state!r:.200}."
        )
    return state


def _can_be_stored(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _can_be_stored(x) for key, x in value.items())
    if isinstance(value, list | tuple):
        return all(map(_can_be_stored, value))
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.name in STORED
    return value is None or isinstance(value, bool | int | float | str)


def _set_state(callback: Callback, stored: dict[str, Any]) -> None:
    """Let a callback go on from what a checkpoint has of it."""
    try:
        callback.set_state(stored)
    except Exception as error:
        raise ValueError(
            f"{type(callback).__name__}.set_state must take what its state() returned, got "
            f"{type(error).__name__}: {error}."
        ) from error


def _overrides(callback: Callback, name: str) -> bool:
    """Whether a callback has a method of its own."""
    return getattr(type(callback), name) is not getattr(Callback, name) or name in vars(callback)
