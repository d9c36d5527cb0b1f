"""The network inside of an estimator: a Sequential whose weights are ``coefs_``, and the way in."""

from collections.abc import Sequence
from dataclasses import replace
from operator import is_
from typing import Any, NamedTuple

import numpy as np

from fastbackprop._compare.scaling import Scaling
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.rows import Rows
from fastbackprop._core.scaling import ColumnScale
from fastbackprop._model.builders import layers_of
from fastbackprop._model.sequential import Sequential
from fastbackprop._predict.dense import Dense

__all__ = ["ACTIVATIONS", "Design", "Network", "Rest"]

# Ours by scikit-learn's names, which has fewer.
ACTIVATIONS: dict[Any, Any] = {"logistic": "sigmoid"}
ROWS_AT_ONCE = 2**24  # bytes of sparse rows that are made dense together


class Design(NamedTuple):
    """What stands around the weights.

    Parameters
    ----------
    activations : sequence of str or activation
        Of each layer of weights, by scikit-learn's names or ours.
    rates : sequence of float
        Of dropout, for each hidden layer.
    norm : str or None
        The normalization.
    scale_inputs : bool or str
        As for ``mlp``.
    """

    activations: Sequence[Any]
    rates: Sequence[float]
    norm: str | None = None
    scale_inputs: bool | str = False


class Rest(NamedTuple):
    """What a network has besides ``coefs_`` and ``intercepts_``.

    Parameters
    ----------
    norms : list of ndarray
        Gamma, beta and running statistics of each norm.
    columns : ColumnScale or None
        What inputs are scaled by.
    seed, n_forwards : int
        What the masks of dropout follow from.
    """

    norms: list[np.ndarray]
    columns: ColumnScale | None
    seed: int
    n_forwards: int


class Network:
    """A model, and the views into its parameters that an estimator shows as its own arrays.

    Parameters
    ----------
    model : Sequential
        The model, whose Dense layers have biases.
    seed : int
        What it was made with.

    Attributes
    ----------
    coefs, intercepts : tuple of ndarray
        Views: what is written into them is what the model computes with.
    settings : tuple
        The estimator's parameters when it showed this network, which other values outdate.
    """

    settings: tuple[Any, ...] = ()

    def __init__(self, model: Sequential, seed: int = 0) -> None:
        self.model, self.seed = model, seed
        views = self.views()
        self.coefs = tuple(weight for weight, _ in views)
        self.intercepts = tuple(bias for _, bias in views if bias is not None)

    @classmethod
    def new(cls, widths: Sequence[int], design: Design, dtype: Any, seed: int = 0) -> "Network":
        """Return a network whose weights are zeros; the seed is dropout's."""
        activations = [ACTIVATIONS.get(name, name) for name in design.activations]
        layers = layers_of(
            widths, activations, design.rates, design.norm, design.scale_inputs, weight_init="zeros"
        )
        return cls(Sequential(layers, seed=seed, dtype=dtype), seed)

    @classmethod
    def of(
        cls,
        coefs: Sequence[Any],
        intercepts: Sequence[Any],
        design: Design,
        dtype: Any,
        rest: Rest | None = None,
    ) -> "Network":
        """Return a network with these numbers, copied."""
        coefs = [np.asarray(x) for x in coefs]
        check_shapes(coefs, intercepts)
        rest = rest or Rest([], None, 0, 0)
        widths = [coefs[0].shape[0], *(x.shape[1] for x in coefs)]
        network = cls.new(widths, design, dtype, rest.seed)
        for view, array in zip(network.arrays, [*coefs, *intercepts], strict=True):
            view[...] = array
        network.take(rest)
        return network

    def fit_scaling(self, rows: Any) -> None:
        """Fit what inputs are scaled by to the rows to train on, where that isn't done."""
        if self.model._scaler is not None and not self.model._scaler.is_fitted:
            self.model.fit_scaling(rows)

    def ready(self, samples: Any) -> Any:
        """Return samples as the kernels take them; scaled ones are dense."""
        scaler, dtype = self.model._scaler, self.model.dtype
        if scaler is not None:
            rows = Rows("X", samples.rows, dtype, check_finite=False, columns=scaler._columns)
            samples = replace(samples, rows=rows.whole())
        return samples.ready(dtype)

    def place_of(self, layer: int) -> int:
        """Return the index in ``coefs`` of a layer of the model, or of the last one before it."""
        before = [isinstance(x, Dense) for x in self.model.layers[: layer + 1]]
        return max(0, sum(before) - 1)

    def views(self, buffer: np.ndarray | None = None) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """Return weight and bias of each Dense layer, here or in a buffer laid out as this."""
        pairs = zip(self.model.layers, self.model._parameters.views(buffer), strict=True)
        return [pair for layer, pair in pairs if isinstance(layer, Dense)]

    @property
    def rest(self) -> Rest:
        """Copies of what isn't in ``coefs`` and ``intercepts``."""
        parameters, scaler = self.model._parameters, self.model._scaler
        columns = None if scaler is None else scaler._columns
        norms = [view.copy() for view in self._norms()]
        return Rest(norms, columns, self.seed, parameters.n_forwards)

    def take(self, rest: Rest) -> None:
        """Take copies of the rest of another network, whose layers must be of the same kinds."""
        views, model = self._norms(), self.model
        if [x.shape for x in views] != [x.shape for x in rest.norms]:
            raise ValueError(
                "normalization must be as in the first fit, got another one: fit without "
                "warm_start, or begin with a new estimator."
            )
        if (model._scaler is None) != (rest.columns is None):
            raise ValueError(
                "scale_inputs must be as in the first fit, got another value: fit without "
                "warm_start, or begin with a new estimator."
            )
        for view, array in zip(views, rest.norms, strict=True):
            view[...] = array
        model._learn_scaling(Scaling(rest.columns, None))
        model._parameters.n_forwards = rest.n_forwards

    def _norms(self) -> list[np.ndarray]:
        """Return views of what norms learn and remember."""
        parameters, views = self.model._parameters, []
        groups = zip(self.model.layers, parameters.views(), parameters.running_views(), strict=True)
        for layer, (weight, bias), running in groups:
            if not isinstance(layer, Dense) and weight.size:
                views += [x for x in (weight, bias, running) if x is not None]
        return views

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All coefs, then all intercepts."""
        return self.coefs + self.intercepts

    @property
    def values(self) -> np.ndarray:
        """All parameters in one buffer."""
        return self.model._parameters.values

    @property
    def store(self) -> np.ndarray:
        """The same, with the running statistics behind them."""
        return self.model._parameters.store

    def shows(self, coefs: Any, intercepts: Any) -> bool:
        """Whether these are the network's own views, so that nobody has put in others."""
        return (
            len(coefs) == len(self.coefs) == len(intercepts)
            and all(map(is_, coefs, self.coefs))
            and all(map(is_, intercepts, self.intercepts))
        )

    def takes(self, X: np.ndarray) -> bool:
        """Whether the kernels can read a matrix where it lies, and all of it is finite."""
        model = self.model
        return (
            model._scaler is None
            and X.dtype == model.dtype
            and X.shape[1] == model.n_in
            and X.flags.c_contiguous
            and kernels(model.dtype).first_nonfinite(X.reshape(-1)) < 0
        )

    def predict(self, X: Any, n_threads: int | None = None) -> np.ndarray:
        """Return the outputs for rows that were checked, sparse ones too."""
        if isinstance(X, np.ndarray):
            return self.model.predict(X, check_finite=False, n_threads=n_threads)
        if self.model._scaler is not None:  # which converts batch by batch, too
            return self.model.predict(X, check_finite=False, n_threads=n_threads)
        X = X.tocsr()
        out = np.empty((X.shape[0], self.model.n_out), self.model.dtype)
        size = max(1, ROWS_AT_ONCE // (self.model.dtype.itemsize * X.shape[1]))
        for first in range(0, len(out), size):
            some = slice(first, first + size)
            rows = dense(X[some], self.model.dtype)
            self.model.predict(rows, out=out[some], check_finite=False, n_threads=n_threads)
        return out


def check_shapes(coefs: Sequence[np.ndarray], intercepts: Sequence[Any]) -> None:
    """Refuse weights that don't follow each other, which assigning would spread by broadcasting."""
    if len(coefs) != len(intercepts):
        raise ValueError(
            f"intercepts_ must have as many arrays as coefs_, {len(coefs)}, got {len(intercepts)}."
        )
    for i, weight in enumerate(coefs):
        if weight.ndim != 2:
            raise ValueError(f"coefs_[{i}] must be a matrix, got shape {weight.shape}.")
        if i and weight.shape[0] != coefs[i - 1].shape[1]:
            raise ValueError(
                f"coefs_[{i}] must have {coefs[i - 1].shape[1]} rows, as coefs_[{i - 1}] has "
                f"columns, got shape {weight.shape}."
            )


def dense(rows: Any, dtype: Any) -> np.ndarray:
    """Return rows as the kernels take them: a C-contiguous array of this dtype."""
    rows = rows if isinstance(rows, np.ndarray) else rows.toarray()
    return np.ascontiguousarray(rows, dtype)
