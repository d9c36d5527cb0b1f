"""A fit: epoch after epoch, and what is done between them."""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from fastbackprop._core.dispatch import kernels
from fastbackprop._core.errors import DiagnosisWarning
from fastbackprop._core.random import RawWords
from fastbackprop._train.data import FitPlan, TrainingData
from fastbackprop._train.evaluation import evaluate, figures_from
from fastbackprop._train.loop import Loop
from fastbackprop._train.progress import figures_of, show_progress
from fastbackprop._train.rate_search import LearningRateSearch, sweep
from fastbackprop._train.state import TrainingState

__all__ = ["Fitting"]


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
        self.on_pause: Callable[[], object] | None = None  # heard some times in a second
        self.diagnoses_left = 2 if diagnoses else 0

    def run(self, plan: FitPlan, state: TrainingState) -> None:
        """Do the epochs, in the model's lock."""
        data, history = plan.data, state.history
        n_left = (plan.epochs - len(history)) * data.n_used
        n_left -= 0 if state.is_between_epochs else state.sums.row
        with show_progress(plan.shows_bar and n_left > 0, n_left) as bar:
            if state.epoch == 0:
                self._diagnose(data)
            for epoch in range(len(history) + 1, plan.epochs + 1):
                bar.set_description_str(f"epoch {epoch}/{plan.epochs}", refresh=False)
                self._epoch(plan, state, lambda n_rows: self._pause(state, bar, n_rows))
                state.best.note(epoch, history.loss[-1])
                self._diagnose(data)
                bar.set_postfix_str(figures_of(history), refresh=False)
                if plan.on_epoch_end is not None:
                    state.tell(plan.on_epoch_end, history)

    def try_rates(self, data: TrainingData, rates: np.ndarray) -> LearningRateSearch:
        """Train with each of the rates in turn; nothing is put back."""
        assert data.order is not None
        self._shuffle(data.order)
        return sweep(self._loop, data, rates, data.order)

    def _epoch(self, plan: FitPlan, state: TrainingState, done: Callable[[int], object]) -> None:
        """One pass over the data, or what is left of it, with its line in the history."""
        if state.is_between_epochs:
            state.begin_epoch(self.generator.__getstate__())
        else:
            self.generator.__setstate__(state.random_state)
        self._shuffle(plan.data.order)
        self._loop.epoch(plan.data, state, done)
        seconds = state.seconds
        model, loss, sums = self._loop.model, self._loop.loss, state.sums
        targets = plan.data.used_targets
        figures = figures_from(model, loss, sums.cost, sums.n_right, targets)
        if plan.validation is not None:
            measured = evaluate(model, loss, plan.validation, self._loop.n_threads)
            figures |= {f"validation_{name}": value for name, value in measured.items()}
        state.history._note(**figures, seconds=seconds)

    def _pause(self, state: TrainingState, bar: Any, n_rows: int) -> None:
        """Let others know that so many rows were used; between two calls of the kernels."""
        bar.update(n_rows)
        if self.on_pause is not None:
            state.tell(self.on_pause)

    def _shuffle(self, order: np.ndarray | None) -> None:
        """Put the rows into a new order, from the same start each time.

        So two fits of one epoch are a fit of two.
        """
        if order is not None:
            order[:] = np.arange(len(order))
            words = self.generator.random_raw(len(order))
            kernels(self._loop.model.dtype).shuffle(order, words)

    def _diagnose(self, data: TrainingData) -> None:
        """Warn once of what is wrong, if that was asked for."""
        if self.diagnoses_left == 0:
            return
        # For those who ask: the import takes its time.
        from fastbackprop._diagnose.diagnose import look
        from fastbackprop._explain.samples import Samples

        samples = Samples.of(data.rows, data.targets)
        loop = self._loop
        rate = loop.optimizer._typical("learning_rate")
        diagnosis = look(copy.deepcopy(loop.model), samples, loop.loss, rate)
        self.diagnoses_left = 0 if diagnosis.findings else self.diagnoses_left - 1
        if diagnosis.findings:
            # The fifth frame is the user's, behind this, run, _fit and fit.
            warnings.warn(str(diagnosis), DiagnosisWarning, stacklevel=5)
