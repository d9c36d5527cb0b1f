"""Names of features and classes, from the estimator to its model and from a model to it."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn isn't installed")

import sklearn.neural_network as theirs
from scipy import sparse
from sklearn.datasets import load_iris, make_multilabel_classification

import fastbackprop as fb
from fastbackprop.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
NAMES = ["a", "b", "c", "d"]
SHORT = {"max_iter": 3, "random_state": 0, "hidden_layer_sizes": (5,)}
ROWS, LABELS = make_multilabel_classification(60, random_state=0)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["setosa", "versicolor", "virginica"]),
        np.array(["setosa", "versicolor", "virginica"], object),
        np.array([0, 1, 2]),
        np.array([1, 2, 3]),
        np.array([-5, 0, 70]),
        np.array(["no", "yes", "yes"]),
        np.array([1, 2, 2]),
        np.array([-1, 1, 1]),
        np.array([False, True, True]),
    ],
)
def test_the_model_inside_knows_the_classes(labels):
    clf = MLPClassifier(**SHORT).fit(X, labels[Y])
    model = clf.model_
    assert model.classes.tolist() == clf.classes_.tolist()
    np.testing.assert_array_equal(model.predict_classes(X), clf.predict(X))
    indices = np.searchsorted(clf.classes_, labels[Y[:2]])
    bare = MLPClassifier.from_model(model, np.arange(len(clf.classes_)))
    explained = clf.explain(X[:2], labels[Y[:2]])
    assert explained.cost == bare.explain(X[:2], indices).cost
    if len(clf.classes_) == 3:
        assert explained.class_names == [str(x) for x in clf.classes_]
    assert str(clf.diagnose(X, labels[Y]))
    clf.coefs_[0] = clf.coefs_[0] * 1.0  # assigned: another model
    assert clf.model_.classes.tolist() == clf.classes_.tolist()


def test_labels_that_a_model_cannot_have():
    assert MLPClassifier(**SHORT).fit(X, Y + 0.0).model_.classes is None
    assert MLPClassifier(**SHORT).fit(ROWS, LABELS).model_.classes is None
    assert MLPClassifier(**SHORT).fit(X, np.zeros(150, int)).model_.classes is None
    assert MLPRegressor(**SHORT).fit(X, Y).model_.classes is None


def test_the_model_inside_knows_the_features():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=NAMES)
    for estimator in (MLPClassifier(**SHORT).fit(frame, Y), MLPRegressor(**SHORT).fit(frame, Y)):
        assert estimator.model_.feature_names == tuple(NAMES)
        assert estimator.explain(frame[:2], Y[:2]).feature_names == NAMES
        assert estimator.fit(X, Y).model_.feature_names is None
    constant = frame.assign(c=1.0)
    clf = MLPClassifier(**SHORT).fit(constant, Y)
    assert "'c'" in str(clf.diagnose(constant, Y))


@pytest.mark.parametrize("labels", [["rosa", "lila", "blau"], [7, 5, 6]])
@pytest.mark.parametrize("is_sorted", [True, False])
def test_a_classifier_takes_the_names_of_a_model(labels, is_sorted):
    labels = sorted(labels) if is_sorted else labels
    model = fb.mlp([4, 5, 3], output_activation="softmax", seed=0, dtype="float64")
    y = np.array(labels)[Y]
    fb.Trainer(model, "cross_entropy", seed=0, classes=labels).fit(X, y, epochs=20)
    model.feature_names = NAMES
    clf = MLPClassifier.from_model(model, warm_start=True, max_iter=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # X has no names
        np.testing.assert_array_equal(clf.predict(X), model.predict_classes(X))
        order = np.argsort(labels)
        np.testing.assert_allclose(clf.predict_proba(X), model.predict(X)[:, order], 1e-12)
        clf.fit(X, y)
    assert clf.classes_.tolist() == sorted(labels)


@pytest.mark.parametrize("labels", [["no", "yes"], ["yes", "no"], [3, 1], [True, False]])
def test_a_classifier_takes_two_names_of_a_model(labels):
    model = fb.mlp([4, 5, 1], output_activation="sigmoid", seed=0, dtype="float64")
    y = np.array(labels)[(Y == 0).astype(int)]
    trainer = fb.Trainer(model, "binary_cross_entropy", seed=0, classes=labels)
    trainer.fit(X, y, epochs=20)
    clf = MLPClassifier.from_model(model)
    np.testing.assert_array_equal(clf.predict(X), model.predict_classes(X))
    yes = clf.predict_proba(X)[:, sorted(labels).index(labels[1])]
    np.testing.assert_allclose(yes, model.predict(X)[:, 0], 1e-9)
    assert MLPClassifier.from_model(model, ["x", "y"]).classes_.tolist() == ["x", "y"]


def test_an_estimator_takes_the_features_of_a_model():
    pandas = pytest.importorskip("pandas")
    model = fb.mlp([4, 1], seed=0)
    assert not hasattr(MLPRegressor.from_model(model), "feature_names_in_")
    model.feature_names = NAMES
    regressor = MLPRegressor.from_model(model)
    assert regressor.feature_names_in_.tolist() == NAMES
    assert regressor.model_.feature_names == tuple(NAMES)
    regressor.predict(pandas.DataFrame(X, columns=NAMES))
    with pytest.raises(ValueError, match="feature names"):
        regressor.predict(pandas.DataFrame(X, columns=NAMES[::-1]))


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array])
def test_sparse_labels_come_back_sparse(kind):
    y = kind(LABELS)
    ours, other = (m.MLPClassifier(**SHORT).fit(ROWS, y) for m in (fb.sklearn, theirs))
    got, wanted = ours.predict(ROWS), other.predict(ROWS)
    assert type(got) is type(wanted)
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got.toarray(), wanted.toarray())
    assert ours.score(ROWS, y) == other.score(ROWS, y)
    dense = MLPClassifier(**SHORT).fit(ROWS, LABELS)
    assert isinstance(dense.predict(ROWS), np.ndarray)
    assert str(ours.explain(ROWS[:2], y[:2])) == str(dense.explain(ROWS[:2], LABELS[:2]))
    ours.fit(ROWS, y, eval_set=(ROWS, y))
    dense.fit(ROWS, LABELS, eval_set=(ROWS, LABELS))
    assert ours.validation_curve_ == dense.validation_curve_


def test_foreign_labels_are_named_plainly():
    for y, label in ((Y + 9, "9"), (Y.astype("int8") - 1, "-1"), (Y == 0, None)):
        clf = MLPClassifier(**SHORT)
        if label is None:
            clf.fit(X, Y, eval_set=(X, y))  # true and false are 1 and 0
            continue
        with pytest.raises(ValueError, match=rf"y must have labels of classes_, got {label}\."):
            clf.fit(X, Y, eval_set=(X, y))
    with pytest.raises(ValueError, match=r"y must have labels of classes_, got 'x'\."):
        MLPClassifier(**SHORT).fit(X, np.array(["a", "b", "c"])[Y]).explain(X[:1], ["x"])
