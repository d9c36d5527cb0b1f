"""Parts of an Explanation: one layer in the step, and what holds after the step."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

__all__ = ["After", "LayerExplanation"]


@dataclass(frozen=True)
class LayerExplanation:
    """One layer in a step: n samples through n_in inputs and n_out neurons.

    Attributes
    ----------
    activation, slope : str, float
        Name of act, and its slope below 0 for leaky_relu.
    z, a : ndarray of shape (n, n_out)
        z = a_prev W + b, and a = act(z).
    derivative : ndarray of shape (n, n_out) or None
        act'(z); None for softmax, where each output depends on all z.
    d_a, delta : ndarray of shape (n, n_out)
        dC/da and dC/dz.
    weight, weight_gradient, weight_step, weight_after : ndarray of shape (n_in, n_out)
        W before the step; dC/dW; W after - before (for plain SGD -learning_rate dC/dW, rounded);
        W after the step.
    bias, bias_gradient, bias_step, bias_after : ndarray of shape (n_out,) or None
        The same of b.
    kind : str
        "Dense", "Activation", "Dropout", "LayerNorm" or "BatchNorm". Of norms, weight is gamma, of
        shape (1, n_out), and bias is beta; the weight of layers without parameters has no rows. The
        derivative of Dropout is its mask: 0, or 1 / (1 - rate). Or the kind of a layer that scales.
    center, scale : ndarray of shape (n_in,) or None
        Of a layer that scales inputs: a = (x - center) / scale.
    rate : float or None
        Of Dropout, in this step.
    through : ndarray of shape (n, n_out) or None
        Of norms: da[i, j]/dx[i, j], each output by the input at the same place; what the input does
        to the mean and the deviation is in it.
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
    kind: str = "Dense"
    center: np.ndarray | None = None
    scale: np.ndarray | None = None
    rate: float | None = None
    through: np.ndarray | None = None


class After(NamedTuple):
    """What holds after the step.

    These are the predictions, the cost as computed and as the gradient predicted it, whether it
    fell, that in words, and the outputs of each layer.
    """

    y_hat: np.ndarray
    cost: float
    predicted_cost: float
    falls: bool
    verdict: str
    a: list[np.ndarray]
