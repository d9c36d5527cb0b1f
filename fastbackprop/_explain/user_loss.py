"""Losses that explain, diagnose and gradient_check take: ours, and callables of the user."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastbackprop._compare.losses import Loss, as_loss

__all__ = ["LossFunction", "loss_of", "name_of_loss"]

LossFunction = Callable[[Any, Any], tuple[float, np.ndarray]]


def loss_of(loss: Any) -> Any:
    """Return a Loss, or a user's callable whose answer (cost, d_y_hat) is checked."""
    if isinstance(loss, Loss) or not callable(loss) or isinstance(loss, type):
        return as_loss(loss)

    def compare(y_hat: Any, y: Any) -> tuple[float, Any]:
        pair = loss(y_hat, y)
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"loss must return a tuple (cost, d_y_hat), got {type(pair).__name__}.")
        cost = np.asarray(pair[0])
        if cost.size != 1 or cost.dtype.kind not in "fiu":
            got = f"shape {cost.shape}" if cost.size != 1 else f"{pair[0]!r}"
            raise TypeError(f"the cost that loss returns must be a number, got {got}.")
        return float(cost.reshape(())), pair[1]

    compare.__name__ = getattr(loss, "__name__", type(loss).__name__)
    return compare


def name_of_loss(loss: Any) -> str:
    """Return how a loss is called in what is shown."""
    if isinstance(loss, Loss):
        return str(loss.name)
    return str(getattr(loss, "__name__", type(loss).__name__))
