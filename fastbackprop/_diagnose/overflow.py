"""Finds where numbers of finite weights outgrow the model's dtype in predict, compare or blame."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastbackprop._core.naming import layer_in_words
from fastbackprop._diagnose.findings import Finding
from fastbackprop._explain.inspection import arrays_of, inspect_layer
from fastbackprop._model.sequential import Sequential

__all__ = ["blame_overflow", "compare_overflow", "predict_overflow"]


def _remedy(model: Sequential) -> str:
    wider = ", or take dtype='float64'" if model.dtype == np.float32 else ""
    return f"scale inputs and targets, begin with smaller weights (weight_init='auto'){wider}"


def predict_overflow(model: Sequential, n_rows: int) -> Iterator[Finding]:
    """Find the first layer whose z is not finite, after ``forward``, with its largest weight."""
    for k in range(len(model.layers)):
        if not np.isfinite(inspect_layer(model, k, n_rows)[0]).all():
            yield Finding(
                "overflow in predict",
                layer_in_words(k),
                max((float(abs(x).max()) for x in arrays_of(model, k)), default=0.0),
                f"Its weights reach that, and its sums are beyond {model.dtype}: {_remedy(model)}.",
            )
            return


def compare_overflow(
    model: Sequential, y_hat: np.ndarray, cost: float, d_y_hat: Any
) -> Iterator[Finding]:
    """Find a cost or dC/dy_hat that is not finite, with the largest output."""
    if not (np.isfinite(cost) and np.isfinite(np.asarray(d_y_hat)).all()):
        yield Finding(
            "overflow in compare",
            "y_hat",
            float(abs(y_hat).max()),
            f"Outputs reach that, and the loss or its gradient is not finite: {_remedy(model)}.",
        )


def blame_overflow(model: Sequential) -> Iterator[Finding]:
    """Find the last layer with a gradient that is not finite, after ``backward``; count them."""
    for k in reversed(range(len(model.layers))):
        gradients = arrays_of(model, k, model._parameters.gradients)
        n_lost = sum(int((~np.isfinite(x)).sum()) for x in gradients)
        if n_lost:
            yield Finding(
                "overflow in blame",
                layer_in_words(k),
                float(n_lost),
                f"So many of its gradients are beyond {model.dtype}: {_remedy(model)}.",
            )
            return
