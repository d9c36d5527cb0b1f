"""lab: the page of an explanation, opened in the browser, on one's own net and data."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastbackprop._compare.losses import Loss
from fastbackprop._compare.own_loss import LossFunction, as_loss_or_function
from fastbackprop._core.activations import TABLE
from fastbackprop._core.arithmetic import in_exact_mode
from fastbackprop._core.validation import check_real, check_true_false
from fastbackprop._correct.optimizers import SGD
from fastbackprop._explain.explain import explain_step, shown_names
from fastbackprop._explain.playable import MOST_BYTES
from fastbackprop._explain.samples import Samples, data_of
from fastbackprop._model.sequential import Sequential

__all__ = ["lab"]


@in_exact_mode
def lab(
    model: Sequential,
    X: Any,
    y: Any,
    loss: str | Loss | LossFunction | None = None,
    *,
    learning_rate: float = 0.01,
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    image_shape: tuple[int, int] | None = None,
    path: str | Path | None = None,
    open_browser: bool = True,
) -> Path:
    """Open a page on which backpropagation can be watched, walked through and played with.

    The page shows one step on all samples with the library's numbers, and lets the reader change
    each of them and train on: then it computes the steps itself, and says so. There nothing is
    dropped, and batch norms use their running statistics, as in predict.

    Parameters
    ----------
    model : Sequential
        Model that is shown; it stays as it is.
    X, y : array-like
        Samples, as in ``Trainer.fit``. Of more than the page can hold, evenly spaced ones are
        taken.
    loss : str, Loss or callable, optional
        Loss as for Trainer; None takes the one that goes with the last activation, or
        "half_squared_error".
    learning_rate : float, default=0.01
        Learning rate with which the page begins.
    feature_names, class_names : sequence of str, optional
        Names of the inputs (by default those of a frame's columns) and of the outputs.
    image_shape : tuple of int, optional
        Shape (rows, columns) of the image that a row of X is.
    path : str or Path, optional
        File to write, one page that needs nothing else; None makes a temporary one.
    open_browser : bool, default=True
        Whether to open it in the browser.

    Returns
    -------
    Path
        The file of the page.

    Raises
    ------
    ValueError, TypeError
        If data or an argument doesn't fit.
    OSError
        If the page can't be written.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> model = fb.mlp([2, 4, 1], activation="tanh", seed=0)
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> fb.lab(model, X, y, learning_rate=0.3, open_browser=False).suffix
    '.html'
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"model must be a Sequential, got {type(model).__name__}.")
    rate = check_real("learning_rate", learning_rate, above=0.0)
    opens = check_true_false("open_browser", open_browser)
    fitting = TABLE[model.layers[-1].activation].loss or "half_squared_error"
    compare = as_loss_or_function(fitting if loss is None else loss)
    samples = _some(data_of(model, X, y, compare, "X"), model)
    shown = shown_names(model, X, samples, feature_names, class_names, image_shape)
    model_copy, optimizer = copy.deepcopy(model), SGD(rate)
    e = explain_step(
        model_copy, samples, compare, optimizer, lambda: optimizer.step(model_copy), **shown
    )
    import tempfile  # both only where they are needed: the import shall be quick
    import webbrowser

    if path is None:
        path = Path(tempfile.mkdtemp(prefix="fastbackprop-")) / "lab.html"
    page = Path(path).absolute()
    e.to_html(page)
    if opens:
        webbrowser.open(page.as_uri())
    return page


def _some(samples: Samples, model: Sequential) -> Samples:
    """Return as many samples, evenly spaced, as the page can hold beside the parameters."""
    row = (model.n_in + model.n_out) * model.dtype.itemsize
    left = MOST_BYTES - model.n_parameters * model.dtype.itemsize
    most = max(left // row, 64)
    n = len(samples)
    return samples if n <= most else samples.take(np.linspace(0, n - 1, most).astype(np.intp))
