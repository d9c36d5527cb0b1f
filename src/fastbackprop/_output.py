"""Arrays that remember how they came about, for the loop written by hand.

Behind a softmax or sigmoid layer, cross entropy is exact and cheap from z, but not
from y_hat: probabilities of 0 and 1 have lost it, and dC/dz = y_hat - y is simpler
than dC/dy_hat. So ``forward`` returns y_hat with its z, and the loss returns
dC/dy_hat with its dC/dz; whoever doesn't ask sees plain arrays. This is what makes
the loop by hand give the same bits as a Trainer.
"""

from typing import Any

import numpy as np

__all__ = ["Traced", "traced"]


class Traced(np.ndarray):
    """A read-only array that carries its counterpart before the last activation.

    Attributes
    ----------
    z : ndarray or None
        z for y_hat, dC/dz for dC/dy_hat; None for anything computed from it.
    activation : str or None
        The last layer's activation that lies between the two.
    """

    z: np.ndarray | None
    activation: str | None

    def __array_finalize__(self, source: Any) -> None:
        self.z = None
        self.activation = None

    def __array_wrap__(self, array: np.ndarray, context: Any = None, return_scalar: bool = False) -> Any:
        return array[()] if return_scalar else array


def traced(array: np.ndarray, z: np.ndarray, activation: str) -> Traced:
    """Attach z to an array; it becomes read-only, or the two could come to differ."""
    result = array.view(Traced)
    result.z = z
    result.activation = activation
    result.flags.writeable = False
    return result
