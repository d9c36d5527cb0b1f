"""Weights of samples: weight k is k equal samples of the batch, weight 0 is none."""

import numpy as np
import pytest
from loss_cases import NAMES, TAKES_LABELS, last_activation, loss_of, outputs_of, targets_of
from privates import Targets, as_weights, check_class_weight, class_indices, of_classes
from reference import DTYPES, VARIANTS, Kernels, Layer

import fastbackprop as fb

RTOL = {"float32": 1e-5, "float64": 1e-12}


def test_the_numbers_of_two_samples():
    cost, _ = fb.CrossEntropy()([[0.8, 0.2], [0.9, 0.1]], [0, 1], [1, 3])
    assert cost == pytest.approx(1.782725, abs=1e-6)


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_weight_k_is_k_rows_by_hand(name, labels):
    if labels and name not in TAKES_LABELS:
        pytest.skip("takes no labels")
    rng = np.random.default_rng(0)
    y_hat, y = outputs_of(name, rng, 6, 4), targets_of(name, rng, 6, 4, labels)
    weights = np.array([1, 0, 3, 2, 0, 1])
    places = np.repeat(np.arange(6), weights)
    cost, d_y_hat = loss_of(name)(y_hat, y, weights)
    expected, d_rows = loss_of(name)(y_hat[places], y[places])
    assert cost == pytest.approx(expected, rel=1e-12)
    together = np.zeros_like(y_hat)
    np.add.at(together, places, np.asarray(d_rows))
    np.testing.assert_allclose(d_y_hat, together, rtol=1e-9, atol=1e-14)
    assert not np.asarray(d_y_hat)[[1, 4]].any()


@pytest.mark.parametrize("name", NAMES)
def test_only_the_ratio_of_weights_counts(name):
    rng = np.random.default_rng(0)
    y_hat, y, w = outputs_of(name, rng, 4, 4), targets_of(name, rng, 4, 4), rng.uniform(size=4)
    for factor in (1e-30, 1e30):
        for a, b in zip(
            loss_of(name)(y_hat, y, w), loss_of(name)(y_hat, y, w * factor), strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=1e-12)
    for a, b in zip(loss_of(name)(y_hat, y), loss_of(name)(y_hat, y, np.ones(4)), strict=True):
        np.testing.assert_array_equal(a, b)


def net_of(variant, dtype, name, n_out=5):
    rng = np.random.default_rng(1)
    layers = [
        Layer(rng.normal(size=(3, 9)) / 2, rng.normal(size=9) / 2, "tanh"),
        Layer(rng.normal(size=(9, n_out)) / 3, rng.normal(size=n_out), last_activation(name)),
    ]
    net = Kernels(variant, dtype, layers)
    net.spoil_scratch(40)
    return net


SGD = (0.1, 0.9, False, 0.01)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", ["half_squared_error", "cross_entropy", "focal_cross_entropy"])
def test_weighted_steps_are_those_of_repeated_rows(name, variant, dtype):
    rng = np.random.default_rng(2)
    weights = rng.integers(0, 3, 40)
    X, y = rng.normal(size=(40, 3)), targets_of(name, rng, 40, 5, labels=True)
    places = np.repeat(np.arange(40), weights)
    weighted, repeated = net_of(variant, dtype, name), net_of(variant, dtype, name)
    outcome, cost, *_ = weighted.train(
        name, SGD, X, y, weighted.state().buffer, weights=weights.astype(dtype)
    )
    repeated.spoil_scratch(len(places))
    _, expected, *_ = repeated.train(name, SGD, X[places], y[places], repeated.state().buffer)
    assert outcome == 0
    assert cost == pytest.approx(expected, rel=RTOL[dtype])
    np.testing.assert_allclose(
        weighted.parameters.values, repeated.parameters.values, rtol=0, atol=20 * RTOL[dtype]
    )
    costs = weighted.evaluate(name, X, y, weights=weights.astype(dtype))[0]
    expected = repeated.evaluate(name, X[places], y[places])[0]
    assert costs == pytest.approx(expected, rel=20 * RTOL[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_weighted_steps_have_the_same_bits_on_any_threads_and_in_any_order(variant, dtype):
    rng = np.random.default_rng(3)
    X, y, order = rng.normal(size=(40, 3)), rng.normal(size=(40, 5)), rng.permutation(40)
    weights = rng.uniform(0, 2, 40).astype(dtype)
    results = []
    for n_threads, crowded, some in ((1, False, order), (2, True, order), (3, True, None)):
        net = net_of(variant, dtype, "half_squared_error")
        shuffled = (X, y, weights) if some is not None else (X[order], y[order], weights[order])
        found = net.train(
            "half_squared_error", SGD, *shuffled[:2], net.state().buffer, some, 7, None, n_threads,
            crowded, weights=shuffled[2],
        )  # fmt: skip
        results.append((found, net.parameters.values.tobytes()))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("optimizer", [(0.1, 0.0, False, 0.0), SGD])
def test_a_batch_without_weight_is_a_step_that_changes_nothing(optimizer, batch_size):
    rng = np.random.default_rng(4)
    loss = "half_squared_error"
    for variant in VARIANTS:
        net = net_of(variant, "float32", loss)
        X, y, state = rng.normal(size=(8, 3)), rng.normal(size=(8, 5)), net.state().buffer
        X[5] = 1e30  # overflows: that row is absent
        start, expected = net.parameters.values.copy(), net.state()
        for _ in range(8 // batch_size):
            expected.skip_step()
        found = net.train(
            loss, optimizer, X, y, state, batch_size=batch_size, weights=np.zeros(8, np.float32)
        )
        assert found[:2] == (0, 0.0)
        assert net.parameters.values.tobytes() == start.tobytes()
        assert state.tobytes() == expected.buffer.tobytes()
        # One of two batches has weight.
        weights = np.repeat(np.float32([0, 1]), 4)
        X[5] = 1
        net.train(loss, optimizer, X, y, state, batch_size=4, weights=weights)
        other = net_of(variant, "float32", loss)
        other.train(loss, optimizer, X[4:], y[4:], other.state().buffer, batch_size=4)
        assert net.parameters.values.tobytes() == other.parameters.values.tobytes()


def test_weights_are_checked():
    dtype = np.dtype("float32")
    assert as_weights([1, 2, 0], 3, dtype).dtype == dtype
    assert as_weights([[1], [2]], 2, dtype).tolist() == [1, 2]
    assert as_weights([0, 0], 2, dtype, may_be_zero=True).tolist() == [0, 0]
    for weights, sentence in (
        ([1, 2], r"sample_weight must have shape \(3,\), one for each sample, got \(2,\)\."),
        ([1, -1, 2], r"sample_weight must be finite and at least 0, got -1 at index 1\."),
        ([1, 2, np.nan], r"sample_weight must be finite and at least 0, got nan at index 2\."),
        ([1, np.inf, 2], r"sample_weight must be finite and at least 0, got inf at index 1\."),
        ([0, 0, 0], r"sample_weight must have a number above 0, got nothing but 0\."),
        ([1, 1e300, 0], r"sample_weight .*1e\+300"),
    ):
        with pytest.raises(ValueError, match=f"^{sentence}"):
            as_weights(weights, 3, dtype)
    with pytest.raises(TypeError, match="sample_weight must"):
        as_weights(["a", "b", "c"], 3, dtype)
    with pytest.raises(ValueError, match="nothing but 0"):
        fb.MeanSquaredError()([[1.0]], [[1.0]], [0])


def test_weights_of_classes():
    dtype = np.dtype("float64")
    y = np.array([0, 0, 0, 1])
    balanced = of_classes("balanced", y, dtype)
    np.testing.assert_allclose(balanced, [2 / 3, 2 / 3, 2 / 3, 2])
    # A class that isn't there doesn't count.
    np.testing.assert_allclose(of_classes("balanced", np.array([0, 0, 0, 2]), dtype), balanced)
    given = check_class_weight({1: 5}, range(2))
    np.testing.assert_array_equal(of_classes(given, y, dtype), [1, 1, 1, 5])
    named = check_class_weight({"no": 0, "yes": 2.5}, ["no", "yes"])
    np.testing.assert_array_equal(named, [0, 2.5])
    assert check_class_weight(None, range(2)) is None
    assert check_class_weight("balanced", range(2)) == "balanced"
    assert class_indices(Targets(None, y)) is y
    one_hot = Targets(np.eye(3)[[2, 0]], None)
    np.testing.assert_array_equal(class_indices(one_hot), [2, 0])
    np.testing.assert_array_equal(class_indices(Targets(np.array([[1.0], [0.0]]), None)), [1, 0])


@pytest.mark.parametrize(
    ("weights", "error", "sentence"),
    [
        ({7: 1}, ValueError, r"class_weight must name classes of 0, 1, 2, got 7\."),
        ({0: -1}, ValueError, r"class_weight\[0\] must be a finite number of at least 0, got -1\."),
        ({0: np.nan}, ValueError, r"class_weight\[0\] must be a finite number .*got nan\."),
        ({0: 0, 1: 0, 2: 0}, ValueError, "class_weight must have a number above 0, got nothing"),
        ("even", TypeError, "class_weight must be None, 'balanced' or a dict of weights by class"),
        ([1, 2, 3], TypeError, "class_weight must be None, 'balanced' or a dict"),
        ({0: "a"}, TypeError, r"class_weight\[0\] must"),
    ],
)
def test_weights_of_classes_are_checked(weights, error, sentence):
    with pytest.raises(error, match=f"^{sentence}"):
        check_class_weight(weights, range(3))
