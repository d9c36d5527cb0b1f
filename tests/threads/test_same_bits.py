"""Any number of threads gives the bits of one, on any road."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from privates import state_of, values_of
from privates import threads as _threads
from privates import visits as _visits
from reference import DTYPES, TAME, VARIANTS, Kernels, kernels
from test_bits import LOSSES, OPTIMIZERS, bits
from threads_shared import MANY, THREADS, random_layers, random_targets, sha256

import fastbackprop as fb

RULES = [
    (1e-4, 0.0, False, 0.0),
    (1e-4, 0.9, False, 0.0),
    (1e-4, 0.8, True, 0.0),
    (1e-4, 0.9, False, 0.01),
]
# Chunks are of 16 rows of a batch, and of 48 rows of weights or more; rows of 1, 2 or 4 KB are
# padded in another way.
WIDTHS = st.integers(1, 150) | st.sampled_from([49, 96, 97, 128, 256, 512])


def is_crowded(n_threads):
    return n_threads > _threads.available_cpus()


@st.composite
def trainings(draw):
    """Layers, and what Kernels.train wants."""
    widths = draw(st.lists(WIDTHS, min_size=2, max_size=4))
    n_layers, name = len(widths) - 1, draw(st.sampled_from(list(LOSSES)))
    activations = [
        *draw(st.lists(st.sampled_from(TAME), min_size=n_layers - 1, max_size=n_layers - 1))
    ]
    has_bias = draw(st.lists(st.booleans(), min_size=n_layers, max_size=n_layers))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    layers = random_layers(rng, widths, [*activations, LOSSES[name][1]], has_bias)
    n = draw(st.integers(1, 120))
    return layers, {
        "loss": LOSSES[name][0].name,
        "optimizer": draw(st.sampled_from(RULES)),
        "X": rng.normal(size=(n, widths[0])),
        "y": random_targets(rng, name, n, widths[-1]),
        "order": rng.permutation(n) if draw(st.booleans()) else None,
        "batch_size": draw(st.sampled_from([1, 15, 16, 17, 33, 100, 200])),
    }


def trained(variant, dtype, layers, training, n_threads):
    """A digest of weights and velocities, and what the call returned."""
    net = Kernels(variant, dtype, layers)
    fence = net.spoil_scratch(min(training["batch_size"], len(training["X"])))
    state = net.state().buffer
    result = net.train(**training, state=state, n_threads=n_threads, crowded=is_crowded(n_threads))
    assert result[0] == 0, "diverged"
    assert np.isnan(fence).all(), "wrote behind the scratch"
    return sha256(net.parameters.values, state), *result


@settings(max_examples=60, deadline=None)
@given(training=trainings(), dtype=st.sampled_from(DTYPES))
def test_any_number_of_threads_trains_to_the_same_bits_on_every_variant(training, dtype):
    results = {
        variant: {trained(variant, dtype, *training, n) for n in THREADS} for variant in VARIANTS
    }
    for variant, result in results.items():
        assert len(result) == 1, f"{variant} {dtype}: {result}"
    fused = set().union(
        *(results[variant] for variant in VARIANTS if kernels(variant, dtype).has_fma)
    )
    assert len(fused) <= 1, fused


@pytest.mark.parametrize("name", LOSSES)
def test_any_number_of_threads_gives_the_same_trainer(name):
    rng, (loss, last) = np.random.default_rng(0), LOSSES[name]
    X, y = rng.normal(size=(230, 60)), random_targets(rng, name, 230, 5)
    for dtype, shuffle, optimizer in product(DTYPES, [True, False], OPTIMIZERS):
        results = set()
        for n_threads in (*THREADS, MANY):
            model = fb.mlp(
                [60, 100, 5], activation="tanh", output_activation=last, seed=1, dtype=dtype
            )
            sgd = fb.SGD(0.01, **OPTIMIZERS[optimizer])
            trainer = fb.Trainer(model, loss, sgd, batch_size=100, seed=2, n_threads=n_threads)
            history = trainer.fit(
                X, y, epochs=2, shuffle=shuffle, validation_data=(X[:150], y[:150])
            ).to_dict()
            del history["seconds"]
            results.add((sha256(values_of(model)), str(history), str(trainer.evaluate(X, y))))
        assert len(results) == 1, (dtype, shuffle, optimizer)


@pytest.mark.parametrize(("variant", "dtype"), list(product(VARIANTS, DTYPES)))
def test_any_number_of_threads_and_any_batches_predict_and_evaluate_to_the_same_bits(
    variant, dtype
):
    rng = np.random.default_rng(0)
    for name, (loss, last) in LOSSES.items():
        X, y = rng.normal(size=(500, 53)), random_targets(rng, name, 500, 9)
        net = Kernels(variant, dtype, random_layers(rng, [53, 64, 9], ["tanh", last]))
        together, judged = net.predict(X), net.evaluate(loss.name, X, y)
        assert np.isfinite(together).all()
        for n_threads in (2, 3, 7):
            assert bits(net.predict(X, n_threads)) == bits(together)
            assert net.evaluate(loss.name, X, y, n_threads) == judged, name
            parts = np.split(X, np.sort(rng.choice(np.arange(1, 500), n_threads, replace=False)))
            assert b"".join(bits(net.predict(part, n_threads)) for part in parts) == bits(together)


def test_rows_shuffled_or_in_a_read_only_file_are_predicted_by_threads_to_the_same_bits(tmp_path):
    X = np.random.default_rng(0).normal(size=(1000, 60)).astype("f4")
    np.save(tmp_path / "X.npy", X)
    mapped, order = (
        np.load(tmp_path / "X.npy", mmap_mode="r"),
        np.random.default_rng(1).permutation(1000),
    )
    model = fb.mlp([60, 100, 3], output_activation="softmax", seed=0)
    expected = model.predict(X, n_threads=1)
    for n_threads in THREADS:
        assert bits(model.predict(mapped, n_threads=n_threads)) == bits(expected)
        assert bits(model.predict(X[order], n_threads=n_threads)) == bits(expected[order])
    del mapped  # Windows can't delete a file that is mapped


DIVERGING = {
    # name: (inputs are, activation, bias, options of SGD, what is said); see test_divergence.py for
    # how weights diverge
    "loss": (1.0, "relu", True, {"learning_rate": 2.0}, "The loss stopped being finite"),
    "loss, at once": (
        1.0,
        "identity",
        True,
        {"learning_rate": 1e30},
        "The loss stopped being finite",
    ),
    "weights": (
        1e-30,
        "tanh",
        False,
        {"learning_rate": 1.0, "weight_decay": 5.0},
        "weights infinite or NaN",
    ),
    "weights, at once": (
        1e-30,
        "tanh",
        False,
        {"learning_rate": 3e38, "weight_decay": 1e3},
        "weights infinite or NaN",
    ),
}


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("case", DIVERGING)
def test_threads_diverge_with_the_same_words_and_leave_the_same_weights(
    case, momentum, monkeypatch
):
    scale, activation, bias, options, words = DIVERGING[case]
    X = np.random.default_rng(0).normal(size=(1000, 100)).astype("f4")
    results = set()
    # An epoch is one call of the kernels, or some: then good steps of several calls are repeated.
    for n_threads, operations in product((1, 2, 4, 7), (1e9, 1e7)):
        monkeypatch.setattr(_visits, "OPERATIONS_PER_CALL", operations)
        model = fb.mlp([100, 100, 1], activation=activation, bias=bias, seed=0)
        for layer in model.layers:
            layer.weight = np.sign(layer.weight) * np.float32(
                0.1
            )  # so that weights of both layers overflow together
        sgd = fb.SGD(**options, momentum=momentum)
        trainer = fb.Trainer(
            model, "half_squared_error", sgd, batch_size=40, seed=0, n_threads=n_threads
        )
        with pytest.raises(fb.DivergenceError, match=words) as caught:
            trainer.fit(X * np.float32(scale), X[:, :1], epochs=100)
        assert np.isfinite(values_of(model)).all()
        state = state_of(sgd, model)
        assert len(state.planes) == (momentum > 0)
        error = caught.value
        where = error.epoch, error.batch, error.layer
        results.add(
            (
                str(error),
                where,
                str(trainer.history.loss),
                sha256(values_of(model), state.buffer),
            )
        )
    assert len(results) == 1
    if "at once" not in case:
        assert where[:2] > (1, 2)  # there were good steps to keep
