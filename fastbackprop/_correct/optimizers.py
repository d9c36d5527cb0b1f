"""Optimizers: how blame becomes a correction of the weights."""

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from fastbackprop._core.dispatch import kernels
from fastbackprop._core.errors import DivergenceError
from fastbackprop._core.validation import check_choice, check_held, check_real, check_true_false
from fastbackprop._correct.state import OptimizerState

if TYPE_CHECKING:
    from fastbackprop._core.buffers import Parameters

__all__ = ["OPTIMIZERS", "SGD", "as_optimizer"]

# Of the kernels' ``correct``: it needs room for a copy, since a weight may stop being finite.
UNSURE = -2


class SGD:
    """Stochastic gradient descent: w <- w - learning_rate * dC/dw.

    With momentum, v <- momentum v + dC/dw and w <- w - learning_rate v; with
    Nesterov's, w <- w - learning_rate (dC/dw + momentum v) (Sutskever et al. 2013,
    in the form of PyTorch's SGD). Weight decay adds weight_decay * w to dC/dw, for
    biases too. Velocity and number of steps are kept by the optimizer, for each model; a copied or
    pickled Trainer takes it along, a copied or pickled SGD doesn't.

    Parameters
    ----------
    learning_rate : float, default=0.01
        Above 0. Can be assigned between steps.
    momentum : float, default=0
        From 0 to below 1.
    nesterov : bool, default=False
        Needs momentum.
    weight_decay : float, default=0
        At least 0.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.SGD(0.1, momentum=0.9)
    SGD(0.1, momentum=0.9)
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        self.learning_rate = learning_rate
        self._momentum = check_real("momentum", momentum, at_least=0.0, below=1.0)
        self._nesterov = check_true_false("nesterov", nesterov)
        self._weight_decay = check_real("weight_decay", weight_decay, at_least=0.0)
        if self._nesterov and not self._momentum:
            raise ValueError("momentum must be above 0 for nesterov=True, got 0.")
        self._states: WeakKeyDictionary[Any, OptimizerState] = WeakKeyDictionary()
        self._specs: dict[Any, Any] = {}  # for each module of the kernels

    @property
    def learning_rate(self) -> float:
        """The step's length, above 0."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._learning_rate = check_real("learning_rate", value, above=0.0)
        self._specs = {}

    @property
    def momentum(self) -> float:
        """How much of the velocity is kept, from 0 to below 1."""
        return self._momentum

    @property
    def nesterov(self) -> bool:
        """Whether the momentum is Nesterov's."""
        return self._nesterov

    @property
    def weight_decay(self) -> float:
        """How much of each weight is added to its gradient."""
        return self._weight_decay

    def _spec(self, dtype: np.dtype) -> Any:
        """Return the kernels' UpdateSpec; refuse what numbers of this dtype can't hold."""
        specs, kernel = self._specs, kernels(dtype)  # a learning rate begins another dict
        if kernel not in specs:
            check_held("learning_rate", self._learning_rate, dtype)
            check_held("momentum", self._momentum, dtype, below=1.0)
            check_held("weight_decay", self._weight_decay, dtype)
            specs[kernel] = kernel.UpdateSpec(
                "sgd", self._learning_rate, self._momentum, self._nesterov, self._weight_decay
            )
        return specs[kernel]

    def _state(self, parameters: "Parameters") -> OptimizerState:
        """Return the state kept for these parameters."""
        state = self._states.get(parameters)
        if state is None:
            values = parameters.values
            new = OptimizerState(self._spec(values.dtype).n_planes, values.size, values.dtype)
            # setdefault can't be interrupted: two threads that come at once get the same state.
            state = self._states.setdefault(parameters, new)
        return state

    def step(self, model: Any) -> None:
        """Correct all weights of a model by the gradients of its last ``backward``.

        Parameters
        ----------
        model : Sequential
            After ``forward`` and ``backward``.

        Raises
        ------
        RuntimeError
            If there was no ``backward`` yet, or another thread trains the model.
        TypeError
            If model is not a Sequential.
        ValueError
            If the model's dtype can't hold the learning rate, momentum or weight decay.
        DivergenceError
            If a weight would stop being finite; then nothing has changed.
        """
        if not hasattr(model, "_lock"):
            raise TypeError(f"model must be a Sequential, got {type(model).__name__}.")
        model._lock.run(self._step, model)

    def _step(self, model: Any) -> None:
        parameters, dtype = model._parameters, model.dtype
        if not parameters.has_blame:
            raise RuntimeError(
                "optimizer.step must follow model.backward, got a model without gradients."
            )
        state, correct = self._state(parameters).buffer, kernels(dtype).correct
        arguments = model._network, parameters.gradients, self._spec(dtype), state
        at = model._lock.write(correct, *arguments)
        if at == UNSURE:
            at = model._lock.write(correct, *arguments, parameters.snapshot(state))
        if at >= 0:
            wrong = parameters.layer_at(at)
            raise DivergenceError(
                f"The step would make weights of model.layers[{wrong}] infinite or NaN; "
                f"they were left as they are. {self._advice()}",
                layer=wrong,
            )

    def _advice(self) -> str:
        """Return what to do about a divergence, as far as these settings tell."""
        product = self._learning_rate * self._weight_decay
        if product >= 1:
            return (
                f"learning_rate * weight_decay must be below 1, got {product:g}: the decay takes "
                f"away more than there is; try a weight_decay below {1 / self._learning_rate:g}."
            )
        return f"Try a smaller learning rate than {self._learning_rate:g}."

    def __getstate__(self) -> dict[str, Any]:
        kept = "_states", "_specs"
        return {name: value for name, value in self.__dict__.items() if name not in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _states=WeakKeyDictionary(), _specs={})

    def __repr__(self) -> str:
        options = {
            "momentum": self._momentum,
            "nesterov": self._nesterov,
            "weight_decay": self._weight_decay,
        }
        return (
            f"SGD({self._learning_rate:g}"
            + "".join(f", {k}={v}" for k, v in options.items() if v)
            + ")"
        )


OPTIMIZERS: dict[str, type[SGD]] = {"sgd": SGD}


def as_optimizer(optimizer: object) -> SGD:
    """Return the optimizer for an object or a name."""
    if isinstance(optimizer, SGD):
        return optimizer
    return OPTIMIZERS[check_choice("optimizer", optimizer, OPTIMIZERS)]()
