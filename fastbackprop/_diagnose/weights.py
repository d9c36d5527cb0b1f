"""Finds weights that no training mends: those that are not finite, and units that are copies."""

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastbackprop._core.naming import layer_in_words
from fastbackprop._diagnose.findings import Finding
from fastbackprop._explain.inspection import arrays_of
from fastbackprop._model.sequential import Sequential

__all__ = ["equal_units", "lost_weights"]


def lost_weights(model: Sequential) -> Iterator[Finding]:
    """Find weights and biases that are NaN or infinite, by layer."""
    for k, layer in enumerate(model.layers):
        arrays = arrays_of(model, k)
        n_lost = sum(int((~np.isfinite(x)).sum()) for x in arrays)
        if n_lost:
            yield Finding(
                "weights that are not finite",
                f"{layer_in_words(k)}, {n_lost:,} of {layer.n_parameters:,} weights and biases",
                float(n_lost),
                "No training mends them: draw them anew, or load a model from before.",
            )


def equal_units(layers: list[dict[str, Any]]) -> Iterator[Finding]:
    """Find hidden units with the same weights in and out: they get the same blame for ever."""
    for k, (layer, above) in enumerate(itertools.pairwise(layers)):
        if layer["kind"] != "Dense" or above["kind"] != "Dense":
            continue  # masks differ between units that are equal
        n_out = layer["weight"].shape[1]
        if len(np.unique(layer["weight"][0])) == n_out:
            continue  # as random weights mostly are: no two units can be equal
        n_equal = _n_equal(layer["weight"], layer["bias"], above["weight"])
        if n_equal:
            yield Finding(
                "equal units",
                f"{layer_in_words(k)}, {n_equal:,} of {n_out:,} units",
                n_equal / n_out,
                "They have the same weights in and out as another and stay its copies in every "
                "step: draw the initial weights at random (weight_init='auto').",
            )


def _n_equal(weight: np.ndarray, bias: np.ndarray | None, above: np.ndarray) -> int:
    """Count the units that have the weights, bias and weights out of another one."""
    rows = [weight.T, above] if bias is None else [weight.T, bias[:, None], above]
    of_units = np.concatenate(rows, axis=1) + 0.0  # so that -0 has the bytes of 0
    counts = Counter(row.tobytes() for row in of_units)
    return sum(n for n in counts.values() if n > 1)
