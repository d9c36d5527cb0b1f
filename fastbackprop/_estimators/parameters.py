"""What parameters may be: scikit-learn's rules, so that it checks and says the same, and ours."""

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import Interval, Options, StrOptions

from fastbackprop._compare.loss import Loss
from fastbackprop._core.activations import ACTIVATIONS
from fastbackprop._core.threads import MOST_THREADS
from fastbackprop._correct.optimizer import Optimizer
from fastbackprop._correct.optimizers import OPTIMIZERS
from fastbackprop._correct.schedule import is_schedule
from fastbackprop._model.builders import NORMS
from fastbackprop._predict.activations import ActivationFunction
from fastbackprop._predict.scaling import SCALERS
from fastbackprop._train.callback import Callback

__all__ = ["LOSS", "RULES", "is_own_solver", "is_stochastic"]

THEIR_SOLVERS = ("lbfgs", "sgd", "adam")


class Kind(Options):
    """What one function says is right, in words: for classes that have no public names.

    Parameters
    ----------
    words : str
        What a complaint says that it must be.
    is_right : callable
        Says it of a value.
    """

    def __init__(self, words: str, is_right: Callable[[Any], bool]) -> None:
        super().__init__(object, set())
        self._words, self._is_right = words, is_right

    def is_satisfied_by(self, val: Any) -> bool:
        """Whether a value is right."""
        return self._is_right(val)

    def __str__(self) -> str:
        return self._words


def _object_of(base: type, words: str) -> Kind:
    return Kind(f"{words} of fastbackprop", lambda value: isinstance(value, base))


LOSS = _object_of(Loss, "a loss")
SCHEDULE = Kind("a schedule or a function of the step", is_schedule)

RULES: dict[str, Any] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [
        StrOptions({*ACTIVATIONS, "logistic"} - {"softmax"}),
        _object_of(ActivationFunction, "an activation"),
        list,
        tuple,
    ],
    "solver": [StrOptions({*THEIR_SOLVERS, *OPTIMIZERS}), _object_of(Optimizer, "an optimizer")],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [
        StrOptions({"constant", "invscaling", "adaptive"}),
        SCHEDULE,
    ],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [
        Interval(Integral, 1, None, closed="left"),
        Options(Real, {np.inf}),
    ],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    # Ours:
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like", SCHEDULE],
    "normalization": [StrOptions({*NORMS}), None],
    "scale_inputs": ["boolean", StrOptions({*SCALERS})],
    "callbacks": [Callback, list, tuple, None],
    "dtype": [StrOptions({"float32", "float64"}), None],
    "n_threads": [Interval(Integral, 1, MOST_THREADS, closed="both"), None],
    "clip_value": [Interval(Real, 0, None, closed="neither"), None],
    "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
    "time_budget": [Interval(Real, 0, None, closed="left"), None],
    "scoring": [StrOptions(set(get_scorer_names())), callable, None],
}


def is_own_solver(solver: Any) -> bool:
    """Whether a solver is an optimizer of the library, which scikit-learn hasn't."""
    return not isinstance(solver, str) or solver not in THEIR_SOLVERS


def is_stochastic(solver: Any) -> bool:
    """Whether a solver takes the samples batch by batch."""
    return not isinstance(solver, str) or solver != "lbfgs"
