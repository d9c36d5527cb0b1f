"""All parameters of a model as one vector, without the padding that the kernels want."""

from typing import Any

import numpy as np

from fastbackprop._core.arithmetic import exact_mode
from fastbackprop._core.buffers import Parameters
from fastbackprop._core.finite import check_weights
from fastbackprop._core.validation import as_vector

__all__ = ["blended", "check_same_shapes", "flat_of", "set_flat", "spread"]

AT_ONCE = 16384  # numbers that stay in a core's cache, and whose copies need no new memory


def _in_order(parameters: Parameters, values: np.ndarray) -> list[np.ndarray]:
    """Return the views of a buffer in the vector's order: each layer's weight, then its bias."""
    return [view for pair in parameters.views(values) for view in pair if view is not None]


def flat_of(parameters: Parameters, values: np.ndarray) -> np.ndarray:
    """Return a copy of the numbers in a buffer that is laid out as the parameters are."""
    return np.concatenate([view.reshape(-1) for view in _in_order(parameters, values)])


def spread(parameters: Parameters, flat: np.ndarray, values: np.ndarray) -> None:
    """Copy a vector of the right length into a buffer that is laid out as the parameters are."""
    first = 0
    for view in _in_order(parameters, values):
        view[...] = flat[first : first + view.size].reshape(view.shape)
        first += view.size


def set_flat(parameters: Parameters, flat: Any) -> None:
    """Copy a vector into the parameters, once all of it has been checked."""
    size = sum(view.size for view in _in_order(parameters, parameters.values))
    vector = as_vector("flat", flat, parameters.values.dtype, size)
    spread(parameters, vector, parameters.values)


def check_same_shapes(own: Parameters, online: Parameters) -> None:
    """Refuse parameters that don't lie as one's own do."""
    have = [(x.places, x.running_offsets, x.values.dtype) for x in (own, online)]
    if have[0] == have[1]:
        return
    must, got = (
        f"{[(x.n_in, x.n_out, x.has_bias) for x in parameters.places]} in {parameters.values.dtype}"
        for parameters in (own, online)
    )
    raise ValueError(f"online must have layers of (n_in, n_out, has_bias) {must}, got {got}.")


def blended(own: Parameters, online: Parameters, tau: float) -> np.ndarray:
    """Return (1 - tau) own + tau online of the stores, in scratch.

    Their padding is zeros in both.
    """
    check_weights(online, "online")
    number = own.values.dtype.type
    kept, taken = number(1 - tau), number(tau)
    blend = own.scratch("blend")
    if tau == 1:  # 0 times NaN would be NaN, and -0 plus 0 is 0
        blend[:] = online.store
        return blend
    with exact_mode():
        for first in range(0, len(blend), AT_ONCE):
            piece = slice(first, first + AT_ONCE)
            np.multiply(online.store[piece], taken, out=blend[piece])
            blend[piece] += own.store[piece] * kept
    return blend
