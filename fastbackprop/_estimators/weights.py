"""The weights of an estimator: its network, arrays that users may assign, the way to predict."""

from operator import is_
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from fastbackprop._estimators.network import Design, Network
from fastbackprop._model.builders import rates_of

__all__ = ["Weights"]


class Weights(BaseEstimator):
    """An estimator that has a network, once it is fitted."""

    activation: Any
    dropout: Any
    normalization: str | None
    scale_inputs: bool | str
    dtype: str | None
    n_threads: int | None
    out_activation_: Any
    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]
    feature_names_in_: np.ndarray
    _best_values: np.ndarray

    @property
    def _settings(self) -> tuple[Any, ...]:
        """The parameters that say what stands around the weights."""
        return self.activation, self.dropout, self.normalization, self.scale_inputs

    def _design(self, n: int) -> Design:
        """Return what stands around the weights of n layers."""
        hidden = self.activation
        hidden = list(hidden) if isinstance(hidden, list | tuple) else [hidden] * (n - 1)
        if len(hidden) != n - 1:
            raise ValueError(
                f"activation must have one item for each hidden layer, {n - 1}, got {len(hidden)}."
            )
        rates = rates_of(self.dropout, n - 1)
        return Design([*hidden, self.out_activation_], rates, self.normalization, self.scale_inputs)

    def _show(self, network: Network) -> None:
        """Let the network's weights be the estimator's."""
        self._network, network.settings = network, self._settings
        self.coefs_, self.intercepts_ = list(network.coefs), list(network.intercepts)

    def _current(self, dtype: np.dtype | None = None) -> Network:
        """Return the network with the weights as they are: another, where some were assigned.

        Its dtype is that of the weights, or the one that is wanted.
        """
        network = self.__dict__.get("_network")
        if (
            network is not None
            and (dtype is None or network.model.dtype == dtype)
            and all(map(is_, network.settings, self._settings))
            and network.shows(self.coefs_, self.intercepts_)
        ):
            return network
        if dtype is None:
            dtype = np.result_type(*map(np.asarray, [*self.coefs_, *self.intercepts_]))
            dtype = dtype if dtype == np.float32 else np.dtype("float64")
        rest = self.__dict__.get("_rest") if network is None else network.rest
        design = self._design(len(self.coefs_))
        return Network.of(self.coefs_, self.intercepts_, design, dtype, rest)

    def _outputs(self, X: Any) -> np.ndarray:
        """Return what the last layer gives for X, checked: (n, n_outputs)."""
        quick = self._quick_outputs(X)
        if quick is not None:
            return quick
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        network = self._current()
        if network.model._scaler is not None:
            return network.predict(X, self.n_threads)  # scaled before it is rounded
        if self.dtype is not None:
            X = X.astype(network.model.dtype)
        elif X.dtype != network.model.dtype:
            # As NumPy's product: float64 rows through float32 weights give float64.
            network = self._current(np.result_type(X.dtype, network.model.dtype))
            X = X.astype(network.model.dtype)
        return network.predict(X, self.n_threads)

    def _quick_outputs(self, X: Any) -> np.ndarray | None:
        """Return the outputs for rows that need no conversion; None where checks have to say more.

        Those of scikit-learn take longer than most predictions.
        """
        network = self.__dict__.get("_network")
        if (
            network is None
            or type(X) is not np.ndarray
            or X.ndim != 2
            or "feature_names_in_" in self.__dict__
            or not all(map(is_, network.settings, self._settings))
            or not network.shows(self.coefs_, self.intercepts_)
        ):
            return None
        outputs = network.model._quick(X, True)
        if outputs is None and X.size and network.takes(X):
            outputs = network.predict(X, self.n_threads)
        return outputs

    def __getstate__(self) -> dict[str, Any]:
        # The network is made anew; arrays without the padding of its rows.
        state: Any = super().__getstate__()
        state = {**state}
        network = state.pop("_network", None)
        if network is not None:
            state["_rest"] = network.rest
        for name in ("coefs_", "intercepts_"):
            if name in state:
                state[name] = [np.array(x) for x in state[name]]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "coefs_" in state and "out_activation_" in state:
            self._show(self._of_solver() or self._current())
            self.__dict__.pop("_rest", None)

    def _of_solver(self) -> Network | None:
        """Return the network of the model that an unpickled optimizer has a state for."""
        model = getattr(self.__dict__.get("_optimizer"), "model", None)
        if model is None:
            return None
        rest = self.__dict__.get("_rest")
        network = Network(model, 0 if rest is None else rest.seed)
        pairs = zip(network.arrays, [*self.coefs_, *self.intercepts_], strict=True)
        return network if all(np.array_equal(x, y) for x, y in pairs) else None
