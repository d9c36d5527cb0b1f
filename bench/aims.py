"""What the project has set out to reach, and what a run says of it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from peers import OURS
from tables import best_of, number, table

Figure = Callable[[dict[str, Any]], float | None]  # of results; None: it wasn't measured
SMALL = 10_000  # operations of a step
ONE_THREAD, FLOAT64 = f"{OURS}, 1 thread", f"{OURS}, float64"
DERIVATIVES = ("input_gradient", "jacobian", "hessian_vector_product")


class Aim(NamedTuple):
    """A line of the table: ``limit`` is the most or the least that ``figure`` should be."""

    text: str
    figure: Figure
    limit: float
    form: str = "{}"
    is_most: bool = False


def _workload(results: dict[str, Any], name: str, part: str = "") -> dict[str, Any] | None:
    workloads = results.get("threads", {}).get(part, []) if part else results["workloads"]
    return next((w for w in workloads if w["name"] == name), None)


def microseconds(name: str) -> Figure:
    """Return what reads our time of a line."""

    def figure(results: dict[str, Any]) -> float | None:
        w = _workload(results, name)
        return w and w["runners"][OURS]["microseconds"]

    return figure


def part_of_peak(name: str) -> Figure:
    """Return what reads our part of the machine's peak."""

    def figure(results: dict[str, Any]) -> float | None:
        w = _workload(results, name)
        return w and w["runners"][OURS]["part_of_peak"]

    return figure


def over(names: list[str], peer: str = "", part: str = "") -> Figure:
    """Return what reads the least ratio of the best such peer's time to ours, of some lines."""

    def figure(results: dict[str, Any]) -> float | None:
        lines = [w for name in names if (w := _workload(results, name, part))]
        bests = [best for w in lines if (best := best_of(w, peer))]
        return min(ratio for _, ratio in bests) if bests else None

    return figure


def over_jax_where_small(results: dict[str, Any]) -> float | None:
    """Return the least ratio over JAX of all trainings of few operations."""
    small = [w["name"] for w in results["workloads"] if w["kind"] == "train" and w["flops"] < SMALL]
    return over(small, "JAX")(results)


def gain(name: str) -> Figure:
    """Return what reads how many times as fast two threads are as one, alone in a process."""

    def figure(results: dict[str, Any]) -> float | None:
        w = _workload(results, name, "alone")
        return w["runners"][ONE_THREAD]["ratio"] if w and ONE_THREAD in w["runners"] else None

    return figure


def float64(name: str) -> Figure:
    """Return what reads our speed in float64 as a part of that in float32."""

    def figure(results: dict[str, Any]) -> float | None:
        w = _workload(results, name)
        return 1 / w["runners"][FLOAT64]["ratio"] if w and FLOAT64 in w["runners"] else None

    return figure


def _aims() -> list[Aim]:
    wide = "train 1024-1024-1024-1024-10 batch 512"
    us, percent, times = "{} us", "{} %", "{}x"
    lines = [
        Aim(f"{call}, 4-8-3", microseconds(f"call 4-8-3 {call}"), limit, us, is_most=True)
        for call, limit in (
            ("step", 1.0), ("step by hand", 4.0), ("forward", 1.0), ("input_gradient", 1.5),
            ("jacobian", 1.5), ("evaluate", 1.5), ("fit of one row", 4.0),
        )
    ]  # fmt: skip
    lines += [
        Aim(f"{name}, one row of an epoch", microseconds(f"train {name} batch 1"), limit, us, True)
        for name, limit in (("3-3-2", 0.1), ("5-5-1", 0.022))
    ]
    lines.append(Aim("below 10,000 operations a step: over JAX", over_jax_where_small, 2.0, times))
    lines += [
        Aim(f"{name}: of the FMA peak", part_of_peak(f"train {name}"), limit, percent)
        for limit, names in (
            (0.80, ("64-64-10 batch 32", "17-64-64-6 batch 64", "2000-50-3 batch 256",
                    "100-300-1 batch 64")),
            (0.93, ("784-128-10 batch 128", "784-512-512-10 batch 256",
                    wide.removeprefix("train "))),
        )
        for name in names
    ]  # fmt: skip
    lines += [
        Aim(f"{name}: two threads over one", gain(name), limit, times)
        for name, limit in (
            ("train 784-128-10 batch 128", 1.9), ("train 784-512-512-10 batch 256", 1.9),
            (wide, 1.9), ("train 17-64-64-6 batch 64", 1.5),
            ("train 50-256-256-256-1 batch 256", 1.8), ("predict 64-64-10 1024 rows", 1.6),
            ("predict 784-128-10 1024 rows", 1.85),
        )
    ]  # fmt: skip
    lines += [
        Aim(f"{name}, two threads beside the peers' own: over the best peer",
            over([name], part="beside_peers"), 1.0, times)
        for name in (wide, "predict 784-128-10 1024 rows")
    ]  # fmt: skip
    lines += [
        Aim(f"derivatives of {net} rows, the least of three: over JAX",
            over([f"derivative {net} rows {call}" for call in DERIVATIVES], "JAX"), limit, times)
        for limit, nets in (
            (2.0, ("4-8-3 32", "4-16-16-3 32", "13-37-5 17", "64-64-10 32", "17-64-64-6 64")),
            (1.05, ("30-200-200-2 100", "784-128-10 128", "784-512-512-10 256",
                    "1024-1024-1024-1024-10 32")),
        )
        for net in nets
    ]  # fmt: skip
    lines += [
        Aim(f"{name}: speed of float64 by that of float32", float64(f"train {name}"), 0.5, times)
        for name in ("64-64-10 batch 32", "784-512-512-10 batch 256")
    ]
    return lines


def text(results: dict[str, Any]) -> str:
    """Return the table of aims, or nothing where none was measured."""
    rows = []
    for aim in _aims():
        figure = aim.figure(results)
        if figure is None:
            continue
        is_met = figure <= aim.limit if aim.is_most else figure >= aim.limit
        scale = 100 if "%" in aim.form else 1
        shown = [aim.form.format(number(scale * x)) for x in (aim.limit, figure)]
        sign = "at most" if aim.is_most else "at least"
        rows.append([aim.text, f"{sign} {shown[0]}", shown[1], "yes" if is_met else "no"])
    return table(["what", "aim", "measured", "reached"], rows) if rows else ""
