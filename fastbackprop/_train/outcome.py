"""What became of a fit: one warning where the model that it leaves is no use."""

import warnings
from collections.abc import Iterator

import numpy as np

from fastbackprop._compare.losses import LOSSES, Loss, Targets
from fastbackprop._core.activations import TABLE
from fastbackprop._core.buffers import aligned_zeros, row_length
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.errors import TrainingWarning
from fastbackprop._core.rows import Rows
from fastbackprop._model.sequential import Sequential

__all__ = ["warn_of_useless_fit"]

# A fit this long shows its way; the loss of a shorter one may rise for a while, and does.
LONG_EPOCHS, LONG_STEPS = 10, 100
# So much must the loss have risen: less is the noise of small batches. Of 9,000 random fits of
# standardized data these numbers blame 14, each with a rate that is too high for it.
DOUBLED, RISEN = 2.0, 1.1
# ... and by this part of what the best constant prediction costs, or it is noise near 0.
NOTABLE = 0.1
# A long fit that began near 0 may not stay ten times above it, unless that is nearly 0 too.
EXPLODED, SMALL = 10.0, 1e-3

ROWS = 64  # looked at first; all rows only where these have the same outputs
NUMBERS_AT_ONCE = 1e6

ADVICE = "fastbackprop.diagnose(model, X, y, loss=...) looks for the reason."


def warn_of_useless_fit(
    model: Sequential,
    loss: Loss,
    rows: np.ndarray | Rows,
    targets: Targets,
    losses: list[float],
    batch_size: int,
) -> None:
    """Warn once if the loss rose, or if after a long fit all rows get the same outputs.

    The caller is called by ``fit``, which the warning points to.
    """
    if type(loss) not in LOSSES.values():  # what a loss of the user's own means is not known
        return
    n_epochs = len(losses)
    if n_epochs == 0:
        return
    is_long = n_epochs > LONG_EPOCHS and n_epochs * -(-len(rows) // batch_size) > LONG_STEPS
    trouble = _rise(model, loss, targets, losses, is_long)
    if trouble is None and is_long:
        trouble = _sameness(model, rows, targets)
    if trouble is not None:
        warnings.warn(f"{trouble} {ADVICE}", TrainingWarning, stacklevel=4)


def _rise(
    model: Sequential, loss: Loss, targets: Targets, losses: list[float], is_long: bool
) -> str | None:
    first, last = losses[0], losses[-1]
    if last <= RISEN * first:
        return None
    constant = _cost_of_best_constant(model, loss, targets)
    has_doubled = last > DOUBLED * first and last - first > NOTABLE * constant
    has_risen = is_long and last > RISEN * max(first, constant)
    has_exploded = is_long and last > EXPLODED * first and last > EXPLODED * SMALL * constant
    if not (has_doubled or has_risen or has_exploded):
        return None
    return f"The loss has risen from {first:.4g} in the first epoch to {last:.4g} in the last."


def _cost_of_best_constant(model: Sequential, loss: Loss, targets: Targets) -> float:
    """Return what the best of predictions that are the same for each row costs."""
    n_rows = max(ROWS, int(NUMBERS_AT_ONCE / model.n_out))
    some = targets[:: -(-len(targets) // n_rows)]
    best = loss._best_constant(targets, model.n_out)
    y = some.values if targets.labels is None else some.labels
    return float(loss(np.tile(best, (len(some), 1)), y)[0])


def _sameness(model: Sequential, rows: np.ndarray | Rows, targets: Targets) -> str | None:
    some = rows[:: -(-len(rows) // ROWS)]
    if not _are_equal(model._predict_rows(some)):
        return None
    values = targets.values if targets.labels is None else targets.labels
    assert values is not None
    if len(rows) == 1 or _are_one(rows) or (values == values[0]).all():
        return None  # so it should be
    every = (model._predict_rows(x) for x in _pieces(rows))
    if not _are_equal(np.concatenate([*every])):
        return None
    index = _dead_layer(model, some)
    reason = "" if index is None else f": every relu of layers[{index}] is 0 for all of them"
    return f"All {len(rows):,} rows get the same outputs{reason}."


def _pieces(rows: np.ndarray | Rows) -> Iterator[np.ndarray]:
    """Yield all rows, so many at a time that they are no burden where they must be converted."""
    n_rows = max(1, int(NUMBERS_AT_ONCE / rows.shape[1]))
    for first in range(0, len(rows), n_rows):
        yield rows[first : first + n_rows]


def _are_one(rows: np.ndarray | Rows) -> bool:
    """Whether all rows are the same."""
    first = rows[:1]
    return all((x == first).all() for x in _pieces(rows))


def _dead_layer(model: Sequential, rows: np.ndarray) -> int | None:
    """Return the index of the first layer of relus that are 0 for all these rows."""
    model._forward_rows(rows, training=False)
    for index, layer in enumerate(model.layers[:-1]):
        shape = len(rows), row_length(layer.n_out, model.dtype)
        z, a, *others = (aligned_zeros(shape[0] * shape[1], model.dtype) for _ in range(5))
        arrays = (x.reshape(shape) for x in (z, a, *others))
        kernels(model.dtype).inspect(model._forward_workspace(), index, *arrays)
        if TABLE[layer.activation].can_die and not a.any():
            return index
    return None


def _are_equal(outputs: np.ndarray) -> bool:
    """Whether all rows are the same, to rounding."""
    spread = np.ptp(outputs, axis=0)
    return bool((spread <= 2 * np.finfo(outputs.dtype).eps * np.abs(outputs).max(axis=0)).all())
