"""What each loss costs, at known places and at the ends of the number line."""

import re

import numpy as np
import pytest
from loss_cases import NAMES, TABLE, TAKES_LABELS, last_activation, loss_of, targets_of
from reference import DTYPES, VARIANTS, Kernels, Layer

import fastbackprop as fb

inf = np.inf


@pytest.mark.parametrize(
    ("loss", "y_hat", "y", "cost", "d_y_hat"),
    [
        (fb.CrossEntropy(label_smoothing=0.1), [0.7, 0.2, 0.1], 0, 0.463297, None),
        (fb.CrossEntropy(label_smoothing=0.1), [0.7, 0.2, 0.1], [1, 0, 0], 0.463297, None),
        (fb.BinaryCrossEntropy(label_smoothing=0.1), [0.8], [1], 0.292458, None),
        (fb.BinaryCrossEntropy(sum_outputs=True), [0.8, 0.5], [1, 0], 0.916291, None),
        (fb.BinaryCrossEntropy(), [0.8, 0.5], [1, 0], 0.458145, None),
        (fb.FocalCrossEntropy(gamma=0), [0.25, 0.75], 1, 0.287682, [0, -1 / 0.75]),
        (fb.FocalCrossEntropy(), [0.25, 0.75], 1, 0.01798013, [0, -0.227174]),
        (fb.MeanAbsoluteError(), [3, 1], [1, 2], 1.5, [0.5, -0.5]),
        (fb.Huber(), [3, 1.5], [1, 1], 0.8125, [0.5, 0.25]),
        (fb.Huber(0.25), [3, 1.125], [1, 1], 0.23828125, [0.125, 0.0625]),
        (fb.LogCosh(), [3], [1], 1.3250027, [0.9640276]),
        (fb.LogCosh(), [1e-4], [0], 5e-9, [1e-4]),
        (fb.LogCosh(), [300], [-300], 600 - np.log(2), [1]),
        (fb.Quantile(0.9), [1, 4], [3, 3], 0.95, [-0.45, 0.05]),
        (fb.Quantile([0.1, 0.9]), [1, 4], 3, 0.15, [-0.05, 0.05]),
        (fb.Poisson(), [2], [3], 2 - 3 * np.log(2), [-0.5]),
        (fb.GaussianNLL(), [1, np.log(4)], 3, 0.5 * np.log(4) + 0.5, [-0.5, 0]),
        (fb.Hinge(), [0.25, 2], [1, 0], 1.875, [-0.5, 0.5]),
        (fb.Hinge(), [1, -1], [1, 0], 0, [0, 0]),
    ],
)
def test_known_numbers(loss, y_hat, y, cost, d_y_hat):
    for dtype in DTYPES:
        found, gradient = loss(np.array(y_hat, dtype), y)
        assert found == pytest.approx(cost, rel=2e-6)
        if d_y_hat is not None:
            np.testing.assert_allclose(gradient, d_y_hat, rtol=2e-6, atol=1e-12)


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("name", TAKES_LABELS)
def test_accuracy_is_of_the_label_that_is_not_smoothed(name, labels):
    model = fb.mlp([2, 3], output_activation="softmax", seed=0)
    X = np.random.default_rng(0).normal(size=(50, 2))
    y = model.predict(X).argmax(axis=1)
    loss = fb.CrossEntropy(label_smoothing=0.9) if name == "cross_entropy" else loss_of(name)
    found = fb.Trainer(model, loss).evaluate(X, y if labels else np.eye(3)[y])
    assert found["accuracy"] == 1


def test_the_hinge_counts_outputs_above_0():
    model = fb.mlp([2, 1], seed=0)
    X = np.random.default_rng(0).normal(size=(50, 2))
    y = (model.predict(X) > 0).astype(int)
    assert fb.Trainer(model, "hinge").evaluate(X, y)["accuracy"] == 1
    assert fb.Trainer(model, "hinge").evaluate(X, 1 - y)["accuracy"] == 0


def outputs_from_bias(name, variant, dtype, z, y):
    """(cost, a) of a sample whose z are the biases of a layer."""
    z = np.array(z, dtype)
    net = Kernels(variant, dtype, [Layer(np.zeros((1, len(z))), z, last_activation(name))])
    net.spoil_scratch(1)
    _, a = net.forward(np.zeros((1, 1)))
    return net.evaluate(name, np.zeros((1, 1)), np.array([y]))[0], a


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_infinite_outputs_cost_their_limit(variant, dtype):
    cases = [
        ("mean_absolute_error", [inf, 1], [0, 0], inf),
        ("huber", [-inf, 1], [0, 0], inf),
        ("log_cosh", [-inf, 1], [0, 0], inf),
        ("quantile", [inf, 1], [0, 0], inf),
        ("hinge", [inf, 3], [1, 1], 0),
        ("hinge", [inf, 3], [0, 1], inf),
        ("hinge", [-inf, 3], [0, 1], 0),
        ("gaussian_nll", [inf, 0], [0], inf),
        ("gaussian_nll", [1, inf], [0], inf),
        ("gaussian_nll", [0, -inf], [0], -inf),
        ("gaussian_nll", [1, -inf], [0], inf),
        ("focal_cross_entropy", [inf, 0], [1, 0], 0),
        ("focal_cross_entropy", [inf, 0], [0, 1], inf),
        ("focal_cross_entropy", [-inf, 0], [0, 1], 0),
        ("poisson", [-inf, -inf], [0, 0], 0),
        ("poisson", [-inf, 0], [1, 0], inf),
        ("poisson", [inf, 0], [1, 0], inf),
    ]
    for name, z, y, expected in cases:
        if name in NAMES:
            found, _ = outputs_from_bias(name, variant, dtype, z, y)
            assert found == expected, (name, z, y)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_logits_far_apart_lose_no_cost(dtype, smoothing):
    z = np.array([[0, -400, -1000.0]], dtype)
    layer = fb.Dense(3, 3, "softmax", weight_init=np.eye(3), bias=False)
    model = fb.Sequential([layer], dtype=dtype)
    loss = fb.CrossEntropy(label_smoothing=smoothing)
    for y in ([1], np.eye(3)[[1]]):
        expected = (1 - smoothing) * 400 + smoothing / 3 * 1400
        assert loss(model.forward(z), y)[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_focal_cross_entropy_is_smooth_where_it_is_sure(dtype):
    layer = fb.Dense(2, 2, "softmax", weight_init=np.eye(2), bias=False)
    model = fb.Sequential([layer], dtype=dtype)
    for gamma in (0.0, 0.5, 1.0, 2.0, 5.0):
        loss = fb.FocalCrossEntropy(gamma)
        for z in ([[1000.0, 0.0]], [[0.0, 1000.0]], [[1e38, -1e38]], [[20.0, 0.0]]):
            for y in ([0], [1]):
                cost, gradient = loss(model.forward(np.array(z)), y)
                assert cost >= 0
                model.backward(gradient)
                assert np.isfinite(model.layers[0].weight_gradient).all()


# ---- missing targets ----


def masked():
    return [name for name in NAMES if hasattr(loss_of(name), "mask_missing")]


def test_every_loss_of_regression_masks():
    regression = {name for name in TABLE if not TABLE[name].is_classification}
    assert set(masked()) == regression & set(NAMES)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", masked())
def test_a_row_without_targets_is_absent(name, dtype):
    rng = np.random.default_rng(0)
    loss = type(loss_of(name))(mask_missing=True)
    model = fb.mlp(
        [3, 4, 6], activation="tanh", output_activation=last_activation(name), seed=0, dtype=dtype
    )
    X, y = rng.normal(size=(9, 3)), targets_of(name, rng, 9, 6)
    holes = y.copy()
    holes[[2, 5]] = np.nan
    places = [0, 1, 3, 4, 6, 7, 8]
    assert fb.Trainer(model, loss).evaluate(X, holes)["loss"] == pytest.approx(
        fb.Trainer(model, loss).evaluate(X[places], y[places])["loss"], rel=1e-6
    )
    cost, gradient = loss(model.forward(X), holes)
    model.backward(gradient)
    found = model.layers[0].weight_gradient.copy()
    expected, gradient = loss_of(name)(model.forward(X[places]), y[places])
    model.backward(gradient)
    assert cost == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(found, model.layers[0].weight_gradient, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", masked())
def test_the_mean_is_that_of_the_targets_that_are_there(name):
    rng = np.random.default_rng(1)
    loss = type(loss_of(name))(mask_missing=True)
    model = fb.mlp(
        [3, 4, 6], activation="tanh", output_activation=last_activation(name), seed=0,
        dtype="float64",
    )  # fmt: skip
    X, y = rng.normal(size=(5, 3)), targets_of(name, rng, 5, 6)
    y[rng.uniform(size=y.shape) < 0.4] = np.nan
    y[0, 0] = 1
    whole = loss_of(name)
    y_hat = np.array(model.forward(X))
    one_by_one = []
    for i, j in np.argwhere(~np.isnan(y)):
        columns = [j, 3 + j] if name == "gaussian_nll" else [j]
        one_by_one.append(whole(y_hat[i : i + 1, columns], y[i : i + 1, [j]])[0])
    outputs = y.shape[1] if name == "half_squared_error" else 1
    expected = outputs * np.mean(one_by_one)
    assert loss(model.forward(X), y)[0] == pytest.approx(expected, rel=1e-12)
    check = fb.gradient_check(model, X, y, loss)
    assert check, str(check)
    assert np.isfinite(fb.explain(model, X, y, loss).cost)
    v = [(np.ones_like(x.weight), np.ones_like(x.bias)) for x in model.layers]
    assert all(np.isfinite(x).all() for p in model.hessian_vector_product(X, y, loss, v) for x in p)
    # Each sample's own gradient is that of its own cost.
    each = model.sample_gradients(X, y, loss)
    for i in np.flatnonzero(~np.isnan(y).all(axis=1)):
        model.backward(loss(model.forward(X[i : i + 1]), y[i : i + 1])[1])
        np.testing.assert_allclose(each[0][0][i], model.layers[0].weight_gradient, rtol=1e-9)


def test_without_a_mask_nothing_may_be_missing():
    with pytest.raises(ValueError, match=r"y must .*nan"):
        fb.MeanSquaredError()([[1.0, 2.0]], [[1.0, np.nan]])
    loss = fb.MeanSquaredError(mask_missing=True)
    with pytest.raises(ValueError, match="y must be finite or NaN, got inf at row 0, column 1"):
        loss([[1.0, 2.0]], [[1.0, np.inf]])
    with pytest.raises(ValueError, match="y must have a target that isn't missing, got nothing"):
        loss([[1.0]], [[np.nan]])
    assert loss([[1.0, 2.0]], [[0.0, np.nan]]) == (1.0, pytest.approx(np.array([[2.0, 0.0]])))


# ---- parameters, shapes and complaints ----


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: fb.Huber(0), ValueError, "delta must be a finite number above 0, got 0"),
        (lambda: fb.Huber("a"), TypeError, "delta must be"),
        (lambda: fb.Quantile(1), ValueError, "q must be a number between 0 and 1, got 1."),
        (lambda: fb.Quantile(0), ValueError, "q must be"),
        (lambda: fb.Quantile([0.1, 2]), ValueError, "q[1] must be a number between 0 and 1"),
        (lambda: fb.Quantile([]), ValueError, "q must have at least one number"),
        (lambda: fb.CrossEntropy(label_smoothing=1), ValueError, "label_smoothing must be a nu"),
        (lambda: fb.CrossEntropy(label_smoothing=-1), ValueError, "label_smoothing must be"),
        (lambda: fb.BinaryCrossEntropy(label_smoothing=2), ValueError, "label_smoothing must"),
        (lambda: fb.BinaryCrossEntropy(sum_outputs=2), TypeError, "sum_outputs must be True or"),
        (lambda: fb.FocalCrossEntropy(-1), ValueError, "gamma must be a finite number"),
        (lambda: fb.MeanSquaredError(mask_missing=2), TypeError, "mask_missing must be True or"),
        (lambda: fb.Hinge()([[1.0]], [[2]]), ValueError, "y must be 0 or 1 for loss 'hinge', got"),
        (lambda: fb.Poisson()([[1.0]], [[-2]]), ValueError, "y must be at least 0 for loss 'poi"),
        (lambda: fb.Poisson()([[-1.0]], [[2]]), ValueError, "y_hat must be at least 0, as a lay"),
        (lambda: fb.GaussianNLL()([[1.0]], [[2]]), ValueError, "loss 'gaussian_nll' must have an"),
        (
            lambda: fb.Quantile([0.1, 0.9])([[1.0]], [2]),
            ValueError,
            "loss Quantile(q=(0.1, 0.9)) must have 2 outputs, one for each q, got 1.",
        ),
        (
            lambda: fb.GaussianNLL()(np.zeros((2, 4)), np.zeros((2, 4))),
            ValueError,
            "y must have",
        ),
    ],
)  # fmt: skip
def test_complaints(make, error, sentence):
    with pytest.raises(error, match=f"^{re.escape(sentence)}"):
        make()


def test_representations_name_what_is_unusual():
    assert repr(fb.Huber()) == "Huber()"
    assert repr(fb.Huber(2, mask_missing=True)) == "Huber(mask_missing=True, delta=2.0)"
    assert repr(fb.Quantile([0.1, 0.9])) == "Quantile(q=(0.1, 0.9))"
    assert fb.Huber(2) == fb.Huber(2.0)
    assert hash(fb.Quantile([0.1])) == hash(fb.Quantile((0.1,)))


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_trains(name):
    rng = np.random.default_rng(0)
    model = fb.mlp([3, 8, 4], activation="tanh", output_activation=last_activation(name), seed=0)
    X, y = rng.normal(size=(64, 3)), targets_of(name, rng, 64, 4)
    history = fb.Trainer(model, name, fb.SGD(0.05), seed=0).fit(X, y, epochs=30)
    assert history.loss[-1] < history.loss[0]


def test_quantiles_are_learned():
    rng = np.random.default_rng(0)
    y = rng.exponential(size=4000)
    model = fb.Sequential([fb.Dense(1, 3)], seed=0)
    loss = fb.Quantile([0.1, 0.5, 0.9])
    fb.Trainer(model, loss, fb.SGD(0.5), batch_size=500, seed=0).fit(
        np.zeros((4000, 1)), y, epochs=60
    )
    found = model.predict([[0.0]])[0]
    np.testing.assert_allclose(found, np.quantile(y, [0.1, 0.5, 0.9]), atol=0.05)


def test_means_and_variances_are_learned():
    rng = np.random.default_rng(0)
    y = rng.normal(3, 0.5, 4000)
    model = fb.Sequential([fb.Dense(1, 2)], seed=0)
    fb.Trainer(model, "gaussian_nll", fb.SGD(0.05), batch_size=500, seed=0).fit(
        np.zeros((4000, 1)), y, epochs=200
    )
    mean, logarithm = model.predict([[0.0]])[0]
    assert mean == pytest.approx(3, abs=0.05)
    assert np.exp(logarithm / 2) == pytest.approx(0.5, abs=0.05)
