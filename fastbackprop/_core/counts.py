"""What is counted of a model, where the kernels find it too: one array of integers."""

from typing import Any

import numpy as np

__all__ = ["Count", "new_counts"]

# In the order of the kernels' struct Counts (plan.pxd).
NAMES = ("n_forwards", "n_trainings", "has_blame", "n_changes", "is_pinned")


def new_counts() -> np.ndarray:
    """Return zeros for all of NAMES."""
    return np.zeros(len(NAMES), np.int64)


class Count:
    """One of NAMES as an attribute of whoever has ``counts``."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._index = NAMES.index(name)

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        return self if owner is None else int(owner.counts[self._index])

    def __set__(self, owner: Any, value: int) -> None:
        owner.counts[self._index] = value
