"""All parameters of a model as one vector, without the padding that the kernels want."""

from typing import Any

import numpy as np

from fastbackprop._core.buffers import Parameters
from fastbackprop._core.validation import as_vector

__all__ = ["flat_of", "set_flat"]


def _in_order(parameters: Parameters, values: np.ndarray) -> list[np.ndarray]:
    """Return the views of a buffer in the vector's order: each layer's weight, then its bias."""
    return [view for pair in parameters.views(values) for view in pair if view is not None]


def flat_of(parameters: Parameters, values: np.ndarray) -> np.ndarray:
    """Return a copy of the numbers in a buffer that is laid out as the parameters are."""
    return np.concatenate([view.reshape(-1) for view in _in_order(parameters, values)])


def set_flat(parameters: Parameters, flat: Any) -> None:
    """Copy a vector into the parameters, once all of it has been checked."""
    views = _in_order(parameters, parameters.values)
    size = sum(view.size for view in views)
    vector = as_vector("flat", flat, parameters.values.dtype, size)
    first = 0
    for view in views:
        view[...] = vector[first : first + view.size].reshape(view.shape)
        first += view.size
