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


EPSILON, MOMENTUM = 1e-5, 0.1  # of norms
# A faster generator than JAX's default, which experts take where masks cost too much.
jax.config.update("jax_default_prng_impl", "rbg")


def forward(weights: Any, X: jax.Array) -> jax.Array:
    """Return the outputs of a plain network, before softmax."""
    a = X
    for weight, bias in weights[:-1]:
        a = jax.nn.relu(a @ weight + bias)
    weight, bias = weights[-1]
    return a @ weight + bias


class Training:
    """A workload's step as pure functions; what goes from step to step is one tree.

    Parameters
    ----------
    task : Task
        Workload and learning rate.
    """

    def __init__(self, task: Task) -> None:
        self.is_regression = task.workload.is_regression
        self.method = task.workload.method
        rate = task.learning_rate
        if self.method.optimizer == "sgd":
            self.start, self.correct = lambda _: (), partial(sgd, rate)
            return
        import optax  # only here: plain SGD doesn't need it

        adam = (
            optax.adam(rate)
            if self.method.optimizer == "adam"
            else optax.adamw(rate, weight_decay=0.01)
        )
        if self.method.clip_norm is not None:
            adam = optax.chain(optax.clip_by_global_norm(self.method.clip_norm), adam)

        def correct(gradients: Any, state: Any, weights: Any) -> tuple[Any, Any]:
            updates, state = adam.update(gradients, state, weights)
            return optax.apply_updates(weights, updates), state

        self.start, self.correct = adam.init, correct

    def state(self, weights: Weights) -> Any:
        """Return weights, running numbers, the optimizer's state and a key for masks."""
        arrays = [tuple(jnp.array(x, copy=True) for x in layer) for layer in weights]
        trained = [layer[:4] for layer in arrays]
        running = [layer[4:] for layer in arrays]
        key = jax.random.key(0) if self.method.dropout else ()
        return jax.block_until_ready((trained, running, self.start(trained), key))

    def step(self, state: Any, X: jax.Array, y: jax.Array) -> Any:
        """Return the state after one step."""
        weights, running, optimizer_state, key = state
        step_key = ()
        if self.method.dropout:
            key, step_key = jax.random.split(key)
        gradients, running = jax.grad(self.cost, has_aux=True)(weights, running, step_key, X, y)
        weights, optimizer_state = self.correct(gradients, optimizer_state, weights)
        return weights, running, optimizer_state, key

    def cost(
        self, weights: Any, running: Any, key: Any, X: jax.Array, y: jax.Array
    ) -> tuple[jax.Array, Any]:
        """Return the mean cost of a batch, and running numbers."""
        z, running = self.forward(weights, running, key, X)
        if self.is_regression:
            return 0.5 * jnp.mean(jnp.sum((z - y) ** 2, axis=1)), running
        # A product with one-hot labels: the gradient of indexing would be a scatter, which is slow
        # on CPUs.
        costs = jax.nn.logsumexp(z, axis=1) - jnp.sum(jax.nn.one_hot(y, z.shape[1]) * z, axis=1)
        return jnp.mean(costs), running

    def forward(self, weights: Any, running: Any, key: Any, X: jax.Array) -> tuple[jax.Array, Any]:
        """Return the outputs before softmax, in training, and running numbers."""
        a, moved = X, []
        keys = jax.random.split(key, len(weights)) if self.method.dropout else [()] * len(weights)
        act = partial(jax.nn.gelu, approximate=False)
        act = act if self.method.activation == "gelu" else jax.nn.relu
        for (weight, bias, *norm), numbers, layer_key in zip(
            weights[:-1], running[:-1], keys[:-1], strict=True
        ):
            z = a @ weight + bias
            if norm:
                z, numbers = normalized(z, *norm, numbers)
            moved.append(numbers)
            a = act(z)
            if self.method.dropout:
                keep = jax.random.bernoulli(layer_key, 1 - self.method.dropout, a.shape)
                a = jnp.where(keep, a / (1 - self.method.dropout), 0)
        weight, bias = weights[-1]
        return a @ weight + bias, [*moved, ()]


def normalized(
    z: jax.Array, gamma: jax.Array, beta: jax.Array, numbers: Any
) -> tuple[jax.Array, Any]:
    """Return LayerNorm, or where there are running numbers BatchNorm, and what these become."""
    axis = 0 if numbers else 1
    mean, variance = z.mean(axis=axis, keepdims=True), z.var(axis=axis, keepdims=True)
    if numbers:
        n = z.shape[0]
        batch = (mean[0], variance[0] * (n / (n - 1)))
        numbers = tuple(
            (1 - MOMENTUM) * old + MOMENTUM * new for old, new in zip(numbers, batch, strict=True)
        )
    return (z - mean) * (gamma * jax.lax.rsqrt(variance + EPSILON)) + beta, numbers


def sgd(learning_rate: float, gradients: Any, state: Any, weights: Any) -> tuple[Any, Any]:
    """Return the weights after plain SGD."""
    return jax.tree.map(lambda w, g: w - learning_rate * g, weights, gradients), state


class OnDevice(Trainee):
    """What both ways share."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.X, self.y = jnp.array(task.X), jnp.array(task.y)
        self.training = Training(task)
        self.load(task.weights)

    def load(self, weights: Weights) -> None:
        self.state = self.training.state(weights)  # copies: the steps overwrite these arrays

    def read(self) -> Weights:
        weights, running = self.state[:2]
        return [
            tuple(np.array(x) for x in (*layer, *numbers))
            for layer, numbers in zip(weights, running, strict=True)
        ]


class EachStep(OnDevice):
    """A compiled step that overwrites the weights (donated), with the row numbers on the device."""

    label: ClassVar[str] = "JAX step"
    way = "jit, donated weights"

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.step = jax.jit(
            lambda state, X, y, rows: self.training.step(state, X[rows], y[rows]),
            donate_argnums=0,
        )

    def prepared(self, order: np.ndarray) -> list[jax.Array]:
        return jax.block_until_ready([jnp.array(rows, jnp.int32) for rows in order])

    def train(self, order: list[jax.Array]) -> None:
        state, step, X, y = self.state, self.step, self.X, self.y
        for rows in order:
            state = step(state, X, y, rows)
        self.state = jax.block_until_ready(state)


class Scan(OnDevice):
    """A compiled epoch. Rows are taken batch by batch inside of the scan, or all before it."""

    label: ClassVar[str] = "JAX scan"
    whole_epochs = True

    def __init__(self, task: Task, takes_before: bool, unroll: int) -> None:
        super().__init__(task)
        self.way = f"scan(unroll={unroll}), rows taken {'before' if takes_before else 'inside'}"
        step = self.training.step

        def epoch(state: Any, X: jax.Array, y: jax.Array, order: jax.Array) -> Any:
            if takes_before:
                return jax.lax.scan(
                    lambda s, batch: (step(s, *batch), None),
                    state,
                    (X[order], y[order]),
                    unroll=unroll,
                )
            return jax.lax.scan(
                lambda s, rows: (step(s, X[rows], y[rows]), None), state, order, unroll=unroll
            )

        self.epoch = jax.jit(lambda *arguments: epoch(*arguments)[0], donate_argnums=0)

    def prepared(self, order: np.ndarray) -> list[jax.Array]:
        return jax.block_until_ready(
            [jnp.array(part, jnp.int32) for part in epochs_of(order, self.task)]
        )

    def train(self, order: list[jax.Array]) -> None:
        for part in order:
            self.state = self.epoch(self.state, self.X, self.y, part)
        jax.block_until_ready(self.state)


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
    """Return all ways to train."""
    scans = [
        partial(Scan, task, *way)
        for way in ((False, 1), (False, 4), (True, 1), (True, 4), (True, 8))
    ]
    return [*scans, partial(EachStep, task)]


def prediction(task: Task) -> list[Callable[[], Predictor]]:
    """Return all ways to predict."""
    return [partial(Predict, task)]
