"""Evaluation: what predictions cost, and how many are right."""

from typing import Any

import numpy as np

from fastbackprop._compare.losses import Loss
from fastbackprop._compare.own_loss import OwnLoss
from fastbackprop._compare.samples import Checked
from fastbackprop._core.arithmetic import quotient
from fastbackprop._core.dispatch import kernels
from fastbackprop._model.sequential import Sequential

__all__ = ["evaluate", "figures_from"]


def evaluate(
    model: Sequential, loss: Loss, samples: Checked, n_threads: int | None
) -> dict[str, float]:
    """Return the mean cost of samples, and for classification the accuracy."""
    rows, targets = samples
    if isinstance(loss, OwnLoss):
        cost, _ = loss(model.predict(rows.whole(), check_finite=False), targets.values)
        return {"loss": cost}
    spec = loss._spec(model.n_out)
    costs = np.empty(len(rows), model.dtype)

    def comparison(some: slice) -> dict[str, Any]:
        wanted = targets[some]
        return {
            "out": None,
            "targets": wanted.values,
            "labels": wanted.labels,
            "loss_spec": spec,
            "costs": costs[some],
        }

    n_right = model._run_over_rows(rows, n_threads, comparison)
    cost = kernels(model.dtype).sum_costs(costs, 0.0)
    return figures_from(model, loss, cost, n_right, len(rows))


def figures_from(
    model: Sequential, loss: Loss, cost: float, n_right: int, n_rows: int
) -> dict[str, float]:
    """Return the figures that sums over so many rows make."""
    figures = {"loss": quotient(cost, n_rows)}
    if loss.is_classification:
        outputs = 1 if loss.activation == "softmax" else model.n_out
        figures["accuracy"] = quotient(n_right, n_rows * outputs)
    return figures
