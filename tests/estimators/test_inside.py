"""What the estimators have beside scikit-learn's: models in and out, insight, more activations."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn isn't installed")

import sklearn.neural_network as theirs
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.exceptions import NotFittedError

import fastbackprop as fb
from fastbackprop import sklearn as ours
from fastbackprop.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
X_NUMBERS, Y_NUMBERS = load_diabetes(return_X_y=True)
LABELS = make_multilabel_classification(60, random_state=0)
NAMES = np.array(["setosa", "versicolor", "virginica"])

CASES = {
    "three classes": ("MLPClassifier", X, NAMES[Y], {}),
    "two classes": ("MLPClassifier", X, Y == 1, {"activation": "logistic"}),
    "several labels": ("MLPClassifier", *LABELS, {"hidden_layer_sizes": (5, 4)}),
    "numbers": ("MLPRegressor", X_NUMBERS, Y_NUMBERS, {"solver": "lbfgs"}),
    "counts": ("MLPRegressor", X_NUMBERS, Y_NUMBERS, {"loss": "poisson"}),
    "two numbers": ("MLPRegressor", X_NUMBERS, np.c_[Y_NUMBERS, Y_NUMBERS], {"solver": "sgd"}),
}


def fit(module, case):
    name, rows, y, settings = CASES[case]
    settings = {"max_iter": 5, "random_state": 0, "learning_rate_init": 1e-4} | settings
    return getattr(module, name)(**settings).fit(rows, y), rows, y


def outputs(estimator, rows):
    return getattr(estimator, "predict_proba", estimator.predict)(rows)


@pytest.mark.parametrize("case", CASES)
def test_from_scikit_learn_and_back(case):
    original, rows, y = fit(theirs, case)
    taken = getattr(ours, CASES[case][0]).from_sklearn(original)
    np.testing.assert_allclose(outputs(taken, rows), outputs(original, rows), 1e-9)
    if hasattr(original, "classes_"):
        np.testing.assert_array_equal(taken.predict(rows[:1]), original.predict(rows[:1]))
    assert taken.score(rows, y) == pytest.approx(original.score(rows, y))
    assert taken.get_params()["alpha"] == original.alpha
    assert taken.loss_ == original.loss_
    taken.coefs_[0][:] += 1  # a copy
    back = taken.to_sklearn()
    assert type(back) is type(original)
    np.testing.assert_allclose(outputs(back, rows), outputs(taken, rows), 1e-9)
    assert not np.allclose(back.coefs_[0], original.coefs_[0])
    for estimator in (back, taken):
        if estimator.solver != "lbfgs":
            estimator.partial_fit(rows, y)
    np.testing.assert_allclose(outputs(back, rows), outputs(taken, rows), 1e-9)


def test_what_cannot_be_taken_over_is_said():
    with pytest.raises(TypeError, match=r"fitted must be a sklearn\.neural_network\.MLPClassif"):
        MLPClassifier.from_sklearn(theirs.MLPRegressor())
    with pytest.raises(NotFittedError):
        MLPClassifier.from_sklearn(theirs.MLPClassifier())
    with pytest.raises(NotFittedError):
        MLPClassifier().to_sklearn()
    with pytest.raises(ValueError, match=r"to_sklearn needs one activation .* got 'gelu'"):
        MLPClassifier(activation="gelu", max_iter=1).fit(X, Y).to_sklearn()
    with pytest.raises(TypeError, match="model must be a Sequential, got int"):
        MLPRegressor.from_model(3)
    with pytest.raises(TypeError, match="model must be a Sequential, got int"):
        MLPClassifier.from_model(3)
    with pytest.raises(ValueError, match=r"model must end in softmax or sigmoid .* got 'identity'"):
        MLPClassifier.from_model(fb.mlp([2, 3, 1]))
    with pytest.raises(ValueError, match=r"model must end in identity or exp .* got 'tanh'"):
        MLPRegressor.from_model(fb.mlp([2, 1], output_activation="tanh"))
    with pytest.raises(ValueError, match=r"Dense layers with biases, .* got layers"):
        MLPRegressor.from_model(fb.Sequential([fb.Dense(2, 1, bias=False)]))
    model = fb.mlp([2, 3], output_activation="softmax")
    for classes in ("abcd", ["b", "a", "c"], ["a", "a", "b"]):
        with pytest.raises(ValueError, match="classes must be 3 different labels in ascending"):
            MLPClassifier.from_model(model, list(classes))


@pytest.mark.parametrize("case", CASES)
def test_the_model_inside(case):
    estimator, rows, _ = fit(ours, case)
    model = estimator.model_
    assert isinstance(model, fb.Sequential)
    raw = model.predict(rows)
    if estimator.n_outputs_ == 1 and hasattr(estimator, "classes_"):
        raw = np.hstack([1 - raw, raw])
    np.testing.assert_array_equal(outputs(estimator, rows), np.squeeze(raw))
    estimator.coefs_[0][:] = 0
    assert not np.any(model.layers[0].weight)
    with pytest.raises(AttributeError, match="has no model_ before fit"):
        _ = clone(estimator).model_


@pytest.mark.parametrize("case", CASES)
def test_an_estimator_from_a_model(case):
    estimator, rows, y = fit(ours, case)
    labels = {"classes": estimator.classes_} if hasattr(estimator, "classes_") else {}
    wrapped = type(estimator).from_model(estimator.model_, **labels, warm_start=True, max_iter=2)
    assert wrapped.hidden_layer_sizes == tuple(
        layer.n_out for layer in estimator.model_.layers[:-1]
    )
    assert wrapped.activation == estimator.activation
    np.testing.assert_array_equal(wrapped.predict(rows), estimator.predict(rows))
    np.testing.assert_array_equal(outputs(wrapped, rows), outputs(estimator, rows))
    wrapped.partial_fit(rows, y)
    wrapped.fit(rows, y)
    assert not np.array_equal(outputs(wrapped, rows), outputs(estimator, rows))
    pickle.loads(pickle.dumps(wrapped)).predict(rows)


def test_a_model_with_softmax_for_two_classes():
    model = fb.mlp([4, 5, 2], output_activation="softmax", seed=0, dtype="float64")
    clf = MLPClassifier.from_model(model, ["no", "yes"], learning_rate_init=0.01)
    assert set(clf.predict(X)) <= {"no", "yes"}
    np.testing.assert_array_equal(clf.predict_proba(X), model.predict(X))
    y = np.array(["no", "yes"])[(Y == 0).astype(int)]
    for _ in range(200):
        clf.partial_fit(X, y)
    assert clf.score(X, y) == 1


@pytest.mark.parametrize("case", CASES)
def test_insight(case):
    estimator, rows, y = fit(ours, case)
    explanation = estimator.explain(rows[:2], y[:2])
    y_hat = explanation.to_dict()["y_hat"]
    np.testing.assert_allclose(y_hat, estimator.model_.predict(rows[:2]), 1e-12)
    assert str(estimator.diagnose(rows, y))
    with pytest.raises(NotFittedError):
        clone(estimator).explain(rows, y)


def test_insight_names_an_unknown_label():
    clf, rows, _ = fit(ours, "three classes")
    with pytest.raises(ValueError, match=r"y must have labels of classes_, got .*'rosa'"):
        clf.explain(rows[:1], ["rosa"])


@pytest.mark.parametrize(
    "activation", ["gelu", "mish", fb.ELU(0.5), ["tanh", "relu"], ["logistic", fb.LeakyReLU(0.2)]]
)
def test_more_activations(activation):
    settings = {"activation": activation, "hidden_layer_sizes": (6, 5), "random_state": 0}
    clf = MLPClassifier(**settings, learning_rate_init=0.01).fit(X, Y)
    assert clf.score(X, Y) > 0.9
    twin = clone(clf)
    assert twin.get_params()["activation"] == activation
    np.testing.assert_array_equal(twin.fit(X, Y).predict_proba(X), clf.predict_proba(X))
    clf.coefs_[0] = clf.coefs_[0] * 1.0  # assigned: the network is made anew
    np.testing.assert_array_equal(twin.predict_proba(X), clf.predict_proba(X))
    again = MLPClassifier.from_model(clf.model_, max_iter=1)
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


def test_a_list_of_activations_must_fit():
    with pytest.raises(ValueError, match="one item for each hidden layer, 1, got 2"):
        MLPClassifier(activation=["relu", "tanh"]).fit(X, Y)
    with pytest.raises(ValueError, match="'activation' parameter of MLPClassifier must be a str"):
        MLPClassifier(activation="softmax").fit(X, Y)
