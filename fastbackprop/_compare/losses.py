"""All losses by name."""

from fastbackprop._compare.binary_entropy import BinaryCrossEntropy
from fastbackprop._compare.entropy import CrossEntropy, FocalCrossEntropy
from fastbackprop._compare.hinge import Hinge
from fastbackprop._compare.likelihood import GaussianNLL, Poisson
from fastbackprop._compare.loss import Loss
from fastbackprop._compare.regression import Huber, LogCosh, MeanAbsoluteError, Quantile
from fastbackprop._compare.squared_error import HalfSquaredError, MeanSquaredError
from fastbackprop._compare.targets import Targets
from fastbackprop._core.validation import check_choice

__all__ = [
    "LOSSES",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "FocalCrossEntropy",
    "GaussianNLL",
    "HalfSquaredError",
    "Hinge",
    "Huber",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Poisson",
    "Quantile",
    "Targets",
    "as_loss",
]

CLASSES = (
    HalfSquaredError,
    MeanSquaredError,
    MeanAbsoluteError,
    Huber,
    LogCosh,
    Quantile,
    Poisson,
    GaussianNLL,
    Hinge,
    CrossEntropy,
    FocalCrossEntropy,
    BinaryCrossEntropy,
)
LOSSES: dict[str, type[Loss]] = {loss.name: loss for loss in CLASSES}


def as_loss(loss: object) -> Loss:
    """Return the loss for an object or a name."""
    if isinstance(loss, Loss):
        return loss
    return LOSSES[check_choice("loss", loss, LOSSES)]()
