"""The loss of a network in NumPy and float64, by which every library's weights are judged."""

from itertools import islice
from typing import Any

import numpy as np

# For each dense layer (W, b), W of shape (n_in, n_out); behind them gamma and beta of a norm, and
# running mean and variance of a BatchNorm.
Weights = list[tuple[np.ndarray, ...]]
EPSILON = 1e-5  # of norms
# erfc to 1.2e-7 by Numerical Recipes (Press et al.), 6.2: the same for all who are judged by it.
ERFC = (-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398,
        1.48851587, -0.82215223, 0.17087277)  # fmt: skip


def loss(workload: Any, weights: Weights, X: np.ndarray, y: np.ndarray) -> float:
    """Return the loss as prediction sees it: without dropout, with BatchNorm's running numbers."""
    a = X.astype(np.float64)
    for layer in islice(weights, len(weights) - 1):
        weight, bias, *norm = (np.asarray(x, np.float64) for x in layer)
        z = a @ weight + bias
        if norm:
            z = _normalized(z, *norm)
        a = _gelu(z) if workload.method.activation == "gelu" else np.maximum(z, 0)
    weight, bias = (np.asarray(x, np.float64) for x in weights[-1])
    z = a @ weight + bias
    if workload.is_regression:
        return float(0.5 * ((z - y) ** 2).sum(axis=1).mean())
    z -= z.max(axis=1, keepdims=True)
    return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]).mean())


def _normalized(
    z: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    mean: np.ndarray | None = None,
    variance: np.ndarray | None = None,
) -> np.ndarray:
    """Return LayerNorm of z, or with running numbers BatchNorm."""
    if mean is None or variance is None:
        mean, variance = z.mean(axis=1, keepdims=True), z.var(axis=1, keepdims=True)
    return gamma * (z - mean) / np.sqrt(variance + EPSILON) + beta


def _gelu(z: np.ndarray) -> np.ndarray:
    x = np.abs(z) / 2**0.5
    t = 1 / (1 + 0.5 * x)
    exponent = np.polynomial.polynomial.polyval(t, ERFC)
    tail = 0.5 * t * np.exp(exponent - x * x)  # of the normal distribution, beyond |z|
    return z * np.where(z > 0, 1 - tail, tail)
