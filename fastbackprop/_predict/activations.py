"""Activations by name: what comes behind ``z = a_prev W + b``.

A name is enough for all that have no parameter, so there is no ReLU beside LeakyReLU: classes are
for those that have one.
"""

from dataclasses import dataclass
from typing import Any

from fastbackprop._core.activations import ACTIVATIONS, TABLE, Row
from fastbackprop._core.copies import restore_fields
from fastbackprop._core.validation import check_choice, check_real

__all__ = [
    "ELU",
    "ActivationFunction",
    "LeakyReLU",
    "as_activation",
    "describe_activation",
    "described_activation",
]


@dataclass(frozen=True)
class ActivationFunction:
    """One activation function: a row of the table, and its parameter.

    Parameters
    ----------
    name : str
        Name in the table of activations.
    alpha : float, default=0.0
        Parameter of the function; not used by those that have none.
    """

    name: str
    alpha: float = 0.0

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what was pickled, checked."""
        restore_fields(self, state)
        as_activation(self)

    @property
    def row(self) -> Row:
        """Row of the table."""
        return TABLE[self.name]

    def __str__(self) -> str:
        """The name, with the parameter where there is one."""
        return f"{self.name} {self.alpha:g}" if self.row.parameter else self.name


class LeakyReLU(ActivationFunction):
    """The leaky rectifier: z for z >= 0, slope * z below.

    Parameters
    ----------
    slope : float, default=0.01
        Must be finite and not negative.

    Notes
    -----
    Activations without a parameter, like "relu" or "gelu", are called by their names and have no
    class.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.Dense(4, 8, activation=fb.LeakyReLU(0.2))
    Dense(4, 8, activation='leaky_relu', slope=0.2)
    """

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__("leaky_relu", check_real("slope", slope, at_least=0.0))

    def __repr__(self) -> str:
        return f"LeakyReLU(slope={self.alpha:g})"

    @property
    def slope(self) -> float:
        """Slope below 0."""
        return self.alpha


class ELU(ActivationFunction):
    """The exponential linear unit: z for z >= 0, alpha * (e^z - 1) below.

    Parameters
    ----------
    alpha : float, default=1.0
        Must be finite and not negative; -alpha is what large negative z come to.

    Notes
    -----
    As in PyTorch; Clevert, Unterthiner and Hochreiter 2016. Activations without a parameter, like
    "relu" or "gelu", are called by their names and have no class.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.Dense(4, 8, activation=fb.ELU(0.5))
    Dense(4, 8, activation='elu', alpha=0.5)
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__("elu", check_real("alpha", alpha, at_least=0.0))

    def __repr__(self) -> str:
        return f"ELU(alpha={self.alpha:g})"


def as_activation(activation: object) -> ActivationFunction:
    """Return the activation for an object or a name, whose parameter is the table's default."""
    if isinstance(activation, ActivationFunction):
        row = TABLE[check_choice("activation", activation.name, ACTIVATIONS)]
        check_real(row.parameter or "alpha", activation.alpha, at_least=0.0)
        return activation
    row = TABLE[check_choice("activation", activation, ACTIVATIONS)]
    return ActivationFunction(row.name, row.default)


def describe_activation(activation: ActivationFunction) -> dict[str, Any]:
    """Return name and parameter as model files have them; those without one say slope 0."""
    return {
        "activation": activation.name,
        activation.row.parameter or "slope": activation.alpha,
    }


def described_activation(description: dict[str, Any]) -> ActivationFunction:
    """Return what ``describe_activation`` described; raise for what is no such description."""
    name = check_choice("activation", description["activation"], ACTIVATIONS)
    return ActivationFunction(name, float(description[TABLE[name].parameter or "slope"]))
