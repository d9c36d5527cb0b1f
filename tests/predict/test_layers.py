"""Activation, Dropout, LayerNorm and BatchNorm as layers of a model."""

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from masks import mask, philox
from privates import FOR_SCRIPTS, mask_seed_of, n_forwards_of, store_of
from reference import VARIANTS, kernels

import fastbackprop as fb

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 7))
LABELS = RNG.integers(0, 3, 150)


def batch_net(dtype="float32", **options):
    options = {"normalization": "batch", "dropout": 0.3, "activation": "gelu", **options}
    return fb.mlp([7, 16, 20, 3], output_activation="softmax", seed=0, dtype=dtype, **options)


def layer_net(dtype="float32"):
    return batch_net(dtype, normalization="layer", activation="tanh")


def mixed_net(dtype="float32"):
    """Every kind, first, in the middle and last."""
    layers = [
        fb.BatchNorm(),
        fb.Dropout(0.1),
        fb.Dense(7, 70, activation="relu"),
        fb.LayerNorm(),
        fb.Dropout(0.5),
        fb.Dense(70, 5),
        fb.BatchNorm(momentum=0.2),
        fb.Activation("silu"),
        fb.Dense(5, 3),
        fb.Activation("softmax"),
    ]
    return fb.Sequential(layers, seed=3, dtype=dtype)


NETS = {"batch": batch_net, "layer": layer_net, "mixed": mixed_net}


def test_batch_norm_of_one_to_four():
    model = fb.Sequential([fb.BatchNorm(), fb.Dense(1, 1, weight_init=[[1]])], dtype="float64")
    y_hat = model.forward([[1], [2], [3], [4]]).ravel()
    np.testing.assert_allclose(y_hat, [-1.341635, -0.447212, 0.447212, 1.341635], atol=5e-7)
    layer = model.layers[0]
    assert abs(layer.running_variance[0] - 1.0666667) < 1e-7
    assert abs(layer.running_mean[0] - 0.25) < 1e-12
    before = store_of(model).copy()
    assert np.isfinite(model.forward([[7]])).all()
    assert np.array_equal(model.forward([[9]], training=False), model.predict([[9]]))
    assert np.array_equal(before, store_of(model))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_constant_column_and_a_last_batch_of_one_row_give_finite_numbers(dtype):
    model = batch_net(dtype)
    data = X.copy()
    data[:, 2] = 5.0
    trainer = fb.Trainer(model, "cross_entropy", fb.Adam(0.01), batch_size=149, seed=0)
    history = trainer.fit(data, LABELS, epochs=4)
    assert np.isfinite(history.loss).all()
    assert np.isfinite(store_of(model)).all()


def test_a_batch_of_one_row_leaves_the_running_statistics():
    model = batch_net(dropout=0)
    trainer = fb.Trainer(model, "cross_entropy", "sgd")
    trainer.step(X[:20], LABELS[:20])
    norm = model.layers[1]
    before = norm.running_mean.copy(), norm.running_variance.copy()
    gamma = norm.gamma.copy()
    trainer.step(X[20:21], LABELS[20:21])
    assert np.array_equal(before, (norm.running_mean, norm.running_variance))
    assert not np.array_equal(gamma, norm.gamma)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("net", NETS)
def test_fit_steps_and_the_loop_by_hand_have_the_same_bits(net, dtype):
    by_step, by_hand = NETS[net](dtype), NETS[net](dtype)
    trainer, loss, optimizer = (
        fb.Trainer(by_step, "cross_entropy", fb.Adam(0.01)),
        fb.CrossEntropy(),
        fb.Adam(0.01),
    )
    for start in range(0, 150, 37):
        rows = slice(start, start + 37)
        cost = trainer.step(X[rows], LABELS[rows])
        y_hat = by_hand.forward(X[rows])
        value, d_y_hat = loss(y_hat, LABELS[rows])
        assert value == cost
        by_hand.backward(d_y_hat)
        optimizer.step(by_hand)
    stores = [store_of(by_step), store_of(by_hand)]
    for n_threads in (1, 2, 3, 7):
        model = NETS[net](dtype)
        options = {"batch_size": 37, "n_threads": n_threads}
        fb.Trainer(model, "cross_entropy", fb.Adam(0.01), **options).fit(X, LABELS, shuffle=False)
        stores.append(store_of(model))
        assert n_forwards_of(model) == 5
    assert np.isfinite(stores[0]).all()
    assert all(np.array_equal(stores[0], store) for store in stores)


@pytest.mark.parametrize("net", NETS)
def test_predict_of_a_row_has_the_same_bits_alone_and_in_a_batch(net):
    model = NETS[net]()
    fb.Trainer(model, "cross_entropy", batch_size=10, seed=0).fit(X, LABELS)
    together = model.predict(X)
    assert np.array_equal(
        together, np.concatenate([model.predict(X[i : i + 1]) for i in range(150)])
    )
    assert np.array_equal(together, model.predict(X, n_threads=3))
    assert np.array_equal(together, model.forward(X, training=False))


def test_philox_gives_the_published_words():
    """The known answers of Random123."""
    zeros = philox((0, 0, 0, 0), (0, 0))
    assert [int(x) for x in zeros] == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    ones = philox((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2)
    assert [int(x) for x in ones] == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    digits = philox((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0))
    assert [int(x) for x in digits] == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [1, 8, 17, 64, 65, 200])
def test_masks_are_the_twins(width, dtype):
    rate = 0.3
    eye = np.eye(width)
    layers = [fb.Dropout(rate), fb.Dense(width, width, weight_init=eye)]
    model = fb.Sequential(layers, seed=5, dtype=dtype)
    for step in range(3):
        a = model.forward(np.ones((4, width)))
        for row in range(4):
            stays = mask(mask_seed_of(model), 0, step, row, width, rate)
            expected = np.where(stays, np.dtype(dtype).type(1 / (1 - rate)), 0)
            np.testing.assert_allclose(a[row], expected, rtol=1e-6)
    d_x = model.backward(np.ones((4, width)))
    assert np.array_equal(d_x, a)
    assert np.array_equal(model.predict(np.ones(width)), np.ones(width))


def test_a_mask_drops_as_many_units_as_the_rate_says():
    layers = [fb.Dropout(0.2), fb.Dense(1000, 1000, weight_init=np.eye(1000))]
    model = fb.Sequential(layers, seed=1)
    a = model.forward(np.ones((200, 1000)))
    assert abs((a == 0).mean() - 0.2) < 0.005
    assert abs(a.mean() - 1) < 0.01
    assert len({row.tobytes() for row in a}) == 200
    other = fb.Sequential(copy.deepcopy(layers), seed=2).forward(np.ones((200, 1000)))
    assert abs((a == other).mean() - (0.8**2 + 0.2**2)) < 0.01


def test_a_loop_draws_new_masks_and_reset_begins_them_again():
    model = batch_net()
    trainer = fb.Trainer(model, "cross_entropy", seed=0)
    start = store_of(model).copy()
    first = trainer.fit(X, LABELS, epochs=2).loss
    trainer.reset()
    store_of(model)[:] = start
    assert trainer.fit(X, LABELS, epochs=2).loss == first
    assert not np.array_equal(model.forward(X[:9]), model.forward(X[:9]))


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("loss", ["cross_entropy", "own"])
def test_rows_of_weight_0_count_in_no_statistics(net, loss):
    weights = np.ones(40)
    weights[25:] = 0
    kept, padded = NETS[net]("float64"), NETS[net]("float64")

    def own(y_hat, y, sample_weight=None):
        total = len(y_hat) if sample_weight is None else sample_weight.sum()
        w = np.ones(len(y_hat)) if sample_weight is None else sample_weight
        d = (y_hat - y) * w[:, None] / total
        return float((w[:, None] * (y_hat - y) ** 2).sum() / 2 / total), d

    y = LABELS if loss == "cross_entropy" else np.eye(3)[LABELS]
    for model, rows, some in ((kept, 25, None), (padded, 40, weights)):
        trainer = fb.Trainer(model, loss if loss == "cross_entropy" else own, fb.SGD(0.1))
        for _ in range(3):
            trainer.step(X[:rows], y[:rows], sample_weight=some)
    np.testing.assert_allclose(store_of(kept), store_of(padded), rtol=1e-12, atol=1e-12)


def test_a_batch_without_weight_changes_nothing():
    model = batch_net()
    before = store_of(model).copy()
    trainer = fb.Trainer(model, "cross_entropy", fb.Adam(0.01, weight_decay=0.1))
    trainer.step(X[:20], LABELS[:20], sample_weight=np.zeros(20))
    assert np.array_equal(before, store_of(model))


@pytest.mark.parametrize("net", NETS)
def test_copies_and_files_go_on_with_the_same_bits(net, tmp_path):
    model = NETS[net]()
    fb.Trainer(model, "cross_entropy", batch_size=20, seed=0).fit(X, LABELS)
    model.layers[-1].trainable = net == "mixed"
    model.save(tmp_path / "m")
    copies = {
        "pickle": pickle.loads(pickle.dumps(model)),
        "deepcopy": copy.deepcopy(model),
        "copy": copy.copy(model),
        "file": fb.load(tmp_path / "m"),
    }
    y_hat = model.predict(X)
    following = model.forward(X)
    for name, other in copies.items():
        assert np.array_equal(other.predict(X), y_hat), name
        assert np.array_equal(other.forward(X), following), name
        assert np.array_equal(store_of(other), store_of(model)), name
        assert repr(other.layers) == repr(model.layers), name
        assert other.summary() == model.summary()


def test_a_copied_layer_begins_with_what_it_had():
    model = batch_net()
    fb.Trainer(model, "cross_entropy", batch_size=20, seed=0).fit(X, LABELS)
    norm = copy.deepcopy(model.layers[1])
    other = fb.Sequential([fb.Dense(7, 16), norm, fb.Dense(16, 2)])
    assert np.array_equal(norm.gamma, model.layers[1].gamma)
    assert np.array_equal(norm.running_variance, model.layers[1].running_variance)
    assert other.layers[1] is norm
    assert repr(copy.deepcopy(fb.Dropout(0.25))) == "Dropout(0.25)"
    assert copy.copy(fb.BatchNorm(momentum=0.3)).momentum == 0.3


def test_plain_models_are_written_in_version_1_with_what_layers_have_of_their_own(tmp_path):
    from safetensors import safe_open

    layers = [
        fb.Dense(3, 4, fb.ELU(0.5), learning_rate_factor=0.5, l1=0.01, max_norm=2.0),
        fb.Dense(4, 2, trainable=False),
    ]
    model = fb.Sequential(layers, seed=0)
    model.save(tmp_path / "m")
    batch_net().save(tmp_path / "n")
    versions = [
        safe_open(tmp_path / name, framework="numpy").metadata()["version"] for name in ("m", "n")
    ]
    assert versions == ["1", "2"]
    loaded = fb.load(tmp_path / "m")
    assert repr(loaded.layers) == repr(model.layers)
    assert "trainable=False" in repr(loaded.layers[1])
    assert "max_norm=2" in repr(loaded.layers[0])


def test_a_frozen_layer_stays_as_it_is_and_the_others_train_on():
    layers = [
        fb.Dense(7, 9, activation="tanh", trainable=False),
        fb.BatchNorm(),
        fb.Dense(9, 8, activation="relu"),
        fb.Dense(8, 3, activation="softmax"),
    ]
    for clip_norm in (None, 0.01):
        model = fb.Sequential([copy.deepcopy(layer) for layer in layers], seed=0)
        model.layers[1].trainable = False
        before = [x.copy() for x in (model.layers[0].weight, model.layers[2].weight)]
        statistics = model.layers[1].running_mean.copy()
        optimizer = fb.AdamW(0.01, weight_decay=0.1)
        trainer = fb.Trainer(model, "cross_entropy", optimizer, clip_norm=clip_norm, seed=0)
        trainer.fit(X, LABELS, epochs=2)
        assert np.array_equal(before[0], model.layers[0].weight)
        assert np.array_equal(statistics, model.layers[1].running_mean)
        assert not np.array_equal(before[1], model.layers[2].weight)
        model.layers[0].trainable = True
        trainer.fit(X, LABELS)
        assert not np.array_equal(before[0], model.layers[0].weight)


@pytest.mark.parametrize("frozen", [(0,), (2,), (0, 1, 2), (3,), (0, 1, 2, 3)])
@pytest.mark.parametrize("clip_norm", [None, 0.05])
def test_freezing_is_a_step_without_the_frozen_layers(frozen, clip_norm):
    """The layers that learn get the bits that they get beside others, frozen or not."""

    def net():
        return fb.mlp([7, 33, 20, 5, 3], activation="tanh", output_activation="softmax", seed=0)

    by_fit, by_hand = net(), net()
    for model in (by_fit, by_hand):
        for k in frozen:
            model.layers[k].trainable = False
    options = {"clip_norm": clip_norm, "batch_size": 50}
    trainer = fb.Trainer(by_fit, "cross_entropy", fb.SGD(0.1, momentum=0.9), **options)
    trainer.fit(X, LABELS, shuffle=False)
    optimizer, loss = fb.SGD(0.1, momentum=0.9), fb.CrossEntropy()
    for start in range(0, 150, 50):
        rows = slice(start, start + 50)
        y_hat = by_hand.forward(X[rows])
        by_hand.backward(loss(y_hat, LABELS[rows])[1])
        for k in frozen:
            assert not by_hand.layers[k].weight_gradient.any()
        if clip_norm is not None:
            fb.clip_gradients(by_hand, norm=clip_norm)
        optimizer.step(by_hand)
    assert np.array_equal(store_of(by_fit), store_of(by_hand))
    fresh = net()
    for k, layer in enumerate(by_fit.layers):
        assert np.array_equal(layer.weight, fresh.layers[k].weight) == (k in frozen)


def test_one_frozen_layer_leaves_the_steps_of_single_samples_right():
    models = [fb.mlp([7, 5, 3], output_activation="softmax", seed=0) for _ in range(2)]
    for model, size in zip(models, (1, 1), strict=True):
        model.layers[0].trainable = False
        trainer = fb.Trainer(model, "cross_entropy", fb.SGD(0.1), batch_size=size)
        if model is models[0]:
            trainer.fit(X, LABELS, shuffle=False)
        else:
            for i in range(len(X)):
                trainer.step(X[i : i + 1], LABELS[i : i + 1])
    assert np.array_equal(store_of(models[0]), store_of(models[1]))


def test_an_activation_by_itself_is_that_of_a_dense_layer():
    one = fb.mlp([7, 9, 3], activation="gelu", output_activation="softmax", seed=0)
    layers = [fb.Dense(7, 9), fb.Activation("gelu"), fb.Dense(9, 3), fb.Activation("softmax")]
    other = fb.Sequential(layers, seed=0)
    other.set_parameters(one.get_parameters())
    for model in (one, other):
        fb.Trainer(model, "cross_entropy", fb.SGD(0.1), seed=0).fit(X, LABELS, epochs=3)
    assert np.array_equal(one.get_parameters(), other.get_parameters())
    assert np.array_equal(one.predict(X), other.predict(X))
    assert np.array_equal(one.jacobian(X), other.jacobian(X))
    leaky = fb.Sequential([fb.Dense(1, 1, weight_init=1.0), fb.Activation(fb.LeakyReLU(0.5))])
    assert leaky.predict([-2]) == [-1]


def test_parameters_are_one_vector_with_gamma_and_beta():
    model = fb.Sequential([fb.Dense(2, 3), fb.BatchNorm(), fb.Dropout(0.5), fb.Dense(3, 1)])
    assert model.n_parameters == 9 + 6 + 4
    model.layers[1].gamma = [2, 3, 4]
    model.layers[1].beta = [5, 6, 7]
    assert model.get_parameters()[9:15].tolist() == [2, 3, 4, 5, 6, 7]
    model.set_parameters(np.arange(19))
    assert model.layers[1].beta.tolist() == [12, 13, 14]
    assert model.layers[1].running_variance.tolist() == [1, 1, 1]


@pytest.mark.parametrize("net", NETS)
def test_derivatives_are_those_of_predictions(net):
    model = NETS[net]("float64")
    fb.Trainer(model, "cross_entropy", batch_size=20, seed=0).fit(X, LABELS)
    x, h = X[3], 1e-6
    jacobian = model.jacobian(x)
    for k in range(7):
        step = h * np.eye(7)[k]
        slope = (model.predict(x + step) - model.predict(x - step)) / (2 * h)
        np.testing.assert_allclose(jacobian[:, k], slope, atol=1e-7)
    gradients = model.sample_gradients(X[:5], LABELS[:5], "cross_entropy")
    y_hat = model.forward(X[:5], training=False)
    model.backward(fb.CrossEntropy()(y_hat, LABELS[:5])[1])
    for layer, (weight, bias) in zip(model.layers, gradients, strict=True):
        if isinstance(layer, fb.Dense):
            np.testing.assert_allclose(weight.mean(0), layer.weight_gradient, atol=1e-12)
            np.testing.assert_allclose(bias.mean(0), layer.bias_gradient, atol=1e-12)
        elif isinstance(layer, fb.BatchNorm | fb.LayerNorm):
            np.testing.assert_allclose(weight.mean(0), layer.gamma_gradient, atol=1e-12)
            np.testing.assert_allclose(bias.mean(0), layer.beta_gradient, atol=1e-12)
        else:
            assert (weight, bias) == (None, None)
    v = [tuple(None if x is None else np.ones(x.shape[1:]) for x in pair) for pair in gradients]
    product = model.hessian_vector_product(X[:5], LABELS[:5], "cross_entropy", v)
    start = model.get_parameters()
    moved = []
    for sign in (1, -1):
        model.set_parameters(start + sign * 1e-6)
        y_hat = model.forward(X[:5], training=False)
        model.backward(fb.CrossEntropy()(y_hat, LABELS[:5])[1])
        moved.append(
            [layer.weight_gradient.copy() for layer in model.layers if hasattr(layer, "weight")]
        )
    slopes = [(a - b) / 2e-6 for a, b in zip(*moved, strict=True)]
    products = [
        pair[0]
        for layer, pair in zip(model.layers, product, strict=True)
        if hasattr(layer, "weight")
    ]
    for slope, one in zip(slopes, products, strict=True):
        np.testing.assert_allclose(one, slope, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("net", NETS)
def test_gradient_check_passes_in_training_mode(net, dtype):
    model = NETS[net](dtype)
    model.layers[2].trainable = False
    before = store_of(model).copy()
    check = fb.gradient_check(model, X[:12], LABELS[:12], loss="cross_entropy", most=15)
    assert check.passed, str(check)
    assert "gamma" in str(check)
    assert np.array_equal(store_of(model), before)
    assert n_forwards_of(model) == 0


def test_divergence_puts_the_running_statistics_back():
    def spoilt(y_hat, y, sample_weight=None):
        return np.inf, np.zeros(y_hat.shape)

    for loss in ("mean_squared_error", spoilt):
        model = fb.mlp([7, 5, 1], normalization="batch", seed=0)
        before = store_of(model).copy()
        trainer = fb.Trainer(model, loss, fb.SGD(1.0))
        with pytest.raises(fb.DivergenceError):
            trainer.step(X, np.full((150, 1), 1e30), check_finite=False)
        assert np.array_equal(store_of(model), before)


def test_mlp_puts_normalization_activation_and_dropout_behind_hidden_layers_only():
    model = fb.mlp([4, 8, 6, 1], normalization="layer", dropout=[0.1, 0.0], activation="relu")
    assert [repr(x) for x in model.layers] == [
        "Dense(4, 8)",
        "LayerNorm()",
        "Activation('relu')",
        "Dropout(0.1)",
        "Dense(8, 6)",
        "LayerNorm()",
        "Activation('relu')",
        "Dense(6, 1)",
    ]
    assert len(fb.mlp([4, 8, 1], dropout=0.5).layers) == 3
    assert len(fb.mlp([4, 8, 1]).layers) == 2


ERRORS = {
    "rate": (lambda: fb.Dropout(1.0), "rate must be a finite number of at least 0 and below 1"),
    "momentum": (lambda: fb.BatchNorm(momentum=1.5), "momentum must be at most 1, got 1.5"),
    "epsilon": (lambda: fb.LayerNorm(0), "epsilon must be a finite number above 0"),
    "activation": (lambda: fb.Activation("rel"), "activation must be one of"),
    "last": (lambda: fb.Sequential([fb.Dense(1, 1), fb.Dropout(0.1)]), "must not be a Dropout"),
    "no widths": (lambda: fb.Sequential([fb.LayerNorm()]), "must have at least one Dense"),
    "softmax": (
        lambda: fb.Sequential([fb.Dense(1, 2), fb.Activation("softmax"), fb.Dense(2, 1)]),
        "Only the last layer may have activation 'softmax'",
    ),
    "widths": (
        lambda: fb.Sequential([fb.Dense(1, 2), fb.BatchNorm(), fb.Dense(3, 1)]),
        r"layers\[2\] must have n_in 2, the n_out of layers\[0\]",
    ),
    "rates": (lambda: fb.mlp([1, 2, 2, 1], dropout=[0.1]), "one for each of the 2 hidden layers"),
    "rate of mlp": (lambda: fb.mlp([1, 2, 1], dropout=1), "dropout must be a finite number"),
    "normalization": (
        lambda: fb.mlp([1, 2, 1], normalization="group"),
        "normalization must be one of 'batch', 'layer', got 'group'",
    ),
    "variance": (
        lambda: setattr(batch_net().layers[1], "running_variance", -np.ones(16)),
        "running_variance must be at least 0",
    ),
    "gamma": (lambda: setattr(batch_net().layers[1], "gamma", np.ones(3)), "gamma must"),
    "trainable": (lambda: setattr(fb.Dropout(0.1), "trainable", 1), "trainable must be True or"),
    "held": (lambda: fb.mlp([1, 1, 1], normalization="layer", dtype="float16"), "dtype must be"),
    "alone": (lambda: fb.LayerNorm().gamma, "must be part of a Sequential"),
    "width": (lambda: fb.Dropout(0.1).n_in, "must be part of a Sequential"),
    "training": (lambda: batch_net().forward(X, training=1), "training must be True or False"),
    "tiny epsilon": (
        lambda: fb.Sequential([fb.Dense(1, 1), fb.LayerNorm(1e-60)]),
        "epsilon must fit float32",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_a_bad_argument_is_named(case):
    call, message = ERRORS[case]
    with pytest.raises((ValueError, TypeError, RuntimeError), match=message) as caught:
        call()
    assert str(caught.value).count("\n") == 0


SCRIPT = (
    FOR_SCRIPTS
    + """
import sys
import numpy as np
sys.path.append(sys.argv[1])
import test_layers
import fastbackprop as fb
for net in test_layers.NETS.values():
    for dtype in ("float32", "float64"):
        model = net(dtype)
        trainer = fb.Trainer(model, "cross_entropy", fb.Adam(0.01), batch_size=37, seed=0)
        trainer.fit(test_layers.X, test_layers.LABELS, epochs=2)
        sys.stdout.buffer.write(store_of(model).tobytes())
        sys.stdout.buffer.write(model.jacobian(test_layers.X[:3]).tobytes())
"""
)


def test_instruction_sets_give_the_same_bits():
    results = {
        variant: subprocess.run(
            [sys.executable, "-P", "-c", SCRIPT, str(Path(__file__).parent)],
            env={**os.environ, "FASTBACKPROP_KERNELS": variant},
            capture_output=True,
            check=True,
        ).stdout
        for variant in VARIANTS
        if kernels(variant, "float32").has_fma
    }
    assert all(results.values())
    assert len(set(results.values())) == 1
