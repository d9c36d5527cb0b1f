"""Metrics: scikit-learn's numbers, with weights too; what is taken for a class; complaints."""

import math

import numpy as np
import pytest

import fastbackprop as fb

RNG = np.random.default_rng(7)
N = 60
WEIGHTS = RNG.integers(0, 4, N) / 2
LABELS = RNG.integers(0, 4, N)
SCORES = RNG.dirichlet(np.ones(4), N).round(2) + 0.25 * np.eye(4)[LABELS]
SCORES /= SCORES.sum(axis=1, keepdims=True)
YES = (RNG.random(N) < 0.3).astype(int)
CHANCES = np.clip((RNG.random(N) + 0.3 * YES).round(1), 0, 1)  # with ties
BEST = SCORES.argmax(axis=1)
MANY = (RNG.random((N, 3)) < [0.2, 0.5, 0.8]).astype(int)
MANY_CHANCES = RNG.random((N, 3))
REAL = RNG.normal(size=(N, 2))
GUESSES = REAL + 0.3 * RNG.normal(size=(N, 2))

m = fb.metrics
OURS = {
    "accuracy": lambda w: m.accuracy(LABELS, SCORES, w),
    "accuracy of yes or no": lambda w: m.accuracy(YES, CHANCES, w),
    "accuracy at a threshold": lambda w: m.accuracy(YES, CHANCES, w, threshold=0.3),
    "top_k": lambda w: m.top_k(LABELS, SCORES, w, k=2),
    "balanced_accuracy": lambda w: m.balanced_accuracy(LABELS, SCORES, w),
    "f1": lambda w: m.f1(LABELS, SCORES, w),
    "f1 of yes or no": lambda w: m.f1(YES, CHANCES, w),
    "f1 of two outputs": lambda w: m.f1(YES, np.column_stack([1 - CHANCES, CHANCES]), w),
    "weighted f1": lambda w: m.f1(LABELS, SCORES, w, average="weighted"),
    "micro f1": lambda w: m.f1(LABELS, SCORES, w, average="micro"),
    "f1 of several": lambda w: m.f1(MANY, MANY_CHANCES, w),
    "f1 of labels": lambda w: m.f1(LABELS, BEST, w),
    "roc_auc": lambda w: m.roc_auc(YES, CHANCES, w),
    "roc_auc of classes": lambda w: m.roc_auc(LABELS, SCORES, w),
    "roc_auc of several": lambda w: m.roc_auc(MANY, MANY_CHANCES, w),
    "mae": lambda w: m.mae(REAL, GUESSES, w),
    "rmse": lambda w: m.rmse(REAL, GUESSES, w),
    "r2": lambda w: m.r2(REAL, GUESSES, w),
    "r2 of a constant": lambda w: m.r2([[1, 2], [1, 2], [1, 3]], [[1, 2], [1, 3], [1, 3]]),
}


def theirs():
    """What scikit-learn says of the same."""
    sk = pytest.importorskip("sklearn.metrics", reason="scikit-learn isn't installed")
    return {
        "accuracy": lambda w: sk.accuracy_score(LABELS, BEST, sample_weight=w),
        "accuracy of yes or no": lambda w: sk.accuracy_score(YES, CHANCES > 0.5, sample_weight=w),
        "accuracy at a threshold": lambda w: sk.accuracy_score(YES, CHANCES > 0.3, sample_weight=w),
        "top_k": lambda w: sk.top_k_accuracy_score(LABELS, SCORES, k=2, sample_weight=w),
        "balanced_accuracy": lambda w: sk.balanced_accuracy_score(LABELS, BEST, sample_weight=w),
        "f1": lambda w: sk.f1_score(LABELS, BEST, average="macro", sample_weight=w),
        "f1 of yes or no": lambda w: sk.f1_score(YES, CHANCES > 0.5, sample_weight=w),
        "f1 of two outputs": lambda w: sk.f1_score(YES, CHANCES > 0.5, sample_weight=w),
        "weighted f1": lambda w: sk.f1_score(LABELS, BEST, average="weighted", sample_weight=w),
        "micro f1": lambda w: sk.f1_score(LABELS, BEST, average="micro", sample_weight=w),
        "f1 of several": lambda w: sk.f1_score(
            MANY, MANY_CHANCES > 0.5, average="macro", sample_weight=w
        ),
        "f1 of labels": lambda w: sk.f1_score(LABELS, BEST, average="macro", sample_weight=w),
        "roc_auc": lambda w: sk.roc_auc_score(YES, CHANCES, sample_weight=w),
        "roc_auc of classes": lambda w: sk.roc_auc_score(
            LABELS, SCORES, multi_class="ovr", sample_weight=w
        ),
        "roc_auc of several": lambda w: sk.roc_auc_score(MANY, MANY_CHANCES, sample_weight=w),
        "mae": lambda w: sk.mean_absolute_error(REAL, GUESSES, sample_weight=w),
        "rmse": lambda w: sk.root_mean_squared_error(REAL, GUESSES, sample_weight=w),
        "r2": lambda w: sk.r2_score(REAL, GUESSES, sample_weight=w),
        "r2 of a constant": lambda w: sk.r2_score(
            [[1, 2], [1, 2], [1, 3]], [[1, 2], [1, 3], [1, 3]]
        ),
    }


# scikit-learn's numbers: without weights, and with them.
GOLDEN = {
    "accuracy": [0.5166666666666667, 0.47572815533980584],
    "accuracy of yes or no": [0.5833333333333334, 0.5631067961165048],
    "accuracy at a threshold": [0.5666666666666667, 0.5631067961165048],
    "top_k": [0.95, 0.9320388349514563],
    "balanced_accuracy": [0.5143398268398268, 0.46267397477074895],
    "f1": [0.5143236714975845, 0.4656456407858932],
    "f1 of yes or no": [0.576271186440678, 0.5544554455445545],
    "f1 of two outputs": [0.576271186440678, 0.5544554455445545],
    "weighted f1": [0.5224669887278584, 0.4756956846446082],
    "micro f1": [0.5166666666666667, 0.47572815533980584],
    "f1 of several": [0.4182273866484392, 0.45431006581076705],
    "f1 of labels": [0.5143236714975845, 0.4656456407858932],
    "roc_auc": [0.7545787545787546, 0.7460084033613446],
    "roc_auc of classes": [0.845730397643247, 0.8277897348231904],
    "roc_auc of several": [0.5097130784945677, 0.5403734650852995],
    "mae": [0.22081560345817663, 0.23318781974025982],
    "rmse": [0.2765026412911169, 0.29018569447059245],
    "r2": [0.9146327863184646, 0.9094109976880145],
    "r2 of a constant": [0.2500000000000001, 0.2500000000000001],
}


@pytest.mark.parametrize("case", OURS)
def test_metrics_are_scikit_learns(case):
    ours = [OURS[case](None), OURS[case](WEIGHTS)]
    assert ours == pytest.approx(GOLDEN[case], rel=1e-12)
    peer = theirs()[case]
    assert ours == pytest.approx([peer(None), peer(WEIGHTS)], rel=1e-12)


@pytest.mark.parametrize("case", sorted(set(OURS) - {"r2 of a constant"}))
def test_a_weight_of_k_is_k_equal_samples(case):
    names = (
        "LABELS",
        "SCORES",
        "BEST",
        "YES",
        "CHANCES",
        "MANY",
        "MANY_CHANCES",
        "REAL",
        "GUESSES",
    )
    before = {name: globals()[name] for name in names}
    weighted = OURS[case](2 * WEIGHTS)
    try:
        counts = (2 * WEIGHTS).astype(int)
        globals().update({name: np.repeat(x, counts, axis=0) for name, x in before.items()})
        assert OURS[case](None) == pytest.approx(weighted, rel=1e-12)
    finally:
        globals().update(before)


def test_one_hot_and_soft_targets_are_their_classes():
    one_hot = np.eye(4)[LABELS]
    for name in ("accuracy", "balanced_accuracy", "f1", "roc_auc", "top_k"):
        metric = getattr(m, name)
        assert metric(one_hot, SCORES) == metric(LABELS, SCORES)
        assert metric(0.9 * one_hot + 0.025, SCORES) == metric(LABELS, SCORES)
    assert m.accuracy(YES[:, None], CHANCES[:, None]) == m.accuracy(YES, CHANCES)


def test_of_several_yes_or_no_accuracy_is_the_share_of_these():
    y, y_hat = [[1, 1, 0], [0, 0, 0]], [[0.9, 0.2, 0.1], [0.1, 0.6, 0.7]]
    assert m.accuracy(y, y_hat) == 0.5
    assert m.accuracy(y, y_hat, [3, 1]) == pytest.approx((3 * 2 / 3 + 1 / 3) / 4)


def test_what_is_nan_is_never_right_and_no_number_of_an_area():
    assert m.accuracy([0, 0], [[np.nan, 0.0], [1.0, 0.0]]) == 0.5
    assert m.accuracy([0, 1], [np.nan, 1.0]) == 0.5
    assert m.accuracy([[1, 1], [0, 0]], [[np.nan, 1], [np.nan, 0]]) == 0.5
    assert m.top_k([0, 0], [[np.nan, 0.0], [1.0, 0.0]], k=2) == 0.5
    assert math.isnan(m.roc_auc([0, 1], [np.nan, 1.0]))
    assert math.isnan(m.mae([0, 1], [np.nan, 1.0]))


def test_edges():
    assert math.isnan(m.roc_auc([1, 1], [0.1, 0.2]))
    assert math.isnan(m.r2([1.0], [1.0]))
    assert m.f1([0, 0], [0.1, 0.2]) == 0.0
    assert m.r2([2, 2], [2, 2]) == 1.0
    assert m.r2([2, 2], [2, 3]) == 0.0
    assert m.top_k([0, 1], [[1, 0], [0, 1]], k=5) == 1.0
    assert m.balanced_accuracy([0, 0, 1], [0, 0, 0], [1, 1, 0]) == 1.0  # class 1 has no weight


REFUSED = {
    "rows": (lambda: m.accuracy([0, 1], [[1.0, 0.0]]), "must have a row for each of y_hat"),
    "shape": (lambda: m.f1(np.eye(3), np.eye(3)[:, :2]), "have y_hat's shape"),
    "label": (lambda: m.accuracy([0, 2], np.eye(2)), "must have labels of 0 ... 1, one for each"),
    "no label": (lambda: m.accuracy([0.0, 0.5], np.eye(2)), "must be labels, got 0.5"),
    "numbers": (lambda: m.mae([[1, 2]], [1]), "y of mae must have the shape of y_hat"),
    "empty": (lambda: m.rmse([], []), "must have at least one sample, got 0"),
    "one output": (lambda: m.top_k([0, 1], [0.1, 0.9]), "must have an output for each class"),
    "average": (lambda: m.f1([0], [0.1], average="mean"), "average must be one of None, 'binary'"),
    "weights": (lambda: m.r2([1, 2], [1, 2], [1]), "sample_weight must have shape (2,)"),
    "yes or no": (
        lambda: m.f1([0, 2], [0.0, 2.0]),
        "must be 0 or 1 where there is one output, got 2",
    ),
    "text": (lambda: m.accuracy(["a"], ["a"]), "y must"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(case):
    call, words = REFUSED[case]
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert words in str(caught.value)
