"""What every library must agree with before it is measured: our loss, weights, outputs, results."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from peers.base import Predictor, Trainee
from workloads import Method, Task, Weights

# Of training: how far a loss may be from ours, as a part of how far training has brought it.
LOSS_TOLERANCE = 1e-6
# And how far any weight may be from ours, as a part of the farthest that training has moved one.
WEIGHT_TOLERANCE = 2e-5
# Adam's first steps are as long for a gradient that is nothing but rounding as for any other: all
# weights of a relu may move by a row that another library's rounding leaves out, so the root mean
# square over all weights is held.
ADAM_LOSS_TOLERANCE, ADAM_WEIGHT_TOLERANCE = 1e-4, 2e-2
# What is timed may shuffle as it likes: its loss must only have come about as far.
TIMED_TOLERANCE = 0.05
# Of predictions: the largest difference of any output, all of which are from 0 to 1.
OUTPUT_TOLERANCE = 1e-5
# Of what a single call returns: by itself, and by the largest number that it returns.
CALL_TOLERANCE, CALL_TOLERANCE_OF_LARGEST = 1e-3, 1e-4
TOLERANCES = {
    "loss": LOSS_TOLERANCE,
    "weights": WEIGHT_TOLERANCE,
    "adam_loss": ADAM_LOSS_TOLERANCE,
    "adam_weights": ADAM_WEIGHT_TOLERANCE,
    "dropout_loss": TIMED_TOLERANCE,
    "outputs": OUTPUT_TOLERANCE,
    "calls": CALL_TOLERANCE,
}


def tolerances(method: Method) -> tuple[float, float]:
    """Return how far loss and weights may be from ours."""
    if method.dropout:  # each library has its own masks: only the loss can be compared, roughly
        return TIMED_TOLERANCE, math.inf
    if method.optimizer != "sgd":
        return ADAM_LOSS_TOLERANCE, ADAM_WEIGHT_TOLERANCE
    return LOSS_TOLERANCE, WEIGHT_TOLERANCE


def _distance(method: Method, weights: Weights, others: Weights) -> float:
    """Return the largest difference of any weight, bias, gamma or beta; of Adam's, the typical one.

    Running numbers of a BatchNorm move much farther than these; the loss is made with them.
    """
    one, other = (
        np.concatenate([np.ravel(x).astype(np.float64) for layer in w for x in layer[:4]])
        for w in (weights, others)
    )
    differences = one - other
    if method.optimizer != "sgd":
        return float(np.sqrt(np.mean(differences**2)))
    return float(abs(differences).max())


def check_training(task: Task, runners: list[Trainee]) -> dict[Trainee, dict[str, Any]]:
    """Hold each runner's weights and loss after an epoch against those of the first, ours.

    All take the batches in the same order. Then what will be timed is run for an epoch: it must
    have trained, too.
    """
    order = task.order(task.workload.n_batches)
    method = task.workload.method
    loss_tolerance, weight_tolerance = tolerances(method)
    before, ours = task.loss(task.weights, order), None
    checks = {}
    for runner in runners:
        runner.load(task.weights)
        runner.train(runner.prepared(order))
        weights = runner.read()
        loss = task.loss(weights, order)
        if ours is None:
            ours, expected, moved = weights, loss, _distance(method, weights, task.weights)
        difference = _distance(method, weights, ours) / moved
        runner.load(task.weights)
        runner.timed(task.workload.n_batches)()
        timed = task.loss(runner.read(), order)
        change = abs(expected - before)
        right = abs(loss - expected) <= loss_tolerance * change and difference <= weight_tolerance
        checks[runner] = {
            "right": bool(right and abs(timed - expected) <= TIMED_TOLERANCE * change),
            "loss": loss,
            "expected": expected,
            "before": before,
            "loss_of_what_is_timed": timed,
            "difference_of_weights": difference,
        }
    return checks


def check_prediction(runners: list[Predictor]) -> dict[Predictor, dict[str, Any]]:
    """Hold each runner's outputs against those of the first, which is ours."""
    expected = np.array(runners[0].predict())
    checks = {}
    for runner in runners:
        outputs = np.asarray(runner.predict())
        difference = (
            float(abs(outputs - expected).max())
            if outputs.shape == expected.shape
            else float("inf")
        )
        checks[runner] = {"right": difference <= OUTPUT_TOLERANCE, "largest_difference": difference}
    return checks


def check_call(mine: Callable[[], Any], other: Callable[[], Any], times: int) -> dict[str, Any]:
    """Hold what the last of some calls returns against ours: an array, or a list of them."""
    for _ in range(times):
        ours, theirs = _arrays(mine()), _arrays(other())
    right = len(ours) == len(theirs) and all(map(_is_close, ours, theirs))
    return {"right": right, "times": times}


def _arrays(result: Any) -> list[np.ndarray]:
    return [np.asarray(x) for x in (result if isinstance(result, list) else [result])]


def _is_close(ours: np.ndarray, theirs: np.ndarray) -> bool:
    tolerance = CALL_TOLERANCE_OF_LARGEST * float(np.abs(ours).max())
    return ours.shape == theirs.shape and np.allclose(ours, theirs, CALL_TOLERANCE, tolerance)
