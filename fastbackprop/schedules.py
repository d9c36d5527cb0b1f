"""Schedules: a learning rate, momentum or weight decay as a function of the step."""

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
from fastbackprop._correct.schedule import Constant, Schedule

__all__ = [
    "Constant",
    "Cosine",
    "CosineRestarts",
    "Exponential",
    "InverseScaling",
    "Linear",
    "OneCycle",
    "Piecewise",
    "Polynomial",
    "ReduceOnPlateau",
    "Schedule",
    "Steps",
    "Warmup",
]

# Where users find them: in pickles, tracebacks and documentation.
for _name in __all__:
    globals()[_name].__module__ = "fastbackprop.schedules"
