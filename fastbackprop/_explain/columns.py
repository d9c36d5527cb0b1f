"""Which neurons of wide layers a picture shows: those most to blame."""

from typing import Any

import numpy as np

__all__ = ["shown_neurons"]


def shown_neurons(shares: list[Any], kinds: list[str], most: int) -> list[np.ndarray]:
    """Return for the inputs and each layer the indices of neurons to show, in their order.

    A layer that isn't Dense shows those of the layer before: numbers go straight through it.

    Parameters
    ----------
    shares : list of ndarray
        How much each input, and each neuron of each layer, is to blame.
    kinds : list of str
        Kinds of the layers.
    most : int
        Neurons of one layer.
    """
    groups = np.cumsum([0, *(kind == "Dense" for kind in kinds)])
    shown = {
        group: np.sort(
            np.argsort(
                -np.sum([x for x, g in zip(shares, groups, strict=True) if g == group], axis=0),
                kind="stable",
            )[:most]
        )
        for group in set(groups.tolist())
    }
    return [shown[group] for group in groups.tolist()]
