"""What an estimator raises where training stops being finite."""

from fastbackprop._core.errors import DivergenceError

__all__ = ["NonFiniteWeightsError", "non_finite"]

SENTENCE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)


class NonFiniteWeightsError(DivergenceError, ValueError):
    """Training of an estimator stopped being finite: scikit-learn's ValueError, and ours.

    ``coefs_`` and ``intercepts_`` are those of before the epoch, also where scikit-learn would
    leave NaN.

    Parameters
    ----------
    message : str
        One sentence for a person; it begins as scikit-learn's.
    epoch : int
        The epoch, counted from 1.
    batch : int
        The batch in that epoch, counted from 1.
    layer : int
        Index in ``coefs_`` of the first layer where it showed.
    """

    __module__ = "fastbackprop.sklearn"


def non_finite(epoch: int, batch: int, layer: int) -> NonFiniteWeightsError:
    """Return the error for a step that went wrong."""
    return NonFiniteWeightsError(
        f"{SENTENCE} It showed first in coefs_[{layer}], in epoch {epoch}, batch {batch}; a "
        "smaller learning_rate_init may help, too.",
        epoch,
        batch,
        layer,
    )
