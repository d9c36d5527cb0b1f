"""The arithmetic is scikit-learn's: by its numbers, and by its own losses over 20 epochs."""

from itertools import product

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn isn't installed")

import sklearn.neural_network as theirs
from sklearn.datasets import load_diabetes, load_digits, load_iris, make_multilabel_classification

from fastbackprop import sklearn as ours

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS = load_iris(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
LABELS = make_multilabel_classification(120, random_state=0)
SOLVERS = {
    "plain": {"solver": "sgd", "momentum": 0},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False},
    "nesterov": {"solver": "sgd"},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.01, "n_iter_no_change": 2},
    "adam": {"solver": "adam"},
}


def pair(name, X, y, sample_weight=None, **parameters):
    """Theirs and ours, fitted to the same."""
    fitted = []
    for module in (theirs, ours):
        estimator = getattr(module, name)(random_state=0, **parameters)
        fitted.append(estimator.fit(X, y, sample_weight=sample_weight))
    return fitted


def agree(name, X, y, sample_weight=None, rtol=1e-11, **parameters):
    a, b = pair(name, X, y, sample_weight, **{"max_iter": 20} | parameters)
    assert len(a.loss_curve_) == len(b.loss_curve_) == b.n_iter_
    np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol)
    for mine, other in zip(b.coefs_ + b.intercepts_, a.coefs_ + a.intercepts_, strict=True):
        assert mine.dtype == other.dtype
        np.testing.assert_allclose(mine, other, rtol * 100, rtol * 100)
    assert (a.t_, a.n_iter_, a.out_activation_) == (b.t_, b.n_iter_, b.out_activation_)
    assert a.best_loss_ == b.best_loss_ or abs(a.best_loss_ / b.best_loss_ - 1) < rtol
    if a.validation_scores_ is not None:
        np.testing.assert_allclose(b.validation_scores_, a.validation_scores_, rtol * 100)
        assert b.best_validation_score_ == max(b.validation_scores_)
    return a, b


@pytest.mark.parametrize(
    ("solver", "activation"), list(product(SOLVERS, ["identity", "logistic", "tanh", "relu"]))
)
def test_losses_of_20_epochs_of_a_classifier(solver, activation):
    settings = SOLVERS[solver] | {"activation": activation, "learning_rate_init": 0.01}
    agree("MLPClassifier", *IRIS, batch_size=40, alpha=0.1, **settings)
    agree("MLPClassifier", IRIS[0], IRIS[1] == 1, hidden_layer_sizes=(9, 5), **settings)


@pytest.mark.parametrize("solver", SOLVERS)
def test_losses_of_20_epochs_of_a_regressor(solver):
    X, y = DIABETES
    settings = SOLVERS[solver] | {"batch_size": 64, "activation": "tanh"}
    agree("MLPRegressor", X, y / 100, **settings)
    agree("MLPRegressor", X, np.c_[y, y[::-1]] / 100, hidden_layer_sizes=(), **settings)
    agree("MLPRegressor", X, y // 50, loss="poisson", **settings)


@pytest.mark.parametrize("solver", SOLVERS)
def test_losses_with_weights_of_samples(solver):
    weights = np.random.default_rng(0).uniform(size=len(IRIS[0]))
    agree("MLPClassifier", *IRIS, weights, batch_size=40, alpha=0.5, **SOLVERS[solver])
    X, y = DIABETES
    weights = np.linspace(0.1, 2, len(y))
    agree("MLPRegressor", X, y // 50, weights, loss="poisson", **SOLVERS[solver])
    agree("MLPRegressor", X, y / 100, weights, alpha=3, **SOLVERS[solver])


@pytest.mark.parametrize("early_stopping", [False, True])
def test_losses_of_several_labels(early_stopping):
    agree("MLPClassifier", *LABELS, batch_size=30, early_stopping=early_stopping)


@pytest.mark.parametrize("weights", [None, np.linspace(0.1, 1, 150)])
def test_scores_of_early_stopping(weights):
    X, y = IRIS
    settings = {"early_stopping": True, "max_iter": 40, "learning_rate_init": 0.01}
    agree("MLPClassifier", X, y, weights, **settings)
    agree("MLPClassifier", X, y == 2, weights, **settings)
    agree("MLPRegressor", X, y, weights, **settings)


def test_without_shuffling():
    agree("MLPClassifier", *IRIS, shuffle=False, batch_size=31)


def test_float32_rows_make_float32_weights():
    X, y = load_digits(return_X_y=True)
    agree("MLPClassifier", X.astype(np.float32), y, rtol=1e-4)


def test_a_probability_costs_no_more_than_scikit_learn_says():
    """It clips at the dtype's epsilon: -log of that is the most that a row costs."""
    X, y = np.array([[1e6], [-1e6]]), np.array([0, 1])
    for labels in (y, np.array([0, 1, 2, 2])):
        rows = np.resize(X, (len(labels), 1)) if len(labels) > 2 else X
        a, b = pair("MLPClassifier", rows, labels, max_iter=1, hidden_layer_sizes=())
        assert b.loss_ == pytest.approx(a.loss_, rel=1e-12)
        assert a.loss_ > 10


def one_weight(start, estimator, X, y, **arguments):
    """Assign W of a net of one weight, then do a step; returns the new one."""
    estimator.partial_fit(X, y, **arguments)
    estimator.coefs_[0][:], estimator.intercepts_[0][:] = start, 0
    return estimator


def test_decay_is_divided_by_the_weight_of_the_batch():
    """W = 2, alpha 0.5, no gradient, rate 0.1: 1.975 in a batch of 4, 1.9 of one."""
    for n, expected in [(4, 1.975), (1, 1.9)]:
        regressor = ours.MLPRegressor(
            hidden_layer_sizes=(), solver="sgd", momentum=0, alpha=0.5, learning_rate_init=0.1
        )
        X, y = np.zeros((n, 1)), np.zeros(n)
        one_weight(2.0, regressor, X, y).partial_fit(X, y)
        assert regressor.coefs_[0].item() == pytest.approx(expected, abs=1e-15)
        assert regressor.loss_ == pytest.approx(0.5 * 0.5 * 4 / n, abs=1e-15)
        assert regressor.intercepts_[0].item() == 0


def test_decay_leaves_biases():
    regressor = ours.MLPRegressor(hidden_layer_sizes=(), solver="sgd", momentum=0, alpha=0.5)
    X, y = np.zeros((4, 1)), np.ones(4)
    one_weight(2.0, regressor, X, y)
    regressor.intercepts_[0][:] = 1
    regressor.partial_fit(X, y)
    assert regressor.intercepts_[0].item() == 1


def test_squared_error_of_several_outputs():
    """loss_ is a mean over outputs, the gradient that of a sum: n_outputs times larger."""
    regressor = ours.MLPRegressor(
        hidden_layer_sizes=(), solver="sgd", momentum=0, alpha=0, learning_rate_init=0.1
    )
    X, y = np.ones((1, 1)), np.array([[3.0, 4.0]])
    one_weight(0.0, regressor, X, y).partial_fit(X, y)
    assert regressor.loss_ == pytest.approx((9 + 16) / 4)
    np.testing.assert_allclose(regressor.coefs_[0], [[0.3, 0.4]])


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_lbfgs_ends_at_the_same_loss(name):
    X, y = (IRIS[0], IRIS[1]) if name == "MLPClassifier" else (DIABETES[0], DIABETES[1] / 100)
    settings = {"solver": "lbfgs", "alpha": 1.0, "max_iter": 5000, "tol": 1e-7}
    a, b = pair(name, X, y, hidden_layer_sizes=(5,), activation="tanh", **settings)
    assert b.loss_ == pytest.approx(a.loss_, rel=1e-5)
    weights = np.linspace(0.5, 2, len(y))
    a, b = pair(name, X, y, weights, hidden_layer_sizes=(), **settings)
    assert b.loss_ == pytest.approx(a.loss_, rel=1e-6)


def test_lbfgs_over_more_rows_than_are_taken_at_once():
    X, y = load_digits(return_X_y=True)
    a, b = pair("MLPClassifier", X, y, np.linspace(0.1, 1, len(y)), solver="lbfgs", max_iter=3)
    assert b.loss_ == pytest.approx(a.loss_, rel=1e-10)
    a, b = pair("MLPRegressor", X, y, solver="lbfgs", max_iter=3, loss="poisson")
    assert b.loss_ == pytest.approx(a.loss_, rel=1e-10)
