"""The libraries that are compared: one module each, imported only if asked for and installed."""

import importlib
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as metadata_version
from types import ModuleType

OURS = "fastbackprop"
PEERS = ("numpy", "torch", "jax", "sklearn", "onnxruntime")
SELF_TEST = "broken"  # proves that a wrong result is seen; never run unless named


def find(name: str) -> ModuleType | str:
    """Return the peer's module, or the reason why it can't run here."""
    try:
        return importlib.import_module(f"peers.with_{name}")
    except Exception as error:  # whatever a library does, it only leaves itself out
        return reason(error)


def try_out(module: ModuleType) -> str | None:
    """Let a peer do a little of each kind; return the reason why it can't, or None if it can."""
    from workloads import Task, Workload  # imports NumPy, which the pinning must come before

    tasks = [Task(Workload(kind, (2, 3, 3), 2)) for kind in ("train", "predict")]
    try:
        for make in module.training(tasks[0])[:1]:
            make().timed(1)()
        for make in module.prediction(tasks[1])[:1]:
            make().predict()
    except Exception as error:
        return reason(error)
    return None


def reason(error: Exception) -> str:
    """Say in one line why a peer is left out."""
    what = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, ImportError | OSError):  # OSError: one of its libraries is not there
        return f"not installed ({what})"
    return f"not working here ({type(error).__name__}: {what})"


def version(module: ModuleType) -> str:
    """Return a peer's version, where it says one or was installed with its metadata."""
    if hasattr(module, "VERSION"):
        return module.VERSION
    try:
        return metadata_version(module.DISTRIBUTION)
    except PackageNotFoundError:
        return "of unknown version"
