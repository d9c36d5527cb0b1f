"""What pickle, copy and deepcopy keep of an object besides what the library has in it."""

from collections.abc import Collection
from dataclasses import fields
from typing import Any

__all__ = ["own_attributes", "restore_fields", "set_own_attributes"]


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


def restore_fields(thing: Any, state: Any) -> None:
    """Give a frozen dataclass its fields and the user's own attributes, and check the fields.

    Parameters
    ----------
    thing : object
        The object, without attributes.
    state : dict or tuple of dicts
        What its ``object.__getstate__`` returned.
    """
    attributes, slots = state if isinstance(state, tuple) else (state, None)
    attributes = {**(attributes or {}), **(slots or {})}
    missing = [x.name for x in fields(thing) if x.name not in attributes]
    if missing:
        raise ValueError(f"A copied {type(thing).__name__} must have {missing[0]}, got none.")
    set_own_attributes(thing, attributes, ())
    check = getattr(thing, "__post_init__", None)
    if check is not None:
        check()
