"""The loop over batches: many steps to a call of the kernels, and what follows from a wrong one."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fastbackprop._compare.losses import Loss
from fastbackprop._compare.own_loss import OwnLoss
from fastbackprop._compare.samples import Checked
from fastbackprop._core.arithmetic import exact_mode, quotient
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.errors import DivergenceError
from fastbackprop._core.sharing import phases_of_step
from fastbackprop._core.threads import run, share_of_work
from fastbackprop._core.visits import Visits
from fastbackprop._correct.clipping import Clipping
from fastbackprop._correct.optimizer import Optimizer
from fastbackprop._correct.schedule import Position
from fastbackprop._correct.state import OptimizerState
from fastbackprop._model.dropping import tell_rates
from fastbackprop._model.sequential import Sequential
from fastbackprop._train.causes import advice_after_divergence
from fastbackprop._train.data import FitPlan, TrainingData
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
        self.n_threads, self.clipping = n_threads, clipping
        self._visits = Visits()

    def epoch(self, plan: FitPlan, state: TrainingState) -> None:
        """All steps of an epoch that are left, until a callback ends the fit."""
        data, callbacks, per_epoch = plan.data, plan.callbacks, plan.steps_per_epoch

        def advance(sums: Sums) -> bool:
            before, state.sums = state.sums, sums

            def loss() -> float:
                total = data.total_of(before.row, sums.row)
                return quotient(sums.cost - before.cost, total) if total > 0 else 0.0

            step = (state.epoch - 1) * per_epoch - (-sums.row // data.batch_size)
            return state.tell(callbacks.advanced, sums.row - before.row, step, loss)

        position = Position(
            state.optimizer_state.n_steps,
            (state.epoch - 1) * per_epoch + state.sums.row // data.batch_size,
            state.epochs * per_epoch,
            state.history,
        )
        wrong = self._steps(
            data,
            state.sums,
            state.optimizer_state,
            state.best.room,
            advance,
            position,
            one_by_one=callbacks.are_by_step,
        )
        if wrong is not None:
            state.has_diverged = True
            samples, best = Checked(data.as_rows(), data.targets), state.best
            if isinstance(self.loss, OwnLoss):
                best.put_back()  # which the kernels do otherwise
            best.settle(lambda: evaluate(self.model, self.loss, samples, self.n_threads)["loss"])
            batch = wrong.row // data.batch_size + 1
            raise self._divergence(
                data,
                wrong,
                f"epoch {state.epoch}, batch {batch}",
                callbacks.keeps() or str(best),
                epoch=state.epoch,
                batch=batch,
            )

    def step(self, data: TrainingData, of: tuple[int, int] | None = None) -> float:
        """One step over all of the data; returns the sum of the costs.

        ``of``: steps of the same kind before it, and all of them, where schedules go over these.
        """
        parameters = self.model._parameters
        state = self.optimizer._state(parameters)
        undo = parameters.snapshot(state.buffer)
        running, n_forwards = parameters.running.copy(), parameters.n_forwards
        results: list[Sums] = []
        position = Position(state.n_steps, *(of or ()))
        try:
            wrong = self._steps(data, Sums(), state, undo, results.append, position, is_alone=True)
        except Exception:  # of a loss of the user's own, which puts nothing back
            parameters.running[:] = running
            parameters.n_forwards = n_forwards
            raise
        if wrong is not None:
            parameters.running[:] = running
            parameters.n_forwards = n_forwards
            number = state.n_steps + 1
            raise self._divergence(data, wrong, f"step {number}", "of before the step", 1, number)
        return results[-1].cost

    def gradient_norm(self) -> float | None:
        """Return the norm of the last step's gradient before clipping, where the kernels had it."""
        scratch = self.clipping.scratch(self.model)
        if scratch is None or isinstance(self.loss, OwnLoss):
            return None
        views = [view for pair in self.model._parameters.views(scratch) for view in pair]
        with exact_mode():
            sums = [(view.astype(np.float64) ** 2).sum() for view in views if view is not None]
        return math.sqrt(sum(sums))

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
        one_by_one: bool = False,
    ) -> Wrong | None:
        """All steps from the row of ``sums`` on, a few milliseconds to a call, or one by one.

        ``advance`` gets the sums after each call, and returns whether to end; ``undo`` has what is
        put back where a step goes wrong, which is returned; a step that is alone fills it itself if
        it must. In the model's lock.
        """
        model, n, size = self.model, data.n_used, data.batch_size
        if isinstance(self.loss, OwnLoss):
            return own_steps(
                model, self.loss, self.optimizer, data, sums, advance, position, self.clipping
            )
        # Once: settings are those of the start of an epoch, where they are no schedules.
        settings = self.optimizer._spec(model.dtype)
        model._parameters.n_trainings += 1
        first_row = sums.row
        last_rates: np.ndarray | None = None  # of the call before
        with model._workspaces.borrowed(size) as workspace:
            for start, end in self._parts(n - first_row, size, one_by_one, data.most_rows):
                part = first_row + start, first_row + end
                n_steps = -(-(end - start) // size)
                if one_by_one:  # a callback may have changed them
                    settings = self.optimizer._spec(model.dtype)
                rates = self.optimizer._rates(position, n_steps, model.dtype)
                if model._has_schedules:
                    tell_rates(model, workspace, n_steps, position)
                position = position.after(n_steps)
                # Between two calls nobody changes weights, but where code of the user's runs.
                is_ours = not (one_by_one or rates is not None or model._has_schedules)
                packing = is_ours and start > 0, is_ours and first_row + end < n
                outcome, cost, n_right, row, layer = self._call(
                    workspace,
                    data,
                    part,
                    settings,
                    rates,
                    optimizer_state,
                    sums,
                    undo,
                    is_alone,
                    packing,
                )
                if outcome != Outcome.FINE:
                    n_fine = (row - part[0]) // size
                    model._parameters.count_forwards(n_fine)
                    so_far = [x for x in (last_rates, rates) if x is not None]
                    if rates is not None:
                        so_far[-1] = rates[: n_fine + 1]
                    tried = np.concatenate(so_far) if so_far else None
                    return Wrong(Outcome(outcome), row, layer, tried)
                last_rates = rates
                model._parameters.count_forwards(n_steps)
                sums = Sums(part[1], cost, n_right)
                if advance(sums):
                    break
        return None

    def _parts(
        self, n: int, size: int, one_by_one: bool, most_rows: int | None
    ) -> Iterable[tuple[int, int]]:
        """Return the first and last row of each call."""
        if one_by_one:
            return ((first, min(first + size, n)) for first in range(0, n, size))
        return self._visits.parts(n, size, self.operations(size), most_rows)

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
        packing: tuple[bool, bool],
    ) -> Any:
        """Steps over a part of the rows, in one call of the kernels."""
        model, (rows, targets, order, first, last) = self.model, data.part(*part)
        rights = None
        if targets.sample_weights is not None and self.loss.is_classification and not is_alone:
            rights = np.empty(last - first, model.dtype)
        n_rows = min(data.batch_size, last - first)
        kernel, network = kernels(model.dtype), model._network
        n_chunks = kernel.chunks_of_rows(network, n_rows), kernel.chunks_of_weights(network)
        n_threads, crowded = share_of_work(
            self.n_threads, phases_of_step(self.operations(n_rows), *n_chunks)
        )
        work = kernel.TrainingWork(
            workspace, rows, targets.values, targets.labels, order,
            first, last, data.batch_size, self.loss._spec(model.n_out, model.dtype), settings,
            optimizer_state.buffer, sums.cost, 0, n_threads, crowded, undo,
            rates, not is_alone, *self.clipping, self.clipping.scratch(model),
            **targets.of_samples, n_forwards=model._parameters.n_forwards, rights=rights,
            is_packed=packing[0], goes_on=packing[1],
        )  # fmt: skip
        outcome, cost, n_right, row, layer = model._lock.write(run, work, n_threads)
        where = row - first + part[0], layer
        if rights is not None and outcome == Outcome.FINE:
            some: Any = slice(first, last) if order is None else order[first:last]
            return outcome, cost, targets[some].right(rights, sums.n_right), *where
        return outcome, cost, sums.n_right + n_right, *where

    def _divergence(
        self, data: TrainingData, wrong: Wrong, when: str, kept: str, epoch: int, batch: int
    ) -> DivergenceError:
        advice = advice_after_divergence(
            self.optimizer, self.model._parameters, data.rows, data.targets, self.loss, wrong.rates
        )
        advice = advice if wrong.cause is None else wrong.cause
        layer = self.model.layers[wrong.layer]
        return DivergenceError(
            f"{WHAT[wrong.outcome]} in {when}, first in layers[{wrong.layer}] ({layer!r}); "
            f"the model keeps the weights {kept}. {advice}",
            epoch,
            batch,
            wrong.layer,
        )
