"""explain, diagnose and explain_training of models with norms, dropout and activations by
themselves."""

import copy

import numpy as np
import pytest
from privates import n_forwards_of, store_of

import fastbackprop as fb

RNG = np.random.default_rng(1)
X = RNG.normal(size=(12, 4))
LABELS = RNG.integers(0, 3, 12)
OPTIONS = {"output_activation": "softmax", "seed": 0, "dtype": "float64"}


def net(normalization="batch"):
    return fb.mlp([4, 6, 5, 3], normalization=normalization, dropout=0.4, **OPTIONS)


@pytest.mark.parametrize("normalization", ["batch", "layer", None])
def test_an_explanation_is_the_next_step_of_training(normalization):
    model = net(normalization)
    trainer = fb.Trainer(model, "cross_entropy", fb.SGD(0.1))
    trainer.step(X, LABELS)
    before = store_of(model).copy()
    e = fb.explain(model, X, LABELS, "cross_entropy", learning_rate=0.1)
    assert np.array_equal(store_of(model), before)
    assert n_forwards_of(model) == 1
    assert trainer.step(X, LABELS) == e.cost
    assert abs(e.costs.mean() - e.cost) < 1e-12
    for layer, shown in zip(model.layers, e.layers, strict=True):
        assert shown.kind == type(layer).__name__
        if isinstance(layer, fb.Dense):
            assert np.array_equal(shown.weight_after, layer.weight)
        elif isinstance(layer, fb.BatchNorm | fb.LayerNorm):
            assert np.array_equal(shown.weight_after, [layer.gamma])
            assert np.array_equal(shown.bias_after, layer.beta)
        else:
            assert shown.weight.shape == (0, layer.n_out)


def test_the_numbers_of_an_explanation_belong_together():
    e = fb.explain(net(), X, LABELS, "cross_entropy")
    below = e.x
    for layer in e.layers:
        if layer.kind == "Dense":
            np.testing.assert_allclose(layer.z, below @ layer.weight + layer.bias, atol=1e-12)
            np.testing.assert_allclose(layer.weight_gradient, below.T @ layer.delta, atol=1e-12)
        elif layer.kind == "BatchNorm":
            x_hat = (below - below.mean(0)) / np.sqrt(below.var(0) + 1e-5)
            np.testing.assert_allclose(layer.a, x_hat * layer.weight + layer.bias, atol=1e-12)
            np.testing.assert_allclose(
                layer.weight_gradient[0], (layer.delta * x_hat).sum(0), atol=1e-12
            )
        elif layer.kind == "Dropout":
            assert set(np.unique(layer.derivative)) == {0, 1 / 0.6}
            assert np.array_equal(layer.a, below * layer.derivative)
        else:
            assert np.array_equal(layer.a, np.maximum(below, 0))
        below = layer.a
    assert abs(e.after.predicted_cost - e.after.cost) < 0.01 * e.cost
    assert e.after.falls
    assert abs(sum(x.share for x in e.top(1000)) - 1) < 1e-12
    assert {"gamma2[0]", "beta2[0]"} <= {x.name for x in e.top(1000)}


@pytest.mark.parametrize("normalization", ["batch", "layer", None])
def test_the_text_names_every_layer(normalization):
    model = net(normalization)
    text = str(fb.explain(model, X, LABELS, "cross_entropy"))
    assert text == str(fb.explain(model, X, LABELS, "cross_entropy"))
    for k, layer in enumerate(model.layers):
        assert f"layer {k + 1} (layers[{k}])" in text
        if isinstance(layer, fb.Dropout):
            assert f"a{k + 1}[0] = mask a{k}[0]" in text
        if normalization is not None and k == 1:
            assert "dC/dgamma2[" in text
            assert "gamma2[0] <- gamma2[0] - 0.01 dC/dgamma2[0]" in text or "more weights" in text
    one = str(fb.explain(model, X[0], LABELS[0], "cross_entropy"))
    assert "after the step" in one


def test_what_shows_weights_between_neurons_refuses_other_layers_by_one_sentence(tmp_path):
    e = fb.explain(net(), X, LABELS, "cross_entropy")
    for call in (lambda: e.chain(0, 0, 0), e.plot, lambda: e.to_html(tmp_path / "p.html")):
        with pytest.raises(ValueError, match=r"of Dense layers only, got layers\[1\] BatchNorm"):
            call()
    for what, call in (
        ("the page", lambda: e.to_html(tmp_path / "p.html")),
        ("lab", lambda: fb.lab(net(), X, LABELS, path=tmp_path / "p.html", open_browser=False)),
    ):
        with pytest.raises(ValueError, match=rf"^{what} must be asked of a model of Dense layers"):
            call()
    assert not (tmp_path / "p.html").exists()
    assert e._repr_html_().startswith("<pre>Sequential(")
    assert e.to_dict()["layers"][1]["kind"] == "BatchNorm"


def test_explained_training_has_the_bits_of_steps():
    explained, by_step = net(), net()
    trainer = fb.Trainer(explained, "cross_entropy", fb.Adam(0.01), batch_size=6)
    e = fb.explain_training(trainer, X, LABELS, steps=4)
    other = fb.Trainer(by_step, "cross_entropy", fb.Adam(0.01))
    costs = [other.step(X[k : k + 6], LABELS[k : k + 6]) for k in (0, 6, 0, 6)]
    assert [x.cost for x in e] == costs
    assert np.array_equal(store_of(explained), store_of(by_step))
    assert n_forwards_of(explained) == n_forwards_of(by_step) == 4


@pytest.mark.parametrize("normalization", ["batch", "layer", None])
def test_a_healthy_net_is_healthy_with_all_layers(normalization):
    X = np.random.default_rng(0).normal(size=(300, 4))
    y = (X[:, 0] > 0).astype(int)
    model = fb.mlp([4, 16, 16, 2], normalization=normalization, dropout=0.2, **OPTIONS)
    before = copy.deepcopy(store_of(model))
    diagnosis = fb.diagnose(model, X, y, "cross_entropy", learning_rate=0.1)
    assert not diagnosis.findings, str(diagnosis)
    assert len(diagnosis.layers) == len(model.layers)
    assert np.array_equal(store_of(model), before)
    fb.Trainer(model, "cross_entropy", diagnose=True, seed=0).fit(X, y, epochs=2)


def test_diagnose_names_a_dead_layer_of_its_own_and_weights_that_are_lost():
    X = np.random.default_rng(0).normal(size=(100, 4))
    y = (X[:, 0] > 0).astype(int)
    model = fb.mlp([4, 16, 2], normalization="batch", **OPTIONS)
    model.layers[1].beta = np.full(16, -100.0)
    assert "layer 3 (layers[2])" in str(fb.diagnose(model, X, y, "cross_entropy"))
    model.layers[1].gamma[0] = np.nan
    assert "layer 2 (layers[1]), 1 of 32" in str(fb.diagnose(model, X, y, "cross_entropy"))


def test_a_dead_model_is_named_after_a_fit():
    X = np.random.default_rng(0).normal(size=(100, 4))
    y = (X[:, 0] > 0).astype(int)
    model = fb.mlp([4, 16, 2], normalization="batch", dropout=0.1, **OPTIONS)
    model.layers[1].beta = np.full(16, -1e4)
    running = model.layers[1].running_mean
    with pytest.warns(fb.TrainingWarning, match=r"every relu of layers\[2\]"):
        fb.Trainer(model, "cross_entropy", fb.SGD(1e-6), batch_size=10).fit(X, y, epochs=12)
    assert n_forwards_of(model) == 120
    assert np.isfinite(running).all()
