"""Layers of an explanation that aren't Dense: how their numbers are called and come about."""

import math
from typing import Any

from fastbackprop._explain.chain import bias_name, name_of, weight_name
from fastbackprop._explain.chain import shown_number as number
from fastbackprop._explain.parts import LayerExplanation

__all__ = ["check_chained", "forward_line", "parameter_name"]


NORMS = ("LayerNorm", "BatchNorm")


def check_chained(e: Any, first: int) -> None:
    """Refuse chains through norms: there outputs depend on more than paths of weights."""
    for k, layer in enumerate(e.layers):
        if k >= first and layer.kind in NORMS:
            whole = "row" if layer.kind == "LayerNorm" else "batch"
            raise ValueError(
                f"chain must be asked of a layer behind all norms, got {first} where layers[{k}] "
                f"is a {layer.kind}, each of whose outputs depends on the whole {whole}."
            )


def parameter_name(layer: LayerExplanation, k: int, index: tuple[int, ...]) -> str:
    """Return how a weight (i, j) or bias (j,) of layer k is called; of norms gamma and beta."""
    shape = layer.weight.shape
    if layer.kind == "Dense":
        return weight_name(shape, k, *index) if len(index) == 2 else bias_name(shape, k, *index)
    greek = "gamma" if len(index) == 2 else "beta"
    return name_of(f"{greek}{k + 1}", shape[1], index[-1])


def _to(scale: float, value: float) -> str:
    """Return a number with as many digits as matter beside the scale of its column."""
    return f"{round(value, 3 - math.floor(math.log10(scale))):.15g}"


def forward_line(e: Any, k: int, j: int, s: int) -> tuple[str, ...]:
    """Return how output j of layer k, which isn't Dense, comes from its input."""
    layer, n = e.layers[k], e.layers[k].weight.shape[1]
    x, of_x = (e.x, "x") if k == 0 else (e.layers[k - 1].a, f"a{k}")
    x_name, a_name = name_of(of_x, n, j), name_of(f"a{k + 1}", n, j)
    if k == len(e.layers) - 1:
        a_name = f"{name_of('y_hat', n, j)} = {a_name}"
    a, x_j = number(layer.a[s, j]), number(x[s, j])
    if layer.scale is not None:
        center, scale = layer.center[j], layer.scale[j]
        return (
            f"  {a_name} = ({x_name} - center) / scale",
            f"= ({_to(scale, x[s, j])} - {_to(scale, center)}) / {number(scale)} = {a}",
        )
    if layer.kind == "Activation":
        return (f"  {a_name} = sigma({x_name})", f"= sigma({x_j}) = {a}")
    if layer.kind == "Dropout":
        mask = number(layer.derivative[s, j])
        return (f"  {a_name} = mask {x_name}", f"= {mask} * {x_j} = {a}")
    over = "row" if layer.kind == "LayerNorm" else "batch"
    gamma, beta = (parameter_name(layer, k, index) for index in ((0, j), (j,)))
    return (
        f"  {a_name} = {gamma} normalised({x_name}) + {beta}, over the {over}",
        f"from {x_j}, {gamma} = {number(layer.weight[0, j])}, {beta} = {number(layer.bias[j])}",
        f"= {a}",
    )
