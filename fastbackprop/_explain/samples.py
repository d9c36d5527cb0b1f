"""Samples of an explanation: x and y, checked, in the form of the model and the loss."""

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from fastbackprop._compare.losses import Loss, Targets
from fastbackprop._compare.samples import as_samples
from fastbackprop._core.validation import as_numeric
from fastbackprop._model.sequential import Sequential

__all__ = ["Samples", "data_of", "one_hot"]


@dataclass(frozen=True)
class Samples:
    """Rows of x, and the targets that the loss compares their predictions with.

    Labels stay labels: whoever shows them chooses rows first, and makes rows of numbers of those.
    """

    rows: np.ndarray  # or Rows, of which who looks at them takes some
    targets: np.ndarray
    are_labels: bool
    checked: Targets  # the same with their classes, for steps

    @classmethod
    def of(cls, rows: Any, targets: Targets) -> "Samples":
        """Take what a Loss made of y."""
        if targets.labels is not None:
            return cls(rows, targets.labels, are_labels=True, checked=targets)
        assert targets.values is not None
        return cls(rows, targets.values, are_labels=False, checked=targets)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: slice | np.ndarray) -> "Samples":
        """Return some of the samples; a slice copies nothing."""
        checked = self.checked[index]
        return Samples(self.rows[index], self.targets[index], self.are_labels, checked)

    def target_rows(self, n_out: int) -> np.ndarray:
        """Return the targets as rows of numbers, labels as one-hot rows; never the array itself."""
        if self.are_labels:
            return one_hot(self.targets, n_out, self.rows.dtype)
        return self.targets.reshape(len(self.targets), -1).copy()


def data_of(
    model: Sequential, x: Any, y: Any, loss: Loss, name: str = "x", *, is_whole: bool = True
) -> Samples:
    """Check x and y, and bring them into the form of the model and the loss.

    Not ``is_whole`` leaves the rows of x to be converted when some are taken.
    """
    is_number = isinstance(x, Real) or getattr(x, "shape", None) == ()
    value = np.atleast_1d(as_numeric(name, x)) if is_number else x
    loss._check_fits(model.layers[-1].activation, model.n_out)
    rows, targets = as_samples(
        model, loss, value, y, names=(name, "y"), may_be_row=True, may_learn=True
    )
    if not is_whole:
        rows.check()
    return Samples.of(rows.whole() if is_whole else rows, targets)


def one_hot(labels: np.ndarray, n_classes: int, dtype: np.dtype) -> np.ndarray:
    """Return rows of zeros with a 1 at each label."""
    encoded = np.zeros((len(labels), n_classes), dtype)
    encoded[np.arange(len(labels)), labels] = 1
    return encoded
