"""Schedules: their values, where they may stand, and that a fit has the bits of steps by hand."""

import copy
import pickle

import numpy as np
import pytest
from privates import OPTIMIZERS, composed_after, state_of, value_after, values_of

import fastbackprop as fb
from fastbackprop import schedules

VALUES = {
    "cosine": (fb.Cosine(1, n_steps=4), [1, 0.853553, 0.5, 0.146447, 0, 0]),
    "cosine to": (fb.Cosine(1, 0.5, n_steps=2), [1, 0.75, 0.5, 0.5]),
    "linear": (schedules.Linear(1, 0.5, n_steps=2), [1, 0.75, 0.5, 0.5]),
    "polynomial": (schedules.Polynomial(1, 0, 2, n_steps=2), [1, 0.25, 0, 0]),
    "exponential": (schedules.Exponential(2, 0.25, 2), [2, 1, 0.5, 0.25]),
    "steps": (schedules.Steps(1, 0.1, 2), [1, 1, 0.1, 0.1, 0.01]),
    "inverse": (schedules.InverseScaling(1), [1, 0.707107, 0.577350, 0.5]),
    "restarts": (
        schedules.CosineRestarts(0.5, 1, 2),
        [0.5, 0.5, 0.25, 0.5, 0.426777, 0.25, 0.073223, 0.5],
    ),
    "equal restarts": (schedules.CosineRestarts(1, 2, 1), [1, 0.5, 1, 0.5, 1]),
    "warm-up": (fb.Warmup(0.1, 4), [0, 0.025, 0.05, 0.075, 0.1, 0.1]),
    "warm-up of a cosine": (fb.Warmup(fb.Cosine(1, n_steps=2), 2), [0, 0.5, 1, 0.5, 0]),
    "warm-up from": (fb.Warmup(lambda step: 1 + step, 2, initial=0.5), [0.5, 0.75, 1, 2]),
    "piecewise": (
        schedules.Piecewise([0.1, fb.Cosine(1), lambda step: step], [1, 3]),
        [0.1, 1, 0.5, 0, 1, 2],
    ),
    "constant": (schedules.Constant(0.3), [0.3, 0.3]),
    "plateau": (schedules.ReduceOnPlateau(0.3), [0.3, 0.3]),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name):
    schedule, expected = VALUES[name]
    assert [schedule(step) for step in range(len(expected))] == pytest.approx(expected, abs=1e-6)
    if "lambda" not in repr(expected) and name not in ("warm-up from", "piecewise"):
        assert pickle.loads(pickle.dumps(schedule)) == copy.deepcopy(schedule) == schedule
        assert eval(repr(schedule), {**vars(schedules)}) == schedule


def test_one_cycle_is_that_of_torch():
    """Half cosines: from max / 25 up to step 0.3 n - 1, down to max / 250000 in the last step."""
    cycle = fb.OneCycle(0.01, n_steps=50)
    up = [0.0004 + 0.0096 * (1 - np.cos(np.pi * k / 14)) / 2 for k in range(15)]
    down = [4e-8 + (0.01 - 4e-8) * (1 + np.cos(np.pi * k / 35)) / 2 for k in range(36)]
    got = [cycle(step) for step in range(50)]
    assert got == pytest.approx([*up, *down[1:]], rel=1e-12)
    assert min(got) == got[-1] == pytest.approx(4e-8)
    for n in (1, 2, 3, 5):
        last = fb.OneCycle(0.01, n_steps=n)(n - 1)
        assert last == pytest.approx(4e-8)


def test_cosines_and_powers_are_near_numpys():
    x = np.linspace(0, 1, 10001)
    got = schedules.Cosine(1, n_steps=10000)
    values = np.array([got(int(step)) for step in range(0, 10001, 50)])
    assert np.abs(values - (1 + np.cos(np.pi * x[::50])) / 2).max() < 4e-16
    powers = schedules.Exponential(1, 0.7, 13)
    assert [powers(k) for k in range(300)] == pytest.approx(0.7 ** (np.arange(300) / 13), rel=1e-13)


def trained(optimizer, how, epochs=3, n=50, dtype="float32"):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n, 4)), rng.normal(size=(n, 2))
    model = fb.mlp([4, 9, 2], seed=0, dtype=dtype)
    trainer = fb.Trainer(model, "half_squared_error", optimizer, batch_size=8, seed=0)
    if how == "fit":
        trainer.fit(X, y, epochs=epochs, shuffle=False)
    elif how == "fits":
        for _ in range(epochs):
            trainer.fit(X, y, shuffle=False)
    else:
        for _ in range(epochs):
            for first in range(0, n, 8):
                if how == "step":
                    trainer.step(X[first : first + 8], y[first : first + 8])
                else:
                    model_y = model.forward(X[first : first + 8])
                    _, d = fb.HalfSquaredError()(model_y, y[first : first + 8])
                    model.backward(d)
                    trainer.optimizer.step(model)
    return values_of(model).tobytes() + state_of(trainer.optimizer, model).buffer.tobytes()


def rate(step):
    return 0.1 / (1 + step)


EXPLICIT = {
    "callable": lambda: fb.SGD(rate),
    "cosine": lambda: fb.SGD(fb.Cosine(0.1, n_steps=20), momentum=0.9),
    "all": lambda: fb.SGD(
        fb.Cosine(0.1, n_steps=20), momentum=schedules.Linear(0.9, 0.5, n_steps=9),
        weight_decay=rate,
    ),
    "adam": lambda: fb.AdamW(fb.Warmup(0.01, 5), weight_decay=schedules.Steps(0.1, 0.1, 5)),
    "rmsprop": lambda: fb.RMSprop(0.01, momentum=schedules.Linear(0.9, n_steps=9)),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPLICIT)
def test_fit_step_and_by_hand_have_the_same_bits(name):
    expected = trained(EXPLICIT[name](), "fit")
    for how in ("fits", "step", "by hand"):
        assert trained(EXPLICIT[name](), how) == expected
    assert trained(EXPLICIT[name](), "fit", 2) != expected


@pytest.mark.parametrize("make", [fb.Cosine, schedules.Linear, fb.OneCycle])
def test_the_length_is_that_of_the_fit(make):
    assert trained(fb.SGD(make(0.1)), "fit") == trained(fb.SGD(make(0.1, n_steps=21)), "fit")
    warm, explicit = fb.Warmup(make(0.1), 5), fb.Warmup(make(0.1, n_steps=16), 5)
    assert trained(fb.SGD(warm), "fit") == trained(fb.SGD(explicit), "fit")
    anew = [make(0.1, n_steps=7)(step % 7) for step in range(21)]
    assert trained(fb.SGD(make(0.1)), "fits") == trained(fb.SGD(lambda k: anew[k]), "fits")
    for how in ("step", "by hand"):
        with pytest.raises(ValueError, match=f"^n_steps of {make.__name__} must be given outside"):
            trained(fb.SGD(make(0.1)), how)


def test_a_constant_schedule_has_the_bits_of_a_number():
    assert trained(fb.SGD(schedules.Constant(0.1)), "fit") == trained(fb.SGD(0.1), "fit")
    assert trained(fb.Adam(schedules.Constant(0.1)), "fit") == trained(fb.Adam(0.1), "fit")


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"rprop"}))
def test_a_rate_of_0_moves_nothing(name):
    model = fb.mlp([2, 3, 1], seed=0)
    before = values_of(model).copy()
    trainer = fb.Trainer(model, "half_squared_error", OPTIMIZERS[name](lambda step: 0.0))
    trainer.fit([[1.0, 2.0]], [3.0], epochs=3)
    assert np.array_equal(values_of(model), before)


def test_reduce_on_plateau_looks_at_the_epochs():
    plateau = schedules.ReduceOnPlateau(1, factor=0.5, patience=2, minimum=0.2)
    losses = [5, 4, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3]
    values = [value_after(plateau, fb.History(loss=losses[:n])) for n in range(len(losses) + 1)]
    assert values == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2]
    model = fb.mlp([1, 1], bias=False, weight_init=1.0)
    sgd = fb.SGD(schedules.ReduceOnPlateau(0.5, factor=0.5, patience=1))
    trainer = fb.Trainer(model, "half_squared_error", sgd)
    weights = []
    trainer.fit(
        [[1.0], [-1.0]], [0.0, 0.0], epochs=2, batch_size=1, shuffle=False,
        on_epoch_end=lambda history: weights.append(model.layers[0].weight.item()),
    )  # fmt: skip
    assert weights == [0.25, 0.0625]
    for inside in (lambda x: fb.Warmup(x, 1, 1.0), lambda x: schedules.Piecewise([1.0, x], [1])):
        at = composed_after(inside(plateau), fb.History(loss=[4, 4, 4]))
        assert [at(step) for step in range(3)] == [1, 0.5, 0.5]
    wrong = fb.SGD(schedules.ReduceOnPlateau(0.5, monitor="validation_loss"))
    trainer = fb.Trainer(model, "half_squared_error", wrong)
    with pytest.raises(ValueError, match=r"^validation_data or .* 'validation_loss' of Reduce"):
        trainer.fit([[1.0]], [0.0], epochs=2)
    for inside in (lambda x: fb.Warmup(x, 1, 1.0), lambda x: schedules.Piecewise([1.0, x], [1])):
        trainer.optimizer.learning_rate = inside(schedules.ReduceOnPlateau(0.5, monitor="f1"))
        with pytest.raises(ValueError, match=r"^monitor of ReduceOnPlateau must be a figure of"):
            trainer.fit([[1.0]], [0.0], epochs=2)
    assert len(trainer.history) == 0  # nothing was trained


def test_reduce_on_plateau_knows_that_accuracy_rises():
    plateau = schedules.ReduceOnPlateau(1, factor=0.5, patience=2, monitor="validation_accuracy")
    history = fb.History(validation_accuracy=[0.5, 0.6, 0.7, 0.8])
    assert value_after(plateau, history) == 1
    history = fb.History(validation_accuracy=[0.8, 0.7, 0.6])
    assert value_after(plateau, history) == 0.5
    with pytest.raises(ValueError, match=r"^mode of ReduceOnPlateau must be 'auto', 'min' or"):
        schedules.ReduceOnPlateau(1, mode="up")


REFUSED = {
    "initial must be a finite number of at least 0, got -1": lambda: fb.Cosine(-1),
    "n_steps must be an integer of at least 1, got 0": lambda: fb.Cosine(1, n_steps=0),
    "n_steps must be an integer": lambda: fb.Warmup(1, 0),
    "decay must be a finite number above 0": lambda: schedules.Steps(1, 0, 2),
    "boundaries must be rising": lambda: schedules.Piecewise([1, 2, 3], [4, 4]),
    "schedule must be a finite number": lambda: fb.Warmup("cosine", 3),
    "learning_rate must be a finite number above 0, got <class": lambda: fb.SGD(fb.Cosine),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_refused(message):
    with pytest.raises((ValueError, TypeError), match=message):
        REFUSED[message]()


@pytest.mark.parametrize("value", [np.nan, -1.0, np.inf])
def test_values_of_a_callable_are_checked_before_the_step(value):
    model = fb.mlp([1, 1], seed=0)
    before = values_of(model).copy()
    trainer = fb.Trainer(model, "half_squared_error", fb.SGD(lambda step: value))
    with pytest.raises(ValueError, match=r"^The schedule of learning_rate must give numbers of at"):
        trainer.fit([[1.0]], [0.0])
    momentum = fb.SGD(0.1, momentum=lambda step: 1.0)
    with pytest.raises(ValueError, match=r"schedule of momentum must .* and below 1, got 1 for st"):
        fb.Trainer(model, "half_squared_error", momentum).step([[1.0]], [0.0])
    assert np.array_equal(values_of(model), before)


def test_reprs_and_names():
    assert repr(fb.SGD(fb.Cosine(0.1))) == "SGD(Cosine(initial=0.1, final=0.0, n_steps=None))"
    assert fb.Cosine is schedules.Cosine
    assert fb.schedules is schedules


@pytest.mark.parametrize(
    ("setting", "schedule"),
    [
        ("momentum", fb.schedules.Linear(0.5, 1.5)),
        ("momentum", fb.Warmup(fb.schedules.Constant(1.0), 7)),
        ("momentum", fb.schedules.Piecewise([0.1, fb.schedules.Exponential(0.5, 2.0, 1)], [5])),
        ("dropout", fb.schedules.Linear(0.0, 1.2)),
    ],
)
def test_what_would_leave_its_range_in_the_midst_of_a_fit_is_refused_before(setting, schedule):
    X, y = np.ones((40, 2)), np.ones(40)
    settings = {} if setting == "dropout" else {setting: schedule}
    model = fb.mlp([2, 3, 1], dropout=schedule if setting == "dropout" else 0.0, seed=0)
    sgd = fb.SGD(**{"learning_rate": 1e-9, **settings})
    trainer = fb.Trainer(model, "half_squared_error", sgd, batch_size=4)
    before = model.get_parameters()
    what = r"layers\[1\]" if setting == "dropout" else setting
    batches = [(X[:4], y[:4])] * 10
    for fit in (lambda: trainer.fit(X, y, epochs=2), lambda: trainer.fit_batches(batches)):
        with pytest.raises(ValueError, match=rf"^The schedule of {what} must give .* for step \d+"):
            fit()
        np.testing.assert_array_equal(model.get_parameters(), before)


def test_functions_are_called_once_for_each_step():
    """Nobody looks ahead with them, who may draw random numbers or count."""
    steps = []
    rate = fb.schedules.Piecewise([lambda step: steps.append(step) or 0.1, 0.01], [4])
    trainer = fb.Trainer(fb.mlp([1, 1], seed=0), "half_squared_error", fb.SGD(rate), batch_size=2)
    trainer.fit(np.ones((12, 1)), np.ones(12), shuffle=False)
    assert steps == [0, 1, 2, 3]


@pytest.mark.parametrize("value", ["x", None, [1.0, 2.0], "0.1"])
def test_functions_must_return_numbers(value):
    trainer = fb.Trainer(fb.mlp([1, 1]), "half_squared_error", fb.SGD(lambda step: value))
    with pytest.raises(TypeError, match=r"^A schedule must return a number for each step, got .*0"):
        trainer.fit([[1.0]], [1.0])
