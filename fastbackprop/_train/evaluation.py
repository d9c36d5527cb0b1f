"""Evaluation: what predictions cost, and how many are right."""

from dataclasses import replace
from typing import Any

import numpy as np

from fastbackprop._compare.losses import Loss, Targets
from fastbackprop._compare.own_loss import OwnLoss
from fastbackprop._compare.samples import Checked
from fastbackprop._core.arithmetic import exact_mode, quotient
from fastbackprop._core.buffers import empty
from fastbackprop._core.dispatch import kernels
from fastbackprop._model.sequential import Sequential
from fastbackprop._train.measures import Measure, measured

__all__ = ["evaluate", "figures_from", "measure"]


def evaluate(
    model: Sequential,
    loss: Loss,
    samples: Checked,
    n_threads: int | None,
    measures: tuple[Measure, ...] = (),
) -> dict[str, float]:
    """Return the mean cost of samples, for classification the accuracy, and metrics."""
    rows, targets = samples
    if isinstance(loss, OwnLoss):
        y_hat = model._predict_rows(rows.whole())
        cost = np.nan  # in training, too, a user's function gets no outputs that aren't finite
        if np.isfinite(y_hat).all():
            cost, _ = loss(y_hat, targets.values, targets.weights)
        return {"loss": cost} | measured(measures, loss, *_in_units(model, targets, y_hat))
    spec = loss._spec(model.n_out, model.dtype)
    costs = np.empty(len(rows), model.dtype)
    rights = (
        np.empty_like(costs) if loss.is_classification and targets.weights is not None else None
    )

    def comparison(some: slice) -> dict[str, Any]:
        wanted = targets[some]
        return {
            "out": None,
            "targets": wanted.values,
            "labels": wanted.labels,
            **wanted.of_samples,
            "loss_spec": spec,
            "costs": costs[some],
            "rights": None if rights is None else rights[some],
        }

    n_right: float = model._run_over_rows(rows, n_threads, comparison)
    if rights is not None:
        n_right = targets.right(rights, 0.0)
    cost = kernels(model.dtype).sum_costs(costs, 0.0)
    figures = figures_from(model, loss, targets.mean_of(cost), n_right, targets.counted())
    return figures | measure(model, loss, samples, n_threads, measures)


def measure(
    model: Sequential,
    loss: Loss,
    samples: Checked,
    n_threads: int | None,
    measures: tuple[Measure, ...],
) -> dict[str, float]:
    """Return nothing but metrics of samples."""
    if not measures:
        return {}
    y_hat = empty("The predictions", (len(samples.rows), model.n_out), model.dtype)
    model._run_over_rows(samples.rows, n_threads, lambda some: {"out": y_hat[some]})
    return measured(measures, loss, *_in_units(model, samples.targets, y_hat))


def _in_units(model: Sequential, targets: Targets, y_hat: np.ndarray) -> tuple[Targets, np.ndarray]:
    """Return targets and outputs in the user's units, in float64 where they were scaled."""
    scale_back = model._output_scale()
    if scale_back is None:
        return targets, y_hat
    with exact_mode():
        return replace(targets, values=targets.unscaled), scale_back.apply(y_hat)


def figures_from(
    model: Sequential, loss: Loss, mean_cost: float, n_right: float, counted: float
) -> dict[str, float]:
    """Return the figures of all rows: for classification with their accuracy.

    Parameters
    ----------
    model, loss : Sequential and Loss
        Say how many answers a sample has.
    mean_cost : float
        The loss.
    n_right : float
        Answers that were right, by the weights of their samples.
    counted : float
        Samples, or the sum of their weights.
    """
    figures = {"loss": mean_cost}
    if loss.is_classification:
        outputs = 1 if loss.activation == "softmax" else model.n_out
        figures["accuracy"] = quotient(n_right, counted * outputs) if counted > 0 else 0.0
    return figures
