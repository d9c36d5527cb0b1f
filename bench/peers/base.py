"""What every peer offers.

A peer's module defines ``LABEL``, ``DISTRIBUTION`` (its name for pip), and ``training(task)`` and
``prediction(task)``: lists of functions that make a Trainee or Predictor each.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
from workloads import Task, Weights


class Unsupported(Exception):  # noqa: N818 - a peer's "no" is no error
    """A peer can't do exactly this workload; the message says why."""


class Trainee(ABC):
    """One way of a library to train a task's network.

    Where a library has several reasonable ways, each is a Trainee with the same label,
    and the fastest of them is shown.

    Parameters
    ----------
    task : Task
        Data, initial weights, learning rate, number of threads.
    """

    label: ClassVar[str]  # its column in the table
    way: str = ""  # what sets it apart from others with this label
    whole_epochs: bool = False  # can't be asked for a part of an epoch

    def __init__(self, task: Task) -> None:
        self.task = task

    @abstractmethod
    def load(self, weights: Weights) -> None:
        """Begin again with these weights."""

    @abstractmethod
    def read(self) -> Weights:
        """Return the weights as they are now, as NumPy arrays."""

    def prepared(self, order: np.ndarray) -> Any:
        """Return row numbers (n_steps, batch) in the library's own form; not part of the time."""
        return order

    @abstractmethod
    def train(self, order: Any) -> None:
        """Take one step for each row of the prepared order; return when the weights are there."""

    def timed(self, n_steps: int) -> Callable[[], object]:
        """Return what is called with the clock running: n_steps steps."""
        return partial(self.train, self.prepared(self.task.order(n_steps)))


class Predictor(ABC):
    """One way of a library to predict a task's X with its weights."""

    label: ClassVar[str]
    way: str = ""

    @abstractmethod
    def predict(self) -> Any:
        """Return the outputs for the task's rows, in the library's own form."""


def epochs_of(order: np.ndarray, task: Task) -> list[np.ndarray]:
    """Return row numbers cut into epochs, the last of which may be shorter."""
    n = task.workload.n_batches
    return [order[first : first + n] for first in range(0, len(order), n)]
