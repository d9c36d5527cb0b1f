"""Finds inputs, targets and classes in the data that a network can't learn well from.

Looked at with NumPy, in double. Each threshold stands here once, with its reason.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastbackprop._diagnose.findings import Finding

__all__ = ["LEAST_ROWS", "class_findings", "input_findings", "target_findings"]

LEAST_ROWS = 8  # with fewer, what is the same in all rows says nothing about the rest
MOST_COLUMNS = 2000  # pairs of columns are compared up to here
LARGE_INPUT = 10.0  # root mean square of a column; initial weights are made for about 1
SMALL_INPUT = 1e-3
UNEVEN = 100.0  # the widest column's standard deviation by another's
# of a column's rows have another value than its usual one: it isn't a switch that is seldom on
DENSE = 0.5
MOSTLY_DENSE = 0.8  # of the columns: these are measurements, not pixels or words
STEADY = 30.0  # |mean| of a column by its standard deviation: it is nearly a constant
PROPORTIONAL = 1 - 1e-7  # correlation of two columns
RARE = 10.0  # the most frequent class by the rarest
ROWS_PER_CLASS = 20  # so that the counts mean something


def _columns(indices: np.ndarray) -> str:
    """x[3], or x[3], x[5] and 7 more."""
    names = ", ".join(f"x[{i}]" for i in indices[:3])
    return names if len(indices) <= 3 else f"{names} and {len(indices) - 3:,} more"


def input_findings(x: np.ndarray) -> Iterator[Finding]:
    """Constant, unscaled, uneven and duplicated columns."""
    size = np.sqrt((x**2).mean(axis=0))
    mean, spread = x.mean(axis=0), x.std(axis=0)
    large = np.flatnonzero(size > LARGE_INPUT)
    if len(large):
        yield Finding(
            "unscaled inputs",
            _columns(large),
            float(size.max()),
            "Divide it by about that, or standardise all inputs: weights begin for inputs of "
            "about 1.",
        )
    if 0 < size.max(initial=0) < SMALL_INPUT:
        yield Finding(
            "unscaled inputs",
            "all of x",
            float(size.max()),
            "Standardise the inputs: weights begin for inputs of about 1.",
        )
    if len(x) < LEAST_ROWS:
        return
    is_dense = (x != np.median(x, axis=0)).mean(axis=0) > DENSE
    # Pixels that are never lit harm nobody; among measurements, zeros are a column that was lost.
    is_lost = (size == 0) & (is_dense.sum() > MOSTLY_DENSE * (size > 0).sum())
    constant = np.flatnonzero((spread <= 1e-7 * size) & (size > 0) | is_lost)
    if len(constant):
        yield Finding(
            "constant inputs",
            _columns(constant),
            float(mean[constant[0]]),
            "Leave it out: it says the same of each sample, as the bias does already.",
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        steady = np.flatnonzero((abs(mean) / spread > STEADY) & (spread > 1e-7 * size))
    if len(steady):
        ratio = float((abs(mean[steady]) / spread[steady]).max())
        yield Finding(
            "inputs that hardly vary",
            _columns(steady),
            ratio,
            "Subtract its mean: what varies is so many times smaller than what doesn't.",
        )
    even = is_dense & (spread > 1e-7 * size) & (size <= LARGE_INPUT)
    even[steady] = False
    narrow = np.flatnonzero(even & (spread * UNEVEN < spread[even].max(initial=0)))
    if len(narrow):
        yield Finding(
            "inputs of different scale",
            _columns(narrow),
            float(spread[narrow].min() / spread[even].max()),
            "Its values vary by that part of another column's, and its weights learn so much more "
            "slowly: "
            "standardise all inputs.",
        )
    yield from _duplicates(x, mean, spread, constant)


def _duplicates(
    x: np.ndarray, mean: np.ndarray, spread: np.ndarray, constant: np.ndarray
) -> Iterator[Finding]:
    """Columns that are the same but for scale and offset."""
    varied = np.setdiff1d(np.flatnonzero(spread > 0), constant)[:MOST_COLUMNS]
    if len(varied) < 2:
        return
    z = (x[:, varied] - mean[varied]) / spread[varied]
    alike = np.triu(abs(z.T @ z) / len(x) > PROPORTIONAL, 1)
    # A column that is nearly always the same can well be like another by chance.
    rare = np.array([(x[:, j] != np.median(x[:, j])).sum() < LEAST_ROWS for j in varied])
    pairs = np.argwhere(alike & ~rare[:, None] & ~rare[None])
    if len(pairs):
        i, j = varied[pairs[0]]
        more = f" and {len(pairs) - 1:,} more pairs" if len(pairs) > 1 else ""
        yield Finding(
            "duplicated inputs",
            f"x[{i}] and x[{j}]{more}",
            float(len(pairs)),
            "Leave one of the two out: they say the same, and share their blame at random.",
        )


RANGES = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "softmax": (0.0, 1.0), "relu": (0.0, np.inf)}


def target_findings(activation: str, y: np.ndarray, compare: Any) -> Iterator[Finding]:
    """Targets that the last activation can't give, or only at infinity."""
    low, high = RANGES.get(activation, (-np.inf, np.inf))
    if y.size == 0:
        return
    if y.max() > high or y.min() < low:
        value, side, end = (y.max(), "above", high) if y.max() > high else (y.min(), "below", low)
        yield Finding(
            "unreachable targets",
            "y",
            float(value),
            f"Behind {activation!r} nothing {side} {end:g} can come out: scale the targets, or "
            f"end with 'identity'.",
        )
    elif activation in ("sigmoid", "tanh") and getattr(compare, "activation", None) is None:
        at_end = float(((y == high) | (y == low)).mean())
        if at_end > 0.1:
            better = "0.1 and 0.9, or loss 'binary_cross_entropy'"
            if activation == "tanh":  # whose other end isn't 0
                better = (
                    "-0.9 and 0.9"
                    if y.min() < 0
                    else "-0.9 for 0 and 0.9 for 1, or end with 'sigmoid'"
                )
            yield Finding(
                "targets at the edge",
                "y",
                at_end,
                f"That share of them {activation!r} reaches only with "
                f"infinite weights, where it has no slope: take {better}.",
            )
    elif activation == "identity" and np.sqrt((y**2).mean()) > 100:
        yield Finding(
            "unscaled targets",
            "y",
            float(np.sqrt((y**2).mean())),
            "Standardise the targets: gradients grow with them, and the first steps explode.",
        )


def class_findings(y: np.ndarray, compare: Any) -> Iterator[Finding]:
    """Classes of which there are few or no samples."""
    if not getattr(compare, "is_classification", False):
        return
    counts = y.sum(axis=0) if y.shape[1] > 1 else np.array([len(y) - y.sum(), y.sum()])
    if compare.activation == "sigmoid" and y.shape[1] > 1:
        return  # several yes-or-no questions, each rare in its own right
    if len(y) < ROWS_PER_CLASS * len(counts):
        return
    rarest = int(counts.argmin())
    if counts.max() > RARE * counts[rarest]:
        yield Finding(
            "imbalanced classes",
            f"class {rarest}",
            float(counts[rarest] / len(y)),
            "Show it more often "
            "(repeat its samples), or judge by each class's own accuracy: always guessing the "
            "largest class "
            f"is right for {counts.max() / len(y):.0%}.",
        )
