"""Functions of the step, the same bits on every machine: libm's and NumPy's differ."""

import math

import numpy as np

from fastbackprop._core.dispatch import kernels

__all__ = ["half_cosine", "power"]

# of sin(x) / x in powers of x^2: x up to pi / 4
SINE = [(-1) ** k / math.factorial(2 * k + 1) for k in range(10)]


def half_cosine(x: np.ndarray) -> np.ndarray:
    """Return (1 + cos(pi x)) / 2 for x in [0, 1], by additions and multiplications alone."""
    is_late = x > 0.5
    angle = math.pi / 2 * np.where(is_late, 1 - x, x)
    total = np.full(x.shape, SINE[-1])
    for coefficient in SINE[-2::-1]:
        total = total * (angle * angle) + coefficient
    square = (total * angle) * (total * angle)
    return np.where(is_late, square, 1 - square)


def power(base: float | np.ndarray, exponent: float | np.ndarray) -> np.ndarray:
    """Return base ** exponent for a base of at least 0, by the kernels' exp and log."""
    bases, exponents = np.broadcast_arrays(
        np.asarray(base, np.float64), np.asarray(exponent, np.float64)
    )
    bases = np.ascontiguousarray(bases).ravel()
    out, kernel = np.empty(bases.size), kernels("float64")
    kernel.apply("log", np.where(bases > 0, bases, 1.0), out)
    kernel.apply("exp", np.ascontiguousarray(out * exponents.ravel()), out)
    return np.where(bases > 0, out, np.where(exponents.ravel() == 0, 1.0, 0.0))
