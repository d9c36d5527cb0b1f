"""What the page needs to compute steps by itself: the whole net and batch, loss and optimizer."""

import base64
from typing import Any

import numpy as np

from fastbackprop._compare.loss import Loss
from fastbackprop._compare.own_loss import OwnLoss
from fastbackprop._core.losses import TABLE
from fastbackprop._core.naming import layer_in_words
from fastbackprop._correct.optimizer import Optimizer
from fastbackprop._correct.optimizers import SGD, Adam
from fastbackprop._model.sequential import Sequential
from fastbackprop._predict.layer import Layer
from fastbackprop._predict.norms import BatchNorm, Norm

__all__ = ["MOST_BYTES", "playable", "settings_of"]

MOST_BYTES = 260_000  # of parameters and samples
# What a layer has by itself, and how it reads where that isn't so.
PLAIN = {
    "learning_rate_factor": (1.0, "has a learning rate of its own"),
    "trainable": (True, "is frozen"),
    "l1": (0.0, "has a penalty of its own"),
    "max_norm": (None, "limits its weights"),
}


def settings_of(model: Sequential, compare: Loss, optimizer: Optimizer) -> dict[str, Any] | str:
    """Return loss and optimizer as the page's script computes them; or why it can't."""
    if isinstance(compare, OwnLoss) or compare.name not in TABLE:
        return "the loss is a function of your own"
    if getattr(compare, "mask_missing", False):
        return "targets may be missing"
    n_before = 0 if model._scaler is None else 1  # the page begins behind what scales
    layers = model.layers[n_before:]
    for k, layer in enumerate(layers):
        for name, (value, words) in PLAIN.items():
            if getattr(layer, name, value) != value:
                return f"{layer_in_words(k + n_before, n_before)} {words}"
    steps = _optimizer_settings(optimizer)
    if isinstance(steps, str):
        return steps
    parameter = TABLE[compare.name].parameter
    loss = {
        "name": compare.name,
        "parameter": None if parameter is None else getattr(compare, parameter),
        "smoothing": getattr(compare, "label_smoothing", 0.0),
        "sums": getattr(compare, "sum_outputs", False),
    }
    return {
        "loss": loss,
        "optimizer": steps,
        "alphas": [x._activation.alpha for x in layers],
        "norms": [_norm_settings(x) for x in layers],
    }


def _norm_settings(layer: Layer) -> dict[str, Any] | None:
    """Return what a norm has beside gamma and beta."""
    if not isinstance(layer, Norm):
        return None
    if not isinstance(layer, BatchNorm):
        return {"epsilon": layer.epsilon}
    running = (layer.running_mean, layer.running_variance)
    mean, variance = (x.astype(np.float64).tolist() for x in running)
    return {"epsilon": layer.epsilon, "mean": mean, "variance": variance}


def _optimizer_settings(optimizer: Optimizer) -> dict[str, Any] | str:
    names: tuple[str, ...]
    if type(optimizer) is SGD:
        kind, names = "sgd", ("learning_rate", "momentum", "weight_decay", "nesterov")
    elif type(optimizer) is Adam:
        kind, names = "adam", ("learning_rate", "beta_1", "beta_2", "epsilon", "weight_decay")
        if optimizer.amsgrad:
            return "the optimizer is Adam with amsgrad"
    else:
        return f"the optimizer is {type(optimizer).__name__}"
    values = {name: getattr(optimizer, name) for name in (*names, "decay_biases")}
    for name, value in values.items():
        if not isinstance(value, int | float):
            return f"the optimizer's {name} has a schedule"
    defaults = {"momentum": 0.9, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "nesterov": False}
    if kind == "sgd":
        defaults.pop("momentum")
    return {"kind": kind, **defaults, **values}


def playable(e: Any) -> dict[str, Any] | str:
    """Return an Explanation's whole net and batch in base64; or why the page can't play it."""
    if isinstance(e.settings, str):
        return e.settings
    arrays = [x for layer in e.layers for x in (layer.weight, layer.bias) if x is not None]
    if sum(x.nbytes for x in (*arrays, e.x, e.y)) > MOST_BYTES:
        return f"weights and samples have more than {MOST_BYTES // 1000} kB"

    def packed(array: np.ndarray) -> str:
        little = np.ascontiguousarray(array, np.dtype(e.dtype).newbyteorder("<"))
        return base64.b64encode(little.tobytes()).decode()

    return {
        **e.settings,
        "dtype": e.dtype,
        "n": len(e.x),
        "n_targets": e.y.shape[1],
        "x": packed(e.x),
        "y": packed(e.y),
        "weights": [packed(x.weight) for x in e.layers],
        "biases": [None if x.bias is None else packed(x.bias) for x in e.layers],
    }
