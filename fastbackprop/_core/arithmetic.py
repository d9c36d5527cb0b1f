"""Arithmetic of ours in Python and NumPy that has the same bits whatever the caller's mode.

The kernels set the processor's mode themselves; what is computed outside of them, between a user's
numbers and theirs (a conversion, initial weights, a mean), would follow fesetround or
torch.set_flush_denormal.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from fastbackprop._core.dispatch import kernels

__all__ = ["exact_mode", "in_exact_mode", "quotient"]

P = ParamSpec("P")
R = TypeVar("R")


def exact_mode() -> Any:
    """Return a context in which this thread rounds to nearest and keeps subnormal numbers."""
    return kernels("float32").ExactMode()


def quotient(numerator: float, denominator: float) -> float:
    """Return the quotient, rounded to nearest."""
    with exact_mode():
        return numerator / denominator


def in_exact_mode(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function that computes much in NumPy run in that mode as a whole."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with exact_mode():
            return function(*args, **kwargs)

    return call
