"""The loop over batches: many steps to a call of the kernels, and what follows from a wrong one."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastbackprop._compare.losses import Loss
from fastbackprop._compare.own_loss import OwnLoss
from fastbackprop._compare.samples import Checked
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.errors import DivergenceError
from fastbackprop._core.threads import run, share_of_work
from fastbackprop._core.visits import Visits
from fastbackprop._correct.clipping import Clipping
from fastbackprop._correct.optimizer import Optimizer
from fastbackprop._correct.schedule import Position
from fastbackprop._correct.state import OptimizerState
from fastbackprop._model.sequential import Sequential
from fastbackprop._train.causes import advice_after_divergence
from fastbackprop._train.data import TrainingData
from fastbackprop._train.evaluation import evaluate
from fastbackprop._train.own_steps import own_steps
from fastbackprop._train.state import Outcome, Sums, TrainingState, Wrong

__all__ = ["Loop"]

# Each layer counts as this many operations more for each batch and row: its overhead.
OVERHEAD_PER_LAYER = 2000
OVERHEAD_PER_ROW = 200

WHAT = {
    Outcome.LOSS: "The loss stopped being finite",
    Outcome.GRADIENT: "The gradient isn't finite",
    Outcome.WEIGHTS: "A step would have made weights infinite or NaN",
}


class Loop:
    """Does steps: it knows the model, the loss, the optimizer, and how many threads may help.

    Parameters
    ----------
    model : Sequential
        The model that is trained.
    loss : Loss
        What is compared.
    optimizer : Optimizer
        What corrects the weights.
    n_threads : int or None
        What ``check_n_threads`` returned.
    clipping : Clipping
        The limits of gradients.
    """

    def __init__(
        self,
        model: Sequential,
        loss: Loss,
        optimizer: Optimizer,
        n_threads: int | None,
        clipping: Clipping,
    ) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.n_threads, self._clipping = n_threads, clipping
        self._visits = Visits()

    def epoch(
        self, data: TrainingData, state: TrainingState, done: Callable[[int], object]
    ) -> None:
        """All steps of an epoch that are left; ``done`` hears how many rows each call has used."""

        def advance(sums: Sums) -> None:
            n_rows, state.sums = sums.row - state.sums.row, sums
            done(n_rows)

        per_epoch = -(-data.n_used // data.batch_size)
        position = Position(
            state.optimizer_state.n_steps,
            (state.epoch - 1) * per_epoch + state.sums.row // data.batch_size,
            state.epochs * per_epoch,
            state.history,
        )
        wrong = self._steps(
            data, state.sums, state.optimizer_state, state.best.room, advance, position
        )
        if wrong is not None:
            samples, best = Checked(data.as_rows(), data.targets), state.best
            if isinstance(self.loss, OwnLoss):
                best.put_back()  # which the kernels do otherwise
            best.settle(lambda: evaluate(self.model, self.loss, samples, self.n_threads)["loss"])
            batch = wrong.row // data.batch_size + 1
            raise self._divergence(
                data,
                wrong,
                f"epoch {state.epoch}, batch {batch}",
                str(best),
                epoch=state.epoch,
                batch=batch,
            )

    def step(self, data: TrainingData) -> float:
        """One step over all of the data; returns the sum of the costs."""
        parameters = self.model._parameters
        state = self.optimizer._state(parameters)
        undo = parameters.snapshot(state.buffer)
        results: list[Sums] = []
        position = Position(state.n_steps)
        wrong = self._steps(data, Sums(), state, undo, results.append, position, is_alone=True)
        if wrong is not None:
            number = state.n_steps + 1
            raise self._divergence(data, wrong, f"step {number}", "of before the step", 1, number)
        return results[-1].cost

    def operations(self, n_rows: int) -> float:
        """Floating-point operations of one training step, and its overhead in the same unit."""
        overhead = len(self.model._layers) * (OVERHEAD_PER_LAYER + n_rows * OVERHEAD_PER_ROW)
        return 6.0 * n_rows * self.model._n_parameters + overhead

    def _steps(
        self,
        data: TrainingData,
        sums: Sums,
        optimizer_state: OptimizerState,
        undo: np.ndarray,
        advance: Callable[[Sums], object],
        position: Position,
        is_alone: bool = False,
    ) -> Wrong | None:
        """All steps from the row of ``sums`` on, a few milliseconds to a call.

        ``advance`` gets the sums after each call; ``undo`` has what is put back where a step goes
        wrong, which is returned; a step that is alone fills it itself if it must. In the model's
        lock.
        """
        model, n, size = self.model, data.n_used, data.batch_size
        if isinstance(self.loss, OwnLoss):
            return own_steps(
                model, self.loss, self.optimizer, data, sums, advance, position, self._clipping
            )
        # Once: settings are those of the start of an epoch, where they are no schedules.
        settings = self.optimizer._spec(model.dtype)
        model._n_trainings += 1
        first_row = sums.row
        with model._workspaces.borrowed(size) as workspace:
            for start, end in self._visits.parts(n - first_row, size, self.operations(size)):
                part = first_row + start, first_row + end
                n_steps = -(-(end - start) // size)
                rates = self.optimizer._rates(position, n_steps, model.dtype)
                position = position.after(n_steps)
                outcome, cost, n_right, row, layer = self._call(
                    workspace, data, part, settings, rates, optimizer_state, sums, undo, is_alone
                )
                if outcome != Outcome.FINE:
                    return Wrong(Outcome(outcome), row, layer)
                sums = Sums(part[1], cost, n_right)
                advance(sums)
        return None

    def _call(
        self,
        workspace: Any,
        data: TrainingData,
        part: tuple[int, int],
        settings: Any,
        rates: np.ndarray | None,
        optimizer_state: OptimizerState,
        sums: Sums,
        undo: np.ndarray,
        is_alone: bool,
    ) -> Any:
        """Steps over a part of the rows, in one call of the kernels."""
        model, targets, (first, last) = self.model, data.targets, part
        n_threads, crowded = share_of_work(
            self.n_threads, self.operations(min(data.batch_size, last - first))
        )
        work = kernels(model.dtype).TrainingWork(
            workspace, data.rows, targets.values, targets.labels, data.order,
            first, last, data.batch_size, self.loss._spec(model.n_out, model.dtype), settings,
            optimizer_state.buffer, sums.cost, sums.n_right, n_threads, crowded, undo,
            rates, not is_alone, *self._clipping, self._clipping.scratch(model),
            **targets.of_samples,
        )  # fmt: skip
        return model._lock.write(run, work, n_threads)

    def _divergence(
        self, data: TrainingData, wrong: Wrong, when: str, kept: str, epoch: int, batch: int
    ) -> DivergenceError:
        advice = advice_after_divergence(
            self.optimizer, self.model._parameters, data.rows, data.targets
        )
        layer = self.model.layers[wrong.layer]
        return DivergenceError(
            f"{WHAT[wrong.outcome]} in {when}, first in layers[{wrong.layer}] ({layer!r}); "
            f"the model keeps the weights {kept}. {advice}",
            epoch,
            batch,
            wrong.layer,
        )
