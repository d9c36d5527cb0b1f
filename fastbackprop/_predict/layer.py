"""Layer: what layers of all kinds share, before and after they have become part of a model."""

from typing import Any, ClassVar

import numpy as np

from fastbackprop._core.buffers import Parameters
from fastbackprop._core.copies import own_attributes, set_own_attributes
from fastbackprop._core.dispatch import DTYPES
from fastbackprop._core.validation import as_matrix, as_vector, check_true_false
from fastbackprop._predict.activations import ActivationFunction
from fastbackprop._predict.op import OpSpec
from fastbackprop._predict.rules import UpdateRules

__all__ = ["Layer", "check_copied", "checked_array"]

IDENTITY = ActivationFunction("identity")


class Layer:
    """One layer; kinds that have no widths of their own get those of their neighbours."""

    _kind: ClassVar[str]  # of the kernels' OPS
    _has_running: ClassVar[bool] = False
    _internals: ClassVar[frozenset[str]] = frozenset(
        ["_parameters", "_index", "_rules", "_width", "_copied"]
    )
    _activation: ActivationFunction = IDENTITY
    _rules: UpdateRules = UpdateRules()

    def __init__(self) -> None:
        self._parameters: Parameters | None = None
        self._index = 0
        self._width: int | None = None  # of a kind without widths of its own, once it is known
        # Of a copy that isn't part of a model yet: weight, bias and running statistics.
        self._copied: tuple[np.ndarray | None, ...] | None = None

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        if self._width is None:
            raise RuntimeError(
                "A layer must be part of a Sequential to have a width, got a layer on its own."
            )
        return self._width

    @property
    def n_out(self) -> int:
        """Number of outputs: neurons."""
        return self.n_in

    @property
    def activation(self) -> str:
        """Name of the activation; "identity" where there is none."""
        return self._activation.name

    @property
    def slope(self) -> float:
        """Slope below zero of leaky_relu; 0 for the others."""
        return self._activation.alpha if self.activation == "leaky_relu" else 0.0

    @property
    def trainable(self) -> bool:
        """Whether training changes the layer; assigning False freezes it, and saves its work."""
        return self._rules.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        trainable = check_true_false("trainable", value)
        if trainable != self._rules.trainable:
            self._rules = self._rules._replace(trainable=trainable)
            if self._parameters is not None:
                self._parameters.tell()

    @property
    def has_bias(self) -> bool:
        """Whether the layer has a bias, or a beta."""
        return False

    @property
    def n_parameters(self) -> int:
        """Number of parameters."""
        return (self._n_rows + self.has_bias) * self.n_out

    @property
    def _n_rows(self) -> int:
        """Rows of n_out parameters in front of the bias."""
        return 0

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
        # `layer.weight *= 2` has been done in the view when Python assigns it: too late to refuse.
        if not _is_same_view(value, view):
            view[...] = checked_array(what, value, view.shape, view.dtype)

    def _op(self, offset: int, running_offset: int) -> OpSpec:
        """Describe the layer to the kernels."""
        return OpSpec(
            self._kind,
            self.n_in,
            self.n_out,
            offset,
            self.has_bias,
            self._activation.name,
            self._activation.alpha,
            running_offset=running_offset,
            **self._settings(),
        )

    def _settings(self) -> dict[str, Any]:
        """Return what else the kernels are told."""
        return self._rules._asdict()

    def _attach(self, parameters: Parameters, index: int) -> None:
        """Become part of a model, which has the initial weights now."""
        self._parameters = parameters
        self._index = index
        self._copied = None

    def _fill(
        self,
        weight: np.ndarray,
        bias: np.ndarray | None,
        running: np.ndarray | None,
        generator: "np.random.PCG64",
    ) -> None:
        """Fill what a new model has for the layer; refuse what its dtype can't hold."""
        if self._copied is not None:
            for view, copied in zip((weight, bias, running), self._copied, strict=True):
                if view is not None and copied is not None:
                    view[...] = checked_array("weights", copied, view.shape, view.dtype)

    def _restore(
        self, weight: np.ndarray, bias: np.ndarray | None, running: np.ndarray | None
    ) -> None:
        """Fill what a copied model has for the layer, be it finite or not."""
        copied = self._copied or (None, None, None)
        for view, array in zip((weight, bias, running), copied, strict=True):
            if view is not None and view.size > 0:
                if array is None or array.shape != view.shape:
                    raise ValueError(f"{type(self).__name__} of a copied model must have weights.")
                view[...] = array

    def __getstate__(self) -> dict[str, Any]:
        """A copy of a layer is a layer on its own, which begins with the same weights."""
        state = {**own_attributes(self), "_parameters": None, "_index": 0}
        if self._parameters is not None:
            state["_copied"] = self._parameters.copied(self._index)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what ``__getstate__`` gave, checked as the constructor checks it."""
        self._construct(state)
        copied = state.get("_copied")
        if copied is not None:
            self._copied = tuple(check_copied(x) for x in copied)
            if len(self._copied) != 3:
                raise ValueError(f"A copied layer must have 3 arrays, got {len(self._copied)}.")
        set_own_attributes(self, state, self._internals)

    def _construct(self, state: dict[str, Any]) -> None:
        """Call the constructor with the settings in a copy's state."""
        raise NotImplementedError

    def _described(self) -> dict[str, Any]:
        """Return what a model file says of the layer's own settings."""
        return {}


def _is_same_view(value: Any, view: np.ndarray) -> bool:
    """Whether these are the same numbers in the same places."""
    return (
        isinstance(value, np.ndarray)
        and value.dtype == view.dtype
        and value.shape == view.shape
        and value.strides == view.strides
        and value.ctypes.data == view.ctypes.data
    )


def checked_array(what: str, value: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an array of this shape, or complain."""
    if len(shape) == 1:
        return as_vector(what, value, dtype, shape[0])
    matrix = as_matrix(what, value, dtype, shape[1], "the layer's n_out")
    if matrix.shape != shape:
        raise ValueError(f"{what} must have shape {shape}, got {matrix.shape}.")
    return matrix


def check_copied(array: Any) -> np.ndarray | None:
    """Return an array of a copied layer as it is, be it finite or not, or refuse what is none."""
    if array is not None and (not isinstance(array, np.ndarray) or array.dtype.name not in DTYPES):
        raise ValueError(
            f"Weights of a copied layer must be an array in {' or '.join(DTYPES)}, got {array!r}."
        )
    return array
