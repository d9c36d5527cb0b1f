"""Dense: one layer, before and after it has become part of a model."""

import numbers
from typing import Any, TypeAlias

import numpy as np

from fastbackprop._core.arithmetic import exact_mode
from fastbackprop._core.buffers import Parameters
from fastbackprop._core.validation import (
    as_matrix,
    as_vector,
    check_held,
    check_integer,
    check_true_false,
)
from fastbackprop._predict.activations import Activation, as_activation
from fastbackprop._predict.initializers import Initializer, as_initializer

__all__ = ["Dense", "WeightAndBias"]

WeightAndBias: TypeAlias = tuple[np.ndarray, np.ndarray | None]


class Dense:
    """A fully connected layer: a = act(a_prev W + b).

    Parameters
    ----------
    n_in, n_out : int
        Inputs and outputs, at least 1 each.
    activation : str or Activation, default="identity"
        "identity", "relu", "leaky_relu", "sigmoid", "tanh", "softmax" (last layer
        only), or ``LeakyReLU(slope)``.
    bias : bool, default=True
        Whether there is a b.
    weight_init : str, Initializer, float or array-like of shape (n_in, n_out), default="auto"
        "he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal",
        "uniform", "zeros", an object like ``Uniform(-1, 1)``, a constant, or the
        weights. "auto" is he_normal for rectifiers, else glorot_uniform.
    bias_init : str, Initializer, float or array-like of shape (n_out,), default="zeros"
        The same for the bias.

    Raises
    ------
    ValueError, TypeError
        If a width is not a positive integer, or a name or a shape doesn't fit.

    Notes
    -----
    ``weight`` and ``bias`` exist once the layer is part of a Sequential: they are views
    into the model's one buffer of parameters. Assigning copies numbers in, checked.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> model = fb.Sequential([fb.Dense(2, 1, weight_init=[[3.0], [4.0]])])
    >>> model.layers[0].weight
    array([[3.],
           [4.]], dtype=float32)
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        activation: str | Activation = "identity",
        *,
        bias: bool = True,
        weight_init: Any = "auto",
        bias_init: Any = "zeros",
    ) -> None:
        self._n_in = check_integer("n_in", n_in)
        self._n_out = check_integer("n_out", n_out)
        self._activation = as_activation(activation)
        self._has_bias = check_true_false("bias", bias)
        self._weight_init = self._initializer("weight_init", weight_init, (self._n_in, self._n_out))
        self._bias_init = self._initializer("bias_init", bias_init, (self._n_out,))
        self._parameters: Parameters | None = None
        self._index = 0

    def _initializer(
        self, what: str, value: Any, shape: tuple[int, ...]
    ) -> Initializer | np.ndarray:
        """Resolve names and numbers; arrays are checked and kept as float64."""
        if value is None or isinstance(value, str | Initializer | numbers.Number):
            return as_initializer(what, value, self._activation.name)
        return self._checked(what, value, shape, np.dtype("float64")).copy()

    @staticmethod
    def _checked(what: str, value: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        if len(shape) == 1:
            return as_vector(what, value, dtype, shape[0])
        matrix = as_matrix(what, value, dtype, shape[1], "the layer's n_out")
        if matrix.shape != shape:
            raise ValueError(f"{what} must have shape {shape}, got {matrix.shape}.")
        return matrix

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self._n_in

    @property
    def n_out(self) -> int:
        """Number of outputs: neurons."""
        return self._n_out

    @property
    def activation(self) -> str:
        """Name of the activation."""
        return self._activation.name

    @property
    def slope(self) -> float:
        """Slope below zero of leaky_relu; 0 for the others."""
        return self._activation.slope

    @property
    def has_bias(self) -> bool:
        """Whether the layer has a bias."""
        return self._has_bias

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return (self._n_in + self._has_bias) * self._n_out

    def _own(self) -> Parameters:
        if self._parameters is None:
            raise RuntimeError(
                "A layer must be part of a Sequential to have weights, got a layer on its own."
            )
        return self._parameters

    def _assign(self, what: str, view: np.ndarray | None, value: Any) -> None:
        if view is None:
            raise ValueError(
                f"{what} can be assigned to a layer with a bias only, got one made with bias=False."
            )
        view[...] = self._checked(what, value, view.shape, view.dtype)

    @property
    def weight(self) -> np.ndarray:
        """W of shape (n_in, n_out), a view; assigning copies in."""
        own = self._own()
        return own.places[self._index].weight(own.values)

    @weight.setter
    def weight(self, value: Any) -> None:
        self._assign("weight", self.weight, value)

    @property
    def bias(self) -> np.ndarray | None:
        """B of shape (n_out,), a view, or None without bias; assigning copies in."""
        own = self._own()
        return own.places[self._index].bias(own.values)

    @bias.setter
    def bias(self, value: Any) -> None:
        self._assign("bias", self.bias, value)

    @property
    def weight_gradient(self) -> np.ndarray:
        """dC/dW of the last ``backward``, of shape (n_in, n_out), a view."""
        own = self._own()
        return own.places[self._index].weight(own.gradients)

    @weight_gradient.setter
    def weight_gradient(self, value: Any) -> None:
        self._assign("weight_gradient", self.weight_gradient, value)
        self._own().has_blame = True

    @property
    def bias_gradient(self) -> np.ndarray | None:
        """dC/db of the last ``backward``, of shape (n_out,), a view, or None."""
        own = self._own()
        return own.places[self._index].bias(own.gradients)

    @bias_gradient.setter
    def bias_gradient(self, value: Any) -> None:
        self._assign("bias_gradient", self.bias_gradient, value)
        self._own().has_blame = True

    def _attach(self, parameters: Parameters, index: int) -> None:
        self._parameters = parameters
        self._index = index

    def _initial(self, generator: "np.random.PCG64", dtype: np.dtype) -> WeightAndBias:
        """Draw the initial weight and bias; refuse what the dtype can't hold."""
        check_held("slope", self.slope, dtype)
        arrays: list[np.ndarray] = []
        shapes = {"weight_init": (self._n_in, self._n_out), "bias_init": (self._n_out,)}
        for what, init in (("weight_init", self._weight_init), ("bias_init", self._bias_init)):
            if what == "bias_init" and not self._has_bias:
                return arrays[0], None
            if isinstance(init, Initializer):
                init._check_held(what, dtype)
                with exact_mode():
                    init = init._draw(generator, shapes[what], self._n_in, self._n_out)
            arrays.append(self._checked(what, init, shapes[what], dtype))
        return arrays[0], arrays[1]

    def __getstate__(self) -> dict[str, Any]:
        """A copy of a layer is a layer on its own, which begins with the same weights."""
        state = {**self.__dict__, "_parameters": None, "_index": 0}
        if self._parameters is not None:
            state["_weight_init"] = self.weight.astype(np.float64)
            state["_bias_init"] = None if self.bias is None else self.bias.astype(np.float64)
        return state

    def __repr__(self) -> str:
        parts = [f"{self._n_in}, {self._n_out}"]
        if self.activation != "identity":
            parts.append(f"activation={self.activation!r}")
        if self.activation == "leaky_relu":
            parts.append(f"slope={self.slope:g}")
        if not self._has_bias:
            parts.append("bias=False")
        return f"Dense({', '.join(parts)})"
