"""What is measured, section by section: workloads, single calls, and several threads."""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import calls as single_calls
import contest
import gradients
import interactive
import machine
from workloads import Workload, selected, threaded

SUITES = (interactive, gradients)
SHARE_OF_METHODS = 0.5  # of the seconds of a workload: fewer libraries take part
SHARE_OF_CALLS = 0.25
SEVERAL_THREADS = 2
Say = Callable[[str], None]


def is_known(word: str) -> bool:
    """Return whether any line of the benchmark has this word in its name."""
    suites = (line for suite in SUITES for line in single_calls.names(suite))
    return bool(selected([word], False)) or any(word in line for line in suites)


def workloads(
    options: argparse.Namespace, modules: list[ModuleType], say: Say
) -> Iterator[dict[str, Any]]:
    """Measure training and prediction; by several threads only what is measured so, if asked."""
    choose = threaded if options.threads > 1 and options.only == ["threads"] else selected
    chosen = choose(options.workloads, options.quick)
    if choose is selected:
        chosen = [workload for workload in chosen if workload.kind in options.only]
    for i, workload in enumerate(chosen, 1):
        if missing := modules[0].lacks(workload.method):
            say(f"left out: {workload.name}; fastbackprop has no {missing}")
            continue
        say(f"{i} of {len(chosen)}: {workload.name}")
        yield contest.measure(workload, modules, options.threads, _seconds(workload, options))


def _seconds(workload: Workload, options: argparse.Namespace) -> float:
    return options.seconds * (1 if workload.method.is_plain else SHARE_OF_METHODS)


def calls(
    options: argparse.Namespace, status: dict[str, Any], say: Say
) -> Iterator[dict[str, Any]]:
    """Measure single calls, on one thread."""
    if options.threads > 1:
        return
    peers = _present(options, status)
    for suite in SUITES:
        if suite.KIND in options.only:
            lines = single_calls.selected(suite, options.workloads, options.quick)
            say(f"{len(lines)} lines of {suite.KIND}s")
            yield from single_calls.measured(suite, lines, peers, options.seconds * SHARE_OF_CALLS)


def _present(options: argparse.Namespace, status: dict[str, Any]) -> list[str]:
    """Return the peers that work here."""
    return [name for name in options.peers if "version" in status[name]]


def threads(
    options: argparse.Namespace, status: dict[str, Any], cores: list[int], say: Say
) -> dict[str, Any]:
    """Measure two threads in processes of their own: alone, and beside the peers' threads."""
    if not threaded(options.workloads, options.quick):
        return {}
    if len(cores) < SEVERAL_THREADS:
        say(f"left out: {SEVERAL_THREADS} threads; this process may use one core")
        return {}
    results = {}
    parts = (
        {"alone": []} if options.quick else {"alone": [], "beside_peers": _present(options, status)}
    )
    for name, peers in parts.items():
        say(f"{SEVERAL_THREADS} threads, {name.replace('_', ' ')}")
        with machine.on_cores(cores):
            results[name] = _by_several_threads(options, peers)
    return results


def _by_several_threads(options: argparse.Namespace, peers: list[str]) -> list[dict[str, Any]]:
    """Return the workloads of a run of this program in a new process, with other cores."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "results.json"
        command = [sys.executable, str(Path(__file__).with_name("run.py")), "--only", "threads"]
        command += ["--threads", str(SEVERAL_THREADS), "--seconds", str(options.seconds)]
        command += ["--peers", ",".join(peers), "--workloads", ",".join(options.workloads)]
        command += ["--json", str(path), *(["--quick"] if options.quick else [])]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        return json.loads(path.read_text())["workloads"]
