"""The layers of a model before it is one: do they fit, and how much room do they need."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fastbackprop._core.buffers import Parameters
from fastbackprop._predict.dense import Dense
from fastbackprop._predict.layer import Layer
from fastbackprop._predict.plain import Dropout
from fastbackprop._predict.scaling import Scaler

__all__ = ["check_layers", "dtype_name", "mask_seed", "room_for"]


def dtype_name(dtype: Any) -> Any:
    """numpy.float32 and dtype("float32") as "float32"; what isn't a dtype as it is."""
    try:
        return np.dtype(dtype).name if dtype is not None else dtype
    except TypeError:
        return dtype


def mask_seed(seed: int | None, layers: Sequence[Layer]) -> int:
    """Return 32 bits for the masks of dropout, apart from what the weights are drawn from."""
    if not any(isinstance(layer, Dropout) for layer in layers):
        return 0
    return int(np.random.SeedSequence(seed, spawn_key=(2,)).generate_state(1)[0])


def room_for(layers: Sequence[Layer], dtype: str, seed: int = 0) -> Parameters:
    """Return zeros for all parameters of these layers."""
    return Parameters(
        ((x._n_rows, x.n_out, x.has_bias) for x in layers),
        np.dtype(dtype),
        [x._has_running for x in layers],
        seed,
    )


def check_layers(layers: Any) -> list[Layer]:
    """Refuse layers that can't make a network, naming the first that doesn't fit.

    Layers that take their width from their neighbours get it.
    """
    if not isinstance(layers, Iterable) or isinstance(layers, str):
        raise TypeError(f"layers must be a sequence of layers, got {layers!r}.")
    layers = list(layers)
    if not layers:
        raise ValueError("layers must have at least one Dense, got none.")
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(f"layers[{i}] must be a Dense or another layer, got {layer!r}.")
        if not hasattr(layer, "_parameters"):
            raise TypeError(
                f"layers[{i}] must be made by its class's __init__, got an unfinished "
                f"{type(layer).__name__}; a layer that refers to its model can be copied only "
                f"with it: copy the model."
            )
        if layer._parameters is not None:
            raise ValueError(
                f"layers[{i}] must be a new layer, got {layer!r}, which is part of a model already."
            )
        if any(layer is other for other in layers[:i]):
            raise ValueError(f"layers[{i}] must be a layer of its own, got {layer!r} twice.")
        if isinstance(layer, Scaler) and i > 0:
            raise ValueError(
                f"Only the first layer may scale inputs, got layers[{i}] {layer!r}; between layers "
                f"there are LayerNorm and BatchNorm."
            )
        if layer.activation == "softmax" and i < len(layers) - 1:
            raise ValueError(
                f"Only the last layer may have activation 'softmax', got layers[{i}] {layer!r}."
            )
    if isinstance(layers[-1], Dropout):
        raise ValueError(
            f"The last layer must not be a Dropout, which would drop predictions, got "
            f"layers[{len(layers) - 1}] {layers[-1]!r}."
        )
    for layer, width in zip(layers, _widths(layers), strict=True):
        if isinstance(layer, Scaler) and layer.center is not None and len(layer.center) != width:
            raise ValueError(
                f"layers[0] must be fitted to {width} columns, got {layer!r} of a model with "
                f"{len(layer.center)}."
            )
        if not isinstance(layer, Dense):
            layer._width = width
    return layers


def _widths(layers: list[Layer]) -> list[int]:
    """Return the outputs of each layer; refuse a Dense that doesn't fit the one before."""
    dense = [i for i, layer in enumerate(layers) if isinstance(layer, Dense)]
    if not dense:
        raise ValueError("layers must have at least one Dense, which has widths, got none.")
    widths = [layers[dense[0]].n_in] * dense[0]
    for i in range(dense[0], len(layers)):
        layer = layers[i]
        if isinstance(layer, Dense):
            before = [k for k in dense if k < i]
            if before and layer.n_in != widths[-1]:
                raise ValueError(
                    f"layers[{i}] must have n_in {widths[-1]}, the n_out of layers[{before[-1]}] "
                    f"{layers[before[-1]]!r}, got {layer!r}."
                )
            widths.append(layer.n_out)
        else:
            widths.append(widths[-1])
    return widths
