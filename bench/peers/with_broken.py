"""A peer that cheats: leaves out every second step, forgets biases in predict. The benchmark must say WRONG."""

# ruff: noqa: D102 - the methods are documented in base.py

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import numpy as np
from workloads import Task

from peers import with_numpy
from peers.base import Predictor, Trainee

LABEL = "broken"
DISTRIBUTION = "numpy"


class HalfTheSteps(with_numpy.ByHand):
    """Twice as fast as NumPy."""

    label: ClassVar[str] = LABEL
    way = "every second step"

    def prepared(self, order: np.ndarray) -> list[np.ndarray]:
        return list(order[::2])


class NoBias(with_numpy.Predict):
    """A little faster than NumPy."""

    label: ClassVar[str] = LABEL
    way = "no bias"

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        for _, bias in self.network.weights:
            bias.fill(0)


def training(task: Task) -> list[Callable[[], Trainee]]:
    """The wrong way to train."""
    return [partial(HalfTheSteps, task)]


def prediction(task: Task) -> list[Callable[[], Predictor]]:
    """The wrong way to predict."""
    return [partial(NoBias, task)]
