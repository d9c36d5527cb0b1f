"""OpSpec: what the kernels are told of one layer."""

from typing import NamedTuple

__all__ = ["OpSpec"]


class OpSpec(NamedTuple):
    """One layer as the kernels see it: an op, and the activation that is done with it.

    Parameters
    ----------
    kind : str
        One of the kernels' OPS: "product", "activation", "layer_norm", "batch_norm", "dropout".
    n_in, n_out : int
        Its widths; the same for all but products.
    offset : int
        Place where its weight, or gamma, begins in the buffer of all parameters.
    has_bias : bool
        Whether a bias, or beta, lies behind that.
    activation : str
        One of the kernels' ACTIVATIONS.
    alpha : float
        The parameter of the activation.
    epsilon : float
        What a norm adds to the variance.
    momentum : float
        Part of a batch that the running statistics of a batch norm take.
    running_offset : int
        Place where these begin in the buffer of all running statistics.
    learning_rate_factor : float
        By which the optimizer's learning rate is multiplied.
    l1 : float
        Times the sign of each weight, it is added to the weight's gradient.
    max_norm : float
        The largest norm of a column of the weight; 0 stands for any.
    trainable : bool
        Whether its parameters, and the running statistics of a batch norm, change in training.
    rate : float
        Part of the units that dropout drops.
    """

    kind: str
    n_in: int
    n_out: int
    offset: int = 0
    has_bias: bool = False
    activation: str = "identity"
    alpha: float = 0.0
    epsilon: float = 0.0
    momentum: float = 0.0
    running_offset: int = 0
    learning_rate_factor: float = 1.0
    l1: float = 0.0
    max_norm: float = 0.0
    trainable: bool = True
    rate: float = 0.0
