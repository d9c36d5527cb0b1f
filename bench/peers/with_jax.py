"""JAX: data and weights stay on the device; one compiled call a step, or an epoch (lax.scan)."""

# ruff: noqa: D102 - the methods are documented in base.py

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from workloads import Task, Weights

from peers.base import Predictor, Trainee, epochs_of

LABEL = "JAX"
DISTRIBUTION = "jax"


def forward(weights: Any, X: jax.Array) -> jax.Array:
    """Return the outputs before softmax."""
    a = X
    for weight, bias in weights[:-1]:
        a = jax.nn.relu(a @ weight + bias)
    weight, bias = weights[-1]
    return a @ weight + bias


def cost(is_regression: bool, weights: Any, X: jax.Array, y: jax.Array) -> jax.Array:
    """Return the mean cost of a batch."""
    z = forward(weights, X)
    if is_regression:
        return 0.5 * jnp.mean(jnp.sum((z - y) ** 2, axis=1))
    # A product with one-hot labels: the gradient of indexing would be a scatter, which is slow on
    # CPUs.
    return jnp.mean(
        jax.nn.logsumexp(z, axis=1) - jnp.sum(jax.nn.one_hot(y, z.shape[1]) * z, axis=1)
    )


def corrected(
    is_regression: bool, learning_rate: float, weights: Any, X: jax.Array, y: jax.Array
) -> Any:
    """Return the weights after one step."""
    gradients = jax.grad(partial(cost, is_regression))(weights, X, y)
    return jax.tree.map(lambda w, g: w - learning_rate * g, weights, gradients)


class OnDevice(Trainee):
    """What both ways share."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.X, self.y = jnp.array(task.X), jnp.array(task.y)
        self.correct = partial(corrected, task.workload.is_regression, task.learning_rate)
        self.load(task.weights)

    def load(self, weights: Weights) -> None:
        # Copies: the steps are given these arrays to overwrite.
        self.weights = jax.block_until_ready(
            [(jnp.array(w, copy=True), jnp.array(b, copy=True)) for w, b in weights]
        )

    def read(self) -> Weights:
        return [(np.array(weight), np.array(bias)) for weight, bias in self.weights]


class EachStep(OnDevice):
    """A compiled step that overwrites the weights (donated), with the row numbers on the device."""

    label: ClassVar[str] = "JAX step"
    way = "jit, donated weights"

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.step = jax.jit(
            lambda weights, X, y, rows: self.correct(weights, X[rows], y[rows]), donate_argnums=0
        )

    def prepared(self, order: np.ndarray) -> list[jax.Array]:
        return jax.block_until_ready([jnp.array(rows, jnp.int32) for rows in order])

    def train(self, order: list[jax.Array]) -> None:
        weights, step, X, y = self.weights, self.step, self.X, self.y
        for rows in order:
            weights = step(weights, X, y, rows)
        self.weights = jax.block_until_ready(weights)


class Scan(OnDevice):
    """A compiled epoch. Rows are taken batch by batch inside of the scan, or all before it."""

    label: ClassVar[str] = "JAX scan"
    whole_epochs = True

    def __init__(self, task: Task, takes_before: bool, unroll: int) -> None:
        super().__init__(task)
        self.way = f"scan(unroll={unroll}), rows taken {'before' if takes_before else 'inside'}"

        def epoch(weights: Any, X: jax.Array, y: jax.Array, order: jax.Array) -> Any:
            if takes_before:
                return jax.lax.scan(
                    lambda w, b: (self.correct(w, *b), None),
                    weights,
                    (X[order], y[order]),
                    unroll=unroll,
                )
            return jax.lax.scan(
                lambda w, rows: (self.correct(w, X[rows], y[rows]), None),
                weights,
                order,
                unroll=unroll,
            )

        self.epoch = jax.jit(lambda *arguments: epoch(*arguments)[0], donate_argnums=0)

    def prepared(self, order: np.ndarray) -> list[jax.Array]:
        return jax.block_until_ready(
            [jnp.array(part, jnp.int32) for part in epochs_of(order, self.task)]
        )

    def train(self, order: list[jax.Array]) -> None:
        for part in order:
            self.weights = self.epoch(self.weights, self.X, self.y, part)
        jax.block_until_ready(self.weights)


class Predict(Predictor):
    """A compiled forward pass over rows on the device; each call waits for its result."""

    label: ClassVar[str] = LABEL
    way = "jit"

    def __init__(self, task: Task) -> None:
        self.X = jnp.array(task.X)
        self.weights = [(jnp.array(weight), jnp.array(bias)) for weight, bias in task.weights]
        self.forward = jax.jit(lambda weights, X: jax.nn.softmax(forward(weights, X)))

    def predict(self) -> jax.Array:
        return self.forward(self.weights, self.X).block_until_ready()


def training(task: Task) -> list[Callable[[], Trainee]]:
    """All ways to train."""
    scans = [
        partial(Scan, task, *way)
        for way in ((False, 1), (False, 4), (True, 1), (True, 4), (True, 8))
    ]
    return [*scans, partial(EachStep, task)]


def prediction(task: Task) -> list[Callable[[], Predictor]]:
    """All ways to predict."""
    return [partial(Predict, task)]
