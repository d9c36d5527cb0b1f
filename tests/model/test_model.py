"""Sequential, Dense and mlp: shapes, views, seeds, and forward and backward by hand."""

import copy

import numpy as np
import pytest
from privates import ACTIVATIONS

import fastbackprop as fb

RTOL = {"float32": 2e-5, "float64": 1e-12}
DTYPES = list(RTOL)


def data(n, n_in, dtype):
    return np.random.default_rng(n).normal(size=(n, n_in)).astype(dtype)


def all_gradients(model):
    return [g for x in model.layers for g in (x.weight_gradient.copy(), np.copy(x.bias_gradient))]


def by_numpy(model, X, d_y_hat):
    """y_hat and all gradients in float64, from the design's formulas; identity or tanh layers."""
    a, kept = X.astype(np.float64), []
    for layer in model.layers:
        z = a @ layer.weight + (0 if layer.bias is None else layer.bias)
        kept.append(a)
        a = np.tanh(z) if layer.activation == "tanh" else z
    y_hat, delta, gradients = a, np.asarray(d_y_hat, np.float64), []
    for layer, a_prev in zip(model.layers[::-1], kept[::-1], strict=True):
        if layer.activation == "tanh":
            delta = delta * (1 - a * a)
        gradients[:0] = [a_prev.T @ delta, delta.sum(axis=0)]
        delta, a = delta @ layer.weight.T, a_prev
    return y_hat, gradients, delta


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "widths", [(1, 1), (1, 2), (5, 1), (1, 1, 1, 1), (3, 17, 2), (16, 16), (2, 1, 33, 1, 3)]
)
def test_any_number_of_layers_and_widths_from_one(widths, dtype):
    model = fb.mlp(widths, activation="tanh", seed=0, dtype=dtype)
    assert len(model.layers) == len(widths) - 1
    assert (model.n_in, model.n_out, model.dtype) == (widths[0], widths[-1], np.dtype(dtype))
    for n in (1, 2, 9):
        X, d = data(n, widths[0], dtype), data(n, widths[-1], dtype)
        y_hat, gradients, d_x = by_numpy(model, X, d)
        close = {"rtol": RTOL[dtype], "atol": RTOL[dtype]}
        np.testing.assert_allclose(model.forward(X), y_hat, **close)
        np.testing.assert_allclose(model.backward(d), d_x, **close)
        for got, expected in zip(all_gradients(model), gradients, strict=True):
            np.testing.assert_allclose(got, expected, **close)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("output", ACTIVATIONS)
def test_one_row_alone_is_the_same_as_a_batch_of_one(output, dtype):
    model = fb.mlp([3, 4, 2], activation="sigmoid", output_activation=output, seed=2, dtype=dtype)
    x, d = data(1, 3, dtype), data(1, 2, dtype)
    y_hat, d_x = model.forward(x), model.backward(d)
    gradients = all_gradients(model)
    one, d_one = model.forward(x[0]), model.backward(d[0])
    assert one.shape == (2,)
    assert d_one.shape == (3,)
    assert one.tobytes() == y_hat.tobytes() == model.predict(x).tobytes()
    assert d_one.tobytes() == d_x.tobytes()
    assert all(
        a.tobytes() == b.tobytes() for a, b in zip(all_gradients(model), gradients, strict=True)
    )


def test_backward_fills_and_does_not_add_and_can_be_repeated():
    model = fb.mlp([3, 4, 2], activation="tanh", seed=2)
    X, d = data(5, 3, "f4"), data(5, 2, "f4")
    model.forward(X)
    first, gradients = model.backward(d), all_gradients(model)
    assert model.backward(d).tobytes() == first.tobytes()
    assert all(
        a.tobytes() == b.tobytes() for a, b in zip(all_gradients(model), gradients, strict=True)
    )
    # A larger batch in between needs new scratch; the smaller one is as before.
    model.forward(data(500, 3, "f4"))
    model.backward(data(500, 2, "f4"))
    model.forward(X)
    assert model.backward(d).tobytes() == first.tobytes()


def test_mlp_is_the_short_way_to_the_same_sequential():
    short = fb.mlp([4, 8, 3], activation="tanh", output_activation="softmax", seed=5)
    long = fb.Sequential([fb.Dense(4, 8, "tanh"), fb.Dense(8, 3, "softmax")], seed=5)
    assert repr(short) == repr(long) == "Sequential(4-8-3, tanh softmax, float32, 67 parameters)"
    for one, two in zip(short.layers, long.layers, strict=True):
        assert one.weight.tobytes() == two.weight.tobytes()


def test_repr_and_summary_say_what_the_net_is():
    layers = [fb.Dense(1000, 30, fb.LeakyReLU(0.2)), fb.Dense(30, 2, "softmax", bias=False)]
    model = fb.Sequential(layers, dtype="float64")
    assert repr(layers[0]) == "Dense(1000, 30, activation='leaky_relu', slope=0.2)"
    assert repr(layers[1]) == "Dense(30, 2, activation='softmax', bias=False)"
    assert model.n_parameters == 30_030 + 60
    lines = model.summary().splitlines()
    assert lines[0].split() == ["layer", "shape", "activation", "bias", "parameters"]
    assert lines[2].split() == [
        "layers[0]",
        "Dense",
        "1,000",
        "->",
        "30",
        "leaky_relu",
        "0.2",
        "yes",
        "30,030",
    ]
    assert lines[3].split() == ["layers[1]", "Dense", "30", "->", "2", "softmax", "no", "60"]
    assert lines[-1] == "30,090 parameters, float64, 240,720 bytes"
    assert len(repr(fb.mlp([3] * 200))) < 120


def test_a_layer_without_bias_has_none_anywhere():
    model = fb.mlp([3, 5, 2], bias=False, seed=0, dtype="float64")
    X, d = data(4, 3, "f8"), data(4, 2, "f8")
    assert model.n_parameters == 15 + 10
    assert all(x.bias is None and x.bias_gradient is None and not x.has_bias for x in model.layers)
    assert not model.predict(np.zeros((1, 3))).any()
    hidden = X @ model.layers[0].weight
    hidden[hidden < 0] = 0
    model.forward(X)
    model.backward(d)
    np.testing.assert_allclose(model.layers[1].weight_gradient, hidden.T @ d, rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_views_write_through_and_assignment_copies(dtype):
    model = fb.mlp([2, 3, 1], seed=0, dtype=dtype)
    layer = model.layers[0]
    assert layer.weight.shape == (2, 3)
    assert layer.bias.shape == (3,)
    assert layer.weight.dtype == dtype
    weights = np.arange(6.0).reshape(3, 2).T  # neither the order nor the dtype of the buffer
    layer.weight = weights
    layer.bias = [1, 2, 3]
    weights[:] = 99
    assert layer.weight.tolist() == [[0, 2, 4], [1, 3, 5]]
    layer.weight[1, 2] = -5
    layer.weight += 1
    layer.bias *= 2
    assert layer.weight.tolist() == [[1, 3, 5], [2, 4, -4]]
    assert layer.bias.tolist() == [2, 4, 6]
    model.layers[1].weight = [[1], [1], [1]]
    assert model.predict([1, 1]).item() == (1 + 2 + 2) + (3 + 4 + 4) + (5 - 4 + 6)
    layer.weight_gradient = np.ones((2, 3))
    layer.bias_gradient[:] = 7
    assert layer.weight_gradient.sum() == 6
    assert layer.bias_gradient.sum() == 21


def test_gradients_are_zero_before_the_first_backward():
    model = fb.mlp([2, 3, 1], seed=0)
    assert [g.any() for g in all_gradients(model)] == [False] * 4


def test_the_seed_decides_the_weights():
    def weights(seed, dtype="float32"):
        return [x.weight.copy() for x in fb.mlp([5, 6, 7], seed=seed, dtype=dtype).layers]

    for one, two, other in zip(weights(3), weights(3), weights(4), strict=True):
        assert one.tobytes() == two.tobytes()
        assert not (one == other).any()
    assert not (weights(None)[0] == weights(None)[0]).any()
    # One draw for both dtypes: float32 is the rounded float64.
    for single, double in zip(weights(3), weights(3, np.float64), strict=True):
        assert (single == double.astype("f4")).all()
        assert (single != double).any()


@pytest.mark.parametrize("dtype", ["float64", "f8", float, np.float64, np.dtype("f8")])
def test_dtype_is_taken_in_every_spelling(dtype):
    model = fb.mlp([2, 2], dtype=dtype)
    assert model.dtype == np.float64
    assert model.predict([[1, 2]]).dtype == np.float64


LOSSES = [
    ("softmax", fb.CrossEntropy(), np.eye(3)[[0, 2, 1, 1]]),
    ("softmax", fb.CrossEntropy(), [0, 2, 1, 1]),
    ("sigmoid", fb.BinaryCrossEntropy(), np.eye(3)[[0, 2, 1, 1]]),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("output", "loss", "y"), LOSSES)
def test_plain_arrays_made_of_traced_ones_give_the_same_blame(output, loss, y, dtype):
    model = fb.mlp([2, 5, 3], activation="tanh", output_activation=output, seed=1, dtype=dtype)
    X = data(4, 2, dtype)
    y_hat = model.forward(X)
    cost, d_y_hat = loss(y_hat, y)
    d_x = model.backward(d_y_hat)
    gradients = all_gradients(model)
    for array in (y_hat, d_y_hat):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1
        assert (
            type(array * 1)
            is type(-array)
            is type(np.exp(array))
            is type(array.sum(axis=0))
            is np.ndarray
        )
        assert np.isscalar(array.mean())
    # Arithmetic forgets z; the blame then goes through the activation's derivative.
    close = {"rtol": 50 * RTOL[dtype], "atol": RTOL[dtype]}
    np.testing.assert_allclose(model.backward(d_y_hat * 2), 2 * d_x, **close)
    for got, expected in zip(all_gradients(model), gradients, strict=True):
        np.testing.assert_allclose(got, 2 * expected, **close)
    # The cost of plain probabilities is the same too.
    plain_cost, plain_d = loss(np.array(y_hat), y)
    np.testing.assert_allclose(plain_cost, cost, rtol=10 * RTOL[dtype])
    np.testing.assert_allclose(plain_d, d_y_hat, **close)
    # A part, a copy or another order of it has no z of its own any more.
    np.testing.assert_allclose(model.backward(d_y_hat[::-1][::-1]), d_x, **close)
    np.testing.assert_allclose(model.backward(d_y_hat.copy()), d_x, **close)


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_y_hat_itself_can_be_the_blame(output):
    # dC/dy_hat of C = 1/2 sum y_hat^2 is y_hat; that it remembers its z must not make it a dC/dz.
    model = fb.mlp([2, 5, 3], activation="tanh", output_activation=output, seed=1, dtype="float64")
    y_hat = model.forward(data(4, 2, "f8"))
    expected = model.backward(np.array(y_hat))
    np.testing.assert_allclose(model.backward(y_hat), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("output", "loss", "y"), [*LOSSES, ("tanh", fb.MeanSquaredError(), np.eye(3)[[0, 2, 1, 1]])]
)
def test_the_four_words_by_hand_are_a_step_of_the_trainer(output, loss, y, dtype):
    X = data(4, 2, dtype)
    models = [
        fb.mlp([2, 5, 3], activation="tanh", output_activation=output, seed=1, dtype=dtype)
        for _ in range(2)
    ]
    trainer = fb.Trainer(models[0], loss, fb.SGD(0.1, momentum=0.9))
    sgd = fb.SGD(0.1, momentum=0.9)
    for _ in range(3):
        cost, d_y_hat = loss(models[1].forward(X), y)
        models[1].backward(d_y_hat)
        sgd.step(models[1])
        assert trainer.step(X, y) == cost
    for one, two in zip(models[0].layers, models[1].layers, strict=True):
        assert one.weight.tobytes() == two.weight.tobytes()
        assert one.bias.tobytes() == two.bias.tobytes()


def test_a_loss_of_ones_own_is_learned():
    # Mean absolute error, which the library doesn't have.
    model, sgd = fb.mlp([1, 8, 1], activation="tanh", seed=0), fb.SGD(0.1)
    x = np.linspace(-1, 1, 32, dtype=np.float32)[:, np.newaxis]
    costs = []
    for _ in range(1000):
        error = model.forward(x) - abs(x)
        costs.append(abs(error).mean())
        model.backward(np.sign(error) / len(x))
        sgd.step(model)
    assert min(costs) < 0.2 * costs[0]


def test_a_copy_of_a_layer_begins_with_its_weights():
    model = fb.mlp([3, 4, 2], seed=1)
    model.layers[0].bias = [1, 2, 3, 4]
    other = fb.Sequential([copy.deepcopy(model.layers[0]), fb.Dense(4, 5)])
    assert other.layers[0].weight.tobytes() == model.layers[0].weight.tobytes()
    assert other.layers[0].bias.tolist() == [1, 2, 3, 4]


def test_assigned_gradients_are_gradients():
    model = fb.Sequential([fb.Dense(1, 1, bias=False, weight_init=3.0)])
    model.layers[0].weight_gradient = [[2.0]]
    fb.SGD(0.5).step(model)
    assert model.layers[0].weight[0, 0] == 2.0


@pytest.mark.parametrize(
    ("loss", "y_hat", "y", "words"),
    [
        (fb.CrossEntropy(), [[5.0, -3.0]], [0], "rows that sum to 1, as a softmax layer gives"),
        (fb.CrossEntropy(), [[1.0]], [0], "at least 2 outputs"),
        (
            fb.BinaryCrossEntropy(),
            [[0.5], [5.0]],
            [0, 1],
            "from 0 to 1, as a sigmoid layer gives, got 5.0 at row 1",
        ),
        (fb.MeanSquaredError(), np.ones((2, 0)), np.ones((2, 0)), "at least one column"),
    ],
)
def test_a_loss_by_hand_refuses_what_its_activation_cannot_give(loss, y_hat, y, words):
    with pytest.raises(ValueError, match=words):
        loss(y_hat, y)
