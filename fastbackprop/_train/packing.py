"""Arrays and numbers of a training state as a checkpoint holds them: tensors, and JSON.

Vectors are those of ``get_parameters``, without the padding of rows, so that they outlive it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastbackprop._core.buffers import ALIGNMENT, Parameters
from fastbackprop._core.dispatch import DTYPES
from fastbackprop._core.random import RawWords
from fastbackprop._core.validation import check_choice
from fastbackprop._model.flat import flat_of, spread

__all__ = ["Unpacking", "pack_generator", "pack_room", "pack_value", "unpacked_generator"]

Tensors = dict[str, np.ndarray]

TENSOR, ARRAY = "tensor", "array"  # keys of what stands for an array in JSON
WHOLE = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)] + ["bool"]


def pack_room(
    tensors: Tensors,
    name: str,
    parameters: Parameters,
    store: np.ndarray | None,
    state: np.ndarray,
) -> dict[str, Any]:
    """Add a model's store (None: none) and an optimizer's state to the tensors; return JSON."""
    start = ALIGNMENT // state.itemsize
    planes = state[start:].reshape(-1, parameters.values.size)
    if store is not None:
        tensors[f"{name}.parameters"] = flat_of(parameters, store)
        running = _running(parameters, store)
        if running:
            tensors[f"{name}.running"] = np.concatenate([x.reshape(-1) for x in running])
    if planes.any():
        tensors[f"{name}.planes"] = np.stack([flat_of(parameters, plane) for plane in planes])
    return {"header": state[:start].view(np.float64).tolist()}


def pack_value(tensors: Tensors, name: str, value: Any) -> Any:
    """Return a value as JSON; arrays in it are added to the tensors."""
    if isinstance(value, np.ndarray) and value.dtype.name in DTYPES:
        tensors[name] = np.ascontiguousarray(value)
        return {TENSOR: name}
    if isinstance(value, np.ndarray):
        return {ARRAY: value.tolist(), "dtype": value.dtype.name}
    if isinstance(value, Mapping):
        return {str(k): pack_value(tensors, f"{name}.{k}", x) for k, x in value.items()}
    if isinstance(value, list | tuple):
        return [pack_value(tensors, f"{name}.{i}", x) for i, x in enumerate(value)]
    return value.item() if isinstance(value, np.generic) else value


def pack_generator(state: Any) -> dict[str, Any]:
    """Return the state of a RawWords as JSON: numbers of 128 bits as text, for other readers."""
    first, n_drawn = state
    return {**{k: f"{x:x}" for k, x in first["state"].items()}, "n_drawn": n_drawn}


def unpacked_generator(packed: dict[str, Any]) -> Any:
    """Return the state again, checked by NumPy."""
    first: Any = np.random.PCG64(0).state
    first["state"] = {name: int(packed[name], 16) for name in ("state", "inc")}
    if not 0 <= packed["n_drawn"] < 2**128:
        raise ValueError("the generator has drawn an impossible number of words")
    words = RawWords(np.random.SeedSequence(0))
    words.__setstate__((first, int(packed["n_drawn"])))
    return words.__getstate__()


def _running(parameters: Parameters, store: np.ndarray) -> list[np.ndarray]:
    """Return the running statistics in a store, of those layers that have some."""
    return [x for x in parameters.running_views(store) if x is not None]


class Unpacking:
    """The tensors of a checkpoint, taken one by one; what is left at the end is too much.

    Parameters
    ----------
    tensors : dict
        By name.
    parameters : Parameters
        Those of the model, which say how long vectors are.
    """

    def __init__(self, tensors: Tensors, parameters: Parameters) -> None:
        self.tensors, self._parameters = dict(tensors), parameters
        self._n = sum(x.size for pair in parameters.views() for x in pair if x is not None)

    def _take(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        array, dtype = self.tensors.pop(name), self._parameters.values.dtype
        if array.shape != shape or array.dtype != dtype:
            raise ValueError(f"{name} must be {dtype} of shape {shape}")
        return array

    def room(
        self, name: str, packed: dict[str, Any], store: np.ndarray | None, state: np.ndarray
    ) -> None:
        """Fill a store (None: none) and an optimizer's state from what ``pack_room`` returned."""
        start = ALIGNMENT // state.itemsize
        header = np.array([float(x) for x in packed["header"]])
        is_right = (header >= 0) & (header < 2**53)
        if header.shape != (ALIGNMENT // 8,) or not is_right.all():
            raise ValueError(f"the header of {name} must be {ALIGNMENT // 8} numbers")
        if store is not None:
            spread(self._parameters, self._take(f"{name}.parameters", (self._n,)), store)
            self._fill_running(name, _running(self._parameters, store))
        planes = state[start:].reshape(-1, self._parameters.values.size)
        if f"{name}.planes" in self.tensors:
            flats = self._take(f"{name}.planes", (len(planes), self._n))
            for plane, flat in zip(planes, flats, strict=True):
                spread(self._parameters, flat, plane)
        state[:start].view(np.float64)[:] = header

    def _fill_running(self, name: str, running: list[np.ndarray]) -> None:
        n, first = sum(x.size for x in running), 0
        flat = self._take(f"{name}.running", (n,)) if n else np.zeros(0)
        for view in running:
            view[...] = flat[first : first + view.size].reshape(view.shape)
            first += view.size

    def value(self, packed: Any) -> Any:
        """Return what ``pack_value`` was given."""
        if isinstance(packed, dict):
            if set(packed) == {TENSOR}:
                return self.tensors.pop(packed[TENSOR])
            if set(packed) == {ARRAY, "dtype"}:
                return np.array(packed[ARRAY], check_choice("dtype", packed["dtype"], WHOLE))
            return {name: self.value(x) for name, x in packed.items()}
        return [self.value(x) for x in packed] if isinstance(packed, list) else packed
