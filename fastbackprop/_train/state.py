"""Where a fit is: what its steps advance."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from fastbackprop._correct.state import OptimizerState
from fastbackprop._train.best import BestWeights
from fastbackprop._train.history import History

__all__ = ["Outcome", "Sums", "TrainingState", "Wrong"]


class Sums(NamedTuple):
    """What the steps of an epoch have added up; replaced as a whole, so that it is of one moment.

    Parameters
    ----------
    row : int
        The next row, in the epoch's order: all before it were used.
    cost : float
        The sum of the costs of those rows.
    n_right : int
        Samples, or outputs, among them that were right.
    """

    row: int = 0
    cost: float = 0.0
    n_right: int = 0


class Outcome(IntEnum):
    """What isn't finite in a step, numbered as the kernels do."""

    FINE, LOSS, WEIGHTS, GRADIENT = range(4)


class Wrong(NamedTuple):
    """Where a step went wrong.

    Parameters
    ----------
    outcome : Outcome
        What isn't finite.
    row : int
        The first row of the batch.
    layer : int
        The index of the layer where it showed first.
    """

    outcome: Outcome
    row: int
    layer: int


@dataclass
class TrainingState:
    """Where a fit is: with the weights, all that it takes to go on from there.

    Parameters
    ----------
    optimizer_state : OptimizerState
        The optimizer's state for this model, which the kernels advance.
    best : BestWeights
        The weights of the best epoch so far.
    epochs : int
        How many epochs the fit takes.
    epoch : int
        The epoch at work, counted from 1; 0 before the first.
    random_state : object
        The generator's state at the start of the epoch, from which the order of its rows is drawn.
    sums : Sums
        Over the steps of the epoch.
    history : History
        The figures of the epochs that have ended.
    """

    optimizer_state: OptimizerState
    best: BestWeights
    epochs: int = 1
    epoch: int = 0
    random_state: Any = None
    sums: Sums = field(default_factory=Sums)
    history: History = field(default_factory=History)

    def begin_epoch(self, random_state: Any) -> None:
        """Count the next epoch, whose rows are drawn from this state of the generator."""
        self.epoch, self.random_state, self.sums = self.epoch + 1, random_state, Sums()
