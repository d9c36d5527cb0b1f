"""A fit over batches that come one after the other, from wherever they come."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fastbackprop._compare.own_loss import OwnLoss
from fastbackprop._compare.samples import Checked
from fastbackprop._core.arithmetic import quotient
from fastbackprop._core.arrays import feature_names
from fastbackprop._core.lock import run_then
from fastbackprop._core.validation import check_integer
from fastbackprop._correct.schedule import Position, is_schedule, table_of
from fastbackprop._model.dropping import check_figures_of_dropout
from fastbackprop._train.batches import Batches, Run
from fastbackprop._train.best import BestWeights
from fastbackprop._train.callbacks import Callbacks
from fastbackprop._train.data import TrainingData, check_validation
from fastbackprop._train.evaluation import evaluate, figures_from
from fastbackprop._train.history import History
from fastbackprop._train.measures import Measure, as_measures
from fastbackprop._train.planning import all_callbacks, check_schedules, figures_recorded
from fastbackprop._train.state import Sums, TrainingState, validated_weights

__all__ = ["StreamPlan", "fit_stream", "plan_stream"]


@dataclass(frozen=True)
class StreamPlan:
    """What ``fit_batches`` was asked for, checked.

    Parameters
    ----------
    passes : callable
        Function that returns the batches of one epoch.
    epochs : int
        How many.
    length, n_rows : int or None
        Batches and rows of an epoch, where they are known.
    validation, measures : Checked and tuple of Measure
        What is measured behind each epoch.
    callbacks : Callbacks
        Who hears of it.
    check_finite : bool
        Whether numbers are looked at.
    """

    passes: Callable[[], Iterable[Any]]
    epochs: int
    length: int | None
    n_rows: int | None
    validation: Checked | None
    measures: tuple[Measure, ...]
    callbacks: Callbacks
    check_finite: bool


def plan_stream(
    trainer: Any,
    batches: Any,
    *,
    epochs: Any,
    validation_data: Any,
    metrics: Any,
    callbacks: Any,
    progress_bar: Any,
    on_epoch_end: Any,
    check_finite: bool,
    log: Any,
) -> StreamPlan:
    """Return the plan, or a complaint; the arguments are those of ``Trainer.fit_batches``."""
    model, loss = trainer._model, trainer._loss
    model._check_scaling()
    epochs = check_integer("epochs", epochs)
    passes = _passes_of(batches, epochs)
    measures = as_measures(metrics, loss, model.n_out)
    called = Callbacks(trainer, all_callbacks(callbacks, on_epoch_end, progress_bar, log))
    validation = None
    if validation_data is not None:
        names = batches._blocks.names if isinstance(batches, Batches) else None
        validation = check_validation(
            model, loss, validation_data, check_finite, model._classes, names, 1.0
        )
    figures = figures_recorded(loss.is_classification, (), False)
    figures |= {
        name: validation is not None
        for name in figures_recorded(loss.is_classification, measures, True)
        if name.startswith("validation_")
    }
    called.check(figures)
    trainer.optimizer._check_figures(figures)
    check_figures_of_dropout(model, figures)
    n_rows = batches.n_rows if isinstance(batches, Batches) else None
    if (length := _length_of(batches)) is not None and length > 0:
        check_schedules(trainer, epochs * length)
    return StreamPlan(passes, epochs, length, n_rows, validation, measures, called, check_finite)


def _passes_of(batches: Any, epochs: int) -> Callable[[], Iterable[Any]]:
    """Return what begins an epoch, or complain of what can't be gone through so often."""
    if isinstance(batches, Batches):
        return batches._runs
    if isinstance(batches, Iterator) and epochs > 1:
        raise ValueError(
            f"batches must be an iterable that can be gone through {epochs} times, got a "
            f"{type(batches).__name__}, which is used up after one; pass the function that makes "
            f"it, or epochs=1."
        )
    if isinstance(batches, np.ndarray | str | dict) or hasattr(batches, "columns"):
        raise TypeError(
            f"batches must be an iterable of batches (X, y), got a {type(batches).__name__}; for "
            f"arrays there is fit, or Batches(X, y)."
        )
    if hasattr(batches, "__iter__") or hasattr(batches, "__getitem__"):
        return lambda: batches
    if callable(batches):
        passes: Any = batches
        return passes
    raise TypeError(
        f"batches must be an iterable of batches (X, y), or a function that returns one, got "
        f"{batches!r}."
    )


def _length_of(batches: Any) -> int | None:
    try:
        return len(batches)
    except TypeError:  # some have a __len__ that says they have none
        return None


def fit_stream(trainer: Any, plan: StreamPlan) -> History:
    """Do it, in the model's lock."""
    parameters, callbacks = trainer._model._parameters, plan.callbacks
    optimizer_state = trainer._optimizer._state(parameters)
    best = BestWeights(parameters, optimizer_state.buffer)
    n_rows = plan.epochs * (plan.n_rows or 0)
    state = TrainingState(parameters, optimizer_state, best, plan.epochs, n_rows)
    # Of a fit that this one is inside of. There is no plan for checkpoints to go on with.
    outer, stops = (trainer._plan, trainer._state), trainer.stop_training
    trainer._plan, trainer._state, trainer.stop_training = None, state, False
    before = trainer.history, trainer._pending, trainer._callbacks
    trainer.history, trainer._pending, trainer._callbacks = state.history, None, ()
    n_before = optimizer_state.n_steps
    try:
        run_then(partial(_run, trainer, plan, state), callbacks.settle)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            error.add_note(state.what_is_kept(callbacks.kept))
        if before[1] is not None and optimizer_state.n_steps == n_before:  # that fit isn't over
            trainer.history, trainer._pending, trainer._callbacks = before
        raise
    finally:
        state.is_over = True
        callbacks.end()
        trainer._plan, trainer._state = outer
        if outer[1] is not None:
            trainer.stop_training, trainer.history = stops, outer[1].history
    return state.history


def _run(trainer: Any, plan: StreamPlan, state: TrainingState) -> None:
    plan.callbacks.begin()
    n_steps = 0
    while state.epoch < plan.epochs and not plan.callbacks.want_end:
        epoch = _Epoch(trainer, plan, state, n_steps)
        if not epoch.run():
            break
        n_steps = epoch.n_steps
        state.best.note(state.epoch, state.history.loss[-1])
        state.tell(plan.callbacks.epoch_end, state.history)


class _Epoch:
    """One pass over the batches, with its line in the history.

    Parameters
    ----------
    trainer, plan, state
        Who trains, what was asked for, and where the fit is.
    n_steps : int
        Steps that this fit has done before.
    """

    def __init__(self, trainer: Any, plan: StreamPlan, state: TrainingState, n_steps: int) -> None:
        self._trainer, self._plan, self._state = trainer, plan, state
        self._model, self._loop = trainer._model, trainer._loop
        self.n_steps, self._before = n_steps, n_steps
        self._total = 0.0  # of weights
        self._counted = 0.0  # the same without those of classes
        self._position = Position()

    def run(self) -> bool:
        """Return whether it came to its end: an epoch that a callback cuts short has no line."""
        start = time.perf_counter()
        self._state.begin_epoch(None)
        for item in self._plan.passes():
            data = self._data_of(item)
            self._steps(data)
            self._total += data.targets.total
            self._counted = data.targets.counted(self._counted)
            if self._plan.callbacks.want_end:
                if self.n_steps - self._before != self._plan.length:
                    return False
                break
        if self.n_steps == self._before:
            raise ValueError(
                f"batches must yield at least one batch (X, y), got none in epoch "
                f"{self._state.epoch}."
            )
        seconds = time.perf_counter() - start
        self._plan.callbacks.before_validation()
        self._state.history._note(**self._figures(), seconds=seconds)
        return True

    def _data_of(self, item: Any) -> TrainingData:
        """Return a batch in the kernels' form, or complain of it by its number."""
        trainer, number = self._trainer, self.n_steps - self._before + 1
        which = f"batch {number}"
        if isinstance(item, Run):
            X, y, weights, size, scale, names = item
            last = number + -(-len(y) // size) - 1
            which = which if last == number else f"batches {number} to {last}"
        else:
            if not isinstance(item, tuple | list) or len(item) not in (2, 3):
                got = (
                    f"{len(item)} items" if isinstance(item, tuple | list) else type(item).__name__
                )
                raise TypeError(
                    f"batches must be tuples (X, y) or (X, y, weights), got {got} for {which}."
                )
            X, y, weights = (*item, None)[:3]
            size, scale, names = None, 1.0, feature_names(X)
        rows, targets = trainer._samples(
            X, y, weights, self._plan.check_finite, is_step=True, scale=scale, which=which
        )
        targets = trainer._class_weights.on(targets, self._model.dtype, are_all=False)
        if self._model._feature_names is None:
            self._model._learn(None, names)
        return TrainingData(rows, targets, None, min(size or len(rows), len(rows)))

    def _steps(self, data: TrainingData) -> None:
        state, callbacks, base = self._state, self._plan.callbacks, self._state.sums.row
        done = Sums(0, state.sums.cost, state.sums.n_right)

        def advance(sums: Sums) -> bool:
            nonlocal done
            before, done = done, sums
            state.sums = Sums(base + sums.row, sums.cost, sums.n_right)
            self.n_steps += -(-(sums.row - before.row) // data.batch_size)

            def loss() -> float:
                total = data.total_of(before.row, sums.row)
                return quotient(sums.cost - before.cost, total) if total > 0 else 0.0

            return state.tell(callbacks.advanced, sums.row - before.row, self.n_steps, loss)

        length = None if self._plan.length is None else self._plan.epochs * self._plan.length
        position = Position(
            state.optimizer_state.n_steps,
            None if length is None else self.n_steps,
            length,
            state.history,
        )
        wrong = self._loop._steps(
            data, done, state.optimizer_state, state.best.room, advance, position,
            one_by_one=callbacks.are_by_step,
        )  # fmt: skip
        self._position = position.after(-(-len(data.rows) // data.batch_size) - 1)
        if wrong is not None:
            state.has_diverged = True
            if isinstance(self._loop.loss, OwnLoss):
                state.best.put_back()  # which the kernels do otherwise
            batch = self.n_steps - self._before + 1
            raise self._loop._divergence(
                data, wrong, f"epoch {state.epoch}, batch {batch}",
                callbacks.keeps() or str(state.best), epoch=state.epoch, batch=batch,
            )  # fmt: skip

    def _figures(self) -> dict[str, float]:
        """Return what the epoch has measured, and what is measured behind it."""
        state, loss, plan = self._state, self._loop.loss, self._plan
        mean_cost = quotient(state.sums.cost, self._total) if self._total > 0 else 0.0
        n_right = state.sums.n_right
        figures = figures_from(self._model, loss, mean_cost, n_right, self._counted)
        rate = self._loop.optimizer.learning_rate
        if is_schedule(rate):
            figures["learning_rate"] = float(table_of(rate, self._position, 1)[0])
        if plan.validation is not None:
            with validated_weights(state):
                measured = evaluate(
                    self._model, loss, plan.validation, self._loop.n_threads, plan.measures
                )
            figures |= {f"validation_{name}": value for name, value in measured.items()}
        return figures
