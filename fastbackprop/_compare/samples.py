"""X and y in the kernels' form: the same checks for training, derivatives and explanations."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastbackprop._compare.labels import Classes, encode
from fastbackprop._compare.losses import Loss, Targets
from fastbackprop._compare.scaling import Scaling, scaled_targets
from fastbackprop._compare.weights import as_weights
from fastbackprop._core.rows import Rows, as_rows
from fastbackprop._core.validation import same_length

__all__ = ["Checked", "Network", "as_samples"]


class Network(Protocol):
    """What of a model its data must fit."""

    @property
    def n_in(self) -> int: ...
    @property
    def n_out(self) -> int: ...
    @property
    def dtype(self) -> np.dtype: ...
    @property
    def _classes(self) -> Classes | None: ...
    @property
    def _feature_names(self) -> tuple[str, ...] | None: ...
    def _fitted_scaling(self, n_targets: int | None = None) -> Scaling: ...


class Checked(NamedTuple):
    """Rows, which are converted when they are asked for, and what their outputs should be."""

    rows: Rows
    targets: Targets


def as_samples(
    model: Network,
    loss: Loss,
    X: Any,
    y: Any,
    *,
    names: tuple[str, str] = ("X", "y"),
    may_be_row: bool = False,
    may_be_empty: bool = False,
    may_be_weightless: bool = False,
    sample_weight: Any = None,
    weight_name: str = "sample_weight",
    check_finite: bool = True,
    classes: Classes | None = None,
    features: Sequence[str] | None = None,
    may_learn: bool = False,
    scale: float = 1.0,
    scaling: Scaling | None = None,
    is_raw: bool = False,
) -> Checked:
    """Return X and y checked, or a complaint in one sentence; nothing has changed then.

    Parameters
    ----------
    model : Network
        Says how many columns there must be, and in which dtype the numbers will be.
    loss : Loss
        Says what y may be.
    X, y : array-like
        Inputs of shape (n, n_in), and the targets that the loss takes. With ``may_be_row`` also one
        sample without the first axis.
    names : tuple of str
        What complaints call X and y.
    may_be_empty : bool
        Whether no rows at all are fine.
    may_be_weightless : bool
        Whether all weights may be 0.
    sample_weight : array-like of shape (n,), optional
        What each sample's cost counts; None is 1 for each.
    weight_name : str
        What complaints call them.
    check_finite : bool
        Whether NaN and infinity are refused: in y now, in X when its rows are asked for.
    classes : Classes, optional
        Classes whose labels y has, instead of the model's.
    features : sequence of str, optional
        Names that the columns of a frame must have, instead of the model's.
    may_learn : bool
        Whether labels may be those of classes that nobody has named yet.
    scale : float
        What X is multiplied by.
    scaling : Scaling, optional
        What X and y are scaled by, instead of what the model's are.
    is_raw : bool
        Whether they are as the user has them, y in float64: for statistics.
    """
    if is_raw:
        scaling = Scaling(None, None)
    elif scaling is None:
        scaling = model._fitted_scaling(loss._n_targets(model.n_out))
    x_name, y_name = names
    rows, one_row = as_rows(
        x_name,
        X,
        model.dtype,
        model.n_in,
        "the model's n_in",
        may_be_row=may_be_row,
        check_finite=check_finite,
        features=features or model._feature_names,
        scale=scale,
        may_be_sparse=True,
        scaling=scaling.inputs,
    )
    if len(rows) == 0 and not may_be_empty:
        raise ValueError(f"{x_name} must have at least one row, got 0.")
    known = classes or model._classes
    n_classes = loss._n_classes(model.n_out)
    y, classes = encode(y_name, y, n_classes, known, one_row=one_row, may_learn=may_learn)
    is_wide = is_raw or scaling.targets is not None
    dtype = np.dtype(np.float64) if is_wide else model.dtype
    targets = loss._targets(
        y, model.n_out, dtype, name=y_name, one_row=one_row, check_finite=check_finite
    )
    same_length(rows, targets, x_name, y_name)
    if scaling.targets is not None:
        targets = scaled_targets(targets, scaling.targets, model.dtype, y_name, check_finite)
    if sample_weight is not None:
        given = np.atleast_1d(sample_weight) if one_row else sample_weight
        weights = as_weights(
            given, len(rows), model.dtype, name=weight_name, may_be_zero=may_be_weightless
        )
        loss._check_weighted()
        targets = targets.weighted(weights)
    if classes is not None:
        targets = replace(targets, classes=classes)
    return Checked(rows, targets)
