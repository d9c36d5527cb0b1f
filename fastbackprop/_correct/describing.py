"""Schedules as JSON, and back, checked as their constructors do it.

Of a callable of the user's own only the name is written.
"""

from dataclasses import fields
from typing import Any

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
from fastbackprop._correct.schedule import Constant, Schedule, is_schedule

__all__ = ["OWN", "SCHEDULES", "callables_in", "describe_schedule", "described_schedule"]

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


def callables_in(description: Any) -> list[str]:
    """Return the names of a user's own callables, at any depth."""
    if isinstance(description, list):
        return [name for x in description for name in callables_in(x)]
    if not isinstance(description, dict):
        return []
    if OWN in description:
        return [str(description[OWN])]
    return callables_in(list(description.values()))


def describe_schedule(value: Any) -> Any:
    """Return a number as it is, a schedule as a dict, a sequence of them as a list."""
    if isinstance(value, list | tuple):
        return [describe_schedule(x) for x in value]
    if type(value) in SCHEDULES.values():
        settings = {x.name: describe_schedule(getattr(value, x.name)) for x in fields(value)}
        return {KIND: type(value).__name__, **settings}
    if is_schedule(value):
        function = getattr(value, "function", value)
        return {OWN: getattr(function, "__name__", type(function).__name__)}
    return value


def described_schedule(description: Any) -> Any:
    """Return the number, schedule or list of them that a description says."""
    if isinstance(description, list):
        return [described_schedule(x) for x in description]
    if not isinstance(description, dict):
        return description
    settings = {
        name: described_schedule(value) for name, value in description.items() if name != KIND
    }
    name = check_choice("schedule", description[KIND], SCHEDULES)
    return SCHEDULES[name](**settings)
