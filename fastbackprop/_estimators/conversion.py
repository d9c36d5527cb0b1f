"""From scikit-learn's fitted estimators to ours, back, and from a model of one's own."""

import copy
import warnings
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastbackprop._estimators.network import ACTIVATIONS
from fastbackprop._estimators.parameters import is_own_solver
from fastbackprop._model.builders import NORMS
from fastbackprop._model.sequential import Sequential
from fastbackprop._predict.activations import ActivationFunction
from fastbackprop._predict.dense import Dense
from fastbackprop._predict.layer import Layer
from fastbackprop._predict.plain import Activation, Dropout
from fastbackprop._predict.scaling import SCALERS, Scaler

__all__ = ["attributes_of", "check_theirs", "fill_theirs", "parameters_of_model", "sort_outputs"]

THEIR_NAMES = {name: theirs for theirs, name in ACTIVATIONS.items()}
# Without a trailing underscore, and still a part of what was fitted.
PRIVATE = ("_label_binarizer", "_no_improvement_count")


def check_theirs(fitted: Any, theirs: type) -> None:
    """Refuse what isn't a fitted estimator of scikit-learn's class."""
    if not isinstance(fitted, theirs):
        raise TypeError(
            f"fitted must be a sklearn.neural_network.{theirs.__name__}, got "
            f"{type(fitted).__name__}."
        )
    check_is_fitted(fitted)


def attributes_of(estimator: Any) -> dict[str, Any]:
    """Return copies of what fit has left, but for the weights."""
    return {
        name: copy.deepcopy(value)
        for name, value in vars(estimator).items()
        if (name.endswith("_") and name not in ("coefs_", "intercepts_")) or name in PRIVATE
    }


def fill_theirs(ours: Any, theirs: type) -> Any:
    """Return a fitted estimator of scikit-learn's class with the same weights."""
    check_is_fitted(ours)
    # Of our class: a subclass may have a constructor of its own.
    defaults, known = _class_of(ours)().get_params(deep=False), theirs().get_params(deep=False)
    parameters = {name: getattr(ours, name) for name in defaults}
    activation = parameters["activation"]
    known_names = ("identity", "logistic", "tanh", "relu")
    if not isinstance(activation, str) or activation not in known_names:
        raise ValueError(
            f"to_sklearn needs one activation that scikit-learn has for all hidden layers, got "
            f"{activation!r}."
        )
    for name in ("normalization", "scale_inputs"):
        if parameters[name]:
            raise ValueError(
                f"to_sklearn needs an estimator without {name}, which scikit-learn doesn't know, "
                f"got {parameters[name]!r}."
            )
    if "loss" in parameters and not (
        isinstance(parameters["loss"], str)
        and parameters["loss"] in ("squared_error", "poisson", "log_loss")
    ):
        raise ValueError(
            f"to_sklearn needs a loss that scikit-learn has, got {parameters['loss']!r}."
        )
    _forget(parameters, defaults, known)
    other = theirs(**{name: value for name, value in parameters.items() if name in known})
    vars(other).update(attributes_of(ours))
    other.coefs_ = [np.array(x) for x in ours.coefs_]
    other.intercepts_ = [np.array(x) for x in ours.intercepts_]
    other._best_coefs = [x.copy() for x in other.coefs_]
    other._best_intercepts = [x.copy() for x in other.intercepts_]
    return other


def _class_of(ours: Any) -> Any:
    return next(x for x in type(ours).__mro__ if x.__module__ == "fastbackprop.sklearn")


def _forget(parameters: dict[str, Any], defaults: dict[str, Any], known: dict[str, Any]) -> None:
    """Take out what only further fits would need and scikit-learn hasn't, and say so."""
    lost = {
        name: value
        for name, value in parameters.items()
        if name not in {*known, "dtype", "n_threads"}
        and (np.any(value) if isinstance(value, list | np.ndarray) else value != defaults[name])
    }
    for name, is_lost in (
        ("solver", is_own_solver(parameters["solver"])),
        ("learning_rate", callable(parameters["learning_rate"])),
    ):
        if is_lost:
            lost[name], parameters[name] = parameters[name], defaults[name]
    if lost:
        values = ", ".join(f"{name}={value!r}" for name, value in lost.items())
        warnings.warn(
            f"scikit-learn doesn't know {values}: what to_sklearn returns predicts the same, and "
            "would be trained further without.",
            stacklevel=4,
        )


def parameters_of_model(model: Any) -> dict[str, Any]:
    """Return what an estimator of such a model is made with; refuse layers that it can't have."""
    if not isinstance(model, Sequential):
        raise TypeError(f"model must be a Sequential, got {type(model).__name__}.")
    if model.scale_targets:
        raise ValueError("model must have scale_targets=False, got True.")
    layers = list(model.layers)
    scaler = layers.pop(0) if isinstance(layers[0], Scaler) else None
    hidden: list[tuple[int, Any, str | None, Any]] = []
    last = layers.pop()
    while layers and _is_weights(layers[0]):
        dense = layers.pop(0)
        norm = next((x for x in NORMS if layers and _is_plain(layers[0], NORMS[x])), None)
        if norm is not None:
            layers.pop(0)
        activation = dense._activation
        if activation.name == "identity" and layers and type(layers[0]) is Activation:
            activation = layers.pop(0)._activation
        rate = layers.pop(0).rate if layers and type(layers[0]) is Dropout else 0.0
        hidden.append((dense.n_out, name_of(activation), norm, rate))
    wrong = layers[0] if layers else None if _is_weights(last) else last
    if wrong is not None:
        i = next(i for i, layer in enumerate(model.layers) if layer is wrong)
        raise ValueError(
            "model must be as mlp makes one, of Dense layers with biases, and between them norms "
            f"with default settings, activations and dropout, got layers[{i}] {wrong!r}."
        )
    norms = {norm for _, _, norm, _ in hidden}
    if len(norms) > 1:
        raise ValueError(
            "model must have the same normalization in all hidden layers, got several."
        )
    names, rates = [x[1] for x in hidden], [x[3] for x in hidden]
    return {
        "hidden_layer_sizes": tuple(width for width, _, _, _ in hidden),
        "activation": names[0] if names and _are_same(names) else names or "relu",
        "dropout": (rates[0] if rates else 0.0) if _are_same(rates) else rates,
        "normalization": norms.pop() if norms else None,
        "scale_inputs": next((x for x in SCALERS if type(scaler) is SCALERS[x]), False),
    }


def _is_weights(layer: Layer) -> bool:
    return type(layer) is Dense and layer.bias is not None


def _is_plain(layer: Layer, kind: type[Layer]) -> bool:
    """Whether a norm is as an estimator would make it."""
    return type(layer) is kind and layer._described() == kind()._described()


def _are_same(items: list[Any]) -> bool:
    return all(item == items[0] for item in items)


def name_of(activation: ActivationFunction) -> str | ActivationFunction:
    """Return an activation as estimators take it: by scikit-learn's name, if it has one."""
    if activation.row.parameter and activation.alpha != activation.row.default:
        return activation
    return THEIR_NAMES.get(activation.name, activation.name)


def show_model(estimator: Any, model: Sequential, network: Any) -> None:
    """Let an estimator that wasn't fitted have a copy of a model's weights."""
    estimator.n_features_in_, estimator.n_outputs_ = model.n_in, model.n_out
    estimator.n_layers_ = len(network.coefs) + 1
    if model.feature_names is not None:
        estimator.feature_names_in_ = np.array(model.feature_names, object)
    estimator._begin(network)


def sort_outputs(estimator: Any, labels: np.ndarray) -> np.ndarray:
    """Bring the outputs of a model into the order of their sorted labels, which it returns."""
    order = np.argsort(labels)
    network = estimator._network
    for view in (network.coefs[-1], network.intercepts[-1]):
        if network.model.n_out > 1:
            view[...] = view[..., order]
        elif order[0]:
            view *= -1  # what was yes is no
    estimator._best_values = network.store.copy()
    return labels[order]
