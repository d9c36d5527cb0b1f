"""Initializers: what a layer's first weights are drawn from; ``Dense(weight_init=...)``."""

from fastbackprop._predict.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    Uniform,
    Zeros,
)

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "LecunNormal",
    "Uniform",
    "Zeros",
]
