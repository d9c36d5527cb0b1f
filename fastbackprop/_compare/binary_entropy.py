"""Cross entropy of yes or no, fused with sigmoid."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastbackprop._compare.entropy import check_smoothing
from fastbackprop._compare.loss import Loss
from fastbackprop._compare.targets import Targets
from fastbackprop._core.validation import check_true_false

__all__ = ["BinaryCrossEntropy"]


@dataclass(frozen=True, repr=False)
class BinaryCrossEntropy(Loss):
    """C = mean over samples and outputs of -y log y_hat - (1 - y) log(1 - y_hat).

    It stands behind a sigmoid layer.

    y is (n, n_out), or (n,) for one output, with numbers from 0 to 1. Fused with the
    sigmoid like CrossEntropy with softmax: dC/dz = (y_hat - y) / (n n_out).

    Parameters
    ----------
    label_smoothing : float, default=0.0
        Part s of each target that yes and no share: y becomes (1 - s) y + s / 2 (Keras's). What is
        right is counted by y.
    sum_outputs : bool, default=False
        Whether the cost of a sample is the sum over outputs, not their mean.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> cost, d_y_hat = fb.BinaryCrossEntropy()([[0.75]], [[1]])
    >>> round(cost, 4)
    0.2877
    """

    name = "binary_cross_entropy"
    label_smoothing: float = 0.0
    sum_outputs: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "label_smoothing", check_smoothing(self.label_smoothing))
        object.__setattr__(self, "sum_outputs", check_true_false("sum_outputs", self.sum_outputs))

    def _factors(self, n_out: int) -> tuple[float, float]:
        """Return what a sample's gradient and cost are multiplied by."""
        return (1.0, 1.0) if self.sum_outputs else super()._factors(n_out)

    def _constants(self, n_out: int, dtype: np.dtype) -> dict[str, Any]:
        """Return what else the kernels' LossSpec is told."""
        return {"on": 1 - self.label_smoothing, "off": self.label_smoothing / 2}

    def _check_values(self, name: str, values: np.ndarray) -> None:
        """Refuse what isn't from 0 to 1."""
        if values.size and not (values.min() >= 0 and values.max() <= 1):
            at = np.argwhere((values < 0) | (values > 1))[0]
            raise ValueError(
                f"{name} must be from 0 to 1, got {values[tuple(at)]} at row {at[0]}, column "
                f"{at[1]}."
            )

    def _check_range(self, y_hat: np.ndarray) -> None:
        """Refuse logits: numbers must be from 0 to 1."""
        wrong = np.argwhere((y_hat < 0) | (y_hat > 1))
        if len(wrong):
            (i, j), got = wrong[0], y_hat[tuple(wrong[0])]
            raise ValueError(
                f"y_hat must be from 0 to 1, as a sigmoid layer gives, got {got} at row {i}, "
                f"column {j}."
            )

    def _logits(self, y_hat: np.ndarray) -> np.ndarray:
        """log(y_hat / (1 - y_hat)): sigmoid gives y_hat back."""
        info = np.finfo(y_hat.dtype)
        p = np.clip(y_hat, info.tiny, 1 - info.epsneg)
        return np.log(p) - np.log1p(-p)

    def _output_gradient(self, y_hat: np.ndarray, targets: Targets, d_z: np.ndarray) -> np.ndarray:
        """(y_hat - y) / (y_hat (1 - y_hat)) / (n n_out)."""
        return d_z / np.maximum(y_hat * (1 - y_hat), np.finfo(y_hat.dtype).tiny)
