"""What lets a trainer's next step or evaluation be quick: all that it needs, made once.

The kernels do it then from the user's arrays, in one call of C; what isn't simple they leave to the
long way, which has the complaints.
"""

from time import perf_counter
from typing import Any

import numpy as np

from fastbackprop._compare.quick import quick_targets
from fastbackprop._core.buffers import aligned_zeros
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.sharing import LEAST_SHARED
from fastbackprop._correct.schedule import is_schedule
from fastbackprop._train.history import History
from fastbackprop._train.progress import wants_bar

__all__ = ["quick_evaluation", "quick_fit", "quick_step"]

MOST_EVALUATED = 64  # rows that the kernels predict together


def _answers(trainer: Any) -> int:
    """Return how many answers of a sample are right or wrong; 0 where it is no classification."""
    if not trainer._loss.is_classification:
        return 0
    return 1 if trainer._loss.activation == "softmax" else trainer._model.n_out


def quick_evaluation(trainer: Any, n: int) -> Any:
    """Return the kernels' QuickEvaluation for at most n rows, or None."""
    if n > MOST_EVALUATED:
        return None
    model = trainer._model
    version, network = model._version(), model._network
    targets = quick_targets(trainer._model, trainer._loss, n) if version.is_current else None
    if targets is None:
        return None
    return kernels(model.dtype).QuickEvaluation(version, network, targets, _answers(trainer))


def quick_step(trainer: Any, n: int) -> Any:
    """Return the kernels' QuickStep for at most n rows, or None."""
    model, loop, optimizer = trainer._model, trainer._loop, trainer._optimizer
    parameters, kernel = model._parameters, kernels(model.dtype)
    version, pool, specs = model._version(), model._workspaces, optimizer._specs
    spec = specs.get(kernel)
    if (
        spec is None
        or not version.is_current
        or loop.n_threads not in (None, 1)
        or loop.operations(n) >= LEAST_SHARED
        or trainer._class_weights.are_given
        or any(map(is_schedule, optimizer._numbers.values()))
    ):
        return None
    targets = quick_targets(trainer._model, trainer._loss, n)
    if targets is None:
        return None
    state = optimizer._state(parameters).buffer
    # For the constructor: each step brings its own.
    rows = np.zeros((n, model.n_in), model.dtype)
    values = aligned_zeros(n * model.n_out, model.dtype).reshape(n, model.n_out)
    work = kernel.TrainingWork(
        pool.take(n), rows, values, None, None, 0, n, n,
        trainer._loss._spec(model.n_out, model.dtype), spec, state, 0.0, 0, 1, False,
        parameters.snapshot(state), None, False, *loop.clipping, loop.clipping.scratch(model),
    )  # fmt: skip
    return kernel.QuickStep(version, optimizer, specs, work, targets, _answers(trainer))


def quick_fit(
    trainer: Any, X: Any, y: Any, shuffle: bool, progress_bar: bool | None
) -> History | None:
    """Fit one row, once, by the trainer's QuickStep; None for what isn't simple."""
    fitting = trainer._fitting
    if (
        fitting.diagnoses_left
        or trainer._loop.clipping.norm  # the history has the norm of gradients then
        or trainer._pending is not None
        or trainer._callbacks
        or trainer._state is not None
        or (progress_bar is not False and (progress_bar is not None or wants_bar(None)))
    ):
        return None
    begin = perf_counter()
    figures = trainer._quick_step.fit_row(X, y)
    if figures is None:
        return None
    if shuffle:
        fitting.generator.skip(1)
    loss, accuracy = figures
    accuracies = None if accuracy is None else [accuracy]
    history = History(loss=[loss], accuracy=accuracies, seconds=[perf_counter() - begin])
    trainer.stop_training, trainer.history = False, history
    return history
