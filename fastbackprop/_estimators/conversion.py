"""From scikit-learn's fitted estimators to ours, back, and from a model of one's own."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastbackprop._estimators.network import ACTIVATIONS
from fastbackprop._model.sequential import Sequential
from fastbackprop._predict.activations import ActivationFunction
from fastbackprop._predict.dense import Dense

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
    parameters, known = ours.get_params(deep=False), theirs().get_params(deep=False)
    activation = parameters["activation"]
    known_names = ("identity", "logistic", "tanh", "relu")
    if not isinstance(activation, str) or activation not in known_names:
        raise ValueError(
            f"to_sklearn needs one activation that scikit-learn has for all hidden layers, got "
            f"{activation!r}."
        )
    if "loss" in parameters and not (
        isinstance(parameters["loss"], str) and parameters["loss"] in ("squared_error", "poisson")
    ):
        raise ValueError(
            f"to_sklearn needs a loss that scikit-learn has, got {parameters['loss']!r}."
        )
    other = theirs(**{name: value for name, value in parameters.items() if name in known})
    vars(other).update(attributes_of(ours))
    other.coefs_ = [np.array(x) for x in ours.coefs_]
    other.intercepts_ = [np.array(x) for x in ours.intercepts_]
    other._best_coefs = [x.copy() for x in other.coefs_]
    other._best_intercepts = [x.copy() for x in other.intercepts_]
    return other


def parameters_of_model(model: Any) -> dict[str, Any]:
    """Return what an estimator of such a model is made with; refuse layers that it can't have."""
    if not isinstance(model, Sequential):
        raise TypeError(f"model must be a Sequential, got {type(model).__name__}.")
    for i, layer in enumerate(model.layers):
        if type(layer) is not Dense or layer.bias is None:
            raise ValueError(
                f"model must have nothing but Dense layers with biases, got layers[{i}] {layer!r}."
            )
    if model.scale_targets:
        raise ValueError("model must have scale_targets=False, got True.")
    hidden = [name_of(layer._activation) for layer in model.layers[:-1]]
    one = hidden[0] if hidden and all(name == hidden[0] for name in hidden) else hidden or "relu"
    return {
        "hidden_layer_sizes": tuple(layer.n_out for layer in model.layers[:-1]),
        "activation": one,
    }


def name_of(activation: ActivationFunction) -> str | ActivationFunction:
    """Return an activation as estimators take it: by scikit-learn's name, if it has one."""
    if activation.row.parameter and activation.alpha != activation.row.default:
        return activation
    return THEIR_NAMES.get(activation.name, activation.name)


def show_model(estimator: Any, model: Sequential, network: Any) -> None:
    """Let an estimator that wasn't fitted have a copy of a model's weights."""
    estimator.out_activation_ = name_of(model.layers[-1]._activation)
    estimator.n_features_in_, estimator.n_outputs_ = model.n_in, model.n_out
    estimator.n_layers_ = len(model.layers) + 1
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
    estimator._best_values = network.values.copy()
    return labels[order]


def widths_of(model: Sequential) -> Sequence[int]:
    """Return inputs, then the outputs of each layer."""
    return [model.n_in, *(layer.n_out for layer in model.layers)]
