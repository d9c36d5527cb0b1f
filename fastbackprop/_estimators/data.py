"""What an estimator learns from, in the kernels' form."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastbackprop._estimators.network import ROWS_AT_ONCE, dense

__all__ = ["Samples"]


@dataclass(frozen=True)
class Samples:
    """Rows, dense or sparse, with their targets and weights.

    Parameters
    ----------
    rows : ndarray or sparse matrix
        X, of shape (n, n_in).
    targets : ndarray
        Labels (n,) from 0 on, or numbers (n, n_outputs).
    weights : ndarray or None
        Of each row.
    shares : ndarray, optional
        What each row adds to the divisor of its batch, where that isn't its weight.
    """

    rows: Any
    targets: np.ndarray
    weights: np.ndarray | None
    shares: np.ndarray | None = None

    def __len__(self) -> int:
        return self.rows.shape[0]

    @property
    def counted_rows(self) -> Any:
        """Rows but for those whose weight is 0."""
        if self.weights is None or self.weights.all():
            return self.rows
        return self.rows[self.weights > 0]

    @property
    def is_sparse(self) -> bool:
        """Whether rows have to be made dense before the kernels can read them."""
        return not isinstance(self.rows, np.ndarray)

    @property
    def is_labels(self) -> bool:
        """Whether the targets are labels."""
        return self.targets.ndim == 1

    def ready(self, dtype: np.dtype) -> "Samples":
        """Return the same as the kernels want it, whose numbers are of this dtype."""
        rows = self.rows.tocsr() if self.is_sparse else dense(self.rows, dtype)
        kind = np.int64 if self.is_labels else dtype
        weights = None if self.weights is None else np.ascontiguousarray(self.weights, dtype)
        return Samples(rows, np.ascontiguousarray(self.targets, kind), weights)

    def take(self, order: np.ndarray | slice, dtype: np.dtype) -> "Samples":
        """Return some rows, dense."""
        weights = None if self.weights is None else self.weights[order]
        shares = None if self.shares is None else self.shares[order]
        return Samples(dense(self.rows[order], dtype), self.targets[order], weights, shares)

    def parts(self, size: int, dtype: np.dtype) -> int:
        """Return how many rows may be dense at once, in whole batches of this size."""
        if not self.is_sparse:
            return len(self)
        rows = ROWS_AT_ONCE // (dtype.itemsize * self.rows.shape[1])
        return max(1, rows // size) * size

    @property
    def for_kernels(self) -> dict[str, Any]:
        """Return what a call of the kernels takes of the targets and weights."""
        labels, targets = (self.targets, None) if self.is_labels else (None, self.targets)
        return {
            "labels": labels,
            "targets": targets,
            "weights": self.weights,
            "shares": self.shares,
        }
