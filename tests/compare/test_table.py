"""The table of losses says what the classes and the kernels do."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
from loss_cases import NAMES, TABLE, last_activation, loss_of, outputs_of, targets_of
from privates import LOSSES, Loss, loss_table, spec_of
from reference import DTYPES, VARIANTS, kernels

import fastbackprop as fb


def test_each_row_has_a_class_and_each_class_a_row():
    assert list(LOSSES) == list(TABLE)
    for name, loss in LOSSES.items():
        assert (loss.name, loss.__module__) == (name, "fastbackprop")
        assert loss.activation == TABLE[name].activation
        assert loss.is_classification == TABLE[name].is_classification
        assert getattr(fb, loss.__name__) is loss


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_kernels_know_the_kinds(variant):
    for dtype in DTYPES:
        assert kernels(variant, dtype).LOSSES == loss_table.KINDS


def example(name, n, n_out):
    rng = np.random.default_rng(n_out)
    return outputs_of(name, rng, n, n_out), targets_of(name, rng, n, n_out), TABLE[name].default


@pytest.mark.parametrize("n_out", [2, 4, 8, 18, 40])
@pytest.mark.parametrize("name", TABLE)
def test_the_formulas_are_what_the_kernels_compute(name, n_out):
    y_hat, y, parameter = example(name, 5, n_out)
    cost, d_y_hat = loss_of(name)(y_hat, y)
    assert cost == pytest.approx(TABLE[name].cost(y_hat, y, parameter).mean(), rel=1e-12)
    expected = TABLE[name].gradient(y_hat, y, parameter) / 5
    np.testing.assert_allclose(d_y_hat, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", TABLE)
def test_the_gradient_of_the_formula_is_its_derivative(name):
    y_hat, y, parameter = example(name, 4, 4)
    cost = TABLE[name].cost
    for j in range(4):
        step = np.zeros(4)
        step[j] = 1e-6
        slope = (cost(y_hat + step, y, parameter) - cost(y_hat - step, y, parameter)) / 2e-6
        found = TABLE[name].gradient(y_hat, y, parameter)[:, j]
        np.testing.assert_allclose(found, slope, rtol=1e-6, atol=1e-9)


def test_a_new_row_is_in_what_the_kernels_include(monkeypatch):
    row = replace(TABLE["mean_squared_error"], name="fourth_power", kernel=None)
    monkeypatch.setattr(loss_table, "TABLE", {**TABLE, row.name: row})
    monkeypatch.setattr(loss_table, "KINDS", (*loss_table.KINDS, row.name))
    sources = loss_table.kernel_sources()
    assert "FOURTH_POWER" in sources["loss_kinds.pxi"]
    assert "'fourth_power'" in sources["loss_names.pxi"]
    assert "fourth_power_add(" in sources["loss_loops.pxi"]
    assert "fourth_power_second(" in sources["loss_loops.pxi"]


def test_a_spec_is_made_once():
    module = kernels(VARIANTS[0], "float32")
    spec = spec_of(fb.MeanSquaredError(), 3, module)
    assert spec_of(fb.MeanSquaredError(), 3, module) is spec
    assert spec_of(fb.MeanSquaredError(), 4, module) is not spec
    assert spec_of(fb.HalfSquaredError(), 3, module) is not spec


def test_a_base_class_says_what_to_take():
    with pytest.raises(TypeError, match="Loss is a base class; use one of half_squared_error, "):
        Loss()([[1.0]], [[1.0]])


@pytest.mark.parametrize(
    "function",
    [
        fb.Trainer,
        fb.explain,
        fb.diagnose,
        fb.gradient_check,
        fb.Sequential.sample_gradients,
        fb.Sequential.hessian_vector_product,
    ],
)
def test_a_loss_can_be_named_or_not_everywhere(function):
    parameter = inspect.signature(function).parameters["loss"]
    assert parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_passes_the_gradient_check_and_is_explained(name):
    rng = np.random.default_rng(2)
    model = fb.mlp([3, 4, 4], activation="tanh", output_activation=last_activation(name), seed=1)
    X, y = rng.normal(size=(5, 3)), targets_of(name, rng, 5, 4)
    check = fb.gradient_check(model, X, y, name)
    assert check, str(check)
    assert TABLE[name].formula in " ".join(str(fb.explain(model, X, y, name)).split())
    fb.diagnose(model, X, y, name)


@pytest.mark.parametrize("name", NAMES)
def test_a_hessian_product_is_the_derivative_of_the_gradient(name):
    rng = np.random.default_rng(3)
    model = fb.mlp(
        [3, 5, 4], activation="tanh", output_activation=last_activation(name), seed=1,
        dtype="float64",
    )  # fmt: skip
    X, y, loss = rng.normal(size=(6, 3)), targets_of(name, rng, 6, 4), loss_of(name)
    v = [(rng.normal(size=x.weight.shape), rng.normal(size=x.n_out)) for x in model.layers]
    product = model.hessian_vector_product(X, y, loss, v)
    start = [(x.weight.copy(), x.bias.copy()) for x in model.layers]

    def gradients_at(step):
        for layer, (weight, bias), (dw, db) in zip(model.layers, start, v, strict=True):
            layer.weight, layer.bias = weight + step * dw, bias + step * db
        model.backward(loss(model.forward(X), y)[1])
        return [g.copy() for x in model.layers for g in (x.weight_gradient, x.bias_gradient)]

    ahead, behind = gradients_at(1e-6), gradients_at(-1e-6)
    found = [x for pair in product for x in pair]
    for h, a, b in zip(found, ahead, behind, strict=True):
        np.testing.assert_allclose(h, (a - b) / 2e-6, rtol=1e-5, atol=1e-8)
