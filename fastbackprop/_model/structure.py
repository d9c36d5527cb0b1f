"""What a model consists of: layers, their parameters in one buffer, the kernels' plan of both."""

import threading
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastbackprop._blame.hessian import HessianRoom
from fastbackprop._compare.labels import Classes
from fastbackprop._compare.scaling import Scaling, TargetScaling, check_same_scaling
from fastbackprop._core.buffers import Parameters
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.lock import TrainingLock
from fastbackprop._core.sharing import near_weights
from fastbackprop._core.threads import most_calls
from fastbackprop._core.validation import check_feature_names, check_real
from fastbackprop._model.flat import blended, check_same_shapes, flat_of, set_flat
from fastbackprop._model.workspaces import Workspaces
from fastbackprop._predict.layer import Layer
from fastbackprop._predict.plain import Dropout
from fastbackprop._predict.scaling import Scaler

__all__ = ["Structure"]


class Structure:
    """Layers, their parameters and the kernels' network; what all of a model's methods share."""

    # Of the class until it is learned: what copies and pickles keep is what an instance has.
    _classes: Classes | None = None
    _feature_names: tuple[str, ...] | None = None
    _target_scaling: TargetScaling | None = None  # of a model that scales targets

    def _assemble(self, layers: Sequence[Layer], parameters: Parameters) -> None:
        """Make a network of layers and parameters: what the constructor, copies and load share."""
        attributes_before = set(self.__dict__) - getattr(self, "_internals", frozenset())
        self._layers = tuple(layers)
        self._scaler = layers[0] if isinstance(layers[0], Scaler) else None
        self._dtype = parameters.values.dtype
        self._parameters = parameters
        self._plan()
        for index, layer in enumerate(layers):
            layer._attach(self._parameters, index)
        self._n_parameters = sum(layer.n_parameters for layer in layers)
        self._has_batch_norm = bool(parameters.running.size)
        self._has_schedules = any(isinstance(x, Dropout) and x._is_scheduled for x in layers)
        parameters.listen(weakref.WeakMethod(self._plan))
        self._passes = threading.local()  # .last: what this thread's forward kept
        self._idle_scratch: list[np.ndarray] = []
        self._lock = TrainingLock()
        # What copies make anew; all other attributes are the user's, and copied.
        self._internals = frozenset([*self.__dict__, "_internals"]) - attributes_before

    def _plan(self) -> None:
        """Make the kernels' network, at first and where a layer was frozen or isn't any more."""
        self._network = self._new_network(self._parameters.values)
        self._set_quick()
        self._workspaces = Workspaces(self._network, self._dtype)
        self._quick_update: Any = None  # of the optimizer that made the last step by hand
        self._quick_derivatives: Any = None
        self._quick_samples: Any = None
        self._idle_hessians: list[HessianRoom] = []
        self._parameters.n_changes += 1

    def _version(self) -> Any:
        """Return the model as it is now, for quick paths; before looking up what they need."""
        is_simple = not (self._scaler or self._target_scaling or self._has_schedules)
        return kernels(self._dtype).Version(self._parameters.counts, self._lock, is_simple)

    def _set_quick(self) -> None:
        """Make the short way of predict."""
        self._quick = (
            kernels(self._dtype).QuickPredictor(self._network, n_calls=most_calls()).predict
        )

    def _new_network(self, parameters: np.ndarray) -> Any:
        """The layers as the kernels see them, with the weights in this buffer."""
        own = self._parameters
        ops = [
            layer._op(place.offset, offset or 0)
            for layer, place, offset in zip(
                self._layers, own.places, own.running_offsets, strict=True
            )
        ]
        running = own.running if own.running.size else None
        return kernels(self._dtype).Network(ops, parameters, running, own.seed, near_weights())

    @property
    def layers(self) -> tuple[Any, ...]:
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
            of shape (n_in, n_out) row by row, then its bias; of norms gamma, then beta, without
            running statistics.

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
        self._lock.run(set_flat, self._parameters, flat)

    def soft_update(self, online: "Structure", tau: float) -> None:
        """Move all parameters a part of the way to those of another model.

        Each becomes (1 - tau) * itself + tau * that of ``online``, and so do the running statistics
        of batch norms: a target network of reinforcement learning, or a moving average. What inputs
        and targets are scaled by must be the same; a model where it isn't fitted takes it over.

        Parameters
        ----------
        online : Sequential
            Model with layers of the same shapes and the same dtype, which stays as it is.
        tau : float
            Part of the way, from 0 (nothing changes) to 1 (all is copied).

        Raises
        ------
        ValueError, TypeError
            If the models differ, tau is out of its range, or a weight of ``online`` isn't finite;
            the model has not changed.
        RuntimeError
            If another thread trains the model.

        See Also
        --------
        copy_weights_from : All of the way.

        Examples
        --------
        >>> import fastbackprop as fb
        >>> online = fb.Sequential([fb.Dense(2, 1, weight_init=[[1], [2]], bias=False)])
        >>> target = fb.Sequential([fb.Dense(2, 1, weight_init=[[5], [6]], bias=False)])
        >>> target.soft_update(online, 0.25)
        >>> target.get_parameters()
        array([4., 5.], dtype=float32)
        """
        online = self._check_online(online)
        tau = check_real("tau", tau, at_least=0.0)
        if tau > 1:
            raise ValueError(f"tau must be a finite number from 0 to 1, got {tau!r}.")
        self._lock.run(self._blend, online, tau)

    def copy_weights_from(self, online: "Structure") -> None:
        """Take over all parameters of another model, with the running statistics of batch norms.

        What its inputs and targets are scaled by is taken over, too: weights mean nothing without.

        Parameters
        ----------
        online : Sequential
            Model with layers of the same shapes and the same dtype, which stays as it is.

        Raises
        ------
        ValueError, TypeError
            If the models differ, or a weight of ``online`` isn't finite; the model has not changed.
        RuntimeError
            If another thread trains the model.

        See Also
        --------
        soft_update : A part of the way.
        """
        self._lock.run(self._blend, self._check_online(online), 1.0, True)

    def _check_online(self, online: Any) -> "Structure":
        if not isinstance(online, Structure):
            raise TypeError(f"online must be a Sequential, got {type(online).__name__}.")
        check_same_shapes(self._parameters, online._parameters)
        own, others = ((type(x._scaler), x._target_scaling is None) for x in (self, online))
        if own != others:
            raise ValueError(
                "online must scale inputs and targets as the model does, got another way."
            )
        return online

    def _blend(self, online: "Structure", tau: float, takes_scaling: bool = False) -> None:
        """Do it, in the model's lock; the weights change in one call of C."""
        own, scaling = self._parameters, online._scaling
        if not takes_scaling:
            check_same_scaling(self._scaling, scaling)
        new = online._lock.read(blended, own, online._parameters, tau)
        self._lock.write(np.copyto, own.store, new)
        if scaling != (None, None):
            known = online._target_scaling
            self._learn_scaling(scaling, None if known is None else known.has_variances)

    @property
    def _scaling(self) -> Scaling:
        """What inputs and targets are scaled by, as far as it is fitted."""
        return Scaling(
            None if self._scaler is None else self._scaler._columns,
            None if self._target_scaling is None else self._target_scaling.columns,
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
        if classes is not None and classes is not self._classes:
            self._classes = classes
            self._parameters.n_changes += 1
        if feature_names is not None:
            self._feature_names = tuple(feature_names)

    def _learn_scaling(self, scaling: Scaling, has_variances: bool | None = None) -> None:
        """Keep what inputs and targets are scaled by, as far as they are."""
        if self._scaler is not None and scaling.inputs is not None:
            self._scaler._columns = scaling.inputs
        known = self._target_scaling
        if known is not None and scaling.targets is not None:
            has_variances = known.has_variances if has_variances is None else has_variances
            self._target_scaling = TargetScaling(scaling.targets, has_variances)
        self._set_quick()

    def _copied_values(self) -> np.ndarray:
        """Return a copy of the store, of the end of one step, while another thread trains."""
        return self._lock.read(self._parameters.store.copy)
