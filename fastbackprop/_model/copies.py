"""Copies of a model: pickles, deepcopies, files, and the same layers in another dtype."""

import os
from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any, Self, TypeVar

import numpy as np

from fastbackprop._core.copies import own_attributes, set_own_attributes
from fastbackprop._core.dispatch import DTYPES
from fastbackprop._core.validation import check_choice
from fastbackprop._model.files import write_model_file
from fastbackprop._model.layers import check_layers, room_for
from fastbackprop._model.structure import Structure
from fastbackprop._predict.activations import describe_activation
from fastbackprop._predict.dense import Dense, WeightAndBias

__all__ = ["Copies", "copy_of", "rebuild"]


class Copies(Structure):
    """How a model is written to a file, pickled and copied."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a safetensors file: beside it first, then renamed.

        Parameters
        ----------
        path : str or path-like
            The file; replaced if it is there, with its permissions kept. A link is followed.

        Raises
        ------
        ValueError
            If a weight isn't finite: ``load`` would refuse the file. (A pickle or a deepcopy
            keeps such a model, to look into.)
        OSError
            If it can't be written, or is a folder, a device, a pipe or a socket.
        MemoryError
            If there is no memory for a copy of the weights.

        Notes
        -----
        After every error a file that was there is as it was. While another thread trains the
        model, what is saved are the weights of the end of a step.
        """
        write_model_file(path, *self._in_file())

    def _in_file(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the tensors of a model file, and the description of the model."""
        tensors, values = {}, self._copied_values()
        for i, place in enumerate(self._parameters.places):
            tensors[f"layers.{i}.weight"] = place.weight(values)
            bias = place.bias(values)
            if bias is not None:
                tensors[f"layers.{i}.bias"] = bias
        description = [
            {
                "n_in": x.n_in,
                "n_out": x.n_out,
                **describe_activation(x._activation),
                "bias": x.has_bias,
                **x._rules.described(),
            }
            for x in self._layers
        ]
        return tensors, {"dtype": self._dtype.name, "layers": description}

    def __getstate__(self) -> dict[str, Any]:
        """The layers, which bring their weights with them, and the user's own attributes."""
        moment = self._parameters.hold(self._copied_values())
        own = own_attributes(self, self._internals)
        return {"_moment": moment, **own, "_layers": self._layers, "_dtype": self._dtype.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become a model of the layers in ``state``, checked as ``load`` does."""
        layers = check_layers(state.get("_layers"))
        dtype = check_choice("dtype", state.get("_dtype"), DTYPES)
        parameters = room_for(layers, dtype)
        for index, (layer, views) in enumerate(zip(layers, parameters.views(), strict=True)):
            for view, init in zip(views, (layer._weight_init, layer._bias_init), strict=True):
                if view is not None:
                    if not isinstance(init, np.ndarray):
                        raise ValueError(f"layers[{index}] of a copied model must have weights.")
                    view[...] = init
        self._assemble(layers, parameters)
        set_own_attributes(self, state, {*self._internals, "_moment"})

    def __copy__(self) -> Self:
        """A model with weights of its own; what else it refers to is shared."""
        state = self.__getstate__()
        copies = {id(layer): copy(layer) for layer in self._layers}
        # Attributes that are layers, such as `self.head = self.layers[-1]`, are the copy's layers.
        own = {name: copies.get(id(value), value) for name, value in state.items()}
        state = {**own, "_layers": tuple(copies[id(layer)] for layer in self._layers)}
        other = type(self).__new__(type(self))
        other.__setstate__(state)
        return other


Model = TypeVar("Model", bound=Copies)


def copy_of(model: Model, dtype: str) -> Model:
    """Return a copy with weights in this dtype, without the user's own attributes."""
    values = model._copied_values()
    layers = []
    for layer in model.layers:
        layer_copy = type(layer).__new__(type(layer))
        layer_copy.__dict__.update(layer.__dict__, _parameters=None, _index=0)
        layers.append(layer_copy)
    return rebuild(type(model), layers, dtype, model._parameters.views(values))


def rebuild(
    cls: type[Model], layers: Sequence[Dense], dtype: str, arrays: Iterable[WeightAndBias]
) -> Model:
    """Return the model of these layers with these weights."""
    parameters = room_for(layers, dtype)
    for views, numbers in zip(parameters.views(), arrays, strict=True):
        for view, array in zip(views, numbers, strict=True):
            if view is not None:
                view[...] = array
    model = cls.__new__(cls)
    model._assemble(layers, parameters)
    return model
