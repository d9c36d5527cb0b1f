"""The layers of a model before it is one: do they fit, and how much room do they need."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fastbackprop._core.buffers import Parameters
from fastbackprop._predict.dense import Dense

__all__ = ["check_layers", "dtype_name", "room_for"]


def dtype_name(dtype: Any) -> Any:
    """numpy.float32 and dtype("float32") as "float32"; what isn't a dtype as it is."""
    try:
        return np.dtype(dtype).name if dtype is not None else dtype
    except TypeError:
        return dtype


def room_for(layers: Sequence[Dense], dtype: str) -> Parameters:
    """Return zeros for all parameters of these layers."""
    return Parameters(((x.n_in, x.n_out, x.has_bias) for x in layers), np.dtype(dtype))


def check_layers(layers: Any) -> list[Dense]:
    """Refuse layers that can't make a network, naming the first that doesn't fit."""
    if not isinstance(layers, Iterable) or isinstance(layers, str):
        raise TypeError(f"layers must be a sequence of Dense, got {layers!r}.")
    layers = list(layers)
    if not layers:
        raise ValueError("layers must have at least one Dense, got none.")
    for i, layer in enumerate(layers):
        if not isinstance(layer, Dense):
            raise TypeError(f"layers[{i}] must be a Dense, got {layer!r}.")
        if not hasattr(layer, "_parameters"):
            raise TypeError(
                f"layers[{i}] must be made by Dense.__init__, got an unfinished "
                f"{type(layer).__name__}; a layer that refers to its model can be copied only "
                f"with it: copy the model."
            )
        if layer._parameters is not None:
            raise ValueError(
                f"layers[{i}] must be a new layer, got {layer!r}, which is part of a model already."
            )
        if any(layer is other for other in layers[:i]):
            raise ValueError(f"layers[{i}] must be a layer of its own, got {layer!r} twice.")
        if i and layer.n_in != layers[i - 1].n_out:
            raise ValueError(
                f"layers[{i}] must have n_in {layers[i - 1].n_out}, the n_out of layers[{i - 1}] "
                f"{layers[i - 1]!r}, got {layer!r}."
            )
        if layer.activation == "softmax" and i < len(layers) - 1:
            raise ValueError(
                f"Only the last layer may have activation 'softmax', got layers[{i}] {layer!r}."
            )
    return layers
