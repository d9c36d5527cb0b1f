"""The results as Markdown: ``python bench/report.py results/NAME.json`` writes NAME.md beside it.

Nothing is measured; with ``--readme README.md`` the table of that file is made anew, too, and with
``--plot docs/benchmark.png`` the picture.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import aims
import readme
from peers import OURS
from tables import (
    all_workloads,
    best_peer,
    cell,
    is_ours,
    labels_of,
    number,
    peak,
    table,
    title,
    wrong,
)

CAPTIONS = {
    "train": "Microseconds of a training step",
    "predict": "Microseconds of a call of `predict`",
    "call": "Microseconds of a call with one row",
    "derivative": "Microseconds of a call",
}
IN_BRACKETS = "in brackets, how many times fastbackprop's. Above 1x, fastbackprop is faster."


def speed(workloads: list[dict[str, Any]]) -> str:
    """Return microseconds, ours and, with the ratio to ours, everybody's; who is the best peer."""
    labels = [label for label in labels_of(workloads) if not label.startswith(f"{OURS},")]
    kinds = list(dict.fromkeys(workload["kind"] for workload in workloads))
    has_rates = any("gflops" in w["runners"][OURS] for w in workloads)
    rows = []
    for workload in workloads:
        ours = workload["runners"][OURS]
        cells = [number(ours["microseconds"])]
        if has_rates:
            cells += [number(ours["gflops"]), f"{ours['part_of_peak']:.0%}"]
        cells += [cell(workload["runners"].get(label)) for label in labels]
        name = workload["name"] if len(kinds) > 1 else title(workload)
        rows.append([name, *cells, best_peer(workload)])
    rates = ["GFLOP/s", "of peak"] if has_rates else []
    return table([" or ".join(kinds), OURS, *rates, *labels, "best peer"], rows)


def of_kind(workloads: list[dict[str, Any]], kind: str) -> str:
    """Return the table of one kind, with its caption."""
    workloads = [workload for workload in workloads if workload["kind"] == kind]
    return f"{CAPTIONS[kind]}; {IN_BRACKETS}\n\n{speed(workloads)}" if workloads else ""


def float64(results: dict[str, Any]) -> str:
    """Return our own time in float32 and in float64."""
    label = f"{OURS}, float64"
    rows = [
        [
            title(w),
            *(number(w["runners"][x]["microseconds"]) for x in (OURS, label)),
            f"{1 / w['runners'][label]['ratio']:.3f}x",
        ]
        for w in results["workloads"]
        if label in w["runners"]
    ]
    head = ["train", "float32", "float64", "speed of float64"]
    return (
        f"Microseconds of a training step of fastbackprop.\n\n{table(head, rows)}" if rows else ""
    )


def threads(workloads: list[dict[str, Any]], n: str) -> str:
    """Return our own time with one thread, with all, and with as many as we choose ourselves."""
    one, default = f"{OURS}, 1 thread", f"{OURS}, default"
    rows = []
    for workload in workloads:
        runners = workload["runners"]
        if one in runners:
            times = [runners[label]["microseconds"] for label in (one, OURS, default)]
            ratios = [
                f"{runners[one]['ratio'] / runners[label]['ratio']:.2f}x"
                for label in (OURS, default)
            ]
            rows.append([workload["name"], *map(number, times), *ratios])
    if not rows:
        return ""
    head = ["fastbackprop", "1 thread", n, "default", f"{n} are faster by", "default is faster by"]
    return f"Microseconds of fastbackprop with different numbers of threads.\n\n{table(head, rows)}"


def several_threads(results: dict[str, Any]) -> str:
    """Return the tables of the processes of their own, for two threads."""
    parts = results.get("threads", {})
    text = threads(parts.get("alone", []), "2 threads")
    others = [w for w in parts.get("beside_peers", []) if len(labels_of([w])) > 2]
    if others:
        text += (
            "\n\nIn a process beside the peers' threads, all with two, microseconds of a step or "
            f"call; {IN_BRACKETS}\n\n{speed(others)}"
        )
    return text


def _megabytes(size: float | None, digits: int) -> str:
    return "-" if size is None else f"{size:,.{digits}f} MB"


def footprint(results: dict[str, Any]) -> str:
    """Return import time, size and memory of each library."""
    rows = []
    for name, x in results.get("footprint", {}).items():
        memory = [_megabytes(x[key], 0) for key in ("memory_imported", "memory_training")]
        seconds = [
            f"{x[key] * 1000:,.0f} ms" for key in ("import_seconds", "import_seconds_after_numpy")
        ]
        sizes = [_megabytes(x[key], 1) for key in ("size", "size_with_dependencies")]
        rows.append([name, *seconds, *sizes, *memory])
    if not rows:
        return ""
    head = ["footprint", "import", "after NumPy's", "installed", "with dependencies",
            "memory: imported", "trained"]  # fmt: skip
    text = table(head, rows)
    expected = results["footprint"][OURS].get("expected_training")
    if expected:
        parts = ", ".join(f"{what} {size:.1f}" for what, size in expected.items())
        whole = sum(expected.values())
        text += (
            f"\n\nExpected of fastbackprop beyond its import, in MB: {parts}; together {whole:.1f}."
        )
    caption = (
        "Dependencies: NumPy not counted. "
        "Memory: peak after import, and after training 784-512-512-10."
    )
    return f"{caption}\n\n{text}"


def notes(results: dict[str, Any]) -> str:
    """Say which ways were the fastest, who is absent, and how results were checked."""
    lines = ["Which way of each library was the fastest, and in how many lines:", ""]
    workloads = list(all_workloads(results))
    for label in [OURS, *labels_of(workloads)]:
        if label == OURS or not is_ours(label):
            ways = Counter(w["runners"][label]["way"] for w in workloads if label in w["runners"])
            lines.append(f"- {label}: {', '.join(f'{way} ({n})' for way, n in ways.items())}.")
    reasons = dict.fromkeys(
        (label, text) for w in workloads for label, text in w["unsupported"].items()
    )
    lines += [f"- {label}: - where {text}." for label, text in reasons]
    lines += [f"- {name}: {x['absent']}." for name, x in results["peers"].items() if "absent" in x]
    limits = results["tolerances"]
    lines.append(
        "- Checked against fastbackprop: after an epoch from the same weights in the same order, "
        f"the loss (in float64) to {limits['loss']:g} of its change and every weight to "
        f"{limits['weights']:g} of the largest change; with Adam to {limits['adam_loss']:g} and "
        f"{limits['adam_weights']:g} of the root mean square; with dropout, whose masks differ, "
        f"the loss to {limits['dropout_loss']:g}; predictions to {limits['outputs']:g}; what "
        f"single calls return to {limits['calls']:g}."
    )
    lines += [f"- WRONG: {label} in {name}: {check}" for name, label, check in wrong(results)]
    return "\n".join(lines)


def heading(results: dict[str, Any]) -> str:
    """Return the machine and the versions in some lines."""
    x, n = results["machine"], results["settings"]["threads"]
    caches = ", ".join(f"{name} {size}" for name, size in x["caches"].items())
    versions = ", ".join(
        f"{name} {p['version']}" for name, p in results["peers"].items() if "version" in p
    )
    family = f", family {x['cpu family']} model {x['model']}" if "cpu family" in x else ""
    load = results["load"]
    before = "" if load is None else f"load of the minute before {load:.1f}; "
    return (
        f"`{x['name']}`: {x['cpu']}{family} ({caches}), {n} thread{'s' * (n > 1)} on "
        f"{x['cores used']} of {x['cores']} cores; {peak(results)}; {results['date']}; {before}"
        f"{x['os']}, "
        f"{x['python']}, kernels {x['kernels']}, OpenBLAS's kernels {x['openblas']}.\n{versions}."
    )


def sections(results: dict[str, Any]) -> dict[str, str]:
    """Return title and text of each part."""
    workloads = results["workloads"]
    plain = [w for w in workloads if not w.get("method")]
    n = f"{results['settings']['threads']} threads"
    return {
        "Training": of_kind(plain, "train"),
        "Training by other methods": of_kind([w for w in workloads if w.get("method")], "train"),
        "Prediction": of_kind(workloads, "predict"),
        "One sample a call": of_kind(workloads, "call"),
        "Derivatives": of_kind(workloads, "derivative"),
        "float64": float64(results),
        "Threads": threads(workloads, n) or several_threads(results),
        "Footprint": footprint(results),
        "Aims": aims.text(results),
        "Notes": notes(results),
    }


def text(results: dict[str, Any]) -> str:
    """Return all of it."""
    parts = [f"## {name}\n\n{part}" for name, part in sections(results).items() if part]
    return "\n\n".join([heading(results), *parts])


def write(path: Path) -> None:
    """Write the tables of a JSON beside it."""
    results = json.loads(path.read_text(encoding="utf-8"))
    made = f"Made of [{path.name}]({path.name}) by `bench/report.py`."
    body = (
        f"# Results of the benchmark: {results['machine']['name']}\n\n{made}\n\n{text(results)}\n"
    )
    path.with_suffix(".md").write_text(body, encoding="utf-8")


def main() -> int:
    """Write the tables, and what else is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("json", type=Path, help="results as bench/run.py writes them")
    parser.add_argument("--readme", type=Path, help="make the table of this README anew, too")
    parser.add_argument("--plot", type=Path, help="draw the picture there (needs matplotlib)")
    options = parser.parse_args()
    if not options.json.is_file():
        parser.error(f"json must be a file of results, got {options.json}, where there is none.")
    results = json.loads(options.json.read_text(encoding="utf-8"))
    write(options.json)
    if options.readme:
        before = options.readme.read_text(encoding="utf-8")
        if not readme.BLOCK.search(before):
            parser.error(
                f"--readme must have a line that begins with Measured on 20, got {options.readme}."
            )
        after = readme.BLOCK.sub(lambda _: readme.text(results), before)
        options.readme.write_text(after, encoding="utf-8")
    if options.plot:
        import plot

        plot.draw(results, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
