"""An Explanation as one dict: plain data (lists, floats, strings), or with arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["as_dict", "doubles", "lists"]


def lists(value: Any) -> Any:
    """Return arrays as lists; so the dict is ready for JSON."""
    if isinstance(value, np.ndarray):
        return value.astype(np.float64).tolist()
    return [lists(x) for x in value] if isinstance(value, list) else value


def doubles(value: Any) -> Any:
    """Return arrays as arrays of the same numbers in double."""
    if isinstance(value, np.ndarray):
        return value.astype(np.float64)
    return [doubles(x) for x in value] if isinstance(value, list) else value


def as_dict(e: Any, convert: Callable[[Any], Any]) -> dict[str, Any]:
    """Return what ``Explanation.to_dict`` documents, its arrays converted."""
    layers = [
        {
            name: convert(value)
            for name, value in vars(x).items()
            if name not in ("activation", "slope")
            and (value is not None or name not in ("center", "scale", "rate", "through"))
        }
        for x in e.layers
    ]
    return {
        "format": 1,
        "model": {
            "widths": [e.x.shape[1], *(x.weight.shape[1] for x in e.layers)],
            "activations": [x.activation for x in e.layers],
            "slopes": [x.slope for x in e.layers],
            "dtype": e.dtype,
            "n_parameters": sum(
                x.weight.size + (0 if x.bias is None else x.bias.size) for x in e.layers
            ),
            **({} if e.feature_names is None else {"feature_names": list(e.feature_names)}),
        },
        "loss": e.loss,
        "learning_rate": e.learning_rate,
        "optimizer": e.optimizer,
        "n_samples": len(e.x),
        **{
            name: convert(getattr(e, name))
            for name in ("x", "y", "y_hat", "cost", "costs", "d_y_hat", "d_x")
        },
        "layers": layers,
        "after": {name: convert(value) for name, value in e.after._asdict().items()},
        "blame": {name: convert(value) for name, value in e.blame._asdict().items()},
    }
