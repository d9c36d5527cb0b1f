"""Going on with a fit: what no longer fits the network is refused, and changes nothing."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn isn't installed")

import sklearn.neural_network as theirs

import fastbackprop as fb
from fastbackprop.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(60, 4))
ONE, TWO, THREE = X[:, 0], X[:, :2], X[:, :3]
SHORT = {"max_iter": 3, "random_state": 0, "hidden_layer_sizes": (5,)}
WAYS = [{"solver": "sgd"}, {"solver": "adam"}, {"solver": "lbfgs"}, {"early_stopping": True}]


def state_of(estimator):
    return pickle.dumps((estimator.coefs_, estimator.intercepts_, estimator.n_outputs_))


def refuses(go_on, estimator, words, error=ValueError):
    before = state_of(estimator)
    with pytest.raises(error, match=words):
        go_on()
    assert state_of(estimator) == before


@pytest.mark.parametrize(
    ("first", "then", "words"),
    [
        (TWO, ONE, "y must have 2 outputs, as in the first fit, got 1"),
        (ONE, TWO, "y must have 1 output, as in the first fit, got 2"),
        (THREE, TWO, "y must have 3 outputs, as in the first fit, got 2"),
    ],
)
def test_another_number_of_outputs(first, then, words):
    regressor = MLPRegressor(**SHORT).partial_fit(X, first)
    refuses(lambda: regressor.partial_fit(X, then), regressor, words)
    for way in WAYS:
        warm = MLPRegressor(warm_start=True, **SHORT, **way).fit(X, first)
        refuses(lambda warm=warm: warm.fit(X, then), warm, words)
        warm.fit(X, first)
        again = warm.set_params(warm_start=False).fit(X, then)
        assert again.n_outputs_ == then.reshape(60, -1).shape[1]


@pytest.mark.parametrize(
    ("loss", "n"), [(fb.Quantile(list(np.linspace(0.01, 0.99, 40))), 40), ("gaussian_nll", 2)]
)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_loss_of_more_outputs(loss, n, solver):
    regressor = MLPRegressor(warm_start=True, solver=solver, **SHORT).fit(X, ONE)
    regressor.set_params(loss=loss)
    words = f"y must have 1 output, as in the first fit, got {n} with loss "
    refuses(lambda: regressor.fit(X, ONE), regressor, words)
    if solver == "adam":
        refuses(lambda: regressor.partial_fit(X, ONE), regressor, words)
    regressor = MLPRegressor(loss, warm_start=True, solver=solver, **SHORT).fit(X, ONE)
    regressor.set_params(loss="squared_error")
    refuses(lambda: regressor.fit(X, ONE), regressor, f"y must have {n} outputs")


def test_a_loss_behind_another_activation():
    regressor = MLPRegressor(**SHORT).partial_fit(X, abs(ONE)).set_params(loss="poisson")
    words = "must have the activation 'exp' for this loss, got 'identity' of the first fit"
    refuses(lambda: regressor.partial_fit(X, abs(ONE)), regressor, words)


def test_another_number_of_features_or_layers():
    for way in WAYS:
        warm = MLPRegressor(warm_start=True, **SHORT, **way).fit(X, ONE)
        words = "X has 3 features, but MLPRegressor is expecting 4"
        refuses(lambda warm=warm: warm.fit(X[:, :3], ONE), warm, words)
        warm.set_params(hidden_layer_sizes=(5, 4))
        words = "hidden_layer_sizes must have as many items as in the first fit, 1, got 2"
        refuses(lambda warm=warm: warm.fit(X, ONE), warm, words)
    # As scikit-learn's: the layers that are there stay.
    settings = SHORT | {"hidden_layer_sizes": (6,)}
    pair = [module.MLPRegressor(**SHORT) for module in (theirs, fb.sklearn)]
    for estimator in pair:
        estimator.partial_fit(X, ONE).set_params(**settings).partial_fit(X, ONE)
    np.testing.assert_allclose(pair[0].coefs_[0], pair[1].coefs_[0], 1e-9)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({0: np.ones((3, 5))}, r"coefs_\[0\] must have 4 rows, as X has columns, got 3"),
        ({0: np.ones((1, 5))}, r"coefs_\[0\] must have 4 rows, as X has columns, got 1"),
        ({0: np.ones((9, 5))}, r"coefs_\[0\] must have 4 rows, as X has columns, got 9"),
        ({0: np.ones((4, 6))}, r"coefs_\[1\] must have 6 rows, as coefs_\[0\] has columns, got"),
        ({1: np.ones((1, 1))}, r"coefs_\[1\] must have 5 rows, .* got shape \(1, 1\)"),
        ({0: np.ones(4)}, r"coefs_\[0\] must be a matrix, got shape \(4,\)"),
        ({1: np.ones((5, 2))}, "y must have 2 outputs, as in the first fit, got 1"),
    ],
)
def test_assigned_weights_of_other_shapes(arrays, words):
    for solver in ("sgd", "adam", "lbfgs"):
        warm = MLPRegressor(warm_start=True, solver=solver, **SHORT).fit(X, ONE)
        for i, array in arrays.items():
            warm.coefs_[i] = array
        refuses(lambda warm=warm: warm.fit(X, ONE), warm, words)
    warm.intercepts_.pop()
    with pytest.raises(ValueError, match=r"intercepts_ must have as many arrays as coefs_, 2, got"):
        warm.predict(X)


def test_assigned_weights_with_fewer_classes():
    clf = MLPClassifier(**SHORT).partial_fit(X, np.arange(60) % 3, classes=[0, 1, 2])
    clf.coefs_[1], clf.intercepts_[1] = np.ones((5, 2)), np.ones(2)
    refuses(lambda: clf.partial_fit(X, np.arange(60) % 3), clf, "y must have 2 outputs, .* got 3")


def test_assigned_weights_of_a_wider_layer():
    for way in WAYS:
        warm = MLPRegressor(warm_start=True, **SHORT, **way).fit(X, ONE)
        warm.coefs_ = [np.ones((4, 6)), np.ones((6, 1))]
        warm.intercepts_[0] = np.ones(6)
        assert warm.set_params(tol=1e9).fit(X, ONE).coefs_[0].shape == (4, 6)


def test_another_activation_counts_at_once():
    """As with scikit-learn's, in a prediction, in more training, and after pickling."""
    pair = [module.MLPRegressor(**SHORT).fit(X, ONE) for module in (theirs, fb.sklearn)]
    for estimator in pair:
        estimator.set_params(activation="tanh")
    for _ in range(2):
        np.testing.assert_allclose(pair[1].predict(X), pair[0].predict(X), 1e-9)
        again = pickle.loads(pickle.dumps(pair[1]))
        np.testing.assert_array_equal(pair[1].predict(X), again.predict(X))
        for estimator in pair:
            estimator.partial_fit(X, ONE)


@pytest.mark.parametrize("weight", [-np.ones(60), np.r_[-1.0, np.ones(59)], -1.0])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_negative_weights(weight, solver):
    words = "Negative values in data passed to `sample_weight`"
    for make, y in ((MLPRegressor, ONE), (MLPClassifier, ONE > 0)):
        with pytest.raises(ValueError, match=words):
            make(solver=solver, **SHORT).fit(X, y, weight)
    clf = MLPClassifier(**SHORT).partial_fit(X, ONE > 0, classes=[False, True])
    refuses(lambda: clf.partial_fit(X, ONE > 0, weight), clf, words)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_wrong_weights_of_classes(solver):
    for weight in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match=f"class_weight must have finite .* got {weight} for"):
            MLPClassifier(solver=solver, class_weight={1: weight}, **SHORT).fit(X, ONE > 0)
    with pytest.raises(ValueError, match="class_weight must be above 0 for a class of y"):
        MLPClassifier(solver=solver, class_weight={0: 0, 1: 0}, **SHORT).fit(X, ONE > 0)


@pytest.mark.parametrize(
    "sizes", [(3.5,), (3.0,), True, (True,), (np.True_,), np.array([3.0]), [[3, 4]], ("3",)]
)
def test_layers_of_no_integer_size(sizes):
    for module in (theirs, fb.sklearn):
        with pytest.raises(TypeError) as caught:
            module.MLPRegressor(hidden_layer_sizes=sizes, max_iter=1).fit(X, ONE)
        assert not isinstance(caught.value, ValueError)
    for right in (np.int64(3), (np.int32(3),), np.array([3]), range(3, 4)):
        assert MLPRegressor(hidden_layer_sizes=right, max_iter=1).fit(X, ONE).n_layers_ == 3
