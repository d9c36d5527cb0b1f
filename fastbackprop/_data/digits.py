"""The bundled handwritten digits, in three fixed parts."""

from importlib.resources import files

import numpy as np

__all__ = ["load_digits"]


def load_digits() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the digits as ``{"train": (X, y), "validation": (X, y), "test": (X, y)}``.

    X is (n, 64) float32 from 0 to 1, y (n,) int64. Of every nine images in the order of
    the file, the first two are for the test, the third is for validation. (Not of every
    ten: long runs of the file count from 0 to 9 again and again.)
    """
    with (files("fastbackprop._data") / "digits.npz").open("rb") as file, np.load(file) as digits:
        X = digits["images"].reshape(-1, 64).astype(np.float32) / 16
        y = digits["labels"].astype(np.int64)
    place = np.arange(len(y)) % 9
    parts = {"test": place < 2, "validation": place == 2, "train": place > 2}
    return {name: (np.ascontiguousarray(X[part]), y[part]) for name, part in parts.items()}
