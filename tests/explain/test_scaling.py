"""Models that scale, explained and diagnosed: their numbers, and what is said of them."""

import json
import re

import numpy as np
import pytest

import fastbackprop as fb

SECONDS = 1.7e9 + np.arange(64.0)  # float32 has one value for all of them
LOST = "x[0] has 64 values, 1 of them left in float32: scale inside the model, or dtype='float64'"


def data(n=128):
    rng = np.random.default_rng(0)
    X = np.column_stack([np.resize(SECONDS, n), rng.normal(5, 300, n)])
    return X, 1000 + 50 * np.sin((X[:, 0] - SECONDS[0]) / 10) + X[:, 1] / 30


def network(method=True, targets=True, **options):
    options = {"activation": "tanh", "seed": 0, **options}
    model = fb.mlp([2, 4, 1], scale_inputs=method, scale_targets=targets, **options)
    if method or targets:
        model.fit_scaling(*data())
    return model


def unscaled_twin(model):
    twin = fb.mlp([2, 4, 1], activation="tanh", seed=0, dtype=model.dtype)
    twin.set_parameters(model.get_parameters())
    return twin


@pytest.mark.parametrize("method", [True, "robust"])
def test_the_step_is_that_of_scaled_numbers_and_x_is_the_users(method):
    model, (X, y) = network(method), data(6)
    layer = model.layers[0]
    e = fb.explain(model, X, y, "mean_squared_error")
    Z = ((X - layer.center) / layer.scale).astype(np.float32)
    other = fb.explain(unscaled_twin(model), Z, model.scaled_targets(y), "mean_squared_error")
    np.testing.assert_allclose(e.x, X, rtol=1e-6, atol=1e-4)
    np.testing.assert_array_equal(e.layers[0].a, Z)
    np.testing.assert_array_equal(e.layers[0].scale, layer.scale)
    np.testing.assert_array_equal(e.d_x, (other.d_x / layer.scale).astype(np.float32))
    for mine, theirs in zip(e.layers[1:], other.layers, strict=True):
        np.testing.assert_array_equal(mine.z, theirs.z)
        np.testing.assert_array_equal(mine.weight_after, theirs.weight_after)
    assert (e.cost, e.after.cost) == (other.cost, other.after.cost)
    np.testing.assert_allclose(e.blame.inputs, other.blame.inputs)
    np.testing.assert_allclose([x.share for x in e.top(9)], [x.share for x in other.top(9)])
    chain = e.chain(1, 0, 2, sample=3)
    assert chain.total == pytest.approx(other.chain(0, 0, 2, sample=3).total)
    assert sum(path.product for path in chain.paths) == pytest.approx(chain.total)
    with pytest.raises(ValueError, match=r"layer must be one with weights, got layers\[0\] "):
        e.chain(0, 0, 0)


def test_its_text_says_what_is_scaled():
    X, y = data(3)
    said = str(fb.explain(network(), X, y, "mean_squared_error"))
    said = " ".join(said.split())
    assert "Inputs are scaled first, by Standardize: (x - center) / scale." in said
    assert re.search(
        r"Targets are scaled: y, y_hat and C are; predict gives 35\S+ y_hat \+ 100", said
    )
    assert "a1[0] = (x[0] - center) / scale = (1700000000 - 1700000031.5) / 18.47 = -1.705" in said
    assert "delta1[0] = dC/da1[0]" in said
    assert "dC/dw2[0, " in said
    plain = str(fb.explain(unscaled_twin(network()), X / 1e9, y, "mean_squared_error"))
    assert "scaled" not in plain


def test_its_dict_has_center_and_scale():
    model, (X, y) = network(), data(3)
    layers = json.loads(json.dumps(fb.explain(model, X, y, "huber").to_dict()))["layers"]
    assert layers[0]["center"] == model.layers[0].center.tolist()
    assert layers[0]["kind"] == "Standardize"
    assert "center" not in layers[1]


def test_the_page_counts_layers_behind_the_scaling_everywhere():
    model, (X, y) = network(), data(20)
    model.layers[1].trainable = False
    e = fb.explain(model, X, y, "half_squared_error")
    assert "not played with" in (page := e._repr_html_())
    assert "layer 1 (layers[1]) is frozen" in page


def test_the_page_begins_behind_the_scaling_and_says_so(tmp_path):
    model, (X, y) = network(), data(20)
    path = fb.lab(model, X, y, path=tmp_path / "p.html", open_browser=False)
    page = path.read_text(encoding="utf-8")
    assert "Inputs are scaled first, by Standardize: (x - center) / scale." in page
    assert "All are shown scaled; layer 1 is model.layers[1]." in page
    assert '"widths":[2,4,1]' in page
    Z = ((X - model.layers[0].center) / model.layers[0].scale).astype(np.float32)
    other = fb.lab(
        unscaled_twin(model), Z, model.scaled_targets(y), path=tmp_path / "q.html",
        open_browser=False,
    )  # fmt: skip
    pattern = re.compile(r'"x":"[^"]*"|"weights":\[[^\]]*\]|"y":"[^"]*"')
    played = [pattern.findall(x.read_text(encoding="utf-8")) for x in (path, other)]
    assert played[0] == played[1] != []
    e = fb.explain(model, X, y, "half_squared_error")
    assert "<iframe" in e._repr_html_()


def test_the_picture_begins_behind_the_scaling():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    X, y = data(4)
    axes = fb.explain(network(), X, y, "huber").plot()
    assert any("inputs x" in text.get_text() for text in axes.texts)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("method", [True, "robust"])
def test_gradients_pass_their_check(method, dtype):
    X, y = data(12)
    check = fb.gradient_check(network(method, dtype=dtype), X, y, "mean_squared_error")
    assert check
    assert check.parts[-1].name == "x"


def test_diagnose_names_columns_that_float32_cannot_hold():
    X, y = data()
    model = network(False, False)
    diagnosis = fb.diagnose(model, X, y, "mean_squared_error")
    assert LOST in str(diagnosis)
    lost = diagnosis.findings[0]
    assert (lost.name, lost.where, lost.value) == ("inputs lost in float32", "x[0]", 1)
    assert lost.advice == LOST + "."
    for words in ("Leave it out", "constant inputs", "x[0] (1.7e+09)", "hardly vary"):
        assert words not in str(diagnosis)
    trainer = fb.Trainer(model, "huber", seed=0, diagnose=True)
    with pytest.warns(fb.DiagnosisWarning, match=re.escape(LOST)):
        trainer.fit(X, y, validation_split=0.2)


def test_a_frames_names_are_said():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X, y = data()
    frame = pandas.DataFrame(X, columns=["time", "width"])
    said = str(fb.diagnose(network(False, False), frame, y, "huber"))
    assert LOST.replace("x[0]", "x[0] 'time'") in said


FINE = {
    "float64": lambda X: (network(False, False, dtype="float64"), X),
    "scaled": lambda X: (network(True, False), X),
    "narrow data": lambda X: (network(False, False), X.astype(np.float32)),
    "few values": lambda X: (network(False, False), np.column_stack([X[:, 0] % 64, X[:, 1]])),
    "rounding": lambda X: (
        network(False, False), np.column_stack([np.where(X[:, 0] % 2, 0.3, 0.1 + 0.2), X[:, 1]])
    ),
    "random": lambda X: (network(False, False), np.random.default_rng(0).random((500, 2))),
}  # fmt: skip


@pytest.mark.parametrize("what", FINE)
def test_nothing_is_lost_where_float32_holds_it(what):
    X, _ = data()
    model, rows = FINE[what](X)
    said = str(fb.diagnose(model, rows, np.sin(np.arange(len(rows))), "huber"))
    assert "lost in float32" not in said
    assert "Leave it out" not in said or what in ("narrow data", "rounding")


def test_several_lost_columns_are_one_finding():
    X, y = data()
    X[:, 1] = 1e12 + np.resize(np.arange(200_000.0, step=5000), len(X))
    finding = fb.diagnose(network(False, False), X, y, "huber").findings[0]
    assert finding.where == "x[0] (1), x[1] (4)"
    assert finding.advice.startswith("x[0] has 64 values, 1 of them")


@pytest.mark.parametrize("method", [True, "robust"])
def test_diagnose_says_nothing_of_columns_that_the_model_scales(method):
    X, y = data()
    X[0, 1] = 1e7
    model = fb.mlp([2, 8, 1], activation="relu", scale_inputs=method, scale_targets=True, seed=0)
    said = str(fb.diagnose(model, X, y, "mean_squared_error"))  # not fitted yet: as a fit would
    assert not model.layers[0].is_fitted
    for words in ("unscaled inputs", "different scale", "hardly vary", "unscaled targets"):
        assert words not in said
    raw = str(fb.diagnose(fb.mlp([2, 8, 1], seed=0), X, y, "mean_squared_error"))
    assert "standardise all inputs (scale_inputs=True)" in raw or "scale inside" in raw
    assert "Standardise the targets (scale_targets=True)" in raw
