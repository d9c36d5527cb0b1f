"""Markdown tables that can also be read as they are, and what stands in their cells."""

from collections.abc import Iterator
from statistics import median
from typing import Any

from peers import OURS

Row = list[str]
Results = dict[str, Any]


def table(head: Row, rows: list[Row]) -> str:
    """Lay out a Markdown table; all columns but the first are numbers, on the right."""
    widths = [max(3, *(len(row[i]) for row in [head, *rows])) for i in range(len(head))]
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


def labels_of(workloads: list[Results]) -> list[str]:
    """Return all runners but ours, in the order of their first appearance."""
    return [
        label
        for label in dict.fromkeys(x for w in workloads for x in w["runners"])
        if label != OURS
    ]


def is_ours(label: str) -> bool:
    """Return whether a label is one of ours: with other threads, or in float64."""
    return label == OURS or label.startswith((f"{OURS},", f"{OURS} "))


def all_workloads(results: Results) -> Iterator[Results]:
    """Yield all that was measured, also by several threads."""
    yield from results["workloads"]
    for workloads in results.get("threads", {}).values():
        yield from workloads


def wrong(results: Results) -> list[tuple[str, str, Results]]:
    """Return workload, runner and check wherever a result was wrong."""
    return [
        (workload["name"], label, runner["check"])
        for workload in all_workloads(results)
        for label, runner in workload["runners"].items()
        if not runner["check"]["right"]
    ]


def cell(runner: Results | None) -> str:
    """Return microseconds and how many times ours they are."""
    if runner is None:
        return "-"
    if not runner["check"]["right"]:
        return "WRONG"
    return f"{number(runner['microseconds'])} ({number(runner['ratio'])}x)"


def best_of(workload: Results, prefix: str = "") -> tuple[str, float] | None:
    """Return the fastest of the peers whose label begins so, and how many times ours it took."""
    ratios = {
        label: runner["ratio"]
        for label, runner in workload["runners"].items()
        if label.startswith(prefix) and not is_ours(label) and runner["check"]["right"]
    }
    return min(ratios.items(), key=lambda pair: pair[1]) if ratios else None


def best_peer(workload: Results) -> str:
    """Return the cell that names the fastest peer."""
    best = best_of(workload)
    return f"{best[0]} {number(best[1])}x" if best else "-"


def title(workload: Results) -> str:
    """Return a workload's name without its kind."""
    text = workload["name"].removeprefix(f"{workload['kind']} ")
    return text + (", regression" if workload.get("loss") == "half_squared_error" else "")


def peak(results: Results) -> str:
    """Say what the machine's cores can do, and between what it lay from line to line."""
    peaks = [w["peak_gflops"] for w in results["workloads"]]
    if not peaks:
        return "no FMA peak"
    return f"FMA peak {median(peaks):.0f} GFLOP/s ({min(peaks):.0f} to {max(peaks):.0f})"
