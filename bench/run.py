"""Compare fastbackprop with its peers: time, correctness, footprint (``bench/run.py --help``)."""

import argparse
import json
import math
import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import machine
import peers

SECONDS = 10.0  # of rounds for each workload
QUICK_SECONDS = 1.0
SECTIONS = ("train", "predict", "call", "derivative", "threads", "footprint")
RESULTS = Path(__file__).resolve().parent / "results"


def arguments(command_line: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Compare fastbackprop with the libraries that are installed."
    )
    parser.add_argument(
        "--quick", action="store_true", help="a few workloads, few rounds, no footprint: a minute"
    )
    parser.add_argument(
        "--peers", help=f"some of {','.join(peers.PEERS)} (default: all that are installed)"
    )
    parser.add_argument(
        "--workloads", help="parts of names, separated by commas: '784,predict' (default: all)"
    )
    parser.add_argument("--only", help=f"some of {','.join(SECTIONS)} (default: all)")
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="threads for every library (default: 1)"
    )
    parser.add_argument(
        "--seconds", type=float, help=f"seconds of rounds for each workload (default: {SECONDS:g})"
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="PATH",
        help="write all results there, and the tables beside (default, of a whole run by one "
        "thread: bench/results/, by the name of the machine)",
    )
    parser.add_argument(
        "--plot", type=Path, metavar="PATH", help="draw the ratios there, as PNG (needs matplotlib)"
    )
    options = parser.parse_args(command_line)
    parts = (options.quick, options.peers, options.workloads, options.only, options.threads != 1)
    options.is_whole = not any(parts) and options.peers is None
    for name, allowed, default in (
        ("peers", (*peers.PEERS, peers.SELF_TEST), peers.PEERS),
        ("only", SECTIONS, SECTIONS[:-1] if options.quick else SECTIONS),
    ):
        text = getattr(options, name)
        wanted = list(default) if text is None else words(text)
        setattr(options, name, wanted)
        for word in wanted:
            if word not in allowed:
                listed = ", ".join(x for x in allowed if x != peers.SELF_TEST)
                parser.error(f"--{name} must be some of {listed}, got {word}.")
    if options.threads < 1:
        parser.error(f"--threads must be at least 1, got {options.threads}.")
    options.workloads = words(options.workloads or "")
    if options.seconds is None:
        options.seconds = QUICK_SECONDS if options.quick else SECONDS
    if not 0 < options.seconds < math.inf:
        parser.error(f"--seconds must be a number above 0, got {options.seconds}.")
    # Now, not after minutes of measuring.
    for name, path in (("--json", options.json), ("--plot", options.plot)):
        if path is not None and not path.absolute().parent.is_dir():
            parser.error(f"{name} must be a path in a folder that is there, got {path}.")
    if options.plot is not None:
        if options.plot.suffix != ".png":
            parser.error(f"--plot must be a path that ends in .png, got {options.plot}.")
        if find_spec("matplotlib") is None:
            parser.error("--plot needs matplotlib, which is not installed.")
    return options


def complain(what: str) -> NoReturn:
    """End with the exit code of wrong usage, as argparse does."""
    print(f"run.py: error: {what}", file=sys.stderr)
    sys.exit(2)


def words(text: str) -> list[str]:
    """Return what stands between commas."""
    return [x.strip() for x in text.split(",") if x.strip()]


def load_peers(names: list[str]) -> tuple[list[ModuleType], dict[str, dict[str, str]]]:
    """Import and try the peers, ours last but first in the list; also tell what came of each."""
    candidates = {name: peers.find(name) for name in names}
    machine.free_openmp_variable()
    ours = peers.find(peers.OURS)
    if isinstance(ours, str):
        complain(f"fastbackprop must be installed: pip install '.[bench]'; it is {ours}.")
    modules, status = [ours], {peers.OURS: {"version": peers.version(ours)}}
    for name, module in candidates.items():
        absent = module if isinstance(module, str) else peers.try_out(module)
        if absent:
            status[name] = {"absent": absent}
        else:
            modules.append(module)
            status[name] = {"version": peers.version(module)}
    return modules, status


def benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """Do all measurements; return what goes into the JSON."""
    allowed = machine.allowed_cores()
    try:
        cores = machine.pin(options.threads)
    except ValueError as error:
        complain(str(error))
    modules, status = load_peers(options.peers)
    # These import NumPy and fastbackprop, so they come after the pinning.
    import checks
    import sections

    for word in options.workloads:
        if not sections.is_known(word):
            complain(f"--workloads must be parts of names as in the table, got {word}.")
    start = time.perf_counter()

    def say(what: str) -> None:
        print(f"{time.perf_counter() - start:4.0f} s  {what}", file=sys.stderr)

    results: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,  # of the minute before
        "machine": machine.description(cores),
        "settings": {
            "threads": options.threads,
            "seconds": options.seconds,
            "quick": options.quick,
        },
        "tolerances": checks.TOLERANCES,
        "peers": status,
        "workloads": [],
    }
    for measured in sections.workloads(options, modules, say):
        results["workloads"].append(measured)
    if "call" in options.only or "derivative" in options.only:
        results["workloads"] += sections.calls(options, status, say)
    if options.threads == 1 and "threads" in options.only:
        results["threads"] = sections.threads(options, status, allowed, say)
    if "footprint" in options.only and not options.workloads:
        import footprint

        say("import time, size, memory")
        present = [name for name, x in status.items() if "version" in x and name != peers.SELF_TEST]
        results["footprint"] = {name: footprint.measure(name) for name in present}
    results["seconds"] = time.perf_counter() - start
    return results


def main(command_line: list[str] | None = None) -> int:
    """Run the benchmark; 1 if a peer's result was wrong."""
    options = arguments(command_line)
    results = benchmark(options)
    import report

    print(report.text(results))
    path = options.json
    if path is None and options.is_whole:
        path = RESULTS / f"{results['machine']['name']}.json"
    if path:
        path.write_text(json.dumps(results, indent=1, allow_nan=False) + "\n")
        report.write(path)
    if options.plot:
        import plot

        plot.draw(results, options.plot)
    return 1 if report.wrong(results) else 0


if __name__ == "__main__":
    sys.exit(main())
