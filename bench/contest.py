"""One workload: runners are checked, each library's fastest way is found, rounds are measured."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

from checks import check_prediction, check_training
from peers import reason
from peers.base import Predictor, Trainee, Unsupported
from rounds import Entry, calibrate, clocked, interleave
from workloads import Task, Workload

from fastbackprop._core import dispatch

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


def _entry(runner: Trainee | Predictor, task: Task) -> Entry:
    if isinstance(runner, Trainee):
        multiple = task.workload.n_batches if runner.whole_epochs else 1
        return Entry(
            runner.label, runner.way, runner.timed, multiple, partial(runner.load, task.weights)
        )
    return Entry(runner.label, runner.way, partial(repeated, runner.predict))


def repeated(call: Callable[[], object], times: int) -> Callable[[], None]:
    """Return what makes so many calls."""

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
    entries = [_entry(runner, task) for runner in runners]
    pairs = [(runner.label, checks[runner]) for runner in runners]
    return (
        _described(workload)
        | {"unsupported": unsupported}
        | in_rounds(entries, pairs, seconds, n_threads, workload.flops)
    )


def in_rounds(
    entries: list[Entry],
    checks: list[tuple[str, dict[str, Any]]],
    seconds: float,
    n_threads: int,
    flops: int | None = None,
) -> dict[str, Any]:
    """Measure the fastest entry of each label; ours is the first.

    Parameters
    ----------
    entries : list of Entry
        All ways of all libraries.
    checks : list of (label, check)
        What came of holding each way against ours.
    seconds : float
        Time for the rounds.
    n_threads : int
        Number of threads of every runner.
    flops : int or None
        Useful floating-point operations of a unit, where they can be told.

    Returns
    -------
    dict
        The peak of the machine in the same rounds, and each runner's figures.
    """
    # A library with a wrong way is wrong: the fastest of its ways might be that one.
    by_label: dict[str, dict[str, Any]] = {}
    for label, check in checks:
        if label not in by_label or not check["right"]:
            by_label[label] = check
    peak = Peak()
    in_order = fastest_ways(entries)
    interleave(list(in_order), seconds, SETTLING_SECONDS[n_threads > 1], peak.measure)
    peaks = [rate * n_threads for rate in peak.rates]
    return {
        "peak_gflops": statistics.median(peaks) / 1e9,
        "runners": {
            entry.label: _figures(entry, in_order[0])
            | _rates(entry, flops, peaks)
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


def _figures(entry: Entry, ours: Entry) -> dict[str, Any]:
    """Return a runner's figures; ratios are taken within rounds: conditions are the same there."""
    ratios = [theirs / our for theirs, our in zip(entry.seconds, ours.seconds, strict=True)]
    return {
        "way": entry.way,
        "microseconds": entry.median * 1e6,
        "quartiles": [seconds * 1e6 for seconds in entry.quartiles],
        "ratio": statistics.median(ratios),
        "rounds": len(entry.seconds),
        "units_in_a_round": entry.units,
    }


def _rates(entry: Entry, flops: int | None, peaks: list[float]) -> dict[str, float]:
    """Return useful operations a second, and what part of the machine's peak they are."""
    if flops is None:
        return {}
    parts = [flops / seconds / peak for seconds, peak in zip(entry.seconds, peaks, strict=True)]
    return {
        "gflops": flops / entry.median / 1e9,
        "part_of_peak": statistics.median(parts),
    }
