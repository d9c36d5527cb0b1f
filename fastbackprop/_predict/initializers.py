"""Initial weights: small value objects, and the mapping from random words to numbers.

Random numbers are raw 64-bit words of NumPy's PCG64; the mapping from words to
weights is written here, in operations that IEEE 754 defines exactly, so the same
seed gives the same weights with every version of NumPy and on every machine.
"""

from __future__ import annotations  # numpy.random takes 10 ms to import: not before it is used

import math
import numbers
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastbackprop._core.arithmetic import exact_mode
from fastbackprop._core.copies import restore_fields
from fastbackprop._core.rows import convert
from fastbackprop._core.validation import check_choice, check_held, check_real

__all__ = [
    "INITIALIZERS",
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LecunNormal",
    "Uniform",
    "Zeros",
    "as_initializer",
]

PART = 16384  # numbers that are drawn at a time


def uniform(generator: np.random.PCG64, size: int) -> np.ndarray:
    """Float64 numbers in (0, 1): the top 53 bits of a word each, plus a half step."""
    words = generator.random_raw(size)
    u = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return np.minimum(u, 1 - 2.0**-53)  # the last half step rounds up to 1


def _log(x: np.ndarray) -> np.ndarray:
    """Natural logarithm of positive numbers, by operations that are exact everywhere.

    numpy.log differs in the last digit between CPUs. x = 2^e m; then
    log m = 2 atanh(s) with s = (m - 1) / (m + 1), by its power series.
    """
    m, e = np.frexp(x)
    small = m < 0.7071067811865476
    m = np.where(small, m * 2, m)
    e = np.where(small, e - 1, e)
    s = (m - 1) / (m + 1)
    square = s * s
    series = np.zeros_like(s)
    for k in range(25, 0, -2):
        series = series * square + 1.0 / k
    return e * 0.6931471805599453 + 2 * s * series


# Wichura (1988), Algorithm AS 241 "PPND16": the quantile of the normal distribution
# to about 1 part in 10^16. Numerators and denominators, highest power first.
_CENTRE = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)  # fmt: skip
_TAIL = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177,
     1.27045825245236838258, 3.64784832476320460504, 5.7694972214606914055,
     4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966,
     0.14810397642748007459, 0.68976733498510000455, 1.6763848301838038494,
     2.05319162663775882187, 1.0),
)  # fmt: skip
_FAR_TAIL = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386,
     0.026532189526576123093, 0.29656057182850489123, 1.7848265399172913358,
     5.4637849111641143699, 6.6579046435011037772),
    (2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5,
     7.868691311456132591e-4, 0.0148753612908506148525, 0.13692988092273580531,
     0.59983220655588793769, 1.0),
)  # fmt: skip


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: np.ndarray) -> np.ndarray:
    top, bottom = np.zeros_like(x), np.zeros_like(x)
    for a, b in zip(*coefficients, strict=True):
        top = top * x + a
        bottom = bottom * x + b
    return top / bottom


def normal(generator: np.random.PCG64, size: int) -> np.ndarray:
    """Float64 numbers of the standard normal distribution, by its quantile function."""
    return _quantile(uniform(generator, size))


def _quantile(u: np.ndarray) -> np.ndarray:
    """Return quantiles of the standard normal distribution, for u in (0, 1)."""
    q = u - 0.5
    centre = q * _ratio(_CENTRE, 0.180625 - q * q)
    r = np.sqrt(-_log(np.minimum(u, 1 - u)))
    tail = np.where(r <= 5, _ratio(_TAIL, r - 1.6), _ratio(_FAR_TAIL, r - 5))
    return np.where(np.abs(q) <= 0.425, centre, np.copysign(tail, q))


def parts_of(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Yield where each part of an array lies, in its order: some rows, or some of one row."""
    n_rows, n_columns = shape if len(shape) == 2 else (1, shape[0])
    height, width = max(1, PART // n_columns), min(n_columns, PART)
    for i in range(0, n_rows, height):
        for j in range(0, n_columns, width):
            place = slice(i, i + height), slice(j, j + width)
            yield place if len(shape) == 2 else place[1:]


@dataclass(frozen=True)
class Initializer:
    """Base of the objects that fill a new layer's weights or biases."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what was pickled, checked as the constructor checks it."""
        restore_fields(self, state)

    def _fill(
        self, what: str, out: np.ndarray, generator: np.random.PCG64, n_in: int, n_out: int
    ) -> None:
        """Fill a weight or a bias with numbers for a layer of n_in inputs and n_out outputs.

        It is done in parts: the numbers are drawn in float64, and a dozen arrays on the way to
        them stay in the cache so, instead of taking many times the memory of the weights.
        """
        for place in parts_of(out.shape):
            part = out[place]
            with exact_mode():
                numbers = self._draw(generator, part.size, n_in, n_out).reshape(part.shape)
            origin = tuple(x.start for x in place)
            part[...] = convert(what, numbers, out.dtype, origin=origin)

    def _draw(self, generator: np.random.PCG64, size: int, n_in: int, n_out: int) -> np.ndarray:
        """Return the next ``size`` numbers, in float64."""
        raise TypeError(
            f"{type(self).__name__} is a base class; use one of {', '.join(INITIALIZERS)}."
        )

    def _check_held(self, what: str, dtype: np.dtype) -> None:
        """Refuse settings that numbers of this dtype can't hold; here there are none."""


@dataclass(frozen=True)
class Zeros(Initializer):
    """All zeros."""

    def _draw(self, generator: np.random.PCG64, size: int, n_in: int, n_out: int) -> np.ndarray:
        """Return zeros."""
        return np.zeros(size)


@dataclass(frozen=True)
class Constant(Initializer):
    """All the same number.

    Parameters
    ----------
    value : float
        Must be finite.
    """

    value: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", check_real("value", self.value))

    def _draw(self, generator: np.random.PCG64, size: int, n_in: int, n_out: int) -> np.ndarray:
        """Return the constant."""
        return np.full(size, self.value)

    def _check_held(self, what: str, dtype: np.dtype) -> None:
        """Refuse a value that numbers of this dtype can't hold."""
        check_held(what, self.value, dtype)


@dataclass(frozen=True)
class Uniform(Initializer):
    """Uniform between two bounds.

    Parameters
    ----------
    low, high : float, default=-0.05, 0.05
        Must be finite, and low below high.
    """

    low: float = -0.05
    high: float = 0.05

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", check_real("low", self.low))
        object.__setattr__(self, "high", check_real("high", self.high))
        if not self.low < self.high:
            raise ValueError(f"low must be below high ({self.high:g}), got {self.low:g}.")

    def _draw(self, generator: np.random.PCG64, size: int, n_in: int, n_out: int) -> np.ndarray:
        """Return numbers between low and high."""
        u = uniform(generator, size)
        return self.low * (1 - u) + self.high * u

    def _check_held(self, what: str, dtype: np.dtype) -> None:
        """Refuse bounds that numbers of this dtype can't hold, or can't tell apart."""
        check_held(f"low of {what}", self.low, dtype)
        check_held(f"high of {what}", self.high, dtype)
        if not dtype.type(self.low) < dtype.type(self.high):
            raise ValueError(
                f"low of {what} must be below high in {dtype}, got {self.low!r} and "
                f"{self.high!r}, which round to one number."
            )


class _Scaled(Initializer):
    """Zero mean, and the variance that a paper derives from the layer's widths."""

    gain: ClassVar[float]
    counts_outputs: ClassVar[bool]
    is_normal: ClassVar[bool]

    def _draw(self, generator: np.random.PCG64, size: int, n_in: int, n_out: int) -> np.ndarray:
        """Return numbers of the distribution's variance."""
        deviation = math.sqrt(self.gain / (n_in + n_out * self.counts_outputs))
        if self.is_normal:
            return normal(generator, size) * deviation
        return (2 * uniform(generator, size) - 1) * (deviation * math.sqrt(3))


@dataclass(frozen=True)
class HeNormal(_Scaled):
    """Normal with variance 2 / n_in, for relu (He et al. 2015)."""

    gain, counts_outputs, is_normal = 2.0, False, True


@dataclass(frozen=True)
class HeUniform(_Scaled):
    """Uniform with variance 2 / n_in, for relu (He et al. 2015)."""

    gain, counts_outputs, is_normal = 2.0, False, False


@dataclass(frozen=True)
class GlorotNormal(_Scaled):
    """Normal with variance 2 / (n_in + n_out) (Glorot and Bengio 2010)."""

    gain, counts_outputs, is_normal = 2.0, True, True


@dataclass(frozen=True)
class GlorotUniform(_Scaled):
    """Uniform with variance 2 / (n_in + n_out) (Glorot and Bengio 2010)."""

    gain, counts_outputs, is_normal = 2.0, True, False


@dataclass(frozen=True)
class LecunNormal(_Scaled):
    """Normal with variance 1 / n_in (LeCun et al. 1998)."""

    gain, counts_outputs, is_normal = 1.0, False, True


INITIALIZERS: dict[str, type[Initializer]] = {
    "he_normal": HeNormal,
    "he_uniform": HeUniform,
    "glorot_normal": GlorotNormal,
    "glorot_uniform": GlorotUniform,
    "lecun_normal": LecunNormal,
    "uniform": Uniform,
    "zeros": Zeros,
}


def as_initializer(what: str, value: object, auto: str) -> Initializer:
    """Return the initializer for an object, a name, a number, or "auto".

    ``auto`` is the name that the table of activations has for the layer's.
    """
    if isinstance(value, Initializer):
        return value
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return Constant(float(value))
    name = check_choice(what, value, ("auto", *INITIALIZERS))
    if name == "auto":
        name = auto
    return INITIALIZERS[name]()
