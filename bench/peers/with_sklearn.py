"""scikit-learn: MLPClassifier and MLPRegressor as plain SGD, an epoch a call of partial_fit.

There is no momentum and no penalty. Their gradients are means over the batch of those of log-loss
and of half the squared error: the same as ours.
"""

# ruff: noqa: D102 - the methods are documented in base.py

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from workloads import Task, Weights

from peers.base import Predictor, Trainee, Unsupported, epochs_of

LABEL = "scikit-learn"
DISTRIBUTION = "scikit-learn"


def make_estimator(task: Task) -> MLPClassifier | MLPRegressor:
    """Return an estimator, initialised by a first batch and then given the task's weights."""
    widths = task.workload.widths
    if not task.workload.is_regression and widths[-1] == 2:
        raise Unsupported("MLPClassifier makes one logistic output of two classes: another network")
    estimator = (MLPRegressor if task.workload.is_regression else MLPClassifier)(
        hidden_layer_sizes=widths[1:-1],
        activation="relu",
        solver="sgd",
        alpha=0.0,
        batch_size=task.workload.batch,
        learning_rate="constant",
        learning_rate_init=task.learning_rate,
        momentum=0.0,
        nesterovs_momentum=False,
        shuffle=False,  # it is given the rows in the order wanted
        random_state=0,
    )
    n = task.workload.batch
    if task.workload.is_regression:
        estimator.partial_fit(task.X[:n], task.y[:n].ravel())
    else:
        estimator.partial_fit(task.X[:n], task.y[:n], classes=np.arange(widths[-1]))
    load(estimator, task.weights)
    return estimator


def load(estimator: MLPClassifier | MLPRegressor, weights: Weights) -> None:
    """Copy weights in."""
    for i, (weight, bias) in enumerate(weights):
        estimator.coefs_[i][...] = weight
        estimator.intercepts_[i][...] = bias


class PartialFit(Trainee):
    """partial_fit over the shuffled rows of an epoch, which it cuts into batches."""

    label: ClassVar[str] = LABEL
    way = "partial_fit of an epoch"

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.estimator = make_estimator(task)
        self.y = task.y.ravel()
        # Each call costs a millisecond before its first step; an epoch of single samples would last
        # too long.
        self.whole_epochs = task.workload.batch > 1

    def load(self, weights: Weights) -> None:
        load(self.estimator, weights)

    def read(self) -> Weights:
        return [
            (w.copy(), b.copy())
            for w, b in zip(self.estimator.coefs_, self.estimator.intercepts_, strict=True)
        ]

    def prepared(self, order: np.ndarray) -> list[np.ndarray]:
        return [part.ravel() for part in epochs_of(order, self.task)]

    def train(self, order: list[np.ndarray]) -> None:
        for rows in order:
            self.estimator.partial_fit(self.task.X[rows], self.y[rows])


class Predict(Predictor):
    """predict_proba."""

    label: ClassVar[str] = LABEL
    way = "predict_proba"

    def __init__(self, task: Task) -> None:
        self.X = task.X
        self.estimator = make_estimator(task)

    def predict(self) -> np.ndarray:
        return self.estimator.predict_proba(self.X)


def training(task: Task) -> list[Callable[[], Trainee]]:
    """Return all ways to train."""
    if not task.workload.method.is_plain:
        raise Unsupported("it has no such layer, or another formula for Adam's epsilon")
    return [partial(PartialFit, task)]


def prediction(task: Task) -> list[Callable[[], Predictor]]:
    """Return all ways to predict."""
    return [partial(Predict, task)]
