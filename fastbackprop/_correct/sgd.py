"""Stochastic gradient descent, plain or with momentum: the formula is in correct/sgd.pxi."""

from fastbackprop._correct.optimizer import Optimizer
from fastbackprop._correct.schedule import Scheduled
from fastbackprop._correct.settings import Setting

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent: w <- w - learning_rate * dC/dw.

    With momentum, v <- momentum v + dC/dw and w <- w - learning_rate v; with
    Nesterov's, w <- w - learning_rate (dC/dw + momentum v) (Sutskever et al. 2013,
    in the form of PyTorch's SGD). Weight decay adds weight_decay * w to dC/dw. Velocity and number
    of steps are kept by the optimizer, for each model; a copied or pickled Trainer takes them
    along, a copied or pickled SGD doesn't.

    Parameters
    ----------
    learning_rate : float or schedule, default=0.01
        Size of a step, above 0. Can be assigned between steps.
    momentum : float or schedule, default=0
        Part of the velocity that is kept, from 0 to below 1.
    nesterov : bool, default=False
        Needs momentum.
    weight_decay : float or schedule, default=0
        Strength of the decay, at least 0: added to the gradient, times the weight.
    decay_biases : bool, default=True
        Whether weight decay includes biases, and what norms learn.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.SGD(0.1, momentum=0.9)
    SGD(0.1, momentum=0.9)
    """

    _kind = "sgd"
    momentum = Setting(
        "How much of the velocity is kept, from 0 to below 1.",
        at_least=0.0,
        below=1.0,
        scheduled=True,
    )

    def __init__(
        self,
        learning_rate: Scheduled = 0.01,
        *,
        momentum: Scheduled = 0.0,
        nesterov: bool = False,
        weight_decay: Scheduled = 0.0,
        decay_biases: bool = True,
    ) -> None:
        super().__init__(
            {"learning_rate": learning_rate, "momentum": momentum, "weight_decay": weight_decay},
            {"nesterov": nesterov, "decay_biases": decay_biases},
        )
        if self.nesterov and not self.momentum:
            raise ValueError("momentum must be above 0 for nesterov=True, got 0.")

    @property
    def nesterov(self) -> bool:
        """Whether the momentum is Nesterov's."""
        return self._flags["nesterov"]
