"""Metrics of fit and evaluate: their names, what they are of, which are refused."""

import functools

import numpy as np
import pytest

import fastbackprop as fb

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
LABELS = (X @ RNG.normal(size=(4, 3))).argmax(axis=1)
YES = (X[:, 0] + 0.5 * RNG.normal(size=60) > 0).astype(int)
MANY = (X[:, :2] + 0.5 * RNG.normal(size=(60, 2)) > 0).astype(int)
REAL = X[:, :2] * 2 + 1
WEIGHTS = RNG.integers(1, 4, 60).astype(float)
VALIDATION = slice(40, None)


def softmax():
    model = fb.mlp([4, 8, 3], output_activation="softmax", seed=0)
    return fb.Trainer(model, "cross_entropy", fb.SGD(0.1), seed=0)


def sigmoid(n_out=1):
    model = fb.mlp([4, 8, n_out], output_activation="sigmoid", seed=0)
    return fb.Trainer(model, "binary_cross_entropy", fb.SGD(0.1), seed=0)


def regression(loss="half_squared_error", n_out=2):
    return fb.Trainer(fb.mlp([4, 8, n_out], seed=0), loss, fb.SGD(0.02), seed=0)


CLASSES = ["accuracy", "top_k", "balanced_accuracy", "f1", "roc_auc"]
NUMBERS = ["mae", "rmse", "r2"]
TRAINERS = {
    "softmax": (softmax, LABELS, CLASSES, {}),
    "one-hot": (softmax, np.eye(3)[LABELS], CLASSES, {}),
    "sigmoid": (sigmoid, YES, ["accuracy", "balanced_accuracy", "f1", "roc_auc", *NUMBERS], {}),
    "several": (
        functools.partial(sigmoid, 2),
        MANY,
        ["accuracy", "balanced_accuracy", "f1", "roc_auc"],
        {"multilabel": True},
    ),
    "hinge": (
        functools.partial(regression, "hinge", 1),
        YES,
        ["accuracy", "balanced_accuracy", "f1"],
        {"threshold": 0.0},
    ),
    "regression": (regression, REAL, NUMBERS, {}),
}


@pytest.mark.parametrize("case", TRAINERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_figures_are_the_metrics_of_the_predictions_after_the_epoch(case, weighted):
    new_trainer, y, names, options = TRAINERS[case]
    trainer = new_trainer()
    w = WEIGHTS if weighted else None
    held_out = X[VALIDATION], y[VALIDATION], WEIGHTS[VALIDATION]
    history = trainer.fit(
        X,
        y,
        epochs=2,
        sample_weight=w,
        validation_data=held_out if weighted else held_out[:2],
        metrics=names,
    )
    y_hat = trainer.model.predict(X)
    evaluated = trainer.evaluate(X, y, sample_weight=w, metrics=names)
    figures = history.to_dict()
    for name in names:
        function = getattr(fb.metrics, name)
        extra = {} if name in (*NUMBERS, "top_k") else options
        expected = function(y, y_hat, w, **extra)
        part = None if w is None else w[VALIDATION]
        of_part = function(y[VALIDATION], y_hat[VALIDATION], part, **extra)
        assert figures[f"validation_{name}"][-1] == pytest.approx(of_part, rel=1e-12)
        assert evaluated[name] == pytest.approx(expected, rel=1e-12)
        if weighted or name != "accuracy":  # else it is that of the steps
            assert figures[name][-1] == pytest.approx(expected, rel=1e-12)
        assert len(figures[name]) == len(figures[f"validation_{name}"]) == 2


def test_several_outputs_whose_rows_sum_to_one_stay_several():
    y = np.eye(2)[YES]
    trainer = sigmoid(2)
    history = trainer.fit(X, y, metrics=["f1"])
    expected = fb.metrics.f1(y, trainer.model.predict(X), multilabel=True)
    assert history.f1 == [expected] != [fb.metrics.f1(y, trainer.model.predict(X))]


def test_accuracy_that_is_counted_anyway_is_the_same_where_it_is_asked_for():
    asking, plain = softmax(), softmax()
    asked = asking.fit(X, LABELS, epochs=2, validation_data=(X, LABELS), metrics=["accuracy"])
    expected = plain.fit(X, LABELS, epochs=2, validation_data=(X, LABELS))
    assert asked.accuracy == expected.accuracy
    assert asked.validation_accuracy == expected.validation_accuracy
    assert list(asked.to_dict()) == list(expected.to_dict())


def test_functions_get_y_and_y_hat_in_one_shape_where_there_is_one_output():
    seen = []

    def shapes(y, y_hat):
        seen.append((y.shape, y_hat.shape))
        return len(seen)

    history = regression(n_out=1).fit(X, REAL[:, 0], metrics=[shapes])
    assert history.shapes == [1.0]
    softmax().fit(X, LABELS, metrics=[shapes])
    regression().fit(X, REAL, metrics=[shapes])
    regression("gaussian_nll", n_out=4).fit(X, REAL, metrics=[shapes])
    assert seen == [((60,), (60,)), ((60,), (60, 3)), ((60, 2), (60, 2)), ((60, 2), (60, 2))]


def test_functions_of_scikit_learn_work_as_they_are():
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn isn't installed")
    trainer = regression()
    history = trainer.fit(X, REAL, metrics=[metrics.r2_score, metrics.mean_absolute_error, "r2"])
    assert history.r2_score == pytest.approx(history.r2, rel=1e-5)
    assert history.mean_absolute_error[0] > 0


def test_our_own_functions_and_partial_ones_are_known_by_name():
    history = softmax().fit(
        X, LABELS, metrics=[fb.metrics.f1, functools.partial(fb.metrics.top_k, k=3)]
    )
    assert history.top_k == [1.0]
    assert 0 <= history.f1[0] <= 1
    assert softmax().fit(X, LABELS, metrics="f1").f1 == history.f1
    assert sum(regression().fit(X, REAL, metrics=[lambda y, y_hat: 2]).to_dict()["lambda"]) == 2


def test_yes_or_no_by_squared_errors_has_metrics_of_classes():
    trainer = regression(n_out=1)
    history = trainer.fit(X, YES, metrics=["accuracy", "roc_auc"])
    y_hat = trainer.model.predict(X)
    assert history.accuracy == [fb.metrics.accuracy(YES, y_hat)]
    assert history.roc_auc == [fb.metrics.roc_auc(YES, y_hat)]


def test_a_loss_of_ones_own_has_metrics():
    def own(y_hat, y):
        return float(((y_hat - y) ** 2).mean()), 2 * (y_hat - y) / y.size

    trainer = regression(own)
    history = trainer.fit(X, REAL, validation_data=(X, REAL), metrics=["rmse"])
    assert history.rmse == history.validation_rmse
    assert history.rmse[0] == pytest.approx(fb.metrics.rmse(REAL, trainer.model.predict(X)))


def test_gaussian_means_are_measured():
    trainer = regression("gaussian_nll", n_out=4)
    history = trainer.fit(X, REAL, metrics=["mae"])
    assert history.mae == [fb.metrics.mae(np.float32(REAL), trainer.model.predict(X)[:, :2])]


def test_missing_targets_are_left_out_of_metrics():
    y = np.where(RNG.random(REAL.shape) < 0.3, np.nan, REAL)
    trainer = regression(fb.MeanSquaredError(mask_missing=True))
    history = trainer.fit(X, y, metrics=NUMBERS)
    y_hat = trainer.model.predict(X)
    for name in NUMBERS:
        columns = [
            getattr(fb.metrics, name)(np.float32(y[keep, k]), y_hat[keep, k])
            for k in range(2)
            for keep in [~np.isnan(y[:, k])]
        ]
        assert history.to_dict()[name] == pytest.approx([np.mean(columns)], rel=1e-9)


REFUSED = {
    "unknown": (softmax, LABELS, ["auc"], ValueError, "or names of 'accuracy', 'top_k'"),
    "nearly known": (
        softmax,
        LABELS,
        ["Acuracy"],
        ValueError,
        "'mae', 'rmse', 'r2', got 'Acuracy'. Did you mean 'accuracy'?",
    ),
    "twice": (softmax, LABELS, ["f1", "f1"], ValueError, "names of their own, got 'f1' twice"),
    "numbers of classes": (softmax, LABELS, ["mae"], ValueError, "must compare classes for loss"),
    "top_k": (sigmoid, YES, ["top_k"], ValueError, "must have an output for each class, got 1"),
    "classes of numbers": (
        regression,
        REAL,
        ["f1"],
        ValueError,
        "metric 'f1' must have targets of 0 and 1 with loss 'half_squared_error', got",
    ),
    "type": (softmax, LABELS, [3], TypeError, "must be names or functions, got 3"),
    "class": (softmax, LABELS, [dict], TypeError, "must be names or functions, got <class"),
    "two lambdas": (
        softmax,
        LABELS,
        [lambda y, y_hat: 1, lambda y, y_hat: 2],
        ValueError,
        "got 'lambda' twice",
    ),
}


def loss(y, y_hat):
    return 0.0


def validation_mine(y, y_hat):
    return 0.0


def test_names_of_the_history_are_taken():
    for function in (loss, validation_mine):
        with pytest.raises(ValueError, match="must not be called"):
            softmax().fit(X, LABELS, metrics=[function])


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_metric_is_refused_before_training(case):
    new_trainer, y, metrics, error, words = REFUSED[case]
    trainer = new_trainer()
    before = trainer.model.get_parameters()
    with pytest.raises(error) as caught:
        trainer.fit(X, y, metrics=metrics)
    assert words in str(caught.value)
    assert (trainer.model.get_parameters() == before).all()
    with pytest.raises(error):
        trainer.evaluate(X, y, metrics=metrics)


@pytest.mark.parametrize("result", ["a", None, [1, 2]])
def test_what_a_function_returns_must_be_a_number(result):
    def mine(y, y_hat):
        return result

    with pytest.raises(TypeError, match="metric 'mine' must return a number, got"):
        softmax().fit(X, LABELS, metrics=[mine])
