"""What an estimator remembers of its epochs, and whether another one is worth it."""

import time
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastbackprop._estimators.data import Samples
from fastbackprop._estimators.evaluation import Evaluation
from fastbackprop._estimators.warn import warn_as_theirs

__all__ = ["Record"]


class Record:
    """Notes the epochs of one fit.

    Parameters
    ----------
    estimator : BaseMLP
        Who is trained, and gets the attributes.
    n : int
        Samples of an epoch.
    validation : Samples or None
        Those that early stopping has put aside.
    evaluation : Evaluation or None
        What measures other samples.
    is_partial : bool
        Whether there is one epoch only.
    """

    def __init__(
        self,
        estimator: Any,
        n: int,
        validation: Samples | None,
        evaluation: Evaluation | None,
        is_partial: bool,
    ) -> None:
        self._estimator, self._n, self.is_partial = estimator, n, is_partial
        self.validation, self.evaluation = validation, evaluation
        self._start = time.monotonic()

    def note(self, loss: float) -> bool:
        """Note an epoch; return whether training ends with it."""
        estimator, loss = self._estimator, np.float64(loss)  # as scikit-learn's, with its methods
        estimator.n_iter_ += 1
        estimator.loss_ = loss
        estimator.t_ += self._n
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        if self.evaluation is not None:
            estimator.validation_curve_.append(self.evaluation.loss_now())
        self._count_improvement()
        if self._has_converged() or self.is_partial or self._is_late():
            return True
        if estimator.n_iter_ == estimator.max_iter:
            warn_as_theirs(
                f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the "
                "optimization hasn't converged yet.",
                ConvergenceWarning,
            )
        return False

    def _is_late(self) -> bool:
        budget = self._estimator.time_budget
        return budget is not None and time.monotonic() - self._start > budget

    def _count_improvement(self) -> None:
        """Count the epochs since the loss, or the validation score, got better by more than tol."""
        estimator, validation = self._estimator, self.validation
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
                estimator._best_values = estimator._network.store.copy()
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if is_worse else 0

    def _has_converged(self) -> bool:
        """Whether there was no improvement for so long that training ends."""
        estimator = self._estimator
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
