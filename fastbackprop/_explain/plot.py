"""An Explanation as a picture, by matplotlib."""

from typing import Any

import numpy as np

from fastbackprop._explain.blame import percent
from fastbackprop._explain.chain import name_of
from fastbackprop._explain.chain import shown_number as number
from fastbackprop._explain.columns import shown_neurons

__all__ = ["draw"]

MOST = 8  # neurons of a layer
MOST_LETTERS = 24  # of a name: longer ones would lie on their neighbours
MOST_LABELS = 12  # weights of a layer: more could not be read
CIRCLE = 2100  # points squared: all circles are of one size, which means nothing
PLUS, MINUS, BLAME = "teal", "mediumvioletred", "tab:orange"


def draw(e: Any, by: str, axes: Any) -> Any:
    """Draw an Explanation's network, lines and neurons by value or by blame; return the axes."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(
            "plot needs matplotlib, which is not installed: pip install 'fastbackprop[plot]'."
        ) from None
    shares = [e.blame.inputs, *e.blame.neurons]
    neurons = shown_neurons(shares, [x.kind for x in e.layers], MOST)
    height = max(map(len, neurons))
    if axes is None:
        size = (2.8 * len(neurons) + 0.6, 1.1 * height + 2)
        axes = Figure(size, layout="constrained").add_subplot()
    places = [[(k, (len(x) - 1) / 2 - i) for i in range(len(x))] for k, x in enumerate(neurons)]
    for k in range(len(e.layers)):
        if e.layers[k].kind == "Dense":
            _draw_weights(axes, e, by, k, places, neurons)
        else:
            _draw_straight(axes, places[k], places[k + 1])
    for k in range(len(neurons)):
        _draw_neurons(axes, e, by, k, places[k], neurons[k])
        _name_column(axes, e, k, len(shares[k]) - len(neurons[k]), height)
    what = "weights" if by == "value" else "shares of the blame, and delta below a"
    title = f"{what}; C = {number(e.cost)}, after the step {number(e.after.cost)}"
    axes.set_title(title, fontsize=11)
    axes.set(xlim=(-0.5, len(neurons) - 0.5), ylim=(-height / 2 - 0.75, height / 2 + 0.2))
    axes.set_axis_off()
    _add_legend(axes, by)
    return axes


def _name_column(axes: Any, e: Any, k: int, n_others: int, height: int) -> None:
    """Write under a column which layer it is, and how many neurons aren't shown."""
    last = len(e.layers)
    name = "inputs x" if k == 0 else "outputs y_hat" if k == last else f"hidden a{k}"
    kind = "Dense" if k == 0 else e.layers[k - 1].kind
    if kind != "Dense":
        name += f"\n{e.layers[k - 1].activation if kind == 'Activation' else kind}"
    name += f"\nand {n_others:,} more" if n_others else ""
    axes.text(k, -height / 2 - 0.2, name, ha="center", va="top", fontsize=10)


def _draw_weights(axes: Any, e: Any, by: str, k: int, places: Any, neurons: Any) -> None:
    """Draw a line for each weight of layer k between neurons that are shown; few have labels."""
    values = e.layers[k].weight if by == "value" else e.blame.weights[k]
    values = values[neurons[k][:, None], neurons[k + 1]]
    largest = abs(values).max() or 1.0
    for (i, j), value in np.ndenumerate(values):
        (x1, y1), (x2, y2) = places[k][i], places[k + 1][j]
        size = abs(value) / largest
        color = BLAME if by == "blame" else PLUS if value >= 0 else MINUS
        width, alpha = 0.4 + 4 * size, 0.25 + 0.7 * size
        axes.plot([x1, x2], [y1, y2], color=color, linewidth=width, alpha=alpha, zorder=1)
        if values.size <= MOST_LABELS:
            # At another part of the way for each neuron, so that labels stand apart.
            t = 0.5 if len(values) == 1 else 0.3 + 0.4 * i / (len(values) - 1)
            text = number(value) if by == "value" else percent(value)
            axes.annotate(
                text,
                (x1 + t * (x2 - x1), y1 + t * (y2 - y1)),
                (0, 3),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=9,
                bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"},
            )


def _draw_straight(axes: Any, before: Any, behind: Any) -> None:
    """Draw the lines of a layer without weights between neurons: each number has its own."""
    for (x1, y1), (x2, y2) in zip(before, behind, strict=True):
        axes.plot([x1, x2], [y1, y2], color="dimgray", linewidth=1, zorder=1)


def _draw_neurons(axes: Any, e: Any, by: str, k: int, places: Any, neurons: np.ndarray) -> None:
    """Draw a circle with a, and for blame delta, for each neuron that is shown; k = 0: inputs."""
    sample = int(np.argmax(e.costs))
    a = e.x if k == 0 else e.layers[k - 1].a
    names = e.feature_names if k == 0 else e.class_names if k == len(e.layers) else None
    letter = "x" if k == 0 else "y_hat" if k == len(e.layers) else f"a{k}"
    for (x, y), j in zip(places, neurons, strict=True):
        axes.scatter([x], [y], s=CIRCLE, c="white", edgecolors="dimgray", zorder=2)
        text = number(a[sample, j])
        if by == "blame" and k:
            text += f"\n{number(e.layers[k - 1].delta[sample, j])}"
        axes.text(x, y, text, ha="center", va="center", fontsize=8, zorder=3)
        name = names[j] if names else name_of(letter, a.shape[1], int(j))
        axes.annotate(
            name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}…", (x, y), (0, -26),
            textcoords="offset points", ha="center", va="top", fontsize=9,
            parse_math=False,  # a name may have a dollar in it
            bbox={"boxstyle": "round,pad=0.05", "facecolor": "white", "edgecolor": "none"},
            zorder=3,
        )  # fmt: skip


def _add_legend(axes: Any, by: str) -> None:
    """Say what colours and widths of lines mean."""
    from matplotlib.lines import Line2D

    meanings = {"weight above 0": PLUS, "weight below 0": MINUS}
    if by == "blame":
        meanings = {"share of the blame": BLAME}
    lines = [Line2D([], [], color=color, linewidth=3) for color in meanings.values()]
    title = "wider: larger" if by == "value" else "wider: more to blame"
    axes.legend(
        lines, meanings, title=title, loc="upper center", bbox_to_anchor=(0.5, -0.01),
        ncols=len(meanings), frameon=False, fontsize=9, title_fontsize=9,
    )  # fmt: skip
