"""The results as text: Markdown tables that can also be read as they are."""

from collections import Counter
from typing import Any

from peers import OURS

Row = list[str]


def table(head: Row, rows: list[Row]) -> str:
    """Lay out a Markdown table; all columns but the first are numbers, on the right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]

    def line(row: Row) -> str:
        cells = [
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(cells)} |"

    return "\n".join(line(row) for row in [head, rule, *rows])


def number(x: float) -> str:
    """Return three digits, without exponent."""
    return f"{x:,.0f}" if x >= 100 else f"{x:.{1 if x >= 10 else 2 if x >= 1 else 3}f}"


def labels_of(workloads: list[dict[str, Any]]) -> list[str]:
    """Return all runners but ours, in the order of their first appearance."""
    return [
        label
        for label in dict.fromkeys(x for w in workloads for x in w["runners"])
        if label != OURS
    ]


def wrong(results: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return workload, runner and check wherever a result was wrong."""
    return [
        (workload["name"], label, runner["check"])
        for workload in results["workloads"]
        for label, runner in workload["runners"].items()
        if not runner["check"]["right"]
    ]


def _cell(runner: dict[str, Any] | None) -> str:
    if runner is None:
        return "-"
    if not runner["check"]["right"]:
        return "WRONG"
    return f"{number(runner['microseconds'])} ({number(runner['ratio'])}x)"


def speed(workloads: list[dict[str, Any]], kind: str) -> str:
    """Return microseconds of a step or call, ours and, with the ratio to ours, everybody's."""
    workloads = [x for x in workloads if x["kind"] == kind]
    if not workloads:
        return ""
    labels = [label for label in labels_of(workloads) if not label.startswith(f"{OURS},")]
    rows = []
    for workload in workloads:
        ours = workload["runners"][OURS]
        our_cells = [
            number(ours["microseconds"]),
            number(ours["gflops"]),
            f"{ours['part_of_peak']:.0%}",
        ]
        name = workload["name"].removeprefix(f"{kind} ")
        name += ", regression" if workload["loss"] == "half_squared_error" else ""
        rows.append(
            [name, *our_cells, *(_cell(workload["runners"].get(label)) for label in labels)]
        )
    unit = "a training step" if kind == "train" else "a call of predict"
    caption = (
        f"Microseconds of {unit}; in brackets: how many times ours. "
        "Above 1x, fastbackprop is faster."
    )
    return f"{caption}\n\n{table([kind, OURS, 'GFLOP/s', 'of peak', *labels], rows)}"


def threads(results: dict[str, Any]) -> str:
    """Return our own time with one thread, with all, and with as many as we choose ourselves."""
    one, default = f"{OURS}, 1 thread", f"{OURS}, default"
    rows = []
    for workload in results["workloads"]:
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
    n = f"{results['settings']['threads']} threads"
    head = ["fastbackprop", "1 thread", n, "default", f"{n} are faster by", "default is faster by"]
    return f"Microseconds of fastbackprop with different numbers of threads.\n\n{table(head, rows)}"


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
    head = [
        "footprint",
        "import",
        "after NumPy's",
        "installed",
        "with dependencies",
        "memory: imported",
        "trained",
    ]
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
    lines = ["Which way of each library was the fastest, and in how many workloads:", ""]
    for label in [OURS, *labels_of(results["workloads"])]:
        ways = Counter(
            w["runners"][label]["way"] for w in results["workloads"] if label in w["runners"]
        )
        lines.append(f"- {label}: {', '.join(f'{way} ({n})' for way, n in ways.items())}.")
    reasons = dict.fromkeys(
        (label, text) for w in results["workloads"] for label, text in w["unsupported"].items()
    )
    lines += [f"- {label}: - where {text}." for label, text in reasons]
    lines += [f"- {name}: {x['absent']}." for name, x in results["peers"].items() if "absent" in x]
    limits = results["tolerances"]
    lines.append(
        "- Checked against fastbackprop: after an epoch from the same weights in the same order, "
        f"the loss (in float64) to {limits['loss']:g} of its change and every weight to "
        f"{limits['weights']:g} of the largest change; with Adam to {limits['adam_loss']:g} and "
        f"{limits['adam_weights']:g} of the root mean square; with dropout, whose masks differ, "
        f"the loss to {limits['dropout_loss']:g}; predictions to {limits['outputs']:g}."
    )
    lines += [f"- WRONG: {label} in {name}: {check}" for name, label, check in wrong(results)]
    return "\n".join(lines)


def heading(results: dict[str, Any]) -> str:
    """Return the machine and the versions in two lines."""
    x, n = results["machine"], results["settings"]["threads"]
    caches = ", ".join(f"{name} {size}" for name, size in x["caches"].items())
    peaks = [w["peak_gflops"] for w in results["workloads"]]
    peak = f"; FMA peak {min(peaks):.0f} to {max(peaks):.0f} GFLOP/s"
    versions = ", ".join(
        f"{name} {p['version']}" for name, p in results["peers"].items() if "version" in p
    )
    return (
        f"{x['cpu']} ({caches}), {n} thread{'s' * (n > 1)} on {x['cores used']} of {x['cores']} "
        f"cores{peak}; "
        f"{x['os']}, {x['python']}, kernels {x['kernels']}.\n{versions}."
    )


def text(results: dict[str, Any]) -> str:
    """Return all of it."""
    workloads = results["workloads"]
    parts = [
        heading(results),
        speed(workloads, "train"),
        speed(workloads, "predict"),
        threads(results),
    ]
    return "\n\n".join(part for part in [*parts, footprint(results), notes(results)] if part)
