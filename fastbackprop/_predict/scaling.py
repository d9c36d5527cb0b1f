"""Standardize and RobustScale: first layers that bring columns to one scale.

The kernels see rows that are scaled already: that is done in float64 where rows are converted,
before they are rounded (_core/rows.py). To them this layer is an activation that does nothing.
"""

from typing import Any, ClassVar

import numpy as np

from fastbackprop._core.rows import Rows
from fastbackprop._core.scaling import ColumnScale
from fastbackprop._core.statistics import robust_scale, standard_scale
from fastbackprop._predict.layer import Layer

__all__ = ["SCALERS", "RobustScale", "Scaler", "Standardize"]


class Scaler(Layer):
    """What both share: a center and a scale for each column, once they are fitted."""

    _kind = "activation"
    _internals: ClassVar[frozenset[str]] = Layer._internals | {"_columns"}

    def __init__(self) -> None:
        super().__init__()
        self._columns: ColumnScale | None = None

    @property
    def is_fitted(self) -> bool:
        """Whether there are statistics."""
        return self._columns is not None

    @property
    def center(self) -> np.ndarray | None:
        """What is subtracted from each column, (n_in,) in float64; None until it is fitted."""
        return None if self._columns is None else self._columns.center

    @property
    def scale(self) -> np.ndarray | None:
        """What each column is divided by then, (n_in,) in float64; None until it is fitted."""
        return None if self._columns is None else self._columns.scale

    def _statistics(self, rows: Rows) -> ColumnScale:
        """Return the statistics of some rows."""
        raise NotImplementedError

    def _construct(self, state: dict[str, Any]) -> None:
        Scaler.__init__(self)
        columns = state.get("_columns")
        if not isinstance(columns, ColumnScale | None):
            raise TypeError(f"The scaling of a copied layer must be a ColumnScale, got {columns!r}")
        self._columns = columns
        self._rules = type(self._rules)(*state.get("_rules", ()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._rules.shown())})"


class Standardize(Scaler):
    """Brings each column to a mean of 0 and a deviation of 1: (x - mean) / deviation.

    The first layer of a model. Means and standard deviations (divided by n) are those of the
    training rows of the first ``Trainer.fit``, or of ``Sequential.fit_scaling``; rows of weight 0
    don't count. They stay as they are from then on.

    Notes
    -----
    Columns are scaled in float64, before they are rounded to the model's dtype: so they keep what
    float32 can't hold, the seconds of 1.7e9 + 0..63. A column of equal numbers is divided by 1.
    Derivatives by the inputs are in the user's units. The numbers are scikit-learn's
    ``StandardScaler``'s.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> model = fb.Sequential([fb.Standardize(), fb.Dense(1, 1, weight_init=[[1]])])
    >>> model.fit_scaling([[1.7e9], [1.7e9 + 2]])
    >>> model.predict([[1.7e9 + 2], [1.7e9 + 4]])
    array([[1.],
           [3.]], dtype=float32)
    >>> model.layers[0].scale
    array([1.])
    """

    def _statistics(self, rows: Rows) -> ColumnScale:
        return standard_scale(rows)


class RobustScale(Scaler):
    """Brings each column to a median of 0 and an interquartile range of 1, which outliers spare.

    The first layer of a model: (x - median) / (third quartile - first). In all else it is as
    ``Standardize``; the numbers are scikit-learn's ``RobustScaler``'s. A column more than half of
    whose numbers are equal may have a range of 0, and is divided by 1 then.

    Notes
    -----
    Quartiles need all rows of a column: some columns are in memory at a time, in float64.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> model = fb.Sequential([fb.RobustScale(), fb.Dense(1, 1, weight_init=[[1]])])
    >>> model.fit_scaling([[0.0], [1.0], [2.0], [3.0], [1e6]])
    >>> model.layers[0].center, model.layers[0].scale
    (array([2.]), array([2.]))
    """

    def _statistics(self, rows: Rows) -> ColumnScale:
        return robust_scale(rows)


SCALERS: dict[str, type[Scaler]] = {"standard": Standardize, "robust": RobustScale}
