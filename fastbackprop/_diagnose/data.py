"""Finds inputs, targets and classes in the data that a network can't learn well from.

Looked at with NumPy, in double. Each threshold stands here once, with its reason.
"""

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from fastbackprop._compare.losses import Loss
from fastbackprop._core.activations import TABLE
from fastbackprop._diagnose.columns import columns_in_words
from fastbackprop._diagnose.findings import Finding
from fastbackprop._explain.samples import Samples

__all__ = [
    "LARGE_FOR_STEPS",
    "LEAST_ROWS",
    "class_findings",
    "input_findings",
    "target_findings",
    "target_size",
]

LEAST_ROWS = 8  # with fewer, what is the same in all rows says nothing about the rest
MOST_COLUMNS = 2000  # pairs of columns are compared up to here
# A column's standard deviation by its size, as far as rounding goes: it is constant.
CONSTANT = {"float32": 1e-7, "float64": 1e-13}
LARGE_INPUT = 10.0  # root mean square of a column; initial weights are made for about 1
SMALL_INPUT = 1e-3
UNEVEN = 100.0  # the widest column's standard deviation by another's
# of a column's rows have another value than its usual one: it isn't a switch that is seldom on
DENSE = 0.5
MOSTLY_DENSE = 0.8  # of the columns: these are measurements, not pixels or words
STEADY = 30.0  # |mean| of a column by its standard deviation: it is nearly a constant
PROPORTIONAL = 1 - 1e-7  # correlation of two columns
LARGE_TARGET = 100.0  # root mean square of a column of y behind 'identity'
LARGE_FOR_STEPS = 10.0  # likewise, from where steps that are too long are theirs, not the rate's
RARE = 10.0  # the most frequent class by the rarest
ROWS_PER_CLASS = 20  # so that the counts mean something


def input_findings(
    rows: np.ndarray,
    names: Sequence[str] | None = None,
    lost: Collection[int] = (),
    *,
    are_scaled: bool = False,
) -> Iterator[Finding]:
    """Find constant, unscaled, uneven and duplicated columns; say them by their names.

    Parameters
    ----------
    rows : ndarray
        As the network sees them.
    names : sequence of str, optional
        Of the columns.
    lost : collection of int
        Columns that are lost in rounding, as is said already.
    are_scaled : bool
        Whether the model scales them, so that nobody has to.
    """
    x, rounding = rows.astype(np.float64), CONSTANT[rows.dtype.name]
    is_told = np.isin(np.arange(x.shape[1]), list(lost))
    x = np.where(is_told, 0.0, x) if is_told.any() else x
    size = np.sqrt((x**2).mean(axis=0))
    mean, spread = x.mean(axis=0), x.std(axis=0)
    if not are_scaled:
        yield from _unscaled(size, names)
    if len(x) < LEAST_ROWS:
        return
    is_dense = (x != np.median(x, axis=0)).mean(axis=0) > DENSE
    # Pixels that are never lit harm nobody; among measurements, zeros are a column that was lost.
    is_lost = (size == 0) & ~is_told & (is_dense.sum() > MOSTLY_DENSE * (size > 0).sum())
    constant = np.flatnonzero((spread <= rounding * size) & (size > 0) | is_lost)
    if len(constant):
        yield Finding(
            "constant inputs",
            *columns_in_words(constant, mean, names=names),
            "Leave it out: it says the same of each sample, as the bias does already.",
        )
    if not are_scaled:
        yield from _uneven(size, mean, spread, is_dense, rounding, names)
    yield from _duplicates(x, mean, spread, constant, names)


def _unscaled(size: np.ndarray, names: Sequence[str] | None) -> Iterator[Finding]:
    """Find columns, by their root mean squares, for which initial weights are not made."""
    large = np.flatnonzero(size > LARGE_INPUT)
    if len(large):
        yield Finding(
            "unscaled inputs",
            *columns_in_words(large, size, names=names),
            "Divide it by about that, or standardise all inputs (scale_inputs=True): weights begin "
            "for inputs of about 1.",
        )
    if 0 < size.max(initial=0) < SMALL_INPUT:
        yield Finding(
            "unscaled inputs",
            "all of x",
            float(size.max()),
            "Standardise the inputs (scale_inputs=True): weights begin for inputs of about 1.",
        )


def _uneven(
    size: np.ndarray,
    mean: np.ndarray,
    spread: np.ndarray,
    is_dense: np.ndarray,
    rounding: float,
    names: Sequence[str] | None,
) -> Iterator[Finding]:
    """Find columns that hardly vary beside their mean, or much less than others."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = abs(mean) / spread
    steady = np.flatnonzero((ratio > STEADY) & (spread > rounding * size))
    if len(steady):
        yield Finding(
            "inputs that hardly vary",
            *columns_in_words(steady, ratio, names=names),
            "Subtract its mean: what varies is so many times smaller than what doesn't.",
        )
    even = is_dense & (spread > rounding * size) & (size <= LARGE_INPUT)
    even[steady] = False
    widest = spread[even].max(initial=0)
    narrow = np.flatnonzero(even & (spread * UNEVEN < widest))
    if len(narrow):
        yield Finding(
            "inputs of different scale",
            *columns_in_words(narrow, spread / widest, names=names, smallest_first=True),
            "Its values vary by that part of another column's, and its weights learn so much more "
            "slowly: standardise all inputs (scale_inputs=True).",
        )


def _duplicates(
    x: np.ndarray,
    mean: np.ndarray,
    spread: np.ndarray,
    constant: np.ndarray,
    names: Sequence[str] | None,
) -> Iterator[Finding]:
    """Find columns that are the same but for scale and offset."""
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
            " and ".join(f"x[{m}]{f' {names[m]!r}' if names else ''}" for m in (i, j)) + more,
            float(len(pairs)),
            "Leave one of the two out: they say the same, and share their blame at random.",
        )


def target_findings(activation: str, y: np.ndarray, compare: Loss) -> Iterator[Finding]:
    """Find targets (n, outputs) that the last activation can't give, or only at infinity."""
    row = TABLE[activation]
    low, high = row.range
    if y.size == 0:
        return
    size = np.sqrt((y**2).mean(axis=0))
    if y.max() > high or y.min() < low:
        is_above = bool(y.max() > high)
        ends = y.max(axis=0) if is_above else y.min(axis=0)
        beyond = np.flatnonzero(ends > high if is_above else ends < low)
        side, end = ("above", high) if is_above else ("below", low)
        yield Finding(
            "unreachable targets",
            *_outputs(beyond, ends),
            f"Behind {activation!r} nothing {side} {end:g} can come out: scale the targets, or "
            f"end with 'identity'.",
        )
    elif row.steepest and not row.is_straight and compare.activation is None:
        at_end = float(((y == high) | (y == low)).mean())
        if at_end > 0.1:
            better = "0.1 and 0.9, or loss 'binary_cross_entropy'"
            if low < 0:  # whose other end isn't 0
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
    elif activation == "identity" and size.max() > LARGE_TARGET:
        yield Finding(
            "unscaled targets",
            *_outputs(np.flatnonzero(size > LARGE_TARGET), size),
            "Standardise the targets (scale_targets=True): gradients grow with them, and the first "
            "steps explode.",
        )


def target_size(activation: str, samples: Samples) -> float:
    """Return the root mean square of targets that only large outputs reach; else 0."""
    if activation != "identity" or samples.are_labels or samples.targets.size == 0:
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        squares = samples.targets.astype(np.float64) ** 2
        return float(np.sqrt(np.nanmean(squares))) if np.isfinite(squares).any() else 0.0


def _outputs(indices: np.ndarray, numbers: np.ndarray) -> tuple[str, float]:
    """Return y for one output, else its columns, with the number of the first."""
    where, number = columns_in_words(indices, numbers, letter="y")
    return ("y" if len(numbers) == 1 else where), number


def class_findings(targets: np.ndarray, n_classes: int, compare: Loss) -> Iterator[Finding]:
    """Find classes of which there are few or no samples; targets are labels (n,) or rows."""
    if not compare.is_classification:
        return
    if compare.activation == "sigmoid" and n_classes > 1:
        return  # several yes-or-no questions, each rare in its own right
    n = len(targets)
    if targets.ndim == 1:
        counts = np.bincount(targets, minlength=n_classes).astype(np.float64)
    elif n_classes > 1:
        counts = targets.sum(axis=0, dtype=np.float64)
    else:
        counts = np.array([n - targets.sum(dtype=np.float64), targets.sum(dtype=np.float64)])
    if n < ROWS_PER_CLASS * len(counts):
        return
    rarest = int(counts.argmin())
    if counts.max() > RARE * counts[rarest]:
        yield Finding(
            "imbalanced classes",
            f"class {rarest}",
            float(counts[rarest] / n),
            "Show it more often (repeat its samples), or judge by each class's own accuracy: "
            f"always guessing the largest class is right for {counts.max() / n:.0%}.",
        )
