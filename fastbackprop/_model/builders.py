"""Other ways to a Sequential: mlp from widths, load from a file."""

import os
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from fastbackprop._core.dispatch import DTYPES
from fastbackprop._core.errors import ModelFileError
from fastbackprop._core.naming import layer_in_code
from fastbackprop._core.validation import check_choice, check_held, check_integer
from fastbackprop._model.copies import rebuild
from fastbackprop._model.files import one_line, read_model_file
from fastbackprop._model.layers import check_layers
from fastbackprop._model.sequential import Sequential
from fastbackprop._predict.activations import ActivationFunction, described_activation
from fastbackprop._predict.dense import Dense
from fastbackprop._predict.rules import UpdateRules

__all__ = ["load", "mlp", "model_in_file"]


def mlp(
    widths: Sequence[int],
    *,
    activation: str | ActivationFunction = "relu",
    output_activation: str | ActivationFunction = "identity",
    bias: bool = True,
    weight_init: Any = "auto",
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
    last = len(widths) - 2
    layers = [
        Dense(
            n_in,
            n_out,
            output_activation if i == last else activation,
            bias=bias,
            weight_init=weight_init,
        )
        for i, (n_in, n_out) in enumerate(pairwise(widths))
    ]
    return Sequential(layers, seed=seed, dtype=dtype)


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
    path: str | os.PathLike[str], tensors: dict[str, np.ndarray], description: dict[str, Any]
) -> Sequential:
    """Return the model of what a file holds, or the errors of ``load``."""
    try:
        layers, arrays = [], []
        for i, x in enumerate(description["layers"]):
            activation = described_activation(x)
            rules = {name: x[name] for name in UpdateRules._fields if name in x}
            layers.append(Dense(x["n_in"], x["n_out"], activation, bias=x["bias"], **rules))
            layers[-1]._rules.check_held(np.dtype(description["dtype"]))
            shape = x["n_in"], x["n_out"]
            weight = tensors.pop(f"layers.{i}.weight")
            bias = tensors.pop(f"layers.{i}.bias") if x["bias"] else None
            if weight.shape != shape or (bias is not None and bias.shape != shape[1:]):
                raise ValueError(f"{layer_in_code(i)} and its weights have different shapes")
            if any(x is not None and x.dtype.name != description["dtype"] for x in (weight, bias)):
                raise ValueError(f"{layer_in_code(i)} is not {description['dtype']}")
            with np.errstate(over="ignore"):
                is_held = np.isfinite(weight.dtype.type(activation.alpha))
            if not is_held:  # slopes that are too small for check_held were once written
                parameter = activation.row.parameter or "slope"
                check_held(f"{parameter} of {layer_in_code(i)}", activation.alpha, weight.dtype)
            arrays.append((weight, bias))
        if tensors:
            raise ValueError(f"no layer for {', '.join(tensors)}")
        dtype = check_choice("dtype", description["dtype"], DTYPES)
        return rebuild(Sequential, check_layers(layers), dtype, arrays)
    except MemoryError as error:
        raise MemoryError(f"{path} needs more memory than there is.") from error
    except Exception as error:  # a description says anything, so that anything may be raised
        raise ModelFileError(
            f"{path} is damaged: its description and its weights don't fit ({one_line(error)})."
        ) from error
