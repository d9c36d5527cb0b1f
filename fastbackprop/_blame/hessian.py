"""What a product with the Hessian needs beside the model: the vector, and room to move in."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastbackprop._core.buffers import Parameters, aligned_empty, aligned_zeros, row_length
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.naming import layer_in_code
from fastbackprop._core.validation import as_matrix, as_vector
from fastbackprop._predict.dense import Dense
from fastbackprop._predict.layer import Layer

__all__ = ["HessianRoom", "LayerGradients", "as_shown"]

LayerGradients = list[tuple[np.ndarray | None, np.ndarray | None]]


class HessianRoom:
    """A network whose weights are the vector v, its workspace, and where the product goes.

    One call uses it at a time; the next call finds it as it is.

    Parameters
    ----------
    layers : sequence of Layer
        Layers of the model.
    parameters : Parameters
        Where theirs lie.
    new_network : callable
        Makes a network of these layers with the weights of a buffer.
    n : int
        Rows of the batch.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        parameters: Parameters,
        new_network: Callable[[np.ndarray], Any],
        n: int,
    ) -> None:
        dtype, size = parameters.values.dtype, parameters.values.size
        widest = max(row_length(x, dtype) for layer in layers for x in (layer.n_in, layer.n_out))
        self.n, self._layers = n, layers
        self._direction, self.out = aligned_zeros(size, dtype), aligned_zeros(size, dtype)
        self._v, self.product = (
            [
                as_shown(layer, place.weight(buffer), place.bias(buffer))
                for layer, place in zip(layers, parameters.places, strict=True)
            ]
            for buffer in (self._direction, self.out)
        )
        self.scratch = aligned_empty(2 * n * widest + size, dtype)
        self._kernels, self._network = kernels(dtype), new_network(self._direction)
        scratch = aligned_zeros(self._kernels.workspace_size(self._network, n, False), dtype)
        self.workspace = self._kernels.Workspace(self._network, n, False, scratch)

    def set_direction(self, v: Sequence[tuple[Any, Any]]) -> None:
        """Copy v into the network, or complain in one sentence."""
        if not self._is_copied(v):
            self._convert(v)

    def _is_copied(self, v: Any) -> bool:
        """Copy v if its arrays have the right shapes and dtype; whether it was, and is finite."""
        if not isinstance(v, list | tuple) or len(v) != len(self._v):
            return False
        for pair, places in zip(v, self._v, strict=True):
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                return False
            for array, place in zip(pair, places, strict=True):
                if array is None and place is None:
                    continue
                if type(array) is not np.ndarray or place is None:
                    return False
                if array.dtype != place.dtype or array.shape != place.shape:
                    return False
                place[...] = array
        return bool(self._kernels.first_nonfinite(self._direction) < 0)

    def _convert(self, v: Sequence[tuple[Any, Any]]) -> None:
        """Copy any array-likes; complain of what doesn't fit."""
        if not isinstance(v, list | tuple) or len(v) != len(self._v):
            got = f"{len(v)}" if isinstance(v, list | tuple) else type(v).__name__
            raise ValueError(
                f"v must be a list of {len(self._v)} tuples (weight, bias), got {got}."
            )
        for k, (layer, places, pair) in enumerate(zip(self._layers, self._v, v, strict=True)):
            what = f"v[{k}]"
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise ValueError(
                    f"{what} must be a tuple (weight, bias), got {type(pair).__name__}."
                )
            if isinstance(layer, Dense):
                _set_dense(what, layer_in_code(k), layer, places, pair)
            elif layer._n_rows == 0:
                _check_nothing(what, layer, pair)
            else:
                for i, place in enumerate(places):
                    assert place is not None
                    place[...] = as_vector(f"{what}[{i}]", pair[i], place.dtype, layer.n_out)


def _set_dense(
    what: str, name: str, layer: Dense, places: Sequence[Any], pair: Sequence[Any]
) -> None:
    """Put v's part for a Dense into its places."""
    weight, bias = places
    matrix = as_matrix(f"{what}[0]", pair[0], weight.dtype, layer.n_out, f"n_out of {name}")
    if len(matrix) != layer.n_in:
        raise ValueError(
            f"{what}[0] must have shape ({layer.n_in}, {layer.n_out}), got {matrix.shape}."
        )
    weight[...] = matrix
    if bias is not None:
        bias[...] = as_vector(f"{what}[1]", pair[1], weight.dtype, layer.n_out)
    elif pair[1] is not None:
        raise ValueError(
            f"{what}[1] must be None, since {name} has no bias, got {type(pair[1]).__name__}."
        )


def _check_nothing(what: str, layer: Layer, pair: Sequence[Any]) -> None:
    """Refuse numbers for a layer without parameters."""
    if pair[0] is not None or pair[1] is not None:
        raise ValueError(
            f"{what} must be (None, None), since {layer!r} has no parameters, got "
            f"({type(pair[0]).__name__}, {type(pair[1]).__name__})."
        )


def as_shown(
    layer: Layer, weight: np.ndarray | None, bias: np.ndarray | None
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return a layer's gradients as users see them: gamma is a vector, what isn't there None."""
    if isinstance(layer, Dense) or weight is None:
        return weight, bias
    return (weight[..., 0, :], bias) if layer._n_rows else (None, None)
