"""The network inside of an estimator: a Sequential whose weights are ``coefs_``, and the way in."""

from collections.abc import Sequence
from operator import is_
from typing import Any

import numpy as np

from fastbackprop._core.dispatch import kernels
from fastbackprop._model.sequential import Sequential
from fastbackprop._predict.dense import Dense

__all__ = ["ACTIVATIONS", "Network"]

# Ours by scikit-learn's names, which has fewer.
ACTIVATIONS: dict[Any, Any] = {"logistic": "sigmoid"}
ROWS_AT_ONCE = 2**24  # bytes of sparse rows that are made dense together


class Network:
    """A model, and the views into its parameters that an estimator shows as its own arrays.

    Parameters
    ----------
    widths : sequence of int
        Inputs, then the outputs of each layer.
    activations : sequence of str or activation
        Of each layer, by scikit-learn's names or ours.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    model : Sequential
        The model.
    coefs, intercepts : tuple of ndarray
        Views: what is written into them is what the model computes with.
    activation : object
        The estimator's parameter when it showed this network, which another value outdates.
    """

    activation: Any = None

    def __init__(self, widths: Sequence[int], activations: Sequence[Any], dtype: Any) -> None:
        shapes = zip(widths[:-1], widths[1:], activations, strict=True)
        layers = [
            Dense(n_in, n_out, ACTIVATIONS.get(name, name), weight_init="zeros")
            for n_in, n_out, name in shapes
        ]
        self.model = Sequential(layers, seed=0, dtype=dtype)
        views = self.model._parameters.views()
        self.coefs = tuple(weight for weight, _ in views)
        self.intercepts = tuple(bias for _, bias in views if bias is not None)

    @classmethod
    def of(
        cls, coefs: Sequence[Any], intercepts: Sequence[Any], activations: Sequence[Any], dtype: Any
    ) -> "Network":
        """Return a network with these numbers, copied."""
        coefs = [np.asarray(x) for x in coefs]
        check_shapes(coefs, intercepts)
        network = cls([coefs[0].shape[0], *(x.shape[1] for x in coefs)], activations, dtype)
        for view, array in zip(network.arrays, [*coefs, *intercepts], strict=True):
            view[...] = array
        return network

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All coefs, then all intercepts."""
        return self.coefs + self.intercepts

    @property
    def values(self) -> np.ndarray:
        """All parameters in one buffer."""
        return self.model._parameters.values

    def shows(self, coefs: Any, intercepts: Any) -> bool:
        """Whether these are the network's own views, so that nobody has put in others."""
        return (
            len(coefs) == len(self.coefs) == len(intercepts)
            and all(map(is_, coefs, self.coefs))
            and all(map(is_, intercepts, self.intercepts))
        )

    def takes(self, X: np.ndarray) -> bool:
        """Whether the kernels can read a matrix where it lies, and all of it is finite."""
        model = self.model
        return (
            X.dtype == model.dtype
            and X.shape[1] == model.n_in
            and X.flags.c_contiguous
            and kernels(model.dtype).first_nonfinite(X.reshape(-1)) < 0
        )

    def predict(self, X: Any, n_threads: int | None = None) -> np.ndarray:
        """Return the outputs for rows that were checked, sparse ones too."""
        if isinstance(X, np.ndarray):
            return self.model.predict(X, check_finite=False, n_threads=n_threads)
        X = X.tocsr()
        out = np.empty((X.shape[0], self.model.n_out), self.model.dtype)
        size = max(1, ROWS_AT_ONCE // (self.model.dtype.itemsize * X.shape[1]))
        for first in range(0, len(out), size):
            some = slice(first, first + size)
            rows = dense(X[some], self.model.dtype)
            self.model.predict(rows, out=out[some], check_finite=False, n_threads=n_threads)
        return out


def check_shapes(coefs: Sequence[np.ndarray], intercepts: Sequence[Any]) -> None:
    """Refuse weights that don't follow each other, which assigning would spread by broadcasting."""
    if len(coefs) != len(intercepts):
        raise ValueError(
            f"intercepts_ must have as many arrays as coefs_, {len(coefs)}, got {len(intercepts)}."
        )
    for i, weight in enumerate(coefs):
        if weight.ndim != 2:
            raise ValueError(f"coefs_[{i}] must be a matrix, got shape {weight.shape}.")
        if i and weight.shape[0] != coefs[i - 1].shape[1]:
            raise ValueError(
                f"coefs_[{i}] must have {coefs[i - 1].shape[1]} rows, as coefs_[{i - 1}] has "
                f"columns, got shape {weight.shape}."
            )


def dense(rows: Any, dtype: Any) -> np.ndarray:
    """Return rows as the kernels take them: a C-contiguous array of this dtype."""
    rows = rows if isinstance(rows, np.ndarray) else rows.toarray()
    return np.ascontiguousarray(rows, dtype)
