"""The base of the losses: what fits what, targets in the kernels' form, a comparison by hand.

Losses are small value objects. The numbers are made by the kernels; what each loss is stands in the
table (_core/losses.py).
"""

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fastbackprop._compare.targets import Targets
from fastbackprop._compare.weights import as_weights
from fastbackprop._core.arithmetic import exact_mode, quotient
from fastbackprop._core.arrays import column_names
from fastbackprop._core.buffers import aligned_zeros, padded_rows
from fastbackprop._core.copies import restore_fields
from fastbackprop._core.dispatch import DTYPES, kernels
from fastbackprop._core.losses import TABLE, Row
from fastbackprop._core.validation import (
    LABELS_ADVICE,
    NUMBERS_ADVICE,
    as_matrix,
    as_numeric,
    same_length,
)
from fastbackprop._predict.output import Output, OutputGradient

__all__ = ["Loss"]

QUICK_OUTPUTS = 4096  # of a call by hand whose room is kept for the next
MOST_QUICK = 4  # numbers of outputs, or dtypes, for which one loss keeps room


class _Prediction(NamedTuple):
    """Outputs to compare, as a matrix; z where it is known."""

    y_hat: np.ndarray
    z: np.ndarray | None
    shape: tuple[int, ...]  # as it was given


@lru_cache(maxsize=256)
def _spec_of(loss: "Loss", n_out: int, kernel: Any) -> Any:
    """Return the kernels' LossSpec, made once."""
    gradient_factor, cost_factor = loss._factors(n_out)
    return kernel.LossSpec(
        loss._row.kind, loss.activation is not None, gradient_factor, cost_factor,
        loss._n_targets(n_out), **loss._constants(n_out, np.dtype(kernel.dtype)),
    )  # fmt: skip


@dataclass(frozen=True, repr=False)
class Loss:
    """Base of the losses; each is called as ``cost, d_y_hat = loss(y_hat, y)``."""

    name: ClassVar[str] = ""
    activation: ClassVar[str | None] = None  # that the last layer must have; fused with it
    is_classification: ClassVar[bool] = False
    _row: ClassVar[Row]
    # Of an instance: what the last calls by hand have left for the next, by outputs and dtype.
    _quick: ClassVar[tuple[Any, ...]] = ()

    def __init_subclass__(cls) -> None:
        """Take what the table says."""
        if cls.name in TABLE:
            cls._row = TABLE[cls.name]
            cls.activation = cls._row.activation
            cls.is_classification = cls._row.is_classification

    def __getstate__(self) -> Any:
        """Return fields and the user's own attributes; what makes calls quick isn't copied."""
        state: Any = object.__getstate__(self)
        attributes, *slots = state if isinstance(state, tuple) else (state,)
        attributes = {k: v for k, v in (attributes or {}).items() if k != "_quick"}
        return (attributes, *slots) if slots else attributes

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what was pickled, checked as the constructor checks it."""
        restore_fields(self, state)

    def _factors(self, n_out: int) -> tuple[float, float]:
        """Return what a sample's gradient and cost are multiplied by."""
        if not self.name:
            names = ", ".join(TABLE)
            raise TypeError(f"{type(self).__name__} is a base class; use one of {names}.")
        row = self._row
        divisor = self._n_targets(n_out) if row.is_mean else 1
        return quotient(row.gradient_factor, divisor), quotient(row.cost_factor, divisor)

    def _n_targets(self, n_out: int) -> int:
        """Return how many targets a sample has."""
        return n_out

    def _n_classes(self, n_out: int) -> int | None:
        """Return of how many classes a sample has one; None where it has none."""
        if self.activation == "softmax":
            return n_out
        return 2 if self.is_classification and n_out == 1 else None

    def _constants(self, n_out: int, dtype: np.dtype) -> dict[str, Any]:
        """Return what else the kernels' LossSpec is told."""
        parameter = self._row.parameter
        return {} if parameter is None else {"parameter": getattr(self, parameter)}

    def _best_constant(self, targets: Targets, n_out: int) -> np.ndarray:
        """Return the outputs (n_out,) that cost least where all samples get the same, or nearly."""
        if targets.labels is not None:
            return np.bincount(targets.labels, minlength=n_out) / len(targets)
        assert targets.values is not None
        return np.atleast_1d(np.nanmean(targets.values, axis=0, dtype=np.float64))

    def _spec(self, n_out: int, dtype: np.dtype) -> Any:
        """Return the kernels' LossSpec for so many outputs."""
        return _spec_of(self, n_out, kernels(dtype))

    def _check_weighted(self) -> None:
        """Refuse weights of samples where the loss can't take them."""

    def _check_fits(self, activation: str, n_out: int) -> None:
        """Refuse a last layer that this loss can't come behind."""
        if self.activation is not None and activation != self.activation:
            fused = [row.name for row in TABLE.values() if row.activation == activation]
            fits = "".join(f"{name!r}, " for name in fused)
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
            Number type of the model.
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
        advice = LABELS_ADVICE if self.is_classification else NUMBERS_ADVICE
        y = as_numeric(name, y, text_advice=advice)
        n_targets = self._n_targets(n_out)
        if one_row:
            y = np.atleast_1d(y)
        elif y.ndim == 1 < n_targets:
            raise ValueError(
                f"{name} must have shape (n, {n_targets}) for loss {self.name!r}, got {y.shape}; "
                "integer labels (n,) go with loss 'cross_entropy'."
            )
        whose = "the model's n_out" if n_targets == n_out else "the model's n_out / 2"
        values = as_matrix(
            name, y, dtype, n_targets, whose,
            may_be_row=one_row, may_be_column=not one_row, check_finite=check_finite, names=names,
        )  # fmt: skip
        if check_finite:
            self._check_values(name, values)
        return Targets(values, None)

    def _check_values(self, name: str, values: np.ndarray) -> None:
        """Refuse finite targets (n, n_targets) that this loss can't compare with."""

    def _check_range(self, y_hat: np.ndarray) -> None:
        """Refuse a plain y_hat that can't come from the activation this loss needs."""

    def _logits(self, y_hat: np.ndarray) -> np.ndarray:
        """Z that belongs to y_hat, where y_hat is all there is."""
        return y_hat

    def _output_gradient(self, y_hat: np.ndarray, targets: Targets, d_z: np.ndarray) -> np.ndarray:
        """dC/dy_hat, where the kernel made dC/dz."""
        return d_z

    def __call__(self, y_hat: Any, y: Any, sample_weight: Any = None) -> tuple[float, np.ndarray]:
        """Compare predictions with what they should be.

        Parameters
        ----------
        y_hat : array-like of shape (n, n_out) or (n_out,)
            Predictions, best straight from ``model.forward``.
        y : array-like
            Targets of y_hat's shape; for cross entropy also integer labels (n,).
        sample_weight : array-like of shape (n,), optional
            Weight of each sample: cost and gradient are divided by their sum, so that weight k
            counts as k equal samples.

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
        for quick in self._quick:
            pair = quick.compare(y_hat, y, sample_weight)
            if pair is not None:
                return pair
        prediction = self._prediction(y_hat)
        (n, n_out), dtype = prediction.y_hat.shape, prediction.y_hat.dtype
        one_row = len(prediction.shape) == 1
        targets = self._targets(y, n_out, dtype, one_row=one_row)
        same_length(prediction.y_hat, targets, "y_hat")
        if sample_weight is not None:
            targets = targets.weighted(as_weights(np.atleast_1d(sample_weight), n, dtype))
        total, gradient = self._compare(prediction, targets)
        self._prepare_quick(n, n_out, kernels(dtype))
        cost = targets.mean_of(total)
        if self.activation is None:
            return cost, gradient.reshape(prediction.shape)
        with exact_mode():
            d_y_hat = self._output_gradient(prediction.y_hat, targets, gradient)
        d_y_hat, d_z = (x.reshape(prediction.shape) for x in (d_y_hat, gradient))
        return cost, OutputGradient.of(d_y_hat, d_z, self.activation)

    def __repr__(self) -> str:
        values = {x.name: (getattr(self, x.name), x.default) for x in fields(self)}
        told = [f"{name}={value!r}" for name, (value, usual) in values.items() if value != usual]
        return f"{type(self).__name__}({', '.join(told)})"

    def _prediction(self, y_hat: Any) -> _Prediction:
        """Check y_hat, and that this loss may come behind it."""
        array = as_numeric("y_hat", y_hat)
        dtype = array.dtype if array.dtype.name in DTYPES else np.dtype("float64")
        n_columns = array.shape[-1] if array.ndim else 1
        matrix = as_matrix("y_hat", array, dtype, n_columns, "n_out", may_be_row=True)
        n, n_out = matrix.shape
        if n == 0:
            raise ValueError("y_hat must have at least one row, got 0.")
        if n_out == 0:
            raise ValueError("y_hat must have at least one column, got 0.")
        if isinstance(y_hat, Output) and y_hat.activation is not None:
            self._check_fits(y_hat.activation, n_out)
            return _Prediction(matrix, y_hat.z, array.shape)
        self._check_fits(self.activation or "identity", n_out)
        self._check_range(matrix)
        return _Prediction(matrix, None, array.shape)

    def _is_simple(self) -> bool:
        """Whether the kernels know all that a comparison by hand needs, with this loss's settings.

        Not where targets may be missing, and where dC/dy_hat has powers, which are NumPy's.
        """
        if type(self).__module__ != "fastbackprop" or getattr(self, "mask_missing", False):
            return False
        return self.activation is None or self._row.activation != "softmax"

    def _prepare_quick(self, n: int, n_out: int, kernel: Any) -> None:
        """Let the next call like this one find room at hand, unless it is large."""
        like_it = [x for x in self._quick if x.is_of(kernel.QuickLoss, n_out)]
        if any(x.capacity >= n for x in like_it):
            return
        if n * n_out > QUICK_OUTPUTS or not self._is_simple():
            return
        targets = kernel.QuickTargets(_spec_of(self, n_out, kernel), n_out, n)
        smoothing = getattr(self, "label_smoothing", 0.0)
        quick = kernel.QuickLoss(targets, (Output, OutputGradient, self.activation), smoothing)
        others = [x for x in self._quick if x not in like_it]
        object.__setattr__(self, "_quick", (quick, *others)[:MOST_QUICK])

    def _compare(self, prediction: _Prediction, targets: Targets) -> tuple[float, np.ndarray]:
        """Return the sum of the costs, and the gradient, by the kernels."""
        (n, n_out), dtype = prediction.y_hat.shape, prediction.y_hat.dtype
        with exact_mode():
            z = (
                self._logits(prediction.y_hat)
                if prediction.z is None
                else prediction.z.reshape(n, n_out)
            )
        a = padded_rows(prediction.y_hat)
        delta = aligned_zeros(a.size, dtype).reshape(a.shape)
        costs = np.zeros(n + 64, dtype)  # room behind the last, for whole vectors
        total = kernels(dtype).compare(
            self._spec(n_out, dtype), padded_rows(z), a, targets.values, targets.labels, delta,
            n_out, costs, **targets.of_samples,
        )  # fmt: skip
        return total, np.ascontiguousarray(delta[:, :n_out])
