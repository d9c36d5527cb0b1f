"""gradient_check passes what is right, and finds each planted error of 1 %."""

import json
import re

import numpy as np
import pytest

import fastbackprop as fb

LOSSES = {x.name: x for x in (fb.HalfSquaredError, fb.MeanSquaredError, fb.CrossEntropy, fb.BinaryCrossEntropy)}
LAST = {"half_squared_error": "identity", "mean_squared_error": "tanh", "cross_entropy": "softmax",
        "binary_cross_entropy": "sigmoid"}  # fmt: skip
ACTIVATIONS = ("identity", "relu", "leaky_relu", "sigmoid", "tanh")


def example(hidden, loss, dtype="float64", cls=fb.Sequential, n=6):
    rng = np.random.default_rng(0)
    layers = [fb.Dense(4, 9, hidden), fb.Dense(9, 5, hidden), fb.Dense(5, 3, LAST[loss])]
    model = cls(layers, seed=1, dtype=dtype)
    for layer in model.layers:
        layer.bias = rng.normal(size=layer.n_out) / 2
    y = rng.integers(0, 3, n) if loss == "cross_entropy" else rng.uniform(size=(n, 3))
    return model, rng.normal(size=(n, 4)), y


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("hidden", ACTIVATIONS)
def test_what_is_right_passes(hidden, loss, dtype):
    model, X, y = example(hidden, loss, dtype)
    before = [layer.weight.copy() for layer in model.layers]
    check = fb.gradient_check(model, X, y, loss=loss)
    assert check, str(check)
    assert check.passed
    assert [x.name for x in check.parts] == ["layer 1 weight", "layer 1 bias", "layer 2 weight", "layer 2 bias",
                                             "layer 3 weight", "layer 3 bias", "x"]  # fmt: skip
    assert [x.size for x in check.parts] == [36, 9, 45, 5, 15, 3, 24]
    assert all(x.checked == x.size and x.error <= 1e-5 for x in check.parts)
    assert all((x.float32_error is None) == (dtype == "float64") for x in check.parts)
    assert all(np.array_equal(a, b.weight) for a, b in zip(before, model.layers, strict=True))
    assert json.loads(json.dumps(check.to_dict())) == check.to_dict()
    assert str(check).splitlines()[-1].startswith("passed: the worst is dC/d")


class Broken(fb.Sequential):
    """Its backward is wrong by 1 % where ``broken`` says."""

    broken = None

    def backward(self, d_y_hat):
        d_x = super().backward(d_y_hat)
        what, k = self.broken
        if what == "activation":  # what a wrong act' of layer k does: delta of that layer, and all that comes of it
            for layer in self.layers[: k + 1]:
                layer.weight_gradient *= 1.01
                layer.bias_gradient *= 1.01
            return d_x * 1.01
        if what == "weight":
            self.layers[k].weight_gradient[2, 1] *= 1.01
        elif what == "bias":
            self.layers[k].bias_gradient[1] *= 1.01
        else:
            d_x[1, 2] *= 1.01
        return d_x


@pytest.mark.parametrize("hidden", ACTIVATIONS)
@pytest.mark.parametrize("k", [0, 1])
def test_a_derivative_of_an_activation_that_is_wrong_is_found(hidden, k, monkeypatch):
    monkeypatch.setattr(Broken, "broken", ("activation", k))
    check = fb.gradient_check(*example(hidden, "half_squared_error", cls=Broken), loss="half_squared_error")
    assert not check
    assert {x.name for x in check.parts if x.error > 1e-5} == {
        "x", *(f"layer {i + 1} {what}" for i in range(k + 1) for what in ("weight", "bias"))
    }  # fmt: skip
    assert check.worst.error == pytest.approx(0.01, rel=0.02)
    assert check.worst.backward == pytest.approx(1.01 * check.worst.differences, rel=1e-3)


@pytest.mark.parametrize(
    ("broken", "name", "where"),
    [
        (("weight", 0), "C/dw1[2, 1]", (0, 2, 1)),
        (("weight", 2), "C/dw3[2, 1]", (2, 2, 1)),
        (("bias", 1), "C/db2[1]", (1, 1)),
        (("x", 0), "C/dx[2] of row 1", (1, 2)),
    ],
)
def test_one_wrong_gradient_is_found_and_named(broken, name, where, monkeypatch):
    monkeypatch.setattr(Broken, "broken", broken)
    check = fb.gradient_check(*example("tanh", "mean_squared_error", cls=Broken), loss="mean_squared_error")
    assert not check.passed
    assert (check.worst.name, check.worst.where) == (name, where)
    assert sum(x.error > 1e-5 for x in check.parts) == 1
    assert f"FAILED: the worst is d{name}" in str(check)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_gradient_of_a_loss_that_is_wrong_is_found(loss):
    class Wrong(LOSSES[loss]):
        def _spec(self, n_out):
            name, fused, gradient, cost = super()._spec(n_out)
            return name, fused, 1.01 * gradient, cost

    check = fb.gradient_check(*example("tanh", loss), loss=Wrong())
    assert all(x.error == pytest.approx(0.01, rel=0.05) for x in check.parts)
    assert not check


def test_a_loss_of_ones_own():
    def log_cosh(y_hat, y):
        return float(np.log(np.cosh(y_hat - y)).mean()), np.tanh(y_hat - y) / y.size

    def wrong(y_hat, y):
        cost, d = log_cosh(y_hat, y)
        return cost, d * len(y)

    model, X, y = example("tanh", "half_squared_error")
    assert fb.gradient_check(model, X, y, loss=log_cosh)
    assert not fb.gradient_check(model, X, y, loss=wrong)


def test_a_kink_is_no_error_and_is_counted():
    model = fb.Sequential([fb.Dense(1, 1, "relu", weight_init=1.0), fb.Dense(1, 1, weight_init=1.0)], dtype="float64")
    check = fb.gradient_check(model, [0.0], [1.0], loss="half_squared_error")
    assert check
    assert [x.kinks for x in check.parts] == [0, 1, 0, 0, 1]


def test_large_nets_are_sampled_and_it_says_so():
    model = fb.mlp([100, 50, 10], activation="tanh", output_activation="softmax", seed=0)
    X = np.random.default_rng(0).normal(size=(3, 100))
    check = fb.gradient_check(model, X, [1, 2, 3], loss="cross_entropy", most=20)
    assert check
    assert "20 of 5,000" in str(check)
    again = fb.gradient_check(model, X, [1, 2, 3], loss="cross_entropy", most=20)
    assert again.to_dict() == check.to_dict()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"model": 1}, "model must be a Sequential, got int"),
        ({"tolerance": 0}, "tolerance must be a finite number above 0"),
        ({"most": 0}, "most must be an integer of at least 1"),
        ({"loss": "nonsense"}, "loss must be"),
        ({"X": [[1]]}, "X must have 2 columns"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(change, complaint):
    given = {"model": fb.mlp([2, 1], seed=0), "X": [[1, 2]], "y": [1], "loss": "half_squared_error", **change}
    with pytest.raises((ValueError, TypeError), match=re.escape(complaint)):
        fb.gradient_check(given.pop("model"), given.pop("X"), given.pop("y"), **given)
