"""What stops being finite is named, and the weights of the best epoch stay, to the bit."""

import pickle
import re

import numpy as np
import pytest
from privates import state_of, values_of

import fastbackprop as fb

X = np.random.default_rng(0).normal(size=(53, 6)).astype(np.float32)
REAL = np.sin(X[:, :1])


def weights(trainer):
    return values_of(trainer.model).tobytes()


def divergence(trainer, X, y, epochs):
    """The error of a fit in order, and a twin that made the epochs up to the best one by steps."""
    twin, other = (pickle.loads(pickle.dumps(trainer)) for _ in range(2))
    with pytest.raises(fb.DivergenceError) as caught:
        trainer.fit(X, y, epochs=epochs, shuffle=False)
    error, size = caught.value, trainer.batch_size
    losses = trainer.history.loss
    n_kept = 1 + int(np.argmin(losses)) if losses else 0
    batches = [(X[i : i + size], y[i : i + size]) for i in range(0, len(X), size)]
    for step in batches * n_kept:
        twin.step(*step)
    n_good = (error.epoch - 1) * len(batches) + error.batch - 1
    for i in range(n_good):
        other.step(*batches[i % len(batches)])
    before = weights(other)
    with pytest.raises(fb.DivergenceError, match="keeps the weights of before the step") as again:
        other.step(*batches[n_good % len(batches)])
    assert weights(other) == before
    assert again.value.layer == error.layer
    assert again.value.batch == n_good + 1
    kept = f"of epoch {n_kept}, the best" if n_kept else "of before the fit"
    assert f"; the model keeps the weights {kept}. " in str(error)
    return error, twin


# The loss overflows because steps are too long; the weights do, where inputs of 1e-30 keep the
# outputs small, because this weight decay makes each of them -4 times what it was.
DIVERGING = {
    "loss, soon": ([6, 11, 1], "relu", {"learning_rate": 3.0}, X),
    "loss, at once": ([6, 11, 1], "tanh", {"learning_rate": 1e30}, X),
    "weights, late": ([6, 1], "tanh", {"learning_rate": 1.0, "weight_decay": 5.0}, X * 1e-30),
    "weights, at once": ([6, 1], "tanh", {"learning_rate": 3e38, "weight_decay": 1e3}, X * 1e-30),
}


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("case", DIVERGING)
def test_a_divergence_is_named_and_leaves_the_weights_of_the_best_epoch(case, momentum):
    widths, activation, options, rows = DIVERGING[case]
    model = fb.mlp(widths, activation=activation, bias=len(widths) > 2, seed=0)
    trainer = fb.Trainer(
        model, "half_squared_error", fb.SGD(**options, momentum=momentum), batch_size=8
    )
    start = weights(trainer)
    error, twin = divergence(trainer, rows, REAL, epochs=200)
    assert weights(trainer) == weights(twin)
    states = [state_of(one.optimizer, one.model) for one in (trainer, twin)]
    assert np.array_equal(states[0].planes, states[1].planes)
    assert len(states[0].planes) == (momentum > 0)
    assert np.isfinite(values_of(model)).all()
    said = {
        "loss": "The loss stopped being finite",
        "weights": "would have made weights infinite or NaN",
    }
    assert said[case.split(",")[0]] in str(error)
    where = f"in epoch {error.epoch}, batch {error.batch}, first in layers[{error.layer}] (Dense("
    assert where in str(error)
    if "weight_decay" in options:
        assert "learning_rate * weight_decay must be below 1, got" in str(error)
    else:
        assert f"smaller learning rate than {options['learning_rate']:g}" in str(error)
    assert len(trainer.history) == error.epoch - 1
    assert (error.epoch > 1) == ("late" in case) or case == "loss, soon"
    assert (weights(trainer) == start) == (error.epoch == 1)
    assert pickle.loads(pickle.dumps(error)).batch == error.batch


def test_a_divergence_in_the_first_epoch_leaves_the_weights_of_before_the_fit():
    # Only the 21st sample is too large: two batches of ten are learned before it comes.
    trainer = fb.Trainer(
        fb.mlp([6, 1], seed=0), "half_squared_error", fb.SGD(0.1, momentum=0.5), batch_size=10
    )
    trainer.step(X[:5], REAL[:5])
    state = state_of(trainer.optimizer, trainer.model)
    start, start_state = weights(trainer), state.buffer.copy()
    rows, y = X.copy(), REAL * np.float32(1e-6)
    rows[20], y[20] = 1e23, 1e18
    with pytest.raises(fb.DivergenceError, match="keeps the weights of before the fit") as caught:
        trainer.fit(rows, y, shuffle=False)
    error = caught.value
    assert (error.epoch, error.batch) == (1, 3)
    assert weights(trainer) == start
    assert np.array_equal(state.buffer, start_state)
    assert state.n_steps == 1  # the one by itself: the steps of the fit are undone


def test_the_layer_that_overflows_first_is_named():
    model = fb.mlp([1, 1, 1, 1], weight_init=1.0)
    model.layers[1].weight = [[3e38]]
    trainer = fb.Trainer(model, "half_squared_error", fb.SGD(1e-3))
    with pytest.raises(fb.DivergenceError, match=r"first in layers\[1\] \(Dense\(1, 1") as caught:
        trainer.step([[10.0]], [[0.0]])
    assert (caught.value.epoch, caught.value.batch, caught.value.layer) == (1, 1, 1)
    with pytest.raises(fb.DivergenceError, match=r"epoch 1, batch 1, first in layers\[1\]"):
        trainer.fit([[10.0]], [[0.0]])


def test_a_step_by_hand_that_diverges_is_undone():
    model, sgd = fb.mlp([2, 3, 1], seed=0), fb.SGD(1e30, momentum=0.5)
    before = [x.weight.copy() for x in model.layers]
    model.forward([[1, 2]])
    model.backward([[1e30]])
    with pytest.raises(
        fb.DivergenceError, match=r"make weights of model.layers\[0\] infinite or NaN"
    ):
        sgd.step(model)
    assert all((x.weight == w).all() for x, w in zip(model.layers, before, strict=True))


# ---- the cause that the sentence names ------------------------------------------------------

Z = np.random.default_rng(1).normal(size=(200, 5))
HUGE_COLUMN = Z * [1, 1, 1, 1e6, 1]
CAUSES = {
    "one target of 3e19": (Z, np.r_[3e19, Z[1:, 0]], {}, "y reaches 3e+19 (the targets)"),
    "targets of mean 150": (Z, 150 + 77 * Z[:, 0], {"learning_rate": 0.3}, "(the targets)"),
    "a huge column": (HUGE_COLUMN, Z[:, 0], {}, "column 3 of X reaches"),
    "decay": (
        Z, Z[:, 0], {"learning_rate": 0.3, "weight_decay": 10.0},
        "learning_rate * weight_decay must be below 1, got 3:",
    ),
    "the rate": (Z, Z[:, 0], {"learning_rate": 5.0}, "Try a smaller learning rate than 5."),
    "the rate alone": (150 * Z, Z[:, 0], {"learning_rate": 1e30}, "Try a smaller learning rate"),
}  # fmt: skip


@pytest.mark.parametrize("case", CAUSES)
def test_the_cause_of_a_divergence_is_named_and_no_other(case):
    rows, y, options, words = CAUSES[case]
    model = fb.mlp([5, 16, 1], activation="relu", seed=0)
    trainer = fb.Trainer(model, "half_squared_error", fb.SGD(**options), seed=0)
    with pytest.raises(fb.DivergenceError) as caught:
        trainer.fit(rows, y, epochs=1000)
    advice = str(caught.value).partition("; the model keeps")[2]
    assert words in advice
    marks = ("(the inputs)", "(the targets)", "weight_decay")
    assert sum(mark in advice for mark in marks) == ("rate" not in case.split())


def test_inputs_and_targets_are_both_named_the_larger_first():
    trainer = fb.Trainer(fb.mlp([5, 1], seed=0), "half_squared_error", fb.SGD(0.1))
    with pytest.raises(fb.DivergenceError, match=r"column 3 of X .* and y reaches"):
        trainer.fit(HUGE_COLUMN, 1e3 * Z[:, 0], epochs=50)


@pytest.mark.parametrize("where", ["X", "y"])
def test_not_a_number_that_was_let_in_is_the_cause(where):
    rows, y = Z.copy(), Z[:, :1].copy()
    (rows if where == "X" else y)[7, 0] = np.nan
    trainer = fb.Trainer(fb.mlp([5, 1], seed=0), "half_squared_error")
    with pytest.raises(fb.DivergenceError, match=f"The cause: column 0 of {where} isn't finite"):
        trainer.fit(rows, y, check_finite=False)


@pytest.mark.parametrize("what", ["weight[0, 0]", "bias[0]"])
def test_weights_that_were_no_numbers_are_the_cause(what):
    trainer = fb.Trainer(fb.mlp([5, 1], seed=0), "half_squared_error")
    layer = trainer.model.layers[0]
    (layer.weight if what.startswith("weight") else layer.bias).reshape(-1)[:1] = np.inf
    cause = re.escape(f"The cause: model must have finite weights, got inf in layers[0].{what};")
    with pytest.raises(fb.DivergenceError, match=cause):
        trainer.fit(Z, Z[:, 0])


def test_an_epoch_that_spoilt_the_weights_is_not_the_best():
    """The lowest loss of an epoch is measured before its last steps; the start may be better."""
    rng = np.random.default_rng(1)
    rows, y = 10 * rng.standard_normal((200, 4)), 10 * rng.standard_normal((200, 1))
    model = fb.mlp([4, 8, 1], activation="tanh", seed=1)
    trainer = fb.Trainer(model, "half_squared_error", fb.SGD(0.25), seed=1, batch_size=1)
    before = trainer.evaluate(rows, y)["loss"]
    with pytest.raises(fb.DivergenceError):
        trainer.fit(rows, y, epochs=20)
    assert trainer.evaluate(rows, y)["loss"] <= before


def test_a_fit_inside_of_a_fit_leaves_the_outer_history_whole():
    trainer = fb.Trainer(fb.mlp([5, 1], seed=0), "half_squared_error", seed=0)
    history = trainer.fit(Z, Z[:, 0], epochs=3, on_epoch_end=lambda _: trainer.fit(Z, Z[:, 0]))
    assert len(history) == 3


def test_huge_weights_to_begin_with_are_the_cause():
    model = fb.mlp([5, 3, 1], seed=0)
    model.layers[1].weight = model.layers[1].weight * 1e30
    trainer = fb.Trainer(model, "half_squared_error", fb.SGD(1e-3))
    with pytest.raises(fb.DivergenceError, match=r"the weights of layers\[1\] reach .*e\+"):
        trainer.step(Z, Z[:, 0])


def test_decay_is_the_cause_of_a_step_by_hand_too():
    model, sgd = fb.mlp([2, 1], seed=0), fb.SGD(3e38, weight_decay=10)
    model.forward([1, 2])
    model.backward([1])
    with pytest.raises(fb.DivergenceError, match=r"learning_rate \* weight_decay must be below 1"):
        sgd.step(model)


def test_weights_after_a_divergence_are_worth_keeping():
    model = fb.mlp([5, 16, 1], activation="relu", seed=0)
    trainer = fb.Trainer(model, "half_squared_error", fb.SGD(1.0, momentum=0.9), seed=0)
    start = trainer.evaluate(Z, Z[:, 0])["loss"]
    trainer.optimizer.learning_rate = 0.01

    def spoil(history):
        if len(history) == 20:
            trainer.optimizer.learning_rate = 100.0

    with pytest.raises(fb.DivergenceError, match="the best"):
        trainer.fit(Z, Z[:, 0], epochs=40, on_epoch_end=spoil)
    assert trainer.evaluate(Z, Z[:, 0])["loss"] < start / 10


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("rate", [1e3, 1e15, 1e30])
def test_a_first_epoch_of_one_step_that_spoils_the_weights_is_not_the_best(rate, momentum):
    model = fb.mlp([5, 16, 1], activation="tanh", seed=0)
    trainer = fb.Trainer(
        model, "half_squared_error", fb.SGD(rate, momentum=momentum), batch_size=200
    )
    start = weights(trainer)
    with pytest.raises(fb.DivergenceError, match="keeps the weights of before the fit") as caught:
        trainer.fit(Z, Z[:, 0], epochs=1000)
    assert caught.value.epoch > 1
    assert weights(trainer) == start
    if momentum:
        assert not state_of(trainer.optimizer, model).buffer.any()


@pytest.mark.parametrize("seed", range(8))
def test_a_loss_of_ones_own_sees_no_outputs_that_are_not_finite(seed):
    """Those of some seeds have weights after the first epoch that overflow on other batches."""

    def loss(y_hat, y):
        assert np.isfinite(y_hat).all()
        return fb.HalfSquaredError()(y_hat, y)

    rates = fb.SGD(lambda step: 0.001 * 10**step)
    trainer = fb.Trainer(fb.mlp([6, 11, 1], seed=0), loss, rates, batch_size=8, seed=seed)
    with pytest.raises(fb.DivergenceError):
        trainer.fit(X, REAL, epochs=30)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        (
            {"learning_rate": lambda step: 0.001 * 10**step},
            r"rate than 10+, to which the schedule came\.$",
        ),
        (
            {"learning_rate": 0.3, "weight_decay": fb.schedules.Linear(0.0, 1e3)},
            r"learning_rate \* weight_decay must be below 1, got .*; try a weight_decay below 3.33",
        ),
        ({"learning_rate": fb.schedules.Linear(9.0, 0.1)}, r"rate than 9\.$"),
    ],
)
def test_the_advice_knows_to_what_schedules_have_come(settings, advice, own):
    half = fb.HalfSquaredError()
    loss = (lambda y_hat, y: half(y_hat, y)) if own else half
    trainer = fb.Trainer(fb.mlp([6, 11, 1], seed=0), loss, fb.SGD(**settings), batch_size=8, seed=0)
    with pytest.raises(fb.DivergenceError, match=advice):
        trainer.fit(X, REAL, epochs=30)


def test_counts_are_not_to_be_scaled():
    model = fb.mlp([6, 1], output_activation="exp", seed=0)
    trainer = fb.Trainer(model, "poisson", fb.SGD(5.0))
    with pytest.raises(
        fb.DivergenceError, match=r"weights .*\. Try a smaller learning rate than 5"
    ):
        trainer.fit(X, np.round(1000 * X[:, 0] ** 2), epochs=20)


def test_weights_that_steps_have_made_large_are_the_rates_fault():
    trainer = fb.Trainer(fb.mlp([6, 11, 1], seed=0), "half_squared_error", fb.SGD(3.0))

    def train():
        for _ in range(30):
            trainer.step(X, REAL)

    with pytest.raises(fb.DivergenceError, match=r"anew, with a smaller learning rate than 3 or"):
        train()
    model = fb.mlp([6, 11, 1], seed=0)
    model.layers[0].weight *= 1e25
    with pytest.raises(fb.DivergenceError, match=r"reach .*; begin with smaller ones"):
        fb.Trainer(model, "half_squared_error", fb.SGD(0.1)).fit(X, REAL)


@pytest.mark.parametrize(
    ("pair", "said"),
    [((np.nan, 0.0), "a cost of nan"), ((1.0, -np.inf), "a gradient of -inf")],
)
def test_a_loss_of_ones_own_that_makes_no_numbers_is_named(pair, said):
    def loss(y_hat, y):
        return pair[0], np.full_like(y_hat, pair[1])

    trainer = fb.Trainer(fb.mlp([6, 1], seed=0), loss, fb.SGD(0.1))
    with pytest.raises(
        fb.DivergenceError, match=rf"The cause: the loss gave {said} for outputs of"
    ):
        trainer.fit(X, REAL)


def test_a_loss_of_ones_own_must_take_two_arguments():
    with pytest.raises(TypeError, match=r"^loss must take two arguments, \(y_hat, y\), got"):
        fb.Trainer(fb.mlp([6, 1]), lambda y_hat: 1.0)
