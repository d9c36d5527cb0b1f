"""Warnings that scikit-learn gives, too: filters that were written for its module know them."""

import sys
import warnings
from typing import Any

__all__ = ["warn_as_theirs"]

MODULE = "sklearn.neural_network._multilayer_perceptron"
registry: dict[Any, Any] = {}  # by which each is shown once, as those of a module are


def warn_as_theirs(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn as from scikit-learn's module.

    ``filterwarnings("ignore", category=ConvergenceWarning, module="sklearn")`` stands in many a
    script, scikit-learn's examples among them.
    """
    caller = sys._getframe(1)
    place = caller.f_code.co_filename, caller.f_lineno
    warnings.warn_explicit(message, category, *place, MODULE, registry)
