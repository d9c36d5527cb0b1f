"""Sequential: a network of layers, with all that can be asked of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastbackprop._blame.derivatives import Derivatives
from fastbackprop._core.dispatch import DTYPES
from fastbackprop._core.validation import check_choice, check_seed
from fastbackprop._model.classification import Classification
from fastbackprop._model.copies import Copies
from fastbackprop._model.for_c import ForC
from fastbackprop._model.layers import check_layers, dtype_name, mask_seed, room_for
from fastbackprop._model.passes import Passes
from fastbackprop._model.summary import line_of, table_of
from fastbackprop._predict.layer import Layer

__all__ = ["Sequential"]


class Sequential(Classification, Passes, ForC, Copies, Derivatives):
    """Dense layers, one behind the other, and what stands between them.

    Parameters
    ----------
    layers : sequence of Dense, Activation, Dropout, LayerNorm, BatchNorm, Standardize, RobustScale
        The layers, at least one of them a Dense; each Dense must have as many inputs as the one
        before has outputs, and the other kinds have as many of both. The last two kinds scale
        inputs, and go first.
    seed : int or None, default=None
        Seed for drawing the initial weights, and the masks of ``Dropout``; None takes one from the
        operating system.
    dtype : {"float32", "float64"}, default="float32"
        Number type of weights, inputs and outputs.
    scale_targets : bool, default=False
        Whether targets are scaled to a mean of 0 and a deviation of 1, of the training rows of the
        first ``fit`` or by ``fit_scaling``: predictions, derivatives and metrics are in the user's
        units then, ``forward`` and losses in scaled ones. For regression only.

    Raises
    ------
    ValueError, TypeError
        If layers don't fit each other, or one belongs to another model already.

    Notes
    -----
    ``predict``, ``forward`` and all derivatives may be called from many threads at once, also while
    another one trains: each call has room of its own, and each thread its own last ``forward``.
    Training and ``backward`` are for one thread at a time; a second one gets a RuntimeError.

    Each output, and each element of a gradient, is one sum in the model's dtype, one term after
    the other: that is what makes the bits the same on every machine. Its error grows with the
    number of terms, most where all have one sign. In float32 a sum of 10,000 equal terms is up to
    0.01 % off, one of a million up to 1 %, of ten million (the gradient over a batch of so many
    rows) up to 14 %; terms of both signs and of many sizes lose far less. With more than some
    100,000 inputs take ``dtype="float64"``, with more than some 100,000 rows in a batch smaller
    batches, or float64.

    pickle, copy and deepcopy keep the class of a model and of its layers, and attributes that were
    added to them.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> layers = [fb.Dense(4, 8, activation="relu"), fb.Dense(8, 3, activation="softmax")]
    >>> model = fb.Sequential(layers, seed=0)
    >>> model
    Sequential(4-8-3, relu softmax, float32, 67 parameters)
    >>> model.predict([[5.1, 3.5, 1.4, 0.2]]).shape
    (1, 3)
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        seed: int | None = None,
        dtype: Any = "float32",
        scale_targets: bool = False,
    ) -> None:
        layers = check_layers(layers)
        seed = check_seed(seed)
        dtype = check_choice("dtype", dtype_name(dtype), DTYPES)
        parameters = room_for(layers, dtype, mask_seed(seed, layers))
        generator = np.random.PCG64(seed)
        for layer, (weight, bias), running in zip(
            layers, parameters.views(), parameters.running_views(), strict=True
        ):
            layer._fill(weight, bias, running, generator)
        self._assemble(layers, parameters)
        self._set_scale_targets(scale_targets)

    def summary(self) -> str:
        """Return the layers as a table.

        Returns
        -------
        str
            A line for each layer: kind, shape, activation, number of parameters.
        """
        return table_of(self)

    def __repr__(self) -> str:
        return line_of(self)
