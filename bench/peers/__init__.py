"""The libraries that are compared: one module each, imported only if asked for and installed."""

import importlib
from types import ModuleType

OURS = "fastbackprop"
PEERS = ("numpy", "torch", "jax", "sklearn", "onnxruntime")
SELF_TEST = "broken"  # proves that a wrong result is seen; never run unless named


def find(name: str) -> ModuleType | str:
    """Return the peer's module, or the reason why it can't run here."""
    try:
        return importlib.import_module(f"peers.with_{name}")
    except (ImportError, OSError) as error:  # OSError: one of its libraries is not there
        return f"not installed ({error})"
