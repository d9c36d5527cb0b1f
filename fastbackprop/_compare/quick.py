"""Room for the targets of quick paths, where they can be taken as they are."""

from typing import Any

import numpy as np

from fastbackprop._compare.losses import LOSSES, Loss
from fastbackprop._core.dispatch import kernels

__all__ = ["quick_targets"]


def quick_targets(model: Any, loss: Loss, n: int) -> Any:
    """Return room for the targets of n rows; None where they can't be taken as they are."""
    if type(loss) not in LOSSES.values() or getattr(loss, "mask_missing", False):
        return None
    classes = model._classes
    if (
        classes is not None
        and not classes.are_text
        and not np.array_equal(classes.labels, np.arange(len(classes)))
    ):
        return None  # numbers that are labels of the user's own
    spec = loss._spec(model.n_out, model.dtype)
    return kernels(model.dtype).QuickTargets(spec, model.n_out, n)
