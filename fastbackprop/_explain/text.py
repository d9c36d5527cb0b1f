"""An Explanation as text: the four steps with the formulas, and the numbers put in.

Layers are named by ``_core/naming.py`` and count from 1 as in the formulas, neurons from 0 as in
NumPy. Wide layers are folded to those most to blame.
"""

from typing import Any

import numpy as np

from fastbackprop._explain.text_backward import blame_lines, correct_lines
from fastbackprop._explain.text_forward import compare_lines, predict_lines
from fastbackprop._explain.text_terms import Line

__all__ = ["text"]

MOST_NAMES = 8  # of inputs that are told


def text(e: Any) -> str:
    """Write an explanation down."""
    sample = int(np.argmax(e.costs))
    n = len(e.x)
    lines = [e.title, f"loss {e.loss}, learning rate {e.learning_rate:g}"]
    if max(x.weight.size for x in e.layers) > 1:
        lines.append(
            "wk[i, j] is model.layers[k - 1].weight[i, j], from input i to neuron j; the most "
            "blamed come first."
        )
    if e.feature_names is not None:
        lines.append(_names_of_inputs(e))
    if n > 1:
        lines.append(
            f"Predict, compare and blame show sample {sample}, the most costly of {n}; correct is "
            "for all."
        )
    steps = {
        "predict": predict_lines(e, sample),
        "compare": compare_lines(e, sample),
        "blame": blame_lines(e, sample),
        "correct": correct_lines(e),
    }
    for name, step in steps.items():
        lines += ["", name, *(f"  {line}" for line in _aligned(step))]
    return "\n".join(lines)


def _names_of_inputs(e: Any) -> str:
    """Say which input is which, the most blamed first if they are many."""
    order = np.sort(np.argsort(-e.blame.inputs, kind="stable")[:MOST_NAMES])
    words = [f"x[{i}] is {e.feature_names[i]!r}" for i in order]
    more = len(e.feature_names) - len(words)
    return ", ".join(words) + (f"; {more:,} more are blamed less." if more else ".")


def _aligned(lines: list[Line]) -> list[str]:
    """Pad columns to their widest entry; an entry that is alone in its line may be longer."""
    widths = [
        max((len(line[i]) for line in lines if len(line) > i + 1), default=0)
        for i in range(max(map(len, lines), default=0))
    ]
    return [
        "   ".join(x.ljust(w) for x, w in zip(line, widths, strict=False)).rstrip()
        for line in lines
    ]
