"""Why a training diverged: looked for in settings, data and weights, once it has happened."""

import numpy as np

from fastbackprop._compare.losses import Loss, Targets
from fastbackprop._core.buffers import Parameters
from fastbackprop._core.finite import check_weights
from fastbackprop._core.rows import Rows
from fastbackprop._correct.optimizer import Optimizer

__all__ = ["advice_after_divergence"]

# Scaled data has a mean size of 1, and seldom a number above 10.
LARGE_MEAN, LARGE_NUMBER = 10.0, 100.0
LARGE_WEIGHT = 1000.0
# No data needs such a rate: it is the cause, whatever the data look like.
LARGE_RATE = 10.0
ROWS_AT_ONCE = 4096


def advice_after_divergence(
    optimizer: Optimizer,
    parameters: Parameters,
    rows: np.ndarray | Rows,
    targets: Targets,
    loss: Loss,
    rates: np.ndarray | None,
) -> str:
    """Return a sentence that names the probable cause and the remedy.

    Parameters
    ----------
    optimizer : Optimizer
        Its settings are looked at first.
    parameters : Parameters
        The weights that are kept.
    rows, targets : ndarray, Targets
        What was trained on.
    loss : Loss
        By which.
    rates : ndarray, optional
        Of the last steps, where they have some of their own.
    """
    not_finite = _not_finite(parameters, rows, targets)
    if not_finite is not None:
        return not_finite
    rate, product = optimizer._extremes(rates)
    if product >= 1 or rate >= LARGE_RATE:
        return optimizer._advice(rates)
    # Counts are what they are: there is no other scale for them.
    values = None if loss.name == "poisson" else targets.values
    culprits = [
        culprit for culprit in (_large_inputs(rows), _large_targets(values)) if culprit is not None
    ]
    if not culprits:
        n_steps = optimizer._state(parameters).n_steps
        return _large_weights(parameters, n_steps, rate) or optimizer._advice(rates)
    causes = " and ".join(text for _, text in sorted(culprits, reverse=True))
    return (
        f"The probable cause: {causes}. Scale them to a mean of 0 and a deviation of 1, or try a "
        f"smaller learning rate than {rate:g}."
    )


def _not_finite(parameters: Parameters, rows: np.ndarray | Rows, targets: Targets) -> str | None:
    """Return a sentence where numbers that went in were no numbers: no setting can help then."""
    matrices = [(f"column {{}} of {name}", x) for name, x in (("X", rows), ("y", targets.values))]
    for what, matrix in matrices:
        if matrix is not None:
            is_wrong = ~np.isfinite(_sizes(matrix)[0])
            if is_wrong.any():
                return (
                    f"The cause: {what.format(is_wrong.argmax())} isn't finite, which "
                    f"check_finite=False let in."
                )
    try:
        check_weights(parameters)
    except ValueError as error:
        return f"The cause: {error}"
    return None


def _sizes(matrix: np.ndarray | Rows) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest and the mean magnitude of each column."""
    if isinstance(matrix, np.ndarray):
        matrix = matrix.reshape(len(matrix), -1)  # y of a loss of the user's own has any shape
    largest, total = np.zeros(matrix.shape[1]), np.zeros(matrix.shape[1])
    for first in range(0, len(matrix), ROWS_AT_ONCE):
        magnitudes = np.abs(matrix[first : first + ROWS_AT_ONCE].astype(np.float64))
        largest = np.maximum(largest, magnitudes.max(axis=0))
        total += magnitudes.sum(axis=0)
    return largest, total / len(matrix)


def _large_inputs(rows: np.ndarray | Rows) -> tuple[float, str] | None:
    largest, mean = _sizes(rows)
    column = int(largest.argmax())
    if largest[column] < LARGE_NUMBER and mean[column] < LARGE_MEAN:
        return None
    return float(largest[column]), f"column {column} of X reaches {largest[column]:g} (the inputs)"


def _large_targets(values: np.ndarray | None) -> tuple[float, str] | None:
    if values is None:  # labels
        return None
    largest, mean = _sizes(values)
    if largest.max() < LARGE_NUMBER and mean.max() < LARGE_MEAN:
        return None
    return float(largest.max()), f"y reaches {largest.max():g} (the targets)"


def _large_weights(parameters: Parameters, n_steps: int, rate: float) -> str | None:
    remedy = "begin with smaller ones"
    if n_steps > 0:
        remedy = f"begin anew, with a smaller learning rate than {rate:g} or with smaller weights"
    for index, place in enumerate(parameters.places):
        largest = float(np.abs(place.weight(parameters.values)).max(initial=0.0))
        if not largest < LARGE_WEIGHT:
            return (
                f"The probable cause: the weights of layers[{index}] reach {largest:g}; {remedy}."
            )
    return None
