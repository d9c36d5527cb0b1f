"""Steps by the signs of gradients: the formulas are in correct/signs.pxi."""

from typing import Any, ClassVar

from fastbackprop._correct.optimizer import Optimizer
from fastbackprop._correct.schedule import Scheduled
from fastbackprop._correct.settings import Setting, beta

__all__ = ["Lion", "Rprop"]


class Lion(Optimizer):
    """Steps of one length, by the sign of a momentum (Chen et al. 2023).

    w <- w - learning_rate (sign(beta_1 m + (1 - beta_1) g) + weight_decay w), then
    m <- beta_2 m + (1 - beta_2) g: formula and defaults are optax's, the learning rate the paper's.

    Parameters
    ----------
    learning_rate : float or schedule, default=0.0001
        Size of a step, above 0. Can be assigned between steps.
    beta_1, beta_2 : float, default=0.9, 0.99
        Parts of the momentum that go into a step, and that are kept; from 0 to below 1.
    weight_decay : float or schedule, default=0.001
        Strength of the decay, at least 0: taken from the weight, times the learning rate.
    decay_biases : bool, default=True
        Whether weight decay includes biases, and what norms learn.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range.
    """

    _kind = "lion"
    _fixed: ClassVar[dict[str, Any]] = {"decoupled": True}
    beta_1 = beta("How much of the momentum goes into a step.")
    beta_2 = beta("How much of the momentum is kept.")

    def __init__(
        self,
        learning_rate: Scheduled = 0.0001,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        weight_decay: Scheduled = 0.001,
        decay_biases: bool = True,
    ) -> None:
        super().__init__(
            {
                "learning_rate": learning_rate,
                "beta_1": beta_1,
                "beta_2": beta_2,
                "weight_decay": weight_decay,
            },
            {"decay_biases": decay_biases},
        )


class Rprop(Optimizer):
    """Resilient backpropagation (Riedmiller & Braun 1993): only the gradient's signs count.

    Each weight has a step of its own: longer where the gradient kept its sign; where it changed,
    shorter, and not done. Formula and defaults are PyTorch's. It needs the gradient of all data:
    ``fit`` refuses batches smaller than that.

    Parameters
    ----------
    learning_rate : float, default=0.01
        The first step, above 0.
    shorten, lengthen : float, default=0.5, 1.2
        Factors by which steps are multiplied: below 1, above 1.
    shortest, longest : float, default=1e-6, 50
        The limits of a step, above 0.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range.
    """

    _kind = "rprop"
    shorten = Setting("By which a step is multiplied that went too far.", above=0.0, below=1.0)
    lengthen = Setting("By which a step is multiplied that went the right way.", above=1.0)
    shortest = Setting("The shortest step.", above=0.0)
    longest = Setting("The longest step.", above=0.0)

    def __init__(
        self,
        learning_rate: float = 0.01,
        *,
        shorten: float = 0.5,
        lengthen: float = 1.2,
        shortest: float = 1e-6,
        longest: float = 50.0,
    ) -> None:
        super().__init__(
            {
                "learning_rate": learning_rate,
                "shorten": shorten,
                "lengthen": lengthen,
                "shortest": shortest,
                "longest": longest,
            },
            {},
        )

    def _check_fit(self, batch_size: int, n_rows: int) -> None:
        if batch_size < n_rows:
            raise ValueError(
                f"batch_size must be the number of rows, {n_rows}, for Rprop, which needs the "
                f"gradient of all data, got {batch_size}."
            )
