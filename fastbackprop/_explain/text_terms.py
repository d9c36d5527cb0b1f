"""What the texts of an explanation share: which numbers are named, and how sums are written."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastbackprop._explain.chain import shown_number as number

__all__ = ["FEW", "Line", "and_more", "largest", "n_left_out", "sum_of", "worst"]

MOST_NEURONS = 6  # of a layer with more than FEW
MOST_TERMS = 3
FEW = 8

Line = tuple[str, ...]  # the columns of a line


def largest(shares: np.ndarray) -> tuple[list[int], int]:
    """Return the indices to show (the most blamed, or all if few), and how many are left out."""
    if len(shares) <= FEW:
        return list(range(len(shares))), 0
    order = np.argsort(-shares, kind="stable")[:MOST_NEURONS]
    return [int(j) for j in order], len(shares) - MOST_NEURONS


def and_more(n: int, what: str) -> list[Line]:
    """Return the line that says how many aren't shown, if any."""
    return [(f"and {n:,} more {what}",)] if n else []


def sum_of(
    left: np.ndarray, right: np.ndarray, letters_of: Callable[[int], str]
) -> tuple[str, str]:
    """Return the letters and the numbers of a sum of products: the largest terms, and the rest."""
    products = left.astype(np.float64) * right.astype(np.float64)
    terms: Sequence[int] = range(len(products))
    if len(products) > MOST_TERMS + 1:
        terms = np.argsort(-abs(products), kind="stable")[:MOST_TERMS].tolist()
    letters = " + ".join(letters_of(i) for i in terms)
    numbers = " + ".join(f"{number(left[i])} * {number(right[i])}" for i in terms)
    if n_others := len(products) - len(terms):
        rest = sum(products.tolist()) - sum(products[terms].tolist())
        return f"{letters} + {n_others:,} more", f"{numbers} + {number(rest)}"
    return letters, numbers


def worst(weights: np.ndarray, biases: np.ndarray | None) -> list[tuple[int, ...]]:
    """Return (i, j) of weights and (j,) of biases: the most blamed, or all in order if few."""
    shares = weights.reshape(-1)
    if biases is not None:
        shares = np.concatenate([shares, biases])
    order = np.arange(len(shares))
    if len(shares) > FEW:
        order = np.argsort(-shares, kind="stable")[:MOST_NEURONS]
    n_out = weights.shape[1]
    return [divmod(int(x), n_out) if x < weights.size else (int(x) - weights.size,) for x in order]


def n_left_out(layer: Any) -> int:
    """Return how many weights and biases of a layer aren't shown."""
    n = layer.weight.size + (0 if layer.bias is None else layer.bias.size)
    return n - MOST_NEURONS if n > FEW else 0
