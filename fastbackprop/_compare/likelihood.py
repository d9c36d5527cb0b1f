"""Negative log-likelihoods of numbers: counts, and means with their variances."""

from dataclasses import dataclass

import numpy as np

from fastbackprop._compare.regression import RegressionLoss
from fastbackprop._compare.targets import Targets
from fastbackprop._core.arrays import place_words

__all__ = ["GaussianNLL", "Poisson"]


@dataclass(frozen=True, repr=False)
class Poisson(RegressionLoss):
    """C = mean over samples and outputs of y_hat - y log y_hat, behind a layer with exp.

    The negative log-likelihood of counts y with mean y_hat, without its constant log y!. In
    training the two are fused: dC/dz = (y_hat - y) / (n n_out), and the cost is e^z - y z.
    PyTorch's ``PoissonNLLLoss``.

    Parameters
    ----------
    mask_missing : bool, default=False
        Whether targets that are NaN are missing: they cost nothing, and the mean is that of the
        others.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> cost, d_y_hat = fb.Poisson()([[2.0]], [[3.0]])
    >>> round(cost, 4)
    -0.0794
    """

    name = "poisson"

    def _check_values(self, name: str, values: np.ndarray) -> None:
        """Refuse negative counts."""
        super()._check_values(name, values)
        if (wrong := np.argwhere(values < 0)).size:
            place = tuple(wrong[0])
            raise ValueError(
                f"{name} must be at least 0 for loss 'poisson', got {values[place]} at "
                f"{place_words(place)}."
            )

    def _check_range(self, y_hat: np.ndarray) -> None:
        """Refuse what exp can't give."""
        if (wrong := np.argwhere(y_hat < 0)).size:
            place = tuple(wrong[0])
            raise ValueError(
                f"y_hat must be at least 0, as a layer with exp gives, got {y_hat[place]} at "
                f"{place_words(place)}."
            )

    def _logits(self, y_hat: np.ndarray) -> np.ndarray:
        """Return log y_hat."""
        return np.log(np.maximum(y_hat, np.finfo(y_hat.dtype).tiny))

    def _output_gradient(self, y_hat: np.ndarray, targets: Targets, d_z: np.ndarray) -> np.ndarray:
        """(y_hat - y) / y_hat / (n n_out)."""
        return d_z / np.maximum(y_hat, np.finfo(y_hat.dtype).tiny)


@dataclass(frozen=True, repr=False)
class GaussianNLL(RegressionLoss):
    """C = mean over samples and targets of 1/2 (s + (y - m)^2 e^-s): means m, s = log variance.

    The negative log-likelihood of y, without its constant 1/2 log 2 pi. The first half of the
    outputs are the means, the second half the logarithms of the variances; PyTorch's
    ``GaussianNLLLoss``, whose variance is e^s.

    Parameters
    ----------
    mask_missing : bool, default=False
        Whether targets that are NaN are missing: they cost nothing, and the mean is that of the
        others.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.GaussianNLL()([[24.0, 0.0]], [[30.0]])
    (18.0, array([[ -6. , -17.5]]))
    """

    name = "gaussian_nll"

    def _n_targets(self, n_out: int) -> int:
        """Return half the number of outputs."""
        return n_out // 2

    def _check_fits(self, activation: str, n_out: int) -> None:
        """Refuse an odd number of outputs."""
        super()._check_fits(activation, n_out)
        if n_out % 2:
            raise ValueError(
                "loss 'gaussian_nll' must have an even number of outputs, means and then "
                f"logarithms of variances, got {n_out}."
            )

    def _best_constant(self, targets: Targets, n_out: int) -> np.ndarray:
        """Return the means and the logarithms of the variances."""
        assert targets.values is not None
        variances = np.nanvar(targets.values, axis=0, dtype=np.float64)
        logarithms = np.log(np.maximum(variances, np.finfo(targets.values.dtype).tiny))
        return np.concatenate([super()._best_constant(targets, n_out), logarithms])
