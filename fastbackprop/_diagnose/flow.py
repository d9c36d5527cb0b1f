"""Measures each layer's weights, gradients and deltas; finds blame that vanishes or explodes.

Also updates that are too large or too small for a layer's weights.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastbackprop._core.activations import TABLE
from fastbackprop._core.naming import layer_in_words
from fastbackprop._diagnose.findings import Finding

__all__ = ["flow_findings", "measure", "unmeasured", "update_findings"]

# Delta of a layer, by that of the last: below it float32 and any learning rate for all layers give
# up.
VANISHING = 1e-4
EXPLODING = 1e3
# Part of a layer's weights that one step changes: about 0.001 is usual (Karpathy 2015), fresh nets
# reach 0.2.
LARGEST_UPDATE = 0.3
# Near what float32 rounds away; fresh nets at a rate of 0.01 begin above 3e-6.
SMALLEST_UPDATE = 1e-7


def unmeasured(weight_of_layer: np.ndarray) -> dict[str, float | None]:
    """Return what ``measure`` does, where no blame can be measured."""
    with np.errstate(all="ignore"):
        weight = float(np.linalg.norm(weight_of_layer.astype(np.float64)))
    return {
        "weight_norm": weight if np.isfinite(weight) else None,
        "gradient_norm": None,
        "delta": None,
        "delta_ratio": None,
        "update_ratio": None,
    }


def measure(
    layer: dict[str, Any], last: dict[str, Any], rate: float | None
) -> dict[str, float | None]:
    """Return the sizes of a layer that ``Diagnosis.layers`` shows; a ratio to nothing is None."""
    weight, gradient = (
        float(np.linalg.norm(layer[x].astype(np.float64))) for x in ("weight", "weight_gradient")
    )
    delta, last_delta = (
        float(np.sqrt((x["delta"].astype(np.float64) ** 2).mean())) for x in (layer, last)
    )
    return {
        "weight_norm": weight,
        "gradient_norm": gradient,
        "delta": delta,
        "delta_ratio": delta / last_delta if last_delta else None,
        "update_ratio": rate * gradient / weight if rate is not None and weight else None,
    }


def flow_findings(
    layers: list[dict[str, Any]], measured: list[dict[str, float | None]]
) -> Iterator[Finding]:
    """Judge whether blame arrives: the size of delta per layer, by that of the last layer."""
    ratios = np.array(
        [np.nan if x["delta_ratio"] is None else x["delta_ratio"] for x in measured[:-1]]
    )
    if np.isnan(ratios).any() or len(ratios) == 0:
        return
    # Below a layer that is dead as a whole no blame arrives: it has been named already.
    dead = max(
        (k for k, x in enumerate(layers) if TABLE[x["activation"]].can_die and not x["a"].any()),
        default=-1,
    )
    alive = ratios[dead + 1 :]
    if len(alive) and alive.min() < VANISHING:
        k = int(alive.argmin())
        yield Finding(
            "vanishing gradients",
            layer_in_words(dead + 1 + k),
            float(alive[k]),
            "Its blame is that part of the last layer's: take 'relu' or fewer layers, or larger "
            "initial weights.",
        )
    k = int(ratios.argmax())
    if ratios[k] > EXPLODING:
        yield Finding(
            "exploding gradients",
            layer_in_words(k),
            float(ratios[k]),
            "Its blame is so many times the last layer's: begin with smaller weights "
            "(weight_init='auto'), or lower the learning rate.",
        )


def update_findings(
    measured: list[dict[str, float | None]], may_be_small: bool
) -> Iterator[Finding]:
    """Judge how much of each layer's weights one step would change.

    Too little is named only where nothing else explains it.
    """
    for k, layer in enumerate(measured):
        ratio = layer["update_ratio"]
        if ratio is not None and ratio > LARGEST_UPDATE:
            yield Finding(
                "large updates",
                layer_in_words(k),
                ratio,
                "One step changes its weights by that part of them, where 0.001 is usual: lower "
                "the learning rate.",
            )
        elif ratio is not None and ratio < SMALLEST_UPDATE and may_be_small:
            yield Finding(
                "small updates",
                layer_in_words(k),
                ratio,
                "One step changes its weights by that part of them, where 0.001 is usual: begin "
                "with weights of the usual size (weight_init='auto'), or raise the learning rate.",
            )
