"""What a fit works on, checked before anything changes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastbackprop._compare.labels import Classes
from fastbackprop._compare.losses import Loss, Targets
from fastbackprop._compare.samples import Checked, as_samples
from fastbackprop._compare.scaling import Scaling
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.rows import Rows
from fastbackprop._model.sequential import Sequential
from fastbackprop._train.callbacks import Callbacks
from fastbackprop._train.measures import Measure

__all__ = ["FitPlan", "TrainingData", "check_validation"]

# Bytes of rows that are converted for one call of the kernels, unless a batch has more: they stay
# in a near cache.
GATHERED = 2 * 2**20


class TrainingData(NamedTuple):
    """What steps are made of: rows and targets, in this order or their own, so many at a time."""

    rows: np.ndarray | Rows  # Rows where they must be converted, batch by batch
    targets: Targets
    order: np.ndarray | None
    batch_size: int
    drops_last: bool = False

    @property
    def n_used(self) -> int:
        """How many rows an epoch uses: all, or those of whole batches."""
        n, size = len(self.rows), self.batch_size
        return n // size * size if self.drops_last else n

    @property
    def used_targets(self) -> Targets:
        """The targets of the rows that an epoch uses, in their order where some are left out."""
        if self.n_used == len(self.rows):
            return self.targets
        return self.targets[slice(self.n_used) if self.order is None else self.order[: self.n_used]]

    @property
    def counted(self) -> float:
        """What the accuracy of an epoch is divided by, summed in the order of its steps."""
        if self.targets.sample_weights is None:
            return float(self.n_used)
        return self.targets[self._places(0, self.n_used)].counted()

    def _places(self, first: int, last: int) -> Any:
        """Return where rows [first, last) of the epoch lie."""
        return slice(first, last) if self.order is None else self.order[first:last]

    @property
    def most_rows(self) -> int | None:
        """How many rows one call of the kernels may have, where they are converted for it."""
        return self.rows.rows_in(GATHERED) if isinstance(self.rows, Rows) else None

    def part(self, first: int, last: int) -> "Part":
        """Return rows [first, last) of the epoch where they lie, or converted for the kernels."""
        if not isinstance(self.rows, Rows):
            return Part(self.rows, self.targets, self.order, first, last)
        some = self._places(first, last)
        return Part(self.rows[some], self.targets[some], None, 0, last - first)

    def total_of(self, first: int, last: int) -> float:
        """Return what the cost of some rows of the epoch is divided by: see Targets.total."""
        divisor = self.targets.weights if self.targets.shares is None else self.targets.shares
        if divisor is None:
            return float(last - first)
        some = self._places(first, last)
        return kernels(divisor.dtype).sum_costs(np.ascontiguousarray(divisor[some]), 0.0)

    def take(self, rows: np.ndarray) -> "TrainingData":
        """Return one batch of the rows with these numbers."""
        return TrainingData(self.rows[rows], self.targets[rows], None, len(rows))

    def as_rows(self) -> Rows:
        """Return the rows as ``evaluate`` takes them; they were checked."""
        if isinstance(self.rows, Rows):
            return self.rows
        return Rows("X", self.rows, self.rows.dtype, check_finite=False)


class Part(NamedTuple):
    """Rows of one call of the kernels: some of ``rows``, in ``order``."""

    rows: np.ndarray
    targets: Targets
    order: np.ndarray | None
    first: int
    last: int


class FitPlan(NamedTuple):
    """What ``fit`` was asked for, checked."""

    data: TrainingData
    epochs: int
    validation: Checked | None
    callbacks: Callbacks
    measures: tuple[Measure, ...] = ()
    measured: Checked | None = None  # what metrics of training compare with
    feature_names: Sequence[str] | None = None
    scaling: Scaling | None = None  # that the model takes, where it had none
    source: Rows | None = None  # as the user has them, for a diagnosis

    @property
    def steps_per_epoch(self) -> int:
        """How many steps an epoch has."""
        return -(-self.data.n_used // self.data.batch_size)


def check_validation(
    model: Sequential,
    loss: Loss,
    pair: Any,
    check_finite: bool,
    classes: Classes | None,
    features: Sequence[str] | None,
    scale: float,
    scaling: Scaling | None = None,
) -> Checked:
    """Return validation_data in the kernels' form, or a complaint that names it."""
    if not isinstance(pair, tuple | list) or len(pair) not in (2, 3):
        got = f"{len(pair)} items" if isinstance(pair, tuple | list) else type(pair).__name__
        raise TypeError(f"validation_data must be a tuple (X, y) or (X, y, weights), got {got}.")
    X, y, weights = (*pair, None)[:3]
    samples = as_samples(
        model,
        loss,
        X,
        y,
        names=("validation X", "validation y"),
        sample_weight=weights,
        weight_name="validation weights",
        check_finite=check_finite,
        classes=classes,
        features=features,
        scale=scale,
        scaling=scaling,
    )
    samples.rows.check()
    return samples
