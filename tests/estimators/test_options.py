"""Parameters of ours: their defaults change nothing, and each does what it says."""

import time

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn isn't installed")

from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.metrics import log_loss
from sklearn.utils import compute_sample_weight

from fastbackprop.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
RARE = np.where(np.arange(150) < 140, 0, 1)
X_NUMBERS, Y_NUMBERS = load_diabetes(return_X_y=True)
LABELS = make_multilabel_classification(60, random_state=0)
SHORT = {"max_iter": 5, "random_state": 0, "hidden_layer_sizes": (20,)}


def weights_of(estimator):
    return np.concatenate([x.ravel() for x in estimator.coefs_ + estimator.intercepts_])


def same(a, b):
    return np.array_equal(weights_of(a), weights_of(b))


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_any_number_of_threads_has_the_same_bits(solver):
    fits = [MLPClassifier(n_threads=n, solver=solver, **SHORT).fit(X, Y) for n in (None, 1, 3)]
    assert same(fits[0], fits[1])
    assert same(fits[0], fits[2])
    np.testing.assert_array_equal(fits[0].predict_proba(X), fits[2].predict_proba(X))


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_may_be_said(dtype, solver):
    clf = MLPClassifier(dtype=dtype, solver=solver, **SHORT).fit(X, Y)
    assert {w.dtype.name for w in clf.coefs_ + clf.intercepts_} == {dtype}
    for rows in (X, X.astype("float32"), X.tolist(), X[:1], np.asfortranarray(X)):
        assert clf.predict_proba(rows).dtype == dtype
    rows = X.astype(dtype)
    alone = MLPClassifier(solver=solver, **SHORT).fit(rows, Y)
    if solver == "sgd":
        assert same(clf, alone)
    np.testing.assert_allclose(clf.loss_, alone.loss_, 1e-4)
    clf.set_params(warm_start=True).fit(X.astype("float32"), Y)
    assert clf.coefs_[0].dtype == dtype


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("weight", ["balanced", {0: 1, 1: 20.0}, {1: 3}])
def test_weights_of_classes_are_weights_of_samples(weight, solver):
    got = MLPClassifier(class_weight=weight, solver=solver, **SHORT).fit(X, RARE)
    factors = compute_sample_weight(weight, RARE)
    assert same(got, MLPClassifier(solver=solver, **SHORT).fit(X, RARE, factors))
    own = np.linspace(0.1, 1, 150)
    got = clone(got).fit(X, RARE, own)
    assert same(got, MLPClassifier(solver=solver, **SHORT).fit(X, RARE, own * factors))


def test_weights_of_classes_leave_validation_alone():
    settings = {**SHORT, "early_stopping": True}
    a = MLPClassifier(class_weight={1: 1e-9, 2: 1e-9}, **settings).fit(X, Y)
    assert not same(a, MLPClassifier(**settings).fit(X, Y))
    assert a.validation_scores_[-1] <= 0.6  # of weighted samples it were 1


def test_weights_of_classes_in_partial_fit():
    clf = MLPClassifier(class_weight="balanced")
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        clf.partial_fit(X, RARE, classes=[0, 1])
    assert not hasattr(clf, "coefs_")
    a = MLPClassifier(class_weight={1: 5.0}, **SHORT).partial_fit(X, RARE, classes=[0, 1])
    b = MLPClassifier(**SHORT).partial_fit(X, RARE, np.where(RARE, 5.0, 1.0), classes=[0, 1])
    assert same(a, b)


@pytest.mark.parametrize(("y", "n"), [(Y, 3), (Y == 1, 2)])
def test_smoothed_labels(y, n):
    settings = {"hidden_layer_sizes": (), "alpha": 0, "solver": "lbfgs", "max_iter": 2000}
    rows = np.eye(150)[:, :149]  # whatever the labels, they can be reached
    clf = MLPClassifier(label_smoothing=0.2, tol=1e-10, random_state=0, **settings).fit(rows, y)
    p = clf.predict_proba(rows)[np.arange(140), np.asarray(y)[:140].astype(int)]
    np.testing.assert_allclose(p, 1 - 0.2 + 0.2 / n, atol=1e-3)


def test_gradients_are_clipped():
    settings = {**SHORT, "solver": "sgd", "momentum": 0, "alpha": 0, "learning_rate_init": 1.0}
    settings |= {"max_iter": 1, "batch_size": 442}
    start = weights_of(MLPRegressor(**settings, clip_norm=1e-30).fit(X_NUMBERS, Y_NUMBERS))
    for limits in ({"clip_norm": 0.5}, {"clip_value": 0.01}):
        step = weights_of(MLPRegressor(**settings, **limits).fit(X_NUMBERS, Y_NUMBERS)) - start
        if "clip_norm" in limits:
            assert np.linalg.norm(step) == pytest.approx(0.5)
        else:
            assert np.abs(step).max() == pytest.approx(0.01)


def test_time_ends_a_fit():
    clf = MLPClassifier(time_budget=0, max_iter=50).fit(X, Y)
    assert clf.n_iter_ == 1
    begin = time.monotonic()
    clf = MLPClassifier(time_budget=0.2, max_iter=10**9, n_iter_no_change=10**9).fit(X, Y)
    assert clf.n_iter_ > 1
    assert time.monotonic() - begin >= 0.2


@pytest.mark.parametrize("frame", [False, True])
def test_early_stopping_by_any_score(frame):
    rows = X
    if frame:
        rows = pytest.importorskip("pandas").DataFrame(X, columns=list("abcd"))
    settings = {"early_stopping": True, **SHORT, "learning_rate_init": 0.01}
    plain = MLPClassifier(**settings).fit(rows, Y)
    by_name = MLPClassifier(**settings, scoring="accuracy").fit(rows, Y)
    assert by_name.validation_scores_ == plain.validation_scores_
    assert same(by_name, plain)
    seen = []

    def scorer(estimator, X, y):
        seen.append((len(X), set(y)))
        return -log_loss(y, estimator.predict_proba(X), labels=estimator.classes_)

    y = np.array(["a", "b", "c"])[Y]
    own = MLPClassifier(**settings, scoring=scorer).fit(rows, y)
    assert len(seen) == own.n_iter_
    assert seen[0][0] == 15
    assert seen[0][1] <= {"a", "b", "c"}
    assert own.best_validation_score_ == max(own.validation_scores_) < 0
    regressor = MLPRegressor(**settings, scoring="neg_mean_squared_error").fit(rows, Y)
    assert regressor.best_validation_score_ < 0


@pytest.mark.parametrize(
    ("make", "data"),
    [
        (MLPClassifier, (X, Y)),
        (MLPClassifier, (X, np.array(["no", "yes"])[RARE])),
        (MLPClassifier, LABELS),
        (MLPRegressor, (X_NUMBERS, Y_NUMBERS)),
        (lambda **settings: MLPRegressor("poisson", **settings), (X_NUMBERS, Y_NUMBERS)),
    ],
)
def test_the_loss_of_other_samples(make, data):
    """With the rate so small that weights stay, it is that of the training samples."""
    settings = {**SHORT, "learning_rate_init": 1e-300, "alpha": 0}
    estimator = make(**settings).fit(*data, eval_set=data)
    np.testing.assert_allclose(estimator.validation_curve_, estimator.loss_curve_, 1e-10)
    with_alpha = make(**{**settings, "alpha": 10.0}).fit(*data, eval_set=data)
    np.testing.assert_allclose(with_alpha.validation_curve_, estimator.loss_curve_, 1e-10)
    learned = make(**SHORT).fit(*data, eval_set=data)
    assert same(learned, make(**SHORT).fit(*data))
    assert len(learned.validation_curve_) == 5
    assert not hasattr(clone(learned).fit(*data), "validation_curve_")


def test_the_loss_of_sparse_samples():
    sparse = pytest.importorskip("scipy.sparse")
    a = MLPClassifier(**SHORT).fit(X, Y, eval_set=(X, Y))
    b = MLPClassifier(**SHORT).fit(X, Y, eval_set=(sparse.csr_array(X), Y))
    assert a.validation_curve_ == b.validation_curve_


@pytest.mark.parametrize(
    ("eval_set", "words"),
    [
        ((X,), r"eval_set must be a tuple \(X, y\), got 1 items"),
        (X, r"eval_set must be a tuple \(X, y\), got ndarray"),
        ((X, Y[:9]), r"y of eval_set must have shape \(150,\), as X has rows, got \(9,\)"),
        ((X[:, :2], Y), "features"),
        ((X, Y + 9), "y must have labels of classes_"),
    ],
)
def test_other_samples_that_do_not_fit(eval_set, words):
    with pytest.raises(ValueError, match=words):
        MLPClassifier(**SHORT).fit(X, Y, eval_set=eval_set)
    with pytest.raises(ValueError, match="eval_set must come with solver sgd or adam, got lbfgs"):
        MLPClassifier(solver="lbfgs").fit(X, Y, eval_set=(X, Y))


@pytest.mark.parametrize(
    "wrong",
    [
        {"dtype": "float16"},
        {"n_threads": 0},
        {"n_threads": 5000},
        {"class_weight": "fair"},
        {"label_smoothing": 1.0},
        {"clip_norm": 0},
        {"clip_value": -1},
        {"time_budget": -1},
        {"scoring": "best"},
    ],
)
def test_wrong_parameters_are_said_as_scikit_learn_says(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"The '{name}' parameter of MLPClassifier must be"):
        MLPClassifier(**wrong).fit(X, Y)
