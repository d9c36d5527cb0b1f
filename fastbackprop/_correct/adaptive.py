"""Steps divided by the size of gradients: the formulas are in correct/adaptive.pxi."""

from decimal import Decimal
from typing import Any, ClassVar

from fastbackprop._correct.optimizer import Optimizer
from fastbackprop._correct.schedule import Scheduled
from fastbackprop._correct.settings import Setting, beta, epsilon_setting

__all__ = ["Adagrad", "Adam", "AdamW", "NAdam", "RMSprop"]


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015): each weight's step is divided by the size of its gradients.

    m <- beta_1 m + (1 - beta_1) g, v <- beta_2 v + (1 - beta_2) g^2, and after t steps
    w <- w - learning_rate (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon): formula and
    defaults are PyTorch's.

    Parameters
    ----------
    learning_rate : float or schedule, default=0.001
        Size of a step, above 0. Can be assigned between steps.
    beta_1, beta_2 : float, default=0.9, 0.999
        Parts of the first and the second moment that are kept, from 0 to below 1.
    epsilon : float, default=1e-8
        Term of the denominator, above 0; it is added outside of the root.
    weight_decay : float or schedule, default=0
        Strength of the decay, at least 0: added to the gradient, times the weight (see ``AdamW``).
    amsgrad : bool, default=False
        Whether the largest second moment so far is divided by (Reddi et al. 2018).
    decay_biases : bool, default=True
        Whether weight decay includes biases, and what norms learn.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.Adam(0.003, beta_2=0.99)
    Adam(0.003, beta_2=0.99)
    """

    _kind = "adam"
    beta_1 = beta("How much of the first moment is kept.")
    beta_2 = beta("How much of the second moment is kept.")
    epsilon = epsilon_setting()

    def __init__(
        self,
        learning_rate: Scheduled = 0.001,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: Scheduled = 0.0,
        amsgrad: bool = False,
        decay_biases: bool = True,
    ) -> None:
        super().__init__(
            {
                "learning_rate": learning_rate,
                "beta_1": beta_1,
                "beta_2": beta_2,
                "epsilon": epsilon,
                "weight_decay": weight_decay,
            },
            {"amsgrad": amsgrad, "decay_biases": decay_biases},
        )

    @property
    def amsgrad(self) -> bool:
        """Whether the largest second moment so far is divided by."""
        return self._flags["amsgrad"]


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019).

    The decay is taken from the weight, w <- w - learning_rate weight_decay w, apart from Adam's
    step: formula and defaults are PyTorch's.

    Parameters
    ----------
    learning_rate : float or schedule, default=0.001
        Size of a step, above 0. Can be assigned between steps.
    beta_1, beta_2 : float, default=0.9, 0.999
        Parts of the first and the second moment that are kept, from 0 to below 1.
    epsilon : float, default=1e-8
        Term of the denominator, above 0; it is added outside of the root.
    weight_decay : float or schedule, default=0.01
        Strength of the decay, at least 0: taken from the weight, times the learning rate.
    amsgrad : bool, default=False
        Whether the largest second moment so far is divided by (Reddi et al. 2018).
    decay_biases : bool, default=True
        Whether weight decay includes biases, and what norms learn.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.AdamW(0.003, beta_2=0.99)
    AdamW(0.003, beta_2=0.99)
    """

    _fixed: ClassVar[dict[str, Any]] = {"decoupled": True}

    def __init__(
        self,
        learning_rate: Scheduled = 0.001,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: Scheduled = 0.01,
        amsgrad: bool = False,
        decay_biases: bool = True,
    ) -> None:
        super().__init__(
            learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            decay_biases=decay_biases,
        )


class NAdam(Optimizer):
    """Adam that looks one step of its momentum ahead, as Nesterov's does (Dozat 2016).

    With mu_t = beta_1 (1 - 0.96^(t momentum_decay) / 2) and v as in ``Adam``,
    w <- w - learning_rate (mu_{t+1} m / (1 - mu_1 ... mu_{t+1})
    + (1 - mu_t) g / (1 - mu_1 ... mu_t)) / (sqrt(v / (1 - beta_2^t)) + epsilon): formula and
    defaults are PyTorch's.

    Parameters
    ----------
    learning_rate : float or schedule, default=0.002
        Size of a step, above 0. Can be assigned between steps.
    beta_1, beta_2 : float, default=0.9, 0.999
        Parts of the first and the second moment that are kept, from 0 to below 1.
    epsilon : float, default=1e-8
        Term of the denominator, above 0; it is added outside of the root.
    weight_decay : float or schedule, default=0
        Strength of the decay, at least 0: added to the gradient, times the weight.
    momentum_decay : float, default=0.004
        Speed at which mu approaches beta_1, at least 0.
    decay_biases : bool, default=True
        Whether weight decay includes biases, and what norms learn.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range.
    """

    _kind = "nadam"
    beta_1 = beta("How much of the first moment is kept, in the end.")
    beta_2 = beta("How much of the second moment is kept.")
    epsilon = epsilon_setting()
    momentum_decay = Setting("How fast the momentum approaches beta_1.", at_least=0.0)

    def __init__(
        self,
        learning_rate: Scheduled = 0.002,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: Scheduled = 0.0,
        momentum_decay: float = 0.004,
        decay_biases: bool = True,
    ) -> None:
        super().__init__(
            {
                "learning_rate": learning_rate,
                "beta_1": beta_1,
                "beta_2": beta_2,
                "epsilon": epsilon,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
            },
            {"decay_biases": decay_biases},
        )

    def _spec_numbers(self) -> dict[str, float]:
        numbers = super()._spec_numbers()
        # By decimal arithmetic, which is the same everywhere.
        numbers["fading"] = float(Decimal("0.96") ** Decimal(numbers.pop("momentum_decay")))
        return numbers


class RMSprop(Optimizer):
    """The gradient divided by the root of a moving average of its squares (Hinton 2012).

    v <- rho v + (1 - rho) g^2, b <- momentum b + g / (sqrt(v) + epsilon), and
    w <- w - learning_rate b; centered (Graves 2013) takes the square of a moving average of g from
    v: formula and defaults are PyTorch's.

    Parameters
    ----------
    learning_rate : float or schedule, default=0.01
        Size of a step, above 0. Can be assigned between steps.
    rho : float, default=0.99
        Part of the average that is kept, from 0 to below 1.
    momentum : float or schedule, default=0
        Part of the velocity that is kept, from 0 to below 1.
    centered : bool, default=False
        Whether squares are those of the distance from the mean gradient.
    epsilon : float, default=1e-8
        Term of the denominator, above 0; it is added outside of the root.
    weight_decay : float or schedule, default=0
        Strength of the decay, at least 0: added to the gradient, times the weight.
    decay_biases : bool, default=True
        Whether weight decay includes biases, and what norms learn.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range.
    """

    _kind = "rmsprop"
    rho = beta("How much of the average of squares is kept.")
    momentum = Setting("How much of the velocity is kept.", at_least=0.0, below=1.0, scheduled=True)
    epsilon = epsilon_setting()

    def __init__(
        self,
        learning_rate: Scheduled = 0.01,
        *,
        rho: float = 0.99,
        momentum: Scheduled = 0.0,
        centered: bool = False,
        epsilon: float = 1e-8,
        weight_decay: Scheduled = 0.0,
        decay_biases: bool = True,
    ) -> None:
        super().__init__(
            {
                "learning_rate": learning_rate,
                "rho": rho,
                "momentum": momentum,
                "epsilon": epsilon,
                "weight_decay": weight_decay,
            },
            {"centered": centered, "decay_biases": decay_biases},
        )

    @property
    def centered(self) -> bool:
        """Whether squares are those of the distance from the mean gradient."""
        return self._flags["centered"]

    def _spec_numbers(self) -> dict[str, float]:
        numbers = super()._spec_numbers()
        numbers["beta_2"] = numbers.pop("rho")
        return numbers


class Adagrad(Optimizer):
    """The gradient divided by the root of the sum of all its squares so far (Duchi et al. 2011).

    s <- s + g^2 and w <- w - learning_rate g / (sqrt(s) + epsilon): formula and defaults are
    PyTorch's.

    Parameters
    ----------
    learning_rate : float or schedule, default=0.01
        Size of a step, above 0. Can be assigned between steps.
    epsilon : float, default=1e-10
        Term of the denominator, above 0; it is added outside of the root.
    weight_decay : float or schedule, default=0
        Strength of the decay, at least 0: added to the gradient, times the weight.
    decay_biases : bool, default=True
        Whether weight decay includes biases, and what norms learn.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range.
    """

    _kind = "adagrad"
    epsilon = epsilon_setting()

    def __init__(
        self,
        learning_rate: Scheduled = 0.01,
        *,
        epsilon: float = 1e-10,
        weight_decay: Scheduled = 0.0,
        decay_biases: bool = True,
    ) -> None:
        super().__init__(
            {"learning_rate": learning_rate, "epsilon": epsilon, "weight_decay": weight_decay},
            {"decay_biases": decay_biases},
        )
