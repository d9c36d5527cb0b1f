"""sample_gradients and hessian_vector_product again: a call of C that does what the first did."""

import numpy as np
import pytest

import fastbackprop as fb

WIDTHS = (6, 9, 3)


def mlp(dtype="float32", seed=0, **options):
    return fb.mlp(WIDTHS, activation="tanh", output_activation="softmax", seed=seed, dtype=dtype,
                  **options)  # fmt: skip


def data(n, dtype="float32"):
    rng = np.random.default_rng(n)
    return rng.normal(size=(n, WIDTHS[0])).astype(dtype), rng.integers(0, WIDTHS[-1], n)


def direction(model):
    rng = np.random.default_rng(9)
    return [
        tuple(None if x is None else rng.normal(size=x.shape).astype(x.dtype) for x in pair)
        for pair in ((layer.weight, layer.bias) for layer in model.layers)
    ]


def both(model, X, y, loss="cross_entropy"):
    return [
        *model.sample_gradients(X, y, loss),
        *model.hessian_vector_product(X, y, loss, direction(model)),
    ]


def assert_same(one, other):
    for pair, other_pair in zip(one, other, strict=True):
        for x, y in zip(pair, other_pair, strict=True):
            assert (x is None) == (y is None)
            if x is not None:
                assert (x.shape, x.dtype, x.flags.c_contiguous) == (y.shape, y.dtype, True)
                np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 8, 9, 40, 300])
def test_the_second_call_has_the_results_of_the_first(dtype, n):
    model, (X, y) = mlp(dtype), data(n, dtype)
    first = both(model, X, y)
    again = both(model, X, y)
    assert_same(again, first)
    both(model, X[: n // 2 + 1], y[: n // 2 + 1])
    both(model, *data(n + 5, dtype))
    assert_same(both(model, X, y), first)
    assert_same(again, first)  # arrays of their own


def test_all_losses_and_layers_without_bias():
    for loss in (fb.CrossEntropy(label_smoothing=0.1), "cross_entropy", fb.CrossEntropy()):
        model, (X, y) = mlp(), data(12)
        first = both(model, X, y, loss)
        assert_same(both(model, X, y, loss), first)
        assert_same(both(model, X, np.eye(3, dtype="f4")[y], loss), first)
    model = fb.Sequential([fb.Dense(6, 4, bias=False), fb.Dense(4, 3)], seed=0)
    targets = np.random.default_rng(2).normal(size=(12, 3)).astype("f4")
    for loss in ("mean_squared_error", "huber"):
        first = both(model, X, targets, loss)
        assert_same(both(model, X, targets, loss), first)


def test_another_loss_is_another_result():
    model, (X, y) = mlp(), data(12)
    smooth = fb.CrossEntropy(label_smoothing=0.2)
    expected, expected_smooth = both(mlp(), X, y), both(mlp(), X, y, smooth)
    for _ in range(2):
        assert_same(both(model, X, y), expected)
        assert_same(both(model, X, y, smooth), expected_smooth)


def test_weights_are_those_of_the_call():
    model, (X, y) = mlp(), data(12)
    both(model, X, y)
    other = mlp(seed=5)
    model.layers[0].weight[...] = other.layers[0].weight
    model.layers[1].weight[...] = other.layers[1].weight
    model.layers[0].bias[...] = other.layers[0].bias
    assert_same(both(model, X, y), both(other, X, y))


def test_what_the_first_call_refuses_the_second_does_too():
    X, y = data(12)
    v = direction(mlp())
    bad_X, bad_v = X.copy(), direction(mlp())
    bad_X[3, 2], bad_v[1][0][0, 0] = np.nan, np.inf
    cases = [
        (bad_X, y, "cross_entropy", v),
        (X[:, :5], y, "cross_entropy", v),
        (X, y[:5], "cross_entropy", v),
        (X, y + 1, "cross_entropy", v),
        (X, y, "crossentropy", v),
        (X, y, "cross_entropy", bad_v),
        (X, y, "cross_entropy", v[:1]),
        (X, y, "cross_entropy", [v[1], v[0]]),
    ]
    for bad in cases:
        sentences = []
        for is_second in (False, True):
            model = mlp()
            if is_second:
                both(model, X, y)
            with pytest.raises((ValueError, TypeError)) as info:
                model.hessian_vector_product(*bad)
            sentences.append(str(info.value))
            if bad[3] is v:
                with pytest.raises((ValueError, TypeError)) as info:
                    model.sample_gradients(*bad[:3])
                sentences.append(str(info.value))
        assert len(set(sentences)) == 1


def test_a_weight_that_is_not_finite_is_refused():
    model, (X, y) = mlp(), data(12)
    both(model, X, y)
    model.layers[1].weight[0, 0] = np.nan
    with pytest.raises(ValueError, match="finite weights"):
        model.sample_gradients(X, y, "cross_entropy")
    with pytest.raises(ValueError, match="finite weights"):
        model.hessian_vector_product(X, y, "cross_entropy", direction(model))


def test_labels_of_ones_own_are_read_as_such_after_a_fit():
    model, (X, y) = mlp(), data(12)
    both(model, X, y)
    fb.Trainer(model, loss="cross_entropy", seed=0).fit(X, 10 * y + 10, epochs=1)
    expected = both(model, X, 10 * y + 10)
    assert_same(both(model, X, 10 * y + 10), expected)
    with pytest.raises(ValueError, match="y"):
        model.sample_gradients(X, y, "cross_entropy")


def test_norms_and_scaling_keep_the_long_way():
    X, y = data(12)
    for model in (mlp(normalization="layer"), mlp(scale_inputs=True)):
        fb.Trainer(model, loss="cross_entropy", seed=0).fit(X, y, epochs=1)
        rng = np.random.default_rng(9)
        model.sample_gradients(X, y, "cross_entropy")
        first = model.sample_gradients(X, y, "cross_entropy")
        v = [
            tuple(None if x is None else rng.normal(size=x.shape[1:]).astype("f4") for x in pair)
            for pair in first
        ]
        one, two = (model.hessian_vector_product(X, y, "cross_entropy", v) for _ in range(2))
        assert_same(one, two)
        assert_same(model.sample_gradients(X, y, "cross_entropy"), first)
