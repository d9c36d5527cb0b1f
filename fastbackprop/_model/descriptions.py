"""What a model file says of the layers, and the layers that it says."""

from typing import Any, NamedTuple

import numpy as np

from fastbackprop._compare.scaling import TargetScaling
from fastbackprop._core.buffers import Parameters
from fastbackprop._core.dispatch import DTYPES
from fastbackprop._core.naming import layer_in_code
from fastbackprop._core.scaling import ColumnScale
from fastbackprop._core.validation import check_choice, check_held, check_integer
from fastbackprop._correct.describing import callables_in, describe_schedule, described_schedule
from fastbackprop._correct.schedule import Position, table_of
from fastbackprop._model.files import LAYERS_VERSION, SCALING_VERSION
from fastbackprop._model.layers import check_layers, room_for
from fastbackprop._model.scaling import Scaled
from fastbackprop._predict.activations import describe_activation, described_activation
from fastbackprop._predict.dense import Dense
from fastbackprop._predict.layer import Layer
from fastbackprop._predict.norms import BatchNorm, LayerNorm
from fastbackprop._predict.plain import Activation, Dropout
from fastbackprop._predict.rules import check_rules
from fastbackprop._predict.scaling import RobustScale, Scaler, Standardize

__all__ = ["Description", "describe", "described"]

KINDS: dict[str, type[Layer]] = {
    "dense": Dense,
    "activation": Activation,
    "dropout": Dropout,
    "layer_norm": LayerNorm,
    "batch_norm": BatchNorm,
    "standardize": Standardize,
    "robust_scale": RobustScale,
}
OF_TARGETS = "targets"  # as layers.0 for inputs
NAMES = {cls: name for name, cls in KINDS.items()}


class Description(NamedTuple):
    """What is written: tensors, what the text says, and the version, None for plain models."""

    tensors: dict[str, np.ndarray]
    model: dict[str, Any]
    version: int | None


def describe(model: Scaled, store: np.ndarray) -> Description:
    """Return what a file has to say of a model, with the numbers in a copy of its store.

    Settings are written where they aren't the default. A model that has nothing but Dense layers is
    described as ever, so that older releases can read it.
    """
    parameters = model._parameters
    is_plain = all(isinstance(layer, Dense) for layer in model.layers)
    tensors: dict[str, np.ndarray] = {}
    layers = []
    for i, layer in enumerate(model.layers):
        for name, array in _arrays_of(layer, parameters, i, store).items():
            tensors[f"layers.{i}.{name}"] = array
        kind = {} if is_plain else {"kind": _kind_of(layer)}
        text = {**kind, **layer._described()}
        if isinstance(layer, Dropout):
            text["rate"] = _rate_of(layer, parameters.n_forwards)
        if isinstance(layer, Dense | Activation):
            text |= describe_activation(layer._activation)
        if isinstance(layer, Dense):
            text["bias"] = layer.has_bias
        layers.append({**text, **layer._rules.unusual()})
    text = {"dtype": model.dtype.name, "layers": layers}
    if model._classes is not None:
        text["classes"] = model._classes.as_list()
    if model._feature_names is not None:
        text["feature_names"] = model._feature_names
    if any(isinstance(layer, Dropout) for layer in model.layers):
        text["masks"] = {"seed": parameters.seed, "n_forwards": parameters.n_forwards}
    if not model._is_scaled:
        return Description(tensors, text, None if is_plain else LAYERS_VERSION)
    for place, columns in zip(("layers.0", OF_TARGETS), model._scaling, strict=True):
        if columns is not None:
            tensors[f"{place}.center"], tensors[f"{place}.scale"] = columns.center, columns.scale
    if model._target_scaling is not None:
        text["targets"] = {"has_variances": model._target_scaling.has_variances}
    return Description(tensors, text, SCALING_VERSION)


def described(
    tensors: dict[str, np.ndarray], model: dict[str, Any]
) -> tuple[list[Layer], Parameters, TargetScaling | None]:
    """Return the layers of a description, their parameters, and how targets are scaled.

    Raises whatever it leads to.
    """
    dtype = check_choice("dtype", model["dtype"], DTYPES)
    layers = [_layer_of(i, x, dtype) for i, x in enumerate(model["layers"])]
    left = dict(tensors)
    if layers and isinstance(layers[0], Scaler):
        layers[0]._columns = _columns_of("layers.0", left)
    target_scaling = None
    if "targets" in model:
        columns = _columns_of(OF_TARGETS, left)
        target_scaling = TargetScaling(columns, model["targets"]["has_variances"])
    arrays = [_taken(i, layer, left, dtype) for i, layer in enumerate(check_layers(layers))]
    if left:
        raise ValueError(f"no layer for {', '.join(left)}")
    masks = model.get("masks", {"seed": 0, "n_forwards": 0})
    parameters = room_for(layers, dtype, check_integer("seed", masks["seed"], 0))
    parameters.n_forwards = check_integer("n_forwards", masks["n_forwards"], 0)
    if parameters.n_forwards >= 2**53:
        raise ValueError("n_forwards is more than anybody has done")
    for i, layer in enumerate(layers):
        for name, view in _arrays_of(layer, parameters, i, parameters.store).items():
            view[...] = arrays[i][name]
    return layers, parameters, target_scaling


def _columns_of(place: str, tensors: dict[str, np.ndarray]) -> ColumnScale | None:
    """Take what columns are scaled by out of the tensors; None where it isn't fitted."""
    if f"{place}.center" not in tensors:
        return None
    return ColumnScale(tensors.pop(f"{place}.center"), tensors.pop(f"{place}.scale"))


def _taken(
    i: int, layer: Layer, tensors: dict[str, np.ndarray], dtype: str
) -> dict[str, np.ndarray]:
    """Take a layer's arrays out of the tensors, checked before there is room for them."""
    arrays = {}
    for name, shape in _shapes_of(layer).items():
        array = arrays[name] = tensors.pop(f"layers.{i}.{name}")
        if array.shape != shape:
            raise ValueError(f"{layer_in_code(i)} and its weights have different shapes")
        if array.dtype.name != dtype:
            raise ValueError(f"{layer_in_code(i)} is not {dtype}")
        if name == "running_variance" and (array < 0).any():
            raise ValueError(f"{layer_in_code(i)} has a negative variance")
    return arrays


def _shapes_of(layer: Layer) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a layer's arrays, by the names that files use."""
    row = (layer.n_out,)
    if isinstance(layer, Dense):
        weight: dict[str, tuple[int, ...]] = {"weight": (layer.n_in, layer.n_out)}
        return {**weight, "bias": row} if layer.has_bias else weight
    if not layer.has_bias:
        return {}
    running = {"running_mean": row, "running_variance": row} if layer._has_running else {}
    return {"gamma": row, "beta": row, **running}


def _rate_of(layer: Dropout, n_forwards: int) -> Any:
    """Return the rate, or its schedule; of a callable of the user's own the rate of now."""
    rate = describe_schedule(layer.rate)
    if callables_in(rate):
        return float(table_of(layer.rate, Position(n_forwards), 1)[0])
    return rate


def _kind_of(layer: Layer) -> str:
    """Return the name of a layer's kind; of a subclass that of the class it comes from."""
    return next(NAMES[cls] for cls in type(layer).__mro__ if cls in NAMES)


def _layer_of(i: int, text: dict[str, Any], dtype: str) -> Layer:
    """Return the layer that a description says."""
    kind = text.get("kind", "dense")
    layer: Layer
    if kind in ("dense", "activation"):
        activation = described_activation(text)
        with np.errstate(over="ignore"):
            is_held = np.isfinite(np.dtype(dtype).type(activation.alpha))
        if not is_held:  # slopes that are too small for check_held were once written
            parameter = activation.row.parameter or "slope"
            check_held(f"{parameter} of {layer_in_code(i)}", activation.alpha, np.dtype(dtype))
        if kind == "activation":
            layer = Activation(activation)
        else:
            layer = Dense(text["n_in"], text["n_out"], activation, bias=text["bias"])
    elif kind == "dropout":
        layer = Dropout(described_schedule(text["rate"]))
    elif kind == "layer_norm":
        layer = LayerNorm(text["epsilon"])
    elif kind in ("standardize", "robust_scale"):
        layer = KINDS[kind]()
    else:
        check_choice(f"the kind of {layer_in_code(i)}", kind, KINDS)
        layer = BatchNorm(text["momentum"], text["epsilon"])
    names = check_rules()._fields
    layer._rules = check_rules(**{name: text[name] for name in names if name in text})
    return layer


def _arrays_of(
    layer: Layer, parameters: Parameters, i: int, store: np.ndarray
) -> dict[str, np.ndarray]:
    """Return what a layer has in the store, by the names that files use."""
    place, running = parameters.places[i], parameters.running_views(store)[i]
    weight, bias = place.weight(store), place.bias(store)
    if isinstance(layer, Dense):
        return {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    if bias is None:
        return {}
    arrays = {"gamma": weight[0], "beta": bias}
    if running is not None:
        arrays |= {"running_mean": running[0], "running_variance": running[1]}
    return arrays
