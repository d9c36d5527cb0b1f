"""Weights by class, for a trainer."""

from typing import Literal

import numpy as np

from fastbackprop._compare.losses import Loss, Targets
from fastbackprop._compare.weights import ClassWeight, check_class_weight, class_indices, of_classes

__all__ = ["ClassWeights"]


class ClassWeights:
    """How much each class counts in training.

    Parameters
    ----------
    class_weight : None, "balanced" or dict
        As for Trainer.
    loss : Loss
        Says whether there are classes.
    n_out : int
        Outputs of the model.
    """

    def __init__(self, class_weight: ClassWeight, loss: Loss, n_out: int) -> None:
        self._weights: Literal["balanced"] | np.ndarray | None = None
        if class_weight is None:
            return
        if not loss.is_classification or (n_out > 1 and loss.activation != "softmax"):
            raise ValueError(
                f"class_weight must be None for loss {loss.name!r} and {n_out} outputs, where a "
                f"sample has no class, got {class_weight!r}."
            )
        self._weights = check_class_weight(class_weight, range(max(2, n_out)))

    def on(self, targets: Targets, dtype: np.dtype, *, are_all: bool) -> Targets:
        """Return the targets with their weights multiplied by those of their classes.

        Parameters
        ----------
        targets : Targets
            Of a fit or a step.
        dtype : dtype
            That of weights.
        are_all : bool
            Whether these are all samples: only then can classes be balanced.
        """
        if self._weights is None:
            return targets
        if isinstance(self._weights, str) and not are_all:
            raise ValueError(
                "class_weight must be None or a dict for single steps, got 'balanced', which needs "
                "all samples of a fit."
            )
        weights = of_classes(self._weights, class_indices(targets), dtype)
        if targets.weights is not None:
            weights = weights * targets.weights
        if are_all and not weights.any():
            raise ValueError(
                "class_weight times sample_weight must have a number above 0, got nothing but 0."
            )
        return targets.weighted(weights)

    def __repr__(self) -> str:
        return repr(self._weights)
