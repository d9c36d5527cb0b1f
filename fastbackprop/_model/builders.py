"""Other ways to a Sequential: mlp from widths, load from a file."""

import os
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from fastbackprop._compare.labels import check_classes
from fastbackprop._core.errors import ModelFileError
from fastbackprop._core.validation import check_choice, check_integer, check_real
from fastbackprop._model.copies import assembled
from fastbackprop._model.descriptions import described
from fastbackprop._model.files import one_line, read_model_file
from fastbackprop._model.sequential import Sequential
from fastbackprop._predict.activations import ActivationFunction, as_activation
from fastbackprop._predict.dense import Dense
from fastbackprop._predict.layer import Layer
from fastbackprop._predict.norms import BatchNorm, LayerNorm
from fastbackprop._predict.plain import Activation, Dropout
from fastbackprop._predict.scaling import SCALERS, Standardize

__all__ = ["NORMS", "layers_of", "load", "mlp", "model_in_file", "rates_of"]

NORMS: dict[str, type[Layer]] = {"batch": BatchNorm, "layer": LayerNorm}


def mlp(
    widths: Sequence[int],
    *,
    activation: str | ActivationFunction = "relu",
    output_activation: str | ActivationFunction = "identity",
    bias: bool = True,
    weight_init: Any = "auto",
    dropout: float | Sequence[float] = 0.0,
    normalization: str | None = None,
    scale_inputs: bool | str = False,
    scale_targets: bool = False,
    seed: int | None = None,
    dtype: Any = "float32",
) -> Sequential:
    """Make a multilayer perceptron: the short way to a Sequential of Dense.

    Parameters
    ----------
    widths : sequence of int
        Inputs, hidden widths, outputs; at least two.
    activation : str or Activation, default="relu"
        Activation of the hidden layers.
    output_activation : str or Activation, default="identity"
        Activation of the last layer.
    bias : bool, default=True
        Whether layers have a bias.
    weight_init : str, Initializer or float, default="auto"
        Initializer of the weights of all layers.
    dropout : float or sequence of float, default=0.0
        Rate of a ``Dropout`` behind each hidden layer, or one for each of them; 0 stands for none.
    normalization : {"batch", "layer"}, optional
        ``BatchNorm`` or ``LayerNorm`` between each hidden layer and its activation, which is a
        layer of its own then.
    scale_inputs : bool or {"standard", "robust"}, default=False
        Whether the first layer is a ``Standardize`` (True or "standard") or a ``RobustScale``,
        which brings the columns of X to one scale.
    scale_targets : bool, default=False
        Whether targets are scaled too, as for ``Sequential``: for regression.
    seed : int or None, default=None
        Seed for drawing the initial weights.
    dtype : {"float32", "float64"}, default="float32"
        Number type of weights, inputs and outputs.

    Returns
    -------
    Sequential

    Raises
    ------
    ValueError, TypeError
        As Dense and Sequential.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.mlp([784, 128, 10], activation="relu", output_activation="softmax", seed=0)
    Sequential(784-128-10, relu softmax, float32, 101,770 parameters)
    """
    if isinstance(widths, str) or not isinstance(widths, Iterable):
        raise TypeError(f"widths must be a sequence of at least 2 integers, got {widths!r}.")
    widths = list(widths)
    if len(widths) < 2:
        raise ValueError(f"widths must be a sequence of at least 2 integers, got {widths!r}.")
    widths = [check_integer(f"widths[{i}]", width) for i, width in enumerate(widths)]
    rates = rates_of(dropout, len(widths) - 2)
    norm = None if normalization is None else check_choice("normalization", normalization, NORMS)
    activations = [activation] * (len(widths) - 2) + [output_activation]
    layers = layers_of(
        widths, activations, rates, norm, scale_inputs, bias=bias, weight_init=weight_init
    )
    return Sequential(layers, seed=seed, dtype=dtype, scale_targets=scale_targets)


def layers_of(
    widths: Sequence[int],
    activations: Sequence[str | ActivationFunction],
    rates: Sequence[Any],
    norm: str | None,
    scale_inputs: bool | str,
    *,
    bias: bool = True,
    weight_init: Any = "auto",
) -> list[Layer]:
    """Return the layers of ``mlp``, with an activation of its own for each Dense.

    Parameters
    ----------
    rates : sequence of float
        Dropout's, for each hidden layer.
    norm : str or None
        A key of NORMS.
    """
    layers: list[Layer] = _scaler_of(scale_inputs)
    for i, ((n_in, n_out), activation) in enumerate(
        zip(pairwise(widths), activations, strict=True)
    ):
        is_last = i == len(widths) - 2
        if norm is None or is_last:
            layers.append(Dense(n_in, n_out, activation, bias=bias, weight_init=weight_init))
        else:
            is_auto = isinstance(weight_init, str) and weight_init == "auto"
            init = as_activation(activation).row.initializer if is_auto else weight_init
            layers.append(Dense(n_in, n_out, bias=bias, weight_init=init))
            layers.append(NORMS[norm]())
            layers.append(Activation(activation))
        if not is_last and (callable(rates[i]) or rates[i] > 0):
            layers.append(Dropout(rates[i]))
    return layers


def _scaler_of(scale_inputs: Any) -> list[Layer]:
    """Return the first layer, if inputs are scaled."""
    if isinstance(scale_inputs, bool | np.bool_):
        return [Standardize()] if scale_inputs else []
    if not isinstance(scale_inputs, str) or scale_inputs not in SCALERS:
        raise (ValueError if isinstance(scale_inputs, str) else TypeError)(
            f"scale_inputs must be True, False, 'standard' or 'robust', got {scale_inputs!r}."
        )
    return [SCALERS[scale_inputs]()]


def rates_of(dropout: Any, n_hidden: int) -> list[Any]:
    """Return a rate for each hidden layer."""
    is_sequence = isinstance(dropout, Iterable) and not isinstance(dropout, str)
    rates: list[Any] = list(dropout) if is_sequence else [dropout] * n_hidden
    if len(rates) != n_hidden:
        raise ValueError(
            f"dropout must be a rate, or one for each of the {n_hidden} hidden layers, got "
            f"{len(rates)} rates."
        )
    for rate in rates if is_sequence else [dropout]:
        if not callable(rate):
            check_real("dropout", rate, at_least=0.0, below=1.0)
    return [rate if callable(rate) else float(rate) for rate in rates]


def load(path: str | os.PathLike[str]) -> Sequential:
    """Read a model that ``Sequential.save`` wrote; nothing in the file is executed.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    Sequential
        Predicts the same bits as the model that was saved.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If it isn't a model file, is damaged, comes from a newer version, or holds weights
        that aren't finite, which no model could predict by.
    OSError
        If the file can't be opened.
    MemoryError
        If the model needs more memory than there is; the file may be as good as ever.
    """
    return model_in_file(path, *read_model_file(path))


def model_in_file(
    path: str | os.PathLike[str], tensors: dict[str, Any], description: dict[str, Any]
) -> Sequential:
    """Return the model of what a file holds, or the errors of ``load``."""
    try:
        layers, parameters, target_scaling = described(tensors, description)
        model = assembled(Sequential, layers, parameters)
        model._take_target_scaling(target_scaling)
        if "classes" in description:
            n_classes = max(2, model.n_out)
            model._learn(check_classes("classes", description["classes"], n_classes))
        model.feature_names = description.get("feature_names")
        return model
    except MemoryError as error:
        raise MemoryError(f"{path} needs more memory than there is.") from error
    except Exception as error:  # a description says anything, so that anything may be raised
        raise ModelFileError(
            f"{path} is damaged: its description and its weights don't fit ({one_line(error)})."
        ) from error
