"""Losses of regression: of the error e = y_hat - y, each a mean over outputs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastbackprop._compare.loss import Loss
from fastbackprop._compare.targets import Targets
from fastbackprop._core.arithmetic import exact_mode
from fastbackprop._core.arrays import as_numeric, place_words
from fastbackprop._core.buffers import aligned_zeros, row_length
from fastbackprop._core.validation import check_real, check_true_false

__all__ = ["Huber", "LogCosh", "MeanAbsoluteError", "Quantile", "RegressionLoss"]


@dataclass(frozen=True, repr=False)
class RegressionLoss(Loss):
    """Base of losses whose targets are numbers, some of which may be missing."""

    mask_missing: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "mask_missing", check_true_false("mask_missing", self.mask_missing)
        )

    def _constants(self, n_out: int, dtype: np.dtype) -> dict[str, Any]:
        """Return what else the kernels' LossSpec is told."""
        return {**super()._constants(n_out, dtype), "masks": self.mask_missing}

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
        """Check y, where NaN may stand for what is missing: see Loss._targets."""
        targets = super()._targets(
            y, n_out, dtype, name=name, one_row=one_row,
            check_finite=check_finite and not self.mask_missing,
        )  # fmt: skip
        if not self.mask_missing:
            return targets
        assert targets.values is not None
        if check_finite:
            self._check_values(name, targets.values)
        return _with_shares(name, targets.values)

    def _check_values(self, name: str, values: np.ndarray) -> None:
        """Refuse infinite targets, where NaN is fine."""
        if self.mask_missing and (wrong := np.argwhere(np.isinf(values))).size:
            place = tuple(wrong[0])
            raise ValueError(
                f"{name} must be finite or NaN, got {values[place]} at {place_words(place)}."
            )


def _with_shares(name: str, values: np.ndarray) -> Targets:
    """Return targets of which each sample counts as much as it has."""
    is_there = ~np.isnan(values)
    if is_there.all():
        return Targets(values, None)
    if not is_there.any():
        raise ValueError(f"{name} must have a target that isn't missing, got nothing but NaN.")
    with exact_mode():
        shares = is_there.mean(axis=1, dtype=np.float64).astype(values.dtype)
    return Targets(values, None, shares=shares)


@dataclass(frozen=True, repr=False)
class MeanAbsoluteError(RegressionLoss):
    """C = mean over samples and outputs of |y_hat - y|; dC/dy_hat = sign(y_hat - y) / (n n_out).

    PyTorch's ``L1Loss``; where y_hat = y the gradient is 0.

    Parameters
    ----------
    mask_missing : bool, default=False
        Whether targets that are NaN are missing: they cost nothing, and the mean is that of the
        others.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.MeanAbsoluteError()([[24.0]], [[30.0]])
    (6.0, array([[-1.]]))
    """

    name = "mean_absolute_error"

    def _best_constant(self, targets: Targets, n_out: int) -> np.ndarray:
        """Return the medians."""
        assert targets.values is not None
        return np.nanmedian(targets.values, axis=0)


@dataclass(frozen=True, repr=False)
class Huber(RegressionLoss):
    """C = mean over samples and outputs of e^2 / 2, or delta (|e| - delta / 2) where |e| > delta.

    e is y_hat - y; dC/dy_hat is e, but between -delta and delta, / (n n_out). Huber 1964, "Robust
    estimation of a location parameter"; PyTorch's ``HuberLoss``.

    Parameters
    ----------
    delta : float, default=1.0
        Error up to which the loss is a square.
    mask_missing : bool, default=False
        Whether targets that are NaN are missing: they cost nothing, and the mean is that of the
        others.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.Huber(delta=2)([[24.0]], [[30.0]])
    (10.0, array([[-2.]]))
    """

    name = "huber"
    delta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "delta", check_real("delta", self.delta, above=0.0))


@dataclass(frozen=True, repr=False)
class LogCosh(RegressionLoss):
    """C = mean over samples and outputs of log cosh(y_hat - y).

    Nearly a half square where errors are small, and nearly their size where they are large;
    dC/dy_hat = tanh(y_hat - y) / (n n_out). Keras's ``LogCosh``.

    Parameters
    ----------
    mask_missing : bool, default=False
        Whether targets that are NaN are missing: they cost nothing, and the mean is that of the
        others.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> cost, d_y_hat = fb.LogCosh()([[1.0]], [[3.0]])
    >>> round(cost, 4)
    1.325
    """

    name = "log_cosh"


@dataclass(frozen=True, repr=False)
class Quantile(RegressionLoss):
    """C = mean over samples and outputs of q (y - y_hat) where y > y_hat, else (1 - q) (y_hat - y).

    What costs least is the q-th quantile of y (Koenker and Bassett 1978, "Regression quantiles");
    dC/dy_hat = -q or 1 - q, / (n n_out), and 0 where y_hat = y. Also called pinball loss.

    Parameters
    ----------
    q : float or sequence of float, default=0.5
        Quantile, between 0 and 1. With several there is one output for each, and targets are (n,).
    mask_missing : bool, default=False
        Whether targets that are NaN are missing: they cost nothing, and the mean is that of the
        others.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> cost, d_y_hat = fb.Quantile([0.1, 0.9])([[20.0, 40.0]], [30.0])
    >>> round(cost, 4)
    1.0
    """

    name = "quantile"
    q: float | Sequence[float] = 0.5  # several are kept as a tuple

    def __post_init__(self) -> None:
        super().__post_init__()
        q: Any = self.q
        if isinstance(q, Sequence | np.ndarray) and not isinstance(q, str):
            if len(q) == 0:
                raise ValueError("q must have at least one number between 0 and 1, got none.")
            number: Any = tuple(_check_q(f"q[{k}]", x) for k, x in enumerate(q))
        else:
            number = _check_q("q", q)
        object.__setattr__(self, "q", number)

    def _constants(self, n_out: int, dtype: np.dtype) -> dict[str, Any]:
        """Return what else the kernels' LossSpec is told: q of each output."""
        columns = aligned_zeros(row_length(n_out, dtype), dtype)
        columns[:n_out] = self.q
        return {"masks": self.mask_missing, "columns": columns}

    def _check_fits(self, activation: str, n_out: int) -> None:
        """Refuse another number of outputs than that of quantiles."""
        super()._check_fits(activation, n_out)
        if isinstance(self.q, tuple) and n_out != len(self.q):
            raise ValueError(
                f"loss {self!r} must have {len(self.q)} outputs, one for each q, got {n_out}."
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
        """Check y, which all quantiles share: see Loss._targets."""
        if isinstance(self.q, tuple):
            array = as_numeric(name, y)
            if array.size == 1 if one_row else array.ndim == 1 or array.shape[1:] == (1,):
                n = array.size
                y = np.broadcast_to(array.reshape(n, 1), (n, n_out))
                y = y[0] if one_row else y
        return super()._targets(
            y, n_out, dtype, name=name, one_row=one_row, check_finite=check_finite
        )

    def _best_constant(self, targets: Targets, n_out: int) -> np.ndarray:
        """Return the quantiles."""
        assert targets.values is not None
        q = np.broadcast_to(self.q, (n_out,))
        columns = [np.nanquantile(targets.values[:, k], q[k]) for k in range(n_out)]
        return np.array(columns, np.float64)


def _check_q(what: str, q: Any) -> float:
    number = check_real(what, q, above=0.0)
    if not number < 1:
        raise ValueError(f"{what} must be a number between 0 and 1, got {q!r}.")
    return number
