"""LayerNorm and BatchNorm: layers that bring numbers to a mean of 0 and a deviation of 1."""

from typing import Any, ClassVar

import numpy as np

from fastbackprop._core.validation import check_held, check_real
from fastbackprop._predict.layer import Layer

__all__ = ["BatchNorm", "LayerNorm"]


class Norm(Layer):
    """What both share: gamma and beta, by which the normalised numbers are scaled and moved."""

    _internals: ClassVar[frozenset[str]] = Layer._internals | {"_epsilon"}

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        self._epsilon = check_real("epsilon", epsilon, above=0.0)

    @property
    def epsilon(self) -> float:
        """What is added to the variance, so that its root is never 0."""
        return self._epsilon

    @property
    def has_bias(self) -> bool:
        """Whether there is a beta: always."""
        return True

    @property
    def _n_rows(self) -> int:
        return 1

    @property
    def gamma(self) -> np.ndarray:
        """Factors of shape (n_out,), a view; assigning copies in, checked."""
        own = self._own()
        return own.places[self._index].weight(own.values)[0]

    @gamma.setter
    def gamma(self, value: Any) -> None:
        self._assign("gamma", self.gamma, value)

    @property
    def beta(self) -> np.ndarray:
        """Summands of shape (n_out,), a view; assigning copies in, checked."""
        own = self._own()
        beta = own.places[self._index].bias(own.values)
        assert beta is not None
        return beta

    @beta.setter
    def beta(self, value: Any) -> None:
        self._assign("beta", self.beta, value)

    @property
    def gamma_gradient(self) -> np.ndarray:
        """dC/dgamma of the last ``backward``, of shape (n_out,), a view."""
        own = self._own()
        return own.places[self._index].weight(own.gradients)[0]

    @gamma_gradient.setter
    def gamma_gradient(self, value: Any) -> None:
        self._assign("gamma_gradient", self.gamma_gradient, value)
        self._own().has_blame = True

    @property
    def beta_gradient(self) -> np.ndarray:
        """dC/dbeta of the last ``backward``, of shape (n_out,), a view."""
        own = self._own()
        gradient = own.places[self._index].bias(own.gradients)
        assert gradient is not None
        return gradient

    @beta_gradient.setter
    def beta_gradient(self, value: Any) -> None:
        self._assign("beta_gradient", self.beta_gradient, value)
        self._own().has_blame = True

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), "epsilon": self._epsilon}

    def _fill(
        self,
        weight: np.ndarray,
        bias: np.ndarray | None,
        running: np.ndarray | None,
        generator: "np.random.PCG64",
    ) -> None:
        for name, value in self._described().items():
            check_held(name, value, weight.dtype)
        weight[...] = 1
        if running is not None:
            running[1] = 1
        super()._fill(weight, bias, running, generator)

    def _described(self) -> dict[str, Any]:
        return {"epsilon": self._epsilon}


class LayerNorm(Norm):
    """Normalises each row by itself: z = gamma (x - mean) / sqrt(variance + epsilon) + beta.

    Parameters
    ----------
    epsilon : float, default=1e-5
        What is added to the variance, above 0.

    Raises
    ------
    ValueError, TypeError
        If epsilon isn't a number above 0.

    Notes
    -----
    Mean and variance (divided by n) are those of the row's numbers, to train and to predict alike.
    gamma begins with 1, beta with 0. Ba, Kiros and Hinton 2016, "Layer normalization"; as
    PyTorch's. The width is that of the layer before, or behind where it is the first.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> layers = [fb.Dense(4, 8), fb.LayerNorm(), fb.Activation("gelu"), fb.Dense(8, 1)]
    >>> fb.Sequential(layers, seed=0)
    Sequential(4-8-1, identity LayerNorm gelu identity, float32, 65 parameters)
    """

    _kind = "layer_norm"

    def __init__(self, epsilon: float = 1e-5) -> None:
        super().__init__(epsilon)

    def _construct(self, state: dict[str, Any]) -> None:
        LayerNorm.__init__(self, state["_epsilon"])
        self._rules = type(self._rules)(*state.get("_rules", ()))

    def __repr__(self) -> str:
        parts = [] if self._epsilon == 1e-5 else [f"epsilon={self._epsilon:g}"]
        return f"LayerNorm({', '.join(parts + self._rules.shown())})"


class BatchNorm(Norm):
    """Normalises each column by the batch: z = gamma (x - mean) / sqrt(variance + epsilon) + beta.

    Parameters
    ----------
    momentum : float, default=0.1
        How much of a batch the running statistics take: new = old + momentum (batch's - old); above
        0, at most 1.
    epsilon : float, default=1e-5
        What is added to the variance, above 0.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    Notes
    -----
    In training, mean and variance (divided by n) are those of the batch's rows, without rows of
    weight 0; ``running_mean`` and ``running_variance`` (divided by n - 1) follow them, beginning
    with 0 and 1. To predict, to evaluate and for derivatives the running ones are taken, so that a
    row's prediction doesn't depend on other rows. A batch that has one row with a weight is trained
    with the running ones, which stay as they are; so is every batch while ``trainable`` is False,
    as in Keras. Weights above 0 all count alike in the statistics, which describe the inputs that
    predictions will see: here weight 2 isn't the row twice, and weights times 10 change nothing.

    gamma begins with 1, beta with 0. Ioffe and Szegedy 2015, "Batch normalization"; momentum,
    epsilon and the unbiased running variance are PyTorch's. The width is that of the layer before,
    or behind where it is the first.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> model = fb.Sequential([fb.BatchNorm(), fb.Dense(1, 1, weight_init=[[1]])])
    >>> model.forward([[1], [2], [3], [4]]).round(4).ravel()
    array([-1.3416, -0.4472,  0.4472,  1.3416], dtype=float32)
    >>> model.layers[0].running_variance
    array([1.0666667], dtype=float32)
    """

    _kind = "batch_norm"
    _has_running = True
    _internals = Norm._internals | {"_momentum"}

    def __init__(self, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__(epsilon)
        self._momentum = check_real("momentum", momentum, above=0.0)
        if self._momentum > 1:
            raise ValueError(f"momentum must be at most 1, got {momentum!r}.")

    @property
    def momentum(self) -> float:
        """How much of a batch the running statistics take."""
        return self._momentum

    @property
    def running_mean(self) -> np.ndarray:
        """Mean of shape (n_out,) that predictions take, a view; assigning copies in, checked."""
        return self._running()[0]

    @running_mean.setter
    def running_mean(self, value: Any) -> None:
        self._assign("running_mean", self.running_mean, value)

    @property
    def running_variance(self) -> np.ndarray:
        """Variance of shape (n_out,) that predictions take, a view; assigning copies in, checked.

        Numbers that are assigned must be at least 0.
        """
        return self._running()[1]

    @running_variance.setter
    def running_variance(self, value: Any) -> None:
        if np.any(np.asarray(value) < 0):
            raise ValueError("running_variance must be at least 0, got a smaller number.")
        self._assign("running_variance", self.running_variance, value)

    def _running(self) -> np.ndarray:
        views = self._own().running_views()[self._index]
        assert views is not None
        return views

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), "momentum": self._momentum}

    def _construct(self, state: dict[str, Any]) -> None:
        BatchNorm.__init__(self, state["_momentum"], state["_epsilon"])
        self._rules = type(self._rules)(*state.get("_rules", ()))

    def _described(self) -> dict[str, Any]:
        return {"momentum": self._momentum, **super()._described()}

    def __repr__(self) -> str:
        parts = [] if self._momentum == 0.1 else [f"momentum={self._momentum:g}"]
        parts += [] if self._epsilon == 1e-5 else [f"epsilon={self._epsilon:g}"]
        return f"BatchNorm({', '.join(parts + self._rules.shown())})"
