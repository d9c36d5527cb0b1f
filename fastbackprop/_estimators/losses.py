"""scikit-learn's losses, as the kernels compute them: its factors, and its cost at most."""

import math
from typing import Any, NamedTuple

import numpy as np

from fastbackprop._core.dispatch import kernels

__all__ = ["LossRule", "loss_rule", "no_constants"]


class LossRule(NamedTuple):
    """How a batch is compared.

    The gradient is that of a sum over outputs. What is reported is a mean over outputs for
    squared_error, a sum for the others: so loss_ and the gradient of squared_error are a factor of
    n_outputs apart there, as in scikit-learn.

    Parameters
    ----------
    spec : LossSpec
        The kernels'.
    constants : callable
        Returns for targets (n, n_outputs) what scikit-learn adds to the cost of each row, or None.
    """

    spec: Any
    constants: Any


def no_constants(targets: np.ndarray) -> None:
    """Add nothing to what the kernels say."""


def _of_poisson(targets: np.ndarray) -> np.ndarray:
    """Half the deviance has y log y - y, which no weight can change."""
    y = targets.astype(np.float64)
    with np.errstate(invalid="ignore"):
        logs = np.where(y == 0, 0.0, y * np.log(np.where(y == 0, 1.0, y)))
    return (logs - y).sum(axis=1)


def loss_rule(
    loss: str, out_activation: str, n_outputs: int, dtype: np.dtype, smoothing: float = 0.0
) -> LossRule:
    """Return the rule for a loss by scikit-learn's name behind this activation.

    scikit-learn clips probabilities at the dtype's epsilon before the logarithm. It has no label
    smoothing, with which nothing is clipped.
    """
    spec, most = kernels(dtype).LossSpec, -math.log(np.finfo(dtype).eps)
    if loss == "squared_error":
        return LossRule(spec("squared_error", False, 1, 0.5 / n_outputs, n_outputs), no_constants)
    if loss == "poisson":
        return LossRule(spec("poisson", True, 1, 1, n_outputs), _of_poisson)
    kind = "cross_entropy" if out_activation == "softmax" else "binary_cross_entropy"
    if smoothing:
        off = smoothing / (n_outputs if out_activation == "softmax" else 2)
        smooth = spec(kind, True, 1, 1, n_outputs, on=1 - smoothing, off=off)
        return LossRule(smooth, no_constants)
    return LossRule(spec(kind, True, 1, 1, n_outputs, most=most), no_constants)
