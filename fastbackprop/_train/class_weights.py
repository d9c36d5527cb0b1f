"""Weights by class, for a trainer."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from fastbackprop._compare.labels import Classes, check_classes
from fastbackprop._compare.losses import Loss, Targets
from fastbackprop._compare.weights import ClassWeight, check_class_weight, class_indices, of_classes
from fastbackprop._model.sequential import Sequential

__all__ = ["ClassWeights", "check_classes_of"]


def check_classes_of(loss: Loss, model: Sequential, classes: Any) -> Classes | None:
    """Return the classes that a trainer is told, or a complaint; None where it isn't told any."""
    if classes is None:
        return None
    n = loss._n_classes(model.n_out)
    if n is None:
        raise ValueError(
            f"classes must be None for loss {loss.name!r} and {model.n_out} outputs, where a "
            f"sample has no class, got {classes!r}."
        )
    return check_classes("classes", classes, n)


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
    classes : Classes or None
        The model's, as far as they are known.
    """

    def __init__(
        self, class_weight: ClassWeight, loss: Loss, n_out: int, classes: Classes | None
    ) -> None:
        self._weights = class_weight
        if class_weight is None:
            return
        n = loss._n_classes(n_out)
        if n is None:
            raise ValueError(
                f"class_weight must be None for loss {loss.name!r} and {n_out} outputs, where a "
                f"sample has no class, got {class_weight!r}."
            )
        self._indices = range(n)
        if classes is not None or not self._names_labels():
            self._by_index(classes)

    @property
    def are_given(self) -> bool:
        """Whether classes have weights."""
        return self._weights is not None

    def _names_labels(self) -> bool:
        """Whether a dict may well be by labels that only ``fit`` will see: text, or all of them."""
        if not isinstance(self._weights, Mapping) or set(self._weights) <= set(self._indices):
            return False
        return len(self._weights) == len(self._indices) or any(
            isinstance(label, str) for label in self._weights
        )

    def _by_index(self, classes: Classes | None) -> Literal["balanced"] | np.ndarray | None:
        """Return the weights in the order of outputs, or complain of what they are."""
        labels = self._indices if classes is None else classes.as_list()
        return check_class_weight(self._weights, labels)

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
        by_index = self._by_index(targets.classes)
        assert by_index is not None
        if isinstance(by_index, str) and not are_all:
            raise ValueError(
                "class_weight must be None or a dict for single steps, got 'balanced', which needs "
                "all samples of a fit."
            )
        weights = of_classes(by_index, class_indices(targets), dtype)
        if targets.weights is not None:
            weights = weights * targets.weights
        if are_all and not weights.any():
            raise ValueError(
                "class_weight times sample_weight must have a number above 0, got nothing but 0."
            )
        return replace(targets.weighted(weights), sample_weights=targets.weights)

    def __repr__(self) -> str:
        return repr(self._weights)
