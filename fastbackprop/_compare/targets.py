"""What predictions are compared with, in the kernels' form."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastbackprop._compare.labels import Classes
from fastbackprop._core.arithmetic import exact_mode, quotient
from fastbackprop._core.dispatch import kernels

__all__ = ["Targets"]


@dataclass(frozen=True)
class Targets:
    """What the kernels compare with: real numbers (n, n_targets), or labels (n,).

    Parameters
    ----------
    values, labels : ndarray or None
        One of them.
    weights : ndarray of shape (n,), optional
        What each sample's cost and gradient are multiplied by; None is 1 for each.
    shares : ndarray of shape (n,), optional
        What each sample adds to the divisor of cost and gradient, where that isn't its weight: less
        where targets are missing.
    classes : Classes, optional
        Whose indices these are, where the user has labels of another kind.
    unscaled : ndarray, optional
        The values in the user's units, in float64, where they were scaled: for metrics.
    sample_weights : ndarray of shape (n,), optional
        What each sample counts in accuracy and metrics: its weight without that of its class.
    """

    values: np.ndarray | None
    labels: np.ndarray | None
    weights: np.ndarray | None = None
    shares: np.ndarray | None = None
    classes: Classes | None = None
    unscaled: np.ndarray | None = None
    sample_weights: np.ndarray | None = None

    def __len__(self) -> int:
        array = self.values if self.labels is None else self.labels
        return 0 if array is None else len(array)

    def __getitem__(self, rows: slice | np.ndarray) -> "Targets":
        return Targets(
            None if self.values is None else self.values[rows],
            None if self.labels is None else self.labels[rows],
            None if self.weights is None else self.weights[rows],
            None if self.shares is None else self.shares[rows],
            self.classes,
            None if self.unscaled is None else self.unscaled[rows],
            None if self.sample_weights is None else self.sample_weights[rows],
        )

    def weighted(self, weights: np.ndarray | None) -> "Targets":
        """Return the same targets with these weights of samples, checked and of their dtype."""
        if weights is None:
            return self
        if self.shares is None:
            return replace(self, weights=weights, sample_weights=weights)
        assert self.weights is None
        with exact_mode():
            shares = weights * self.shares
        return replace(self, weights=weights, sample_weights=weights, shares=shares)

    @property
    def total(self) -> float:
        """What sums of costs and gradients are divided by: samples, or the sum of their weights."""
        divisor = self.weights if self.shares is None else self.shares
        if divisor is None:
            return float(len(self))
        return _carried_on(divisor, 0.0)

    def mean_of(self, costs: float) -> float:
        """Return the mean cost, of a sum over samples; 0 where they have no weight."""
        total = self.total
        return quotient(costs, total) if total > 0 else 0.0

    def counted(self, before: float = 0.0) -> float:
        """Return what accuracy is divided by, carried on: samples, or their weights."""
        if self.sample_weights is None:
            return before + len(self)
        return _carried_on(self.sample_weights, before)

    def right(self, rights: np.ndarray, before: float) -> float:
        """Return the sum of right answers, of each sample by its weight, carried on."""
        assert self.sample_weights is not None
        with exact_mode():
            return _carried_on(np.multiply(self.sample_weights, rights, dtype=np.float64), before)

    @property
    def of_samples(self) -> dict[str, Any]:
        """What a call of the kernels takes besides values and labels."""
        return {"weights": self.weights, "shares": self.shares}


def _carried_on(numbers: np.ndarray, before: float) -> float:
    """Return the sum in double, one number after the other."""
    return kernels(numbers.dtype).sum_costs(np.ascontiguousarray(numbers), before)
