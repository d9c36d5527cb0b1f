"""The metrics of a fit: of names or functions, what they make of a model's outputs."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fastbackprop._compare.losses import Loss, Targets
from fastbackprop._compare.metrics import METRICS
from fastbackprop._compare.own_loss import OwnLoss
from fastbackprop._core.validation import did_you_mean
from fastbackprop._train.history import History

__all__ = ["Measure", "MetricFunction", "as_measures", "check_targets", "measured"]

MetricFunction = Callable[[Any, Any], Any]

# Above which an output says yes; hinge is the one loss whose outputs are no probabilities.
THRESHOLD, THRESHOLD_OF_HINGE = 0.5, 0.0


class Measure(NamedTuple):
    """A metric by the name that it has in the history.

    Parameters
    ----------
    name : str
        Its figure.
    function : callable
        Function of y, y_hat and the weights of samples.
    is_known : bool
        Whether it is one of ours, by name.
    """

    name: str
    function: Callable[..., Any]
    is_known: bool


def as_measures(metrics: Any, loss: Loss, n_out: int) -> tuple[Measure, ...]:
    """Return the metrics that a user wants, or a complaint.

    Parameters
    ----------
    metrics : str, callable or iterable of these
        Names, or functions ``metric(y, y_hat)``.
    loss : Loss
        Says what the outputs mean.
    n_out : int
        How many there are.
    """
    listed = [metrics] if isinstance(metrics, str) or callable(metrics) else metrics
    if not isinstance(listed, Iterable):
        raise TypeError(f"metrics must be names or functions, got {metrics!r}.")
    measures = tuple(_as_measure(metric, loss, n_out) for metric in listed)
    names = [measure.name for measure in measures]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"metrics must have names of their own, got {name!r} twice.")
    return measures


def _as_measure(metric: Any, loss: Loss, n_out: int) -> Measure:
    if isinstance(metric, str):
        if metric not in METRICS:
            names = ", ".join(map(repr, METRICS))
            raise ValueError(
                f"metrics must be functions or names of {names}, got {metric!r}."
                f"{did_you_mean(metric, METRICS)}"
            )
        _check_fits(metric, loss, n_out)
        return Measure(metric, _of_outputs(metric, loss, n_out), True)
    if not callable(metric) or isinstance(metric, type):
        raise TypeError(f"metrics must be names or functions, got {metric!r}.")
    inner: Any = getattr(metric, "func", metric)  # of a functools.partial
    name = str(getattr(inner, "__name__", type(metric).__name__)).strip("<>")  # of a lambda
    if hasattr(History, name) or name in vars(History()) or name.startswith("validation_"):
        if metric is not getattr(METRICS.get(name), "function", None):
            raise ValueError(
                f"metrics must not be called {name!r}, as something of the history is."
            )
        return _as_measure(name, loss, n_out)
    return Measure(name, metric, False)


def _check_fits(name: str, loss: Loss, n_out: int) -> None:
    """Refuse a metric that has no meaning for what the loss compares."""
    is_softmax = loss.activation == "softmax"
    if not METRICS[name].is_of_classes and is_softmax:
        raise ValueError(f"metrics must compare classes for loss {loss.name!r}, got {name!r}.")
    if name == "top_k" and not is_softmax and (n_out == 1 or loss.is_classification):
        raise ValueError(
            f"metric 'top_k' must have an output for each class, got {n_out} behind loss "
            f"{loss.name!r}."
        )


def check_targets(measures: tuple[Measure, ...], loss: Loss, targets: Targets) -> None:
    """Refuse metrics of classes where a loss for numbers has other targets than 0 and 1."""
    if loss.is_classification or isinstance(loss, OwnLoss) or targets.values is None:
        return
    for measure in measures:
        if measure.is_known and METRICS[measure.name].is_of_classes:
            values = targets.values if targets.unscaled is None else targets.unscaled
            wrong = values[(values != 0) & (values != 1)]
            if wrong.size:
                raise ValueError(
                    f"metric {measure.name!r} must have targets of 0 and 1 with loss "
                    f"{loss.name!r}, got {wrong[0]:g}."
                )


def _of_outputs(name: str, loss: Loss, n_out: int) -> Callable[..., float]:
    """Return the metric as a function of y, y_hat and weights, which knows what the loss says."""
    function = METRICS[name].function
    if not METRICS[name].is_of_classes:
        return partial(function, mask_missing=getattr(loss, "mask_missing", False))
    if name == "top_k":
        return function
    is_hinge = loss.name == "hinge"
    options: dict[str, Any] = {}
    if loss.activation == "softmax" or n_out == 1:
        options["multilabel"] = False
    elif loss.is_classification or is_hinge:
        options["multilabel"] = True
    if name != "roc_auc":
        options["threshold"] = THRESHOLD_OF_HINGE if is_hinge else THRESHOLD
    return partial(function, **options)


def measured(
    measures: tuple[Measure, ...], loss: Loss, targets: Targets, y_hat: np.ndarray
) -> dict[str, float]:
    """Return the figures of outputs (n, n_out)."""
    y: Any = targets.values if targets.labels is None else targets.labels
    n_targets = y.shape[1] if y.ndim == 2 else 1
    if not isinstance(loss, OwnLoss) and loss._n_targets(y_hat.shape[1]) < y_hat.shape[1]:
        y_hat = y_hat[:, :n_targets]  # means; what follows are variances
    if y_hat.shape[1] == 1 and y.ndim == 2 and y.shape[1] == 1:
        y, y_hat = y[:, 0], y_hat[:, 0]
    figures = {x.name: _figure(x, y, y_hat, targets.weights) for x in measures}
    if loss.is_classification and targets.weights is None:
        figures.pop("accuracy", None)  # which the kernels have counted
    return figures


def _figure(measure: Measure, y: np.ndarray, y_hat: np.ndarray, weights: Any) -> float:
    if measure.is_known:
        return float(measure.function(y, y_hat, weights))
    figure = np.asarray(measure.function(y, y_hat))
    if figure.size != 1 or figure.dtype.kind not in "fiub":
        got = f"shape {figure.shape}" if figure.size != 1 else f"{figure[()]!r}"
        raise TypeError(f"metric {measure.name!r} must return a number, got {got}.")
    return float(figure.reshape(()))
