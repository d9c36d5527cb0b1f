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


@pytest.mark.parametrize("last", ["dense", "activation"])
def test_chains_go_through_dropout_and_activations(last):
    """All paths of a weight add up to its gradient; each goes straight through such layers."""
    layers = [fb.Dense(4, 5, "tanh"), fb.Dropout(0.4), fb.Dense(5, 4), fb.Activation("gelu")]
    layers += {
        "dense": [fb.Dense(4, 3, "softmax")],
        "activation": [fb.Dense(4, 3), fb.Activation("softmax")],
    }[last]
    model = fb.Sequential(layers, seed=0, dtype="float64")
    e = fb.explain(model, X, LABELS, "cross_entropy")
    n_paths = {0: 12, 2: 3, 4: 1}
    for k, n in n_paths.items():
        shape = model.layers[k].weight.shape
        parts = np.zeros(shape)
        for s in range(len(X)):
            for i, j in np.ndindex(shape):
                chain = e.chain(k, i, j, sample=s, most=1000)
                assert chain.n_paths == len(chain.paths)
                begins_at_output = chain.paths[0].names[1].startswith("dy_hat[")
                assert chain.n_paths == n * (3 if begins_at_output else 1)  # through softmax
                total = sum(path.product for path in chain.paths)
                assert abs(total - chain.total) < 1e-12 * max(1, abs(chain.total))
                parts[i, j] += total
        np.testing.assert_allclose(parts, e.layers[k].weight_gradient, atol=1e-12)
    names = e.chain(0, 0, 0, sample=0, most=1).paths[0].names
    assert any(name.startswith("da2[") and "/da1[" in name for name in names)  # the mask
    assert any(name.startswith("da4[") and "/da3[" in name for name in names)  # gelu's slope


@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_norms_have_no_chains_but_say_how_an_output_moves_with_its_input(normalization):
    model = fb.mlp([4, 6, 3], normalization=normalization, seed=0, dtype="float64")
    model.layers[1].gamma = RNG.normal(size=6)
    e = fb.explain(model, X, RNG.normal(size=(12, 3)), "mean_squared_error")
    kind = type(model.layers[1]).__name__
    with pytest.raises(ValueError, match=rf"behind all norms, got 0 where layers\[1\] is a {kind}"):
        e.chain(0, 0, 0)
    chain = e.chain(3, 2, 1, sample=5)  # no path of it meets the norm
    assert chain.total == pytest.approx(e.layers[2].a[5, 2] * e.layers[3].delta[5, 1])
    axis = 0 if normalization == "batch" else 1

    def norm(x):
        x = x - x.mean(axis, keepdims=True)
        return x / np.sqrt((x**2).mean(axis, keepdims=True) + 1e-5) * model.layers[1].gamma

    a, h = e.layers[0].a, 1e-5
    for s, j in np.ndindex(a.shape):
        moved = np.zeros_like(a)
        moved[s, j] = h
        slope = (norm(a + moved) - norm(a - moved))[s, j] / (2 * h)
        assert e.layers[1].through[s, j] == pytest.approx(slope, rel=1e-6, abs=1e-8)
    one = fb.explain(model, X[0], np.zeros(3), "mean_squared_error").layers[1]
    if normalization == "batch":  # of one row: by the running statistics
        np.testing.assert_allclose(one.through, [model.layers[1].gamma / np.sqrt(1 + 1e-5)])


def test_the_picture_has_a_column_for_each_layer():
    pytest.importorskip("matplotlib", reason="matplotlib isn't installed")
    axes = fb.explain(net(), X, LABELS, "cross_entropy").plot()
    said = [x.get_text() for x in axes.texts]
    for name in ("hidden a2\nBatchNorm", "hidden a3\nrelu", "hidden a4\nDropout"):
        assert name in said


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
