"""What scikit-learn's MLPs haven't: dropout, norms, scaled inputs, the library's optimizers."""

import copy
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn isn't installed")

from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score

import fastbackprop as fb
from fastbackprop.sklearn import MLPClassifier, MLPRegressor

X, Y = load_iris(return_X_y=True)
Z = X[:, :2] @ [1.0, -2.0] + 3
LAYERS = [
    {"dropout": 0.2},
    {"normalization": "batch"},
    {"normalization": "layer", "dropout": [0.1, 0.3]},
    {"scale_inputs": True},
    {"scale_inputs": "robust", "normalization": "batch", "dropout": 0.2, "activation": "gelu"},
]
SOLVERS = ["sgd", "adam", fb.AdamW(0.01), "rmsprop", fb.SGD(fb.Cosine(0.1), momentum=0.9)]
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::fastbackprop.TrainingWarning"),
]


def new(kind=MLPClassifier, **parameters):
    return kind(**{"hidden_layer_sizes": (8, 6), "max_iter": 15, "random_state": 0, **parameters})


@pytest.mark.parametrize("solver", SOLVERS, ids=str)
@pytest.mark.parametrize("layers", LAYERS, ids=str)
@pytest.mark.parametrize(("kind", "y"), [(MLPClassifier, Y), (MLPRegressor, Z)])
def test_layers_and_solvers(kind, y, layers, solver):
    fitted = new(kind, solver=solver, **layers).fit(X, y)
    again = new(kind, solver=solver, **layers).fit(X, y)
    outputs = fitted.predict(X)
    np.testing.assert_array_equal(outputs, again.predict(X))
    assert outputs.shape == y.shape
    assert [x.shape for x in fitted.coefs_] == [x.shape for x in new(kind).fit(X, y).coefs_]
    assert len(fitted.loss_curve_) == fitted.n_iter_ == 15

    for twin in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        np.testing.assert_array_equal(twin.predict(X), outputs)
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(
                twin.partial_fit(X, y).predict(X),
                copy.deepcopy(fitted).partial_fit(X, y).predict(X),
            )
    parameters = clone(fitted).get_params()
    assert {x: str(v) for x, v in parameters.items()} == {
        x: str(v) for x, v in fitted.get_params().items()
    }

    # Assigned weights make a network of their own, with all that isn't weights.
    fitted.coefs_ = [x.copy() for x in fitted.coefs_]
    np.testing.assert_array_equal(fitted.predict(X), outputs)

    taken = kind.from_model(fitted.model_)
    np.testing.assert_array_equal(taken.predict(X), outputs)
    for name in ("dropout", "normalization", "scale_inputs"):
        wanted = layers.get(name, {"dropout": 0.0, "scale_inputs": False}.get(name))
        assert taken.get_params()[name] == ("standard" if wanted is True else wanted)


def test_partial_fit_goes_on_after_a_pickle_with_the_optimizers_state():
    fitted = new(solver=fb.Adam(0.01), normalization="batch").partial_fit(X, Y, classes=[0, 1, 2])
    twin = pickle.loads(pickle.dumps(fitted))
    for _ in range(3):
        fitted.partial_fit(X, Y)
        twin.partial_fit(X, Y)
    np.testing.assert_array_equal(twin.predict_proba(X), fitted.predict_proba(X))
    fresh = new(solver=fb.Adam(0.01), normalization="batch", warm_start=True)
    assert not np.array_equal(fresh.fit(X, Y).predict_proba(X), fitted.predict_proba(X))


def test_scaled_inputs_are_those_of_a_scaler_before_the_net():
    raw = load_breast_cancer()
    quick = {"max_iter": 30, "learning_rate_init": 0.01}
    model = new(scale_inputs=True, **quick).fit(raw.data, raw.target)
    assert model.score(raw.data, raw.target) > 0.96
    scaler = model.model_.layers[0]
    scaled = (raw.data - scaler.center) / scaler.scale
    other = new(**quick).fit(scaled, raw.target)
    np.testing.assert_allclose(model.loss_curve_, other.loss_curve_, 1e-6)
    np.testing.assert_allclose(model.predict_proba(raw.data), other.predict_proba(scaled), 1e-6)
    assert new(**quick).fit(raw.data, raw.target).score(raw.data, raw.target) < 0.96


@pytest.mark.parametrize("solver", ["lbfgs", "adam", fb.Adam(0.01)], ids=str)
def test_columns_that_float32_cannot_hold_are_scaled_before_they_are_rounded(solver):
    seconds = 1.7e9 + np.arange(64.0)[:, None]
    y = np.where(np.arange(64) % 16 < 8, "a", "b")
    fitted = new(
        solver=solver, scale_inputs=True, dtype="float32", max_iter=50, activation="tanh"
    ).fit(seconds, y)
    assert len(np.unique(fitted.predict_proba(seconds)[:, 0])) > 40
    sparse = fitted.predict_proba(csr_matrix(seconds))
    np.testing.assert_array_equal(sparse, fitted.predict_proba(seconds))


def test_what_is_put_aside_is_no_part_of_the_scaling():
    rows = np.vstack([X, X + 1000])
    fitted = new(scale_inputs=True, early_stopping=True, validation_fraction=0.5, random_state=3)
    fitted.fit(rows, np.r_[Y, Y])
    center = fitted.model_.layers[0].center
    assert not np.allclose(center, rows.mean(axis=0), rtol=1e-6)


def test_callbacks_hear_a_fit_of_an_optimizer_of_the_library():
    heard = []

    class Hears(fb.Callback):
        def on_fit_begin(self, trainer):
            heard.append("begin")

        def on_epoch_end(self, trainer, history):
            heard.append(len(history))

    stopping = fb.EarlyStopping(patience=3)
    fitted = new(solver=fb.Adam(0.05), max_iter=200, callbacks=[Hears(), stopping], tol=0)
    fitted.fit(X[::2], Y[::2], eval_set=(X[1::2], Y[1::2]))
    n = len(fitted.history_)
    assert heard == ["begin", *range(1, n + 1)]
    assert n == fitted.n_iter_ < 200
    assert fitted.validation_curve_ == pytest.approx(fitted.history_.validation_loss)
    best = np.argmin(fitted.validation_curve_)
    assert n == best + 1 + 3
    assert fb.Trainer(fitted.model_, "cross_entropy").evaluate(X[1::2], Y[1::2])[
        "loss"
    ] == pytest.approx(fitted.validation_curve_[best])

    with pytest.raises(TypeError, match=r"^callbacks must be Callback objects, got 3"):
        new(solver="adamw", callbacks=[3]).fit(X, Y)


def test_a_schedule_goes_over_the_whole_fit():
    fitted = new(solver=fb.SGD(fb.Cosine(0.1)), max_iter=10, n_iter_no_change=100).fit(X, Y)
    rates = fitted.history_.learning_rate
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.01


def test_objects_that_are_parameters_stay_as_they_are():
    """Two estimators may share them; searches clone them."""
    optimizer = fb.Adam(0.01)
    alone = new(solver=fb.Adam(0.01)).fit(X, Y).predict_proba(X)
    first, second = (new(solver=optimizer) for _ in range(2))
    first.fit(X, Y)
    second.fit(X, Y)
    np.testing.assert_array_equal(first.predict_proba(X), alone)
    np.testing.assert_array_equal(second.predict_proba(X), alone)
    assert first.solver is optimizer
    grid = {"solver": ["adamw", fb.Adam(0.01)], "dropout": [0.0, 0.2], "scale_inputs": [True]}
    search = GridSearchCV(new(), grid, cv=2).fit(X, Y)
    assert len(search.cv_results_["params"]) == 4
    by_name = new(solver="nadam", learning_rate_init=0.02, scale_inputs=True)
    assert cross_val_score(by_name, X, Y, cv=2, n_jobs=2).min() > 0.3


@pytest.mark.parametrize(
    ("loss", "y", "n_outputs"),
    [
        ("focal_cross_entropy", Y, 3),
        (fb.FocalCrossEntropy(1.0), Y == 1, 2),
        (fb.CrossEntropy(label_smoothing=0.1), Y, 3),
        (fb.BinaryCrossEntropy(), Y == 1, 1),
        (fb.BinaryCrossEntropy(sum_outputs=True), np.eye(3, dtype=int)[Y], 3),
    ],
    ids=str,
)
@pytest.mark.parametrize("solver", ["adam", fb.Adam(0.01)], ids=str)
def test_losses_of_the_library_for_classes(loss, y, n_outputs, solver):
    clf = new(loss=loss, solver=solver, max_iter=60, learning_rate_init=0.01, scale_inputs=True)
    clf.fit(X, y)
    assert clf.coefs_[-1].shape[1] == clf.n_outputs_ == n_outputs
    assert clf.score(X, y) > 0.85
    probabilities = clf.predict_proba(X)
    assert probabilities.shape == (150, 2 if np.ndim(y) == 1 and len(np.unique(y)) == 2 else 3)
    if np.ndim(y) == 1:
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
        assert set(clf.predict(X)) <= set(np.unique(y))


@pytest.mark.parametrize(
    ("parameters", "y", "words"),
    [
        ({"loss": fb.BinaryCrossEntropy()}, Y, "loss must be one for multiclass targets"),
        ({"loss": fb.CrossEntropy()}, np.eye(3, dtype=int)[Y], "loss must be one for multilabel"),
        ({"loss": fb.Huber()}, Y, "loss must be one for multiclass targets"),
        ({"loss": fb.CrossEntropy(), "label_smoothing": 0.1}, Y, "label_smoothing must be 0 with"),
        ({"solver": "lbfgs", "dropout": 0.1}, Y, "dropout must be 0 with solver lbfgs"),
        ({"solver": "lbfgs", "normalization": "batch"}, Y, "normalization must be None with"),
        ({"dropout": [0.1]}, Y, "dropout must be a rate, or one for each of the 2 hidden"),
        ({"dropout": 1.0}, Y, "The 'dropout' parameter of MLPClassifier must be"),
        ({"normalization": "group"}, Y, "The 'normalization' parameter of MLPClassifier must"),
        ({"scale_inputs": "minmax"}, Y, "The 'scale_inputs' parameter of MLPClassifier must"),
        ({"solver": "lbfgs", "learning_rate": fb.Cosine(0.1)}, Y, "learning_rate must be a name"),
        ({"solver": "lbfgs", "clip_norm": 1.0}, Y, "clip_norm must be None with solver lbfgs"),
        ({"solver": "lbfgs", "clip_value": 1.0}, Y, "clip_value must be None with solver lbfgs"),
        ({"solver": "lbfgs", "time_budget": 0.0}, Y, "time_budget must be None with solver lbfgs"),
        ({"learning_rate": fb.Cosine}, Y, "The 'learning_rate' .* or a schedule or a function of"),
        ({"dropout": fb.Cosine(0.5)}, Y, "dropout must be of numbers with solver adam, got Cosine"),
        ({"dropout": [fb.Cosine(0.5), 0.1]}, Y, "dropout must be of numbers with solver adam"),
        ({"dropout": fb.Cosine(0.5), "solver": "lbfgs"}, Y, "dropout must be 0 with solver lbfgs"),
        ({"class_weight": {0: "a"}}, Y, "class_weight must have finite numbers of at least 0, got"),
        (
            {"learning_rate": fb.schedules.ReduceOnPlateau(0.1, monitor="validation_loss")},
            Y,
            "validation_data .* got neither. Here validation_loss comes from fit",
        ),
        ({"solver": "newton"}, Y, "The 'solver' parameter of MLPClassifier must be a str among"),
        ({"solver": "rprop"}, Y, "batch_size must be"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(parameters, y, words):
    if "batch_size" in words:
        parameters = {**parameters, "batch_size": 10}
    with pytest.raises(ValueError, match=f"^{words}"):
        new(**parameters).fit(X, y)


@pytest.mark.parametrize("name", ["solver", "loss", "activation", "learning_rate", "callbacks"])
@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("value", ["x", 3, fb.Cosine, fb.Adam, fb.ELU, fb.Dense])
def test_no_complaint_names_a_private_class(estimator, name, value):
    with pytest.raises((ValueError, TypeError), match=name) as caught:
        estimator(**{name: value}).fit(X, Y)
    assert "fastbackprop._" not in str(caught.value)


def test_going_on_with_other_layers_is_refused():
    fitted = new(normalization="batch", warm_start=True).fit(X, Y)
    for parameters, words in [
        ({"normalization": None}, "normalization must be as in the first fit"),
        ({"scale_inputs": True}, "scale_inputs must be as in the first fit"),
    ]:
        other = copy.deepcopy(fitted).set_params(**parameters)
        with pytest.raises(ValueError, match=f"^{words}"):
            other.fit(X, Y)
    copy.deepcopy(fitted).set_params(dropout=0.3).fit(X, Y)


def test_what_scikit_learn_cannot_hold_is_refused():
    for parameters in ({"normalization": "layer"}, {"scale_inputs": True}):
        with pytest.raises(ValueError, match=r"^to_sklearn needs an estimator without "):
            new(**parameters).fit(X, Y).to_sklearn()
    fitted = new(solver=fb.AdamW(0.01), dropout=0.2, class_weight={0: 2.0}).fit(X, Y)
    words = r"doesn't know class_weight=\{0: 2.0\}, dropout=0.2, solver=AdamW\(0.01\): what"
    with pytest.warns(UserWarning, match=words):
        theirs = fitted.to_sklearn()
    np.testing.assert_allclose(theirs.predict_proba(X), fitted.predict_proba(X), rtol=1e-9)
    assert theirs.solver == "adam"


def test_models_that_no_estimator_can_be_are_refused():
    layers = [fb.Dense(4, 6), fb.BatchNorm(epsilon=0.1), fb.Activation("relu"), fb.Dense(6, 3)]
    with pytest.raises(ValueError, match=r"^model must be as mlp makes one, .* layers\[1\] Batch"):
        MLPRegressor.from_model(fb.Sequential(layers, seed=0))
    layers = [fb.Dropout(0.1), fb.Dense(4, 3)]
    with pytest.raises(ValueError, match=r"^model must be as mlp makes one, .* layers\[0\] Drop"):
        MLPRegressor.from_model(fb.Sequential(layers, seed=0))


def test_explanations_and_diagnoses_know_these_layers():
    fitted = new(normalization="batch", dropout=0.2, scale_inputs=True, solver="nadam").fit(X, Y)
    assert "BatchNorm" in str(fitted.explain(X[:5], Y[:5]))
    fitted.diagnose(X, Y)


def test_divergence_is_said_as_by_the_other_solvers():
    with (
        pytest.raises(ValueError, match=r"^Solver produced non-finite parameter weights") as error,
        np.errstate(all="ignore"),
    ):
        new(MLPRegressor, solver=fb.SGD(1e9), normalization="layer").fit(X * 1e20, Z * 1e200)
    assert isinstance(error.value, fb.DivergenceError)


def test_estimators_share_an_optimizer_and_a_callback_without_sharing_a_state():
    optimizer, stopping = fb.Adam(0.01), fb.EarlyStopping("loss", patience=1, min_delta=10.0)
    alone = new(solver=fb.Adam(0.01)).fit(X, Y)
    first = new(solver=optimizer).fit(X, Y)
    second = new(solver=optimizer, callbacks=[stopping]).fit(X, Y)
    third = new(solver=optimizer).fit(X, Y)
    assert alone.loss_curve_ == first.loss_curve_ == third.loss_curve_
    assert second.n_iter_ == second.callbacks_[0].stopped_epoch == 2
    assert stopping.stopped_epoch == stopping.best_epoch == 0
    assert second.get_params()["callbacks"] == [stopping]


@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw"])
def test_schedule_gives_the_rate_of_a_solver_by_name(solver):
    settings = {"solver": solver, "batch_size": 40}
    plain = new(learning_rate_init=0.01, **settings).fit(X, Y)
    same = new(learning_rate=fb.schedules.Constant(0.01), **settings).fit(X, Y)
    assert same.loss_curve_ == plain.loss_curve_
    by_step = [0.01, 0.02, 0.03]
    called = []

    def rate(step):
        called.append(step)
        return by_step[step % 3]

    other = new(learning_rate=rate, **settings).fit(X, Y)
    assert sorted(set(called)) == list(range(4 * other.n_iter_))
    assert other.loss_curve_ != plain.loss_curve_


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_schedule_over_a_fit_is_over_max_iter_epochs(solver):
    settings = {"solver": solver, "batch_size": 50, "max_iter": 4}
    anneals = new(learning_rate=fb.Cosine(0.01), **settings).fit(X, Y)
    spelled = new(learning_rate=fb.Cosine(0.01, n_steps=12), **settings).fit(X, Y)
    assert anneals.loss_curve_ == spelled.loss_curve_
    with pytest.raises(ValueError, match="n_steps of Cosine must be given outside of fit"):
        new(learning_rate=fb.Cosine(0.01), **settings).partial_fit(X, Y, classes=[0, 1, 2])


def test_plateau_of_the_loss_lowers_the_rate_of_sgd():
    plateau = fb.schedules.ReduceOnPlateau(0.1, factor=1e-9, patience=1, min_delta=10.0)
    fitted = new(solver="sgd", momentum=0, learning_rate=plateau, max_iter=6).fit(X, Y)
    curve = fitted.loss_curve_
    assert curve[-1] == pytest.approx(curve[-2], rel=1e-6)
    assert curve[1] < 0.99 * curve[0]


def test_dropout_follows_a_schedule_with_an_optimizer():
    settings = {"solver": fb.SGD(0.1), "max_iter": 3}
    expected = new(dropout=0.1, **settings).fit(X, Y).predict_proba(X)
    same = new(dropout=lambda step: 0.1, **settings).fit(X, Y)
    assert np.array_equal(same.predict_proba(X), expected)
    other = new(dropout=lambda step: 0.1 if step else 0.5, **settings).fit(X, Y)
    assert not np.array_equal(other.predict_proba(X), expected)


@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam", "nadam"])
@pytest.mark.parametrize("make", [np.asarray, csr_matrix])
def test_rows_without_weight_have_no_part_in_the_scale_of_inputs(solver, make):
    parts = {"X": make(np.vstack([X, 1e6 * X])), "y": np.r_[Y, Y], "sample_weight": np.ones(300)}
    parts["sample_weight"][150:] = 0
    clf = new(solver=solver, scale_inputs=True).fit(**parts)
    alone = new(solver=solver, scale_inputs=True).fit(X, Y)
    layer, expected = (x.model_.layers[0] for x in (clf, alone))
    np.testing.assert_array_equal(layer.scale, expected.scale)


def test_targets_of_other_samples_must_be_finite():
    reg = MLPRegressor(max_iter=1)
    with pytest.raises(ValueError, match=r"^y of eval_set must be finite, got NaN or infinity\.$"):
        reg.fit(X, Y, eval_set=(X, np.where(Y, np.nan, Y)))


def test_a_rate_follows_the_loss_of_other_samples():
    """The loss of three rows that are all wrong rises: each epoch halves the rate."""
    rate = fb.schedules.ReduceOnPlateau(0.1, 0.5, patience=1, monitor="validation_loss")
    settings = {"solver": "sgd", "max_iter": 12, "batch_size": len(X), "momentum": 0.0}
    wrong = X[[0, 50, 100]], [2, 0, 1]
    clf = new(learning_rate=rate, **settings).fit(X, Y, eval_set=wrong)
    curve, rates, n_waited = clf.validation_curve_, [], 0
    best, value = np.inf, 0.1
    for figure in curve:
        rates.append(value)
        n_waited = 0 if figure < best else n_waited + 1
        best = min(best, figure)
        if n_waited >= 1:
            value, n_waited = value / 2, 0
    assert len(set(rates)) > 2
    twin = new(learning_rate=lambda step: rates[step], **settings).fit(X, Y)
    assert np.array_equal(twin.coefs_[0], clf.coefs_[0])


def test_schedules_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="learning_rate must be 'constant' beside an optimizer"):
        new(solver=fb.SGD(0.1), learning_rate=fb.Cosine(0.1)).fit(X, Y)
    with pytest.raises(ValueError, match="must give finite numbers of at least 0, got -1"):
        new(learning_rate=lambda step: -1.0).fit(X, Y)


def test_scikit_learn_gets_a_rate_that_it_knows_and_can_fit():
    fitted = new(learning_rate=fb.Cosine(0.01)).fit(X, Y)
    with pytest.warns(UserWarning, match=r"doesn't know learning_rate=Cosine\(.*\): what"):
        other = fitted.to_sklearn()
    assert np.allclose(other.predict_proba(X), fitted.predict_proba(X), rtol=1e-9)
    assert other.fit(X, Y).learning_rate == "constant"


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_callbacks_hear_a_fit_of_their_solvers(solver):
    heard, losses = [], []

    class Hears(fb.Callback):
        def on_fit_begin(self, trainer):
            heard.append("begin")

        def on_epoch_end(self, trainer, history):
            heard.append(len(history))
            losses.append(history.loss[-1])

        def on_fit_end(self, trainer):
            heard.append("end")

    alone = new(solver=solver, batch_size=10).fit(X, Y)
    fitted = new(solver=solver, batch_size=10, callbacks=[Hears()]).fit(X, Y)
    assert heard == ["begin", *range(1, 16), "end"]
    assert losses == alone.loss_curve_ == fitted.history_.loss
    np.testing.assert_array_equal(fitted.predict_proba(X), alone.predict_proba(X))


def test_losses_of_batches_are_heard_and_end_the_fit():
    batches = []

    class Ends(fb.Callback):
        def on_batch_end(self, trainer, step, loss):
            batches.append((step, loss))
            trainer.stop_training = step == 20

    fitted = new(batch_size=10, callbacks=[Ends()], shuffle=False).fit(X, Y)
    assert [step for step, _ in batches] == list(range(1, 21))
    assert fitted.n_iter_ == 2
    alone = new(batch_size=10, max_iter=1, shuffle=False, alpha=0).fit(X, Y)
    batches.clear()
    new(batch_size=10, max_iter=1, shuffle=False, alpha=0, callbacks=[Ends()]).fit(X, Y)
    assert np.mean([loss for _, loss in batches]) == pytest.approx(alone.loss_)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_the_librarys_callbacks_do_their_work_with_their_solvers(solver):
    stopping = fb.EarlyStopping(patience=2)
    parameters = {"solver": solver, "learning_rate_init": 0.1, "tol": 0, "max_iter": 300}
    fitted = new(callbacks=[stopping], **parameters)
    fitted.fit(X[::2], Y[::2], eval_set=(X[1::2], Y[1::2]))
    best = int(np.argmin(fitted.validation_curve_))
    assert fitted.n_iter_ == best + 3 < 300
    assert fb.Trainer(fitted.model_, "cross_entropy").evaluate(X[1::2], Y[1::2])[
        "loss"
    ] == pytest.approx(fitted.validation_curve_[best])
    assert new(callbacks=[fb.TimeBudget(1e-9)], **parameters).fit(X, Y).n_iter_ == 1
    averaged = new(callbacks=[fb.WeightAveraging(0.99)], **parameters).fit(X, Y)
    assert not np.array_equal(averaged.coefs_[0], new(**parameters).fit(X, Y).coefs_[0])
    with pytest.raises(ValueError, match=r"Here validation_loss comes from fit\(\.\.\., eval_set"):
        new(callbacks=[stopping]).fit(X, Y)
    with pytest.raises(ValueError, match=r"^callbacks must not have a Checkpoint"):
        new(callbacks=[fb.Checkpoint("c")]).fit(X, Y)
