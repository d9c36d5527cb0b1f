"""Activations by name: what comes behind ``z = a_prev W + b``."""

from dataclasses import dataclass

from fastbackprop._core.activations import ACTIVATIONS, TABLE, Row
from fastbackprop._core.validation import check_choice, check_real

__all__ = ["ActivationFunction", "LeakyReLU", "as_activation"]


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

    def __reduce__(self) -> tuple[type, tuple[float]]:
        return LeakyReLU, (self.alpha,)

    @property
    def slope(self) -> float:
        """Slope below 0."""
        return self.alpha


def as_activation(activation: object) -> ActivationFunction:
    """Return the activation for an object or a name, whose parameter is the table's default."""
    if isinstance(activation, ActivationFunction):
        row = TABLE[check_choice("activation", activation.name, ACTIVATIONS)]
        check_real(row.parameter or "alpha", activation.alpha, at_least=0.0)
        return activation
    row = TABLE[check_choice("activation", activation, ACTIVATIONS)]
    return ActivationFunction(row.name, row.default)
