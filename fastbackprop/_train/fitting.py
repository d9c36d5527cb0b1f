"""A fit: epoch after epoch, and what is done between them."""

import copy
import warnings
from typing import Any

import numpy as np

from fastbackprop._core.dispatch import kernels
from fastbackprop._core.errors import DiagnosisWarning
from fastbackprop._core.random import RawWords
from fastbackprop._core.rows import Rows
from fastbackprop._correct.schedule import Position, is_schedule, table_of
from fastbackprop._train.data import FitPlan, TrainingData
from fastbackprop._train.evaluation import evaluate, figures_from, measure
from fastbackprop._train.loop import Loop
from fastbackprop._train.pending import Pending
from fastbackprop._train.rate_search import LearningRateSearch, sweep
from fastbackprop._train.state import TrainingState, validated_weights

__all__ = ["Fitting"]

SHUFFLED = 2**20  # rows that are shuffled at a time: of many, their order is memory enough


class Fitting:
    """Fits a model, again and again: the order of the rows is drawn on from fit to fit.

    Parameters
    ----------
    loop : Loop
        Does the steps.
    generator : RawWords
        Generator from which the order of the rows comes.
    diagnoses : bool
        Whether to look for what is wrong, before the first epoch and after it, until it is found.
    """

    def __init__(self, loop: Loop, generator: RawWords, diagnoses: bool) -> None:
        self.generator = generator
        self._loop = loop
        self.diagnoses_left = 2 if diagnoses else 0

    def run(self, plan: FitPlan, state: TrainingState, pending: Pending | None) -> None:
        """Do the epochs, or what is left of a fit that is pending, in the model's lock."""
        plan.callbacks.begin()
        if pending is not None:
            state.tell(plan.callbacks.go_on, pending.callbacks, pending.stops, state)
        if state.epoch == 0:
            self._diagnose(plan)
        while len(state.history) < plan.epochs and not plan.callbacks.want_end:
            if not self._epoch(plan, state):
                break
            state.best.note(state.epoch, state.history.loss[-1])
            self._diagnose(plan)
            state.tell(plan.callbacks.epoch_end, state.history)

    def try_rates(self, data: TrainingData, rates: np.ndarray) -> LearningRateSearch:
        """Train with each of the rates in turn; nothing is put back."""
        assert data.order is not None
        self._shuffle(data.order)
        return sweep(self._loop, data, rates, data.order)

    def _epoch(self, plan: FitPlan, state: TrainingState) -> bool:
        """One pass over the data, or what is left of it; returns whether it came to its end.

        An epoch that a callback has cut short has no line.
        """
        if state.is_between_epochs:
            state.begin_epoch(self.generator.__getstate__())
        else:
            self.generator.__setstate__(state.random_state)
        self._shuffle(plan.data.order)
        norm_before = state.gradient_norm if state.sums.row >= plan.data.n_used else None
        self._loop.epoch(plan, state)
        seconds = state.seconds
        if state.sums.row < plan.data.n_used:
            return False
        plan.callbacks.before_validation()
        figures = self._figures(plan, state, norm_before)
        state.history._note(**figures, seconds=seconds)
        return True

    def _figures(self, plan: FitPlan, state: TrainingState, norm: float | None) -> dict[str, float]:
        """Return what an epoch has measured, and what is measured behind it.

        ``norm`` is that of the last gradient, where its step was done before a resume.
        """
        model, loss, sums = self._loop.model, self._loop.loss, state.sums
        mean_cost = plan.data.used_targets.mean_of(sums.cost)
        figures = figures_from(model, loss, mean_cost, sums.n_right, plan.data.counted)
        if plan.measured is not None or plan.validation is not None:
            figures |= self._measured(plan, state)
        norm = self._loop.gradient_norm() if norm is None else norm
        figures |= {} if norm is None else {"gradient_norm": norm}
        return figures | self._rate(plan, state)

    def _measured(self, plan: FitPlan, state: TrainingState) -> dict[str, float]:
        """Return what is measured behind an epoch: metrics, and all of the validation data."""
        model, loss, threads = self._loop.model, self._loop.loss, self._loop.n_threads
        figures: dict[str, float] = {}
        with validated_weights(state):
            if plan.measured is not None:
                figures |= measure(model, loss, plan.measured, threads, plan.measures)
            if plan.validation is not None:
                others = evaluate(model, loss, plan.validation, threads, plan.measures)
                figures |= {f"validation_{name}": value for name, value in others.items()}
        return figures

    def _rate(self, plan: FitPlan, state: TrainingState) -> dict[str, float]:
        """Return the learning rate of the epoch's last step, where it changes by itself."""
        rate = self._loop.optimizer.learning_rate
        if not is_schedule(rate):
            return {}
        length = plan.steps_per_epoch
        fit_step = state.epoch * length - 1
        step = state.optimizer_state.n_steps - 1
        position = Position(step, fit_step, state.epochs * length, state.history)
        return {"learning_rate": float(table_of(rate, position, 1)[0])}

    def _shuffle(self, order: np.ndarray | None) -> None:
        """Put the rows into a new order, from the same start each time.

        So two fits of one epoch are a fit of two.
        """
        if order is None:
            return
        shuffle = kernels(self._loop.model.dtype).shuffle
        for first in range(0, len(order), SHUFFLED):
            part = order[first : first + SHUFFLED]
            part[:] = np.arange(first, first + len(part))
        for first, words in self.generator.backwards(len(order), SHUFFLED):
            shuffle(order, words, first)

    def source_of(self, X: Any, scale: float) -> Rows | None:
        """Return the rows as the user has them, if a diagnosis will want them."""
        if self.diagnoses_left == 0:
            return None
        from fastbackprop._diagnose.diagnose import source_of

        return source_of(self._loop.model, X, scale)

    def _diagnose(self, plan: FitPlan) -> None:
        """Warn once of what is wrong, if that was asked for."""
        if self.diagnoses_left == 0:
            return
        # For those who ask: the import takes its time.
        from fastbackprop._diagnose.diagnose import look
        from fastbackprop._explain.samples import Samples

        samples = Samples.of(plan.data.rows, plan.data.targets)
        loop = self._loop
        rate = loop.optimizer._typical("learning_rate")
        diagnosis = look(copy.deepcopy(loop.model), samples, loop.loss, rate, source=plan.source)
        self.diagnoses_left = 0 if diagnosis.findings else self.diagnoses_left - 1
        if diagnosis.findings:
            # The fifth frame is the user's, behind this, run, _fit and fit.
            warnings.warn(str(diagnosis), DiagnosisWarning, stacklevel=5)
