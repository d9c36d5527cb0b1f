"""An Explanation as a picture, by matplotlib."""

from typing import Any

import numpy as np

from fastbackprop._explain.chain import name_of
from fastbackprop._explain.chain import shown_number as number

__all__ = ["draw"]

MOST = 8  # neurons of a layer


def draw(e: Any, by: str, axes: Any) -> Any:
    """Draw an Explanation's network, lines and neurons by value or by blame; return the axes."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(
            "plot needs matplotlib, which is not installed: pip install 'fastbackprop[plot]'."
        ) from None
    shares = [e.blame.inputs, *e.blame.neurons]
    shown = [np.sort(np.argsort(-x, kind="stable")[:MOST]) for x in shares]
    if axes is None:
        axes = Figure(
            (2.6 * len(shown), 0.9 * max(map(len, shown)) + 1.6), layout="constrained"
        ).add_subplot()
    sample = int(np.argmax(e.costs))
    places = [[(k, (len(x) - 1) / 2 - i) for i in range(len(x))] for k, x in enumerate(shown)]
    for k, layer in enumerate(e.layers):
        values = layer.weight if by == "value" else e.blame.weights[k]
        values = values[shown[k][:, None], shown[k + 1]]
        largest = abs(values).max() or 1.0
        for (i, j), value in np.ndenumerate(values):
            (x1, y1), (x2, y2) = places[k][i], places[k + 1][j]
            size = abs(value) / largest
            color = "tab:orange" if by == "blame" else "teal" if value >= 0 else "mediumvioletred"
            axes.plot(
                [x1, x2],
                [y1, y2],
                color=color,
                linewidth=0.4 + 4 * size,
                alpha=0.25 + 0.7 * size,
                zorder=1,
            )
    for k, neurons in enumerate(shown):
        a = e.x if k == 0 else e.layers[k - 1].a
        for (x, y), j in zip(places[k], neurons, strict=True):
            text = number(a[sample, j])
            if by == "blame" and k:
                text += f"\n{number(e.layers[k - 1].delta[sample, j])}"
            face = {"boxstyle": "circle,pad=0.35", "facecolor": "white", "edgecolor": "dimgray"}
            axes.text(x, y, text, ha="center", va="center", fontsize=8, bbox=face, zorder=2)
        name = "x" if k == 0 else "y_hat" if k == len(e.layers) else name_of(f"a{k}", 1, 0)
        more = len(shares[k]) - len(neurons)
        axes.text(
            k,
            -max(map(len, shown)) / 2 - 0.3,
            name + (f"\nand {more:,} more" if more else ""),
            ha="center",
            va="top",
        )
    what = "weights" if by == "value" else "share of the blame, and delta below a"
    axes.set_title(
        f"{what}; C = {number(e.cost)}, after the step {number(e.after.cost)}", fontsize=10
    )
    axes.set(
        xlim=(-0.5, len(shown) - 0.5),
        ylim=(-max(map(len, shown)) / 2 - 0.9, max(map(len, shown)) / 2 + 0.2),
    )
    axes.set_axis_off()
    return axes
