"""Refuses a model whose weights are not all finite, and says which is not."""

from fastbackprop._core.buffers import Parameters
from fastbackprop._core.dispatch import kernels

__all__ = ["check_weights"]


def check_weights(parameters: Parameters, what: str = "model") -> None:
    """Refuse weights or biases that are NaN or infinite, naming the first."""
    values = parameters.values
    at = kernels(values.dtype).first_nonfinite(values)
    if at < 0:
        return
    layer = parameters.layer_at(at)
    place = parameters.places[layer]
    i, j = divmod(at - place.offset, place.row)
    where = f"weight[{i}, {j}]" if i < place.n_in else f"bias[{j}]"
    raise ValueError(
        f"{what} must have finite weights, got {values[at]} in layers[{layer}].{where}; draw them "
        f"anew, or load a model from before."
    )
