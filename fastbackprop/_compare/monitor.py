"""A figure of the history, and what is an improvement of it."""

import math
from typing import Any

from fastbackprop._compare.metrics import is_higher_better
from fastbackprop._core.validation import check_real, did_you_mean

__all__ = ["Monitor"]

MODES = ("auto", "min", "max")


class Monitor:
    """Looks at one figure of the epochs, and knows which value is better.

    Parameters
    ----------
    owner : str
        Name of the class that it belongs to, for complaints.
    name : str
        Figure of the history.
    mode : str
        "min", "max", or "auto", which goes by the name.
    min_delta : float
        Least improvement that counts.
    """

    def __init__(self, owner: str, name: Any, mode: Any, min_delta: Any = 0.0) -> None:
        if not isinstance(name, str):
            raise TypeError(f"monitor of {owner} must be a figure's name, got {name!r}.")
        if mode not in MODES:
            raise ValueError(f"mode of {owner} must be 'auto', 'min' or 'max', got {mode!r}.")
        higher = is_higher_better(name) if mode == "auto" else mode == "max"
        self.owner, self.name, self.mode = owner, name, mode
        self._is_known = higher is not None
        self._sign = -1.0 if higher else 1.0
        self.min_delta = check_real("min_delta", min_delta, at_least=0.0)

    @property
    def worst(self) -> float:
        """What each number is better than."""
        return self._sign * math.inf

    def is_better(self, value: float, best: float) -> bool:
        """Whether a value is an improvement; NaN never is."""
        value, best = self._sign * value, self._sign * best
        return value < best - self.min_delta

    def check(self, figures: dict[str, bool]) -> None:
        """Complain of a figure that a fit won't have: see Callback."""
        if figures.get(self.name):
            if not self._is_known:
                raise ValueError(
                    f"mode of {self.owner} must be 'min' or 'max' for monitor {self.name!r}, whose "
                    f"name doesn't say what is better, got 'auto'."
                )
            return
        if self.name in figures:
            raise ValueError(
                f"validation_data or validation_split must be given for monitor {self.name!r} of "
                f"{self.owner}, got neither."
            )
        known = ", ".join(repr(name) for name, is_there in figures.items() if is_there)
        raise ValueError(
            f"monitor of {self.owner} must be a figure of the history ({known}), got {self.name!r}."
            f"{did_you_mean(self.name, figures)}"
        )
