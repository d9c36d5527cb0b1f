"""Losses of the library in a regressor: their outputs, their targets, the intervals of some."""

from statistics import NormalDist
from typing import Any

import numpy as np

from fastbackprop._compare.losses import (
    GaussianNLL,
    HalfSquaredError,
    Loss,
    Poisson,
    Quantile,
    as_loss,
)
from fastbackprop._core.losses import TABLE
from fastbackprop._estimators.base import BaseMLP
from fastbackprop._estimators.losses import LossRule, no_constants

__all__ = ["OUR_LOSSES", "THEIR_LOSSES", "OwnLosses"]

THEIR_LOSSES = ("squared_error", "poisson")
OUR_LOSSES = {
    name for name, row in TABLE.items() if not row.is_classification and name not in THEIR_LOSSES
}


class OwnLosses(BaseMLP):
    """A regressor whose loss is scikit-learn's or ours."""

    loss: Any

    def _encode(self, y: np.ndarray) -> tuple[np.ndarray, int]:
        """Return targets in the kernels' form, and the number of outputs."""
        loss = self._own_loss()
        if loss is None:
            targets = y.reshape(len(y), -1)
            return targets, targets.shape[1]
        if loss.is_classification:
            raise ValueError(f"loss must be one for regression, got {loss!r}.")
        n_outputs = 1 if y.ndim == 1 else y.shape[1]
        if isinstance(loss, GaussianNLL):
            n_outputs *= 2
        elif self._several_q(loss):
            if n_outputs > 1:
                raise ValueError(
                    f"y must have one column for loss {loss!r}, which has an output for each q, "
                    f"got {n_outputs}."
                )
            n_outputs = len(loss.q)
        return self._in_kernels_form(loss, y, n_outputs), n_outputs

    def _library_y(self, targets: np.ndarray) -> np.ndarray:
        return self._values_of(targets)

    def _own_loss(self) -> Any:
        """Return the loss of the library; None where it is scikit-learn's."""
        is_theirs = isinstance(self.loss, str) and self.loss in THEIR_LOSSES
        return None if is_theirs else as_loss(self.loss)

    @staticmethod
    def _several_q(loss: Any) -> bool:
        return (
            isinstance(loss, Quantile) and np.ndim(loss.q) == 1 and len(np.atleast_1d(loss.q)) > 1
        )

    def _has_interval(self) -> bool:
        loss = self._own_loss()
        if not isinstance(loss, GaussianNLL) and not self._several_q(loss):
            raise AttributeError(
                'predict_interval needs the loss "gaussian_nll" or a Quantile of several q, got '
                f"{self.loss!r}."
            )
        return True

    def _points(self, outputs: np.ndarray) -> np.ndarray:
        """Return one number for each target."""
        loss = self._own_loss()
        if isinstance(loss, GaussianNLL):
            return outputs[:, : outputs.shape[1] // 2]
        if self._several_q(loss):
            nearest = int(np.argmin(np.abs(np.asarray(loss.q) - 0.5)))
            return outputs[:, nearest : nearest + 1]
        return outputs

    @staticmethod
    def _in_kernels_form(loss: Loss, y: Any, n_outputs: int) -> np.ndarray:
        values = loss._targets(y, n_outputs, np.dtype("float64")).values
        assert values is not None
        return values

    def _kernel_targets(self, y: Any) -> np.ndarray:
        loss = self._own_loss()
        if loss is None:
            return np.asarray(y)
        return self._in_kernels_form(loss, y, self.n_outputs_)

    def _loss_rule(self, dtype: np.dtype) -> LossRule:
        loss = self._own_loss()
        if loss is None:
            return super()._loss_rule(dtype)
        return LossRule(loss._spec(self.n_outputs_, dtype), no_constants)

    def _interval(self, outputs: np.ndarray, coverage: float) -> np.ndarray:
        """Return where intervals begin and end."""
        if isinstance(self._own_loss(), GaussianNLL):
            if not 0 < coverage < 1:
                raise ValueError(f"coverage must be above 0 and below 1, got {coverage!r}.")
            means, log_variances = np.hsplit(outputs, 2)
            reach = NormalDist().inv_cdf(0.5 + coverage / 2) * np.exp(log_variances / 2)
            ends = np.stack([means - reach, means + reach], axis=-1)
            return ends[:, 0] if ends.shape[1] == 1 else ends
        # Each output was learned by itself, so they may cross.
        return np.stack([outputs.min(axis=1), outputs.max(axis=1)], axis=-1)

    def _library_loss(self) -> Loss:
        loss = self._own_loss()
        if loss is not None:
            return loss
        return Poisson() if self.loss == "poisson" else HalfSquaredError()
