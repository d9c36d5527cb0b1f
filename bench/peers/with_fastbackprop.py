"""fastbackprop, as a user would call it: ``fit``, and ``step`` for those with their own loop."""

# ruff: noqa: D102 - the methods are documented in base.py

import inspect
from collections.abc import Callable
from functools import partial
from typing import ClassVar

import numpy as np
from workloads import Task, Weights

import fastbackprop as fb
from peers.base import Predictor, Trainee

LABEL = "fastbackprop"
DISTRIBUTION = "fastbackprop"
ONE_THREAD = f"{LABEL}, 1 thread"
DEFAULT_THREADS = f"{LABEL}, default"


def threads_argument(function: Callable, n_threads: int | None) -> dict[str, int | None]:
    """``n_threads`` as an argument, where this version has it."""
    return {"n_threads": n_threads} if "n_threads" in inspect.signature(function).parameters else {}


def _model(task: Task) -> fb.Sequential:
    output = "identity" if task.workload.is_regression else "softmax"
    model = fb.mlp(task.workload.widths, output_activation=output, seed=0)
    load(model, task.weights)
    return model


def load(model: fb.Sequential, weights: Weights) -> None:
    """Copy weights in."""
    for layer, (weight, bias) in zip(model.layers, weights, strict=True):
        layer.weight, layer.bias = weight, bias


class Fit(Trainee):
    """Trainer.fit, one call for each round; it shuffles by itself, and that is part of its time."""

    label: ClassVar[str] = LABEL
    way = "Trainer.fit"
    whole_epochs = True

    def __init__(self, task: Task, n_threads: int | None, label: str = LABEL) -> None:
        super().__init__(task)
        self.label = label
        self.model = _model(task)
        self.trainer = fb.Trainer(
            self.model,
            loss="half_squared_error" if task.workload.is_regression else "cross_entropy",
            optimizer=fb.SGD(task.learning_rate),
            batch_size=task.workload.batch,
            seed=0,
            **threads_argument(fb.Trainer, n_threads),
        )

    def load(self, weights: Weights) -> None:
        load(self.model, weights)

    def read(self) -> Weights:
        return [(layer.weight.copy(), layer.bias.copy()) for layer in self.model.layers]

    def train(self, order: np.ndarray) -> None:
        rows = order.ravel()
        self.trainer.fit(
            self.task.X[rows], self.task.y[rows], epochs=1, shuffle=False, progress_bar=False
        )

    def timed(self, n_steps: int) -> Callable[[], object]:
        epochs = n_steps // self.task.workload.n_batches
        return partial(
            self.trainer.fit, self.task.X, self.task.y, epochs=epochs, progress_bar=False
        )


class Step(Fit):
    """Trainer.step for each batch."""

    way = "Trainer.step"
    whole_epochs = False

    def prepared(self, order: np.ndarray) -> list[np.ndarray]:
        return list(order)

    def train(self, order: list[np.ndarray]) -> None:
        X, y, step = self.task.X, self.task.y, self.trainer.step
        for rows in order:
            step(X[rows], y[rows])

    timed = Trainee.timed


class Predict(Predictor):
    """model.predict with its default arguments."""

    way = "Sequential.predict"

    def __init__(self, task: Task, n_threads: int | None, label: str = LABEL) -> None:
        self.label = label
        self._predict = partial(_model(task).predict, task.X)
        if (
            n_threads != 1 or task.n_threads != 1
        ):  # one thread: pinned to one core, the default is that
            self._predict = partial(
                self._predict, **threads_argument(fb.Sequential.predict, n_threads)
            )

    def predict(self) -> np.ndarray:
        return self._predict()


def _with_thread_counts(kind: Callable, function: Callable, task: Task) -> list[Callable]:
    """With as many threads as asked for; if these are several, also with one and the default."""
    makers = [partial(kind, task, task.n_threads)]
    if task.n_threads > 1 and threads_argument(function, 1):
        makers += [partial(kind, task, 1, ONE_THREAD), partial(kind, task, None, DEFAULT_THREADS)]
    return makers


def training(task: Task) -> list[Callable[[], Trainee]]:
    """All ways to train."""
    return [
        *_with_thread_counts(Fit, fb.Trainer, task),
        partial(Step, task, task.n_threads, f"{LABEL} step"),
    ]


def prediction(task: Task) -> list[Callable[[], Predictor]]:
    """All ways to predict."""
    return _with_thread_counts(Predict, fb.Sequential.predict, task)
