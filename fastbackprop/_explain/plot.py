"""An Explanation as a picture, by matplotlib."""

from typing import Any

import numpy as np

from fastbackprop._explain.chain import shown_number as number

__all__ = ["draw"]

MOST = 8  # neurons of a layer
CIRCLE = {"boxstyle": "circle,pad=0.35", "facecolor": "white", "edgecolor": "dimgray"}


def draw(e: Any, by: str, axes: Any) -> Any:
    """Draw an Explanation's network, lines and neurons by value or by blame; return the axes."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(
            "plot needs matplotlib, which is not installed: pip install 'fastbackprop[plot]'."
        ) from None
    shares = [e.blame.inputs, *e.blame.neurons]
    neurons = [np.sort(np.argsort(-x, kind="stable")[:MOST]) for x in shares]
    height = max(map(len, neurons))
    if axes is None:
        size = (2.6 * len(neurons), 0.9 * height + 1.6)
        axes = Figure(size, layout="constrained").add_subplot()
    places = [[(k, (len(x) - 1) / 2 - i) for i in range(len(x))] for k, x in enumerate(neurons)]
    for k in range(len(e.layers)):
        _draw_weights(axes, e, by, k, places, neurons)
    for k in range(len(neurons)):
        _draw_neurons(axes, e, by, k, places[k], neurons[k])
        name = "x" if k == 0 else "y_hat" if k == len(e.layers) else f"a{k}"
        n_others = len(shares[k]) - len(neurons[k])
        name += f"\nand {n_others:,} more" if n_others else ""
        axes.text(k, -height / 2 - 0.3, name, ha="center", va="top")
    what = "weights" if by == "value" else "share of the blame, and delta below a"
    title = f"{what}; C = {number(e.cost)}, after the step {number(e.after.cost)}"
    axes.set_title(title, fontsize=10)
    axes.set(xlim=(-0.5, len(neurons) - 0.5), ylim=(-height / 2 - 0.9, height / 2 + 0.2))
    axes.set_axis_off()
    return axes


def _draw_weights(axes: Any, e: Any, by: str, k: int, places: Any, neurons: Any) -> None:
    """Draw a line for each weight of layer k between neurons that are shown."""
    values = e.layers[k].weight if by == "value" else e.blame.weights[k]
    values = values[neurons[k][:, None], neurons[k + 1]]
    largest = abs(values).max() or 1.0
    for (i, j), value in np.ndenumerate(values):
        (x1, y1), (x2, y2) = places[k][i], places[k + 1][j]
        size = abs(value) / largest
        color = "tab:orange" if by == "blame" else "teal" if value >= 0 else "mediumvioletred"
        width, alpha = 0.4 + 4 * size, 0.25 + 0.7 * size
        axes.plot([x1, x2], [y1, y2], color=color, linewidth=width, alpha=alpha, zorder=1)


def _draw_neurons(axes: Any, e: Any, by: str, k: int, places: Any, neurons: np.ndarray) -> None:
    """Draw a circle with a, and for blame delta, for each neuron that is shown; k = 0: inputs."""
    sample = int(np.argmax(e.costs))
    a = e.x if k == 0 else e.layers[k - 1].a
    for (x, y), j in zip(places, neurons, strict=True):
        text = number(a[sample, j])
        if by == "blame" and k:
            text += f"\n{number(e.layers[k - 1].delta[sample, j])}"
        axes.text(x, y, text, ha="center", va="center", fontsize=8, bbox=CIRCLE, zorder=2)
