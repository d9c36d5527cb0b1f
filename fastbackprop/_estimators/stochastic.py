"""The solvers sgd and adam: epochs until nothing improves, as scikit-learn counts that."""

import time
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from fastbackprop._correct.clipping import Clipping, check_limit
from fastbackprop._estimators.data import Samples
from fastbackprop._estimators.epochs import Epochs, Wrong
from fastbackprop._estimators.errors import non_finite
from fastbackprop._estimators.evaluation import Evaluation
from fastbackprop._estimators.solver import Solver
from fastbackprop._estimators.warn import warn_as_theirs

__all__ = ["fit_stochastic"]


def fit_stochastic(
    estimator: Any, samples: Samples, is_partial: bool, evaluation: Evaluation | None = None
) -> None:
    """Train an estimator whose network is there; is_partial stops after an epoch."""
    network, values = estimator._network, estimator._network.values
    if not (is_partial and _has_solver(estimator)):
        settings = estimator.get_params(deep=False)
        estimator._optimizer = Solver(settings, values.size, values.dtype)
    validation = None
    stops_early = estimator.early_stopping
    if stops_early:
        samples, validation = _split(estimator, samples)
    clipping = Clipping(
        check_limit("clip_value", estimator.clip_value, values.dtype),
        check_limit("clip_norm", estimator.clip_norm, values.dtype),
    )
    epochs = Epochs(
        network,
        estimator._class_weighted(samples),
        _batch_size(estimator, len(samples)),
        estimator._loss_rule(values.dtype),
        estimator.alpha,
        estimator.n_threads,
        clipping=clipping,
    )
    try:
        _iterate(estimator, epochs, len(samples), validation, is_partial, evaluation)
    except KeyboardInterrupt:
        warn_as_theirs("Training interrupted by user.")
    if stops_early:
        values[:] = estimator._best_values


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


def _iterate(
    estimator: Any,
    epochs: Epochs,
    n: int,
    validation: Samples | None,
    is_partial: bool,
    evaluation: Evaluation | None,
) -> None:
    """Epoch after epoch."""
    network, solver = estimator._network, estimator._optimizer
    order, before = np.arange(n), network.values.copy()
    has_diverged, start = False, time.monotonic()
    budget = np.inf if estimator.time_budget is None else estimator.time_budget
    estimator.n_iter_ = 0
    for _ in range(estimator.max_iter):
        if estimator.shuffle:
            # In place of sklearn.utils.shuffle, which makes the same order of the same numbers.
            permutation = np.arange(n)
            estimator._random_state.shuffle(permutation)
            order = order[permutation]
        loss: float | Wrong = np.nan
        if not has_diverged:
            before[:] = network.values
            loss = epochs.run(
                solver.spec(before.dtype), solver.buffer, order if estimator.shuffle else None
            )
        if isinstance(loss, Wrong):
            if validation is None:
                network.values[:] = before
                raise non_finite(estimator.n_iter_ + 1, *loss)
            # scikit-learn goes on with NaN to the end, and then takes the best weights.
            has_diverged, loss = True, np.nan
            for view in network.arrays:
                view.fill(np.nan)
        estimator.n_iter_ += 1
        estimator.loss_ = loss
        estimator.t_ += n
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        if evaluation is not None:
            estimator.validation_curve_.append(evaluation.loss_now())
        _count_improvement(estimator, validation)
        solver.end_iteration(estimator.t_)
        if _has_converged(estimator) or is_partial or time.monotonic() - start > budget:
            return
        if estimator.n_iter_ == estimator.max_iter:
            warn_as_theirs(
                f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the "
                "optimization hasn't converged yet.",
                ConvergenceWarning,
            )


def _count_improvement(estimator: Any, validation: Samples | None) -> None:
    """Count the epochs since the loss, or the validation score, got better by more than tol."""
    if validation is None:
        loss = estimator.loss_curve_[-1]
        is_worse = loss > estimator.best_loss_ - estimator.tol
        estimator.best_loss_ = min(estimator.best_loss_, loss)
    else:
        score = estimator._score_of(validation)
        estimator.validation_scores_.append(score)
        if estimator.verbose:
            print(f"Validation score: {score:f}")
        is_worse = score < estimator.best_validation_score_ + estimator.tol
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            estimator._best_values = estimator._network.values.copy()
    estimator._no_improvement_count = estimator._no_improvement_count + 1 if is_worse else 0


def _has_converged(estimator: Any) -> bool:
    """Whether there was no improvement for so long that training ends."""
    if estimator._no_improvement_count <= estimator.n_iter_no_change:
        return False
    what = "Validation score" if estimator.early_stopping else "Training loss"
    message = (
        f"{what} did not improve more than tol={estimator.tol:f} for "
        f"{estimator.n_iter_no_change:g} consecutive epochs."
    )
    if estimator._optimizer.stops(message, estimator.verbose):
        return True
    estimator._no_improvement_count = 0
    return False
