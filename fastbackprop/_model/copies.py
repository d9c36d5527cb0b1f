"""Copies of a model: pickles, deepcopies, files, and the same layers in another dtype."""

import os
from collections.abc import Sequence
from copy import copy
from typing import Any, Self, TypeVar

from fastbackprop._core.buffers import Parameters
from fastbackprop._core.copies import own_attributes, set_own_attributes
from fastbackprop._core.dispatch import DTYPES
from fastbackprop._core.validation import check_choice, check_integer
from fastbackprop._model.descriptions import Description, describe
from fastbackprop._model.files import write_model_file
from fastbackprop._model.layers import check_layers, room_for
from fastbackprop._model.scaling import Scaled
from fastbackprop._predict.layer import Layer

__all__ = ["Copies", "assembled", "copy_of"]


class Copies(Scaled):
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

    def _in_file(self) -> Description:
        """Return what a file has to say of the model."""
        return describe(self, self._copied_values())

    def __getstate__(self) -> dict[str, Any]:
        """The layers, which bring their weights with them, and the user's own attributes."""
        moment = self._parameters.hold(self._copied_values())
        own = own_attributes(self, self._internals)
        parameters = self._parameters
        masks = parameters.seed, parameters.n_forwards, *parameters.place_in_fit
        return {
            "_moment": moment,
            **own,
            "_layers": self._layers,
            "_dtype": self._dtype.name,
            "_masks": masks,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become a model of the layers in ``state``, checked as ``load`` does."""
        layers = check_layers(state.get("_layers"))
        dtype = check_choice("dtype", state.get("_dtype"), DTYPES)
        seed, n_forwards, *place = state.get("_masks", (0, 0))  # older pickles have no place
        parameters = room_for(layers, dtype, check_integer("seed", seed, 0))
        parameters.n_forwards = check_integer("n_forwards", n_forwards, 0)
        if place:
            step, length = place
            length = check_integer("length of a fit", length, 1)
            parameters.place_in_fit = check_integer("step of a fit", step, 0), length
        for index, (layer, views, running) in enumerate(
            zip(layers, parameters.views(), parameters.running_views(), strict=True)
        ):
            try:
                layer._restore(*views, running)
            except ValueError as error:
                raise ValueError(f"layers[{index}] of a copied model must have weights.") from error
        self._assemble(layers, parameters)
        set_own_attributes(self, state, {*self._internals, "_moment", "_masks"})
        self._take_target_scaling(self._target_scaling)

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
    """Return a copy with weights in this dtype, without the user's own attributes.

    Its masks are the model's next ones, at each forward.
    """
    values, own = model._copied_values(), model._parameters
    layers = []
    for layer in model.layers:
        layer_copy = object.__new__(type(layer))
        layer_copy.__dict__.update(layer.__dict__, _parameters=None, _index=0)
        layers.append(layer_copy)
    parameters = room_for(layers, dtype, own.seed)
    parameters.n_forwards, parameters.is_pinned = own.n_forwards, True
    parameters.place_in_fit = own.place_in_fit
    for views, arrays in (
        (parameters.views(), own.views(values)),
        ([parameters.running_views()], [own.running_views(values)]),
    ):
        for some, others in zip(views, arrays, strict=True):
            for view, array in zip(some, others, strict=True):
                if view is not None:
                    view[...] = array
    model_copy = assembled(type(model), layers, parameters)
    model_copy._learn(model._classes, model._feature_names)
    model_copy._take_target_scaling(model._target_scaling)
    return model_copy


def assembled(cls: type[Model], layers: Sequence[Layer], parameters: Parameters) -> Model:
    """Return the model of these layers with these parameters."""
    model = cls.__new__(cls)
    model._assemble(layers, parameters)
    return model
