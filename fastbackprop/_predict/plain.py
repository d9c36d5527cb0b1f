"""Layers without parameters: Activation and Dropout."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from fastbackprop._core.validation import check_held, check_real
from fastbackprop._predict.activations import ActivationFunction, as_activation
from fastbackprop._predict.layer import Layer

__all__ = ["Activation", "Dropout"]


class Activation(Layer):
    """An activation as a layer of its own, so that another layer can stand before it.

    Parameters
    ----------
    activation : str, LeakyReLU or ELU
        As in ``Dense``; "softmax" in the last layer only.

    Raises
    ------
    ValueError, TypeError
        If there is no such activation.

    Notes
    -----
    Behind a Dense layer, ``Dense(..., activation=...)`` is the same and faster. The width is that
    of the layer before, or behind where it is the first.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> layers = [fb.Dense(4, 8), fb.BatchNorm(), fb.Activation("relu"), fb.Dense(8, 1)]
    >>> fb.Sequential(layers, seed=0).layers[2]
    Activation('relu')
    """

    _kind = "activation"
    _internals: ClassVar[frozenset[str]] = Layer._internals | {"_activation"}

    def __init__(self, activation: str | ActivationFunction) -> None:
        super().__init__()
        self._activation = as_activation(activation)

    def _construct(self, state: dict[str, Any]) -> None:
        Activation.__init__(self, state["_activation"])
        self._rules = type(self._rules)(*state.get("_rules", ()))

    def _fill(
        self,
        weight: np.ndarray,
        bias: np.ndarray | None,
        running: np.ndarray | None,
        generator: "np.random.PCG64",
    ) -> None:
        check_held(self._activation.row.parameter or "alpha", self._activation.alpha, weight.dtype)

    def __repr__(self) -> str:
        parts = [repr(self.activation)]
        if self._activation.row.parameter:
            parts.append(f"{self._activation.alpha:g}")
        return f"Activation({', '.join(parts + self._rules.shown())})"


class Dropout(Layer):
    """Drops units at random in training, each by itself: a = x mask / (1 - rate).

    Parameters
    ----------
    rate : float, schedule or callable
        Probability that a unit is dropped: at least 0, below 1. A schedule of
        ``fastbackprop.schedules``, or any callable of the number of training forwards before, may
        stand for it; one that goes over a whole fit needs its ``n_steps`` in loops by hand.

    Raises
    ------
    ValueError, TypeError
        If rate is out of its range.

    Notes
    -----
    What is kept is divided by 1 - rate ("inverted" dropout), so that predictions and everything
    else that infers leave the numbers as they are. Srivastava et al. 2014, "Dropout: a simple way
    to prevent neural networks from overfitting".

    A mask depends on the model's seed, the layer, the number of training forwards that the model
    has done before, the row of the batch and the unit: on nothing else, so it is the same for any
    number of threads. The random words are those of Philox4x32-10. The last layer can't be one.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> model = fb.Sequential([fb.Dropout(0.5), fb.Dense(8, 1, weight_init=1.0)], seed=0)
    >>> model.predict([1.0] * 8)
    array([8.], dtype=float32)
    >>> model.forward([[1.0] * 8]) % 2  # each input is 0 or 2
    array([[0.]], dtype=float32)
    """

    _kind = "dropout"
    _internals: ClassVar[frozenset[str]] = Layer._internals | {"_rate"}

    def __init__(self, rate: float | Callable[[int], float]) -> None:
        super().__init__()
        self._rate: Any = rate
        if not self._is_scheduled:
            self._rate = check_real("rate", rate, at_least=0.0, below=1.0)

    @property
    def rate(self) -> Any:
        """Probability that a unit is dropped, or its schedule."""
        return self._rate

    @property
    def _is_scheduled(self) -> bool:
        """Whether the rate changes from step to step."""
        return callable(self._rate) and not isinstance(self._rate, type)

    @property
    def _rate_in_words(self) -> str:
        return repr(self._rate) if self._is_scheduled else f"{self._rate:g}"

    def _settings(self) -> dict[str, Any]:
        # Of a schedule each call of the kernels is told its rates: see _model/dropping.py.
        return {**super()._settings(), "rate": 0.0 if self._is_scheduled else self._rate}

    def _construct(self, state: dict[str, Any]) -> None:
        Dropout.__init__(self, state["_rate"])
        self._rules = type(self._rules)(*state.get("_rules", ()))

    def _described(self) -> dict[str, Any]:
        return {"rate": self._rate}

    def __repr__(self) -> str:
        return f"Dropout({', '.join([self._rate_in_words, *self._rules.shown()])})"
