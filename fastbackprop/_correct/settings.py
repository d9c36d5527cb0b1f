"""What an optimizer is made with: numbers that are checked once, or schedules of them."""

import math
from typing import Any

from fastbackprop._core.validation import check_real
from fastbackprop._correct.schedule import is_schedule

__all__ = ["Setting", "beta", "epsilon_setting"]


class Setting:
    """A number of an optimizer, as a property; where it may be, a schedule.

    Parameters
    ----------
    doc : str
        Text that says what it is.
    above, at_least, below : float
        Its bounds.
    scheduled : bool
        Whether a schedule may stand for it.
    assignable : bool
        Whether it can be assigned later.
    """

    def __init__(
        self,
        doc: str,
        *,
        above: float = -math.inf,
        at_least: float = -math.inf,
        below: float = math.inf,
        scheduled: bool = False,
        assignable: bool = False,
    ) -> None:
        self.__doc__ = doc
        self.above, self.at_least, self.below = above, at_least, below
        self.scheduled, self.assignable = scheduled, assignable

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        return self if owner is None else owner._numbers.get(self.name, 0.0)

    def __set__(self, owner: Any, value: Any) -> None:
        if self.name in owner._numbers and not self.assignable:
            raise AttributeError(
                f"{self.name} of {type(owner).__name__} can't be assigned; make a new one."
            )
        if not (self.scheduled and is_schedule(value)):
            value = check_real(
                self.name, value, above=self.above, at_least=self.at_least, below=self.below
            )
        owner._numbers[self.name] = value
        owner._specs = {}


def beta(doc: str) -> Setting:
    """Return a setting that says how much of a moving average is kept."""
    return Setting(doc, at_least=0.0, below=1.0)


def epsilon_setting() -> Setting:
    """Return what keeps a denominator from 0."""
    return Setting("What is added to the root of the second moment.", above=0.0)
