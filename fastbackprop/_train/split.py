"""validation_split: a part of the samples that is not trained on."""

from typing import Any

import numpy as np

from fastbackprop._compare.losses import Loss, Targets
from fastbackprop._compare.weights import class_indices
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.random import RawWords
from fastbackprop._core.validation import check_real

__all__ = ["check_split", "split_rows"]


def check_split(validation_split: Any, validation_data: Any) -> float:
    """Return the share of samples that are for validation, or a complaint."""
    share = check_real("validation_split", validation_split, at_least=0.0, below=1.0)
    if share and validation_data is not None:
        raise ValueError(
            f"validation_split must be 0 where there is validation_data, got {validation_split!r}."
        )
    return share


def split_rows(
    targets: Targets, share: float, loss: Loss, generator: RawWords, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the rows to train on, and of those for validation; both rising.

    Rows are drawn without regard to their order; of each class so many as is its share, to one
    sample. A class is never left without a sample to train on. The draw depends on the seed and the
    classes only, so that another fit on the same data keeps the same samples away from training.

    Parameters
    ----------
    targets : Targets
        Of all samples.
    share : float
        The part that is for validation, above 0.
    loss : Loss
        Says whether there are classes.
    generator : RawWords
        The trainer's; it is left as it was.
    dtype : dtype
        The model's.
    """
    n = len(targets)
    n_chosen = max(1, round(share * n))
    if n_chosen >= n:
        raise ValueError(f"validation_split must leave a sample to train on, got {share:g} of {n}.")
    order = np.arange(n)
    kernels(dtype).shuffle(order, generator.apart(n))
    classes = _classes(targets, loss)
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
    # Every (n / n_chosen)-th: of each stretch of rows its share, to one.
    steps = (2 * n_chosen * np.arange(n + 1) + n) // (2 * n)
    is_chosen = np.zeros(n, bool)
    is_chosen[order[np.diff(steps) > 0]] = True
    if classes is not None:
        n_classes = classes.max() + 1
        is_lost = np.bincount(classes[~is_chosen], minlength=n_classes) == 0
        is_chosen &= ~is_lost[classes]
        if not is_chosen.any():
            raise ValueError(
                f"validation_split must leave a sample of each class to train on, got {share:g} of "
                f"{n}."
            )
    return np.flatnonzero(~is_chosen), np.flatnonzero(is_chosen)


def _classes(targets: Targets, loss: Loss) -> np.ndarray | None:
    """Return the class of each sample, None where a sample has none."""
    if targets.labels is not None:
        return targets.labels
    values = targets.values
    assert values is not None
    is_yes_or_no = values.shape[1] == 1 and (loss.is_classification or loss.name == "hinge")
    is_one = loss.activation == "softmax" or is_yes_or_no
    return class_indices(targets) if is_one else None
