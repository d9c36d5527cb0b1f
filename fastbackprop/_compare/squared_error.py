"""Squared error, of two common sizes."""

from dataclasses import dataclass

from fastbackprop._compare.regression import RegressionLoss

__all__ = ["HalfSquaredError", "MeanSquaredError"]


@dataclass(frozen=True, repr=False)
class HalfSquaredError(RegressionLoss):
    """C = mean over samples of 1/2 sum over outputs of (y_hat - y)^2; dC/dy_hat = (y_hat - y) / n.

    Parameters
    ----------
    mask_missing : bool, default=False
        Whether targets that are NaN are missing: they cost nothing, and the mean is that of the
        others.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.HalfSquaredError()([[24.0]], [[30.0]])
    (18.0, array([[-6.]]))
    """

    name = "half_squared_error"


@dataclass(frozen=True, repr=False)
class MeanSquaredError(RegressionLoss):
    """C = mean over samples and outputs of (y_hat - y)^2; dC/dy_hat = 2 (y_hat - y) / (n n_out).

    Parameters
    ----------
    mask_missing : bool, default=False
        Whether targets that are NaN are missing: they cost nothing, and the mean is that of the
        others.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.MeanSquaredError()([[24.0]], [[30.0]])
    (36.0, array([[-12.]]))
    """

    name = "mean_squared_error"
