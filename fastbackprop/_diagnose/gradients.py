"""All gradients of a step, as a list: weight and bias of each layer, then dC/dx.

In float64 to be checked, in float32 to be compared with them.
"""

from typing import Any, NamedTuple

import numpy as np

from fastbackprop._core.naming import layer_in_code
from fastbackprop._diagnose.differences import SMALLEST
from fastbackprop._explain.chain import bias_name, name_of, weight_name
from fastbackprop._explain.inspection import predict_and_compare
from fastbackprop._explain.samples import Samples
from fastbackprop._model.copies import copy_of
from fastbackprop._model.sequential import Sequential
from fastbackprop._predict.dense import Dense
from fastbackprop._predict.norms import BatchNorm

__all__ = [
    "Wrong",
    "float32_gradients",
    "gradient_name",
    "gradients_of",
    "is_undone",
    "learning_copy_of",
    "part_name",
    "roundings_of",
    "smallest_size",
    "worst_of_float32",
]

FLOAT32_TOLERANCE = 1e-3  # beyond what rounding weights and inputs to float32 does to the gradient


class Wrong(NamedTuple):
    """The worst gradient of a part: which backward, which of its numbers, and by what reference."""

    dtype: str
    flat: int
    backward: float
    reference: float
    error: float
    allowed: float


def learning_copy_of(model: Sequential, dtype: str) -> Sequential:
    """Return a copy in which no layer is frozen; all of its forwards draw the same masks."""
    model_copy = copy_of(model, dtype)
    for layer in model_copy.layers:
        layer.trainable = True
    return model_copy


def gradients_of(
    model: Sequential, rows: np.ndarray, targets: np.ndarray, compare: Any
) -> list[np.ndarray | None]:
    """Return what backward gives; None for a layer without bias."""
    _, d = compare(model._forward_rows(rows), targets)
    d_x = model.backward(d)
    if model._scaler is not None:  # rows are scaled here, and what is checked is by them
        d_x = d_x * model._scaler.scale
    own = model._parameters
    gradients = [x for pair in own.views(own.gradients) for x in pair]
    return [None if x is None else x.astype(np.float64) for x in [*gradients, d_x]]


def float32_gradients(model: Sequential, samples: Samples, compare: Any) -> list[np.ndarray | None]:
    """Return what float32's backward gives; refuse a model whose numbers outgrow float32."""
    predict_and_compare(model, samples, compare)
    return gradients_of(model, samples.rows, samples.targets, compare)


def roundings_of(
    model: Sequential, rows: np.ndarray, targets: np.ndarray, compare: Any
) -> list[float]:
    """Return how far gradients move if weights and inputs are rounded to float32, at random."""
    generator = np.random.default_rng(0)

    def round_off(shape: tuple[int, ...]) -> np.ndarray:
        return 1 + generator.choice([-1, 1], shape) * 2.0**-23

    exact = gradients_of(model, rows, targets, compare)
    largest = [0.0] * len(exact)
    for _ in range(3):
        rounded_model = learning_copy_of(model, "float64")
        for pair in rounded_model._parameters.views():
            for parameters in pair:
                if parameters is not None:
                    parameters *= round_off(parameters.shape)
        rounded = gradients_of(rounded_model, rows * round_off(rows.shape), targets, compare)
        for k, (gradient, other) in enumerate(zip(exact, rounded, strict=True)):
            if gradient is not None and other is not None:
                distance = float(np.abs(gradient - other).max(initial=0))
                largest[k] = max(largest[k], distance)
    return largest


def worst_of_float32(
    single: np.ndarray, double: np.ndarray, rounding: float, smallest: float
) -> Wrong:
    """Return where float32's gradients are farthest off, by what is allowed there.

    That is FLOAT32_TOLERANCE, and ten times what rounding its weights and inputs does.
    """
    sizes = np.maximum(np.maximum(np.abs(single), np.abs(double)), max(smallest, SMALLEST))
    errors = np.abs(single - double) / sizes
    allowed = FLOAT32_TOLERANCE + 10 * rounding / sizes
    flat = int((errors / allowed).argmax())
    numbers = (float(x.flat[flat]) for x in (single, double, errors, allowed))
    return Wrong("float32", flat, *numbers)


def smallest_size(gradient: np.ndarray | None) -> float:
    """Return what errors of small gradients are relative to: 1/100 of the largest of its kind."""
    return 0.0 if gradient is None else 1e-2 * float(np.abs(gradient).max(initial=0))


def is_undone(model: Sequential, k: int) -> bool:
    """Whether what a layer adds to all rows is taken away again: its gradient is 0, but rounded."""
    return k + 1 < len(model.layers) and isinstance(model.layers[k + 1], BatchNorm)


def part_name(model: Sequential, part: int) -> str:
    """Return how weights, biases or inputs are called."""
    k = part // 2
    if k == len(model.layers):
        return "x"
    names = ("weight", "bias") if isinstance(model.layers[k], Dense) else ("gamma", "beta")
    return f"{layer_in_code(k)}.{names[part % 2]}"


def gradient_name(model: Sequential, part: int, index: tuple[int, ...]) -> str:
    """Return how one of the numbers of a part is called."""
    k = part // 2
    if k == len(model.layers):
        return name_of("x", 2, index[1]) + f" of row {index[0]}"
    if not isinstance(model.layers[k], Dense):
        return f"{part_name(model, part)}[{index[-1]}]"
    shape = model.layers[k].weight.shape
    return weight_name(shape, k, *index) if part % 2 == 0 else bias_name(shape, k, *index)
