"""A fit that was interrupted: what a checkpoint knows of it, and how the next fit goes on."""

import hashlib
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastbackprop._compare.samples import Checked
from fastbackprop._core.buffers import Parameters
from fastbackprop._correct.state import OptimizerState
from fastbackprop._train.best import BestWeights
from fastbackprop._train.data import FitPlan, TrainingData
from fastbackprop._train.history import History
from fastbackprop._train.state import Sums, TrainingState

__all__ = ["Pending", "arguments_of", "fingerprints_of"]

ROWS = 32  # so many of the first and of the last rows tell data from other data
HELP = (
    "the checkpoint was written inside of a fit, which the next one goes on with; "
    "trainer.reset() forgets it."
)


def arguments_of(plan: FitPlan) -> dict[str, Any]:
    """Return the arguments of a fit without which it would be another one."""
    data = plan.data
    return {
        "batch_size": data.batch_size,
        "shuffle": data.order is not None,
        "drop_last": data.drops_last,
        "metrics": [measure.name for measure in plan.measures],
    }


def fingerprints_of(plan: FitPlan) -> dict[str, Any]:
    """Return what tells the data of a fit from other data."""
    validation = plan.validation
    return {
        "X": _fingerprint(plan.data),
        "validation_data": None if validation is None else _fingerprint(_as_data(validation)),
    }


def _as_data(samples: Checked) -> TrainingData:
    return TrainingData(samples.rows, samples.targets, None, 1)


def _fingerprint(data: TrainingData) -> dict[str, Any]:
    """Return the number of rows, and a hash of the first and the last ones."""
    n = len(data.rows)
    some = data.take(np.unique(np.r_[: min(n, ROWS), max(0, n - ROWS) : n]))
    targets, digest = some.targets, hashlib.sha256()
    for array in (some.rows, targets.values, targets.labels, targets.weights, targets.shares):
        if array is not None:
            numbers = np.ascontiguousarray(array, np.float64)
            digest.update(f"{numbers.shape}".encode())
            digest.update(numbers.astype("<f8", copy=False).data)
    return {"rows": n, "sha256": digest.hexdigest()}


@dataclass
class Pending:
    """Where a fit was when it was written down.

    Parameters
    ----------
    epochs, epoch : int
        How many there will be, and the one at work, counted from 1.
    random_state : object
        The generator's state at the start of the epoch.
    sums : Sums
        Over the steps of the epoch.
    seconds : float
        How long the epoch has taken.
    best_epoch, best_loss : int, float
        Of the weights to go back to.
    start, room : ndarray
        Weights and optimizer state of the start of the fit, and of the best epoch.
    arguments : dict
        What ``arguments_of`` returned.
    data : dict
        What ``fingerprints_of`` returned.
    callbacks : list
        What ``Callbacks.states`` returned.
    stops : bool
        Whether a callback had asked for the end.
    gradient_norm : float, optional
        Of the last step, where it was the last of its epoch.
    """

    epochs: int
    epoch: int
    random_state: Any
    sums: Sums
    seconds: float
    best_epoch: int
    best_loss: float
    start: np.ndarray
    room: np.ndarray
    arguments: dict[str, Any]
    data: dict[str, Any]
    callbacks: list[dict[str, Any]]
    stops: bool
    gradient_norm: float | None = None

    def is_at(self, state: TrainingState) -> bool:
        """Whether a fit that went on from here has done no step."""
        return (state.epoch, state.sums) == (self.epoch, self.sums)

    def check(self, plan: FitPlan) -> None:
        """Refuse a fit that is another one."""
        for name, value in arguments_of(plan).items():
            if value != self.arguments[name]:
                raise ValueError(
                    f"{name} must be {self.arguments[name]} as before, got {value}: {HELP}"
                )
        for name, data in fingerprints_of(plan).items():
            if data == self.data[name]:
                continue
            before = self.data[name]
            if (data is None) != (before is None):
                must, got = ("None", "some") if before is None else ("given", "None")
                raise ValueError(f"{name} must be {must} as before, got {got}: {HELP}")
            if data["rows"] != before["rows"]:
                raise ValueError(
                    f"{name} must have {before['rows']} rows as before, got {data['rows']}: {HELP}"
                )
            raise ValueError(f"{name} must be the same data as before, got other rows: {HELP}")

    def begin(
        self,
        parameters: Parameters,
        optimizer_state: OptimizerState,
        history: History,
        plan: FitPlan,
    ) -> TrainingState:
        """Return where the fit goes on."""
        best = BestWeights(parameters, optimizer_state.buffer)
        best.restore(self.start, self.room, self.best_epoch, self.best_loss)
        n_done = len(history) * plan.data.n_used
        n_done += self.sums.row if self.epoch > len(history) else 0
        return TrainingState(
            parameters,
            optimizer_state,
            best,
            plan.epochs,
            max(0, plan.epochs * plan.data.n_used - n_done),
            self.epoch,
            self.random_state,
            self.sums,
            history,
            begin=time.perf_counter() - self.seconds,
            gradient_norm=self.gradient_norm,
        )
