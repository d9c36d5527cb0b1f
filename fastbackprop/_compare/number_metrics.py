"""Metrics of predicted numbers."""

from typing import Any

import numpy as np

from fastbackprop._compare.weights import as_weights
from fastbackprop._core.arithmetic import in_exact_mode
from fastbackprop._core.validation import as_numeric, check_true_false

__all__ = ["mae", "r2", "rmse"]


@in_exact_mode
def mae(y: Any, y_hat: Any, sample_weight: Any = None, *, mask_missing: bool = False) -> float:
    """Return the mean absolute error, the mean over the outputs.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, n_out)
        What should have been predicted.
    y_hat : array-like of y's shape
        What was predicted.
    sample_weight : array-like of shape (n,), optional
        How much each sample counts.
    mask_missing : bool, default=False
        Whether targets that are NaN are left out; outputs without any are, too.

    Returns
    -------
    float
        That of ``sklearn.metrics.mean_absolute_error``.

    Raises
    ------
    ValueError
        If shapes don't fit.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.metrics.mae([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    y, y_hat, weights = _columns("mae", y, y_hat, sample_weight, mask_missing)
    return float(_means(np.abs(y_hat - y), weights).mean())


@in_exact_mode
def rmse(y: Any, y_hat: Any, sample_weight: Any = None, *, mask_missing: bool = False) -> float:
    """Return the root of the mean squared error; of several outputs the mean of their roots.

    Parameters
    ----------
    y, y_hat : array-like of shape (n,) or (n, n_out)
        What should have been predicted, and what was.
    sample_weight : array-like of shape (n,), optional
        How much each sample counts.
    mask_missing : bool, default=False
        Whether targets that are NaN are left out, as for ``mae``.

    Returns
    -------
    float
        That of ``sklearn.metrics.root_mean_squared_error``.

    Raises
    ------
    ValueError
        If shapes don't fit.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.metrics.rmse([1.0, 2.0], [4.0, 6.0])
    3.5355339059327378
    """
    y, y_hat, weights = _columns("rmse", y, y_hat, sample_weight, mask_missing)
    return float(np.sqrt(_means((y_hat - y) ** 2, weights)).mean())


@in_exact_mode
def r2(y: Any, y_hat: Any, sample_weight: Any = None, *, mask_missing: bool = False) -> float:
    """Return the coefficient of determination: which part of the variance is predicted.

    1 - sum (y - y_hat)^2 / sum (y - mean of y)^2, the mean over the outputs. Where y is constant:
    1 for a perfect prediction, else 0. Of fewer than two samples: NaN.

    Parameters
    ----------
    y, y_hat : array-like of shape (n,) or (n, n_out)
        What should have been predicted, and what was.
    sample_weight : array-like of shape (n,), optional
        How much each sample counts.
    mask_missing : bool, default=False
        Whether targets that are NaN are left out, as for ``mae``.

    Returns
    -------
    float
        That of ``sklearn.metrics.r2_score``.

    Raises
    ------
    ValueError
        If shapes don't fit.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.metrics.r2([1.0, 2.0, 3.0], [1.0, 2.0, 2.0])
    0.5
    """
    y, y_hat, weights = _columns("r2", y, y_hat, sample_weight, mask_missing)
    if len(y) < 2:
        return float("nan")
    residual = _means((y - y_hat) ** 2, weights)
    total = _means((y - _means(y, weights)) ** 2, weights)
    scores = np.where(residual == 0, 1.0, 0.0)
    varies = total != 0
    scores[varies] = 1 - residual[varies] / total[varies]
    return float(scores.mean())


def _columns(
    what: str, y: Any, y_hat: Any, sample_weight: Any, mask_missing: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return numbers (n, n_out) in double precision, and a weight for each."""
    y, y_hat = (as_numeric(name, x) for name, x in (("y", y), ("y_hat", y_hat)))
    y, y_hat = (np.atleast_2d(x.astype(np.float64).T).T for x in (y, y_hat))
    if y.shape != y_hat.shape:
        raise ValueError(f"y of {what} must have the shape of y_hat {y_hat.shape}, got {y.shape}.")
    if len(y) == 0:
        raise ValueError(f"y of {what} must have at least one sample, got 0.")
    weights = np.ones(y.shape)
    if sample_weight is not None:
        weights *= as_weights(sample_weight, len(y), y.dtype)[:, np.newaxis]
    if not check_true_false("mask_missing", mask_missing):
        return y, y_hat, weights
    weights[np.isnan(y)] = 0
    some = weights.any(axis=0)
    if not some.any():
        raise ValueError(f"y of {what} must have a target that isn't missing, got none.")
    return np.where(np.isnan(y), 0.0, y)[:, some], y_hat[:, some], weights[:, some]


def _means(columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean of each column."""
    return (columns * weights).sum(axis=0) / weights.sum(axis=0)
