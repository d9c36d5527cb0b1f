"""The solvers sgd and adam: epochs until nothing improves, as scikit-learn counts that."""

from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from fastbackprop._correct.clipping import Clipping, check_limit
from fastbackprop._estimators.data import Samples
from fastbackprop._estimators.epochs import Epochs, Wrong
from fastbackprop._estimators.errors import non_finite
from fastbackprop._estimators.evaluation import Evaluation
from fastbackprop._estimators.following import Follower
from fastbackprop._estimators.own_solver import OwnSolver
from fastbackprop._estimators.parameters import is_own_solver
from fastbackprop._estimators.record import Record
from fastbackprop._estimators.solver import Solver
from fastbackprop._estimators.warn import warn_as_theirs

__all__ = ["fit_stochastic"]


def fit_stochastic(
    estimator: Any, samples: Samples, is_partial: bool, evaluation: Evaluation | None = None
) -> None:
    """Train an estimator whose network is there; is_partial stops after an epoch."""
    network, values = estimator._network, estimator._network.values
    is_own = is_own_solver(estimator.solver)
    if not (is_partial and _has_solver(estimator)):
        estimator._optimizer = (
            OwnSolver(estimator) if is_own else Solver(estimator, values.size, values.dtype)
        )
    validation = None
    stops_early = estimator.early_stopping
    if stops_early:
        samples, validation = _split(estimator, samples)
    network.fit_scaling(samples.counted_rows)
    record = Record(estimator, len(samples), validation, evaluation, is_partial)
    try:
        if is_own:
            _train_by_trainer(estimator, samples, record)
        else:
            _train_by_epochs(estimator, samples, record)
    except KeyboardInterrupt:
        warn_as_theirs("Training interrupted by user.")
    if stops_early:
        network.store[:] = estimator._best_values


def _train_by_trainer(estimator: Any, samples: Samples, record: Record) -> None:
    """Train with an optimizer of the library."""
    estimator.n_iter_ = 0
    size = _batch_size(estimator, len(samples))
    estimator._optimizer.run(estimator, estimator._class_weighted(samples), size, record)


def _has_solver(estimator: Any) -> bool:
    """Whether there is an optimizer to go on with, that belongs to these weights."""
    solver = getattr(estimator, "_optimizer", None)
    return solver is not None and solver.fits(estimator._network.values)


def _batch_size(estimator: Any, n: int) -> int:
    if estimator.batch_size == "auto":
        return min(200, n)
    if estimator.batch_size > n:
        warn_as_theirs(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
        )
    return int(min(estimator.batch_size, n))


def _split(estimator: Any, samples: Samples) -> tuple[Samples, Samples]:
    """Put some samples aside, by scikit-learn's own split; of two classes, as many of each."""
    is_binary = estimator._is_classifier and estimator.n_outputs_ == 1
    weights = [] if samples.weights is None else [samples.weights]
    try:
        parts: Any = train_test_split(
            samples.rows,
            samples.targets,
            *weights,
            random_state=estimator._random_state,
            test_size=estimator.validation_fraction,
            stratify=samples.targets if is_binary else None,
        )
    except ValueError as error:
        rare = estimator._rare_classes(samples.targets) if is_binary else []
        if not rare or "least populated class" not in str(error):
            raise
        names = ", ".join(map(repr, rare))
        raise ValueError(f"{error} In y that is {names}.") from None
    train, validation = parts[::2], parts[1::2]
    if validation[0].shape[0] < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            "dataset."
        )
    return Samples(*train, *([] if weights else [None])), Samples(
        *validation, *([] if weights else [None])
    )


def _train_by_epochs(estimator: Any, samples: Samples, record: Record) -> None:
    """Train with scikit-learn's sgd or adam, epoch after epoch."""
    network, solver, n = estimator._network, estimator._optimizer, len(samples)
    dtype = network.values.dtype
    clipping = Clipping(
        check_limit("clip_value", estimator.clip_value, dtype),
        check_limit("clip_norm", estimator.clip_norm, dtype),
    )
    epochs = Epochs(
        network,
        estimator._class_weighted(samples),
        _batch_size(estimator, n),
        estimator._loss_rule(dtype),
        estimator.alpha,
        estimator.n_threads,
        clipping=clipping,
    )
    n_steps_of_epoch = -(-n // epochs.batch_size)
    solver.begin(None if record.is_partial else estimator.max_iter * n_steps_of_epoch)
    estimator.n_iter_ = 0
    with Follower(estimator, solver, record) as follower:
        _iterate(estimator, epochs, record, follower, n)


def _iterate(estimator: Any, epochs: Epochs, record: Record, follower: Follower, n: int) -> None:
    """Epoch after epoch."""
    network, solver = estimator._network, estimator._optimizer
    dtype = network.values.dtype
    order, before = np.arange(n), network.store.copy()
    has_diverged = False
    for _ in range(estimator.max_iter):
        if estimator.shuffle:
            # In place of sklearn.utils.shuffle, which makes the same order of the same numbers.
            permutation = np.arange(n)
            estimator._random_state.shuffle(permutation)
            order = order[permutation]
        loss: float | Wrong = np.nan
        follower.begin_epoch()
        if not has_diverged:
            before[:] = network.store
            loss = epochs.run(
                solver.spec(dtype),
                solver.buffer,
                order if estimator.shuffle else None,
                lambda n_steps: solver.rates(n_steps, follower.history),
                **follower.options,
            )
        if isinstance(loss, Wrong):
            if record.validation is None:
                follower.diverged()
                network.store[:] = before
                raise non_finite(estimator.n_iter_ + 1, loss.batch, network.place_of(loss.layer))
            # scikit-learn goes on with NaN to the end, and then takes the best weights.
            has_diverged, loss = True, np.nan
            for view in network.arrays:
                view.fill(np.nan)
        follower.before_validation()
        with follower.validated():
            ends = record.note(loss)
        follower.end_epoch()
        solver.end_iteration(estimator.t_)
        if ends or follower.wants_end:
            return
