"""The arithmetic contract: the same data and the same seed give the same bits."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from privates import ACTIVATIONS
from reference import DTYPES, HIDDEN, TAME, VARIANTS, Kernels, Layer, kernels, parameters
from test_golden import TRAININGS, digest, integer_data, run_python, train, trainings_on

import fastbackprop as fb

LOSSES = {
    # name: (the loss, activation of the last layer)
    "half_squared_error": (fb.HalfSquaredError(), "identity"),
    "mean_squared_error": (fb.MeanSquaredError(), "softmax"),
    "half_squared_error behind sigmoid": (fb.HalfSquaredError(), "sigmoid"),
    "cross_entropy": (fb.CrossEntropy(), "softmax"),
    "cross_entropy with labels": (fb.CrossEntropy(), "softmax"),
    "binary_cross_entropy": (fb.BinaryCrossEntropy(), "sigmoid"),
}
OPTIMIZERS = {
    "sgd": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.8, "nesterov": True},
    "decay": {"momentum": 0.9, "weight_decay": 0.01},
}


def bits(x):
    return np.ascontiguousarray(x).tobytes()


def targets(name, y):
    if not name.startswith("cross_entropy"):
        return y
    return (
        y.argmax(axis=1)
        if "labels" in name
        else np.eye(y.shape[1], dtype=y.dtype)[y.argmax(axis=1)]
    )


@settings(max_examples=80, deadline=None)
@given(
    widths=st.lists(st.integers(1, 70), min_size=2, max_size=4),
    hidden=st.sampled_from(TAME),
    last=st.sampled_from(ACTIVATIONS),
    dtype=st.sampled_from(DTYPES),
    n=st.integers(1, 200),
    cuts=st.lists(st.integers(0, 200), max_size=4),
    seed=st.integers(0, 1000),
)
def test_a_row_is_predicted_the_same_in_any_company(widths, hidden, last, dtype, n, cuts, seed):
    model = fb.mlp(widths, activation=hidden, output_activation=last, seed=seed, dtype=dtype)
    X = np.random.default_rng(seed).normal(size=(n, widths[0])).astype(dtype)
    together = model.predict(X)
    assert np.isfinite(together).all()
    assert bits(together) == b"".join(bits(model.predict(X[i : i + 1])[0]) for i in range(n))
    parts = np.split(X, sorted(min(cut, n) for cut in cuts))
    assert bits(together) == b"".join(bits(model.predict(part)) for part in parts)
    assert bits(together) == bits(np.asarray(model.forward(X)))


@pytest.mark.parametrize(("variant", "dtype"), list(product(VARIANTS, DTYPES)))
def test_a_row_is_predicted_the_same_in_any_company_on_every_variant(variant, dtype):
    rng = np.random.default_rng(0)
    for n_in, n_out in [(1, 1), (3, 17), (33, 5), (48, 49), (100, 100)]:
        for activation in ACTIVATIONS:
            layer = Layer(rng.normal(size=(n_in, n_out)), rng.normal(size=n_out), activation)
            net, X = Kernels(variant, dtype, [layer]), rng.normal(size=(67, n_in))
            assert bits(net.predict(X)) == b"".join(
                bits(net.predict(X[i : i + 1])) for i in range(67)
            ), activation


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", LOSSES)
def test_the_loop_by_hand_has_the_bits_of_trainer_step(name, optimizer, dtype):
    loss, last = LOSSES[name]
    by_hand, trained = (
        fb.mlp([5, 19, 33, 3], activation="tanh", output_activation=last, seed=3, dtype=dtype)
        for _ in range(2)
    )
    sgd = fb.SGD(0.1, **OPTIMIZERS[optimizer])
    trainer = fb.Trainer(trained, loss, fb.SGD(0.1, **OPTIMIZERS[optimizer]))
    X, y = integer_data(40, 5, dtype), targets(name, integer_data(40, 3, dtype))
    for i in range(8):
        rows = slice(5 * i, 5 * i + 1 + i % 5)  # batches of 1 to 5
        cost, d_y_hat = loss(by_hand.forward(X[rows]), y[rows])
        by_hand.backward(d_y_hat)
        sgd.step(by_hand)
        assert cost == trainer.step(X[rows], y[rows]), f"step {i}"
        for one, other in zip(parameters(by_hand), parameters(trained), strict=True):
            assert bits(one) == bits(other), f"step {i}"


def test_fit_has_the_bits_of_steps_over_the_same_batches():
    X, y = integer_data(50, 5, "float32"), integer_data(50, 3, "float32")
    fitted, stepped = (fb.mlp([5, 20, 3], seed=1) for _ in range(2))
    history = fb.Trainer(fitted, "half_squared_error", fb.SGD(0.1), batch_size=8).fit(
        X, y, epochs=2, shuffle=False
    )
    trainer = fb.Trainer(stepped, "half_squared_error", fb.SGD(0.1))
    costs = [trainer.step(X[i : i + 8], y[i : i + 8]) for _ in range(2) for i in range(0, 50, 8)]
    assert digest(fitted) == digest(stepped)
    sizes = [8] * 6 + [2]
    assert history.loss == pytest.approx(
        [np.dot(costs[:7], sizes) / 50, np.dot(costs[7:], sizes) / 50], rel=1e-12
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sample_alone_has_the_bits_of_a_batch_of_one_down_to_the_sign_of_zero(dtype):
    biases = []
    for n_threads in [1, 2]:  # with one thread single samples have a path of their own
        model = fb.mlp([2, 3, 2], activation="sigmoid", seed=0, dtype=dtype)
        for layer in model.layers:
            layer.bias = np.full(layer.n_out, -0.0)
        trainer = fb.Trainer(
            model, "half_squared_error", fb.SGD(0.1), batch_size=1, n_threads=n_threads
        )
        trainer.fit(
            np.full((1, 2), 1e4), [[1.0, -1.0]]
        )  # saturated: zeros of either sign for a derivative
        biases.append([bits(layer.bias) for layer in model.layers])
    assert biases[0] == biases[1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", HIDDEN)
def test_fit_of_single_samples_has_the_bits_of_steps(activation, dtype):
    """``fit`` has a path of its own for them, ``step`` hasn't: it may have to undo itself."""
    X, y = integer_data(20, 5, dtype), integer_data(20, 3, dtype)
    fitted, stepped = (
        fb.mlp([5, 19, 33, 3], activation=activation, seed=3, dtype=dtype) for _ in range(2)
    )
    fb.Trainer(fitted, "half_squared_error", fb.SGD(0.01), batch_size=1, n_threads=1).fit(
        X, y, epochs=2, shuffle=False
    )
    trainer = fb.Trainer(stepped, "half_squared_error", fb.SGD(0.01))
    for _ in range(2):
        for i in range(20):
            trainer.step(X[i : i + 1], y[i : i + 1])
    assert digest(fitted) == digest(stepped)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TRAININGS)
def test_the_same_seed_gives_the_same_bits(name, dtype):
    first, second = (train(dtype, *TRAININGS[name]) for _ in range(2))
    assert first == second
    assert first["losses"][-1] < first["losses"][0]


def test_another_seed_gives_other_bits():
    assert len({digest(fb.mlp([3, 4, 2], seed=seed)) for seed in range(20)}) == 20


@pytest.mark.parametrize(("variant", "dtype"), list(product(VARIANTS, DTYPES)))
def test_where_a_training_call_ends_does_not_matter(variant, dtype):
    """[first, last) cut at any border between batches, the costs added up outside."""
    rng = np.random.default_rng(0)
    layers = [
        Layer(rng.normal(size=(5, 20)), rng.normal(size=20), "tanh"),
        Layer(rng.normal(size=(20, 3)), None),
    ]
    X, y, order = rng.normal(size=(45, 5)), rng.normal(size=(45, 3)), rng.permutation(45)
    weights, totals = set(), []
    for cuts in [(), (8,), (16, 40), (8, 16, 24, 32, 40)]:
        net = Kernels(variant, dtype, layers)
        net.spoil_scratch(8)
        state, total = net.state(), 0
        for span in zip((0, *cuts), (*cuts, 45), strict=True):
            outcome, cost, *_ = net.train(
                "half_squared_error", (0.05, 0.9, True, 0.01), X, y, state.buffer, order, 8, span
            )
            assert outcome == 0
            total += cost
        weights.add((bits(net.parameters.values), bits(state.buffer)))
        assert state.n_steps == 6
        totals.append(total)
    assert len(weights) == 1
    assert totals == pytest.approx(totals[:1] * 4, rel=1e-12)


def test_every_variant_with_fma_trains_to_the_same_bits():
    results = {
        variant: trainings_on(variant)
        for variant in VARIANTS
        if kernels(variant, "float32").has_fma
    }
    first = next(iter(results), None)
    for variant, result in results.items():
        for key, training in result.items():
            assert training == results[first][key], f"{key} differs between {first} and {variant}"
    if len(results) < 2:
        pytest.skip("This machine runs one variant with FMA only: nothing to compare it with.")


def test_variants_without_fma_agree_to_rounding():
    """After ten epochs: predictions within 1e-4 in float32, 1e-12 in float64."""
    plain = [variant for variant in VARIANTS if not kernels(variant, "float32").has_fma]
    fused = [variant for variant in VARIANTS if kernels(variant, "float32").has_fma]
    if not plain or not fused:
        pytest.skip("This machine does not run both kinds of variants.")
    for key, training in trainings_on(fused[0]).items():
        other, tolerance = trainings_on(plain[0])[key], 1e-4 if key[0] == "float32" else 1e-12
        assert np.allclose(training["predictions"], other["predictions"], rtol=0, atol=tolerance), (
            key
        )
        assert np.allclose(training["losses"], other["losses"], rtol=tolerance, atol=0), key


@pytest.mark.parametrize("variant", VARIANTS)
def test_forced_kernels_are_used(variant):
    code = "import fastbackprop; print(fastbackprop.kernel_info()['variant'])"
    assert run_python(code, variant).stdout.strip() == variant


def test_unknown_kernels_are_refused_with_the_valid_names():
    code = "import fastbackprop; fastbackprop.Sequential([fastbackprop.Dense(1, 1)])"
    result = run_python(code, "x86_64_v5", check=False)
    last_line = result.stderr.strip().splitlines()[-1]
    assert result.returncode != 0
    assert last_line.startswith("ImportError: ")
    assert "'x86_64_v5'" in last_line
    assert all(variant in last_line for variant in VARIANTS)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_in", [64, 70, 300])
@pytest.mark.parametrize("n_out", [1, 2, 3, 4, 7, 10])
def test_a_gradient_does_not_depend_on_how_many_outputs_there_are(n_out, n_in, dtype):
    """Few outputs have inputs in the lanes, many have outputs there: the chains are the same."""
    rng = np.random.default_rng(n_in)
    X = rng.normal(size=(101, n_in)).astype(dtype)
    delta = rng.normal(size=(101, 16)).astype(dtype)
    gradients = []
    for width in (n_out, 16):
        model = fb.mlp((n_in, width), output_activation="identity", seed=1, dtype=dtype)
        model.forward(X)
        model.backward(delta[:, :width])
        gradients.append(model.layers[0].weight_gradient[:, :n_out])
    assert bits(gradients[0]) == bits(gradients[1])
