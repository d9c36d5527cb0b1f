"""Classes as metrics compare them: one of several, yes or no, or several yes or no at once."""

from typing import Any, NamedTuple

import numpy as np

from fastbackprop._compare.weights import as_weights
from fastbackprop._core.validation import as_numeric, check_real

__all__ = ["Classes", "as_classes"]

# Rows of targets that sum to 1, to the rounding of float32, are one class each.
SUM_TOLERANCE = 1e-3


class Classes(NamedTuple):
    """Targets and predictions, either (n,) whole numbers, or (n, k) yes or no."""

    y: np.ndarray
    y_hat: np.ndarray
    scores: np.ndarray  # (n,) or (n, k), from which the predictions are
    weights: np.ndarray

    @property
    def has_columns(self) -> bool:
        """Whether a sample has several yes or no."""
        return self.y.ndim == 2

    @property
    def columns(self) -> list["Classes"]:
        """Each yes or no by itself."""
        return [
            Classes(self.y[:, k], self.y_hat[:, k], self.scores[:, k], self.weights)
            for k in range(self.y.shape[1])
        ]


def as_classes(
    what: str,
    y: Any,
    y_hat: Any,
    sample_weight: Any,
    threshold: float,
    multilabel: bool | None,
) -> Classes:
    """Return classes for what users have, or a complaint."""
    threshold = check_real("threshold", threshold)
    y, scores = (_narrow(as_numeric(name, x)) for name, x in (("y", y), ("y_hat", y_hat)))
    if scores.ndim not in (1, 2) or y.ndim not in (1, 2) or len(y) != len(scores):
        raise ValueError(
            f"y of {what} must have a row for each of y_hat {scores.shape}, got {y.shape}."
        )
    if len(y) == 0:
        raise ValueError(f"y of {what} must have at least one sample, got 0.")
    if y.ndim == 2 and y.shape != scores.shape:
        raise ValueError(
            f"y of {what} must be labels (n,) or have y_hat's shape {scores.shape}, got {y.shape}."
        )
    dtype = np.dtype(np.float64)
    weights = np.ones(len(y))
    if sample_weight is not None:
        weights = as_weights(sample_weight, len(y), dtype)
    if scores.ndim == 1:
        return _of_one_output(what, y, scores, weights, threshold)
    if multilabel is None:
        multilabel = y.ndim == 2 and not (np.abs(y.sum(axis=1) - 1) < SUM_TOLERANCE).all()
    if multilabel and y.ndim == 2:
        is_yes = y > 0.5
        y_hat = np.where(np.isnan(scores), ~is_yes, scores > threshold)  # NaN is never right
        return Classes(is_yes, y_hat, scores, weights)
    return _of_outputs(what, y, scores, weights)


def _of_one_output(
    what: str, y: np.ndarray, scores: np.ndarray, weights: np.ndarray, threshold: float
) -> Classes:
    """Return classes for labels, or for outputs above which a threshold says yes."""
    are_labels = scores.dtype.kind in "iub"
    if not are_labels and not (y.min() >= 0 and y.max() <= 1):
        raise ValueError(
            f"y of {what} must be 0 or 1 where there is one output, got "
            f"{y.min() if y.min() < 0 else y.max()}; predicted labels must be integers."
        )
    y = _labels(what, y) if are_labels or y.dtype.kind in "iub" else (y > 0.5).astype(np.int64)
    y_hat = scores.astype(np.int64) if are_labels else (scores > threshold).astype(np.int64)
    return Classes(y, np.where(np.isnan(scores), -1, y_hat), scores, weights)


def _of_outputs(what: str, y: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> Classes:
    """Return classes where each has an output, and the largest is predicted."""
    y = y.argmax(axis=1) if y.ndim == 2 else _labels(what, y)
    most = scores.shape[1] - 1
    if y.min() < 0 or y.max() > most:
        raise ValueError(
            f"y of {what} must have labels of 0 ... {most}, one for each column of y_hat, got "
            f"{y.min() if y.min() < 0 else y.max()}."
        )
    y_hat = np.where(np.isnan(scores).any(axis=1), -1, scores.argmax(axis=1))
    return Classes(y, y_hat, scores, weights)


def _narrow(array: np.ndarray) -> np.ndarray:
    """Return (n,) for (n, 1)."""
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def _labels(what: str, y: np.ndarray) -> np.ndarray:
    """Return whole numbers, or a complaint."""
    if y.dtype.kind not in "iub" and not (y == np.floor(y)).all():
        raise ValueError(f"y of {what} must be labels, got {y[y != np.floor(y)][0]}.")
    return y.astype(np.int64)
