"""Epochs of an estimator: all batches in a few calls of the kernels."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fastbackprop._core.dispatch import kernels
from fastbackprop._core.sharing import phases_of_step
from fastbackprop._core.threads import run, share_of_work
from fastbackprop._core.visits import Visits
from fastbackprop._correct.clipping import Clipping
from fastbackprop._estimators.data import Samples
from fastbackprop._estimators.losses import LossRule
from fastbackprop._estimators.network import Network
from fastbackprop._train.loop import OVERHEAD_PER_LAYER, OVERHEAD_PER_ROW
from fastbackprop._train.state import Outcome

__all__ = ["Epochs", "Wrong"]


NO_CLIPPING = Clipping()


class Wrong(NamedTuple):
    """A step that isn't finite: its batch, counted from 1, and its layer."""

    batch: int
    layer: int


class Epochs:
    """Runs epochs over the same samples.

    Parameters
    ----------
    network : Network
        What is trained.
    samples : Samples
        What it learns from.
    batch_size : int
        Rows of a step.
    loss : LossRule
        How rows are compared.
    alpha : float
        Half of it times the squares of all weights is a part of each batch's loss.
    n_threads : int or None
        An order; None leaves it to the work.
    total : float, optional
        What costs and gradients of every batch are divided by, instead of its own weight.
    clipping : Clipping
        Limits of gradients.
    """

    def __init__(
        self,
        network: Network,
        samples: Samples,
        batch_size: int,
        loss: LossRule,
        alpha: float,
        n_threads: int | None = None,
        *,
        total: float | None = None,
        clipping: Clipping = NO_CLIPPING,
    ) -> None:
        self._model = network.model
        self._dtype = network.model.dtype
        self._samples = network.ready(samples)
        self._size, self._loss, self._alpha = batch_size, loss, alpha
        self._n_threads, self._visits = n_threads, Visits()
        self._total, self._clipping = total, clipping
        if total is not None:
            shares = np.zeros(len(self._samples), self._dtype)
            shares[::batch_size] = total
            self._samples = replace(self._samples, shares=shares)
        self._constants = loss.constants(self._samples.targets)
        overhead = len(self._model.layers) * (OVERHEAD_PER_LAYER + batch_size * OVERHEAD_PER_ROW)
        self._operations = 6.0 * batch_size * self._model.n_parameters + overhead
        kernel, network = kernels(self._dtype), self._model._network
        self._phases = phases_of_step(
            self._operations,
            kernel.chunks_of_rows(network, batch_size),
            kernel.chunks_of_weights(network),
        )

    @property
    def batch_size(self) -> int:
        """Rows of a step."""
        return self._size

    def run(
        self,
        spec: Any,
        state: np.ndarray,
        order: np.ndarray | None,
        rates: Callable[[int], np.ndarray | None] = lambda n_steps: None,
        advance: Callable[[int, Callable[[], float]], bool] | None = None,
        one_by_one: bool = False,
    ) -> float | Wrong:
        """Take all rows once, in this order; returns the loss as scikit-learn reports it.

        Parameters
        ----------
        spec : UpdateSpec
            The optimizer of this epoch.
        state : ndarray
            What the optimizer keeps.
        order : ndarray or None
            Row numbers; None is as they are.
        rates : callable
            Returns what each of so many next steps has of its own.
        advance : callable, optional
            Is called with the rows of each call of the kernels, and what gives the loss of its
            batch where it is one; returns whether to end.
        one_by_one : bool
            Whether each step is a call.
        """
        n = len(self._samples)
        report = np.zeros((-(-n // self._size), 2))
        self._model._parameters.n_trainings += 1
        with self._model._workspaces.borrowed(self._size) as workspace:
            for samples, own_order, first, last, step in self._calls(order, one_by_one):
                wrong = self._call(
                    workspace, samples, own_order, (first, last), spec, state, report[step:],
                    rates(-(-(last - first) // self._size)),
                )  # fmt: skip
                if wrong is not None:
                    batch = step + (wrong.batch - first) // self._size + 1
                    return Wrong(batch, wrong.layer)
                start = step * self._size
                loss = partial(
                    self._batch_loss, report[step, 0], order, start, start + last - first
                )
                if advance is not None and advance(last - first, loss):
                    return self._loss_of(report, order, start + last - first)
        return self._loss_of(report, order, n)

    def _batch_loss(self, cost: float, order: np.ndarray | None, first: int, last: int) -> float:
        """Return the loss of a batch, where it was a call by itself."""
        weights, some = self._samples.weights, slice(first, last)
        rows = some if order is None else order[some]
        total = last - first if weights is None else float(weights[rows].sum())
        if self._constants is not None:
            constants = self._constants[rows]
            cost += float((constants if weights is None else constants * weights[rows]).sum())
        return float(cost / total) if total else 0.0

    def _calls(
        self, order: np.ndarray | None, one_by_one: bool = False
    ) -> Iterator[tuple[Samples, np.ndarray | None, int, int, int]]:
        """Yield samples, their order, the first row and that behind the last, the first step."""
        n, size = len(self._samples), self._size
        at_once = self._samples.parts(size, self._dtype)
        for start in range(0, n, at_once):
            samples, end, own_order = self._samples, min(start + at_once, n), order
            if samples.is_sparse:
                rows = np.arange(start, end) if order is None else order[start:end]
                samples, own_order = samples.take(rows, self._dtype), None
            n_part = end - start
            parts = self._visits.parts(n_part, size, self._operations)
            if one_by_one:
                parts = ((x, min(x + size, n_part)) for x in range(0, n_part, size))
            for first, last in parts:
                yield samples, own_order, first, last, (start + first) // size

    def _call(
        self,
        workspace: Any,
        samples: Samples,
        order: np.ndarray | None,
        part: tuple[int, int],
        spec: Any,
        state: np.ndarray,
        report: np.ndarray,
        rates: np.ndarray | None,
    ) -> Wrong | None:
        """Steps over some rows; returns the first row of a batch that went wrong, and its layer."""
        n_threads, crowded = share_of_work(self._n_threads, self._phases)
        work = kernels(self._dtype).TrainingWork(
            workspace, samples.rows, order=order, first=part[0], last=part[1],
            batch_size=self._size, loss_spec=self._loss.spec, update_spec=spec, state=state,
            cost=0.0, n_right=0, n_threads=n_threads, crowded=crowded, report=report, rates=rates,
            clip_value=self._clipping.value, clip_norm=self._clipping.norm,
            clipping=self._clipping.scratch(self._model), **samples.for_kernels,
            n_forwards=self._model._parameters.n_forwards,
        )  # fmt: skip
        outcome, _, _, row, layer = self._model._lock.write(run, work, n_threads)
        self._model._parameters.count_forwards((row - part[0]) // self._size)
        return None if outcome == Outcome.FINE else Wrong(row, layer)

    def _loss_of(self, report: np.ndarray, order: np.ndarray | None, n: int) -> float:
        """Return the mean over batches, each as long as it has rows, of its loss and penalty.

        Of the first n rows in this order.
        """
        size, weights = self._size, self._samples.weights
        report = report[: -(-n // size)]
        costs = report[:, 0] + 0.5 * self._alpha * report[:, 1]
        if weights is None and self._constants is None:
            return float(costs.sum() / (self._total or n))
        order = slice(n) if order is None else order[:n]  # type: ignore[assignment]
        weights = np.ones(n) if weights is None else weights[order].astype(np.float64)
        starts = np.arange(0, n, size)
        if self._constants is not None:
            costs += np.add.reduceat(self._constants[order] * weights, starts)
        if self._total is not None:
            return float(costs.sum() / self._total)
        totals = np.add.reduceat(weights, starts)
        lengths = np.minimum(size, n - starts)
        means = np.divide(costs, totals, out=np.zeros_like(costs), where=totals > 0)
        return float((means * lengths).sum() / n)
