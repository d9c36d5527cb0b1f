"""What a model's inputs and targets are scaled by: fitted once, and kept with its weights."""

from dataclasses import replace
from typing import Any

import numpy as np

from fastbackprop._compare.losses import HalfSquaredError, Loss, as_loss
from fastbackprop._compare.scaling import (
    OutputScale,
    Scaling,
    TargetScaling,
    check_scales_targets,
    checked_values,
    scaled_targets,
)
from fastbackprop._compare.targets import Targets
from fastbackprop._core.activations import TABLE
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.rows import Rows
from fastbackprop._core.scaling import ColumnScale
from fastbackprop._core.statistics import standard_scale_of_targets
from fastbackprop._core.threads import most_calls
from fastbackprop._core.validation import as_rows, check_true_false
from fastbackprop._model.structure import Structure
from fastbackprop._predict.scaling import Scaler

__all__ = ["Scaled"]

UNSCALED = Scaling(None, None)
ANY_LOSS = HalfSquaredError(mask_missing=True)  # whose targets are any numbers, or missing


class Scaled(Structure):
    """A model whose inputs and targets may be scaled."""

    @property
    def scale_targets(self) -> bool:
        """Whether targets are scaled in training, and predictions back into the user's units."""
        return self._target_scaling is not None

    @property
    def target_center(self) -> np.ndarray | None:
        """What is subtracted from targets, (n_targets,) in float64; None until it is fitted."""
        columns = self._scaling.targets
        return None if columns is None else columns.center

    @property
    def target_scale(self) -> np.ndarray | None:
        """What targets are divided by then, (n_targets,) in float64; None until it is fitted."""
        columns = self._scaling.targets
        return None if columns is None else columns.scale

    def fit_scaling(self, X: Any, y: Any = None, *, loss: str | Loss | None = None) -> None:
        """Fit what inputs, and targets, are scaled by: for ``step``, ``fit_batches`` and by hand.

        ``Trainer.fit`` does it by itself, once. Called again, it takes the place of what was
        fitted before, and the weights begin to mean something else.

        Parameters
        ----------
        X : array-like of shape (n, n_in)
            Inputs as for ``predict``, at least one row.
        y : array-like of shape (n,) or (n, n_targets), optional
            Targets, where the model scales them; NaN stands for what is missing.
        loss : str or Loss, optional
            What the outputs say of the targets, where they are more than these: ``GaussianNLL`` or
            ``Quantile``. A Trainer of the model says it too.

        Raises
        ------
        ValueError, TypeError
            If the model scales nothing, or data doesn't fit; the model has not changed.
        RuntimeError
            If another thread trains the model.

        Examples
        --------
        >>> import fastbackprop as fb
        >>> model = fb.mlp([1, 1], scale_inputs=True, scale_targets=True, seed=0)
        >>> model.fit_scaling([[0.0], [2.0]], [100.0, 300.0])
        >>> model.layers[0].center, model.target_center, model.target_scale
        (array([1.]), array([200.]), array([100.]))
        """
        self._lock.run(self._learn_scaling, *self._statistics(X, y, loss))

    def _statistics(self, X: Any, y: Any, loss: str | Loss | None) -> tuple[Scaling, bool | None]:
        """Return what fit_scaling fits, checked."""
        if not self._is_scaled:
            raise ValueError(
                "fit_scaling must be of a model with Standardize, RobustScale or scale_targets, "
                "got one that scales nothing."
            )
        if self._target_scaling is not None and y is None:
            raise ValueError("y must be given where the model scales its targets, got None.")
        has_variances = None if loss is None else self._check_loss(as_loss(loss))
        rows, _ = as_rows(
            "X", X, self._dtype, self.n_in, "the model's n_in",
            features=self._feature_names, may_be_sparse=True,
        )  # fmt: skip
        if len(rows) == 0:
            raise ValueError("X must have at least one row, got 0.")
        values = None
        if (known := self._target_scaling) is not None:
            half = known.has_variances if has_variances is None else has_variances
            values = self._values_of(y, len(rows), half)
        return statistics_of(self._scaler, rows, values), has_variances

    def _check_loss(self, loss: Loss) -> bool:
        """Refuse a loss that doesn't fit; return whether half of the outputs are variances."""
        loss._check_fits(self.layers[-1].activation, self.n_out)
        if self._target_scaling is not None:
            check_scales_targets(loss)
        return loss._n_targets(self.n_out) < self.n_out

    def _values_of(self, y: Any, n: int, has_variances: bool | None) -> np.ndarray:
        """Return targets in float64, of as many columns as the outputs can be about."""
        one_for_each, half = self.n_out, self.n_out // 2
        allowed = {None: (1, half, one_for_each), False: (1, one_for_each), True: (half,)}
        n_columns = _n_columns(y)
        if n_columns not in allowed[has_variances]:
            n_columns = allowed[has_variances][-1]
        targets = ANY_LOSS._targets(y, n_columns, np.dtype(np.float64))
        if len(targets) != n:
            raise ValueError(
                f"X and y must have the same number of rows, got {n} and {len(targets)}."
            )
        assert targets.values is not None
        return targets.values

    def scaled_targets(self, y: Any) -> np.ndarray:
        """Return targets as losses compare them: scaled, for the loop by hand.

        ``loss(model.forward(X), model.scaled_targets(y))`` is the cost that ``Trainer.step`` has.

        Parameters
        ----------
        y : array-like of shape (n,) or (n, n_targets)
            Targets in the user's units; NaN stands for what is missing.

        Returns
        -------
        ndarray of shape (n, n_targets)
            Of the model's dtype.

        Raises
        ------
        ValueError, TypeError
            If the model doesn't scale its targets, or y doesn't fit.
        RuntimeError
            If the scaling isn't fitted.
        """
        if self._target_scaling is None:
            raise ValueError(
                "scaled_targets must be of a model with scale_targets=True, got one without."
            )
        columns = self._fitted_scaling().targets
        assert columns is not None
        if _n_columns(y) == 1 and columns.is_uniform:  # of quantiles, which share one target
            columns = ColumnScale(columns.center[:1], columns.scale[:1])
        targets = ANY_LOSS._targets(y, len(columns), np.dtype(np.float64))
        values = scaled_targets(targets, columns, self._dtype, "y", True).values
        assert values is not None
        return values

    def _fitted_scaling(self, n_targets: int | None = None) -> Scaling:
        """Return what inputs and targets are scaled by, or complain that it isn't fitted."""
        if not self._is_scaled:
            return UNSCALED
        self._check_scaling()
        if self._target_scaling is None or n_targets is None:
            return self._scaling
        return self._scaling._replace(targets=self._target_scaling.of_targets(n_targets))

    @property
    def _is_scaled(self) -> bool:
        return self._scaler is not None or self._target_scaling is not None

    def _check_scaling(self) -> None:
        """Complain if something that the model scales by isn't fitted yet."""
        if self._scaler is not None and self._scaler._columns is None:
            raise RuntimeError(
                f"The scaling of layers[0], {self._scaler!r}, must be fitted first, by Trainer.fit "
                f"or model.fit_scaling(X), got none yet."
            )
        if self._target_scaling is not None and self._target_scaling.columns is None:
            raise RuntimeError(
                "The scaling of targets must be fitted first, by Trainer.fit or "
                "model.fit_scaling(X, y), got none yet."
            )

    @property
    def _is_fitted(self) -> bool:
        """Whether all that the model scales by is fitted."""
        inputs, targets = self._scaling
        return (self._scaler is None or inputs is not None) and (
            self._target_scaling is None or targets is not None
        )

    def _first_scaling(self, rows: Rows, targets: Targets, n_targets: int) -> Scaling:
        """Return what training rows that are as the user has them would have the model scale by.

        Rows of weight 0 don't count; what is fitted already stays.
        """
        fitted, values = self._scaling, targets.values
        if self._target_scaling is None or fitted.targets is not None:
            values = None
        if values is not None:
            values = checked_values("y", values, n_targets)
        if targets.weights is not None and not targets.weights.all():
            index = np.flatnonzero(targets.weights)
            rows, values = rows.chosen(index), None if values is None else values[index]
        scaler = self._scaler if fitted.inputs is None else None
        new = statistics_of(scaler, rows, values)
        return Scaling(fitted.inputs or new.inputs, fitted.targets or new.targets)

    def _output_scale(self) -> OutputScale | None:
        """Return how outputs come back into the user's units; None where they are."""
        if self._target_scaling is None:
            return None
        self._check_scaling()
        return self._target_scaling.of_outputs(self.n_out)

    def _input_scale(self) -> ColumnScale | None:
        """Return what inputs are scaled by; None where they aren't."""
        if not self._is_scaled:
            return None
        self._check_scaling()
        return self._scaling.inputs

    def _as_rows(
        self, X: Any, check_finite: bool, may_be_row: bool = True, scale: float = 1.0
    ) -> tuple[Rows, bool]:
        """Return the rows of X, not converted yet, and whether X is one row by itself."""
        return as_rows(
            "X",
            X,
            self._dtype,
            self.n_in,
            "the model's n_in",
            may_be_row=may_be_row,
            check_finite=check_finite,
            features=self._feature_names,
            scale=scale,
            may_be_sparse=True,
            scaling=self._input_scale(),
        )

    def _set_quick(self) -> None:
        """Make the short way of predict; there is none as long as something isn't fitted."""
        if not self._is_scaled:
            super()._set_quick()
            return
        self._quick = _no_quick
        if not self._is_fitted:
            return
        columns = self._scaling.inputs
        if columns is not None and columns.is_huge:
            return
        try:
            outputs = self._output_scale() or (None, None)
        except (RuntimeError, ValueError):  # which predict says
            return
        inputs = (None, None) if columns is None else (columns.center, columns.scale)
        module = kernels(self._dtype)
        self._quick = module.QuickPredictor(
            self._network, *inputs, *outputs, n_calls=most_calls()
        ).predict

    def _set_scale_targets(self, scale_targets: Any) -> None:
        """Let targets be scaled, or complain where outputs are probabilities or counts."""
        if not check_true_false("scale_targets", scale_targets):
            return
        activation = self.layers[-1].activation
        if TABLE[activation].loss is not None:
            raise ValueError(
                f"scale_targets must be False behind a last layer with activation {activation!r}, "
                f"whose outputs are no numbers of any size, got True."
            )
        self._take_target_scaling(TargetScaling())

    def _take_target_scaling(self, scaling: Any) -> None:
        """Take what a copy or a file says of the scaling of targets, checked."""
        if not isinstance(scaling, TargetScaling | None):
            raise TypeError(f"The scaling of targets must be a TargetScaling, got {scaling!r}.")
        if scaling is not None:
            scaling.check(self.n_out)
            self._target_scaling = scaling
            self._set_quick()

    def _learn_loss(self, loss: Loss) -> None:
        """Check a trainer's loss, and keep what outputs it makes."""
        known = self._target_scaling
        if known is None:
            return
        has_variances = self._check_loss(loss)
        if known.columns is not None and known.has_variances not in (None, has_variances):
            raise ValueError(
                f"loss {loss.name!r} must take outputs for what they were when their scaling was "
                f"fitted, {'half of them' if known.has_variances else 'none'} for variances, got "
                f"another; fit_scaling(X, y, loss=...) fits it anew."
            )
        self._target_scaling = replace(known, has_variances=has_variances)
        self._set_quick()


def _n_columns(y: Any) -> int:
    return int(np.shape(y)[1]) if np.ndim(y) == 2 else 1


def _no_quick(X: Any, check_finite: bool) -> None:
    """Leave all rows to the long way."""


def statistics_of(scaler: Scaler | None, rows: Rows, values: np.ndarray | None) -> Scaling:
    """Return what rows and values of targets would be scaled by; None for what isn't asked for."""
    inputs = None if scaler is None else scaler._statistics(rows)
    return Scaling(inputs, None if values is None else standard_scale_of_targets(values))
