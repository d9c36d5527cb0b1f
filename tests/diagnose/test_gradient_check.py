"""gradient_check passes what is right, and finds each planted error of 1 %."""

import json
import re

import numpy as np
import pytest
from privates import ACTIVATIONS
from reference import HIDDEN

import fastbackprop as fb

LOSSES = {
    x.name: x
    for x in (fb.HalfSquaredError, fb.MeanSquaredError, fb.CrossEntropy, fb.BinaryCrossEntropy)
}
LAST = {"half_squared_error": "identity", "mean_squared_error": "tanh", "cross_entropy": "softmax",
        "binary_cross_entropy": "sigmoid"}  # fmt: skip


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
@pytest.mark.parametrize("hidden", HIDDEN)
def test_what_is_right_passes(hidden, loss, dtype):
    model, X, y = example(hidden, loss, dtype)
    before = [layer.weight.copy() for layer in model.layers]
    check = fb.gradient_check(model, X, y, loss=loss)
    assert check, str(check)
    assert check.passed
    names = [f"layers[{k}].{what}" for k in range(3) for what in ("weight", "bias")]
    assert [x.name for x in check.parts] == [*names, "x"]
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
        if (
            what == "activation"
        ):  # what a wrong act' of layer k does: delta of that layer, and all that comes of it
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


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("k", [0, 1])
def test_a_derivative_of_a_hidden_activation_that_is_wrong_is_found(hidden, k, monkeypatch):
    monkeypatch.setattr(Broken, "broken", ("activation", k))
    check = fb.gradient_check(
        *example(hidden, "half_squared_error", cls=Broken), loss="half_squared_error"
    )
    assert not check
    assert {x.name for x in check.parts if x.error > 1e-5} == {
        "x", *(f"layers[{i}].{what}" for i in range(k + 1) for what in ("weight", "bias"))
    }  # fmt: skip
    assert check.worst.error == pytest.approx(0.01, rel=0.02)
    assert check.worst.backward == pytest.approx(1.01 * check.worst.differences, rel=1e-3)


@pytest.mark.parametrize("last", ACTIVATIONS)
def test_a_derivative_of_the_last_activation_that_is_wrong_is_found(last, monkeypatch):
    monkeypatch.setattr(Broken, "broken", ("activation", 1))
    X = np.random.default_rng(0).normal(size=(6, 4))
    for cls in (fb.Sequential, Broken):
        model = cls([fb.Dense(4, 5, "tanh"), fb.Dense(5, 3, last)], seed=1, dtype="float64")
        check = fb.gradient_check(model, X, np.full((6, 3), 0.3), loss="half_squared_error")
        assert check.passed == (cls is fb.Sequential)
    assert all(x.error == pytest.approx(0.01, rel=0.05) for x in check.parts)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize(("n", "scale"), [(100, 1), (1000, 1), (20, 2000)])
def test_large_batches_and_targets_far_from_zero_pass(n, scale, hidden, dtype):
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, 5))
    for last, loss, y in (
        ("softmax", "cross_entropy", rng.integers(0, 3, n)),
        ("identity", "mean_squared_error", scale + rng.normal(size=(n, 3))),
    ):
        model = fb.mlp([5, 12, 3], activation=hidden, output_activation=last, seed=0, dtype=dtype)
        check = fb.gradient_check(model, X, y, loss=loss, most=20)
        assert check, str(check)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", ["tanh", "relu", "sigmoid"])
def test_trained_networks_pass_and_errors_in_them_are_found(hidden, dtype):
    X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]

    class Wrong(fb.Sequential):
        def backward(self, d_y_hat):
            d_x = super().backward(d_y_hat)
            self.layers[1].weight_gradient *= 3
            return d_x

    for cls in (fb.Sequential, Wrong):
        model = cls(
            [fb.Dense(2, 8, hidden), fb.Dense(8, 8, hidden), fb.Dense(8, 1)], seed=0, dtype=dtype
        )
        trained = fb.mlp([2, 8, 8, 1], activation=hidden, seed=0, dtype=dtype)
        fb.Trainer(trained, "half_squared_error", fb.SGD(0.1), batch_size=4, seed=0).fit(
            X, y, epochs=400
        )
        for mine, other in zip(model.layers, trained.layers, strict=True):
            mine.weight, mine.bias = other.weight, other.bias
        check = fb.gradient_check(model, X, y, loss="half_squared_error")
        assert check.passed == (cls is fb.Sequential), str(check)
        if cls is Wrong:
            assert check.worst.where[0] == 1
            assert f"FAILED: the worst is d{check.worst.name}" in str(check)


def test_gradients_of_float32_alone_that_are_wrong_are_found_and_named():
    class Wrong(fb.Sequential):
        def backward(self, d_y_hat):
            d_x = super().backward(d_y_hat)
            if self.dtype == np.float32:
                self.layers[1].weight_gradient[3, 2] *= 1.01
            return d_x

    model, X, y = example("tanh", "half_squared_error", "float32", Wrong)
    check = fb.gradient_check(model, X, y, loss="half_squared_error")
    assert not check
    assert (check.worst.name, check.worst.where, check.worst.dtype) == (
        "C/dw2[3, 2]",
        (1, 3, 2),
        "float32",
    )
    assert check.to_dict()["worst"]["dtype"] == "float32"
    assert "FAILED: the worst is dC/dw2[3, 2], by backward" in str(check)
    assert f"error {check.worst.error:.1e} (allowed {check.worst.allowed:.1e})" in str(check)
    assert check.worst.error == pytest.approx(0.01, rel=0.05)
    assert check.worst.allowed == pytest.approx(0.001, rel=0.05)


def test_a_minimum_hides_gradients_and_it_says_so():
    X = np.linspace(-1, 1, 20)[:, None]
    y = 3 * X[:, 0] + 1 + np.where(np.arange(20) % 2, 0.1, -0.1)
    model = fb.Sequential([fb.Dense(1, 1)], seed=0, dtype="float64")
    fb.Trainer(model, "half_squared_error", fb.SGD(0.1), batch_size=20, seed=0).fit(
        X, y, epochs=2000
    )
    check = fb.gradient_check(model, X, y, loss="half_squared_error")
    assert check
    assert [(x.kinks, x.lost) for x in check.parts] == [(0, 1), (0, 1), (0, 0)]
    assert "2 gradients are too small to be told from rounding" in str(check)


def test_costs_that_differ_for_the_same_input_or_are_no_numbers_are_refused():
    model, X, y = example("tanh", "half_squared_error")
    calls = []

    def counts(y_hat, y):
        calls.append(1)
        return float(len(calls)), y_hat

    def spoils_y(y_hat, y):
        y -= y_hat
        return float((y**2).sum()), y

    before = y.copy()
    for loss in (counts, spoils_y):
        with pytest.raises(
            ValueError, match="loss must give the same cost for the same y_hat and y"
        ):
            fb.gradient_check(model, X, y, loss=loss)
    assert np.array_equal(y, before)
    for cost, got in ((None, "got None"), (np.zeros(2), re.escape("got shape (2,)"))):
        with pytest.raises(TypeError, match=f"the cost that loss returns must be a number, {got}"):
            fb.gradient_check(model, X, y, loss=lambda y_hat, y, cost=cost: (cost, y_hat))
    with pytest.raises(ValueError, match="the cost must be finite, got nan"):
        fb.gradient_check(model, X, y, loss=lambda y_hat, y: (np.nan, y_hat))


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
    check = fb.gradient_check(
        *example("tanh", "mean_squared_error", cls=Broken), loss="mean_squared_error"
    )
    assert not check.passed
    assert (check.worst.name, check.worst.where) == (name, where)
    assert sum(x.error > 1e-5 for x in check.parts) == 1
    assert f"FAILED: the worst is d{name}" in str(check)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_gradient_of_a_loss_that_is_wrong_is_found(loss):
    class Wrong(LOSSES[loss]):
        def _factors(self, n_out):
            gradient, cost = super()._factors(n_out)
            return 1.01 * gradient, cost

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
    model = fb.Sequential(
        [fb.Dense(1, 1, "relu", weight_init=1.0), fb.Dense(1, 1, weight_init=1.0)], dtype="float64"
    )
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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_report_shows_what_was_measured_and_what_is_allowed(dtype):
    check = fb.gradient_check(
        *example("tanh", "mean_squared_error", dtype), loss="mean_squared_error"
    )
    lines = str(check).splitlines()
    assert ("of float32  allowed" in lines[0]) == (dtype == "float32")
    for line, part in zip(lines[1:], check.parts, strict=False):
        assert 0 < part.error < 1e-7  # differences are never exactly right
        assert 1e-5 <= part.allowed < 1.1e-5
        shown = f"{part.error:.1e}  {part.allowed:.1e}"
        if dtype == "float32":
            assert 0 < part.float32_error < part.float32_allowed
            assert 1e-3 <= part.float32_allowed < 2e-3
            shown += f"  {part.float32_error:.1e}     {part.float32_allowed:.1e}"
        assert line.endswith(shown)
        assert "0.0e+00" not in line
    assert lines[-1].endswith(f"error {check.worst.error:.1e} (allowed {check.worst.allowed:.1e})")


def test_noise_is_allowed_for_and_not_taken_off_the_error():
    model, X, y = example("tanh", "half_squared_error")
    check = fb.gradient_check(model, X, y + 1e6, loss="half_squared_error", tolerance=1e-13)
    assert check
    assert all(0 < x.error <= x.allowed for x in check.parts)
    assert all(x.allowed > 1e-12 for x in check.parts)  # the tolerance, and the cost's rounding


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
    given = {
        "model": fb.mlp([2, 1], seed=0),
        "X": [[1, 2]],
        "y": [1],
        "loss": "half_squared_error",
        **change,
    }
    with pytest.raises((ValueError, TypeError), match=re.escape(complaint)):
        fb.gradient_check(given.pop("model"), given.pop("X"), given.pop("y"), **given)
