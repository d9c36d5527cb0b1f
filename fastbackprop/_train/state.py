"""Where a fit is: what its steps advance."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple, TypeVar

import numpy as np

from fastbackprop._core.buffers import Parameters, aligned_empty
from fastbackprop._correct.state import OptimizerState
from fastbackprop._train.best import BestWeights, put_back
from fastbackprop._train.history import History

__all__ = ["Outcome", "Sums", "TrainingState", "Wrong", "validated_weights"]

T = TypeVar("T")


class Sums(NamedTuple):
    """What the steps of an epoch have added up; replaced as a whole, so that it is of one moment.

    Parameters
    ----------
    row : int
        The next row, in the epoch's order: all before it were used.
    cost : float
        The sum of the costs of those rows.
    n_right : int or float
        Samples, or outputs, among them that were right, each by its weight where they have any.
    """

    row: int = 0
    cost: float = 0.0
    n_right: float = 0


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
    rates : ndarray, optional
        Learning rate, momentum and weight decay of the steps up to this one, where they have some
        of their own.
    cause : str, optional
        A sentence, where it is known.
    """

    outcome: Outcome
    row: int
    layer: int
    rates: np.ndarray | None = None
    cause: str | None = None


@dataclass
class TrainingState:
    """Where a fit is: with the weights, all that it takes to go on from there.

    Parameters
    ----------
    parameters : Parameters
        The model's.
    optimizer_state : OptimizerState
        The optimizer's state for this model, which the kernels advance.
    best : BestWeights
        The weights of the epoch with the lowest loss so far.
    epochs : int
        How many epochs the fit takes.
    n_rows : int
        How many rows they use in all.
    epoch : int
        The epoch at work, counted from 1; 0 before the first.
    random_state : object
        The generator's state at the start of the epoch, from which the order of its rows is drawn.
    sums : Sums
        Over the steps of the epoch.
    history : History
        The figures of the epochs that have ended.
    average : ndarray, optional
        What stands for weights and running statistics in validation, laid out as they are.
    has_diverged : bool
        Whether a step went wrong.
    kept : int or None
        The epoch whose weights a callback has put back.
    begin : float
        When the epoch at work began, by the clock of ``time.perf_counter``.
    gradient_norm : float, optional
        Of the last step of a fit that goes on, where its epoch has no other left.
    is_at_rest : bool
        Whether all of this is of one moment: at the end of a step or an epoch, where callbacks are
        told of it.
    is_over : bool
        Whether the fit has ended.
    """

    parameters: Parameters
    optimizer_state: OptimizerState
    best: BestWeights
    epochs: int = 1
    n_rows: int = 0
    epoch: int = 0
    random_state: Any = None
    sums: Sums = field(default_factory=Sums)
    history: History = field(default_factory=History)
    average: np.ndarray | None = None
    has_diverged: bool = False
    kept: int | None = None
    begin: float = field(default_factory=time.perf_counter)
    gradient_norm: float | None = None
    is_at_rest: bool = False
    is_over: bool = False

    def begin_epoch(self, random_state: Any) -> None:
        """Count the next epoch, whose rows are drawn from this state of the generator."""
        self.epoch, self.random_state, self.sums = self.epoch + 1, random_state, Sums()
        self.begin = time.perf_counter()

    @property
    def seconds(self) -> float:
        """How long the epoch at work has taken."""
        return time.perf_counter() - self.begin

    @property
    def is_between_epochs(self) -> bool:
        """Whether the last epoch that began has its line in the history."""
        return self.epoch == len(self.history)

    def tell(self, listener: Callable[..., T], *arguments: Any) -> T:
        """Call who may look at all of this, and write it down; return what is returned."""
        self.is_at_rest = True
        try:
            return listener(*arguments)
        finally:
            self.is_at_rest = False

    def what_is_kept(self, words: str | None) -> str:
        """Return a sentence about the weights that an interrupted fit leaves."""
        if words is not None:
            return f"The model has the weights {words}."
        n = len(self.history)
        return (
            f"The model keeps what it has learned, of {n} whole epoch{'s' * (n != 1)} of "
            f"{self.epochs}; another fit goes on from there."
        )

    @property
    def weights(self) -> np.ndarray:
        """What validation sees: the average, or what the model has now."""
        return self.parameters.store if self.average is None else self.average

    def copy(self) -> np.ndarray:
        """Return a copy of that and of the optimizer's state."""
        size = self.parameters.store.size
        room = aligned_empty(size + self.optimizer_state.buffer.size, self.parameters.store.dtype)
        room[:size] = self.weights
        room[size:] = self.optimizer_state.buffer
        return room

    def put_back(self, room: np.ndarray, epoch: int) -> None:
        """Go back to the copy of an epoch."""
        put_back(self.parameters, self.optimizer_state.buffer, room)
        self.kept = epoch


@contextmanager
def validated_weights(state: TrainingState) -> Iterator[None]:
    """Let the model have the weights that validation sees."""
    if state.average is None:
        yield
        return
    store = state.parameters.store
    weights = store.copy()
    np.copyto(store, state.average)
    try:
        yield
    finally:
        np.copyto(store, weights)
