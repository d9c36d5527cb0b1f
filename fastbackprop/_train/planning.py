"""What ``fit`` is asked for: checked, and made into a plan, before anything changes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastbackprop._compare.losses import Targets
from fastbackprop._compare.samples import Checked
from fastbackprop._compare.scaling import Scaling
from fastbackprop._core.rows import Rows
from fastbackprop._core.validation import check_integer, check_true_false
from fastbackprop._correct.schedule import Position
from fastbackprop._model.dropping import check_ends_of_dropout, check_figures_of_dropout
from fastbackprop._train.callbacks import Callbacks, as_callbacks
from fastbackprop._train.data import FitPlan, TrainingData, check_validation
from fastbackprop._train.log import EpochLog, as_logger
from fastbackprop._train.measures import Measure, as_measures, check_targets
from fastbackprop._train.progress import ProgressBar, wants_bar
from fastbackprop._train.split import split_rows

__all__ = ["all_callbacks", "check_schedules", "figures_recorded", "plan_fit"]

COPIED = 16 * 2**20  # bytes of rows, of which some are copied: larger ones are mapped files, maybe


def plan_fit(
    trainer: Any,
    rows: np.ndarray | Rows,
    targets: Targets,
    *,
    epochs: Any,
    batch_size: Any,
    validation_data: Any,
    share: float,
    metrics: Any,
    callbacks: Any,
    shuffle: Any,
    drop_last: Any,
    progress_bar: Any,
    on_epoch_end: Any,
    check_finite: bool,
    log: Any,
    features: Sequence[str] | None,
    scale: float,
    scaling: Scaling,
    source: Rows | None,
) -> FitPlan:
    """Return the plan of a fit, or a complaint; the arguments are those of ``Trainer.fit``.

    Parameters
    ----------
    trainer : Trainer
        Its model, loss and settings.
    rows, targets : ndarray or Rows, Targets
        The samples, checked; their weights aren't those of classes yet.
    share : float
        The part of them that is for validation.
    scaling : Scaling
        What they are scaled by.
    source : Rows, optional
        Rows as the user has them, for a diagnosis.
    """
    model, loss = trainer._model, trainer._loss
    epochs = check_integer("epochs", epochs)
    size = trainer.batch_size if batch_size is None else check_integer("batch_size", batch_size)
    shuffle = check_true_false("shuffle", shuffle)
    drop_last = check_true_false("drop_last", drop_last)
    measures = as_measures(metrics, loss, model.n_out)
    check_targets(measures, loss, targets)
    called = Callbacks(trainer, all_callbacks(callbacks, on_epoch_end, progress_bar, log))
    validation = None
    if validation_data is not None:
        validation = check_validation(
            model, loss, validation_data, check_finite, targets.classes, features, scale, scaling
        )
    figures = figures_recorded(
        loss.is_classification, measures, validation is not None or share > 0
    )
    called.check(figures)
    trainer.optimizer._check_figures(figures)
    check_figures_of_dropout(model, figures)
    if share:
        train, held_out = split_rows(targets, share, loss, trainer._fitting.generator, model.dtype)
        validation = _as_checked(_chosen(rows, held_out), targets[held_out])
        for part, what in ((held_out, "hold out"), (train, "leave")):
            if not targets[part].total > 0:
                raise ValueError(
                    f"validation_split must {what} a row whose weight isn't 0, got {share:g}, by "
                    f"which the weights of all {len(part)} rows are 0."
                )
        rows, targets = _chosen(rows, train), targets[train]
    if drop_last and size > len(rows):
        raise ValueError(
            f"batch_size must be at most {len(rows)}, the rows of X, with drop_last=True, got "
            f"{size}."
        )
    weighted = trainer._class_weights.on(targets, model.dtype, are_all=True)
    order = np.empty(len(rows), np.int64) if shuffle else None
    data = TrainingData(rows, weighted, order, min(size, len(rows)), drop_last)
    trainer.optimizer._check_fit(data.batch_size, len(rows))
    if trainer._pending is None:
        check_schedules(trainer, epochs * -(-data.n_used // data.batch_size))
    are_known = loss.is_classification and targets.weights is None
    names = {measure.name for measure in measures} - ({"accuracy"} if are_known else set())
    measured = _as_checked(rows, targets) if names else None
    return FitPlan(data, epochs, validation, called, measures, measured, features, scaling, source)


def check_schedules(trainer: Any, n_steps: int) -> None:
    """Refuse, before the first step, schedules that a fit of so many steps would break off at."""
    model, optimizer = trainer._model, trainer._optimizer
    n_before = optimizer._state(model._parameters).n_steps
    optimizer._check_ends(Position(n_before, 0, n_steps), n_steps)
    check_ends_of_dropout(model, n_steps)


def all_callbacks(callbacks: Any, on_epoch_end: Any, progress_bar: Any, log: Any) -> list[Any]:
    """Return the user's callbacks, and those that stand for other arguments."""
    bar = [ProgressBar()] if wants_bar(progress_bar) else []
    logger = as_logger(log)
    lines = [] if logger is None else [EpochLog(logger)]
    return [*bar, *as_callbacks(callbacks, on_epoch_end), *lines]


def figures_recorded(
    is_classification: bool, measures: tuple[Measure, ...], validates: bool
) -> dict[str, bool]:
    """Return the names of all figures, and whether this fit records them."""
    names = ["loss", *(["accuracy"] if is_classification else []), *(x.name for x in measures)]
    others = {f"validation_{name}": validates for name in names}
    return dict.fromkeys(names, True) | others | {"seconds": True}


def _chosen(rows: np.ndarray | Rows, index: np.ndarray) -> np.ndarray | Rows:
    """Return some of the rows: copied if they are few, else when a batch asks for them."""
    if isinstance(rows, np.ndarray) and rows.nbytes <= COPIED:
        return rows[index]
    return _as_rows(rows).chosen(index)


def _as_rows(rows: np.ndarray | Rows) -> Rows:
    """Return rows that were checked as ``evaluate`` takes them."""
    return rows if isinstance(rows, Rows) else Rows("X", rows, rows.dtype, check_finite=False)


def _as_checked(rows: np.ndarray | Rows, targets: Targets) -> Checked:
    return Checked(_as_rows(rows), targets)
