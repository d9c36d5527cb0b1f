"""A model with NaN weights, or weights that overflow, is named as such: not its predictions."""

import json
import re

import numpy as np
import pytest
from privates import table_of

import fastbackprop as fb

X, Y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2


def network(**options):
    options = {"activation": "tanh", "output_activation": "softmax", "seed": 0, **options}
    return fb.mlp([3, 4, 2], **options)


def spoiled(value=np.nan, place=(1, 3, 1)):
    model = network()
    k, i, j = place
    model.layers[k].weight[i, j] = value
    return model


def names(found):
    return [(x.name, x.where) for x in found.findings]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("learning_rate", [None, 0.1])
def test_diagnose_names_weights_that_are_not_finite(value, learning_rate):
    model = spoiled(value)
    model.layers[1].bias[0] = value
    found = fb.diagnose(model, X, Y, loss="cross_entropy", learning_rate=learning_rate)
    where = "layer 2 (layers[1]), 2 of 10 weights and biases"
    assert names(found) == [("weights that are not finite", where)]
    assert found.findings[0].value == 2
    assert not found
    assert len(found.layers) == 2
    assert found.layers[0]["weight_norm"] == pytest.approx(np.linalg.norm(model.layers[0].weight))
    assert found.layers[1]["weight_norm"] is None
    json.dumps(found.to_dict(), allow_nan=False)
    assert "<td>-</td>" in table_of(found)


def test_the_data_is_diagnosed_all_the_same():
    found = fb.diagnose(spoiled(), X * [1, 1, 500], Y, loss="cross_entropy")
    assert [name for name, _ in names(found)] == [
        "unscaled inputs",
        "weights that are not finite",
    ]


@pytest.mark.parametrize("loss", ["half_squared_error", "mean_squared_error"])
def test_diagnose_names_the_layer_whose_sums_overflow(loss):
    model = fb.mlp([3, 4, 4, 1], activation="relu", weight_init=fb.Uniform(0.5, 1), seed=0)
    model.layers[1].weight *= 1e30
    model.layers[2].weight *= 1e30
    found = fb.diagnose(model, abs(X), Y, loss=loss, learning_rate=0.1)
    assert names(found) == [("overflow in predict", "layer 3 (layers[2])")]
    assert found.findings[0].value == pytest.approx(float(model.layers[2].weight.max()))
    assert "dtype='float64'" in found.findings[0].advice
    wide = fb.Sequential(
        [
            fb.Dense(x.n_in, x.n_out, x.activation, weight_init=x.weight.astype(float))
            for x in model.layers
        ],
        dtype="float64",
    )
    assert "overflow" not in str(fb.diagnose(wide, abs(X), Y, loss=loss))


def test_diagnose_names_a_loss_that_overflows():
    model = fb.mlp([3, 1], weight_init=1e25, seed=0)
    found = fb.diagnose(model, abs(X), Y, loss="half_squared_error", learning_rate=0.1)
    assert names(found) == [("overflow in compare", "y_hat")]
    assert found.findings[0].value == pytest.approx(float(model.predict(abs(X)).max()))


def test_diagnose_names_gradients_that_overflow():
    model = fb.mlp([3, 4, 1], activation="identity", seed=0)
    model.layers[0].weight = np.full((3, 4), 1e-38)
    model.layers[1].weight = np.full((4, 1), 3e38)
    y = np.full(40, -1e19)
    found = fb.diagnose(model, abs(X) * 5, y, loss="half_squared_error", learning_rate=0.1)
    assert ("overflow in blame", "layer 1 (layers[0])") in names(found)


def test_a_loss_of_ones_own_that_is_no_number():
    found = fb.diagnose(network(), X, Y, loss=lambda y_hat, y: (np.nan, np.ones_like(y_hat)))
    assert names(found) == [("overflow in compare", "y_hat")]


def test_a_trainer_that_diagnoses_says_it_before_it_fails():
    trainer = fb.Trainer(spoiled(), "cross_entropy", diagnose=True)
    with (
        pytest.warns(fb.DiagnosisWarning, match="weights that are not finite, layer 2"),
        pytest.raises(fb.DivergenceError),
    ):
        trainer.fit(X, Y)


USES = {
    "explain": lambda m: fb.explain(m, X, Y, loss="cross_entropy"),
    "explain_training": lambda m: fb.explain_training(fb.Trainer(m, "cross_entropy"), X, Y),
    "gradient_check": lambda m: fb.gradient_check(m, X, Y, loss="cross_entropy"),
    "jacobian": lambda m: m.jacobian(X),
    "input_gradient": lambda m: m.input_gradient(X, output=0),
    "sample_gradients": lambda m: m.sample_gradients(X, Y, "cross_entropy"),
    "hessian_vector_product": lambda m: m.hessian_vector_product(
        X, Y, "cross_entropy", [(np.ones((3, 4)), np.ones(4)), (np.ones((4, 2)), np.ones(2))]
    ),
    "evaluate": lambda m: fb.Trainer(m, "cross_entropy").evaluate(X, Y),
}


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("use", USES)
def test_whatever_asks_for_numbers_names_the_first_weight(use, value):
    complaint = f"model must have finite weights, got {value} in layers[1].weight[3, 1]; draw them"
    with pytest.raises(ValueError, match=re.escape(complaint)):
        USES[use](spoiled(value))
    model = network()
    model.layers[0].bias[2] = value
    with pytest.raises(ValueError, match=re.escape("in layers[0].bias[2]; draw them")):
        USES[use](model)
    USES[use](network())


@pytest.mark.parametrize("use", ["explain", "explain_training", "gradient_check"])
def test_outputs_that_overflow_name_the_layer(use):
    model = fb.mlp([3, 4, 1], weight_init=1e25, seed=0)
    calls = {
        "explain": lambda: fb.explain(model, abs(X), Y, loss="half_squared_error"),
        "explain_training": lambda: fb.explain_training(
            fb.Trainer(model, "half_squared_error"), abs(X), Y
        ),
        "gradient_check": lambda: fb.gradient_check(model, abs(X), Y, loss="half_squared_error"),
    }
    complaint = (
        "model must give finite outputs, got inf at row 0, column 0: numbers outgrow float32"
    )
    with pytest.raises(ValueError, match=complaint + r" in layers\[1\]; scale the inputs"):
        calls[use]()
    one = fb.mlp([3, 1], weight_init=1e25, seed=0)
    with pytest.raises(ValueError, match="the cost must be finite, got inf for outputs up to"):
        fb.explain(one, abs(X), Y, loss="half_squared_error")


def test_a_training_that_outgrows_its_dtype_is_explained_as_far_as_it_went():
    model = fb.mlp([1, 1], weight_init=1.0, seed=0)
    trainer = fb.Trainer(model, "half_squared_error", fb.SGD(1e6), batch_size=1)
    found = fb.explain_training(trainer, [[1.0], [1e17]], [0.0, 0.0], steps=9)
    assert 1 <= len(found) < 9
    assert np.isfinite(found[-1].cost)
