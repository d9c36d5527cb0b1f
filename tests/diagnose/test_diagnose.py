"""diagnose names each planted illness, with place and number, and nothing that is healthy."""

import json
import re
import warnings

import numpy as np
import pytest
from privates import load_digits

import fastbackprop as fb

LAST = {"half_squared_error": "identity", "mean_squared_error": "tanh", "cross_entropy": "softmax",
        "binary_cross_entropy": "sigmoid"}  # fmt: skip


def data(n_in=6, n_out=3, n=300, loss="cross_entropy", seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, n_in))
    if loss == "cross_entropy":
        return X, rng.integers(0, n_out, n)
    return X, rng.uniform(0.1, 0.9, size=(n, n_out))


def names(found):
    return [x.name for x in found.findings]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("loss", LAST)
@pytest.mark.parametrize("hidden", ["relu", "leaky_relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("widths", [[2, 8, 3], [6, 32, 3], [64, 128, 64, 10]])
def test_nothing_is_said_of_a_healthy_network(widths, hidden, loss, seed):
    X, y = data(widths[0], widths[-1], 300, loss, seed)
    for dtype in ("float32", "float64"):
        model = fb.mlp(
            widths, activation=hidden, output_activation=LAST[loss], seed=seed, dtype=dtype
        )
        found = fb.diagnose(model, X, y, loss=loss, learning_rate=0.01)
        assert found.healthy, str(found)
        assert found
    assert str(found) == "Nothing wrong was found in 300 rows."
    as_dict = found.to_dict()
    layers = as_dict.pop("layers")
    assert as_dict == {"healthy": True, "n_rows": 300, "of_rows": 300, "findings": []}
    assert len(layers) == len(widths) - 1
    for layer, measured in zip(model.layers, layers, strict=True):
        assert measured["weight_norm"] == pytest.approx(np.linalg.norm(layer.weight))
        assert measured["update_ratio"] == pytest.approx(
            0.01 * measured["gradient_norm"] / measured["weight_norm"]
        )
    assert layers[-1]["delta_ratio"] == 1


def test_nothing_is_said_of_the_demo_before_and_after():
    X, y = load_digits()["train"]
    model = fb.mlp([64, 512, 512, 10], activation="relu", output_activation="softmax", seed=0)
    assert fb.diagnose(model, X, y, loss="cross_entropy", learning_rate=0.05).findings == []
    fb.Trainer(model, "cross_entropy", fb.SGD(0.05, momentum=0.9), seed=0).fit(X, y, epochs=5)
    assert fb.diagnose(model, X, y, loss="cross_entropy", learning_rate=0.05).findings == []


def test_dead_relu_units():
    model = fb.mlp([6, 10, 3], output_activation="softmax", seed=0)
    model.layers[0].bias[:4] = -100
    (found,) = fb.diagnose(model, *data(), loss="cross_entropy").findings
    assert (found.name, found.where) == ("dead relu units", "layer 1 (layers[0]), 4 of 10 units")
    assert found.value == pytest.approx(0.4)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_saturated_units(activation):
    model = fb.mlp([6, 10, 3], activation=activation, output_activation="softmax", seed=0)
    model.layers[0].bias[:5] = 50
    found = fb.diagnose(model, *data(), loss="cross_entropy").findings[0]
    assert (found.name, found.where, found.value) == (
        "saturated units",
        "layer 1 (layers[0]), 5 of 10 units",
        0.5,
    )


def test_a_last_layer_that_is_flat_where_it_is_wrong():
    model = fb.mlp([6, 10, 2], output_activation="sigmoid", seed=0)
    model.layers[1].bias = [50, 50]
    X, _ = data()
    y = np.full((300, 2), 0.2)
    assert "saturated units" in names(fb.diagnose(model, X, y, loss="half_squared_error"))


def test_vanishing_and_exploding_gradients():
    X, y = data(n_out=10)
    deep = fb.mlp([6, *[20] * 12, 10], activation="sigmoid", output_activation="softmax", seed=0)
    (found,) = fb.diagnose(deep, X, y, loss="cross_entropy").findings
    assert (found.name, found.where) == ("vanishing gradients", "layer 1 (layers[0])")
    assert found.value < 1e-4
    wild = fb.mlp(
        [6, *[30] * 6, 10], output_activation="softmax", weight_init=fb.Uniform(-2, 2), seed=0
    )
    assert "exploding gradients" in names(fb.diagnose(wild, X, y, loss="cross_entropy"))


@pytest.mark.parametrize(
    ("plant", "name", "where"),
    [
        (lambda X: X[:, 2].__imul__(500), "unscaled inputs", "x[2]"),
        (lambda X: X.__imul__(1e-5), "unscaled inputs", "all of x"),
        (lambda X: X[:, 4].fill(1), "constant inputs", "x[4]"),
        (
            lambda X: X[:, 4].__imul__(1e-3) is None or X[:, 4].__iadd__(1),
            "inputs that hardly vary",
            "x[4]",
        ),
        (
            lambda X: X[:, 5].__imul__(0) is None or X[:, 5].__iadd__(2 * X[:, 1] - 0.5),
            "duplicated inputs",
            "x[1] and x[5]",
        ),
        (lambda X: X[:, 3].__imul__(1 / 333), "inputs of different scale", "x[3]"),
    ],
)
def test_inputs(plant, name, where):
    X, y = data()
    plant(X)
    model = fb.mlp([6, 10, 3], activation="tanh", output_activation="softmax", seed=0)
    found = fb.diagnose(model, X, y, loss="cross_entropy").findings
    assert (name, where) in [(x.name, x.where) for x in found]
    assert (
        len(found) == 1 or name == "unscaled inputs"
    )  # large inputs saturate units, which is said too


def test_columns_of_zeros_are_an_illness_among_measurements_only():
    X, y = data()
    X[:, 3] = 0
    model = fb.mlp([6, 10, 3], output_activation="softmax", seed=0)
    (found,) = fb.diagnose(model, X, y, loss="cross_entropy").findings
    assert (found.name, found.where, found.value) == ("constant inputs", "x[3]", 0)
    pixels = X * (np.random.default_rng(1).uniform(size=X.shape) < 0.3)
    assert fb.diagnose(model, pixels, y, loss="cross_entropy").healthy


def test_rare_switches_are_not_columns_of_another_scale():
    X, y = data()
    X[:, 3] = np.arange(300) % 100 == 0
    X[:, 4] = (np.arange(300) % 100 == 0) * 0.05
    model = fb.mlp([6, 10, 3], activation="tanh", output_activation="softmax", seed=0)
    assert fb.diagnose(model, X, y, loss="cross_entropy").healthy


def test_a_dead_layer_is_named_once():
    model = fb.mlp([6, 10, 10, 10, 3], output_activation="softmax", seed=0)
    model.layers[1].bias[:] = -100
    found = fb.diagnose(model, *data(), loss="cross_entropy", learning_rate=0.01).findings
    assert [(x.name, x.where) for x in found] == [
        ("dead relu units", "layer 2 (layers[1]), 10 of 10 units")
    ]


def test_small_updates_of_one_layer():
    X, y = data()
    model = fb.mlp([6, 10, 3], activation="identity", output_activation="softmax", seed=0)
    model.layers[
        0
    ].weight *= 300  # the same function, but the weights of layer 1 have hardly any slope
    model.layers[1].weight /= 300
    (found,) = fb.diagnose(model, X, y, loss="cross_entropy", learning_rate=1e-5).findings
    assert (found.name, found.where) == ("small updates", "layer 1 (layers[0])")
    assert 0 < found.value < 1e-7


@pytest.mark.parametrize(
    ("last", "y", "name"),
    [
        ("tanh", [0.0, 1.0], "targets at the edge"),
        ("sigmoid", [0.0, 1.0], "targets at the edge"),
        ("sigmoid", [0.0, 255.0], "unreachable targets"),
        ("tanh", [-2.0, 0.0], "unreachable targets"),
        ("relu", [-1.0, 1.0], "unreachable targets"),
        ("identity", [-1000.0, 1000.0], "unscaled targets"),
        ("identity", [0.0, 1.0], None),
        ("tanh", [-0.9, 0.9], None),
        ("relu", [0.0, 5.0], None),
    ],
)
def test_targets(last, y, name):
    X, _ = data()
    model = fb.mlp([6, 10, 1], activation="tanh", output_activation=last, seed=0)
    found = names(fb.diagnose(model, X, np.resize(y, 300), loss="half_squared_error"))
    assert found == ([] if name is None else [name])


def test_the_advice_for_0_and_1_behind_tanh_says_that_0_is_not_its_end():
    model = fb.mlp([6, 10, 1], activation="tanh", output_activation="tanh", seed=0)
    for y, advice in (([0, 1], "take -0.9 for 0 and 0.9 for 1"), ([-1, 1], "take -0.9 and 0.9.")):
        (found,) = fb.diagnose(
            model, data()[0], np.resize(y, 300), loss="half_squared_error"
        ).findings
        assert advice in found.advice


def test_imbalanced_classes():
    X, _ = data()
    y = np.zeros(300, int)
    y[:100], y[100:105] = 1, 2
    model = fb.mlp([6, 10, 3], activation="tanh", output_activation="softmax", seed=0)
    (found,) = fb.diagnose(model, X, y, loss="cross_entropy").findings
    assert (found.name, found.where) == ("imbalanced classes", "class 2")
    assert found.value == pytest.approx(5 / 300)
    assert "65%" in found.advice
    binary = fb.mlp([6, 10, 1], activation="tanh", output_activation="sigmoid", seed=0)
    (found,) = fb.diagnose(binary, X, y == 2, loss="binary_cross_entropy").findings
    assert (found.name, found.where) == ("imbalanced classes", "class 1")


def test_learning_rates():
    X, y = data()

    def found(rate):
        model = fb.mlp([6, 10, 3], activation="tanh", output_activation="softmax", seed=0)
        return fb.diagnose(model, X, y, loss="cross_entropy", learning_rate=rate).findings

    high = {x.name: x for x in found(100.0)}
    assert high["learning rate too high"].where == "100"
    assert high["learning rate too high"].value > 1
    assert high["large updates"].value > 0.3
    assert [x.name for x in found(1e-6)] == ["learning rate too low"]
    assert [x.name for rate in (0.003, 0.01, 0.1, 0.3) for x in found(rate)] == []


def test_nothing_of_the_users_changes_and_many_rows_are_sampled():
    X, y = data(n=5000)
    model = fb.mlp([6, 10, 3], output_activation="softmax", seed=0)
    before = [layer.weight.copy() for layer in model.layers]
    y_hat = model.forward(X[:5])
    found = fb.diagnose(model, X, y, loss="cross_entropy", learning_rate=1.0)
    assert (found.n_rows, found.of_rows) == (1024, 5000)
    model.backward(np.ones_like(y_hat))
    assert all(np.array_equal(a, b.weight) for a, b in zip(before, model.layers, strict=True))
    assert (
        fb.diagnose(model, X, y, loss="cross_entropy", learning_rate=1.0).to_dict()
        == found.to_dict()
    )


def test_a_cost_that_hardly_rises_is_no_sign_of_a_rate_too_high():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(64, 4)), rng.integers(0, 3, 64)
        model = fb.mlp([4, 8, 3], output_activation="softmax", seed=0)
        found = fb.diagnose(model, 1e-30 * X, y, loss="cross_entropy", learning_rate=0.1)
        assert [x.name for x in found.findings] == ["unscaled inputs"]
    assert (
        str(fb.diagnose(model, X[:1], y[:1], loss="cross_entropy"))
        == "Nothing wrong was found in 1 row."
    )


def test_text_dict_and_html(tmp_path):
    X, y = data()
    X[:, 2] = 1
    model = fb.mlp([6, 10, 3], activation="tanh", output_activation="softmax", seed=0)
    found = fb.diagnose(model, X, y, loss="cross_entropy")
    assert not found
    assert repr(found) == "Diagnosis(constant inputs)"
    assert str(found) == f"constant inputs, x[2]: 1. {found.findings[0].advice}"
    assert json.loads(json.dumps(found.to_dict()))["findings"][0]["value"] == 1.0
    found.to_html(tmp_path / "d.html")
    page = (tmp_path / "d.html").read_text()
    assert "<td>constant inputs</td><td>x[2]</td><td>1</td>" in page
    assert found._repr_html_() in page
    assert '<th scope="col">update by weights</th>' in page
    assert f"<td>layer 1 (layers[0])</td><td>{found.layers[0]['weight_norm']:.3g}</td>" in page
    assert list(tmp_path.iterdir()) == [tmp_path / "d.html"]
    assert "Nothing wrong" in fb.Diagnosis([], 3, 3, [])._repr_html_()


def test_a_trainer_warns_once_and_trains_to_the_same_bits():
    X, y = data()
    X[:, 2] *= 500

    def trainer(**options):
        model = fb.mlp([6, 10, 3], activation="tanh", output_activation="softmax", seed=0)
        return fb.Trainer(model, "cross_entropy", fb.SGD(0.01, momentum=0.9), seed=0, **options)

    plain, asked = trainer(), trainer(diagnose=True)
    plain.fit(X, y, epochs=3)
    with pytest.warns(fb.DiagnosisWarning, match=r"unscaled inputs, x\[2\]") as caught:
        asked.fit(X, y, epochs=2)
    asked.fit(X, y, epochs=1)  # where a warning would be an error
    assert len(caught) == 1
    assert caught[0].filename == __file__
    for mine, other in zip(asked.model.layers, plain.model.layers, strict=True):
        assert np.array_equal(mine.weight, other.weight)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer(diagnose=True).fit(*data(), epochs=3)
        trainer().fit(X, y)
    with pytest.raises(TypeError, match="diagnose must be True or False"):
        trainer(diagnose="yes")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"model": 1}, "model must be a Sequential, got int"),
        ({"learning_rate": -1}, "learning_rate must be"),
        ({"loss": "binary_cross_entropy"}, "must come behind"),
        ({"X": [[1]]}, "X must have 2 columns"),
        ({"X": np.zeros((0, 2)), "y": []}, "X must have at least one row"),
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
        fb.diagnose(given.pop("model"), given.pop("X"), given.pop("y"), **given)
