"""How a layer is called.

Code counts from 0, as Python does: ``layers[0].weight`` can be typed behind ``model.``, and errors
say just that. Words count from 1, as the formulas do: w1, z1 and a1 belong to layer 1. Where both
may be meant, the words carry the code with them. And how settings are shown in a repr.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["layer_in_code", "layer_in_words", "unusual"]


def layer_in_code(index: int) -> str:
    """Return ``layers[0]`` for the index 0 in ``model.layers``."""
    return f"layers[{index}]"


def layer_in_words(index: int, n_before: int = 0) -> str:
    """Return ``layer 1 (layers[0])`` for the index 0 in ``model.layers``.

    Words count from behind ``n_before`` layers, where what is shown begins there.
    """
    return f"layer {index + 1 - n_before} ({layer_in_code(index)})"


def unusual(settings: Mapping[str, tuple[Any, Any]]) -> str:
    """Return ``, name=value`` for each setting that isn't its default, which comes second."""
    return "".join(
        f", {name}={value!r}" for name, (value, default) in settings.items() if value != default
    )
