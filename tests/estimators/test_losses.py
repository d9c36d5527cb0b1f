"""Regressors with the library's losses, and the intervals that some predict."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn isn't installed")

from sklearn.base import clone

import fastbackprop as fb
from fastbackprop.sklearn import MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (600, 2))
Y = np.sin(3 * X[:, 0]) + (0.1 + 0.3 * np.abs(X[:, 1])) * RNG.normal(size=600)
SETTINGS = {"hidden_layer_sizes": (30,), "learning_rate_init": 0.01, "random_state": 0}
LOSSES = ["huber", "mean_absolute_error", "log_cosh", fb.Quantile(0.5), "mean_squared_error"]


@pytest.mark.parametrize("loss", [*LOSSES, "half_squared_error", "gaussian_nll"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_each_learns_and_says_its_own_loss(loss, solver):
    regressor = MLPRegressor(loss, solver=solver, alpha=0, **SETTINGS).fit(X, Y)
    assert regressor.score(X, Y) > 0.75
    name = loss if isinstance(loss, str) else "quantile"
    outputs = regressor.model_.predict(X)
    cost, _ = (fb.Quantile(0.5) if name == "quantile" else fb.Trainer(
        regressor.model_, name
    ).loss)(outputs, Y)  # fmt: skip
    assert regressor.loss_ == pytest.approx(cost, rel=0.2)
    again = MLPRegressor(loss, alpha=0, max_iter=3, **SETTINGS).fit(X, Y, eval_set=(X, Y))
    rate_0 = clone(again).set_params(learning_rate_init=1e-300).fit(X, Y, eval_set=(X, Y))
    np.testing.assert_allclose(rate_0.validation_curve_, rate_0.loss_curve_, 1e-10)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(again)).predict(X), again.predict(X))
    assert str(again.diagnose(X, Y))
    with pytest.raises(ValueError, match="to_sklearn needs a loss that scikit-learn has"):
        again.to_sklearn()


def test_intervals_of_quantiles():
    loss = fb.Quantile([0.05, 0.5, 0.95])
    regressor = MLPRegressor(loss, early_stopping=True, max_iter=300, **SETTINGS).fit(X, Y)
    low, high = regressor.predict_interval(X).T
    assert 0.82 < ((low <= Y) & (high >= Y)).mean() < 0.97
    middle = regressor.predict(X)
    assert middle.shape == Y.shape
    assert regressor.score(X, Y) > 0.75
    wide = np.abs(X[:, 1]) > 0.7
    assert (high - low)[wide].mean() > 1.5 * (high - low)[np.abs(X[:, 1]) < 0.3].mean()


@pytest.mark.parametrize("y", [Y, np.c_[Y, -Y]])
def test_intervals_of_means_and_variances(y):
    regressor = MLPRegressor("gaussian_nll", max_iter=300, **SETTINGS).fit(X, y)
    assert regressor.predict(X).shape == y.shape
    ends = regressor.predict_interval(X, coverage=0.8)
    assert ends.shape == (*y.shape, 2)
    inside = ((ends[..., 0] <= y) & (y <= ends[..., 1])).mean()
    assert 0.72 < inside < 0.88
    assert np.all(np.ptp(regressor.predict_interval(X), axis=-1) > np.ptp(ends, axis=-1))
    np.testing.assert_allclose(ends.mean(axis=-1), regressor.predict(X), 1e-9)
    with pytest.raises(ValueError, match=r"coverage must be above 0 and below 1, got 1\.5"):
        regressor.predict_interval(X, coverage=1.5)


def test_other_losses_have_no_interval():
    assert not hasattr(MLPRegressor(), "predict_interval")
    with pytest.raises(AttributeError, match="no attribute 'predict_interval'"):
        MLPRegressor("huber").predict_interval(X)


def test_losses_for_classes_are_refused():
    with pytest.raises(ValueError, match="'loss' parameter of MLPRegressor must be a str"):
        MLPRegressor("cross_entropy").fit(X, Y)
    with pytest.raises(ValueError, match="loss must be one for regression, got CrossEntropy"):
        MLPRegressor(fb.CrossEntropy()).fit(X, Y)


def test_quantiles_of_several_targets_are_refused():
    reg = MLPRegressor(loss=fb.Quantile([0.1, 0.9]), max_iter=1)
    with pytest.raises(ValueError, match=r"^y must have one column for loss Quantile.*, got 3\.$"):
        reg.fit(np.ones((4, 2)), np.ones((4, 3)))
