"""A setting that the model's dtype would round to 0, 1 or infinity is refused where they meet."""

import re
from fractions import Fraction

import numpy as np
import pytest

import fastbackprop as fb

X, Y = [[1.0, 2.0]], [1.0]


def by_trainer(model, sgd):
    fb.Trainer(model, "half_squared_error", sgd)


def by_step(model, sgd):
    _, d = fb.HalfSquaredError()(model.forward(X), Y)
    model.backward(d)
    sgd.step(model)


MEETINGS = {"Trainer": by_trainer, "step": by_step}
REFUSED = {
    "rate": (
        lambda: fb.SGD(1e-46),
        "learning_rate must fit float32, got 1e-46, which is not from 1.17549e-38 to 3.40282e+38 "
        "in size; use dtype='float64'.",
    ),
    "subnormal rate": (lambda: fb.SGD(1e-39), "learning_rate must fit float32, got"),
    "large rate": (lambda: fb.SGD(1e39), "learning_rate must fit float32, got"),
    "momentum": (
        lambda: fb.SGD(0.1, momentum=1 - 1e-9),
        "momentum must be below 1 in float32, got 0.999999999, which rounds to 1; use "
        "dtype='float64'.",
    ),
    "small momentum": (lambda: fb.SGD(0.1, momentum=1e-46), "momentum must fit float32, got"),
    "decay": (lambda: fb.SGD(0.1, weight_decay=1e-46), "weight_decay must fit float32, got"),
    "large decay": (lambda: fb.SGD(0.1, weight_decay=1e39), "weight_decay must fit float32, got"),
}


@pytest.mark.parametrize("meeting", MEETINGS)
@pytest.mark.parametrize("case", REFUSED)
def test_settings_of_sgd(case, meeting):
    make, complaint = REFUSED[case]
    model = fb.mlp([2, 1], weight_init=1.0, seed=0)
    with pytest.raises(ValueError, match="^" + re.escape(complaint)):
        MEETINGS[meeting](model, make())
    assert np.array_equal(model.layers[0].weight, [[1], [1]])
    MEETINGS[meeting](fb.mlp([2, 1], weight_init=1e-30, seed=0, dtype="float64"), make())


@pytest.mark.parametrize(
    "sgd",
    [
        lambda: fb.SGD(1.2e-38),
        lambda: fb.SGD(3e38),
        lambda: fb.SGD(0.1, momentum=0.9999999),
        lambda: fb.SGD(0.1, momentum=1e-38 * 2, weight_decay=2e-38),
    ],
)
def test_what_float32_holds_is_taken(sgd):
    model = fb.mlp([2, 1], seed=0)
    by_trainer(model, sgd())
    assert np.isfinite(model.layers[0].weight).all()


@pytest.mark.parametrize("use", ["fit", "step", "by hand"])
def test_a_learning_rate_that_is_assigned_later(use):
    model = fb.mlp([2, 1], weight_init=1.0, seed=0)
    trainer = fb.Trainer(model, "half_squared_error")
    trainer.optimizer.learning_rate = 1e-46
    calls = {
        "fit": lambda: trainer.fit(X, Y),
        "step": lambda: trainer.step(X, Y),
        "by hand": lambda: by_step(model, trainer.optimizer),
    }
    with pytest.raises(ValueError, match="learning_rate must fit float32, got"):
        calls[use]()
    assert np.array_equal(model.layers[0].weight, [[1], [1]])
    trainer.optimizer.learning_rate = 0.1
    calls[use]()
    assert model.layers[0].weight[0, 0] < 1


@pytest.mark.parametrize("use", [fb.diagnose, fb.explain])
def test_a_learning_rate_that_is_looked_at_only(use):
    model = fb.mlp([2, 1], seed=0)
    with pytest.raises(ValueError, match="learning_rate must fit float32, got"):
        use(model, X, Y, loss="half_squared_error", learning_rate=1e-46)


LAYERS = {
    "slope": ({"activation": fb.LeakyReLU(1e-46)}, "slope must fit float32, got"),
    "large slope": ({"activation": fb.LeakyReLU(1e39)}, "slope must fit float32, got"),
    "weights": ({"weight_init": 1e-46}, "weight_init must fit float32, got"),
    "large weights": ({"weight_init": -1e39}, "weight_init must fit float32, got"),
    "bias": ({"bias_init": fb.Constant(1e-46)}, "bias_init must fit float32, got"),
    "low": ({"weight_init": fb.Uniform(-1e-46, 1)}, "low of weight_init must fit float32, got"),
    "high": ({"weight_init": fb.Uniform(0, 1e-46)}, "high of weight_init must fit float32, got"),
    "equal bounds": (
        {"weight_init": fb.Uniform(1, 1 + 1e-9)},
        "low of weight_init must be below high in float32, got 1.0 and 1.000000001",
    ),
}


@pytest.mark.parametrize("case", LAYERS)
def test_settings_of_layers(case):
    options, complaint = LAYERS[case]
    with pytest.raises(ValueError, match="^" + re.escape(complaint)):
        fb.Sequential([fb.Dense(2, 3, **options)], seed=0)
    fb.Sequential([fb.Dense(2, 3, **options)], seed=0, dtype="float64")


def test_zeros_and_what_is_exact_are_taken():
    for init in (0.0, "zeros", fb.Uniform(0, 1), fb.Constant(-0.0), 2.0**-126):
        layer = fb.Dense(2, 3, fb.LeakyReLU(0), weight_init=init, bias_init=0)
        fb.Sequential([layer], seed=0)
        assert np.isfinite(layer.weight).all()
        assert not layer.bias.any()


@pytest.mark.parametrize("number", [10**400, Fraction(10**400)])
def test_numbers_beyond_the_largest_float_are_refused_in_the_usual_words(number):
    with pytest.raises(ValueError, match="learning_rate must be a finite number above 0, got"):
        fb.SGD(number)
