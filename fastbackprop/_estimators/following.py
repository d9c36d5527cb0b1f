"""Callbacks of the library in a fit of an estimator: who calls them, and the trainer they see."""

import copy
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

from fastbackprop._correct.schedule import Schedule
from fastbackprop._estimators.record import Record
from fastbackprop._estimators.solver import Solver
from fastbackprop._model.sequential import Sequential
from fastbackprop._train.callback import Callback
from fastbackprop._train.callbacks import Callbacks, as_callbacks
from fastbackprop._train.checkpoint import Checkpoint
from fastbackprop._train.history import History
from fastbackprop._train.state import TrainingState, validated_weights

__all__ = ["FollowedFit", "Follower"]


class FollowedFit:
    """What callbacks of an estimator see as their trainer.

    Parameters
    ----------
    estimator : BaseMLP
        The estimator.
    solver : Solver
        What does its steps.
    history : History
        The figures of the fit so far.

    Attributes
    ----------
    model : Sequential
        The model that learns.
    optimizer : Optimizer or Solver
        Whose ``learning_rate`` can be assigned.
    stop_training : bool
        True ends the fit after the step.
    """

    def __init__(self, estimator: Any, solver: Solver, history: History) -> None:
        self.estimator = estimator
        self.model: Sequential = estimator.model_
        self.optimizer: Any = getattr(solver, "optimizer", solver)
        self.loss = estimator._library_loss()
        self.stop_training = False
        best: Any = None  # the estimator goes back by itself where training diverges
        self._state = TrainingState(
            self.model._parameters, solver.state, best, epochs=estimator.max_iter, history=history
        )


class Follower:
    """Calls copies of an estimator's callbacks.

    Parameters
    ----------
    estimator : BaseMLP
        The estimator, which gets them as ``callbacks_``.
    solver : Solver
        What does its steps.
    record : Record
        Says what is measured.
    """

    def __init__(self, estimator: Any, solver: Solver, record: Record) -> None:
        copies: list[Callback] = copy.deepcopy(as_callbacks(estimator.callbacks or (), None))
        if any(isinstance(callback, Checkpoint) for callback in copies):
            raise ValueError(
                f"callbacks must not have a Checkpoint with solver {estimator.solver!r}, which has "
                "no Trainer to write down: pickle the estimator, or take an optimizer of the "
                "library as solver."
            )
        self._estimator, self._record = estimator, record
        figures = {"loss": True, "validation_loss": record.evaluation is not None}
        figures |= {"validation_score": record.validation is not None, "seconds": True}
        self.history, self._n_steps, self._seconds = History(), 0, 0.0
        self._fit, self._callbacks, self._curve = None, None, solver.curve
        if copies:
            self._fit = FollowedFit(estimator, solver, self.history)
            self._callbacks = Callbacks(self._fit, copies)
        self._check(figures)
        if copies:
            estimator.callbacks_ = copies

    def _check(self, figures: dict[str, bool]) -> None:
        """Refuse what looks at a figure that this fit has not, and say where it comes from."""
        try:
            if self._callbacks is not None:
                self._callbacks.check(figures)
            if isinstance(self._curve, Schedule):
                self._curve._check_figures(figures)
        except ValueError as error:
            raise ValueError(
                f"{error} Here validation_loss comes from fit(..., eval_set=(X, y)), and "
                "validation_score from early_stopping."
            ) from None

    @property
    def options(self) -> dict[str, Any]:
        """What a run of epochs takes so that it is followed."""
        if self._callbacks is None:
            return {}
        return {"advance": self._advance, "one_by_one": self._callbacks.are_by_step}

    @property
    def wants_end(self) -> bool:
        """Whether the fit is to end."""
        return self._fit is not None and self._fit.stop_training

    def __enter__(self) -> Self:
        """Begin the fit."""
        if self._callbacks is not None:
            try:
                self._callbacks.begin()
            except BaseException:
                self.__exit__()
                raise
        return self

    def begin_epoch(self) -> None:
        """Count the next epoch."""
        self._start = time.perf_counter()
        if self._fit is not None:
            self._fit._state.begin_epoch(None)

    def before_validation(self) -> None:
        """Hear that the steps of an epoch are done."""
        self._seconds = time.perf_counter() - self._start
        if self._callbacks is not None:
            self._callbacks.before_validation()

    def validated(self) -> AbstractContextManager[None]:
        """Return a context in which the model has the weights that validation sees."""
        return nullcontext() if self._fit is None else validated_weights(self._fit._state)

    def end_epoch(self) -> None:
        """Note the figures of an epoch, and tell the callbacks."""
        if self._callbacks is None and self._curve is None:
            return
        estimator, record = self._estimator, self._record
        figures = {"loss": estimator.loss_curve_[-1]}
        if record.evaluation is not None:
            figures["validation_loss"] = estimator.validation_curve_[-1]
        if record.validation is not None:
            figures["validation_score"] = estimator.validation_scores_[-1]
        self.history._note(**figures, seconds=self._seconds)
        if self._callbacks is not None:
            self._callbacks.epoch_end(self.history)

    def diverged(self) -> None:
        """Hear that a step went wrong."""
        if self._fit is not None:
            self._fit._state.has_diverged = True

    def __exit__(self, *error: object) -> None:
        """Put back what callbacks keep, and end the fit."""
        if self._callbacks is not None:
            self._callbacks.settle()
            self._callbacks.end()
            self._estimator.history_ = self.history

    def _advance(self, n_rows: int, loss: Callable[[], float]) -> bool:
        assert self._callbacks is not None
        self._n_steps += 1
        return self._callbacks.advanced(n_rows, self._n_steps, loss)
