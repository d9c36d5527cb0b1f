"""fastbackprop, as a user would call it: ``fit``, and ``step`` for those with their own loop."""

# ruff: noqa: D102 - the methods are documented in base.py

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
from workloads import Method, Task, Weights

import fastbackprop as fb
from peers.base import Predictor, Trainee

LABEL = "fastbackprop"
DISTRIBUTION = "fastbackprop"
VERSION = fb.__version__  # also of a clone that was built in place
ONE_THREAD = f"{LABEL}, 1 thread"
DEFAULT_THREADS = f"{LABEL}, default"
FLOAT64 = f"{LABEL}, float64"


def threads_argument(function: Callable, n_threads: int | None) -> dict[str, int | None]:
    """Return ``n_threads`` as an argument, where this version has it."""
    return {"n_threads": n_threads} if "n_threads" in inspect.signature(function).parameters else {}


OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}


def layers_of(method: Method) -> dict[str, Any]:
    """Return the arguments of mlp that say which layers stand between the dense ones."""
    return {"normalization": method.normalization, "dropout": method.dropout}


def lacks(method: Method) -> str | None:
    """Say what this version of fastbackprop hasn't yet of a method, if anything."""
    arguments = [name for name, value in layers_of(method).items() if value]
    missing = [x for x in arguments if x not in inspect.signature(fb.mlp).parameters]
    if method.clip_norm and "clip_norm" not in inspect.signature(fb.Trainer).parameters:
        missing.append("clip_norm")
    if not hasattr(fb, OPTIMIZERS[method.optimizer]):
        missing.append(OPTIMIZERS[method.optimizer])
    if not missing:
        try:
            fb.mlp([1, 1, 1], activation=method.activation)
        except ValueError:
            missing.append(method.activation)
    return ", ".join(missing) or None


def _model(task: Task, dtype: str = "float32") -> fb.Sequential:
    method = task.workload.method
    model = fb.mlp(
        task.workload.widths,
        activation=method.activation,
        output_activation="identity" if task.workload.is_regression else "softmax",
        seed=0,
        dtype=dtype,
        **{name: value for name, value in layers_of(method).items() if value},
    )
    load(model, task.weights)
    return model


NAMES = {
    "Dense": ("weight", "bias"),
    "LayerNorm": ("gamma", "beta"),
    "BatchNorm": ("gamma", "beta", "running_mean", "running_variance"),
}


def places_of(model: fb.Sequential) -> list[list[tuple[Any, str]]]:
    """Return for each dense layer where its numbers are, and those of the norm behind it."""
    places: list[list[tuple[Any, str]]] = []
    for layer in model.layers:
        names = NAMES.get(type(layer).__name__, ())
        if names[:1] == ("weight",):
            places.append([])
        for name in names:
            places[-1].append((layer, name))
    return places


def load(model: fb.Sequential, weights: Weights) -> None:
    """Copy weights in."""
    for places, arrays in zip(places_of(model), weights, strict=True):
        for (layer, name), array in zip(places, arrays, strict=True):
            setattr(layer, name, array)


def _trainer(model: fb.Sequential, task: Task, n_threads: int | None) -> fb.Trainer:
    method, rate = task.workload.method, task.learning_rate
    return fb.Trainer(
        model,
        loss="half_squared_error" if task.workload.is_regression else "cross_entropy",
        optimizer=getattr(fb, OPTIMIZERS[method.optimizer])(rate),
        batch_size=task.workload.batch,
        seed=0,
        **({} if method.clip_norm is None else {"clip_norm": method.clip_norm}),
        **threads_argument(fb.Trainer, n_threads),
    )


class Fit(Trainee):
    """Trainer.fit, one call for each round; it shuffles by itself, and that is part of its time."""

    label: ClassVar[str] = LABEL
    way = "Trainer.fit"
    whole_epochs = True

    def __init__(
        self, task: Task, n_threads: int | None, label: str = LABEL, dtype: str = "float32"
    ) -> None:
        super().__init__(task)
        self.label = label
        self.model, self.n_threads = _model(task, dtype), n_threads
        self.X = task.X.astype(dtype, copy=False)
        self.trainer = _trainer(self.model, task, n_threads)

    def load(self, weights: Weights) -> None:
        load(self.model, weights)
        if self.task.workload.method.optimizer != "sgd":  # its state begins again, too
            self.trainer = _trainer(self.model, self.task, self.n_threads)

    def read(self) -> Weights:
        return [
            tuple(getattr(layer, name).copy() for layer, name in places)
            for places in places_of(self.model)
        ]

    def train(self, order: np.ndarray) -> None:
        rows = order.ravel()
        self.trainer.fit(
            self.X[rows], self.task.y[rows], epochs=1, shuffle=False, progress_bar=False
        )

    def timed(self, n_steps: int) -> Callable[[], object]:
        X, y, epochs = self.X, self.task.y, n_steps // self.task.workload.n_batches
        return lambda: self.trainer.fit(X, y, epochs=epochs, progress_bar=False)


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
    """Return makers for the threads asked for; for several, also for one and the default."""
    makers = [partial(kind, task, task.n_threads)]
    if task.n_threads > 1 and threads_argument(function, 1):
        makers += [partial(kind, task, 1, ONE_THREAD), partial(kind, task, None, DEFAULT_THREADS)]
    return makers


def training(task: Task) -> list[Callable[[], Trainee]]:
    """Return all ways to train."""
    ways = [
        *_with_thread_counts(Fit, fb.Trainer, task),
        partial(Step, task, task.n_threads, f"{LABEL} step"),
    ]
    if task.workload.in_float64 and task.n_threads == 1:
        ways.append(partial(Fit, task, 1, FLOAT64, "float64"))
    return ways


def prediction(task: Task) -> list[Callable[[], Predictor]]:
    """Return all ways to predict."""
    return _with_thread_counts(Predict, fb.Sequential.predict, task)
