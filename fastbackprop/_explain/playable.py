"""What the page needs to compute steps by itself: the whole net and batch, loss and optimizer."""

import base64
from typing import Any

import numpy as np

from fastbackprop._compare.loss import Loss
from fastbackprop._compare.own_loss import OwnLoss
from fastbackprop._core.losses import TABLE
from fastbackprop._correct.optimizer import Optimizer
from fastbackprop._correct.optimizers import SGD, Adam
from fastbackprop._model.sequential import Sequential
from fastbackprop._predict.dense import Dense

__all__ = ["MOST_BYTES", "playable", "settings_of"]

MOST_BYTES = 260_000  # of parameters and samples


def settings_of(model: Sequential, compare: Loss, optimizer: Optimizer) -> dict[str, Any] | None:
    """Return loss and optimizer as the page's script computes them; None where it can't."""
    if isinstance(compare, OwnLoss) or compare.name not in TABLE:
        return None
    layers = model.layers if model._scaler is None else model.layers[1:]
    if getattr(compare, "mask_missing", False) or any(type(x) is not Dense for x in layers):
        return None
    plain = {"learning_rate_factor": 1.0, "trainable": True, "l1": 0.0, "max_norm": None}
    if any(getattr(x, name, value) != value for x in layers for name, value in plain.items()):
        return None
    steps = _optimizer_settings(optimizer)
    parameter = TABLE[compare.name].parameter
    loss = {
        "name": compare.name,
        "parameter": None if parameter is None else getattr(compare, parameter),
        "smoothing": getattr(compare, "label_smoothing", 0.0),
        "sums": getattr(compare, "sum_outputs", False),
    }
    alphas = [x._activation.alpha for x in layers]
    return None if steps is None else {"loss": loss, "optimizer": steps, "alphas": alphas}


def _optimizer_settings(optimizer: Optimizer) -> dict[str, Any] | None:
    names: tuple[str, ...]
    if type(optimizer) is SGD:
        kind, names = "sgd", ("learning_rate", "momentum", "weight_decay", "nesterov")
    elif type(optimizer) is Adam and not optimizer.amsgrad:
        kind, names = "adam", ("learning_rate", "beta_1", "beta_2", "epsilon", "weight_decay")
    else:
        return None
    values = {name: getattr(optimizer, name) for name in (*names, "decay_biases")}
    if not all(isinstance(x, int | float) for x in values.values()):
        return None  # a schedule
    defaults = {"momentum": 0.9, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "nesterov": False}
    if kind == "sgd":
        defaults.pop("momentum")
    return {"kind": kind, **defaults, **values}


def playable(e: Any) -> dict[str, Any] | None:
    """Return an Explanation's whole net and batch in base64; None if the page can't play it."""
    if e.settings is None:
        return None
    arrays = [x for layer in e.layers for x in (layer.weight, layer.bias) if x is not None]
    if sum(x.nbytes for x in (*arrays, e.x, e.y)) > MOST_BYTES:
        return None

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
