"""Arrays that remember how they came about, for the loop written by hand.

Behind a softmax or sigmoid layer, cross entropy is exact and cheap from z, but not
from y_hat: probabilities of 0 and 1 have lost it, and dC/dz = y_hat - y is simpler
than dC/dy_hat. So ``forward`` returns y_hat with its z, and the loss returns
dC/dy_hat with its dC/dz; whoever doesn't ask sees plain arrays. This is what makes
the loop by hand give the same bits as a Trainer.
"""

from typing import Any, Self

import numpy as np

__all__ = ["Output", "OutputGradient"]


class Traced(np.ndarray):
    """A read-only array that carries its counterpart before the last activation.

    Attributes
    ----------
    z : ndarray or None
        The counterpart; None for anything computed from the array.
    activation : str or None
        The last layer's activation that lies between the two.
    """

    # Of the class: what is computed from an array has no attributes of its own.
    z: np.ndarray | None = None
    activation: str | None = None

    def __array_wrap__(
        self, array: np.ndarray, context: Any = None, return_scalar: bool = False
    ) -> Any:
        return array[()] if return_scalar else array

    @classmethod
    def of(cls, array: np.ndarray, z: np.ndarray, activation: str) -> Self:
        """Attach z to an array; it becomes read-only, or the two could come to differ."""
        result = array.view(cls)
        result.z = z
        result.activation = activation
        result.flags.writeable = False
        return result


class Output(Traced):
    """y_hat, with z of the last layer."""


class OutputGradient(Traced):
    """dC/dy_hat, with dC/dz of the last layer."""
