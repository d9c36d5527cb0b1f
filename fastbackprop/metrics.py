"""Metrics: functions ``(y, y_hat, sample_weight=None)``, as scikit-learn's; ``fit(metrics=…)``."""

from fastbackprop._compare.class_metrics import accuracy, balanced_accuracy, f1, roc_auc, top_k
from fastbackprop._compare.number_metrics import mae, r2, rmse

__all__ = ["accuracy", "balanced_accuracy", "f1", "mae", "r2", "rmse", "roc_auc", "top_k"]

# Where users find them: in pickles, tracebacks and documentation.
for _name in __all__:
    globals()[_name].__module__ = "fastbackprop.metrics"
