"""What a model consists of: layers, their parameters in one buffer, the kernels' plan of both."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastbackprop._compare.labels import Classes
from fastbackprop._core.buffers import Parameters
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.lock import TrainingLock
from fastbackprop._core.validation import Rows, as_rows, check_feature_names
from fastbackprop._model.flat import flat_of, set_flat
from fastbackprop._model.workspaces import Workspaces
from fastbackprop._predict.dense import Dense

__all__ = ["Structure"]


class Structure:
    """Layers, their parameters and the kernels' network; what all of a model's methods share."""

    # Of the class until it is learned: what copies and pickles keep is what an instance has.
    _classes: Classes | None = None
    _feature_names: tuple[str, ...] | None = None

    def _assemble(self, layers: Sequence[Dense], parameters: Parameters) -> None:
        """Make a network of layers and parameters: what the constructor, copies and load share."""
        attributes_before = set(self.__dict__) - getattr(self, "_internals", frozenset())
        self._layers = tuple(layers)
        self._dtype = parameters.values.dtype
        self._parameters = parameters
        self._network = self._new_network(self._parameters.values)
        self._quick = kernels(self._dtype).QuickPredictor(self._network).predict
        for index, layer in enumerate(layers):
            layer._attach(self._parameters, index)
        self._n_parameters = sum(layer.n_parameters for layer in layers)
        self._workspaces = Workspaces(self._network, self._dtype)
        self._passes = threading.local()  # .last: what this thread's forward kept
        self._n_trainings = 0  # a backward after one would mix the weights of two moments
        self._idle_scratch: list[np.ndarray] = []
        self._lock = TrainingLock()
        # What copies make anew; all other attributes are the user's, and copied.
        self._internals = frozenset([*self.__dict__, "_internals"]) - attributes_before

    def _new_network(self, parameters: np.ndarray) -> Any:
        """The layers as the kernels see them, with the weights in this buffer."""
        ops = [
            layer._op(place.offset)
            for layer, place in zip(self._layers, self._parameters.places, strict=True)
        ]
        return kernels(self._dtype).Network(ops, parameters)

    @property
    def layers(self) -> tuple[Dense, ...]:
        """The layers, first to last."""
        return self._layers

    @property
    def dtype(self) -> np.dtype:
        """The number type of weights, inputs and outputs: float32 or float64."""
        return self._dtype

    @property
    def n_in(self) -> int:
        """Number of inputs: columns of X."""
        return self._layers[0].n_in

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return self._layers[-1].n_out

    @property
    def n_parameters(self) -> int:
        """Number of all weights and biases."""
        return self._n_parameters

    def get_parameters(self) -> np.ndarray:
        """Return all parameters as one vector: for genetic algorithms, L-BFGS, averages.

        Returns
        -------
        ndarray of shape (n_parameters,)
            A copy, of the model's dtype: layer after layer, first to last, each with its weight
            of shape (n_in, n_out) row by row, then its bias.

        See Also
        --------
        set_parameters : The way back.

        Examples
        --------
        >>> import fastbackprop as fb
        >>> model = fb.Sequential([fb.Dense(2, 1, weight_init=[[3], [4]], bias_init=[5])])
        >>> model.get_parameters()
        array([3., 4., 5.], dtype=float32)
        """
        return flat_of(self._parameters, self._copied_values())

    def set_parameters(self, flat: Any) -> None:
        """Set all parameters from one vector, in the order of ``get_parameters``.

        Parameters
        ----------
        flat : array-like of shape (n_parameters,)
            Finite numbers that the model's dtype can hold; copied.

        Raises
        ------
        ValueError, TypeError
            If flat has a wrong shape or dtype or isn't finite; the model has not changed.

        See Also
        --------
        get_parameters : The vector of the model as it is, and its order.
        """
        set_flat(self._parameters, flat)

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
        )

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """The names of the inputs, which frames must have in this order; None where none are known.

        ``Trainer.fit`` takes them from a frame whose columns have text for names; files keep them,
        and explanations and diagnoses use them. Can be assigned, None too.
        """
        return self._feature_names

    @feature_names.setter
    def feature_names(self, names: Sequence[str] | None) -> None:
        self._feature_names = check_feature_names(names, self.n_in)

    def _learn(self, classes: Classes | None, feature_names: Sequence[str] | None = None) -> None:
        """Keep the classes and the names, if there are some."""
        if classes is not None:
            self._classes = classes
        if feature_names is not None:
            self._feature_names = tuple(feature_names)

    def _copied_values(self) -> np.ndarray:
        """Return a copy of all parameters, of the end of one step, while another thread trains."""
        return self._lock.read(self._parameters.values.copy)
