"""Clipping: gradients that are too long are made shorter."""

from typing import Any, NamedTuple

import numpy as np

from fastbackprop._core.dispatch import kernels
from fastbackprop._core.errors import DivergenceError
from fastbackprop._core.validation import check_held, check_real

__all__ = ["Clipping", "check_limit", "clip_gradients"]


class Clipping(NamedTuple):
    """The limits of gradients; 0 stands for none.

    Parameters
    ----------
    value : float
        Largest size of each gradient by itself.
    norm : float
        Largest norm of all gradients together.
    """

    value: float = 0.0
    norm: float = 0.0

    def apply(self, model: Any) -> None:
        """Clip the gradients of a model's last backward, in its lock."""
        if self.value or self.norm:
            _clip(model, *self)

    def scratch(self, model: Any) -> np.ndarray | None:
        """Return what the kernels need to know the norm before they correct weights."""
        if not self.norm:
            return None
        return model._parameters.clipping(model._network.clipping_scratch_size)


def check_limit(what: str, value: object, dtype: np.dtype) -> float:
    """Return a limit above 0 that the dtype holds; 0 stands for None."""
    if value is None:
        return 0.0
    limit = check_real(what, value, above=0.0)
    check_held(what, limit, dtype)
    return limit


def clip_gradients(model: Any, *, norm: float | None = None, value: float | None = None) -> float:
    """Make the gradients of a model's last ``backward`` shorter, between that and ``step``.

    Parameters
    ----------
    model : Sequential
        Model whose gradients are there, after ``forward`` and ``backward``.
    norm : float, optional
        The largest norm of all gradients together, above 0: where it is larger, all are multiplied
        by the same factor.
    value : float, optional
        The largest size of each gradient by itself, above 0; it is applied before the norm.

    Returns
    -------
    float
        The norm of all gradients, before it was limited.

    Raises
    ------
    ValueError
        If both limits are None, or one is out of its range.
    TypeError
        If model is not a Sequential.
    RuntimeError
        If there was no ``backward`` yet, or another thread trains the model.
    DivergenceError
        If a gradient isn't finite; then nothing has changed.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> model = fb.Sequential([fb.Dense(1, 2, bias=False)])
    >>> y_hat = model.forward([[1]])
    >>> d_x = model.backward([[3, 4]])
    >>> fb.clip_gradients(model, norm=1)
    5.0
    >>> model.layers[0].weight_gradient
    array([[0.6, 0.8]], dtype=float32)
    """
    if not hasattr(model, "_lock"):
        raise TypeError(f"model must be a Sequential, got {type(model).__name__}.")
    if norm is None and value is None:
        raise ValueError("norm or value must be given, got neither.")
    limits = check_limit("value", value, model.dtype), check_limit("norm", norm, model.dtype)
    return float(model._lock.run(_clip, model, *limits))


def _clip(model: Any, value: float, norm: float) -> float:
    parameters = model._parameters
    if not parameters.has_blame:
        raise RuntimeError(
            "clip_gradients must follow model.backward, got a model without gradients."
        )
    gradients, kernel = parameters.gradients, kernels(model.dtype)
    scratch = parameters.clipping(model._network.clipping_scratch_size)
    before = kernel.clip(model._network, gradients, value, norm, scratch)
    if np.isnan(before):
        at = kernel.first_nonfinite(gradients)
        wrong = parameters.layer_at(at)
        raise DivergenceError(
            f"Gradients of model.layers[{wrong}] are infinite or NaN; they were left as they are. "
            f"Try a smaller learning rate.",
            layer=wrong,
        )
    return before
