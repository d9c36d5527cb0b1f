"""A peer that leaves out the last steps, and in predict the biases: it must be called WRONG."""

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


class NotTheLastSteps(with_numpy.ByHand):
    """A little faster than NumPy."""

    label: ClassVar[str] = LABEL
    way = "99 of 100 steps"

    def prepared(self, order: np.ndarray) -> list[np.ndarray]:
        return list(order[: -max(1, len(order) // 100)])


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
    return [partial(NotTheLastSteps, task)]


def prediction(task: Task) -> list[Callable[[], Predictor]]:
    """The wrong way to predict."""
    return [partial(NoBias, task)]
