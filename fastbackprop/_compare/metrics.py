"""Metrics: how good predictions are, in numbers that people know; scikit-learn's numbers."""

from collections.abc import Callable
from typing import Any, NamedTuple

from fastbackprop._compare.class_metrics import accuracy, balanced_accuracy, f1, roc_auc, top_k
from fastbackprop._compare.number_metrics import mae, r2, rmse

__all__ = ["METRICS", "Metric", "is_higher_better"]


class Metric(NamedTuple):
    """What is known of a metric.

    Parameters
    ----------
    function : callable
        Function that is called as ``function(y, y_hat, sample_weight)``.
    is_higher_better : bool
        Whether a larger value is a better one.
    is_of_classes : bool
        Whether it compares classes, and not numbers.
    """

    function: Callable[..., float]
    is_higher_better: bool
    is_of_classes: bool


METRICS = {
    "accuracy": Metric(accuracy, True, True),
    "top_k": Metric(top_k, True, True),
    "balanced_accuracy": Metric(balanced_accuracy, True, True),
    "f1": Metric(f1, True, True),
    "roc_auc": Metric(roc_auc, True, True),
    "mae": Metric(mae, False, False),
    "rmse": Metric(rmse, False, False),
    "r2": Metric(r2, True, False),
}


def is_higher_better(figure: Any) -> bool | None:
    """Return whether a larger value of a figure of the history is better; None if nobody knows.

    Names of functions are read as scikit-learn's: what ends in "_score" should be large, what ends
    in "_error" or "_loss" small.
    """
    name = figure.removeprefix("validation_")
    if name in METRICS:
        return METRICS[name].is_higher_better
    if name.endswith("_score"):
        return True
    return False if name == "loss" or name.endswith(("_error", "_loss")) else None
