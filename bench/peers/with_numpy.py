"""NumPy written by hand: every buffer is made once, every operation writes into one."""

# ruff: noqa: D102 - the methods are documented in base.py

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import numpy as np
from workloads import Task, Weights, copied

from peers.base import Predictor, Trainee, Unsupported

LABEL = "NumPy"
DISTRIBUTION = "numpy"


class Network:
    """Buffers for one number of rows, and predict.

    Parameters
    ----------
    task : Task
        Widths, rows, weights.
    """

    def __init__(self, task: Task) -> None:
        self.rows = task.workload.batch
        self.is_regression = task.workload.is_regression
        self.weights = copied(task.weights)
        self.a = [np.empty((self.rows, n), np.float32) for n in task.workload.widths]
        self.row = np.empty((self.rows, 1), np.float32)

    def forward(self, X: np.ndarray) -> np.ndarray:
        """Return the outputs; the activations stay in ``a``."""
        last = len(self.weights) - 1
        a = X
        for i, (weight, bias) in enumerate(self.weights):
            a = np.dot(a, weight, out=self.a[i + 1])
            np.add(a, bias, out=a)
            if i < last:
                np.maximum(a, 0, out=a)
        if not self.is_regression:
            np.subtract(a, np.maximum.reduce(a, axis=1, keepdims=True, out=self.row), out=a)
            np.exp(a, out=a)
            np.divide(a, np.add.reduce(a, axis=1, keepdims=True, out=self.row), out=a)
        return a


class ByHand(Trainee):
    """The four steps in NumPy."""

    label: ClassVar[str] = LABEL
    way = "out= everywhere"

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.network = Network(task)
        self.delta = [np.empty_like(a) for a in self.network.a]
        self.mask = [np.empty(a.shape, bool) for a in self.network.a]
        self.change = [
            (np.empty_like(weight), np.empty_like(bias)) for weight, bias in task.weights
        ]
        self.y = np.empty((self.network.rows, *task.y.shape[1:]), task.y.dtype)
        self.numbers = np.arange(self.network.rows)

    def load(self, weights: Weights) -> None:
        self.network.weights = copied(weights)

    def read(self) -> Weights:
        return copied(self.network.weights)

    def prepared(self, order: np.ndarray) -> list[np.ndarray]:
        return list(order)

    def train(self, order: list[np.ndarray]) -> None:
        for rows in order:
            self._step(rows)

    def _step(self, rows: np.ndarray) -> None:
        network, a, deltas = self.network, self.network.a, self.delta
        # mode="clip" lets take write straight into out; methods skip a layer of Python that
        # functions have.
        self.task.X.take(rows, axis=0, out=a[0], mode="clip")
        self.task.y.take(rows, axis=0, out=self.y, mode="clip")
        y_hat = network.forward(a[0])
        if network.is_regression:
            delta = np.subtract(y_hat, self.y, out=y_hat)
        else:
            delta = y_hat
            delta[self.numbers, self.y] -= 1
        # All that follows is linear in delta: scale it, the smallest array, by the learning rate
        # too.
        np.multiply(delta, np.float32(self.task.learning_rate / network.rows), out=delta)
        for i in range(len(network.weights) - 1, -1, -1):
            weight, bias = network.weights[i]
            d_weight, d_bias = self.change[i]
            np.dot(a[i].T, delta, out=d_weight)
            np.add.reduce(delta, axis=0, out=d_bias)
            if i:
                delta = np.dot(delta, weight.T, out=deltas[i])
                np.multiply(delta, np.greater(a[i], 0, out=self.mask[i]), out=delta)
            np.subtract(weight, d_weight, out=weight)
            np.subtract(bias, d_bias, out=bias)


class Predict(Predictor):
    """The forward pass in NumPy."""

    label: ClassVar[str] = LABEL
    way = "out= everywhere"

    def __init__(self, task: Task) -> None:
        self.X = task.X
        self.network = Network(task)

    def predict(self) -> np.ndarray:
        return self.network.forward(self.X)


def training(task: Task) -> list[Callable[[], Trainee]]:
    """Return all ways to train."""
    if not task.workload.method.is_plain:
        raise Unsupported("the workload is more than a page of NumPy")
    return [partial(ByHand, task)]


def prediction(task: Task) -> list[Callable[[], Predictor]]:
    """Return all ways to predict."""
    return [partial(Predict, task)]
