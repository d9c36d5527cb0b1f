"""Losses, optimizers and schedules as JSON, and back, checked as their constructors do it.

Of a callable of the user's own only the name is written: who reads must bring it along.
"""

from dataclasses import fields
from typing import Any

from fastbackprop._compare.losses import LOSSES, Loss
from fastbackprop._core.validation import check_choice
from fastbackprop._correct.composed import Piecewise, ReduceOnPlateau, Warmup
from fastbackprop._correct.curves import (
    Cosine,
    CosineRestarts,
    Exponential,
    InverseScaling,
    Linear,
    OneCycle,
    Polynomial,
    Steps,
)
from fastbackprop._correct.optimizer import Optimizer
from fastbackprop._correct.optimizers import OPTIMIZERS
from fastbackprop._correct.schedule import Constant, Schedule, is_schedule

__all__ = [
    "SCHEDULES",
    "callables_in",
    "describe_loss",
    "describe_optimizer",
    "described_loss",
    "described_optimizer",
]

SCHEDULES: dict[str, type[Schedule]] = {
    schedule.__name__: schedule
    for schedule in (
        Constant,
        Cosine,
        CosineRestarts,
        Exponential,
        InverseScaling,
        Linear,
        OneCycle,
        Piecewise,
        Polynomial,
        ReduceOnPlateau,
        Steps,
        Warmup,
    )
}
OWN, KIND = "own", "kind"  # keys of a user's callable, and of a schedule's class


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
    numbers = {name: _describe_schedule(x) for name, x in optimizer._numbers.items()}
    return {"name": names[type(optimizer)], **numbers, **optimizer._flags}


def described_optimizer(description: dict[str, Any], schedules: dict[str, Any]) -> Optimizer:
    """Return the optimizer; ``schedules`` has what takes the place of settings, by name."""
    settings = {
        name: schedules[name] if name in schedules else _described_schedule(value)
        for name, value in description.items()
        if name != "name"
    }
    name = check_choice("optimizer", description["name"], OPTIMIZERS)
    return OPTIMIZERS[name](**settings)


def callables_in(description: Any) -> list[str]:
    """Return the names of a user's own callables, at any depth."""
    if isinstance(description, list):
        return [name for x in description for name in callables_in(x)]
    if not isinstance(description, dict):
        return []
    if OWN in description:
        return [str(description[OWN])]
    return callables_in(list(description.values()))


def _describe_schedule(value: Any) -> Any:
    """Return a number as it is, a schedule as a dict, a sequence of them as a list."""
    if isinstance(value, list | tuple):
        return [_describe_schedule(x) for x in value]
    if type(value) in SCHEDULES.values():
        settings = {x.name: _describe_schedule(getattr(value, x.name)) for x in fields(value)}
        return {KIND: type(value).__name__, **settings}
    if is_schedule(value):
        function = getattr(value, "function", value)
        return {OWN: getattr(function, "__name__", type(function).__name__)}
    return value


def _described_schedule(description: Any) -> Any:
    if isinstance(description, list):
        return [_described_schedule(x) for x in description]
    if not isinstance(description, dict):
        return description
    settings = {
        name: _described_schedule(value) for name, value in description.items() if name != KIND
    }
    name = check_choice("schedule", description[KIND], SCHEDULES)
    return SCHEDULES[name](**settings)
