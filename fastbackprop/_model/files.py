"""Model files: safetensors, so that loading executes nothing.

One file holds the tensors ``layers.0.weight``, ``layers.0.bias`` ... and, as text in
the header, ``format`` ("fastbackprop"), ``version``, ``model`` (JSON: dtype and the
layers) and ``sha256`` of that and all tensors, so that a flipped bit is noticed too.
"""

import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np

from fastbackprop._core.errors import ModelFileError

__all__ = ["FORMAT_VERSION", "read_model_file", "write_beside", "write_model_file"]

FORMAT_VERSION = 1


def _digest(tensors: dict[str, np.ndarray], model: str) -> str:
    digest = hashlib.sha256(model.encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name}:{array.dtype.name}:{array.shape};".encode())
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def write_model_file(
    path: str | os.PathLike[str], tensors: dict[str, np.ndarray], model: dict[str, Any]
) -> None:
    """Write a model, as ``write_beside`` does."""
    from safetensors.numpy import save

    metadata = {
        "format": "fastbackprop",
        "version": str(FORMAT_VERSION),
        "model": json.dumps(model),
    }
    metadata["sha256"] = _digest(tensors, metadata["model"])
    write_beside(
        path, save({name: np.ascontiguousarray(array) for name, array in tensors.items()}, metadata)
    )


def write_beside(path: str | os.PathLike[str], content: bytes) -> None:
    """Write beside the path, then rename: the file there is whole, or the old one.

    Raises
    ------
    OSError
        If the folder can't be written; nothing at ``path`` has changed.
    """
    target = Path(os.path.realpath(path))  # a link stays, what it points to is replaced
    if target.is_dir():
        raise IsADirectoryError(f"path must be a file, got the directory {str(path)!r}.")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"path must be in a folder that is there, got {str(path)!r}.")
    # Not by tempfile, which makes files that only their owner may read.
    beside = target.parent / f".{target.name}.{secrets.token_hex(8)}.tmp"
    try:
        with open(beside, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def read_model_file(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the tensors and the description of a model.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If it isn't a model file of fastbackprop, is damaged, or is of a newer version.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"path must be a model file, got the directory {str(path)!r}.")
    if not path.is_file():
        raise FileNotFoundError(
            f"path must be a model file, got {str(path)!r}, which is not there."
        )
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
        raise ModelFileError(
            f"{path} is not a safetensors file, or is damaged: {error}."
        ) from error
    if metadata.get("format") != "fastbackprop":
        raise ModelFileError(f"{path} is a safetensors file, but not a model of fastbackprop.")
    version = metadata.get("version", "")
    if version != str(FORMAT_VERSION):
        raise ModelFileError(
            f"{path} must have format version {FORMAT_VERSION}, got {version[:20]!r}."
        )
    if metadata.get("sha256") != _digest(tensors, metadata.get("model", "")):
        raise ModelFileError(f"{path} is damaged: its checksum doesn't match.")
    try:
        model = json.loads(metadata["model"])
    except (KeyError, ValueError, RecursionError) as error:
        raise ModelFileError(
            f"{path} is damaged: its description can't be read ({error})."
        ) from error
    return tensors, model
