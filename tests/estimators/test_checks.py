"""scikit-learn's checks of estimators, in every configuration; where its own class fails one, too.

Each check is a test of its own; only those that scikit-learn's class fails may fail here.
"""

from itertools import product

import pytest

pytest.importorskip("sklearn", reason="scikit-learn isn't installed")

import sklearn.neural_network
from sklearn.utils.estimator_checks import estimator_checks_generator

import fastbackprop.sklearn

CONFIGURATIONS = list(
    product(
        ["MLPClassifier", "MLPRegressor"],
        ["lbfgs", "sgd", "adam"],
        ["identity", "logistic", "tanh", "relu"],
    )
)
pytestmark = pytest.mark.filterwarnings("default")


def failures(estimator):
    """The names of the checks that fail."""
    names = set()
    for instance, check in estimator_checks_generator(estimator):
        try:
            check(instance)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # pytest's skips, too
            if "Skip" not in type(error).__name__:
                names.add(getattr(check, "func", check).__name__)
    return names


@pytest.mark.parametrize(("name", "solver", "activation"), CONFIGURATIONS)
def test_no_check_fails_that_theirs_passes(name, solver, activation):
    settings = {"solver": solver, "activation": activation, "max_iter": 100}
    ours = failures(getattr(fastbackprop.sklearn, name)(**settings))
    if ours:
        assert ours <= failures(getattr(sklearn.neural_network, name)(**settings))
