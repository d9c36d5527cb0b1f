"""The hinge of support vector machines."""

from dataclasses import dataclass

import numpy as np

from fastbackprop._compare.loss import Loss
from fastbackprop._compare.targets import Targets
from fastbackprop._core.arrays import place_words

__all__ = ["Hinge"]


@dataclass(frozen=True, repr=False)
class Hinge(Loss):
    """C = mean over samples and outputs of max(0, 1 - t y_hat), t = 1 for y = 1 and -1 for y = 0.

    Outputs above 0 say yes. dC/dy_hat = -t / (n n_out), or 0 where t y_hat >= 1. Cortes and Vapnik
    1995, "Support-vector networks"; y is 0 or 1 here, where others take -1 or 1.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.Hinge()([[0.25]], [[1]])
    (0.75, array([[-1.]]))
    """

    name = "hinge"

    def _check_values(self, name: str, values: np.ndarray) -> None:
        """Refuse what isn't 0 or 1."""
        if (wrong := np.argwhere((values != 0) & (values != 1))).size:
            place = tuple(wrong[0])
            raise ValueError(
                f"{name} must be 0 or 1 for loss 'hinge', got {values[place]} at "
                f"{place_words(place)}."
            )

    def _best_constant(self, targets: Targets, n_out: int) -> np.ndarray:
        """Return 1 or -1, what most say."""
        return np.where(super()._best_constant(targets, n_out) > 0.5, 1.0, -1.0)
