"""One workload: runners are checked, each library's fastest way is found, rounds are measured."""

import math
import statistics
import time
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from peers import reason
from peers.base import Predictor, Trainee, Unsupported
from rounds import Entry, calibrate, clocked, interleave
from workloads import Method, Task, Weights, Workload

from fastbackprop._core import dispatch

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
PEAK_SECONDS = 0.002
# Between runners. With many threads, the workers of OpenBLAS spin for 25 ms before they fall
# asleep.
SETTLING_SECONDS = {False: 0.002, True: 0.03}


class Peak:
    """Floating-point operations a second of one core, by a kernel that works in registers alone."""

    def __init__(self) -> None:
        self.multiply_adds = dispatch.kernels("float32").multiply_adds
        self.rates: list[float] = []
        self.n = 1000
        while clocked(partial(self.multiply_adds, self.n)) < PEAK_SECONDS:
            self.n *= 2

    def measure(self) -> None:
        """Measure once more."""
        start = time.perf_counter()
        operations = self.multiply_adds(self.n)
        self.rates.append(operations / (time.perf_counter() - start))


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


def _entry(runner: Trainee | Predictor, task: Task) -> Entry:
    if isinstance(runner, Trainee):
        multiple = task.workload.n_batches if runner.whole_epochs else 1
        return Entry(
            runner.label, runner.way, runner.timed, multiple, partial(runner.load, task.weights)
        )
    return Entry(runner.label, runner.way, partial(_repeated, runner.predict))


def _repeated(call: Callable[[], object], times: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            call()

    return run


def fastest_ways(entries: list[Entry]) -> list[Entry]:
    """Of all entries with the same label, keep the fastest; all that are kept are calibrated."""
    kept: dict[str, tuple[float, Entry]] = {}
    for entry in entries:
        seconds = calibrate(entry)
        if entry.label not in kept or seconds < kept[entry.label][0]:
            kept[entry.label] = seconds, entry
    return [entry for _, entry in kept.values()]


def measure(
    workload: Workload, modules: list[ModuleType], n_threads: int, seconds: float
) -> dict[str, Any]:
    """Measure one workload.

    Parameters
    ----------
    workload : Workload
        Workload to measure.
    modules : list of module
        Modules of the peers; ours first.
    n_threads : int
        Number of threads of every runner.
    seconds : float
        Time for the rounds, without making, checking and calibrating the runners.

    Returns
    -------
    dict
        The results as they go into the JSON.
    """
    task = Task(workload, n_threads)
    runners, unsupported = [], {}
    for module in modules:
        try:
            makers = module.training(task) if workload.kind == "train" else module.prediction(task)
            runners += [make() for make in makers]
        except Unsupported as error:
            unsupported[module.LABEL] = str(error)
        except Exception as error:
            if module is modules[0]:
                raise  # ours must work
            unsupported[module.LABEL] = f"it is {reason(error)}"
    checks = (
        check_training(task, runners) if workload.kind == "train" else check_prediction(runners)
    )
    # A library with a wrong way is wrong: the fastest of its ways might be that one.
    by_label: dict[str, dict[str, Any]] = {}
    for runner in runners:
        if runner.label not in by_label or not checks[runner]["right"]:
            by_label[runner.label] = checks[runner]
    peak = Peak()
    entries = fastest_ways([_entry(runner, task) for runner in runners])
    in_order = list(entries)
    interleave(entries, seconds, SETTLING_SECONDS[n_threads > 1], peak.measure)
    peaks = [rate * n_threads for rate in peak.rates]
    return _described(workload) | {
        "unsupported": unsupported,
        "peak_gflops": statistics.median(peaks) / 1e9,
        "runners": {
            entry.label: _figures(workload, entry, in_order[0], peaks)
            | {"check": by_label[entry.label]}
            for entry in in_order
        },
    }


def _described(workload: Workload) -> dict[str, Any]:
    return {
        "name": workload.name,
        "kind": workload.kind,
        "widths": list(workload.widths),
        "batch": workload.batch,
        "loss": "half_squared_error" if workload.is_regression else "cross_entropy",
        "method": workload.method.name,
        "flops": workload.flops,
    }


def _figures(workload: Workload, entry: Entry, ours: Entry, peaks: list[float]) -> dict[str, Any]:
    """Return a runner's figures; ratios are taken within rounds: conditions are the same there."""
    ratios = [theirs / our for theirs, our in zip(entry.seconds, ours.seconds, strict=True)]
    parts = [
        workload.flops / seconds / peak for seconds, peak in zip(entry.seconds, peaks, strict=True)
    ]
    return {
        "way": entry.way,
        "microseconds": entry.median * 1e6,
        "quartiles": [seconds * 1e6 for seconds in entry.quartiles],
        "ratio": statistics.median(ratios),
        "gflops": workload.flops / entry.median / 1e9,
        "part_of_peak": statistics.median(parts),
        "rounds": len(entry.seconds),
        "units_in_a_round": entry.units,
    }
