"""Losses: what a prediction costs, and how the cost changes with it.

Small value objects. The numbers are made by the kernels; here are the names, what
fits what, and the constants: each cost is a mean, so 1/n is part of the gradient.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastbackprop._core.activations import TABLE
from fastbackprop._core.arithmetic import exact_mode, quotient
from fastbackprop._core.arrays import column_names
from fastbackprop._core.buffers import aligned_zeros, padded_rows
from fastbackprop._core.dispatch import DTYPES, kernels
from fastbackprop._core.validation import (
    LABELS_ADVICE,
    as_labels,
    as_matrix,
    as_numeric,
    check_choice,
    same_length,
)
from fastbackprop._predict.output import Output, OutputGradient

__all__ = [
    "LOSSES",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "HalfSquaredError",
    "Loss",
    "MeanSquaredError",
    "Targets",
    "as_loss",
]


@dataclass(frozen=True)
class Targets:
    """What the kernels compare with: real numbers (n, n_out), or labels (n,)."""

    values: np.ndarray | None
    labels: np.ndarray | None

    def __len__(self) -> int:
        array = self.values if self.labels is None else self.labels
        return 0 if array is None else len(array)

    def __getitem__(self, rows: slice | np.ndarray) -> "Targets":
        return Targets(
            None if self.values is None else self.values[rows],
            None if self.labels is None else self.labels[rows],
        )


@dataclass(frozen=True)
class Loss:
    """Base of the losses; each is called as ``cost, d_y_hat = loss(y_hat, y)``."""

    name: ClassVar[str] = ""
    activation: ClassVar[str | None] = None  # that the last layer must have; fused with it
    is_classification: ClassVar[bool] = False

    def _spec(self, n_out: int) -> tuple[str, bool, float, float]:
        """Kernel's name, fused, n times the constant in the gradient, that in the cost."""
        raise TypeError(f"{type(self).__name__} is a base class; use one of {', '.join(LOSSES)}.")

    def _check_fits(self, activation: str, n_out: int) -> None:
        """Refuse a last layer that this loss can't come behind."""
        if self.activation is not None and activation != self.activation:
            fused = TABLE[activation].loss
            fits = f"{fused!r}, " if fused else ""
            raise ValueError(
                f"loss {self.name!r} must come behind a last layer with activation "
                f"{self.activation!r}, got "
                f"{activation!r}; make it {self.activation!r}, or take loss "
                f"{fits}'half_squared_error' or "
                "'mean_squared_error'."
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
        """Check y and bring it into the kernels' form.

        Parameters
        ----------
        y : array-like
            (n, n_out), or (n,) for one output; with ``one_row``, (n_out,).
        n_out : int
            Outputs of the model.
        dtype : dtype
            Of the model.
        name : str
            What a complaint calls y.
        one_row : bool
            Whether y belongs to a single sample.
        check_finite : bool
            Whether NaN and infinity are looked for.

        Returns
        -------
        Targets
        """
        names = column_names(y)
        y = as_numeric(name, y, text_advice=LABELS_ADVICE)
        if one_row:
            y = np.atleast_1d(y)
        elif y.ndim == 1 < n_out:
            raise ValueError(
                f"{name} must have shape (n, {n_out}) for loss {self.name!r}, got {y.shape}; "
                "integer labels (n,) go with loss 'cross_entropy'."
            )
        values = as_matrix(
            name, y, dtype, n_out, "the model's n_out",
            may_be_row=one_row, may_be_column=not one_row, check_finite=check_finite, names=names,
        )  # fmt: skip
        return Targets(values, None)

    def _check_range(self, y_hat: np.ndarray) -> None:
        """Refuse a plain y_hat that can't come from the activation this loss needs."""

    def _logits(self, y_hat: np.ndarray) -> np.ndarray:
        """Z that belongs to y_hat, where y_hat is all there is."""
        return y_hat

    def _output_gradient(self, y_hat: np.ndarray, targets: Targets, d_z: np.ndarray) -> np.ndarray:
        """dC/dy_hat, where the kernel made dC/dz."""
        return d_z

    def __call__(self, y_hat: Any, y: Any) -> tuple[float, np.ndarray]:
        """Compare predictions with what they should be.

        Parameters
        ----------
        y_hat : array-like of shape (n, n_out) or (n_out,)
            Predictions, best straight from ``model.forward``.
        y : array-like
            Of y_hat's shape; for cross entropy also integer labels (n,).

        Returns
        -------
        cost : float
            The mean over the samples.
        d_y_hat : ndarray of y_hat's shape
            dC/dy_hat, for ``model.backward``.

        Raises
        ------
        ValueError
            If shapes, labels or the activation before y_hat don't fit.
        """
        array = as_numeric("y_hat", y_hat)
        dtype = array.dtype if array.dtype.name in DTYPES else np.dtype("float64")
        one_row = array.ndim == 1
        prediction = as_matrix(
            "y_hat", array, dtype, array.shape[-1] if array.ndim else 1, "n_out", may_be_row=True
        )
        n, n_out = prediction.shape
        if n == 0:
            raise ValueError("y_hat must have at least one row, got 0.")
        if n_out == 0:
            raise ValueError("y_hat must have at least one column, got 0.")
        z = None
        if isinstance(y_hat, Output) and y_hat.activation is not None:
            self._check_fits(y_hat.activation, n_out)
            z = y_hat.z
        else:
            self._check_fits(self.activation or "identity", n_out)
            self._check_range(prediction)
        targets = self._targets(y, n_out, dtype, one_row=one_row)
        same_length(prediction, targets, "y_hat")
        with exact_mode():
            z = self._logits(prediction) if z is None else z.reshape(n, n_out)
        a = padded_rows(prediction)
        delta = aligned_zeros(a.size, dtype).reshape(a.shape)
        spec = self._spec(n_out)
        costs = np.zeros(n + 64, dtype)  # room behind the last, for whole vectors
        total = kernels(dtype).compare(
            spec, padded_rows(z), a, targets.values, targets.labels, delta, n_out, costs
        )
        gradient = np.ascontiguousarray(delta[:, :n_out])
        if self.activation is None:
            return quotient(total, n), gradient.reshape(array.shape)
        with exact_mode():
            d_y_hat = self._output_gradient(prediction, targets, gradient)
        d_y_hat, d_z = d_y_hat.reshape(array.shape), gradient.reshape(array.shape)
        return quotient(total, n), OutputGradient.of(d_y_hat, d_z, self.activation)


@dataclass(frozen=True)
class HalfSquaredError(Loss):
    """C = mean over samples of 1/2 sum over outputs of (y_hat - y)^2; dC/dy_hat = (y_hat - y) / n.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.HalfSquaredError()([[24.0]], [[30.0]])
    (18.0, array([[-6.]]))
    """

    name = "half_squared_error"

    def _spec(self, n_out: int) -> tuple[str, bool, float, float]:
        """The kernel's constants: see Loss._spec."""
        return "squared_error", False, 1.0, 0.5


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """C = mean over samples and outputs of (y_hat - y)^2; dC/dy_hat = 2 (y_hat - y) / (n n_out).

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.MeanSquaredError()([[24.0]], [[30.0]])
    (36.0, array([[-12.]]))
    """

    name = "mean_squared_error"

    def _spec(self, n_out: int) -> tuple[str, bool, float, float]:
        """The kernel's constants: see Loss._spec."""
        return "squared_error", False, quotient(2.0, n_out), quotient(1.0, n_out)


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """C = mean over samples of -sum y log y_hat, behind a softmax layer.

    y is integer labels (n,), or one-hot or probabilities (n, n_out). In training the
    two are fused: dC/dz = (y_hat - y) / n, and where y_hat underflows the cost comes
    from z, so logits of +-10,000 are fine. Where z overflowed to inf the cost is the
    limit: 0, the logarithm of how many z did so, or inf.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> cost, d_y_hat = fb.CrossEntropy()([[0.25, 0.75]], [1])
    >>> round(cost, 4)
    0.2877
    """

    name = "cross_entropy"
    activation = "softmax"
    is_classification = True

    def _spec(self, n_out: int) -> tuple[str, bool, float, float]:
        """The kernel's constants: see Loss._spec."""
        return "cross_entropy", True, 1.0, 1.0

    def _check_fits(self, activation: str, n_out: int) -> None:
        """Refuse a last layer other than softmax, or with one output only."""
        super()._check_fits(activation, n_out)
        if n_out < 2:
            raise ValueError(
                "loss 'cross_entropy' must have at least 2 outputs, got 1; "
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
        targets = super()._targets(
            y, n_out, dtype, name=name, one_row=one_row, check_finite=check_finite
        )
        values = targets.values
        assert values is not None
        if check_finite:
            wrong = np.flatnonzero((values < 0).any(axis=1) | (abs(values.sum(axis=1) - 1) > 1e-3))
            if len(wrong):
                row = array.reshape(values.shape)[wrong[0]]
                raise ValueError(
                    f"{name} must have rows that are one-hot or sum to 1, got {row} at row "
                    f"{wrong[0]}."
                )
        return targets

    def _check_range(self, y_hat: np.ndarray) -> None:
        """Refuse logits: rows must sum to 1."""
        wrong = np.flatnonzero((y_hat < 0).any(axis=1) | (abs(y_hat.sum(axis=1) - 1) > 1e-3))
        if len(wrong):
            row = y_hat[wrong[0]]
            raise ValueError(
                f"y_hat must have rows that sum to 1, as a softmax layer gives, got {row} at row "
                f"{wrong[0]}."
            )

    def _logits(self, y_hat: np.ndarray) -> np.ndarray:
        """Return log y_hat: softmax gives y_hat back."""
        return np.log(np.maximum(y_hat, np.finfo(y_hat.dtype).tiny))

    def _output_gradient(self, y_hat: np.ndarray, targets: Targets, d_z: np.ndarray) -> np.ndarray:
        """-y / y_hat / n."""
        divisors = np.maximum(y_hat, np.finfo(y_hat.dtype).tiny)
        n = y_hat.dtype.type(len(y_hat))
        if targets.values is not None:
            return -targets.values / divisors / n
        gradient = np.zeros_like(y_hat)
        labelled = (np.arange(len(y_hat)), targets.labels)
        gradient[labelled] = -1 / divisors[labelled] / n
        return gradient


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """C = mean over samples and outputs of -y log y_hat - (1 - y) log(1 - y_hat).

    It stands behind a sigmoid layer.

    y is (n, n_out), or (n,) for one output, with numbers from 0 to 1. Fused with the
    sigmoid like CrossEntropy with softmax: dC/dz = (y_hat - y) / (n n_out).

    Examples
    --------
    >>> import fastbackprop as fb
    >>> cost, d_y_hat = fb.BinaryCrossEntropy()([[0.75]], [[1]])
    >>> round(cost, 4)
    0.2877
    """

    name = "binary_cross_entropy"
    activation = "sigmoid"
    is_classification = True

    def _spec(self, n_out: int) -> tuple[str, bool, float, float]:
        """The kernel's constants: see Loss._spec."""
        return "binary_cross_entropy", True, quotient(1.0, n_out), quotient(1.0, n_out)

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
        """Check y, numbers from 0 to 1: see Loss._targets."""
        targets = super()._targets(
            y, n_out, dtype, name=name, one_row=one_row, check_finite=check_finite
        )
        values = targets.values
        assert values is not None
        if check_finite and values.size and not (values.min() >= 0 and values.max() <= 1):
            at = np.argwhere((values < 0) | (values > 1))[0]
            raise ValueError(
                f"{name} must be from 0 to 1, got {values[tuple(at)]} at row {at[0]}, column "
                f"{at[1]}."
            )
        return targets

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


LOSSES: dict[str, type[Loss]] = {
    "half_squared_error": HalfSquaredError,
    "mean_squared_error": MeanSquaredError,
    "cross_entropy": CrossEntropy,
    "binary_cross_entropy": BinaryCrossEntropy,
}


def as_loss(loss: object) -> Loss:
    """Return the loss for an object or a name."""
    if isinstance(loss, Loss):
        return loss
    return LOSSES[check_choice("loss", loss, LOSSES)]()
