"""Trainer: what it learns and measures, and that all roads to the same steps give the same bits."""

import sys
import threading
import tracemalloc

import numpy as np
import pytest
from privates import generator_of, values_of

import fastbackprop as fb

XOR_X, XOR_Y = (
    np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32),
    np.array([0, 1, 1, 0], np.float32),
)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(53, 6)).astype(np.float32)
LABELS = np.argmax(X[:, :3] + 0.5 * RNG.normal(size=(53, 3)), axis=1)
REAL = np.sin(X[:, :1])


def classifier(seed=0, dtype="float32", **options):
    model = fb.mlp(
        [6, 11, 3], activation="tanh", output_activation="softmax", seed=seed, dtype=dtype
    )
    return fb.Trainer(
        model, "cross_entropy", fb.SGD(0.1, momentum=0.9), seed=1, **{"batch_size": 8, **options}
    )


def regressor(learning_rate=0.1):
    model = fb.mlp([6, 11, 1], activation="tanh", seed=0)
    return fb.Trainer(model, "half_squared_error", fb.SGD(learning_rate), seed=1)


def weights(trainer):
    return values_of(trainer.model).tobytes()


def xor_error(widths, hidden, learning_rate, seed):
    model = fb.mlp(widths, activation=hidden, seed=seed)
    trainer = fb.Trainer(model, "half_squared_error", fb.SGD(learning_rate), batch_size=4)
    trainer.fit(np.tile(XOR_X, (5000, 1)), np.tile(XOR_Y, 5000), shuffle=False)
    return abs(model.predict(XOR_X)[:, 0] - XOR_Y).max()


@pytest.mark.parametrize("seed", range(3))
def test_xor_is_learned_with_a_bend_and_by_no_chain_of_lines(seed):
    assert xor_error([2, 8, 1], "tanh", 0.3, seed) < 0.01
    for widths in ([2, 1], [2, 8, 1], [2, 8, 8, 1]):
        # A line's best answer is 1/2 everywhere, so that somewhere it is off by half or more.
        assert xor_error(widths, "identity", 0.05, seed) > 0.499


def test_a_learning_rate_too_small_learns_slowly():
    losses = {}
    for learning_rate in (1e-5, 0.1):
        losses[learning_rate] = regressor(learning_rate).fit(X, REAL, epochs=50).loss
    slow, quick = losses[1e-5], losses[0.1]
    assert slow[0] > slow[-1] > 0.98 * slow[0]
    assert quick[-1] < 0.3 * quick[0]


@pytest.mark.parametrize("batch_size", [1, 8, 52, 53, 54, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fit_in_order_is_its_steps_in_order_the_short_last_one_too(batch_size, dtype):
    trainer, twin = classifier(dtype=dtype, batch_size=batch_size), classifier(dtype=dtype)
    history = trainer.fit(X, LABELS, epochs=2, shuffle=False)
    for epoch in range(2):
        total = 0.0
        for i in range(0, 53, batch_size):
            part = slice(i, i + batch_size)
            total += twin.step(X[part], LABELS[part]) * len(X[part])
        assert history.loss[epoch] == pytest.approx(total / 53, rel=1e-12)
    assert weights(trainer) == weights(twin)


def test_shuffling_takes_each_sample_once_in_an_order_of_the_seed():
    # Inputs of 0 and targets 2^i: the bias follows the samples, so the cost tells their order.
    seen = []
    for seed in (1, 1, 2):
        model = fb.mlp([1, 1], weight_init=0.0)
        trainer = fb.Trainer(model, "half_squared_error", fb.SGD(0.5), batch_size=1, seed=seed)
        rows = np.zeros((6, 1))
        seen.append([trainer.fit(rows, 2.0 ** np.arange(6)).loss[0] for _ in range(5)])
    assert seen[0] == seen[1] != seen[2]
    assert len(set(seen[0])) > 1  # every epoch has an order of its own
    once = fb.Trainer(
        fb.mlp([6, 1], seed=0), "half_squared_error", fb.SGD(1e-30), batch_size=5, seed=0
    )
    # With weights that stay, the mean cost of a shuffled epoch is that of all samples.
    assert once.fit(X, REAL).loss[0] == pytest.approx(once.evaluate(X, REAL)["loss"], rel=1e-6)


def test_step_returns_the_cost_before_the_step():
    trainer = classifier(batch_size=53)
    before = trainer.evaluate(X, LABELS)["loss"]
    assert trainer.step(X, LABELS) == pytest.approx(before, rel=1e-6)
    assert trainer.evaluate(X, LABELS)["loss"] < before
    one = classifier()
    assert one.step(X[0], LABELS[0]) == classifier().step(X[:1], LABELS[:1])
    assert one.step(X[0], np.eye(3)[LABELS[0]]) > 0


def test_fit_twice_goes_on():
    trainer, twin = classifier(), classifier()
    first, second = trainer.fit(X, LABELS, shuffle=False), trainer.fit(X, LABELS, shuffle=False)
    both = twin.fit(X, LABELS, epochs=2, shuffle=False)
    assert weights(trainer) == weights(twin)
    assert first.loss + second.loss == both.loss
    assert trainer.history is second


def test_validation_data_is_evaluated_after_each_epoch_and_not_trained_on():
    trainer, twin = classifier(), classifier()
    expected = []
    validation = X[:20] + 1, LABELS[:20]

    def evaluate(history):
        assert history is trainer.history
        expected.append(trainer.evaluate(*validation))

    history = trainer.fit(X, LABELS, epochs=3, validation_data=validation, on_epoch_end=evaluate)
    assert history.validation_loss == [e["loss"] for e in expected]
    assert history.validation_accuracy == [e["accuracy"] for e in expected]
    twin.fit(X, LABELS, epochs=3)
    assert weights(trainer) == weights(twin)


def test_history_has_a_number_for_each_epoch_and_prints_as_a_table():
    history = classifier().fit(X, LABELS, epochs=3, validation_data=(X, LABELS))
    figures = history.to_dict()
    assert list(figures) == [
        "loss",
        "accuracy",
        "validation_loss",
        "validation_accuracy",
        "seconds",
    ]
    assert len(history) == 3
    assert all(len(values) == 3 for values in figures.values())
    assert all(s > 0 for s in history.seconds)
    lines = str(history).splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert lines[3].split()[:3] == ["3", f"{history.loss[2]:.4f}", f"{history.accuracy[2]:.4f}"]
    figures["loss"].clear()  # a copy
    assert len(history) == 3


def test_on_epoch_end_sees_every_epoch_and_may_stop_the_fit():
    lengths = []
    trainer = regressor()
    trainer.fit(X, REAL, epochs=4, on_epoch_end=lambda history: lengths.append(len(history)))
    assert lengths == [1, 2, 3, 4]

    def stop(history):
        if len(history) == 2:
            raise StopIteration

    with pytest.raises(StopIteration):
        trainer.fit(X, REAL, epochs=4, on_epoch_end=stop)
    assert len(trainer.history) == 2
    assert len(trainer.fit(X, REAL, epochs=1)) == 1


def accuracy_by_numpy(model, y):
    y_hat = model.predict(X)
    if model.layers[-1].activation == "sigmoid":
        return np.mean((y_hat > 0.5) == (np.reshape(y, y_hat.shape) > 0.5))
    return np.mean(y_hat.argmax(axis=1) == (y if np.ndim(y) == 1 else np.argmax(y, axis=1)))


ACCURACIES = {
    "labels": ("softmax", "cross_entropy", 3, LABELS),
    "labels as floats": ("softmax", "cross_entropy", 3, LABELS.astype(float)),
    "one-hot": ("softmax", "cross_entropy", 3, np.eye(3)[LABELS]),
    "one output": ("sigmoid", "binary_cross_entropy", 1, LABELS == 1),
    "many outputs": ("sigmoid", "binary_cross_entropy", 3, np.eye(3)[LABELS]),
}


@pytest.mark.parametrize("case", ACCURACIES)
def test_accuracy_is_the_numpy_one(case):
    output, loss, n_out, y = ACCURACIES[case]
    model = fb.mlp([6, 9, n_out], activation="relu", output_activation=output, seed=0)
    trainer = fb.Trainer(model, loss, fb.SGD(0.05), batch_size=10, seed=0)
    assert trainer.evaluate(X, y)["accuracy"] == accuracy_by_numpy(model, y)
    # In training each sample is judged before its step; one batch of all is judged before the only
    # step.
    before = accuracy_by_numpy(model, y)
    assert fb.Trainer(model, loss, batch_size=53).fit(X, y).accuracy == [before]
    history = trainer.fit(X, y, epochs=30)
    assert trainer.evaluate(X, y)["accuracy"] == accuracy_by_numpy(model, y) > before
    assert history.accuracy[-1] > history.accuracy[0]


def test_regression_has_no_accuracy():
    trainer = regressor()
    history = trainer.fit(X, REAL, epochs=2, validation_data=(X, REAL))
    assert list(history.to_dict()) == ["loss", "validation_loss", "seconds"]
    assert list(trainer.evaluate(X, REAL)) == ["loss"]
    half = 0.5 * ((trainer.model.predict(X).astype(float) - REAL) ** 2).mean()
    assert trainer.evaluate(X, REAL)["loss"] == pytest.approx(half, rel=1e-6)
    assert trainer.evaluate(X, REAL[:, 0]) == trainer.evaluate(X, REAL)  # (n,) for one output


def test_the_learning_rate_can_be_assigned_between_steps():
    trainer = fb.Trainer(fb.mlp([6, 1], weight_init=0.0), "half_squared_error", fb.SGD(0.5))
    layer = trainer.model.layers[0]
    trainer.step(X, REAL)
    first = layer.weight.copy()
    layer.weight, layer.bias = np.zeros((6, 1)), [0]
    trainer.optimizer.learning_rate = 0.25
    trainer.step(X, REAL)
    assert (layer.weight == first / 2).all()  # powers of two: exact


def test_the_progress_bar_is_shown_where_asked_for_only(capsys):
    trainer = regressor()
    trainer.fit(X, REAL, epochs=2)  # standard error isn't a terminal here
    trainer.fit(X, REAL, epochs=2, progress_bar=False)
    assert capsys.readouterr() == ("", "")
    trainer.fit(X, REAL, epochs=2, progress_bar=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "epoch 2/2 |" in err
    assert "loss" in err


def test_no_standard_error_at_all_is_fine(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)  # as under pythonw
    assert len(regressor().fit(X, REAL)) == 1


def test_x_that_is_ready_is_not_copied():
    big = np.zeros((40_000, 50), np.float32)
    big.flags.writeable = False
    trainer = fb.Trainer(fb.mlp([50, 1], seed=0), "half_squared_error")
    y = np.zeros((40_000, 1), np.float32)
    peaks = []
    for given in (big, np.asfortranarray(big)):
        tracemalloc.start()
        trainer.fit(given, y)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] < 0.2 * big.nbytes < big.nbytes <= peaks[1]


def test_two_fits_of_one_epoch_are_a_fit_of_two():
    X = np.linspace(-1, 1, 60).reshape(20, 3)
    y = X @ np.ones((3, 2))
    together, apart = (
        fb.Trainer(fb.mlp([3, 4, 2], seed=3), "mean_squared_error", "sgd", batch_size=7, seed=5)
        for _ in "ab"
    )
    together.fit(X, y, epochs=2)
    apart.fit(X, y)
    apart.fit(X, y)
    for a, b in zip(together.model.layers, apart.model.layers, strict=True):
        assert a.weight.tobytes() == b.weight.tobytes()


def test_complaints_about_validation_data_name_it():
    trainer = fb.Trainer(fb.mlp([3, 2], seed=0), "mean_squared_error")
    X, y = np.ones((4, 3)), np.ones((4, 2))
    with pytest.raises(ValueError, match="validation X must have 3 columns"):
        trainer.fit(X, y, validation_data=(X[:, :2], y))
    with pytest.raises(
        ValueError,
        match="validation X and validation y must have the same number of rows, got 4 and 3",
    ):
        trainer.fit(X, y, validation_data=(X, y[:3]))


def test_batch_size_of_one_fit():
    X, y = np.arange(12.0).reshape(6, 2) / 12, np.ones((6, 1))
    given, fixed = (
        fb.Trainer(fb.mlp([2, 1], seed=1), "mean_squared_error", batch_size=n, seed=1)
        for n in (32, 4)
    )
    given.fit(X, y, batch_size=4)
    fixed.fit(X, y)
    assert given.model.layers[0].weight.tobytes() == fixed.model.layers[0].weight.tobytes()
    assert given.batch_size == 32
    with pytest.raises(ValueError, match="batch_size must be an integer of at least 1, got 0"):
        given.fit(X, y, batch_size=0)


def test_labels_are_the_trainers_own_once_a_fit_has_begun():
    # The kernels index with labels: were they the caller's array, this would write far out of
    # bounds.
    y = np.zeros(64, np.int64)
    trainer = fb.Trainer(
        fb.mlp([2, 3], output_activation="softmax", seed=0), "cross_entropy", fb.SGD(1.0)
    )
    history = trainer.fit(np.ones((64, 2)), y, epochs=3, on_epoch_end=lambda history: y.fill(10**9))
    assert history.accuracy[-1] == 1.0


def test_nan_is_never_right():
    for output, loss, y in (
        ("softmax", "cross_entropy", [0, 1]),
        ("sigmoid", "binary_cross_entropy", [[0, 0], [1, 1]]),
    ):
        trainer = fb.Trainer(fb.mlp([3, 2], output_activation=output, seed=0), loss)
        assert trainer.evaluate(np.full((2, 3), np.nan), y, check_finite=False)["accuracy"] == 0.0


def test_the_order_of_rows_does_not_come_from_the_words_of_the_weights():
    trainer = fb.Trainer(fb.mlp([2, 1], seed=7), "mean_squared_error", seed=7)
    assert generator_of(trainer).random_raw(1) != np.random.PCG64(7).random_raw(1)


def test_optimizer_step_waits_for_no_other_training_but_refuses():
    model, X, y = fb.mlp([2, 1], seed=0), np.ones((8, 2)), np.ones((8, 1))
    sgd = fb.SGD(0.1)
    model.backward(model.forward(X))
    refused = []

    def other_thread(history):
        def step():
            with pytest.raises(RuntimeError, match="one thread at a time"):
                sgd.step(model)
            refused.append(True)

        thread = threading.Thread(target=step)
        thread.start()
        thread.join()

    fb.Trainer(model, "mean_squared_error").fit(X, y, on_epoch_end=other_thread)
    assert refused == [True]
    with pytest.raises(TypeError, match="model must be a Sequential, got int"):
        sgd.step(3)


@pytest.mark.parametrize("label", [2, [2], np.int8(2), 2.0])
def test_one_sample_takes_its_label_alone_or_in_a_list(label):
    costs = []
    for y in (label, [0, 0, 1]):
        trainer = fb.Trainer(fb.mlp([2, 3], output_activation="softmax", seed=0), "cross_entropy")
        costs.append(trainer.step([0.5, 0.25], y))
    assert costs[0] == costs[1]


def test_a_repr_has_what_is_not_the_default():
    model = fb.mlp([3, 1], output_activation="sigmoid", seed=0)
    trainer = fb.Trainer(
        model, fb.BinaryCrossEntropy(label_smoothing=0.1), seed=3, n_threads=2, clip_norm=1.0,
        clip_value=0.5, class_weight={"b": 2.0}, classes=["a", "b"], batch_size=8, diagnose=True,
    )  # fmt: skip
    assert repr(trainer) == (
        f"Trainer({model!r}, loss=BinaryCrossEntropy(label_smoothing=0.1), SGD(0.01), "
        "batch_size=8, seed=3, n_threads=2, class_weight={'b': 2.0}, clip_value=0.5, "
        "clip_norm=1.0, classes=['a', 'b'], diagnose=True)"
    )
    plain = fb.Trainer(fb.mlp([3, 1], seed=0), "half_squared_error")
    assert repr(plain).endswith("loss='half_squared_error', SGD(0.01), batch_size=32)")


def test_a_resumed_trainer_shows_its_seed(tmp_path):
    trainer = fb.Trainer(fb.mlp([3, 1], seed=0), fb.Huber(0.5), seed=2**70)
    trainer.save_checkpoint(tmp_path / "c")
    assert repr(fb.Trainer.resume(tmp_path / "c")) == repr(trainer)
