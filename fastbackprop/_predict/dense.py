"""Dense: one layer, before and after it has become part of a model."""

import numbers
from typing import Any, ClassVar, TypeAlias

import numpy as np

from fastbackprop._core.buffers import Parameters
from fastbackprop._core.dispatch import DTYPES
from fastbackprop._core.validation import check_held, check_integer, check_true_false
from fastbackprop._predict.activations import ActivationFunction, as_activation
from fastbackprop._predict.initializers import Initializer, Zeros, as_initializer
from fastbackprop._predict.layer import Layer, checked_array
from fastbackprop._predict.rules import check_rules

__all__ = ["Dense", "WeightAndBias"]

WeightAndBias: TypeAlias = tuple[np.ndarray, np.ndarray | None]


class Dense(Layer):
    """A fully connected layer: a = act(a_prev W + b).

    Parameters
    ----------
    n_in, n_out : int
        Inputs and outputs, at least 1 each.
    activation : str or Activation, default="identity"
        "identity", "relu", "leaky_relu", "elu", "selu", "gelu", "gelu_tanh", "silu", "mish",
        "softplus", "tanh", "sigmoid", "softsign", "hard_tanh", "hard_sigmoid", "exp", all
        defined as in PyTorch, "softmax" (last layer only), or ``LeakyReLU(slope)``,
        ``ELU(alpha)``.
    bias : bool, default=True
        Whether there is a b.
    weight_init : str, Initializer, float or array-like of shape (n_in, n_out), default="auto"
        "he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal",
        "uniform", "zeros", an object like ``Uniform(-1, 1)``, a constant, or the
        weights. "auto" is he_normal for "relu" and what resembles it, lecun_normal for
        "selu", else glorot_uniform.
    bias_init : str, Initializer, float or array-like of shape (n_out,), default="zeros"
        The same for the bias.
    learning_rate_factor : float, default=1
        By which the optimizer's learning rate is multiplied for this layer, above 0.
    l1 : float, default=0
        Penalty on the sizes of the weights, not of the bias: l1 times the sign of each weight is
        added to its gradient. It is no part of the loss that is reported.
    max_norm : float, optional
        After each step, a column of the weights (what one unit gets from all inputs) that is longer
        is brought back to this length.
    trainable : bool, default=True
        Whether training changes the layer. False freezes it and saves the work that its correction
        takes, and that of blame below the first layer which learns; its gradients by hand are
        zeros then. ``layer.trainable = False`` does so at any time.

    Raises
    ------
    ValueError, TypeError
        If a width is not a positive integer, or a name or a shape doesn't fit.

    Notes
    -----
    The derivatives of "tanh" and "sigmoid" are taken from their outputs and lose digits where
    these round to 1: in float32 tanh' is 4.77e-07 at 8 instead of 4.50e-07 and 0 from 9 on, and
    sigmoid' is 0 from 17 on, here as in ``explain``. float64 has them to 18 and 37.

    ``weight`` and ``bias`` exist once the layer is part of a Sequential: they are views
    into the model's one buffer of parameters. Assigning an array copies its numbers in,
    checked: of the right shape, finite, not too large for the dtype. What is written through
    the view (``weight[0] = x``, ``weight *= x``) is not checked.

    Rows of ``weight`` lie further apart in the buffer than they are long, unless n_out is a
    multiple of 16 in float32 (8 in float64) and not of 256 (128): so ``weight.ravel()`` and
    ``weight.reshape(-1)`` are copies at most widths, and what is written into them is lost.
    Write through ``weight.flat``, or take all parameters as one vector by
    ``model.get_parameters()`` and ``model.set_parameters(flat)``.

    Attributes that were given to a layer, and its class where that is a subclass, are kept by
    pickle and copy. A copy of a layer is on its own and begins with the same weights.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> model = fb.Sequential([fb.Dense(2, 1, weight_init=[[3.0], [4.0]])])
    >>> model.layers[0].weight
    array([[3.],
           [4.]], dtype=float32)
    """

    _kind = "product"
    _internals: ClassVar[frozenset[str]] = Layer._internals | {
        "_activation",
        "_bias_init",
        "_has_bias",
        "_n_in",
        "_n_out",
        "_weight_init",
    }

    def __init__(
        self,
        n_in: int,
        n_out: int,
        activation: str | ActivationFunction = "identity",
        *,
        bias: bool = True,
        weight_init: Any = "auto",
        bias_init: Any = "zeros",
        learning_rate_factor: float = 1.0,
        l1: float = 0.0,
        max_norm: float | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__()
        self._rules = check_rules(learning_rate_factor, l1, max_norm, trainable)
        self._n_in = check_integer("n_in", n_in)
        self._n_out = check_integer("n_out", n_out)
        self._activation = as_activation(activation)
        self._has_bias = check_true_false("bias", bias)
        # None once the layer is part of a model, which has the weights then.
        self._weight_init: Initializer | np.ndarray | None = self._initializer(
            "weight_init", weight_init, (self._n_in, self._n_out)
        )
        self._bias_init: Initializer | np.ndarray | None = self._initializer(
            "bias_init", bias_init, (self._n_out,)
        )

    def _initializer(
        self, what: str, value: Any, shape: tuple[int, ...]
    ) -> Initializer | np.ndarray:
        """Resolve names and numbers; arrays are checked and kept as float64."""
        if value is None or isinstance(value, str | Initializer | numbers.Number):
            return as_initializer(what, value, self._activation.row.initializer)
        return checked_array(what, value, shape, np.dtype("float64")).copy()

    @property
    def learning_rate_factor(self) -> float:
        """By which the optimizer's learning rate is multiplied."""
        return self._rules.learning_rate_factor

    @property
    def l1(self) -> float:
        """Penalty on the sizes of the weights."""
        return self._rules.l1

    @property
    def max_norm(self) -> float | None:
        """Largest length of a column of the weights; None for any."""
        return self._rules.max_norm or None

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self._n_in

    @property
    def n_out(self) -> int:
        """Number of outputs: neurons."""
        return self._n_out

    @property
    def has_bias(self) -> bool:
        """Whether the layer has a bias."""
        return self._has_bias

    @property
    def _n_rows(self) -> int:
        return self._n_in

    @property
    def weight(self) -> np.ndarray:
        """W of shape (n_in, n_out), a view with strides; assigning copies in, checked.

        What is written through the view, ``weight *= 2`` too, is not checked; ``weight.ravel()`` is
        a copy at most widths: see the notes of the class.
        """
        own = self._own()
        return own.places[self._index].weight(own.values)

    @weight.setter
    def weight(self, value: Any) -> None:
        self._assign("weight", self.weight, value)

    @property
    def bias(self) -> np.ndarray | None:
        """B of shape (n_out,), a view, or None without bias; assigning copies in, checked.

        What is written through the view, ``bias *= 2`` too, is not checked.
        """
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
        super()._attach(parameters, index)
        self._weight_init = self._bias_init = None

    def _fill(
        self,
        weight: np.ndarray,
        bias: np.ndarray | None,
        running: np.ndarray | None,
        generator: "np.random.PCG64",
    ) -> None:
        self._rules.check_held(weight.dtype)
        check_held(self._activation.row.parameter or "alpha", self._activation.alpha, weight.dtype)
        for what, init, out in (
            ("weight_init", self._weight_init, weight),
            ("bias_init", self._bias_init, bias),
        ):
            if out is None:
                continue
            if isinstance(init, Initializer):
                init._check_held(what, out.dtype)
                init._fill(what, out, generator, self._n_in, self._n_out)
            else:
                out[...] = checked_array(what, init, out.shape, out.dtype)

    def _restore(
        self, weight: np.ndarray, bias: np.ndarray | None, running: np.ndarray | None
    ) -> None:
        for view, init in ((weight, self._weight_init), (bias, self._bias_init)):
            if view is not None:
                if not isinstance(init, np.ndarray):
                    raise ValueError(f"{self!r} of a copied model must have weights.")
                view[...] = init

    def __getstate__(self) -> dict[str, Any]:
        """A copy of a layer is a layer on its own, which begins with the same weights."""
        state = super().__getstate__()
        copied = state.pop("_copied")
        if copied is not None:
            state["_weight_init"], state["_bias_init"], _ = copied
        return state

    def _construct(self, state: dict[str, Any]) -> None:
        Dense.__init__(
            self,
            state.get("_n_in"),  # type: ignore[arg-type]
            state.get("_n_out"),  # type: ignore[arg-type]
            state.get("_activation"),  # type: ignore[arg-type]
            bias=state.get("_has_bias"),  # type: ignore[arg-type]
        )
        rate_factor, l1, max_norm, *trainable = state.get("_rules")  # type: ignore[misc]
        self._rules = check_rules(rate_factor, l1, max_norm or None, *trainable)
        self._weight_init = _restored(
            "weight_init", state.get("_weight_init"), (self._n_in, self._n_out)
        )
        self._bias_init = _restored(
            "bias_init", state.get("_bias_init") if self._has_bias else Zeros(), (self._n_out,)
        )

    def _described(self) -> dict[str, Any]:
        return {"n_in": self._n_in, "n_out": self._n_out}

    def __repr__(self) -> str:
        parts = [f"{self._n_in}, {self._n_out}"]
        if self.activation != "identity":
            parts.append(f"activation={self.activation!r}")
        if self._activation.row.parameter:
            parts.append(f"{self._activation.row.parameter}={self._activation.alpha:g}")
        if not self._has_bias:
            parts.append("bias=False")
        parts += self._rules.shown()
        return f"Dense({', '.join(parts)})"


def _restored(what: str, init: Any, shape: tuple[int, ...]) -> Initializer | np.ndarray:
    """Return what is to fill a copied layer; weights as they are, be they finite or not."""
    if isinstance(init, Initializer):
        return init
    if not isinstance(init, np.ndarray) or init.dtype.name not in DTYPES or init.shape != shape:
        got = f"{init.dtype} of shape {init.shape}" if isinstance(init, np.ndarray) else repr(init)
        raise ValueError(
            f"{what} of a copied layer must be an initializer or an array of shape {shape} in "
            f"{' or '.join(DTYPES)}, got {got}."
        )
    return init
