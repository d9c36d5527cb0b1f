"""What pickle, copy and deepcopy keep of an object besides what the library has in it."""

from collections.abc import Collection
from typing import Any

__all__ = ["own_attributes", "set_own_attributes"]


def own_attributes(thing: object, internals: Collection[str] = ()) -> dict[str, Any]:
    """Return all attributes of an object except ``internals``, those in slots of a subclass too."""
    state: Any = object.__getstate__(thing)
    attributes, slots = state if isinstance(state, tuple) else (state, None)
    everything = {**(attributes or {}), **(slots or {})}
    return {name: value for name, value in everything.items() if name not in internals}


def set_own_attributes(thing: object, state: dict[str, Any], internals: Collection[str]) -> None:
    """Give an object the attributes in ``state`` that aren't ``internals``."""
    for name, value in state.items():
        if name not in internals:
            object.__setattr__(thing, name, value)
