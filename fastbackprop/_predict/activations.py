"""Activations by name: what comes behind ``z = a_prev W + b``."""

from dataclasses import dataclass

from fastbackprop._core.validation import check_choice, check_real

__all__ = ["ACTIVATIONS", "Activation", "LeakyReLU", "as_activation"]

# The order is that of the kernels' enum; the docstring's formulas are computed there.
ACTIVATIONS = ("identity", "relu", "leaky_relu", "sigmoid", "tanh", "softmax")


@dataclass(frozen=True)
class Activation:
    """One activation function, as the kernels know it.

    Parameters
    ----------
    name : str
        "identity" z, "relu" max(0, z), "leaky_relu" z or slope z for z < 0,
        "sigmoid" 1 / (1 + e^-z), "tanh", or "softmax" e^z / sum e^z over a row.
        Where z overflowed to inf, softmax has its limit: those z share 1 equally, the others
        have 0; a row of nothing but -inf shares 1 among all.
    slope : float
        Of leaky_relu for z < 0; not used by the others.
    """

    name: str
    slope: float = 0.0


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """The leaky rectifier: z for z >= 0, slope * z below.

    Parameters
    ----------
    slope : float, default=0.01
        Must be finite and not negative.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.Dense(4, 8, activation=fb.LeakyReLU(0.2))
    Dense(4, 8, activation='leaky_relu', slope=0.2)
    """

    def __init__(self, slope: float = 0.01) -> None:
        object.__setattr__(self, "name", "leaky_relu")
        object.__setattr__(self, "slope", check_real("slope", slope, at_least=0.0))


def as_activation(activation: object) -> Activation:
    """Return the activation for an object or a name ("leaky_relu" has slope 0.01)."""
    if isinstance(activation, Activation):
        check_choice("activation", activation.name, ACTIVATIONS)
        check_real("slope", activation.slope, at_least=0.0)
        return activation
    name = check_choice("activation", activation, ACTIVATIONS)
    return LeakyReLU() if name == "leaky_relu" else Activation(name)
