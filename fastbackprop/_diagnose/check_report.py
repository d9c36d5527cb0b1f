"""GradientCheck: what ``gradient_check`` found, as a table, a dict and a condition."""

from typing import Any, NamedTuple

__all__ = ["CheckedPart", "GradientCheck", "WorstGradient"]


class CheckedPart(NamedTuple):
    """The weights or the biases of a layer, or the inputs.

    ``checked`` of ``size`` were tried. ``kinks`` of these lie where the cost has a kink, and any
    slope between those of its two sides is right; ``lost`` are so small that the rounding of the
    cost could hide an error of 1 %. ``error`` is the relative error as it was measured, of the
    gradient where it is the largest part of what is allowed there; ``allowed`` is that: the
    tolerance, and what the rounding of the cost can do. ``float32_error`` and ``float32_allowed``
    are the same for the model's own float32 gradients, or None.
    """

    name: str
    size: int
    checked: int
    kinks: int
    lost: int
    error: float
    allowed: float
    float32_error: float | None
    float32_allowed: float | None

    @property
    def passed(self) -> bool:
        """Whether no error is larger than what is allowed."""
        single_passed = (self.float32_error or 0) <= (self.float32_allowed or 0)
        return self.error <= self.allowed and single_passed


class WorstGradient(NamedTuple):
    """Where backward is farthest off, by what is allowed there.

    ``error`` and ``allowed`` are those of CheckedPart. ``dtype`` "float32" is the model's own
    backward, and ``differences`` then what backward gives in float64.
    """

    name: str
    where: tuple[int, ...]
    backward: float
    differences: float
    error: float
    allowed: float
    dtype: str


class GradientCheck:
    """What ``gradient_check`` found; print it, or use it as a condition.

    Parameters
    ----------
    parts : list of CheckedPart
        What was checked: weights and biases of each layer, then the inputs.
    worst : WorstGradient
        The worst gradient of all parts.
    tolerance : float
        Tolerance of the relative error, beyond what rounding can do.

    Attributes
    ----------
    passed : bool
        Whether no error is larger than what is allowed.
    """

    def __init__(self, parts: list[CheckedPart], worst: WorstGradient, tolerance: float) -> None:
        self.parts = parts
        self.worst = worst
        self.tolerance = tolerance
        self.passed = all(x.passed for x in parts)

    def __bool__(self) -> bool:
        return self.passed

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data.

        Returns
        -------
        dict
            It has ``passed``, ``tolerance``, ``worst`` and ``parts``.
        """
        return {
            "passed": self.passed,
            "tolerance": self.tolerance,
            "worst": {**self.worst._asdict(), "where": list(self.worst.where)},
            "parts": [x._asdict() for x in self.parts],
        }

    def __str__(self) -> str:
        lines = [*self._table(), self._verdict()]
        if n_lost := sum(x.lost for x in self.parts):
            lines.append(
                f"{n_lost:,} gradients are too small to be told from rounding: check a network "
                "with more to learn."
            )
        return "\n".join(lines)

    def _table(self) -> list[str]:
        """Return a line for each part; columns of float32 only where it was checked."""
        head = ("", "checked", "at a kink", "lost in rounding", "error", "allowed")
        rows: list[tuple[str, ...]] = [(*head, "of float32", "allowed")]
        for x in self.parts:
            checked = f"{x.checked:,} of {x.size:,}"
            errors = (x.error, x.allowed, x.float32_error, x.float32_allowed)
            cells = ["" if error is None else f"{error:.1e}" for error in errors]
            rows.append((x.name, checked, str(x.kinks), str(x.lost), *cells))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        if self.parts[0].float32_error is None:
            lines[0] = lines[0].partition("  of float32")[0].rstrip()
        return lines

    def _verdict(self) -> str:
        w = self.worst
        of_backward, reference = (
            ("", "differences") if w.dtype == "float64" else (" in float32", "float64")
        )
        return (
            f"{'passed' if self.passed else 'FAILED'}: the worst is d{w.name}, by backward "
            f"{w.backward:.6g}{of_backward}, by {reference} "
            f"{w.differences:.6g}, error {w.error:.1e} (allowed {w.allowed:.1e})"
        )
