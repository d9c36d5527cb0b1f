"""validation_split: which rows are held out, and that they aren't trained on."""

import numpy as np
import pytest
from privates import values_of

import fastbackprop as fb

N = 200
X = np.random.default_rng(0).normal(size=(N, 4))
LABELS = np.sort(
    np.random.default_rng(1).choice(3, N, p=[0.7, 0.25, 0.05])
)  # sorted: the tail is 2


def classifier(seed=1, **options):
    model = fb.mlp([4, 8, 3], output_activation="softmax", seed=0)
    return fb.Trainer(model, "cross_entropy", fb.SGD(0.1), seed=seed, **options)


def held_out(trainer, X, y, share, **options):
    """The numbers of the rows that aren't trained on, by what a metric is given for them."""
    rows = {}

    def look(y, y_hat):
        rows.setdefault(len(y), []).append(y)
        return 0.0

    trainer.fit(X, y, validation_split=share, metrics=[look], **options)
    return rows


def split_of(seed, labels, share=0.2):
    """Row numbers of the validation part: the second column of X says which row it is."""
    n = len(labels)
    marked = np.column_stack([np.arange(n), np.zeros(n)])
    model = fb.Sequential([fb.Dense(2, 1, weight_init=[[1.0], [0.0]], bias=False)], dtype="float64")
    seen = []
    trainer = fb.Trainer(model, own_loss, fb.SGD(1e-30), seed=seed)
    trainer.fit(
        marked, labels, validation_split=share, metrics=[lambda y, y_hat: seen.append(y_hat) or 0]
    )
    train, validation = (np.sort(np.rint(x)).astype(int) for x in seen)
    assert sorted([*train, *validation]) == list(range(n))
    return train, validation


def own_loss(y_hat, y):
    return 0.0, np.zeros_like(y_hat)


def test_rows_are_drawn_from_everywhere_by_the_seed():
    _, first = split_of(0, np.arange(N))
    assert len(first) == 40
    assert 60 < first.mean() < 140
    assert list(first) == list(split_of(0, np.arange(N))[1])
    assert list(first) != list(split_of(1, np.arange(N))[1])
    together = np.concatenate([split_of(seed, np.arange(N))[1] for seed in range(40)])
    counts = np.bincount(together, minlength=N)
    assert counts.mean() == pytest.approx(8)
    assert counts.max() < 22
    assert counts.min() > 0


@pytest.mark.parametrize("share", [0.1, 0.2, 0.35, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_each_class_gives_its_share_to_one_sample(share, seed):
    rows = held_out(classifier(seed), X, LABELS, share)
    validation = rows[round(share * N)][0]
    counts = np.bincount(validation, minlength=3)
    assert np.abs(counts - share * np.bincount(LABELS)).max() < 1


def test_yes_or_no_and_one_hot_targets_are_classes_too():
    yes = (LABELS == 2).astype(int)
    model = fb.mlp([4, 1], output_activation="sigmoid", seed=0)
    rows = held_out(fb.Trainer(model, "binary_cross_entropy", seed=0), X, yes, 0.5)
    assert [abs(y.sum() - yes.sum() / 2) < 1 for y in rows[100]] == [True, True]
    rows = held_out(classifier(), X, np.eye(3)[LABELS], 0.25)
    assert np.abs(rows[50][0].sum(axis=0) - 0.25 * np.bincount(LABELS)).max() < 1


def test_a_class_keeps_a_sample_to_train_on():
    labels = np.array([0] * 8 + [1] * 8 + [2])
    for seed in range(20):
        rows = held_out(classifier(seed), X[:17], labels, 0.5)
        (size,) = {n for n in rows if n <= 8} or {8}
        assert 2 not in rows[size][0]


def test_the_rows_held_out_are_not_trained_on_and_give_the_validation_loss():
    trainer, twin = classifier(), classifier()
    history = trainer.fit(X, LABELS, epochs=3, validation_split=0.25, shuffle=False)
    # The twin is given the same parts by hand.
    parts = {}
    finder = fb.Trainer(
        fb.Sequential([fb.Dense(4, 3, weight_init=np.eye(4)[:, :3], activation="softmax")]),
        "cross_entropy",
        fb.SGD(1e-30),
        seed=1,
    )

    def find(y, y_hat):
        all_rows = finder.model.predict(X)
        parts[len(y)] = [int(np.abs(all_rows - row).sum(axis=1).argmin()) for row in y_hat]
        return 0.0

    finder.fit(X, LABELS, validation_split=0.25, metrics=[find])
    train, validation = parts[150], parts[50]
    assert not set(train) & set(validation)
    expected = twin.fit(
        X[train],
        LABELS[train],
        epochs=3,
        shuffle=False,
        validation_data=(X[validation], LABELS[validation]),
    )
    assert history.loss == expected.loss
    assert history.validation_loss == expected.validation_loss
    assert values_of(trainer.model).tobytes() == values_of(twin.model).tobytes()


def test_another_fit_holds_out_the_same_rows_and_shuffling_goes_on():
    trainer, seen = classifier(), []
    for _ in range(2):
        trainer.fit(
            X, LABELS, validation_split=0.2, metrics=[lambda y, y_hat: seen.append(y.tolist()) or 0]
        )
    assert seen[1] == seen[3]
    once, twice = classifier(), classifier()
    once.fit(X, LABELS, epochs=2, validation_split=0.2)
    for _ in range(2):
        twice.fit(X, LABELS, validation_split=0.2)
    assert values_of(once.model).tobytes() == values_of(twice.model).tobytes()


def test_weights_go_with_their_rows_and_class_weights_are_those_of_training():
    weights = 1.0 + (LABELS == 2)
    doubled = classifier(class_weight={2: 2.0}), classifier()
    first = doubled[0].fit(X, LABELS, validation_split=0.2)
    second = doubled[1].fit(X, LABELS, validation_split=0.2, sample_weight=weights)
    assert first.loss == second.loss
    assert first.validation_loss != second.validation_loss


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"validation_split": 1.0}, ValueError, "validation_split must be"),
        ({"validation_split": -0.1}, ValueError, "validation_split must be"),
        ({"validation_split": "0.1"}, TypeError, "validation_split must be"),
        (
            {"validation_split": 0.1, "validation_data": (X, LABELS)},
            ValueError,
            "validation_split must be 0 where there is validation_data, got 0.1",
        ),
        ({"validation_split": 0.999}, ValueError, "must leave a sample to train on"),
    ],
)
def test_what_cannot_be_split_is_refused(options, error, words):
    trainer = classifier()
    before = values_of(trainer.model).copy()
    with pytest.raises(error, match=words):
        trainer.fit(X, LABELS, **options)
    assert (values_of(trainer.model) == before).all()


@pytest.mark.parametrize(("weights", "words"), [([0, 1], "hold out"), ([1, 0], "leave")])
def test_rows_without_weight_alone_are_refused(weights, words):
    """Which rows are held out is known by a first try, whose row numbers are the targets."""
    X, y = np.zeros((20, 1)), np.arange(20.0)
    held_out = []

    def metric(y, y_hat):
        held_out[:] = y.ravel()
        return 0.0

    def fit(**weighted):
        trainer = fb.Trainer(fb.mlp([1, 1], seed=0), "half_squared_error", "adam", seed=0)
        return trainer.fit(X, y, validation_split=0.3, metrics=[metric], **weighted)

    fit()
    is_held_out = np.isin(y, held_out)
    assert is_held_out.sum() == 6
    sample_weight = np.where(is_held_out, *weights)
    with pytest.raises(ValueError, match=f"^validation_split must {words} a row whose weight"):
        fit(sample_weight=sample_weight)
