"""diagnose: what keeps a network from learning, with the number, the place and a piece of advice.

The numbers are those of the kernels, from a copy of the model. Each threshold stands once, with its
reason, in the file of its findings. Nothing is said where nothing is wrong.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastbackprop._compare.losses import Loss
from fastbackprop._compare.own_loss import LossFunction, OwnLoss, as_loss_or_function
from fastbackprop._core.arithmetic import in_exact_mode
from fastbackprop._core.rows import Rows
from fastbackprop._core.validation import check_held, check_real
from fastbackprop._diagnose.data import (
    LARGE_FOR_STEPS,
    class_findings,
    input_findings,
    target_findings,
    target_size,
)
from fastbackprop._diagnose.findings import Diagnosis, Finding
from fastbackprop._diagnose.flow import flow_findings, measure, unmeasured, update_findings
from fastbackprop._diagnose.lost import lost_columns, lost_inputs
from fastbackprop._diagnose.overflow import blame_overflow, compare_overflow, predict_overflow
from fastbackprop._diagnose.steps import STILL_STEEP, slope_of, step_findings
from fastbackprop._diagnose.units import unit_findings
from fastbackprop._diagnose.weights import equal_units, lost_weights
from fastbackprop._explain.inspection import layers_of
from fastbackprop._explain.names import columns_of
from fastbackprop._explain.samples import Samples, data_of
from fastbackprop._model.sequential import Sequential

__all__ = ["diagnose", "look", "source_of"]

MOST_ROWS = 1024  # more rows change no finding, and a fit should not wait for them


@in_exact_mode
def diagnose(
    model: Sequential,
    X: Any,
    y: Any,
    loss: str | Loss | LossFunction,
    *,
    learning_rate: float | None = None,
) -> Diagnosis:
    """Look for what keeps a network from learning, in the data, the network, the learning rate.

    Weights that are not finite, numbers that outgrow the dtype; dead relu units, saturated units,
    units that are copies of each other, gradients that vanish or explode; inputs that are unscaled,
    uneven, constant, lost in float32 or there twice; classes that are rare, targets that can't be
    reached; with a learning rate also updates that are too large or too small for a layer's
    weights, and steps that are too long or too short for this batch. Of a model that scales its
    inputs or targets these are judged as they are scaled; where that isn't fitted yet, as a first
    fit on X and y would.

    Parameters
    ----------
    model : Sequential
        Model that is diagnosed; it stays as it is.
    X, y : array-like
        A batch, or all of the data, as in ``Trainer.fit``; of more than 1,024 rows a fixed choice
        is looked at.
    loss : str, Loss or callable
        Loss as for Trainer; or your own: ``cost, d_y_hat = loss(y_hat, y)``.
    learning_rate : float, optional
        Learning rate of plain SGD (momentum's steps become up to 1 / (1 - momentum) times as long);
        None says nothing about steps.

    Returns
    -------
    Diagnosis
        What was found: true if that is nothing; ``print`` shows it.

    Raises
    ------
    ValueError, TypeError
        If data or an argument doesn't fit, or the model's dtype can't hold the learning rate.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> model = fb.mlp([2, 3, 1], output_activation="tanh", seed=0)
    >>> print(fb.diagnose(model, [[0, 1], [1, 5]], [0.5, 7], loss="half_squared_error"))
    unreachable targets, y: 7. Behind 'tanh' nothing above 1 can come out: scale the targets, or end
    with 'identity'.
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"model must be a Sequential, got {type(model).__name__}.")
    rate = None if learning_rate is None else check_real("learning_rate", learning_rate, above=0.0)
    if rate is not None:
        check_held("learning_rate", rate, model.dtype)
    compare = as_loss_or_function(loss)
    model_copy = copy.deepcopy(model)
    if not model._is_fitted:  # as the first fit would
        loss_of_outputs = None if isinstance(compare, OwnLoss) else compare
        model_copy.fit_scaling(X, y, loss=loss_of_outputs)
    source = source_of(model, X)
    samples = data_of(model_copy, X, y, compare, "X", is_whole=False)
    names = model.feature_names or columns_of(X)
    return look(model_copy, samples, compare, rate, names, source)


def look(
    model: Sequential,
    samples: Samples,
    compare: Loss,
    rate: float | None,
    names: Sequence[str] | None = None,
    source: Rows | None = None,
) -> Diagnosis:
    """Diagnose a copy of a model with checked data; the copy is spent afterwards.

    ``source`` has rows of X as the user has them, where the model's dtype may lose some.
    """
    n = len(samples)
    model._parameters.is_pinned = True  # the same masks before a step and after it
    some = _some(n)
    lost = lost_columns(source, _some(0 if source is None else len(source)))
    samples = samples.take(slice(None) if n <= MOST_ROWS else some)
    findings = _data_findings(model, samples, compare, names or model.feature_names, lost)
    overflows, cost, layers = _predict_compare_blame(model, samples, compare)
    if overflows:
        sizes = [unmeasured(weight) for weight, _ in model._parameters.views()]
        return Diagnosis(findings + overflows, len(samples), n, sizes)
    findings += unit_findings(layers, compare.activation is not None)
    findings += equal_units(layers)
    sizes = [measure(layer, layers[-1], rate) for layer in layers]
    findings += flow_findings(layers, sizes)
    if rate is not None:
        steps = [*step_findings(model, samples, compare, cost, layers, rate)]
        learns = slope_of(layers) > STILL_STEEP * cost
        updates = [*update_findings(sizes, learns and not steps and not findings)]
        size = target_size(model.layers[-1].activation, samples)
        findings += [_by_targets(x, size) for x in updates + steps]
    return Diagnosis(findings, len(samples), n, sizes)


def source_of(model: Sequential, X: Any, scale: float = 1.0) -> Rows | None:
    """Return rows as the user has them, in float64; None where a model keeps what they say."""
    if model._scaler is not None or model.dtype == np.float64 or model._target_scaling is not None:
        return None
    return model._as_rows(X, False, scale=scale)[0].in_double(check_finite=False)


def _some(n: int) -> np.ndarray:
    """Return indices of all rows, or of a fixed choice."""
    if n <= MOST_ROWS:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).permutation(n)[:MOST_ROWS])


def _data_findings(
    model: Sequential,
    samples: Samples,
    compare: Loss,
    names: Sequence[str] | None,
    lost: dict[int, tuple[int, int]],
) -> list[Finding]:
    """Judge the data alone. Labels can always be reached: they are probabilities."""
    with np.errstate(over="ignore", invalid="ignore"):
        findings = [*lost_inputs(lost, model.n_in, names)]
        are_scaled = model._scaler is not None
        findings += input_findings(samples.rows, names, lost, are_scaled=are_scaled)
        if not samples.are_labels:
            targets = samples.target_rows(model.n_out).astype(np.float64)
            findings += target_findings(model.layers[-1].activation, targets, compare)
    return [*findings, *class_findings(samples.targets, model.n_out, compare)]


def _by_targets(finding: Finding, size: float) -> Finding:
    """Say what makes steps too long where targets are large: no smaller rate would mend that."""
    if finding.name not in ("large updates", "learning rate too high") or size <= LARGE_FOR_STEPS:
        return finding
    advice = (
        f"The targets are the cause, about {size:.3g} in size: the error, and with it each "
        "gradient, is as large as they are. Standardise the targets (scale_targets=True), and keep "
        "the learning rate."
    )
    return finding._replace(advice=advice)


def _predict_compare_blame(
    model: Sequential, samples: Samples, compare: Loss
) -> tuple[list[Finding], float, list[dict[str, Any]]]:
    """Return what keeps the step from being done at all; if nothing, its cost and layers."""
    if overflows := [*lost_weights(model)]:
        return overflows, np.nan, []
    y_hat = model._forward_rows(samples.rows)
    if not np.isfinite(y_hat).all():
        return [*predict_overflow(model, len(samples))], np.nan, []
    predicted = np.array(y_hat)  # before a loss of the user's own can change it
    cost, d = compare(y_hat, samples.targets)
    if overflows := [*compare_overflow(model, predicted, cost, d)]:
        return overflows, np.nan, []
    model.backward(d)
    if overflows := [*blame_overflow(model)]:
        return overflows, float(cost), []
    return [], float(cost), layers_of(model, samples.rows, np.array(d, model.dtype))
