"""Model files: safetensors, so that loading executes nothing.

One file holds the tensors ``layers.0.weight``, ``layers.0.bias`` ... (of norms gamma and beta, of
batch norms running_mean and running_variance, too; in float64 center and scale of a first layer
that scales, and ``targets.center`` and ``targets.scale``) and, as text in the header, ``format``
("fastbackprop"), ``version``, ``model`` (JSON: dtype and the layers) and ``sha256`` of that and all
tensors, so that a flipped bit is noticed too. A checkpoint is a model file with more in it:
``trainer`` (JSON), and tensors whose names begin with "trainer.".
"""

import errno
import hashlib
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import numpy as np

from fastbackprop._core.errors import ModelFileError
from fastbackprop._core.naming import layer_in_code
from fastbackprop._model.beside import write_beside

__all__ = [
    "FORMAT_VERSION",
    "LAYERS_VERSION",
    "OF_TRAINER",
    "SCALING_VERSION",
    "one_line",
    "read_checkpoint_file",
    "read_model_file",
    "write_model_file",
]

FORMAT_VERSION = 1  # of models that have nothing but Dense, which older releases read, too
LAYERS_VERSION = 2  # of models that have other layers
SCALING_VERSION = 3  # of models that scale inputs or targets
OF_TRAINER = "trainer."  # how names of tensors begin that are none of the model's
TENSOR_TYPES = {"float32": "F32", "float64": "F64"}  # names of dtypes in safetensors


def one_line(text: object) -> str:
    """Return the first line of a text or of what an error says, short enough for a sentence."""
    lines = str(text).strip().splitlines() or [type(text).__name__]
    return lines[0][:200].rstrip(".:")


def _digest(tensors: dict[str, np.ndarray], model: str, trainer: str = "") -> str:
    digest = hashlib.sha256(model.encode() + trainer.encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name}:{array.dtype.name}:{array.shape};".encode())
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def _in_code(name: str) -> str:
    """Return ``layers[0].weight`` for the tensor layers.0.weight, any other name shortened."""
    found = re.fullmatch(
        r"layers\.([0-9]{1,9})\.(weight|bias|gamma|beta|running_mean|running_variance|center|scale)",
        name,
    )
    return f"{layer_in_code(int(found[1]))}.{found[2]}" if found else one_line(name)


def _not_finite(tensors: dict[str, np.ndarray]) -> str | None:
    """Name a model's first number that isn't finite, as "nan in layers[0].weight[0, 1]"."""
    for name, array in tensors.items():
        if name.startswith(OF_TRAINER):
            continue
        is_finite = np.isfinite(array)
        if not is_finite.all():
            place = np.unravel_index(int(np.argmin(is_finite)), array.shape)
            return f"{array[place]} in {_in_code(name)}[{', '.join(str(i) for i in place)}]"
    return None


def write_model_file(
    path: str | os.PathLike[str],
    tensors: dict[str, np.ndarray],
    model: dict[str, Any],
    version: int | None = None,
    *,
    trainer: dict[str, Any] | None = None,
) -> None:
    """Write a model, or a checkpoint, as ``write_beside`` does.

    Raises
    ------
    ValueError
        If a weight isn't finite.
    MemoryError
        If there is no memory for a copy of the weights.
    OSError
        As ``write_beside``. After every error what is at ``path`` is as it was.
    """
    # One copy is digested and written, so that nobody changes the weights between the two.
    tensors = {
        name: np.array(array, array.dtype.newbyteorder("<"), order="C")
        for name, array in tensors.items()
    }
    if number := _not_finite(tensors):
        raise ValueError(f"A model must have finite weights to be saved, got {number}.")
    metadata = {
        "format": "fastbackprop",
        "version": str(FORMAT_VERSION if version is None else version),
        "model": json.dumps(model),
    }
    if trainer is not None:
        metadata["trainer"] = json.dumps(trainer)
    metadata["sha256"] = _digest(tensors, metadata["model"], metadata.get("trainer", ""))
    write_beside(path, _header(tensors, metadata), *(array.data for array in tensors.values()))


def _header(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """Return what stands before the tensors in a safetensors file.

    By hand, since ``safetensors.numpy.save`` makes two more copies of the model, and ends in a
    panic (no Exception) or never where memory ends meanwhile.
    """
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, array in tensors.items():
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": TENSOR_TYPES[array.dtype.name],
            "shape": array.shape,
            "data_offsets": [begin, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the format wants the tensors aligned
    return len(text).to_bytes(8, "little") + text


def read_model_file(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the tensors and the description of a model, that of a checkpoint too.

    Raises
    ------
    OSError, ModelFileError, MemoryError
        As ``read_checkpoint_file``.
    """
    tensors, model, _ = read_checkpoint_file(path)
    return {k: v for k, v in tensors.items() if not k.startswith(OF_TRAINER)}, model


def read_checkpoint_file(
    path: str | os.PathLike[str],
) -> tuple[dict[str, np.ndarray], dict[str, Any], dict[str, Any] | None]:
    """Return all tensors, the description of the model, and that of its trainer, if there is one.

    Raises
    ------
    OSError
        If there is no such file, or it can't be opened.
    ModelFileError
        If it isn't a model file of fastbackprop, is damaged, is of a newer version, or holds
        weights that aren't finite.
    MemoryError
        If the model needs more memory than there is.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode  # other errors, as of links in a circle, say it themselves
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last for a null character
        raise FileNotFoundError(
            f"path must be a model file, got {str(path)!r}, which is not there."
        ) from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"path must be a model file, got the directory {str(path)!r}.")
    if not stat.S_ISREG(mode):
        raise OSError(
            f"path must be a model file, got {str(path)!r}, a device, a pipe or a socket."
        )
    path.open("rb").close()  # Python says better than safetensors why a file can't be opened
    metadata, tensors = _read_safetensors(path)
    if metadata.get("format") != "fastbackprop":
        raise ModelFileError(f"{path} is a safetensors file, but not a model of fastbackprop.")
    version = metadata.get("version", "")
    if version not in map(str, range(FORMAT_VERSION, SCALING_VERSION + 1)):
        raise ModelFileError(
            f"{path} must have format version {FORMAT_VERSION} to {SCALING_VERSION}, got "
            f"{version[:20]!r}."
        )
    for name, array in tensors.items():
        if array.dtype.name not in TENSOR_TYPES:
            raise ModelFileError(
                f"{path} is damaged: {_in_code(name)} must be float32 or float64, "
                f"got {array.dtype.name}."
            )
    texts = metadata.get("model", ""), metadata.get("trainer", "")
    if metadata.get("sha256") != _digest(tensors, *texts):
        raise ModelFileError(f"{path} is damaged: its checksum doesn't match.")
    if number := _not_finite(tensors):
        raise ModelFileError(f"{path} must hold finite weights, got {number}.")
    try:
        model = json.loads(metadata["model"])
        trainer = json.loads(metadata["trainer"]) if "trainer" in metadata else None
    except (KeyError, ValueError, RecursionError) as error:
        raise ModelFileError(
            f"{path} is damaged: its description can't be read ({one_line(error)})."
        ) from error
    return tensors, model, trainer


def _read_safetensors(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Return the metadata and the tensors of any safetensors file, or one of two errors.

    Which errors safetensors raises differs from version to version: AttributeError for a type
    that NumPy doesn't have (0.4.0), and a panic, which is no Exception, where memory ends.
    """
    from safetensors import safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            np.empty(path.stat().st_size, np.uint8)  # raises MemoryError, before anything panics
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except BaseException as error:
        is_panic = type(error).__name__ == "PanicException"  # pyo3's, which can't be imported
        if is_panic or isinstance(error, MemoryError) or f"os error {errno.ENOMEM}" in str(error):
            raise MemoryError(f"{path} needs more memory than there is.") from error
        if not isinstance(error, Exception):
            raise
        raise ModelFileError(
            f"{path} is not a safetensors file, or is damaged: {one_line(error)}."
        ) from error
    return metadata, tensors
