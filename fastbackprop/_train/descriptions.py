"""Losses and optimizers as JSON, and back, checked as their constructors do it.

Of a callable of the user's own only the name is written: who reads must bring it along.
"""

from dataclasses import fields
from typing import Any

from fastbackprop._compare.losses import LOSSES, Loss
from fastbackprop._core.validation import check_choice
from fastbackprop._correct.describing import OWN, describe_schedule, described_schedule
from fastbackprop._correct.optimizer import Optimizer
from fastbackprop._correct.optimizers import OPTIMIZERS

__all__ = [
    "describe_loss",
    "describe_optimizer",
    "described_loss",
    "described_optimizer",
]


def describe_loss(loss: Loss) -> dict[str, Any]:
    """Return a loss's name and settings, or what a user's own is called."""
    if type(loss) is not LOSSES.get(loss.name):
        return {OWN: loss.name}
    return {"name": loss.name, **{x.name: getattr(loss, x.name) for x in fields(loss)}}


def described_loss(description: dict[str, Any]) -> Loss | None:
    """Return the loss; None for one of the user's own."""
    if OWN in description:
        return None
    settings = {name: value for name, value in description.items() if name != "name"}
    return LOSSES[check_choice("loss", description["name"], LOSSES)](**settings)


def describe_optimizer(optimizer: Optimizer) -> dict[str, Any]:
    """Return an optimizer's name and settings."""
    names = {cls: name for name, cls in OPTIMIZERS.items()}
    if type(optimizer) not in names:
        raise TypeError(
            f"optimizer must be one of fastbackprop's own to be written to a checkpoint, got "
            f"{type(optimizer).__name__}, a class that only this program knows."
        )
    numbers = {name: describe_schedule(x) for name, x in optimizer._numbers.items()}
    return {"name": names[type(optimizer)], **numbers, **optimizer._flags}


def described_optimizer(description: dict[str, Any], schedules: dict[str, Any]) -> Optimizer:
    """Return the optimizer; ``schedules`` has what takes the place of settings, by name."""
    settings = {
        name: schedules[name] if name in schedules else described_schedule(value)
        for name, value in description.items()
        if name != "name"
    }
    name = check_choice("optimizer", description["name"], OPTIMIZERS)
    return OPTIMIZERS[name](**settings)
