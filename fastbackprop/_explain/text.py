"""An Explanation as text: the four steps with the formulas, and the numbers put in.

Layers are named by ``_core/naming.py`` and count from 1 as in the formulas, neurons from 0 as in
NumPy. Wide layers are folded to those most to blame, long lines at the terminal's width.
"""

import re
import shutil
import textwrap
from typing import Any

import numpy as np

from fastbackprop._explain.text_backward import blame_lines, correct_lines
from fastbackprop._explain.text_forward import compare_lines, predict_lines
from fastbackprop._explain.text_terms import Line

__all__ = ["text"]

NARROWEST = 40  # below it formulas can't be read, however they are folded
MOST_NAMES = 8  # of inputs that are told


def text(e: Any) -> str:
    """Write an explanation down, in lines that fit the terminal ($COLUMNS; 80 without one)."""
    width = max(NARROWEST, shutil.get_terminal_size().columns)
    sample = int(np.argmax(e.costs))
    n = len(e.x)
    lines = [e.title, f"loss {e.loss}, learning rate {e.learning_rate:g}"]
    if max(x.weight.size for x in e.layers) > 1:
        lines.append(
            "wk[i, j] is model.layers[k - 1].weight[i, j], from input i to neuron j; the most "
            "blamed come first."
        )
    lines += e.notes
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
    lines = [part for line in lines for part in _wrapped(line, width, "  ")]
    for name, step in steps.items():
        lines += ["", name, *(f"  {line}" for line in _aligned(step, width - 2))]
    return "\n".join(lines)


def _names_of_inputs(e: Any) -> str:
    """Say which input is which, the most blamed first if they are many."""
    order = np.sort(np.argsort(-e.blame.inputs, kind="stable")[:MOST_NAMES])
    words = [f"x[{i}] is {e.feature_names[i]!r}" for i in order]
    more = len(e.feature_names) - len(words)
    return ", ".join(words) + (f"; {more:,} more are blamed less." if more else ".")


def _aligned(lines: list[Line], room: int) -> list[str]:
    """Pad columns to their widest entry; an entry that is alone in its line may be longer.

    A line that is too long for the room goes on below, an entry or more to a line.
    """
    widths = [
        max((len(line[i]) for line in lines if len(line) > i + 1), default=0)
        for i in range(max(map(len, lines), default=0))
    ]
    aligned = []
    for line in lines:
        whole = "   ".join(x.ljust(w) for x, w in zip(line, widths, strict=False)).rstrip()
        aligned += [whole] if len(whole) <= room else _folded(line, room)
    return aligned


def _folded(line: Line, room: int) -> list[str]:
    """Put the entries of a line below each other, where they don't fit side by side."""
    indent = " " * (len(line[0]) - len(line[0].lstrip()) + 4)
    folded = [line[0]]
    for entry in line[1:]:
        if len(folded[-1]) + 3 + len(entry) <= room:
            folded[-1] += f"   {entry}"
        else:
            folded.append(indent + entry)
    return [part for x in folded for part in _wrapped(x, room, indent + "  ")]


def _wrapped(line: str, room: int, indent: str) -> list[str]:
    """Break a line at its spaces; names as w1[0, 2] stay whole."""
    if len(line) <= room:
        return [line]
    # No break inside of w1[0, 2].
    whole = re.sub(r"(\[\w+), (\w+\])", "\\1,\0\\2", line)
    parts = textwrap.wrap(
        whole, room, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return [x.replace("\0", " ") for x in parts]
