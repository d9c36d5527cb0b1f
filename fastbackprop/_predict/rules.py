"""What a layer has of its own when its weights are corrected."""

from typing import Any, NamedTuple

import numpy as np

from fastbackprop._core.validation import check_held, check_real, check_true_false

__all__ = ["UpdateRules", "check_rules"]


class UpdateRules(NamedTuple):
    """What a layer has of its own when its weights are corrected.

    Parameters
    ----------
    learning_rate_factor : float
        By which the optimizer's learning rate is multiplied.
    l1 : float
        Penalty on the sizes of the weights.
    max_norm : float
        The largest length of a column of the weights; 0 stands for any.
    trainable : bool
        Whether they are corrected at all.
    """

    learning_rate_factor: float = 1.0
    l1: float = 0.0
    max_norm: float = 0.0
    trainable: bool = True

    def check_held(self, dtype: np.dtype) -> None:
        """Refuse what numbers of this dtype can't hold."""
        for name, value in self._asdict().items():
            if name != "trainable":
                check_held(name, value, dtype)

    def unusual(self) -> dict[str, Any]:
        """Return what isn't the default, by name."""
        defaults = UpdateRules()._asdict()
        return {k: v for k, v in self._asdict().items() if v != defaults[k]}

    def shown(self) -> list[str]:
        """Return what isn't the default, for a repr."""
        return [
            f"{k}={v!r}" if isinstance(v, bool) else f"{k}={v:g}" for k, v in self.unusual().items()
        ]


def check_rules(
    learning_rate_factor: Any = 1.0, l1: Any = 0.0, max_norm: Any = None, trainable: Any = True
) -> UpdateRules:
    """Return the rules, checked."""
    return UpdateRules(
        check_real("learning_rate_factor", learning_rate_factor, above=0.0),
        check_real("l1", l1, at_least=0.0),
        0.0 if max_norm is None else check_real("max_norm", max_norm, above=0.0),
        check_true_false("trainable", trainable),
    )
