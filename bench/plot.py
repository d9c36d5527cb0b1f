"""The ratios as a picture: a line for each workload, a dot for each library."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from peers import OURS
from tables import labels_of, number

# Colours that the colour-blind can tell apart (Okabe and Ito); each with a shape of its own all the
# same.
STYLES = {
    "NumPy": ("o", "#0072B2"),
    "PyTorch": ("s", "#D55E00"),
    "JAX scan": ("D", "#009E73"),
    "JAX step": ("^", "#56B4E9"),
    "JAX": ("D", "#009E73"),
    "scikit-learn": ("v", "#CC79A7"),
    "ONNX Runtime": ("P", "#E69F00"),
}
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 300, 1000, 3000)
Line = tuple[str, dict[str, Any] | None]  # a heading, or a workload with its name
LINE_HEIGHT = 0.3  # inches for a workload
LEFT = 0.42  # where the names end
KINDS = {
    "call": "One row a call, and fastbackprop's time",
    "train": "A training step, and fastbackprop's time",
    "predict": "A call of predict, and fastbackprop's time",
    "derivative": "Derivatives, and fastbackprop's time",
}
# Of a run that has more lines than a picture should have.
MOST_LINES = 30
PICTURED = (
    "call 4-8-3 step",
    "call 4-8-3 step by hand",
    "call 4-8-3 forward",
    "call 4-8-3 evaluate",
    "call 4-8-3 jacobian",
    "train 4-8-3 batch 1",
    "train 3-3-2 batch 1",
    "train 5-5-1 batch 1",
    "train 64-64-10 batch 32",
    "train 17-64-64-6 batch 64",
    "train 100-10 batch 64",
    "train 100-10 batch 64 Adam",
    "train 784-128-10 batch 128",
    "train 50-256-256-256-1 batch 256",
    "train 50-256-256-256-1 batch 256 Adam",
    "train 1024-1024-1024-1024-10 batch 512",
    "predict 64-64-10 1 row",
    "predict 64-64-10 1024 rows",
    "predict 784-128-10 1 row",
    "predict 784-128-10 1024 rows",
    "derivative 64-64-10 32 rows jacobian",
    "derivative 784-128-10 128 rows jacobian",
    "derivative 784-128-10 128 rows hessian_vector_product",
)


def _groups(results: dict[str, Any]) -> list[Line]:
    """Return the picture's lines, top to bottom: headings (without a workload) and workloads."""
    lines: list[Line] = []
    every = results["workloads"]
    if len(every) > MOST_LINES:
        every = [workload for workload in every if workload["name"] in PICTURED]
    for kind, heading in KINDS.items():
        workloads = [w for w in every if w["kind"] == kind]
        if workloads:
            lines.append((heading, None))
        lines += [
            (f"{_title(x)}   {_duration(x['runners'][OURS]['microseconds'])}", x) for x in workloads
        ]
    return lines


def _title(workload: dict[str, Any]) -> str:
    """Return a short name: what is left has 40 % of the width."""
    name = workload["name"].removeprefix(f"{workload['kind']} ")
    return name.replace("hessian_vector_product", "Hessian product")


def _duration(microseconds: float) -> str:
    return (
        f"{number(microseconds)} µs" if microseconds < 1000 else f"{number(microseconds / 1000)} ms"
    )


def _ratios(workload: dict[str, Any]) -> dict[str, float]:
    runners = workload["runners"].items()
    return {label: x["ratio"] for label, x in runners if label in STYLES and x["check"]["right"]}


def draw(results: dict[str, Any], path: Path) -> None:
    """Write the picture.

    Parameters
    ----------
    results : dict
        As ``run.py`` makes them.
    path : Path
        Path of the PNG; 800 pixels wide, and as sharp as twice that.
    """
    lines = _groups(results)
    labels = [label for label in labels_of(results["workloads"]) if label in STYLES]
    height = 1.7 + LINE_HEIGHT * len(lines)
    figure = Figure(figsize=(8, height), dpi=200, facecolor="white")
    axes = figure.add_axes((LEFT, 0.75 / height, 0.97 - LEFT, LINE_HEIGHT * len(lines) / height))
    for y, (_, workload) in enumerate(lines):
        if workload:
            _draw_line(axes, y, _ratios(workload))
    _furnish(axes, lines)
    in_legend = [label for label in labels if label != "JAX" or "JAX scan" not in labels]
    handles = [
        Line2D([], [], linestyle="", label=_name(label, labels), **_dot(label))
        for label in in_legend
    ]
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=7,
        frameon=False,
        fontsize=9,
        columnspacing=1,
        handletextpad=0,
    )
    n = results["settings"]["threads"]
    text = "Where dots are right of the line, fastbackprop is better"
    where = f"{n} thread{'s' * (n > 1)}, float32, {results['machine']['cpu']}"
    figure.text(
        0.02, 1 - 0.3 / height, "Time compared with fastbackprop's", fontsize=14, weight="bold"
    )
    figure.text(0.02, 1 - 0.55 / height, f"{text}. {where}.", fontsize=9.5, color="#444444")
    figure.savefig(path)


def _name(label: str, labels: list[str]) -> str:
    return "JAX scan, calls: jit" if label == "JAX scan" and "JAX" in labels else label


def _dot(label: str) -> dict[str, Any]:
    marker, colour = STYLES[label]
    return {"marker": marker, "color": colour, "markersize": 8, "markeredgecolor": "white"}


def _draw_line(axes: Any, y: int, ratios: dict[str, float]) -> None:
    """Draw a workload's dots, and the span from the first to the last, ours included."""
    axes.plot(
        [min([1, *ratios.values()]), max([1, *ratios.values()])], [y, y], color="#d8d8d8", zorder=1
    )
    for label, ratio in ratios.items():
        axes.plot(ratio, y, zorder=3, clip_on=False, **_dot(label))


def _furnish(axes: Any, lines: list[Line]) -> None:
    """Scale, grid, and the names of the lines."""
    ratios = [
        ratio for _, workload in lines if workload for ratio in _ratios(workload).values()
    ] or [1]
    left, right = min(0.6, 0.85 * min(ratios)), max(3, 1.25 * max(ratios))
    axes.set_xscale("log")
    axes.set_xlim(left, right)
    axes.set_ylim(len(lines) - 0.5, -0.7)
    ticks = [x for x in TICKS if left <= x <= right]
    axes.set_xticks(ticks, [f"{x:g}x" for x in ticks], fontsize=9.5)
    axes.minorticks_off()
    axes.grid(axis="x", color="#eeeeee", zorder=0)
    axes.axvspan(left, 1, color="#f3f3f3", zorder=0)
    axes.axvline(1, color="black", linewidth=1.5, zorder=2)
    names = [(y, name) for y, (name, workload) in enumerate(lines) if workload]
    axes.set_yticks([y for y, _ in names], [name for _, name in names], fontsize=9)
    for y in (y for y, (_, workload) in enumerate(lines) if not workload):
        axes.text(
            -0.01,
            y,
            lines[y][0],
            ha="right",
            va="center",
            weight="bold",
            fontsize=9.5,
            transform=axes.get_yaxis_transform(),
        )
    axes.text(1.06, -0.85, "slower than fastbackprop →", fontsize=9)
    axes.text(0.94, -0.85, "← faster", ha="right", fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
