"""Weights of samples and classes in fit, step and evaluate."""

import numpy as np
import pytest
from privates import state_of, values_of

import fastbackprop as fb

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype("f4")
LABELS = np.arange(40) % 3
REAL = (X @ np.ones((3, 2))).astype("f4")
WEIGHTS = RNG.integers(0, 4, 40)
REPEATED = np.repeat(np.arange(40), WEIGHTS)


def classifier(seed=0, **options):
    model = fb.mlp([3, 5, 3], activation="tanh", output_activation="softmax", seed=seed)
    sgd = options.pop("optimizer", fb.SGD(0.1, momentum=0.9, weight_decay=0.01))
    return fb.Trainer(model, "cross_entropy", sgd, seed=0, **options)


def regressor(**options):
    model = fb.mlp([3, 5, 2], activation="tanh", seed=0)
    return fb.Trainer(model, "mean_squared_error", fb.SGD(0.1, momentum=0.9), seed=0, **options)


def buffers(trainer):
    return values_of(trainer.model), state_of(trainer.optimizer, trainer.model).planes


def test_the_numbers_of_two_samples():
    # p = 0.8 and 0.1 for the right class cost 0.22314 and 2.30259; weights 1 and 3.
    model = fb.Sequential(
        [fb.Dense(2, 2, "softmax", weight_init=np.log([[0.8, 0.2], [0.9, 0.1]]), bias=False)]
    )
    trainer = fb.Trainer(model, "cross_entropy")
    rows, y = np.eye(2), [0, 1]
    assert trainer.evaluate(rows, y, sample_weight=[1, 3])["loss"] == pytest.approx(1.782725)
    history = trainer.fit(rows, y, sample_weight=[1, 3], batch_size=1, shuffle=False)
    assert history.loss[0] == pytest.approx(1.782725, abs=5e-3)  # the second after the first step
    assert trainer.step(rows, y, sample_weight=[1, 3]) < 1.8


@pytest.mark.parametrize("new", [classifier, regressor])
def test_weight_k_is_k_rows_of_a_batch(new):
    y = LABELS if new is classifier else REAL
    weighted, repeated = new(batch_size=40), new(batch_size=len(REPEATED))
    for _ in range(3):
        losses = (
            weighted.fit(X, y, sample_weight=WEIGHTS, shuffle=False).loss,
            repeated.fit(X[REPEATED], y[REPEATED], shuffle=False).loss,
        )
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
        cost = weighted.step(X, y, sample_weight=WEIGHTS)
        assert cost == pytest.approx(repeated.step(X[REPEATED], y[REPEATED]), rel=1e-5)
    for a, b in zip(buffers(weighted), buffers(repeated), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    figures = weighted.evaluate(X, y, sample_weight=WEIGHTS)
    assert figures["loss"] == pytest.approx(
        weighted.evaluate(X[REPEATED], y[REPEATED])["loss"], rel=1e-6
    )


def test_weights_of_one_are_none():
    plain, ones = regressor(batch_size=7), regressor(batch_size=7)
    assert plain.fit(X, REAL).loss == ones.fit(X, REAL, sample_weight=np.ones(40)).loss
    assert buffers(plain)[0].tobytes() == buffers(ones)[0].tobytes()


def test_the_loss_of_an_epoch_is_the_weighted_mean_over_all_its_samples():
    trainer = regressor(batch_size=7)
    trainer.optimizer.learning_rate = 1e-30  # so that the weights stay
    history = trainer.fit(X, REAL, sample_weight=WEIGHTS, validation_data=(X, REAL, WEIGHTS))
    costs = ((trainer.model.predict(X).astype(float) - REAL) ** 2).mean(axis=1)
    expected = (costs * WEIGHTS).sum() / WEIGHTS.sum()
    assert history.loss == pytest.approx([expected], rel=1e-6)
    assert history.validation_loss == pytest.approx([expected], rel=1e-6)
    weights = WEIGHTS.copy()
    weights[35:] = 0
    loss = trainer.fit(
        X, REAL, sample_weight=WEIGHTS, shuffle=False, drop_last=True, batch_size=35
    ).loss
    assert loss == pytest.approx([(costs * weights).sum() / weights.sum()], rel=1e-6)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("batch_size", [1, 8])
def test_a_batch_without_weight_changes_nothing(batch_size, n_threads):
    trainer = classifier(batch_size=batch_size, n_threads=n_threads)
    trainer.fit(X, LABELS)
    state = state_of(trainer.optimizer, trainer.model)
    before, kept = [x.tobytes() for x in buffers(trainer)], state.buffer.tobytes()
    cost = trainer.step(X[:batch_size], LABELS[:batch_size], sample_weight=np.zeros(batch_size))
    assert cost == 0.0
    assert [x.tobytes() for x in buffers(trainer)] == before
    assert state.n_steps == -(-40 // batch_size) + 1
    state.buffer[:16].view("float64")[1] -= 1
    assert state.buffer.tobytes() == kept
    # In the middle of a fit: as if it weren't there.
    weights, kept = np.ones(40), np.r_[:16, 24:40]
    weights[16:24] = 0
    whole, part = (classifier(batch_size=batch_size) for _ in "ab")
    losses = [
        whole.fit(X, LABELS, sample_weight=weights, shuffle=False).loss,
        part.fit(X[kept], LABELS[kept], shuffle=False).loss,
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    assert buffers(whole)[0].tobytes() == buffers(part)[0].tobytes()
    assert buffers(whole)[1].tobytes() == buffers(part)[1].tobytes()


@pytest.mark.parametrize("is_own", [False, True])
def test_a_batch_without_weight_is_a_step_for_schedules(is_own):
    loss = (lambda y_hat, y, w=None: (0.5, y_hat - y)) if is_own else "half_squared_error"
    rates = []
    model = fb.mlp([3, 2], seed=0)
    trainer = fb.Trainer(model, loss, fb.SGD(lambda step: rates.append(step) or 0.1))
    before = model.get_parameters()
    trainer.step(X[:4], REAL[:4], sample_weight=np.zeros(4))
    assert np.array_equal(model.get_parameters(), before)
    trainer.step(X[:4], REAL[:4])
    assert not np.array_equal(model.get_parameters(), before)
    assert max(rates) == 1


def test_one_sample_takes_its_weight_alone():
    a, b = classifier(), classifier()
    assert a.step(X[0], 1, sample_weight=2.0) == b.step(X[:1], [1], sample_weight=[4])
    assert buffers(a)[0].tobytes() == buffers(b)[0].tobytes()


@pytest.mark.parametrize("n_threads", [2, 3])
def test_any_number_of_threads_gives_the_same_bits(n_threads):
    one, many = classifier(n_threads=1), classifier(n_threads=n_threads)
    for trainer in (one, many):
        trainer.fit(np.tile(X, (10, 1)), np.tile(LABELS, 10), sample_weight=np.tile(WEIGHTS, 10))
    assert buffers(one)[0].tobytes() == buffers(many)[0].tobytes()


def test_balanced_classes_weigh_the_same():
    rows, y = X[:4], [0, 0, 0, 1]
    model = lambda: fb.mlp([3, 2], output_activation="softmax", seed=0)  # noqa: E731
    balanced = fb.Trainer(model(), "cross_entropy", class_weight="balanced", seed=0)
    by_hand = fb.Trainer(model(), "cross_entropy", seed=0)
    by_dict = fb.Trainer(model(), "cross_entropy", class_weight={0: 2 / 3, 1: 2.0}, seed=0)
    expected = by_hand.fit(rows, y, sample_weight=[0.666667, 0.666667, 0.666667, 2.0]).loss
    assert balanced.fit(rows, y).loss == pytest.approx(expected, rel=1e-6)
    assert by_dict.fit(rows, y).loss == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(
        balanced.model.get_parameters(), by_hand.model.get_parameters(), rtol=1e-5
    )
    # Weights of samples come on top; evaluate and validation know of no classes.
    both = fb.Trainer(model(), "cross_entropy", class_weight={1: 3.0}, seed=0)
    hand = fb.Trainer(model(), "cross_entropy", seed=0)
    w = np.array([1.0, 2.0, 0.5, 4.0])
    history = both.fit(rows, y, sample_weight=w, validation_data=(rows, y))
    expected = hand.fit(rows, y, sample_weight=w * [1, 1, 1, 3], validation_data=(rows, y))
    assert history.loss == expected.loss
    assert history.validation_loss == expected.validation_loss
    assert both.evaluate(rows, y) == hand.evaluate(rows, y)


def test_class_weight_of_one_sigmoid_output_and_of_one_hot_rows():
    y = (LABELS == 0).astype(int)
    model = lambda: fb.mlp([3, 1], output_activation="sigmoid", seed=0)  # noqa: E731
    trainer = fb.Trainer(model(), "binary_cross_entropy", class_weight={1: 5}, seed=0)
    twin = fb.Trainer(model(), "binary_cross_entropy", seed=0)
    assert trainer.fit(X, y).loss == twin.fit(X, y, sample_weight=np.where(y, 5, 1)).loss
    trainer, twin = (classifier(class_weight={2: 5}) for _ in "ab")
    assert trainer.fit(X, np.eye(3)[LABELS]).loss == pytest.approx(
        twin.fit(X, LABELS).loss, rel=1e-6
    )


def test_a_step_knows_dicts_but_can_not_balance():
    trainer, twin = classifier(class_weight={0: 2.0}), classifier()
    cost = trainer.step(X, LABELS)
    assert cost == twin.step(X, LABELS, sample_weight=np.where(LABELS == 0, 2, 1))
    with pytest.raises(ValueError, match="for single steps, got 'balanced', which needs all"):
        classifier(class_weight="balanced").step(X, LABELS)


def test_a_loss_of_ones_own_gets_the_weights():
    def loss(y_hat, y, weights=None):
        weights = np.ones(len(y)) if weights is None else weights
        difference, share = y_hat - y, (weights / weights.sum())[:, None]
        return float((share * difference**2).sum() / 2), share * difference

    ours, own = regressor(batch_size=7), regressor(batch_size=7)
    model = fb.mlp([3, 5, 2], activation="tanh", seed=0)
    ours = fb.Trainer(model, "half_squared_error", fb.SGD(0.1, momentum=0.9), seed=0, batch_size=7)
    own = fb.Trainer(
        fb.mlp([3, 5, 2], activation="tanh", seed=0), loss, fb.SGD(0.1, momentum=0.9), seed=0,
        batch_size=7,
    )  # fmt: skip
    weights = WEIGHTS.copy()
    weights[7:14] = 0
    for shuffle in (False, True):
        options = {"sample_weight": weights, "shuffle": shuffle}
        assert ours.fit(X, REAL, **options).loss == pytest.approx(
            own.fit(X, REAL, **options).loss, rel=1e-5
        )
    np.testing.assert_allclose(buffers(ours)[0], buffers(own)[0], rtol=1e-4, atol=1e-6)
    assert own.evaluate(X, REAL, sample_weight=weights)["loss"] == pytest.approx(
        ours.evaluate(X, REAL, sample_weight=weights)["loss"], rel=1e-5
    )


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.zeros(40), "sample_weight must have a number above 0, got nothing but 0"),
        (np.r_[np.ones(39), -1], "sample_weight must be finite and at least 0, got -1.0 at index"),
        (np.r_[np.nan, np.ones(39)], "sample_weight must be finite and at least 0, got nan at ind"),
        (np.ones(39), r"sample_weight must have shape \(40,\), one for each sample, got \(39,\)"),
        (np.full(40, "a"), "sample_weight must"),
    ],
)
def test_wrong_weights_are_refused_before_training(weights, words):
    trainer = classifier()
    before = values_of(trainer.model).tobytes()
    for call in (trainer.fit, trainer.evaluate, trainer.find_learning_rate):
        with pytest.raises((ValueError, TypeError), match=words):
            call(X, LABELS, sample_weight=weights)
    with pytest.raises(
        (ValueError, TypeError), match=words.replace("sample_weight", "validation weights")
    ):
        trainer.fit(X, LABELS, validation_data=(X, LABELS, weights))
    assert values_of(trainer.model).tobytes() == before


def test_wrong_class_weights_are_refused_at_once():
    for class_weight, words in [
        ({3: 1.0}, "class_weight must name classes of 0, 1, 2, got 3"),
        ({0: -1.0}, r"class_weight\[0\] must be a finite number of at least 0, got -1"),
        ({0: 0, 1: 0, 2: 0}, "class_weight must have a number above 0, got nothing but 0"),
        ("even", "class_weight must be None, 'balanced' or a dict"),
        ([1, 2, 3], "class_weight must be None, 'balanced' or a dict"),
    ]:
        with pytest.raises((ValueError, TypeError), match=words):
            classifier(class_weight=class_weight)
    with pytest.raises(ValueError, match="class_weight must be None for loss 'mean_squared_error'"):
        regressor(class_weight="balanced")
    with pytest.raises(ValueError, match="times sample_weight must have a number above 0"):
        classifier(class_weight={0: 0}).fit(X, LABELS, sample_weight=LABELS == 0)


def test_statistics_of_batch_norm_count_rows_with_a_weight_alike():
    """Whatever it is: they are about the inputs; cost and gradients have the weights."""
    X = np.random.default_rng(0).normal(size=(8, 2))
    y, w = X[:, 0] * 2, np.array([0, 1, 2, 3, 0, 0.5, 1, 4])
    means, weights = [], []
    for sample_weight in (w, 10 * w, (w > 0).astype(float)):
        layers = [fb.BatchNorm(), fb.Dense(2, 1)]
        model = fb.Sequential(layers, seed=0, dtype="float64")
        fb.Trainer(model, "half_squared_error").step(X, y, sample_weight=sample_weight)
        means.append(model.layers[0].running_mean.copy())
        weights.append(model.get_parameters())
    np.testing.assert_allclose(means[0], 0.1 * X[w > 0].mean(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(means[0], means[1])
    np.testing.assert_array_equal(means[0], means[2])
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-12)
    assert (weights[0] != weights[2]).any()
