"""The quick paths of a trainer: bits, states and errors of the long way, and when it is taken."""

import copy
import pickle
import threading

import numpy as np
import pytest
from loss_cases import NAMES, TAKES_LABELS, last_activation, loss_of, targets_of
from privates import (
    OPTIMIZERS,
    LongWayError,
    generator_of,
    leave_quick_paths,
    lock_of,
    n_forwards_of,
    only_quick_paths,
    optimizer_bytes,
    store_of,
)

import fastbackprop as fb

DTYPES = ("float32", "float64")
BODIES = {
    "dense": lambda n_out, last: [fb.Dense(4, 9, "tanh"), fb.Dense(9, n_out, last)],
    "no bias": lambda n_out, last: [
        fb.Dense(4, 9, "relu", bias=False, l1=0.01),
        fb.Dense(9, n_out, last, max_norm=1.0),
    ],
    "dropout": lambda n_out, last: [
        fb.Dense(4, 9, "gelu"),
        fb.Dropout(0.3),
        fb.Dense(9, n_out, last, learning_rate_factor=2.0),
    ],
    "batch norm": lambda n_out, last: [
        fb.Dense(4, 9),
        fb.BatchNorm(),
        fb.Activation("relu"),
        fb.Dense(9, n_out, last),
    ],
    "layer norm": lambda n_out, last: [
        fb.LayerNorm(),
        fb.Dense(4, 9, trainable=False),
        fb.Activation("silu"),
        fb.Dense(9, n_out, last),
    ],
}


def trainer_of(name, dtype="float32", optimizer="sgd", body="dense", n_out=4, **settings):
    """A trainer with that loss."""
    model = fb.Sequential(BODIES[body](n_out, last_activation(name)), seed=3, dtype=dtype)
    return fb.Trainer(model, loss_of(name), optimizer, seed=5, **settings)


def batches_of(name, dtype, n_out=4, labels=False):
    """Batches of 5, 1, 5 and 3 rows, then a row by itself, with their targets."""
    rng = np.random.default_rng(0)
    for n in (5, 1, 5, 3):
        X, y = rng.normal(size=(n, 4)), targets_of(name, rng, n, n_out, labels)
        yield X.astype(dtype), y if labels else y.astype(dtype)
    X, y = rng.normal(size=4), targets_of(name, rng, 1, n_out, labels)[0]
    yield X.astype(dtype), y if labels else y.astype(dtype)


def state_bytes(trainer):
    """All that a step changes."""
    return (
        store_of(trainer.model).tobytes(),
        optimizer_bytes(trainer),
        n_forwards_of(trainer.model),
        generator_of(trainer).__getstate__()[1],
    )


def test_names_of_losses_are_all():
    assert len(NAMES) >= 11


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "labels"), [(x, False) for x in NAMES] + [(x, True) for x in TAKES_LABELS]
)
def test_steps_and_evaluations_are_those_of_the_long_way(name, labels, dtype, monkeypatch):
    quick, long = trainer_of(name, dtype), trainer_of(name, dtype)
    for _ in range(3):
        for X, y in batches_of(name, dtype, labels=labels):
            leave_quick_paths(long.model)
            assert quick.step(X, y) == long.step(X, y)
            if X.ndim == 2:
                leave_quick_paths(long.model)
                assert quick.evaluate(X, y) == long.evaluate(X, y)
    assert state_bytes(quick) == state_bytes(long)
    only_quick_paths(monkeypatch)
    for X, y in batches_of(name, dtype, labels=labels):
        quick.step(X, y)
        if X.ndim == 2:
            quick.evaluate(X, y)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("body", BODIES)
def test_every_optimizer_and_layer(body, optimizer, monkeypatch):
    quick, long = (trainer_of("huber", optimizer=optimizer, body=body) for _ in range(2))
    for _ in range(3):
        for X, y in batches_of("huber", "float32"):
            leave_quick_paths(long.model)
            assert quick.step(X, y) == long.step(X, y)
    assert state_bytes(quick) == state_bytes(long)
    only_quick_paths(monkeypatch)
    quick.step(X, y)


@pytest.mark.parametrize(
    "settings",
    [{"clip_value": 0.01}, {"clip_norm": 0.01}, {"clip_value": 0.1, "clip_norm": 0.05}],
)
def test_clipping_and_weights(settings):
    rng = np.random.default_rng(0)
    momentum = fb.SGD(0.1, momentum=0.9)
    quick, long = (
        trainer_of("half_squared_error", optimizer=x, body="batch norm", **settings)
        for x in (momentum, copy.copy(momentum))
    )
    for k in range(8):
        for X, y in list(batches_of("half_squared_error", "float32"))[:4]:
            weights = rng.integers(0, 2, len(X)).astype("f4") * np.float32(0.7)
            weights = weights if k % 4 else np.zeros_like(weights)
            leave_quick_paths(long.model)
            assert quick.step(X, y, sample_weight=weights) == long.step(X, y, sample_weight=weights)
    assert state_bytes(quick) == state_bytes(long)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy", "huber"])
def test_fits_of_one_row(name, shuffle):
    quick, long = trainer_of(name, body="dropout"), trainer_of(name, body="dropout")
    rows = [(X, y) for X, y in batches_of(name, "float32") if len(X) == 1]
    for X, y in rows * 3:
        leave_quick_paths(long.model)
        histories = [x.fit(X, y, shuffle=shuffle).to_dict() for x in (quick, long)]
        assert all(len(history.pop("seconds")) == 1 for history in histories)
        assert histories[0] == histories[1]
        assert quick.history.loss == long.history.loss
    assert state_bytes(quick) == state_bytes(long)
    X, y = next(batches_of(name, "float32"))  # whose rows are shuffled by the next words
    assert quick.fit(X, y, batch_size=2).loss == long.fit(X, y, batch_size=2).loss


def test_the_quick_paths_are_taken(monkeypatch):
    trainer, row = trainer_of("cross_entropy", optimizer="adam"), np.ones((1, 4), "f4")
    calls = (
        lambda: trainer.step(row, np.array([1])),
        lambda: trainer.step(row[0], 2),
        lambda: trainer.step(row[0], np.int64(2)),
        lambda: trainer.step(row, np.array([[1]], "i4")),
        lambda: trainer.step(row, np.array([[0, 1, 0, 0]])),
        lambda: trainer.step(row, np.array([1]), sample_weight=np.ones(1, "f4")),
        lambda: trainer.evaluate(row, np.array([1])),
        lambda: trainer.fit(row, np.array([1]), progress_bar=False),
        lambda: trainer.model.predict(row),
    )
    for call in calls:
        call()
    only_quick_paths(monkeypatch)
    for call in calls * 2:
        call()
    other = trainer_of("half_squared_error", n_out=1)
    with pytest.raises(LongWayError):
        other.step(row, np.ones(1))


@pytest.mark.parametrize(
    ("what", "leave"),
    [
        ("a setting", lambda x: setattr(x.optimizer, "learning_rate", 0.1)),
        ("a schedule", lambda x: setattr(x.optimizer, "learning_rate", lambda step: 0.1)),
        ("a frozen layer", lambda x: setattr(x.model.layers[0], "trainable", False)),
    ],
)
def test_what_changes_the_next_step_is_heard_of(what, leave, monkeypatch):
    quick, long = trainer_of("cross_entropy"), trainer_of("cross_entropy")
    data = np.ones((1, 4), "f4"), np.array([1])
    for trainer in (quick, long):
        trainer.step(*data)
    quick.step(*data)
    leave_quick_paths(long.model)
    long.step(*data)
    leave(quick)
    leave(long)
    with monkeypatch.context() as patches:
        only_quick_paths(patches)
        with pytest.raises(LongWayError):
            quick.step(*data)
    for _ in range(2):
        leave_quick_paths(long.model)
        assert quick.step(*data) == long.step(*data)
    assert state_bytes(quick) == state_bytes(long)


def test_weights_that_are_assigned_count_at_once():
    quick, long = trainer_of("huber"), trainer_of("huber")
    (X, y), *_ = batches_of("huber", "float32")
    for trainer in (quick, long):
        trainer.step(X, y)
        trainer.model.set_parameters(np.linspace(-1, 1, trainer.model.n_parameters))
        trainer.model.layers[0].weight = np.full((4, 9), 0.1)
    leave_quick_paths(long.model)
    assert quick.step(X, y) == long.step(X, y)
    quick.reset()
    long.reset()
    leave_quick_paths(long.model)
    assert quick.step(X, y) == long.step(X, y)
    assert state_bytes(quick) == state_bytes(long)


def test_labels_of_the_users_own_are_never_taken_for_indices():
    X, y = np.eye(4, dtype="f4"), np.array([3, 2, 3, 2])
    model = fb.mlp([4, 2], output_activation="softmax", seed=0)
    trainer = fb.Trainer(model, "cross_entropy", seed=0)
    for _ in range(2):  # as indices
        trainer.step(X, np.array([0, 1, 0, 1]))
        trainer.evaluate(X, np.array([0, 1, 0, 1]))
    trainer.fit(X, y)
    for _ in range(2):
        assert trainer.step(X, y) > 0
        assert trainer.evaluate(X, y)["loss"] > 0
        with pytest.raises(ValueError, match="model's classes"):
            trainer.step(X, np.array([0, 1, 0, 1]))


WRONG = {
    "X isn't finite": ([[1, np.nan, 1, 1]], [1]),
    "too many columns": (np.ones((1, 5)), [1]),
    "no rows": (np.ones((0, 4)), np.ones(0, int)),
    "too many labels": (np.ones((1, 4)), [1, 2]),
    "a label too high": (np.ones((1, 4)), [4]),
    "a negative label": (np.ones((1, 4)), [-1]),
    "no probabilities": (np.ones((1, 4)), np.full((1, 4), 0.3, "f4")),
    "a negative probability": (np.ones((1, 4)), np.array([[1.5, -0.5, 0, 0]], "f4")),
    "y isn't finite": (np.ones((1, 4)), np.array([[np.inf, 0, 0, 0]], "f4")),
    "a label that isn't whole": (np.ones((1, 4)), [1.5]),
    "three axes": (np.ones((1, 1, 4)), [1]),
}


@pytest.mark.parametrize("what", WRONG)
def test_errors_are_those_of_the_long_way(what):
    X, y = np.asarray(WRONG[what][0], "f4"), np.asarray(WRONG[what][1])
    quick, long = trainer_of("cross_entropy"), trainer_of("cross_entropy")
    for trainer in (quick, long):
        trainer.step(np.ones((1, 4), "f4"), np.array([1]))
        trainer.evaluate(np.ones((1, 4), "f4"), np.array([1]))
    before = state_bytes(quick)
    for name in ("step", "evaluate", "fit"):
        sentences = []
        for trainer in (quick, long):
            leave_quick_paths(long.model)
            with pytest.raises((ValueError, TypeError)) as error:
                getattr(trainer, name)(X, y)
            sentences.append(str(error.value))
        assert sentences[0] == sentences[1]
    assert state_bytes(quick) == before


RANGES = {
    "binary_cross_entropy": [1.5, -0.5],
    "poisson": [-1.0],
    "hinge": [0.5],
    "huber": [np.nan, np.inf],
}


@pytest.mark.parametrize("name", RANGES)
def test_targets_out_of_a_losses_range(name):
    trainer, X = trainer_of(name, n_out=1), np.ones((1, 4), "f4")
    for _ in range(2):
        trainer.step(X, np.ones(1, "f4"))
        trainer.step(X, np.ones((1, 1)))
        trainer.step(X[0], 1.0)
        trainer.evaluate(X, np.ones(1, int))
    for wrong in RANGES[name]:
        for y in (np.array([wrong], "f4"), np.array([[wrong]])):
            for call in (trainer.step, trainer.evaluate, trainer.fit):
                with pytest.raises(ValueError, match=r"^y must be"):
                    call(X, y)
        with pytest.raises(ValueError, match=r"^y must be"):
            trainer.step(X[0], wrong)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_step_that_diverges_is_undone_and_tells_as_ever(optimizer):
    sentences, states = [], []
    for is_quick in (True, False):
        trainer = trainer_of("half_squared_error", optimizer=optimizer, body="batch norm")
        X, y = np.ones((2, 4), "f4"), np.ones((2, 4), "f4")
        X[1] = 2
        trainer.step(X, y)
        before = state_bytes(trainer)
        for call, n in ((trainer.step, 2), (trainer.fit, 1)):
            if not is_quick:
                leave_quick_paths(trainer.model)
            with pytest.raises(fb.DivergenceError) as error:
                call(X[:n] * np.float32(1e20), y[:n] * np.float32(3e38))
            sentences.append(str(error.value))
        assert state_bytes(trainer)[:3] == before[:3]
        states.append(state_bytes(trainer))
    assert sentences[:2] == sentences[2:]
    assert states[0] == states[1]


def test_a_model_that_another_thread_trains_is_left_alone():
    trainer, X, y = trainer_of("huber"), np.ones((1, 4), "f4"), np.ones((1, 4), "f4")
    trainer.step(X, y)
    entered, leave = threading.Event(), threading.Event()

    def hold():
        entered.set()
        leave.wait(60)

    thread = threading.Thread(target=lock_of(trainer.model).run, args=(hold,))
    thread.start()
    entered.wait(60)
    before = state_bytes(trainer)
    for call in (trainer.step, trainer.fit):
        with pytest.raises(RuntimeError, match="one thread at a time"):
            call(X, y)
    assert trainer.evaluate(X, y)["loss"] > 0
    leave.set()
    thread.join()
    assert state_bytes(trainer)[:3] == before[:3]
    trainer.step(X, y)


def test_a_step_waits_for_who_copies_the_weights():
    trainer, X, y = trainer_of("huber"), np.ones((1, 4), "f4"), np.ones((1, 4), "f4")
    trainer.step(X, y)
    entered, leave, has_stepped = threading.Event(), threading.Event(), threading.Event()

    def copy_weights():
        entered.set()
        leave.wait(60)
        assert not has_stepped.is_set()

    def step():
        trainer.step(X, y)
        has_stepped.set()

    reader = threading.Thread(target=lock_of(trainer.model).read, args=(copy_weights,))
    reader.start()
    entered.wait(60)
    stepper = threading.Thread(target=step)
    stepper.start()
    assert not has_stepped.wait(0.05)
    leave.set()
    reader.join()
    stepper.join()
    assert has_stepped.is_set()


def test_threads_that_step_the_same_trainer_lose_no_step():
    trainer, X, y = trainer_of("huber", optimizer="adam"), np.ones((1, 4), "f4"), np.ones((1, 4))
    done, refused = [], []

    def run():
        for _ in range(300):
            try:
                done.append(trainer.step(X, y.astype("f4")))
            except RuntimeError as error:  # the other one's step was at work
                refused.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) + len(refused) == 900
    assert all("one thread at a time" in sentence for sentence in refused)
    assert n_forwards_of(trainer.model) == len(done) > 0
    twin = trainer_of("huber", optimizer="adam")
    for _ in done:
        twin.step(X, y.astype("f4"))
    assert state_bytes(trainer)[:2] == state_bytes(twin)[:2]


def test_a_fit_inside_of_a_fit_has_its_own_history():
    trainer, X, y = trainer_of("huber"), np.ones((3, 4), "f4"), np.ones((3, 4), "f4")
    trainer.fit(X[:1], y[:1])
    inner = []

    def fit_one(history):
        inner.append(trainer.fit(X[:1], y[:1]))
        assert trainer.step(X[:1], y[:1]) > 0

    history = trainer.fit(X, y, epochs=3, on_epoch_end=fit_one)
    assert len(history) == 3
    assert trainer.history is history
    assert all(len(x) == 1 for x in inner)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_go_on_by_themselves(copied):
    trainer, X, y = trainer_of("huber", body="dropout"), np.ones((1, 4), "f4"), np.ones((1, 4))
    y = y.astype("f4")
    trainer.step(X, y)
    trainer.evaluate(X, y)
    trainer.fit(X, y)
    twin = copied(trainer)
    before = state_bytes(trainer)
    assert state_bytes(twin) == before
    losses = [twin.step(X, y) for _ in range(3)]
    assert state_bytes(trainer) == before
    assert [trainer.step(X, y) for _ in range(3)] == losses
    assert state_bytes(twin) == state_bytes(trainer)


def test_batches_of_all_sizes_stay_quick(monkeypatch):
    """One that is too large for it doesn't spoil the path for those that aren't."""
    trainer, X, y = trainer_of("huber"), np.ones((90_000, 4), "f4"), np.ones((90_000, 4), "f4")
    for n in (3, 90_000):
        trainer.step(X[:n], y[:n])
        trainer.evaluate(X[:n], y[:n])
    only_quick_paths(monkeypatch)
    trainer.step(X[:2], y[:2])
    trainer.evaluate(X[:2], y[:2])


@pytest.mark.parametrize(
    "scaling", [{"scale_inputs": True}, {"scale_targets": True}, {"scale_inputs": "robust"}]
)
def test_models_that_scale_take_the_long_way(scaling, monkeypatch):
    """What users give is in their units, which the kernels' steps don't know."""
    rng = np.random.default_rng(0)
    X, y = 100 + 10 * rng.normal(size=(20, 4)).astype("f4"), 50 * np.ones((20, 1), "f4")
    y += X[:, :1]
    model = fb.mlp([4, 8, 1], seed=0, **scaling)
    trainer, twin = (fb.Trainer(x, "half_squared_error") for x in (model, copy.deepcopy(model)))
    for one in (trainer, twin):
        one.model.fit_scaling(X, y)
    for k in range(4):
        row = X[k : k + 1], y[k : k + 1]
        assert trainer.step(*row) == twin.step(row[0].tolist(), row[1].tolist())
        assert trainer.evaluate(*row) == twin.evaluate(row[0].tolist(), row[1].tolist())
        slopes = trainer.model.jacobian(row[0])
        assert (slopes == twin.model.jacobian(row[0].tolist())).all()
        gradients = [
            one.model.backward(np.ones_like(one.model.forward(x)))
            for one, x in ((trainer, row[0]), (twin, row[0].tolist()))
        ]
        assert (gradients[0] == gradients[1]).all()
        trainer.optimizer.step(trainer.model)
        twin.optimizer.step(twin.model)
        assert trainer.fit(*row).loss == twin.fit(row[0].tolist(), row[1].tolist()).loss
    assert state_bytes(trainer) == state_bytes(twin)
    only_quick_paths(monkeypatch)
    with pytest.raises(LongWayError):
        trainer.step(X[:1], y[:1])
