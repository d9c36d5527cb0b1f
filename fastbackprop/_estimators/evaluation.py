"""The loss of samples that a fit doesn't learn from, after each epoch."""

from typing import Any

import numpy as np

from fastbackprop._core.dispatch import kernels
from fastbackprop._core.rows import Rows
from fastbackprop._estimators.data import Samples
from fastbackprop._estimators.losses import LossRule
from fastbackprop._estimators.network import Network

__all__ = ["Evaluation"]


class Evaluation:
    """Measures the loss, without the penalty.

    Parameters
    ----------
    network : Network
        What is trained.
    samples : Samples
        What it is measured on.
    loss : LossRule
        How rows are compared.
    n_threads : int or None
        An order; None leaves it to the work.
    """

    def __init__(
        self, network: Network, samples: Samples, loss: LossRule, n_threads: int | None
    ) -> None:
        self._network, self._model = network, network.model
        self._loss, self._n_threads, self.samples = loss, n_threads, samples
        self._ready: Samples | None = None

    def loss_now(self) -> float:
        """Return the mean over all samples with the weights of now."""
        model = self._model
        samples = self._ready
        if samples is None:  # by now it is known what inputs are scaled by
            samples = self._ready = self._network.ready(self.samples)
        n, size = len(samples), samples.parts(1, model.dtype)
        constants = self._loss.constants(samples.targets)
        total = 0.0 if constants is None else float(constants.sum())
        for first in range(0, n, size):
            part = samples.take(slice(first, first + size), model.dtype)
            costs = np.empty(len(part), model.dtype)
            rows = Rows("X", part.rows, model.dtype, check_finite=False)
            self._compare(rows, part, costs)
            total = kernels(model.dtype).sum_costs(costs, total)
        return total / n

    def _compare(self, rows: Rows, part: Samples, costs: np.ndarray) -> None:
        spec = self._loss.spec

        def comparison(some: slice) -> dict[str, Any]:
            wanted = Samples(None, part.targets[some], None)
            return {
                "out": None,
                "loss_spec": spec,
                "costs": costs[some],
                **wanted.for_kernels,
            }

        self._model._run_over_rows(rows, self._n_threads, comparison)
