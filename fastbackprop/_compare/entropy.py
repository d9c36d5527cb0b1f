"""Cross entropy of one class among many, fused with softmax."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastbackprop._compare.loss import Loss
from fastbackprop._compare.targets import Targets
from fastbackprop._core.arithmetic import quotient
from fastbackprop._core.losses import TABLE
from fastbackprop._core.validation import LABELS_ADVICE, as_labels, as_numeric, check_real

__all__ = ["CrossEntropy", "FocalCrossEntropy", "SoftmaxLoss", "check_smoothing"]


def check_smoothing(label_smoothing: Any) -> float:
    """Return the part of each target that all classes share, or complain."""
    number = check_real("label_smoothing", label_smoothing, at_least=0.0)
    if number >= 1:
        raise ValueError(f"label_smoothing must be a number below 1, got {label_smoothing!r}.")
    return number


def one_hot_of(targets: Targets, y_hat: np.ndarray) -> np.ndarray:
    """Return labels as rows of zeros with a 1."""
    assert targets.labels is not None
    return (targets.labels[:, None] == np.arange(y_hat.shape[1])).astype(y_hat.dtype)


def _check_probabilities(name: str, must: str, rows: np.ndarray) -> None:
    """Refuse rows with negative numbers, and those that don't sum to 1."""
    wrong = np.flatnonzero((rows < 0).any(axis=1) | (abs(rows.sum(axis=1) - 1) > 1e-3))
    if len(wrong):
        raise ValueError(
            f"{name} must have rows that {must}, got {rows[wrong[0]]} at row {wrong[0]}."
        )


@dataclass(frozen=True, repr=False)
class SoftmaxLoss(Loss):
    """Base of losses of one class among many: labels, or a probability for each class."""

    def _check_fits(self, activation: str, n_out: int) -> None:
        """Refuse a last layer other than softmax, or with one output only."""
        super()._check_fits(activation, n_out)
        if n_out < 2:
            raise ValueError(
                f"loss {self.name!r} must have at least 2 outputs, got 1; "
                "for two classes in one output use activation 'sigmoid' with loss "
                "'binary_cross_entropy'."
            )

    def _targets(
        self,
        y: Any,
        n_out: int,
        dtype: np.dtype,
        *,
        name: str = "y",
        one_row: bool = False,
        check_finite: bool = True,
    ) -> Targets:
        """Check y, integer labels or probabilities: see Loss._targets."""
        must = f"hold integer labels from 0 to {n_out - 1}, or probabilities"
        array = as_numeric(name, y, must, text_advice=LABELS_ADVICE)
        # Of one sample: label or [label]; of many: (n,) or (n, 1).
        is_labels = array.size == 1 if one_row else array.ndim == 1 or array.shape[1:] == (1,)
        if is_labels:
            return Targets(None, as_labels(name, array, n_out))
        return super()._targets(
            y, n_out, dtype, name=name, one_row=one_row, check_finite=check_finite
        )

    def _check_values(self, name: str, values: np.ndarray) -> None:
        """Refuse rows that are no probabilities."""
        _check_probabilities(name, "are one-hot or sum to 1", values)

    def _check_range(self, y_hat: np.ndarray) -> None:
        """Refuse logits."""
        _check_probabilities("y_hat", "sum to 1, as a softmax layer gives", y_hat)

    def _logits(self, y_hat: np.ndarray) -> np.ndarray:
        """Return log y_hat: softmax gives y_hat back."""
        return np.log(np.maximum(y_hat, np.finfo(y_hat.dtype).tiny))


@dataclass(frozen=True, repr=False)
class CrossEntropy(SoftmaxLoss):
    """C = mean over samples of -sum y log y_hat, behind a softmax layer.

    y is integer labels (n,), or one-hot or probabilities (n, n_out). In training the
    two are fused: dC/dz = (y_hat - y) / n, and where y_hat underflows the cost comes
    from z, so logits of +-10,000 are fine. Where z overflowed to inf the cost is the
    limit: 0, the logarithm of how many z did so, or inf.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        Part s of each target that all K classes share: y becomes (1 - s) y + s / K (Szegedy et al.
        2016, "Rethinking the Inception architecture"; PyTorch's). What is right is counted by y.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> cost, d_y_hat = fb.CrossEntropy()([[0.25, 0.75]], [1])
    >>> round(cost, 4)
    0.2877
    """

    name = "cross_entropy"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "label_smoothing", check_smoothing(self.label_smoothing))

    def _constants(self, n_out: int, dtype: np.dtype) -> dict[str, Any]:
        """Return what else the kernels' LossSpec is told."""
        return {"on": 1 - self.label_smoothing, "off": quotient(self.label_smoothing, n_out)}

    def _is_simple(self) -> bool:
        """Whether the kernels know all that a comparison by hand needs: see Loss._is_simple."""
        return type(self).__module__ == "fastbackprop"

    def _output_gradient(self, y_hat: np.ndarray, targets: Targets, d_z: np.ndarray) -> np.ndarray:
        """-y / y_hat / n."""
        divisors = np.maximum(y_hat, np.finfo(y_hat.dtype).tiny)
        total = y_hat.dtype.type(targets.total)
        if targets.values is not None:
            gradient = -self._smoothed(targets.values) / divisors / total
        elif self.label_smoothing:
            gradient = -self._smoothed(one_hot_of(targets, y_hat)) / divisors / total
        else:
            gradient = np.zeros_like(y_hat)
            labelled = (np.arange(len(y_hat)), targets.labels)
            gradient[labelled] = -1 / divisors[labelled] / total
        return gradient if targets.weights is None else gradient * targets.weights[:, None]

    def _smoothed(self, y: np.ndarray) -> np.ndarray:
        s = y.dtype.type(self.label_smoothing)
        return (1 - s) * y + s / y.dtype.type(y.shape[1]) if s else y


@dataclass(frozen=True, repr=False)
class FocalCrossEntropy(SoftmaxLoss):
    """C = mean over samples of -sum y (1 - y_hat)^gamma log y_hat, behind a softmax layer.

    What is right already counts for less: Lin et al. 2017, "Focal loss for dense object detection",
    without their weights alpha, for which there are ``class_weight`` and ``sample_weight``. y is as
    for CrossEntropy, which this is for gamma = 0. Fused with the softmax.

    Parameters
    ----------
    gamma : float, default=2.0
        Exponent of what is left out, at least 0: how much less sure samples count.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> cost, d_y_hat = fb.FocalCrossEntropy()([[0.25, 0.75]], [1])
    >>> round(cost, 4)
    0.018
    """

    name = "focal_cross_entropy"
    gamma: float = 2.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", check_real("gamma", self.gamma, at_least=0.0))

    def _output_gradient(self, y_hat: np.ndarray, targets: Targets, d_z: np.ndarray) -> np.ndarray:
        """Return the derivative by y_hat, by the table's formula."""
        info = np.finfo(y_hat.dtype)
        p = np.clip(y_hat, info.tiny, 1 - info.epsneg)
        y = one_hot_of(targets, y_hat) if targets.values is None else targets.values
        gradient = TABLE[self.name].gradient(p, y, y_hat.dtype.type(self.gamma))
        gradient = gradient / y_hat.dtype.type(targets.total)
        return gradient if targets.weights is None else gradient * targets.weights[:, None]
