"""What users of the estimators do with them, beside fitting: scikit-learn's ways all work."""

import copy
import inspect
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn isn't installed")

import sklearn
import sklearn.neural_network as theirs
from privates import constraints_of, objective_of
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastbackprop as fb
from fastbackprop import sklearn as ours
from fastbackprop.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
X_NUMBERS, Y_NUMBERS = load_diabetes(return_X_y=True)


@pytest.fixture
def fitted():
    return MLPClassifier(hidden_layer_sizes=(7,), max_iter=20, random_state=0).fit(X, Y)


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_parameters_and_defaults_are_theirs(name):
    mine, other = getattr(ours, name), getattr(theirs, name)
    defaults = [
        {k: p.default for k, p in inspect.signature(c).parameters.items()} for c in (mine, other)
    ]
    assert list(defaults[0].items())[: len(defaults[1])] == list(defaults[1].items())
    assert set(mine().get_params()) - set(other().get_params()) >= {"n_threads", "scoring"}
    constraints = [
        {k: sorted("".join(map(str, v))) for k, v in constraints_of(cls).items()}
        for cls in (mine, other)
    ]
    for more in {"activation", "loss", "solver", "learning_rate"} & set(
        constraints[1]
    ):  # of which ours has more
        assert constraints[0].pop(more) != constraints[1].pop(more)
    assert constraints[0].items() >= constraints[1].items()


@pytest.mark.parametrize(
    "wrong",
    [
        {"alpha": -1},
        {"hidden_layer_sizes": (3, 0)},
        {"hidden_layer_sizes": -1},
        {"momentum": 1.5},
        {"n_iter_no_change": 0},
        {"batch_size": "all"},
        {"validation_fraction": 1.0},
    ],
)
def test_what_is_wrong_is_said_in_their_words(wrong):
    said = []
    for module in (theirs, ours):
        with pytest.raises(ValueError) as error:
            module.MLPClassifier(**wrong).fit(X, Y)
        # Sorted, since sets of words have no order.
        said.append((type(error.value).__name__, sorted(str(error.value))))
    assert said[0] == said[1]


def test_predictions_and_probabilities(fitted):
    other = theirs.MLPClassifier(hidden_layer_sizes=(7,), max_iter=20, random_state=0).fit(X, Y)
    np.testing.assert_allclose(fitted.predict_proba(X), other.predict_proba(X), 1e-9)
    np.testing.assert_allclose(fitted.predict_log_proba(X), other.predict_log_proba(X), 1e-9)
    np.testing.assert_array_equal(fitted.predict(X), other.predict(X))
    for y in (Y == 1, np.array(["no", "yes"])[(Y == 1).astype(int)], np.full(len(Y), 3)):
        a, b = (m.MLPClassifier(max_iter=5, random_state=0).fit(X, y) for m in (theirs, ours))
        np.testing.assert_allclose(b.predict_proba(X), a.predict_proba(X), 1e-9)
        np.testing.assert_array_equal(b.predict(X), a.predict(X))
        assert b.predict(X).dtype == a.predict(X).dtype


def test_labels_of_several_kinds_and_early_stopping():
    names = np.array(["a", "b", "c"], dtype=object)
    for y in (names[Y], list(names[Y]), Y == 1, Y.astype(float)):
        clf = MLPClassifier(early_stopping=True, max_iter=5, random_state=0).fit(X, y)
        assert set(clf.predict(X)) <= set(np.unique(y))


def test_a_row_takes_a_short_way_to_the_same_bits(fitted):
    expected = fitted.predict_proba(X.tolist())
    for i in (0, 70, 149):
        np.testing.assert_array_equal(fitted.predict_proba(X[i : i + 1]), expected[i : i + 1])
        assert fitted.predict(X[i : i + 1]) == fitted.predict(X)[i]


@pytest.mark.parametrize(
    "bad", [X[0], X[:, :3], np.full((1, 4), np.nan), np.empty((0, 4)), [["a", "b", "c", "d"]]]
)
def test_rows_that_are_wrong_are_refused_in_their_words(fitted, bad):
    other = theirs.MLPClassifier(hidden_layer_sizes=(7,), max_iter=2).fit(X, Y)
    said = []
    for clf in (other, fitted):
        with pytest.raises(ValueError) as error:
            clf.predict(bad)
        said.append(str(error.value))
    assert said[0] == said[1]


def test_not_fitted_is_said():
    with pytest.raises(NotFittedError):
        MLPClassifier().predict(X)


def test_weights_may_be_written_and_assigned(fitted):
    weight = np.ones((4, 7))
    other = theirs.MLPClassifier(hidden_layer_sizes=(7,), max_iter=20, random_state=0).fit(X, Y)
    for clf in (fitted, other):
        clf.coefs_[0] = weight
        clf.intercepts_[1][:] = 0.5
    np.testing.assert_allclose(fitted.predict_proba(X), other.predict_proba(X), 1e-9)
    weight[:, 2] = 3  # the array is the user's: what is written into it counts
    np.testing.assert_allclose(fitted.predict_proba(X[:1]), other.predict_proba(X[:1]), 1e-9)
    for clf in (fitted, other):
        clf.coefs_ = [x * 2 for x in clf.coefs_]
        clf.set_params(warm_start=True, max_iter=1).fit(X, Y)
    np.testing.assert_allclose(fitted.coefs_[0], other.coefs_[0], 1e-9)
    fitted.coefs_[0][:] = 0
    assert np.ptp(fitted.predict_proba(X), axis=0).max() == 0


@pytest.mark.parametrize("way", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_copies_go_on_as_the_original(way, solver):
    original = MLPRegressor(solver=solver, learning_rate_init=1e-4, random_state=0)
    original.partial_fit(X_NUMBERS, Y_NUMBERS)
    twin = way(original)
    for _ in range(3):
        original.partial_fit(X_NUMBERS, Y_NUMBERS)
        twin.partial_fit(X_NUMBERS, Y_NUMBERS)
    np.testing.assert_array_equal(twin.predict(X_NUMBERS), original.predict(X_NUMBERS))
    assert twin.loss_curve_ == original.loss_curve_
    twin.coefs_[0][:] = 0
    assert np.any(original.coefs_[0])
    assert not np.any(way(twin).coefs_[0])


def test_clone_keeps_parameters_only(fitted):
    twin = clone(fitted)
    assert twin.get_params() == fitted.get_params()
    assert not hasattr(twin, "coefs_")
    assert repr(twin) == "MLPClassifier(hidden_layer_sizes=(7,), max_iter=20, random_state=0)"
    assert "MLPClassifier" in twin._repr_html_()


@pytest.mark.parametrize("sizes", [100, (100,), np.array([100]), [100]])
def test_sizes_of_hidden_layers(sizes):
    clf = MLPClassifier(hidden_layer_sizes=sizes, max_iter=1).fit(X, Y)
    assert [w.shape for w in clf.coefs_] == [(4, 100), (100, 3)]
    assert MLPClassifier(hidden_layer_sizes=(), max_iter=1).fit(X, Y).coefs_[0].shape == (4, 3)


def test_a_column_of_targets_warns():
    with pytest.warns(sklearn.exceptions.DataConversionWarning, match="column-vector"):
        clf = MLPClassifier(max_iter=1).fit(X, Y[:, np.newaxis])
    assert clf.predict(X).shape == (150,)
    with pytest.warns(sklearn.exceptions.DataConversionWarning, match="column-vector"):
        MLPRegressor(max_iter=1).fit(X, Y[:, np.newaxis])


@pytest.mark.parametrize("frames", ["pandas", "polars"])
def test_frames_have_names(frames):
    module = pytest.importorskip(frames)
    frame = module.DataFrame({name: X[:, i] for i, name in enumerate("abcd")})
    clf = MLPClassifier(max_iter=2, random_state=0).fit(frame, Y)
    assert list(clf.feature_names_in_) == list("abcd")
    np.testing.assert_array_equal(
        clf.predict(frame), MLPClassifier(max_iter=2, random_state=0).fit(X, Y).predict(X)
    )
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        clf.predict(X[:1])
    other = module.DataFrame({name: X[:, i] for i, name in enumerate("abce")})
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(other)


@pytest.mark.parametrize("kind", ["csr_array", "csc_array", "csr_matrix"])
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_sparse_rows_are_the_same_rows(kind, solver, monkeypatch):
    sparse = pytest.importorskip("scipy.sparse")
    rows = np.where(X_NUMBERS > 0.03, X_NUMBERS, 0)
    weights = np.linspace(0.1, 1, len(rows))
    settings = {"solver": solver, "max_iter": 3, "random_state": 0, "batch_size": 50}
    dense = MLPRegressor(**settings).fit(rows, Y_NUMBERS / 100, weights)
    for bytes_at_once in (2**24, 60 * 80):  # all rows, or those of a batch
        for module in ("network", "data"):
            name = f"fastbackprop._estimators.{module}.ROWS_AT_ONCE"
            monkeypatch.setattr(name, bytes_at_once)
        matrix = getattr(sparse, kind)(rows)
        regressor = MLPRegressor(**settings).fit(matrix, Y_NUMBERS / 100, weights)
        np.testing.assert_array_equal(regressor.predict(rows), dense.predict(rows))
        np.testing.assert_array_equal(regressor.predict(matrix), dense.predict(rows))


def test_rows_of_another_dtype_than_the_weights():
    rows = X_NUMBERS.astype(np.float32)
    mine, other = (
        m.MLPRegressor(max_iter=3, random_state=0).fit(rows, Y_NUMBERS) for m in (ours, theirs)
    )
    for given in (rows, X_NUMBERS, (X_NUMBERS * 100).astype(int)):
        assert mine.predict(given).dtype == other.predict(given).dtype
        np.testing.assert_allclose(mine.predict(given), other.predict(given), 2e-4)


def test_warm_start_and_n_iter():
    clf = MLPClassifier(warm_start=True, max_iter=10, random_state=0)
    with pytest.warns(ConvergenceWarning, match="Maximum iterations \\(10\\)"):
        clf.fit(X, Y)
    with pytest.warns(ConvergenceWarning):
        clf.set_params(max_iter=20).fit(X, Y)
    assert clf.n_iter_ == 20
    assert len(clf.loss_curve_) == 30
    assert clf.t_ == 30 * 150
    with pytest.raises(ValueError, match="same classes as in the previous call to fit"):
        clf.fit(X, Y + 1)


def test_partial_fit_of_several_labels():
    rows, labels = make_multilabel_classification(60, random_state=0)
    clf = MLPClassifier(random_state=0)
    for _ in range(3):
        clf.partial_fit(rows[:30], labels[:30], classes=np.arange(5))
    clf.partial_fit(rows[30:], labels[30:])
    assert clf.predict(rows).shape == labels.shape
    assert clf.t_ == 120


def test_partial_fit_after_early_stopping_says_so():
    clf = MLPClassifier(early_stopping=True, max_iter=2).fit(X, Y)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        clf.partial_fit(X, Y)
    with pytest.raises(ValueError, match="partial_fit must follow a fit without early_stopping"):
        clf.set_params(early_stopping=False).partial_fit(X, Y)


def test_a_class_with_one_member_is_named():
    y = np.array(["ham"] * 9 + ["spam"])
    with pytest.raises(ValueError, match=r"least populated class.*'spam'"):
        MLPClassifier(early_stopping=True).fit(X[:10], y)


def test_divergence_is_both_errors_and_leaves_weights():
    settings = {"solver": "sgd", "learning_rate_init": 1e3, "activation": "identity"}
    regressor = MLPRegressor(random_state=0, **settings)
    with pytest.raises(fb.DivergenceError, match="Solver produced non-finite") as error:
        regressor.fit(X_NUMBERS, Y_NUMBERS)
    assert str(error.value).startswith("Solver produced non-finite parameter weights. ")
    assert isinstance(error.value, ValueError)
    assert isinstance(error.value, ours.NonFiniteWeightsError)
    assert isinstance(pickle.loads(pickle.dumps(error.value)), ours.NonFiniteWeightsError)
    assert all(np.isfinite(w).all() for w in regressor.coefs_)


def test_divergence_with_early_stopping_ends_as_theirs():
    settings = {"solver": "sgd", "learning_rate_init": 1.0, "early_stopping": True, "max_iter": 15}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        a, b = (
            m.MLPRegressor(activation="identity", random_state=0, **settings).fit(X, Y)
            for m in (theirs, ours)
        )
    assert a.n_iter_ == b.n_iter_ == 15
    assert np.isnan(b.loss_)
    assert np.isnan(b.validation_scores_[-1])
    np.testing.assert_allclose(b.coefs_[0], a.coefs_[0], 1e-9)


def test_early_stopping_keeps_the_best_weights():
    settings = {"early_stopping": True, "max_iter": 60, "learning_rate_init": 0.03}
    a, b = (m.MLPClassifier(random_state=2, **settings).fit(X, Y) for m in (theirs, ours))
    np.testing.assert_allclose(b.coefs_[0], a.coefs_[0], 1e-6)


def test_verbose_prints_what_theirs_prints(capsys):
    settings = {"max_iter": 300, "random_state": 0, "verbose": True, "learning_rate_init": 0.5}
    printed = []
    for module in (theirs, ours):
        for more in (
            {"solver": "sgd", "learning_rate": "adaptive", "tol": 1, "n_iter_no_change": 1},
            {"early_stopping": True, "n_iter_no_change": 3},
        ):
            module.MLPClassifier(**settings, **more).fit(X, Y)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert "Learning rate too small" in printed[1]


def test_ctrl_c_keeps_what_was_learned(monkeypatch):
    clf = MLPClassifier(random_state=0, max_iter=50)
    seen = []

    def count(record):
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("fastbackprop._estimators.record.Record._count_improvement", count)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        clf.fit(X, Y)
    assert clf.n_iter_ == 3
    assert clf.predict(X).shape == (150,)


def test_search_and_pipelines_in_two_processes():
    """Workers take one thread each: joblib limits them by OMP_NUM_THREADS."""
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(max_iter=20, random_state=0))
    grid = {"mlpclassifier__alpha": [1e-4, 1.0]}
    alone, shared = (
        GridSearchCV(pipeline, grid, cv=3, n_jobs=n_jobs).fit(X, Y) for n_jobs in (None, 2)
    )
    np.testing.assert_array_equal(
        alone.cv_results_["mean_test_score"], shared.cv_results_["mean_test_score"]
    )
    np.testing.assert_array_equal(
        alone.best_estimator_.predict_proba(X), shared.best_estimator_.predict_proba(X)
    )
    assert (cross_val_score(pipeline, X, Y, n_jobs=2) > 0.5).all()


def test_other_tools_take_it():
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import HalvingGridSearchCV

    clf = MLPClassifier(max_iter=20, random_state=0, learning_rate_init=0.01)
    assert CalibratedClassifierCV(clf, cv=2).fit(X, Y).score(X, Y) > 0.5
    assert permutation_importance(clf.fit(X, Y), X, Y, n_repeats=2).importances_mean.shape == (4,)
    search = HalvingGridSearchCV(clf, {"alpha": [1e-4, 1.0]}, random_state=0, cv=2).fit(X, Y)
    assert search.best_score_ > 0.5


def test_weights_are_routed():
    from sklearn.pipeline import Pipeline

    weights = np.linspace(0.1, 1, len(Y))
    with sklearn.config_context(enable_metadata_routing=True):
        clf = MLPClassifier(max_iter=3, random_state=0).set_fit_request(sample_weight=True)
        routed = Pipeline([("clf", clf)]).fit(X, Y, sample_weight=weights)
    alone = MLPClassifier(max_iter=3, random_state=0).fit(X, Y, weights)
    np.testing.assert_array_equal(routed.predict_proba(X), alone.predict_proba(X))


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_gradient_of_lbfgs(loss):
    """By central differences; sklearn's test_gradient asserts the same of its own."""
    y, weights = np.c_[Y_NUMBERS, Y_NUMBERS[::-1]] // 50, np.linspace(0.1, 1, len(Y_NUMBERS))
    regressor = MLPRegressor(loss, (4,), "tanh", solver="lbfgs", alpha=3, max_iter=1)
    regressor.fit(X_NUMBERS, y, weights)
    objective = objective_of(regressor, X_NUMBERS, y, weights)
    flat = np.random.default_rng(0).normal(size=10 * 4 + 4 * 2 + 6)
    _, gradient = objective(flat)
    for i in range(len(flat)):
        steps = [np.where(np.arange(len(flat)) == i, h, 0.0) for h in (1e-6, -1e-6)]
        up, down = (objective(flat + step)[0] for step in steps)
        penalty = 3 / weights.sum() * flat[i] if i < 48 else 0.0
        slope = (up - down) / 2e-6 - penalty
        # Of squared errors the gradient is that of the sum over outputs, loss_ has the mean.
        factor = 2 if loss == "squared_error" else 1
        assert gradient[i] - penalty == pytest.approx(factor * slope, rel=1e-4, abs=1e-6)


def test_without_scikit_learn_the_import_says_what_to_type():
    code = (
        "import sys; sys.modules['sklearn'] = None; import fastbackprop\n"
        "try: import fastbackprop.sklearn\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        "fastbackprop.sklearn needs scikit-learn, which isn't installed: type pip install "
        "'fastbackprop[sklearn]'.\n"
    )


def test_filters_written_for_scikit_learn_know_the_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=ConvergenceWarning, module="sklearn")
        MLPClassifier(max_iter=1).fit(X, Y)
        MLPClassifier(solver="lbfgs", max_iter=1).fit(X, Y)


@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
def test_losses_are_numbers_of_numpy_as_there(solver):
    clf = MLPClassifier(solver=solver, max_iter=2, random_state=0).fit(X, Y)
    numbers = [clf.loss_, *getattr(clf, "loss_curve_", ()), getattr(clf, "best_loss_", clf.loss_)]
    assert {type(number) for number in numbers} == {np.float64}


def test_text_in_frames_of_polars_is_read_as_in_those_of_pandas():
    polars = pytest.importorskip("polars")
    columns = {"a": X[:, 0], "b": [str(x) for x in X[:, 1]]}
    clf = MLPClassifier(max_iter=2, random_state=0).fit(polars.DataFrame(columns), Y)
    expected = MLPClassifier(max_iter=2, random_state=0).fit(X[:, :2], Y)
    np.testing.assert_array_equal(clf.coefs_[0], expected.coefs_[0])
    with pytest.raises(ValueError, match="could not convert string to float"):
        clf.fit(polars.DataFrame({"a": X[:, 0], "b": ["x"] * len(X)}), Y)


def test_coefs_may_be_assigned_as_lists():
    clf = MLPClassifier(max_iter=2, random_state=0).fit(X, Y)
    expected = clf.predict_proba(X)
    clf.coefs_ = [weight.tolist() for weight in clf.coefs_]
    np.testing.assert_array_equal(clf.predict_proba(X), expected)


class Short(MLPClassifier):
    def __init__(self, hidden_layer_sizes=(3,), solver="adam"):
        super().__init__(hidden_layer_sizes, solver=solver, max_iter=2, random_state=0)


@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam", "nadam"])
def test_a_subclass_may_have_a_constructor_of_its_own(solver):
    clf = clone(Short(solver=solver)).fit(X, Y)
    expected = MLPClassifier((3,), solver=solver, max_iter=2, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(clf.predict_proba(X), expected.predict_proba(X))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of nadam
        back = clf.to_sklearn()
    np.testing.assert_allclose(back.predict_proba(X), expected.predict_proba(X))
