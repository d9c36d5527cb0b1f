"""Finds hidden units that learn nothing: dead relus, saturated sigmoids and tanhs."""

from collections.abc import Iterator
from typing import Any

from fastbackprop._core.activations import TABLE
from fastbackprop._core.naming import layer_in_words
from fastbackprop._diagnose.data import LEAST_ROWS
from fastbackprop._diagnose.findings import Finding

__all__ = ["unit_findings"]

# Part of a layer's relu units: one in ten is often off for a kind of data, and learns nothing that
# the others don't.
DEAD = 0.3
SATURATED = 0.3  # likewise of sigmoid and tanh units
FLAT = 0.01  # part of the steepest act': a unit that passes on less for nearly all rows
NEARLY_ALL = 0.95


def unit_findings(layers: list[dict[str, Any]], is_fused: bool) -> Iterator[Finding]:
    """Yield dead and saturated units; behind a fused loss the last layer may be sure."""
    for k, layer in enumerate(layers):
        is_last = k == len(layers) - 1
        if len(layer["a"]) < LEAST_ROWS or layer["derivative"] is None or (is_last and is_fused):
            continue
        row = TABLE[layer["activation"]]
        if row.can_die:
            n_dead, n_out = int((layer["a"] == 0).all(axis=0).sum()), layer["a"].shape[1]
            if n_dead > DEAD * n_out:
                yield _dead(k, n_dead, n_out)
            if n_dead == n_out:
                return  # what comes after it sees nothing of the data
        elif row.steepest is not None:
            yield from _saturated(k, layer, row.steepest, is_last)


def _dead(k: int, n_dead: int, n_out: int) -> Finding:
    return Finding(
        "dead relu units",
        f"{layer_in_words(k)}, {n_dead} of {n_out} units",
        n_dead / n_out,
        "They are 0 for every sample and get no blame: lower the learning rate, "
        "centre the inputs, or take 'leaky_relu'.",
    )


def _saturated(k: int, layer: dict[str, Any], steepest: float, is_last: bool) -> Iterator[Finding]:
    activation = layer["activation"]
    n_rows, n_out = layer["a"].shape
    is_flat = layer["derivative"] < FLAT * steepest
    saturated = is_flat.mean(axis=0) >= NEARLY_ALL
    if is_last:  # where it is right there, nobody complains
        saturated &= abs(layer["d_a"]).mean(axis=0) * n_rows > 0.25
    if saturated.sum() > SATURATED * n_out:
        yield Finding(
            "saturated units",
            f"{layer_in_words(k)}, {int(saturated.sum())} of {n_out} units",
            float(saturated.mean()),
            f"They lie where {activation!r} is flat and pass hardly any blame on: scale the "
            "inputs, begin with smaller weights, or take 'relu'.",
        )
