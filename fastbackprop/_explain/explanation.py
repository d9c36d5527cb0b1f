"""Explanation: every number of one step of backpropagation, its ranking, its chains.

What ``explain`` made, and what can be asked of it.
"""

import operator
from typing import Any

import numpy as np

from fastbackprop._core.validation import check_choice, check_integer
from fastbackprop._explain.as_dict import as_dict, lists
from fastbackprop._explain.blame import Blamed, candidates, shares_of
from fastbackprop._explain.chain import Chain, strongest_paths
from fastbackprop._explain.html_page import HtmlPage
from fastbackprop._explain.inside import inside
from fastbackprop._explain.kinds import check_chained
from fastbackprop._explain.parts import After, LayerExplanation

__all__ = ["Explanation"]

KINDS = ("inputs", "neurons", "layers", "weights")


class Explanation(HtmlPage):
    """One step of backpropagation, with every number; made by ``explain``.

    Parameters
    ----------
    **values
        Values of all attributes but blame; ``explain`` gives them.

    Attributes
    ----------
    x, y, y_hat : ndarray of shape (n, n_in), (n, n_out), (n, n_out)
        Inputs, in the user's units, targets (labels as one-hot rows) and predictions, both as the
        loss compares them: scaled, where the model scales its targets.
    cost, costs : float, ndarray of shape (n,)
        Mean cost of the samples, and the cost of each.
    d_y_hat, d_x : ndarray of shape (n, n_out), (n, n_in)
        dC/dy_hat, with the 1/n of the mean in it, and dC/dx.
    layers : list of LayerExplanation
        First to last.
    after : After
        What holds after the step: y_hat, cost, predicted_cost (cost + sum of gradient * step; for
        plain SGD cost - learning_rate * sum of squared gradients), falls, and verdict: that in
        words.
    blame : Blame
        Shares of the blame: inputs by the sum over samples of |dC/dx| (of x as it was scaled, where
        it is, so that units don't count), neurons by that of |dC/dz|, weights and biases by
        |dC/dw|, layers by the sum of these.
    learning_rate, optimizer, loss, title, dtype : float, str, str, str, str
        Learning rate of the step; what did it, as "SGD(0.01)"; the name of the loss; the model in
        one line, and its dtype.
    feature_names, class_names, image_shape : list, list, tuple, each or None
        Names of the inputs and of the outputs, and the shape (rows, columns) of the image that an x
        is: for the page and the picture.
    settings : dict or str
        Loss, optimizer and norms as the page computes with them; or why it can't.
    notes : list of str
        What is scaled, in sentences.

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
        self.feature_names: list[str] | None = values.get("feature_names")
        self.class_names: list[str] | None = values.get("class_names")
        self.image_shape: tuple[int, int] | None = values.get("image_shape")
        self.settings: dict[str, Any] | str = values.get("settings", "nothing is known of it")
        self.notes: list[str] = values.get("notes", [])
        self.layers: list[LayerExplanation] = values["layers"]
        self.after: After = values["after"]
        of_inputs = self.d_x if self.layers[0].scale is None else self.layers[0].delta
        self.blame = shares_of(of_inputs, self.layers)

    def chain(
        self, layer: int, i: int | None, j: int, *, sample: int | None = None, most: int = 8
    ) -> Chain:
        """Return the chain rule for one weight and one sample: every factor, by name and number.

        Parameters
        ----------
        layer : int
            Index in ``model.layers``.
        i : int or None
            Row of the weight: the input of the layer; None for the bias.
        j : int
            Column of the weight: the neuron.
        sample : int or None, default=None
            Index of the row of x; None takes the most costly, as the text does.
        most : int, default=8
            Number of paths to name, the strongest first; there can be as many as the product of the
            widths behind the layer.

        Returns
        -------
        Chain
            The paths of the weight, and their sum: this sample's part of the gradient.

        Raises
        ------
        ValueError
            If there is no such layer, weight or sample, or norms come behind the weight: each of
            their outputs depends on a whole row or batch.
        """
        _check_index("layer", layer, len(self.layers))
        check_chained(self, layer)
        if self.layers[layer].weight.size == 0:
            raise ValueError(
                f"layer must be one with weights, got layers[{layer}] {self.layers[layer].kind}."
            )
        sample = int(np.argmax(self.costs)) if sample is None else sample
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
            Number of them to name.
        kind : {"weights", "neurons", "layers", "inputs"}, default="weights"
            Kind that is asked for; biases are among the weights.

        Returns
        -------
        list of Blamed
            They have name, where, share and gradient, the largest share first. ``gradient`` is
            dC/dw; for inputs and neurons the sum over the samples of dC/dx and dC/dz; for layers
            the norm.
        """
        n = check_integer("n", n)
        kind = check_choice("kind", kind, KINDS)
        blamed = candidates(self.blame, self.d_x, self.layers, kind, n)
        return sorted(blamed, key=lambda x: -x.share)[:n]

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
        return as_dict(self, lists)

    def _page(self) -> str:
        from fastbackprop._explain.page import render  # likewise below: the import shall be quick

        return render([self])

    def plot(self, *, by: str = "value", ax: Any = None) -> Any:
        """Draw the network with matplotlib: lines as wide as weights are large, or to blame.

        Parameters
        ----------
        by : {"value", "blame"}, default="value"
            Quantity that widths and colours of lines and neurons show; wide layers are folded to
            the most blamed.
        ax : matplotlib.axes.Axes, optional
            Axes to draw on; None makes a figure.

        Returns
        -------
        matplotlib.axes.Axes
            The axes drawn on; their ``figure`` can be saved.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If by is neither of the two.
        """
        from fastbackprop._explain.plot import draw

        return draw(inside(self), check_choice("by", by, ("value", "blame")), ax)

    def _repr_html_(self) -> str:
        """Return the page for notebooks, in a frame, where its styles and scripts meet nobody's."""
        from fastbackprop._explain.page import frame

        return frame([self])

    def __str__(self) -> str:
        from fastbackprop._explain.text import text

        return text(self)

    def __repr__(self) -> str:
        n = f"{len(self.x)} sample{'s' if len(self.x) > 1 else ''}"
        return f"Explanation({self.title}, {n}, cost {self.cost:.4g} -> {self.after.cost:.4g})"


def _check_index(what: str, value: int, size: int) -> None:
    """Refuse what isn't an integer from 0 to size - 1."""
    try:
        if isinstance(value, bool):
            raise TypeError
        index = operator.index(value)
    except TypeError:
        raise TypeError(f"{what} must be an integer from 0 to {size - 1}, got {value!r}.") from None
    if not 0 <= index < size:
        raise ValueError(f"{what} must be from 0 to {size - 1}, got {value}.")
