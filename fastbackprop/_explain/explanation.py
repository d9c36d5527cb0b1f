"""Explanation: every number of one step of backpropagation, its ranking, its chains.

What ``explain`` (in _explain.py) found, and what can be asked of it.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastbackprop._core.naming import layer_in_words
from fastbackprop._core.validation import check_choice, check_integer
from fastbackprop._explain.chain import Chain, bias_name, name_of, strongest_paths, weight_name
from fastbackprop._model.files import write_beside

__all__ = ["After", "Blame", "Blamed", "Explanation", "LayerExplanation"]

KINDS = ("inputs", "neurons", "layers", "weights")


@dataclass(frozen=True)
class LayerExplanation:
    """One layer in a step: n samples through n_in inputs and n_out neurons.

    Attributes
    ----------
    activation, slope : str, float
        act, and its slope below 0 for leaky_relu.
    z, a : ndarray of shape (n, n_out)
        z = a_prev W + b, and a = act(z).
    derivative : ndarray of shape (n, n_out) or None
        act'(z); None for softmax, where each output depends on all z.
    d_a, delta : ndarray of shape (n, n_out)
        dC/da and dC/dz.
    weight, weight_gradient, weight_step, weight_after : ndarray of shape (n_in, n_out)
        Before the step; dC/dW; after - before (for plain SGD -learning_rate dC/dW, rounded); after
        the step.
    bias, bias_gradient, bias_step, bias_after : ndarray of shape (n_out,) or None
        Likewise.
    """

    activation: str
    slope: float
    z: np.ndarray
    a: np.ndarray
    derivative: np.ndarray | None
    d_a: np.ndarray
    delta: np.ndarray
    weight: np.ndarray
    weight_gradient: np.ndarray
    weight_step: np.ndarray
    weight_after: np.ndarray
    bias: np.ndarray | None
    bias_gradient: np.ndarray | None
    bias_step: np.ndarray | None
    bias_after: np.ndarray | None


class After(NamedTuple):
    """Says what holds after the step.

    It holds predictions, the cost as computed and as the gradient predicted it, whether it fell,
    and that in words.
    """

    y_hat: np.ndarray
    cost: float
    predicted_cost: float
    falls: bool
    verdict: str


class Blame(NamedTuple):
    """Holds the shares of the blame.

    Each kind (weights and biases together) sums to 1, or to 0 where nobody is to blame.
    """

    inputs: np.ndarray
    neurons: list[np.ndarray]
    layers: np.ndarray
    weights: list[np.ndarray]
    biases: list[np.ndarray | None]


class Blamed(NamedTuple):
    """Says who is to blame, and by how much.

    It holds the name as in the text, where it is (layer, then indices), its share, and the
    gradient behind it.
    """

    name: str
    where: tuple[int, ...]
    share: float
    gradient: float


class Explanation:
    """One step of backpropagation, with every number; made by ``explain``.

    Parameters
    ----------
    **values
        The attributes, all but blame; ``explain`` gives them.

    Attributes
    ----------
    x, y, y_hat : ndarray of shape (n, n_in), (n, n_out), (n, n_out)
        Inputs, targets (labels as one-hot rows) and predictions.
    cost, costs : float, ndarray of shape (n,)
        The mean, and of each sample.
    d_y_hat, d_x : ndarray of shape (n, n_out), (n, n_in)
        dC/dy_hat, with the 1/n of the mean in it, and dC/dx.
    layers : list of LayerExplanation
        First to last.
    after : After
        y_hat, cost, predicted_cost (cost + sum of gradient * step; for plain SGD cost -
        learning_rate * sum of squared gradients), falls, and verdict: that in words.
    blame : Blame
        Shares: inputs by the sum over samples of |dC/dx|, neurons by that of |dC/dz|, weights and
        biases by |dC/dw|, layers by the sum of these.
    learning_rate, optimizer, loss, title, dtype : float, str, str, str, str
        Of the step; what did it, as "SGD(0.01)"; the name of the loss; the model in one line, and
        its dtype.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> layers = [fb.Dense(1, 1, bias=False, weight_init=w) for w in (3.0, 4.0)]
    >>> model = fb.Sequential(layers)
    >>> e = fb.explain(model, 2, 30, loss="half_squared_error", learning_rate=0.01)
    >>> print(e.chain(0, 0, 0))
    dC/dw1 = dC/dy_hat * dy_hat/dz2 * dz2/da1 * da1/dz1 * dz1/dw1 = -6 * 1 * 4 * 1 * 2 = -48
    """

    def __init__(self, **values: Any) -> None:
        self.title: str = values["title"]
        self.dtype: str = values["dtype"]
        self.loss: str = values["loss"]
        self.learning_rate: float = values["learning_rate"]
        self.optimizer: str = values["optimizer"]
        self.x: np.ndarray = values["x"]
        self.y: np.ndarray = values["y"]
        self.y_hat: np.ndarray = values["y_hat"]
        self.cost: float = values["cost"]
        self.costs: np.ndarray = values["costs"]
        self.d_y_hat: np.ndarray = values["d_y_hat"]
        self.d_x: np.ndarray = values["d_x"]
        self.layers: list[LayerExplanation] = values["layers"]
        self.after: After = values["after"]
        self.blame = _shares(self.d_x, self.layers)

    def chain(self, layer: int, i: int | None, j: int, *, sample: int = 0, most: int = 8) -> Chain:
        """Return the chain rule for one weight and one sample: every factor, by name and number.

        Parameters
        ----------
        layer : int
            Index in ``model.layers``.
        i : int or None
            Row of the weight: the input of the layer; None for the bias.
        j : int
            Column of the weight: the neuron.
        sample : int, default=0
            Which row of x.
        most : int, default=8
            Paths to name; there can be as many as the product of the widths behind the layer. The
            strongest come first.

        Returns
        -------
        Chain
            Its paths, and their sum: this sample's part of the gradient.

        Raises
        ------
        ValueError
            If there is no such layer, weight or sample.
        """
        _check_index("layer", layer, len(self.layers))
        _check_index("sample", sample, len(self.x))
        n_in, n_out = self.layers[layer].weight.shape
        _check_index("j", j, n_out)
        if i is not None:
            _check_index("i", i, n_in)
        elif self.layers[layer].bias is None:
            raise ValueError(
                f"i must be from 0 to {n_in - 1}, since model.layers[{layer}] has no bias, got "
                f"None."
            )
        most = check_integer("most", most)
        return strongest_paths(self, layer, i, j, sample, most)

    def top(self, n: int = 10, *, kind: str = "weights") -> list[Blamed]:
        """Name who is most to blame.

        Parameters
        ----------
        n : int, default=10
            How many.
        kind : {"weights", "neurons", "layers", "inputs"}, default="weights"
            Among whom; biases are among the weights.

        Returns
        -------
        list of Blamed
            (name, where, share, gradient), the largest share first. ``gradient`` is dC/dw; for
            inputs and neurons the sum over the samples of dC/dx and dC/dz; for layers the norm.
        """
        n = check_integer("n", n)
        kind = check_choice("kind", kind, KINDS)
        found = list(_weights(self, n) if kind == "weights" else _candidates(self, kind))
        return sorted(found, key=lambda x: -x.share)[:n]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data, ready for JSON: lists, floats, strings.

        Returns
        -------
        dict
            ``format`` 1; ``model`` (widths, activations, slopes, dtype, n_parameters); ``loss``,
            ``learning_rate``, ``optimizer``, ``n_samples``; ``x``, ``y``, ``y_hat``, ``cost``,
            ``costs``, ``d_y_hat``, ``d_x``; ``layers``, each with the attributes of
            LayerExplanation but its activation; ``after`` and ``blame`` with their names as here.
        """
        layers = [
            {
                name: _plain(value)
                for name, value in vars(x).items()
                if name not in ("activation", "slope")
            }
            for x in self.layers
        ]
        return {
            "format": 1,
            "model": {
                "widths": [self.x.shape[1], *(x.weight.shape[1] for x in self.layers)],
                "activations": [x.activation for x in self.layers],
                "slopes": [x.slope for x in self.layers],
                "dtype": self.dtype,
                "n_parameters": sum(
                    x.weight.size + (0 if x.bias is None else x.bias.size) for x in self.layers
                ),
            },
            "loss": self.loss,
            "learning_rate": self.learning_rate,
            "optimizer": self.optimizer,
            "n_samples": len(self.x),
            **{
                name: _plain(getattr(self, name))
                for name in ("x", "y", "y_hat", "cost", "costs", "d_y_hat", "d_x")
            },
            "layers": layers,
            "after": {name: _plain(value) for name, value in self.after._asdict().items()},
            "blame": {name: _plain(value) for name, value in self.blame._asdict().items()},
        }

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write a page to walk through the numbers: one file, which needs nothing else.

        Parameters
        ----------
        path : str or path-like
            The file; replaced if it is there.

        Raises
        ------
        OSError
            If it can't be written; a file that was there is as it was.
        """
        from fastbackprop._explain.page import (
            render,
        )  # likewise below: importing the package shall be quick

        write_beside(path, render(self.to_dict()).encode())

    def plot(self, *, by: str = "value", ax: Any = None) -> Any:
        """Draw the network with matplotlib: lines as wide as weights are large, or to blame.

        Parameters
        ----------
        by : {"value", "blame"}, default="value"
            What widths and colours of lines and neurons show; wide layers are folded to the most
            blamed.
        ax : matplotlib.axes.Axes, optional
            Where to draw; None makes a figure.

        Returns
        -------
        matplotlib.axes.Axes
            Its ``figure`` can be saved.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If by is neither of the two.
        """
        from fastbackprop._explain.plot import draw

        return draw(self, check_choice("by", by, ("value", "blame")), ax)

    def _repr_html_(self) -> str:
        """Return the page for notebooks, in a frame, where its styles and scripts meet nobody's."""
        from fastbackprop._explain.page import frame

        return frame(self.to_dict())

    def __str__(self) -> str:
        from fastbackprop._explain.text import text

        return text(self)

    def __repr__(self) -> str:
        n = f"{len(self.x)} sample{'s' if len(self.x) > 1 else ''}"
        return f"Explanation({self.title}, {n}, cost {self.cost:.4g} -> {self.after.cost:.4g})"


def _check_index(what: str, value: int, size: int) -> None:
    """Refuse what isn't from 0 to size - 1."""
    if not 0 <= check_integer(what, value, at_least=-sys.maxsize) < size:
        raise ValueError(f"{what} must be from 0 to {size - 1}, got {value}.")


def _plain(value: Any) -> Any:
    """Lists and floats of whatever is in an explanation."""
    if isinstance(value, np.ndarray):
        return value.astype(np.float64).tolist()
    return [_plain(x) for x in value] if isinstance(value, list) else value


def _candidates(e: Explanation, kind: str) -> Iterator[Blamed]:
    """Everybody of a kind, as Blamed."""
    layers = e.layers
    if kind == "inputs":
        totals = e.d_x.sum(axis=0, dtype=np.float64)
        for i, share in enumerate(e.blame.inputs):
            yield Blamed(name_of("x", len(totals), i), (i,), float(share), float(totals[i]))
    for k, layer in enumerate(layers if kind != "inputs" else []):
        if kind == "layers":
            weight, bias = layer.weight_gradient, layer.bias_gradient
            squares = (
                float((x.astype(np.float64) ** 2).sum()) for x in (weight, bias) if x is not None
            )
            yield Blamed(layer_in_words(k), (k,), float(e.blame.layers[k]), sum(squares) ** 0.5)
        elif kind == "neurons":
            totals = layer.delta.sum(axis=0, dtype=np.float64)
            for j, share in enumerate(e.blame.neurons[k]):
                yield Blamed(
                    name_of(f"a{k + 1}", len(totals), j), (k, j), float(share), float(totals[j])
                )


def _weights(e: Explanation, most: int) -> Iterator[Blamed]:
    """Yield each layer's weights and biases with the largest shares, as others may be millions."""
    for k, layer in enumerate(e.layers):
        shape, shares = layer.weight.shape, e.blame.weights[k]
        for place in np.argsort(-shares, axis=None, kind="stable")[:most]:
            i, j = (int(x) for x in np.unravel_index(place, shape))
            share, gradient = float(shares[i, j]), float(layer.weight_gradient[i, j])
            yield Blamed(weight_name(shape, k, i, j), (k, i, j), share, gradient)
        of_biases = e.blame.biases[k]
        if of_biases is not None and layer.bias_gradient is not None:
            for j in np.argsort(-of_biases, kind="stable")[:most].tolist():
                yield Blamed(
                    bias_name(shape, k, j),
                    (k, j),
                    float(of_biases[j]),
                    float(layer.bias_gradient[j]),
                )


def _shares(d_x: np.ndarray, layers: list[LayerExplanation]) -> Blame:
    """Who has how much of the blame."""

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
