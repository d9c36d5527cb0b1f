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
        np.multiply(delta, np.float32(self._begin() / network.rows), out=delta)
        for i in range(len(network.weights) - 1, -1, -1):
            weight = network.weights[i][0]
            d_weight, d_bias = self.change[i]
            np.dot(a[i].T, delta, out=d_weight)
            np.add.reduce(delta, axis=0, out=d_bias)
            if i:
                delta = np.dot(delta, weight.T, out=deltas[i])
                np.multiply(delta, np.greater(a[i], 0, out=self.mask[i]), out=delta)
            self._correct(i)

    def _begin(self) -> float:
        """Begin a step; return what all gradients are multiplied with.

        All that follows is linear in delta: scale it, the smallest array, by the learning rate too.
        """
        return self.task.learning_rate

    def _correct(self, i: int) -> None:
        """Correct a layer's weights once delta has gone through them."""
        for parameter, change in zip(self.network.weights[i], self.change[i], strict=True):
            np.subtract(parameter, change, out=parameter)


class Adam(ByHand):
    """The same with Adam's moments; epsilon outside of the root, as all have it."""

    way = "Adam, out= everywhere"

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.rest = [(np.empty_like(weight), np.empty_like(bias)) for weight, bias in task.weights]
        self.load(task.weights)

    def load(self, weights: Weights) -> None:
        super().load(weights)
        self.n_steps = 0
        self.moments = [
            tuple((np.zeros_like(x), np.zeros_like(x)) for x in layer) for layer in weights
        ]

    def _begin(self) -> float:
        self.n_steps += 1
        return 1.0  # of the gradient: lengths are those of Adam

    def _correct(self, i: int) -> None:
        root = (1 - 0.999**self.n_steps) ** 0.5
        rate = np.float32(self.task.learning_rate * root / (1 - 0.9**self.n_steps))
        layer = zip(
            self.network.weights[i], self.change[i], self.rest[i], self.moments[i], strict=True
        )
        for parameter, gradient, rest, (first, second) in layer:
            np.multiply(first, np.float32(0.9), out=first)
            np.add(first, np.multiply(gradient, np.float32(0.1), out=rest), out=first)
            np.multiply(gradient, gradient, out=rest)
            np.multiply(rest, np.float32(0.001), out=rest)
            np.multiply(second, np.float32(0.999), out=second)
            np.add(second, rest, out=second)
            np.sqrt(second, out=rest)
            np.add(rest, np.float32(1e-8 * root), out=rest)
            np.divide(first, rest, out=rest)
            np.multiply(rest, rate, out=rest)
            np.subtract(parameter, rest, out=parameter)


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
    method = task.workload.method
    if not (method.is_plain or method.name == "Adam"):
        raise Unsupported("the workload is more than a page of NumPy")
    return [partial(ByHand if method.is_plain else Adam, task)]


def prediction(task: Task) -> list[Callable[[], Predictor]]:
    """Return all ways to predict."""
    return [partial(Predict, task)]
