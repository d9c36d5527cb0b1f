"""Weights of samples: as they are given, and made of those of their classes."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from fastbackprop._compare.targets import Targets
from fastbackprop._core.arithmetic import exact_mode
from fastbackprop._core.arrays import as_numeric
from fastbackprop._core.rows import convert

__all__ = ["ClassWeight", "as_weights", "check_class_weight", "class_indices", "of_classes"]

ClassWeight = Literal["balanced"] | Mapping[Any, float] | None


def as_weights(
    weights: Any,
    n: int,
    dtype: np.dtype,
    *,
    name: str = "sample_weight",
    may_be_zero: bool = False,
) -> np.ndarray:
    """Return weights (n,) in the model's dtype, or complain.

    Parameters
    ----------
    weights : array-like of shape (n,) or (n, 1)
        Numbers of at least 0.
    n : int
        Samples.
    dtype : dtype
        Number type of the model.
    name : str
        What a complaint calls them.
    may_be_zero : bool
        Whether all of them may be 0: a batch without weight is a step that changes nothing.
    """
    given = as_numeric(name, weights)
    if given.shape == (n, 1):
        given = given[:, 0]
    if given.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one for each sample, got {given.shape}.")
    with np.errstate(invalid="ignore"):
        wrong = np.flatnonzero(~(given >= 0) | np.isinf(given))
    if len(wrong):
        raise ValueError(
            f"{name} must be finite and at least 0, got {given[wrong[0]]} at index {wrong[0]}."
        )
    if n and not may_be_zero and not given.any():
        raise ValueError(f"{name} must have a number above 0, got nothing but 0.")
    return convert(name, given, dtype)


def check_class_weight(
    class_weight: Any, classes: Sequence[Any]
) -> Literal["balanced"] | np.ndarray | None:
    """Return None, "balanced", or the weight of each class in the order of ``classes``.

    Parameters
    ----------
    class_weight : None, "balanced" or dict
        A dict has weights by label; classes that it doesn't name have weight 1.
    classes : sequence
        All labels.
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, str) and class_weight == "balanced":
        return "balanced"
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            f"class_weight must be None, 'balanced' or a dict of weights by class, got "
            f"{class_weight!r}."
        )
    places = {label: k for k, label in enumerate(classes)}
    weights = np.ones(len(places))
    for label, weight in class_weight.items():
        if label not in places:
            names = ", ".join(str(x) for x in classes)
            raise ValueError(f"class_weight must name classes of {names}, got {label!r}.")
        number = as_numeric(f"class_weight[{label!r}]", weight)
        if number.shape != () or not 0 <= number < np.inf:
            raise ValueError(
                f"class_weight[{label!r}] must be a finite number of at least 0, got {weight!r}."
            )
        weights[places[label]] = number
    if not weights.any():
        raise ValueError("class_weight must have a number above 0, got nothing but 0.")
    return weights


def class_indices(targets: Targets) -> np.ndarray:
    """Return the class of each sample: of labels, of the largest in a row, or yes and no."""
    if targets.labels is not None:
        return targets.labels
    assert targets.values is not None
    if targets.values.shape[1] == 1:
        return (targets.values[:, 0] > 0.5).astype(np.int64)
    return targets.values.argmax(axis=1)


def of_classes(
    class_weight: Literal["balanced"] | np.ndarray, indices: np.ndarray, dtype: np.dtype
) -> np.ndarray:
    """Return the weight of each sample, by its class.

    Balanced: n / (number of classes that are there * samples of this class), so that each class
    weighs the same (scikit-learn's formula).
    """
    with exact_mode():
        if isinstance(class_weight, str):
            counts = np.bincount(indices)
            n_classes = np.count_nonzero(counts)
            weights = len(indices) / (n_classes * np.maximum(counts, 1))
        else:
            weights = class_weight
        return weights[indices].astype(dtype)
