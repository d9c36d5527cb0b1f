"""An optimizer of the library as the solver: epochs by a Trainer, which callbacks hear of."""

import copy
from typing import Any

import numpy as np

from fastbackprop._core.errors import DivergenceError
from fastbackprop._correct.optimizer import Optimizer
from fastbackprop._correct.optimizers import OPTIMIZERS
from fastbackprop._estimators.data import Samples
from fastbackprop._estimators.errors import non_finite
from fastbackprop._estimators.network import Network
from fastbackprop._estimators.record import Record
from fastbackprop._model.sequential import Sequential
from fastbackprop._train.callback import Callback
from fastbackprop._train.callbacks import as_callbacks
from fastbackprop._train.trainer import Trainer

__all__ = ["OwnSolver"]


class OwnSolver:
    """One estimator's optimizer and its trainer; the user's object stays as it is.

    Parameters
    ----------
    estimator : BaseMLP
        Whose parameters count.
    """

    def __init__(self, estimator: Any) -> None:
        self._optimizer = _optimizer_of(estimator.solver, estimator.learning_rate, estimator)
        self._loss = estimator._library_loss()
        self._settings = {
            "seed": int(estimator._random_state.randint(2**31)),
            "n_threads": estimator.n_threads,
            "clip_value": estimator.clip_value,
            "clip_norm": estimator.clip_norm,
        }
        self._trainer: Trainer | None = None

    @property
    def model(self) -> Sequential | None:
        """The model that the optimizer has a state for."""
        return None if self._trainer is None else self._trainer.model

    def fits(self, values: np.ndarray) -> bool:
        """Whether its state is of these parameters' shape and dtype."""
        return self.model is not None and self.model._parameters.values is values

    def run(
        self,
        estimator: Any,
        samples: Samples,
        batch_size: int,
        record: Record,
    ) -> None:
        """Train: ``record`` notes each epoch, and says whether to end."""
        network, trainer = estimator._network, self._trainer_of(estimator._network)
        validation_data = None
        if record.evaluation is not None:
            others = record.evaluation.samples
            validation_data = others.rows, estimator._library_y(others.targets)
        callbacks = copy.deepcopy(as_callbacks(estimator.callbacks or (), None))
        if callbacks:
            estimator.callbacks_ = callbacks
        try:
            estimator.history_ = trainer.fit(
                samples.rows,
                estimator._library_y(samples.targets),
                epochs=1 if record.is_partial else estimator.max_iter,
                batch_size=batch_size,
                sample_weight=samples.weights,
                validation_data=validation_data,
                callbacks=[*callbacks, _Notes(record)],
                shuffle=bool(estimator.shuffle),
                progress_bar=False,
            )
        except DivergenceError as error:
            raise non_finite(error.epoch, error.batch, network.place_of(error.layer)) from error

    def _trainer_of(self, network: Network) -> Trainer:
        if self._trainer is None or self.model is not network.model:
            self._trainer = Trainer(network.model, self._loss, self._optimizer, **self._settings)
        return self._trainer

    def stops(self, message: str, verbose: Any) -> bool:
        """Whether training ends where it no longer improves: always."""
        if verbose:
            print(f"{message} Stopping.")
        return True


def _optimizer_of(solver: Any, how: Any, estimator: Any) -> Optimizer:
    """Return an optimizer by name, at the estimator's rate or schedule, or a copy of an object."""
    if not isinstance(solver, Optimizer):
        rate = how if callable(how) else estimator.learning_rate_init
        return OPTIMIZERS[solver](rate)  # type: ignore[call-arg]
    if callable(how):
        raise ValueError(
            "learning_rate must be 'constant' beside an optimizer, which has a rate of its own, "
            f"got {how!r}."
        )
    return copy.deepcopy(solver)


class _Notes(Callback):
    """Tells an estimator of each epoch."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def on_epoch_end(self, trainer: Any, history: Any) -> None:
        """Tell the loss; end where that says so."""
        if self._record.note(history.loss[-1]):
            trainer.stop_training = True
