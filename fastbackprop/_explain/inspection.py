"""What is inside a model between forward, backward and the step, as the kernels say."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastbackprop._compare.losses import Loss
from fastbackprop._core.activations import TABLE
from fastbackprop._core.buffers import aligned_zeros, row_length
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.finite import check_weights
from fastbackprop._explain.samples import Samples
from fastbackprop._model.dropping import rate_seen
from fastbackprop._model.sequential import Sequential
from fastbackprop._predict.dense import Dense
from fastbackprop._predict.norms import BatchNorm, LayerNorm, Norm
from fastbackprop._predict.plain import Dropout
from fastbackprop._predict.scaling import Scaler

__all__ = [
    "arrays_of",
    "first_overflow",
    "inspect_layer",
    "layers_of",
    "moment_of",
    "only_to_look",
    "predict_and_compare",
]


@contextmanager
def only_to_look(
    model: Sequential, moment: tuple[int, tuple[int, int]] | None = None
) -> Iterator[None]:
    """Let all forwards in the block draw the same masks, and leave what the model remembers.

    They are those of the model's next training forward, or of that of another ``moment_of``.
    """
    own = model._parameters
    before = own.running.copy(), own.is_pinned, moment_of(model)
    own.is_pinned = True
    own.n_forwards, own.place_in_fit = moment_of(model) if moment is None else moment
    try:
        yield
    finally:
        own.running[:], own.is_pinned, (own.n_forwards, own.place_in_fit) = before


def moment_of(model: Sequential) -> tuple[int, tuple[int, int]]:
    """Return what masks and their rates depend on: training forwards, and the place in a fit."""
    return model._parameters.n_forwards, model._parameters.place_in_fit


def inspect_layer(model: Sequential, k: int, n: int) -> tuple[np.ndarray, ...]:
    """Return z, a, act'(z), dC/da and dC/dz of layer k, after forward and backward."""
    n_out = model.layers[k].n_out
    row = row_length(n_out, model.dtype)
    arrays = [aligned_zeros(n * row, model.dtype).reshape(n, row) for _ in range(5)]
    kernels(model.dtype).inspect(model._forward_workspace(), k, *arrays)
    return tuple(x[:, :n_out].copy() for x in arrays)


def layers_of(model: Sequential, rows: np.ndarray, d_y_hat: np.ndarray) -> list[dict[str, Any]]:
    """Return the numbers of every layer as they are between backward and the step."""
    layers: list[dict[str, Any]] = []
    own = model._parameters
    weights, gradients = own.views(), own.views(own.gradients)
    for k, layer in enumerate(model.layers):
        z, a, derivative, d_a, delta = inspect_layer(model, k, len(d_y_hat))
        is_last = k == len(model.layers) - 1
        (weight, bias), (d_weight, d_bias) = weights[k], gradients[k]
        layers.append({
            "activation": layer.activation, "slope": layer.slope, "z": z, "a": a,
            "derivative": None if TABLE[layer.activation].derivative is None else derivative,
            "d_a": d_y_hat if is_last else d_a, "delta": delta,
            "weight": weight.copy(), "bias": None if bias is None else bias.copy(),
            "weight_gradient": d_weight.copy(),
            "bias_gradient": None if d_bias is None else d_bias.copy(),
            "kind": type(layer).__name__ if not isinstance(layer, Dense) else "Dense",
        })  # fmt: skip
        if isinstance(layer, Scaler):
            layers[-1] |= {"center": layer.center, "scale": layer.scale}
        if isinstance(layer, Dropout):
            layers[-1] |= {"rate": rate_seen(model, layer)}
        if isinstance(layer, Norm):
            layers[-1]["through"] = _through(layer, rows if k == 0 else layers[k - 1]["a"])
    return layers


def _through(layer: Norm, inputs: np.ndarray) -> np.ndarray:
    """Return the derivative of each output of a norm in training by its own input."""
    x = inputs.astype(np.float64)
    axis = 1 if isinstance(layer, LayerNorm) else 0
    n = x.shape[axis]
    if isinstance(layer, BatchNorm) and n == 1:  # it uses its running statistics then
        mean, variance, part = layer.running_mean, layer.running_variance, 0.0
    else:
        mean, variance = x.mean(axis, keepdims=True), x.var(axis, keepdims=True)
        part = 1 / n
    scale = 1 / np.sqrt(variance + layer.epsilon)
    moved = part * (1 + ((x - mean) * scale) ** 2)  # Ioffe and Szegedy 2015, section 3
    return np.asarray(layer.gamma * scale * (1 - moved))


def arrays_of(model: Sequential, k: int, buffer: np.ndarray | None = None) -> list[np.ndarray]:
    """Return weight and bias of layer k, or what a buffer has in their places; [] for none."""
    pair = model._parameters.views(buffer)[k]
    return [x for x in pair if x is not None and x.size > 0]


def predict_and_compare(
    model: Sequential, samples: Samples, compare: Loss
) -> tuple[np.ndarray, float, Any]:
    """Return y_hat, the cost and dC/dy_hat; refuse a model whose numbers aren't finite."""
    check_weights(model._parameters)
    y_hat = model._forward_rows(samples.rows)
    if not np.isfinite(y_hat).all():
        row, column = np.argwhere(~np.isfinite(y_hat))[0]
        first = first_overflow(model, len(samples))
        raise ValueError(
            f"model must give finite outputs, got {y_hat[row, column]} at row {row}, column "
            f"{column}: numbers outgrow {model.dtype} in layers[{first}]; scale the inputs, or "
            f"begin with smaller weights."
        )
    predicted = np.array(y_hat)  # before a loss of the user's own can change it
    cost, d_y_hat = compare(y_hat, samples.targets)
    if not np.isfinite(cost):
        raise ValueError(
            f"the cost must be finite, got {float(cost)} for outputs up to "
            f"{np.abs(predicted).max():g}; scale the targets, or begin with smaller weights."
        )
    return predicted, float(cost), d_y_hat


def first_overflow(model: Sequential, n_rows: int) -> int:
    """Return the first layer whose z is not finite, after ``forward``; the last if none is."""
    for k in range(len(model.layers) - 1):
        if not np.isfinite(inspect_layer(model, k, n_rows)[0]).all():
            return k
    return len(model.layers) - 1
