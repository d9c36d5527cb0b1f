"""Names of inputs and outputs: those that were given, or a frame's."""

from collections.abc import Sequence
from typing import Any

from fastbackprop._core.arrays import column_names
from fastbackprop._core.validation import check_integer

__all__ = ["columns_of", "image_shape_of", "names_of", "names_on_page"]


def columns_of(X: Any) -> list[str] | None:
    """Return the names of a frame's columns; None of what has none."""
    names = column_names(X)
    return None if names is None else [str(x) for x in names]


def names_of(what: str, names: Sequence[Any] | None, n: int, n_what: str) -> list[str] | None:
    """Check names of inputs or outputs, and return them as a list of text."""
    if names is None:
        return None
    if isinstance(names, str):
        raise TypeError(f"{what} must be a list of names, got str.")
    texts = [str(x) for x in names]
    if len(texts) != n:
        raise ValueError(f"{what} must have {n} names ({n_what}), got {len(texts)}.")
    return texts


def image_shape_of(shape: Sequence[int] | None, n_in: int) -> tuple[int, int] | None:
    """Check the shape of the images that rows of X are."""
    if shape is None:
        return None
    if isinstance(shape, str) or not isinstance(shape, Sequence) or len(shape) != 2:
        raise ValueError(f"image_shape must be (rows, columns), got {shape!r}.")
    rows, columns = (check_integer("image_shape", x) for x in shape)
    if rows * columns != n_in:
        raise ValueError(
            f"image_shape must have {n_in} pixels (the model's n_in), got {rows} x {columns}."
        )
    return rows, columns


def names_on_page(e: Any, shown: dict[str, Any]) -> dict[str, Any]:
    """Return what the page embeds of an Explanation's names, for the neurons that are shown."""

    def some(names: list[str] | None, indices: list[int]) -> list[str] | None:
        return None if names is None else [names[i] for i in indices]

    return {
        "inputNames": some(e.feature_names, shown["shown"][0]),
        "outputNames": some(e.class_names, shown["shown"][-1]),
        "image": None if e.image_shape is None else list(e.image_shape),
    }
