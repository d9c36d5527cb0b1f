"""A loss of the user's own: any callable."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from fastbackprop._compare.losses import Loss, Targets, as_loss
from fastbackprop._core.validation import as_numeric

__all__ = ["LossFunction", "OwnLoss", "as_loss_or_function"]

LossFunction = Callable[..., tuple[float, Any]]


@dataclass(frozen=True)
class OwnLoss(Loss):
    """A callable as a Loss: ``cost, d_y_hat = function(y_hat, y)``, a mean over the samples.

    Parameters
    ----------
    function : callable
        Called with predictions (n, n_out) and the rows of y that belong to them; where samples have
        weights, with these as a third argument.
    """

    function: LossFunction

    @property
    def name(self) -> str:  # type: ignore[override]
        """What texts call it."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    def _targets(
        self,
        y: Any,
        n_out: int,
        dtype: np.dtype,
        *,
        name: str = "y",
        one_row: bool = False,
        check_finite: bool = True,
    ) -> Targets:
        """Take y as the user has it: any numbers, one row for each sample."""
        numbers = np.atleast_1d(as_numeric(name, y))
        if one_row and numbers.ndim == 1:
            numbers = numbers[np.newaxis]
        elif numbers.ndim == 1 and n_out == 1:
            numbers = numbers[:, np.newaxis]
        return Targets(numbers, None)

    def _check_weighted(self) -> None:
        if not self._takes(3):
            raise TypeError(
                "loss must take weights as a third argument, (y_hat, y, sample_weight), where "
                f"samples have weights, got {self.name}, which takes no three."
            )

    def _takes(self, n: int) -> bool:
        """Whether it can be called with so many arguments, as far as is known."""
        try:
            inspect.signature(self.function).bind(*[None] * n)
        except ValueError:  # of what is compiled nothing may be known
            return True
        except TypeError:
            return False
        return True

    def __call__(self, y_hat: Any, y: Any, sample_weight: Any = None) -> tuple[float, Any]:
        """Call the function, and refuse what isn't a cost and a gradient.

        Parameters
        ----------
        y_hat, y, sample_weight : array-like
            Arguments of the call; weights only where there are some.

        Returns
        -------
        cost : float
            The mean over the samples.
        d_y_hat : array-like
            The gradient dC/dy_hat.

        Raises
        ------
        TypeError
            If it returns something else.
        """
        weights = () if sample_weight is None else (sample_weight,)
        pair = self.function(y_hat, y, *weights)
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"loss must return a tuple (cost, d_y_hat), got {type(pair).__name__}.")
        cost = np.asarray(pair[0])
        if cost.size != 1 or cost.dtype.kind not in "fiu":
            got = f"shape {cost.shape}" if cost.size != 1 else f"{pair[0]!r}"
            raise TypeError(f"the cost that loss returns must be a number, got {got}.")
        return float(cost.reshape(())), pair[1]

    def __repr__(self) -> str:
        return self.name


def as_loss_or_function(loss: Any) -> Loss:
    """Return the loss for an object, a name, or a callable of the user's own."""
    if isinstance(loss, Loss | type) or not callable(loss):
        return as_loss(loss)
    own = OwnLoss(cast("LossFunction", loss))
    if not own._takes(2):
        raise TypeError(f"loss must take two arguments, (y_hat, y), got {own.name}, which doesn't.")
    return own
