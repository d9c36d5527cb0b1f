"""The examples that one can follow with pencil and paper, through the public classes."""

import math

import numpy as np
import pytest

import fastbackprop as fb


def chain(dtype, activation="identity", bias=False, w=(3.0, 4.0), b=(0.0, 0.0)):
    """One input, one hidden neuron, one output: x -> w1 -> w2 -> y_hat."""
    layers = [
        fb.Dense(1, 1, activation, bias=bias, weight_init=w[i], bias_init=b[i]) for i in range(2)
    ]
    return fb.Sequential(layers, dtype=dtype)


def weights(model):
    return [float(layer.weight[0, 0]) for layer in model.layers]


# x = 2, w1 = 3, w2 = 4, y = 30, C = 1/2 (y_hat - y)^2, learning rate 0.01:
# exact in float64, in float32 to half a unit in the last place of 4.36.
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 0.0), ("float32", 2.4e-7)])
def test_two_linear_neurons_by_hand(dtype, tolerance):
    model = chain(dtype)
    hidden = fb.Sequential([fb.Dense(1, 1, bias=False, weight_init=3.0)], dtype=dtype)
    assert hidden.forward([[2.0]])[0, 0] == 6.0  # a1
    y_hat = model.forward([[2.0]])
    assert y_hat[0, 0] == 24.0
    cost, d_y_hat = fb.HalfSquaredError()(y_hat, [[30.0]])
    assert cost == 18.0
    assert d_y_hat[0, 0] == -6.0
    d_x = model.backward(d_y_hat)
    assert model.layers[1].weight_gradient[0, 0] == -36.0
    assert model.layers[0].weight_gradient[0, 0] == -48.0
    assert d_x[0, 0] == -72.0
    fb.SGD(0.01).step(model)
    assert weights(model) == pytest.approx([3.48, 4.36], abs=tolerance, rel=0)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 0.0), ("float32", 2.4e-7)])
def test_two_linear_neurons_by_the_trainer(dtype, tolerance):
    model = chain(dtype)
    trainer = fb.Trainer(model, loss="half_squared_error", optimizer=fb.SGD(0.01))
    assert trainer.step([[2.0]], [[30.0]]) == 18.0
    assert weights(model) == pytest.approx([3.48, 4.36], abs=tolerance, rel=0)
    # The step was right: the error has shrunk, from 24 - 30 to 3.48 * 2 * 4.36 - 30.
    assert model.predict([2.0])[0] == pytest.approx(30.3456, abs=1e-4)


# x = 1, w1 = 0.5, b1 = 0.1, w2 = -0.3, b2 = 0.2, y = 1, worked out to ten digits:
# z1 = 0.6, a1 = 0.6456563062, z2 = 0.0063031081, y_hat = 0.5015757718,
# s'(z2) = 0.2499975169, dC/dw2 = (y_hat - 1) s'(z2) a1.
def test_two_sigmoid_neurons_with_biases():
    model = chain("float64", "sigmoid", bias=True, w=(0.5, -0.3), b=(0.1, 0.2))
    y_hat = model.forward([[1.0]])
    assert y_hat[0, 0] == pytest.approx(0.5015757718, abs=1e-10)
    cost, d_y_hat = fb.HalfSquaredError()(y_hat, [[1.0]])
    assert cost == pytest.approx(0.1242133556, abs=1e-10)
    model.backward(d_y_hat)
    first, second = model.layers
    assert second.bias_gradient[0] == pytest.approx(-0.1246048194, abs=1e-10)
    assert second.weight_gradient[0, 0] == pytest.approx(-0.0804518875, abs=1e-10)
    # one link further down: * w2 * s'(z1) = * -0.3 * 0.2287842405, and * x = 1
    assert first.bias_gradient[0] == pytest.approx(0.0085522857, abs=1e-10)
    assert first.weight_gradient[0, 0] == pytest.approx(0.0085522857, abs=1e-10)


def test_sigmoid_chain_follows_its_formula():
    def s(z):
        return 1 / (1 + math.exp(-z))

    x, y, (w1, w2), (b1, b2) = 0.7, 0.2, (1.3, -0.8), (-0.4, 0.6)
    z1 = w1 * x + b1
    a1 = s(z1)
    z2 = w2 * a1 + b2
    y_hat = s(z2)
    model = chain("float64", "sigmoid", bias=True, w=(w1, w2), b=(b1, b2))
    trainer = fb.Trainer(model, "half_squared_error", fb.SGD(1.0))
    assert trainer.step([x], [y]) == pytest.approx((y_hat - y) ** 2 / 2, rel=1e-14)
    d_w2 = (y_hat - y) * y_hat * (1 - y_hat) * a1
    d_w1 = (y_hat - y) * y_hat * (1 - y_hat) * w2 * a1 * (1 - a1) * x
    assert weights(model) == pytest.approx([w1 - d_w1, w2 - d_w2], rel=1e-14)


def test_one_neuron_with_several_inputs():
    layer = fb.Dense(3, 1, weight_init=[[2.0], [-3.0], [0.5]], bias_init=[10.0])
    model = fb.Sequential([layer], dtype="float64")
    assert model.predict([1.0, 2.0, 4.0])[0] == 2.0 * 1 - 3.0 * 2 + 0.5 * 4 + 10


def linear_chain(activation):
    rng = np.random.default_rng(5)
    w = rng.uniform(0.9, 1.1, 100) * np.where(np.arange(100) % 7 == 3, -1, 1)
    layers = [fb.Dense(1, 1, activation, bias=False, weight_init=float(x)) for x in w]
    return fb.Sequential(layers, dtype="float64"), float(np.prod(w))


def test_a_chain_of_linear_neurons_is_one_multiplication():
    model, product = linear_chain("identity")
    x = np.linspace(-3, 3, 50)[:, None]
    np.testing.assert_allclose(model.predict(x), x * product, rtol=1e-12)


def test_with_relu_between_them_it_is_not():
    model, product = linear_chain("relu")
    x = np.linspace(-3, 3, 50)[:, None]
    # Some weight is negative, so every path is cut by a relu somewhere.
    assert not np.allclose(model.predict(x), x * product)
    assert np.all(model.predict(x) == 0)
