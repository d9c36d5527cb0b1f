"""An explanation from behind the scaling of inputs: for page and picture, which begin there."""

import copy
from typing import Any

from fastbackprop._explain.blame import shares_of

__all__ = ["inside"]


def inside(e: Any) -> Any:
    """Return an Explanation whose inputs are those that the first weights see.

    What scales inputs has nothing to be corrected, and no picture: its outputs are the x of what is
    returned, its first Dense layer is layers[0].
    """
    first = e.layers[0]
    if first.scale is None:
        return e
    view = copy.copy(e)
    view.layers, view.x, view.d_x = e.layers[1:], first.a, first.delta
    view.blame = shares_of(view.d_x, view.layers)
    view.after = e.after._replace(a=e.after.a[1:])
    return view
