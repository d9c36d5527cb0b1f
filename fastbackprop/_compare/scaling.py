"""What a model's inputs and targets are scaled by, and its outputs back."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from fastbackprop._compare.loss import Loss
from fastbackprop._compare.targets import Targets
from fastbackprop._core.arithmetic import exact_mode
from fastbackprop._core.copies import restore_fields
from fastbackprop._core.rows import convert
from fastbackprop._core.scaling import ColumnScale

__all__ = [
    "OutputScale",
    "Scaling",
    "TargetScaling",
    "check_same_scaling",
    "check_scales_targets",
    "checked_values",
    "scaled_targets",
]

ROWS = 4096  # that are in float64 at a time


class Scaling(NamedTuple):
    """What inputs and targets are scaled by; None where they aren't.

    Parameters
    ----------
    inputs, targets : ColumnScale or None
        Of columns of X, and of y as the loss has them.
    """

    inputs: ColumnScale | None
    targets: ColumnScale | None


class OutputScale(NamedTuple):
    """How outputs come back into the user's units: times factor, plus offset, in float64.

    Parameters
    ----------
    factor, offset : ndarray of shape (n_out,)
        Of each output.
    """

    factor: np.ndarray
    offset: np.ndarray

    def apply(self, outputs: np.ndarray) -> np.ndarray:
        """Return outputs (n, n_out) or (n_out,) in the user's units, in float64."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.multiply(outputs, self.factor, dtype=np.float64) + self.offset

    def apply_to(self, outputs: np.ndarray) -> None:
        """Bring outputs (n, n_out) into the user's units, where they lie."""
        with exact_mode(), np.errstate(over="ignore"):
            for first in range(0, len(outputs), ROWS):
                outputs[first : first + ROWS] = self.apply(outputs[first : first + ROWS])


@dataclass(frozen=True, eq=False)
class TargetScaling:
    """How a model's targets are scaled, as far as it is known.

    Parameters
    ----------
    columns : ColumnScale or None
        Of the targets; None until they are fitted.
    has_variances : bool or None
        Whether the second half of the outputs are logarithms of variances, as behind GaussianNLL;
        None until a loss has said so.
    """

    columns: ColumnScale | None = None
    has_variances: bool | None = None

    def __post_init__(self) -> None:
        """Refuse what isn't of its kind, as copies and files may bring it."""
        if not isinstance(self.columns, ColumnScale | None):
            raise TypeError(f"columns must be a ColumnScale, got {self.columns!r}.")
        if not isinstance(self.has_variances, bool | None):
            raise TypeError(f"has_variances must be True or False, got {self.has_variances!r}.")

    def __setstate__(self, state: object) -> None:
        """Take what was pickled, checked."""
        restore_fields(self, state)

    def check(self, n_out: int) -> None:
        """Refuse statistics that no targets of a model with so many outputs have."""
        if self.columns is not None and len(self.columns) not in (1, n_out / 2, n_out):
            raise ValueError(
                f"the scaling of targets must be of {n_out} columns, got {len(self.columns)}."
            )

    def of_targets(self, n_targets: int) -> ColumnScale:
        """Return what so many targets of a sample are scaled by: one may stand for all of them."""
        columns = self.columns
        assert columns is not None
        if len(columns) == n_targets:
            return columns
        if len(columns) == 1:
            return ColumnScale(
                *(np.repeat(numbers, n_targets) for numbers in (columns.center, columns.scale))
            )
        raise ValueError(
            f"y must have {len(columns)} columns, as when its scaling was fitted, got {n_targets}."
        )

    def of_outputs(self, n_out: int) -> OutputScale:
        """Return how the outputs come back into the units of the targets."""
        assert self.columns is not None
        if self.has_variances is None and len(self.columns) < n_out:
            raise RuntimeError(
                f"The model must know what its {n_out} outputs say of {len(self.columns)} target, "
                f"from the loss of a Trainer or fit_scaling(X, y, loss=...), got neither."
            )
        if not self.has_variances:
            columns = self.of_targets(n_out)
            return OutputScale(columns.scale, columns.center)
        columns = self.of_targets(n_out // 2)
        return OutputScale(
            np.concatenate([columns.scale, np.ones(n_out // 2)]),
            np.concatenate([columns.center, 2 * np.log(columns.scale)]),
        )


def check_same_scaling(own: Scaling, online: Scaling) -> None:
    """Refuse to mix weights that were learned of numbers in other units; unfitted is fine."""
    for what, mine, others in zip(Scaling._fields, own, online, strict=True):
        if mine is not None and not mine.is_same(others):
            raise ValueError(
                f"online must have {what} that are scaled by the same numbers for soft_update, got "
                f"others; copy_weights_from takes them over."
            )


def check_scales_targets(loss: Loss) -> None:
    """Refuse a loss whose targets are no numbers that can be moved: classes, and counts."""
    if loss.is_classification or loss.activation is not None:
        what = "classes" if loss.is_classification else "counts"
        raise ValueError(
            f"scale_targets must be False for loss {loss.name!r}, whose targets are {what}, got "
            f"True."
        )


def checked_values(name: str, values: np.ndarray, n_targets: int) -> np.ndarray:
    """Return targets in float64, or complain: those of a user's own loss may have any shape."""
    if values.shape[1:] != (n_targets,):
        raise ValueError(
            f"{name} must have shape (n, {n_targets}) to be scaled, got {values.shape}."
        )
    return values.astype(np.float64, copy=False)


def scaled_targets(
    targets: Targets, scaling: ColumnScale, dtype: np.dtype, name: str, check_finite: bool
) -> Targets:
    """Return targets in float64 scaled, in the model's dtype, with what they were.

    Parameters
    ----------
    targets : Targets
        As the loss has them, NaN where they are missing.
    scaling : ColumnScale
        Of their columns.
    dtype : dtype
        The model's, which must hold them in either units: predictions come back in the user's.
    name : str
        What complaints call them.
    check_finite : bool
        Whether they are looked at.
    """
    values = targets.values
    assert values is not None
    values = checked_values(name, values, len(scaling))
    if check_finite and (np.abs(values) > np.finfo(dtype).max).any():
        convert(name, np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf), dtype)
    scaled = np.empty(values.shape, dtype)
    convert(name, values, dtype, check_finite=False, out=scaled, columns=scaling)
    shares = None if targets.shares is None else targets.shares.astype(dtype)
    return replace(targets, values=scaled, shares=shares, unscaled=values)
