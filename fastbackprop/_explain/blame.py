"""Who is to blame: every input, neuron, layer and weight with its share."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fastbackprop._core.naming import layer_in_words
from fastbackprop._explain.chain import name_of
from fastbackprop._explain.kinds import parameter_name
from fastbackprop._explain.parts import LayerExplanation

__all__ = ["Blame", "Blamed", "candidates", "percent", "shares_of"]


class Blame(NamedTuple):
    """Shares of the blame.

    Each kind (weights and biases together) sums to 1, or to 0 where nobody is to blame.
    """

    inputs: np.ndarray
    neurons: list[np.ndarray]
    layers: np.ndarray
    weights: list[np.ndarray]
    biases: list[np.ndarray | None]


class Blamed(NamedTuple):
    """Who is to blame, and by how much.

    It has the name as in the text, where it is (layer, then indices), its share, and the gradient
    behind it.
    """

    name: str
    where: tuple[int, ...]
    share: float
    gradient: float

    def __str__(self) -> str:
        return f"{self.name}: {percent(self.share)} of the blame, gradient {self.gradient:.4g}"


def percent(share: float) -> str:
    """Return a share with three digits, as 43.2 %."""
    return f"{100 * share:.3g} %"


def shares_of(d_x: np.ndarray, layers: list[LayerExplanation]) -> Blame:
    """Return who has how much of the blame: sizes of gradients, by their sum."""

    def sizes(array: np.ndarray) -> np.ndarray:
        return np.abs(array.astype(np.float64))

    def of_total(arrays: list[Any]) -> list[Any]:
        total = sum(float(x.sum()) for x in arrays if x is not None)
        return [x if x is None or total == 0 else x / total for x in arrays]

    inputs = of_total([sizes(d_x).sum(axis=0)])
    neurons = of_total([sizes(x.delta).sum(axis=0) for x in layers])
    parameters = of_total(
        [sizes(x.weight_gradient) for x in layers]
        + [None if x.bias_gradient is None else sizes(x.bias_gradient) for x in layers]
    )
    weights, biases = parameters[: len(layers)], parameters[len(layers) :]
    per_layer = [
        float(w.sum()) + (0.0 if b is None else float(b.sum()))
        for w, b in zip(weights, biases, strict=True)
    ]
    return Blame(inputs[0], neurons, np.array(per_layer), weights, biases)


def candidates(
    blame: Blame, d_x: np.ndarray, layers: list[LayerExplanation], kind: str, most: int
) -> Iterator[Blamed]:
    """Yield everybody of a kind; of weights only those with the largest shares of their layer."""
    if kind == "inputs":
        yield from _inputs(blame, d_x)
    elif kind == "layers":
        yield from _layers(blame, layers)
    elif kind == "neurons":
        yield from _neurons(blame, layers)
    else:
        yield from _weights(blame, layers, most)


def _inputs(blame: Blame, d_x: np.ndarray) -> Iterator[Blamed]:
    totals = d_x.sum(axis=0, dtype=np.float64)
    for i, share in enumerate(blame.inputs):
        yield Blamed(name_of("x", len(totals), i), (i,), float(share), float(totals[i]))


def _layers(blame: Blame, layers: list[LayerExplanation]) -> Iterator[Blamed]:
    for k, layer in enumerate(layers):
        gradients = [x for x in (layer.weight_gradient, layer.bias_gradient) if x is not None]
        squares = sum(float((x.astype(np.float64) ** 2).sum()) for x in gradients)
        yield Blamed(layer_in_words(k), (k,), float(blame.layers[k]), squares**0.5)


def _neurons(blame: Blame, layers: list[LayerExplanation]) -> Iterator[Blamed]:
    for k, layer in enumerate(layers):
        totals = layer.delta.sum(axis=0, dtype=np.float64)
        for j, share in enumerate(blame.neurons[k]):
            name = name_of(f"a{k + 1}", len(totals), j)
            yield Blamed(name, (k, j), float(share), float(totals[j]))


def _weights(blame: Blame, layers: list[LayerExplanation], most: int) -> Iterator[Blamed]:
    """Yield each layer's weights and biases with the largest shares, as others may be millions."""
    for k, layer in enumerate(layers):
        shape, shares, bias_shares = layer.weight.shape, blame.weights[k], blame.biases[k]
        for flat in np.argsort(-shares, axis=None, kind="stable")[:most]:
            i, j = (int(x) for x in np.unravel_index(flat, shape))
            share, gradient = float(shares[i, j]), float(layer.weight_gradient[i, j])
            yield Blamed(parameter_name(layer, k, (i, j)), (k, i, j), share, gradient)
        if bias_shares is not None and layer.bias_gradient is not None:
            for j in np.argsort(-bias_shares, kind="stable")[:most].tolist():
                share, gradient = float(bias_shares[j]), float(layer.bias_gradient[j])
                yield Blamed(parameter_name(layer, k, (j,)), (k, j), share, gradient)
