"""What layers have of their own: learning_rate_factor, l1, max_norm."""

import copy
import pickle

import numpy as np
import pytest
from privates import OPTIMIZERS, values_of

import fastbackprop as fb

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 6)), RNG.normal(size=(40, 3))


def model_of(dtype="float32", **rules):
    layers = [fb.Dense(6, 70, "tanh", **rules), fb.Dense(70, 3)]
    return fb.Sequential(layers, seed=0, dtype=dtype)


def trained(optimizer, how, n_threads=1, batch_size=20, **rules):
    model = model_of(**rules)
    if how == "fit":
        trainer = fb.Trainer(
            model, "half_squared_error", optimizer, batch_size=batch_size, n_threads=n_threads
        )
        trainer.fit(X, Y, epochs=2, shuffle=False)
        return model
    for first in range(0, 80, batch_size):
        rows = slice(first % 40, first % 40 + batch_size)
        _, d = fb.HalfSquaredError()(model.forward(X[rows]), Y[rows])
        model.backward(d)
        optimizer.step(model)
    return model


RULES = [{"learning_rate_factor": 0.5}, {"l1": 0.01}, {"max_norm": 0.3}]
RULES.append({"learning_rate_factor": 2.0, "l1": 0.1, "max_norm": 0.3})


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"rprop"}))
@pytest.mark.parametrize("batch_size", [1, 20])
def test_training_is_the_loop_by_hand_on_any_number_of_threads(rules, name, batch_size):
    make = OPTIMIZERS[name]
    expected = values_of(trained(make(), "by hand", batch_size=batch_size, **rules))
    assert not np.array_equal(expected, values_of(trained(make(), "by hand", 1, batch_size)))
    for n_threads in (1, 2, 3):
        got = values_of(trained(make(), "fit", n_threads, batch_size, **rules))
        assert got.tobytes() == expected.tobytes()


def one_step(w, g, dtype="float64", optimizer=None, **rules):
    layer = fb.Dense(*np.shape(w), bias=True, weight_init=w, bias_init=1.0, **rules)
    model = fb.Sequential([layer], dtype=dtype)
    model.forward(np.eye(layer.n_in))
    model.backward(g)
    (optimizer or fb.SGD(0.1)).step(model)
    return layer.weight.copy(), layer.bias.copy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_formulas(dtype):
    w, g = np.array([[3.0, 0.0], [4.0, -1.0]]), np.ones((2, 2))
    near = {"rel": 1e-6}
    weight, bias = one_step(w, g, dtype, learning_rate_factor=0.5)
    assert weight == pytest.approx(w - 0.05, **near)
    assert bias == pytest.approx([0.9, 0.9], **near)  # two rows of 1, times 0.05
    weight, bias = one_step(w, g, dtype, l1=2.0)
    assert weight == pytest.approx(w - 0.1 * (1 + 2 * np.sign(w)), **near)
    assert bias == pytest.approx([0.8, 0.8], **near)
    weight, _ = one_step(w, 0 * g, dtype, max_norm=1.0)
    assert weight == pytest.approx(np.array([[0.6, 0.0], [0.8, -1.0]]), **near)
    weight, _ = one_step(w, g, dtype, fb.AdamW(0.1, weight_decay=0.5), learning_rate_factor=0.5)
    assert weight == pytest.approx(w * (1 - 0.025) - 0.05, rel=1e-6)
    weight, _ = one_step(0 * w, 0 * g, dtype, max_norm=1.0)
    assert not weight.any()


def test_they_are_kept_by_copies_and_shown():
    model = model_of(learning_rate_factor=0.5, l1=0.01, max_norm=2)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        layer = twin.layers[0]
        assert (layer.learning_rate_factor, layer.l1, layer.max_norm) == (0.5, 0.01, 2)
    shown = "Dense(6, 70, activation='tanh', learning_rate_factor=0.5, l1=0.01, max_norm=2)"
    assert repr(model.layers[0]) == shown
    assert (model.layers[1].learning_rate_factor, model.layers[1].max_norm) == (1, None)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"learning_rate_factor": 0}, r"^learning_rate_factor must be a finite number above 0"),
        ({"l1": -1}, r"^l1 must be a finite number of at least 0, got -1"),
        ({"max_norm": 0}, r"^max_norm must be a finite number above 0, got 0"),
        ({"l1": 1e-46}, r"^l1 must fit float32, got 1e-46"),
    ],
)
def test_what_is_refused(rules, message):
    with pytest.raises(ValueError, match=message):
        model_of(**rules)
