"""Few outputs have rows or inputs in the lanes, many have outputs there: the bits are the same."""

from itertools import product

import numpy as np
import pytest
from reference import DTYPES, VARIANTS, Kernels, Layer

on_every_kernel = pytest.mark.parametrize(("variant", "dtype"), list(product(VARIANTS, DTYPES)))
ENDS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 17, 20, 34, 37, 50)  # outputs, many with a narrow end
WIDE = 64  # none of whose blocks is narrow
SGD = (0.1, 0.0, False, 0.0)
MOMENTUM = (0.1, 0.9, False, 0.01)


def draw(*shape):
    return np.random.default_rng(sum(shape)).uniform(-1, 1, shape).astype(np.float32)


def net_of(variant, dtype, n_in, n_out, activation="identity", bias=True):
    """The first outputs of one wide layer."""
    weight, b = draw(n_in, WIDE)[:, :n_out], draw(1, WIDE)[0, :n_out]
    return Kernels(variant, dtype, [Layer(weight, b if bias else None, activation)])


@on_every_kernel
@pytest.mark.parametrize("n_in", [15, 33, 64, 70, 129, 300])
def test_outputs_do_not_depend_on_how_many_there_are(variant, dtype, n_in):
    """Forward, in training and to predict: for rows that fill vectors, and for those left."""
    x = draw(101, n_in)
    for activation, bias in (("identity", True), ("relu", False), ("leaky_relu", True)):
        wide = net_of(variant, dtype, n_in, WIDE, activation, bias)
        wide.spoil_scratch(101)
        _, a_wide = wide.forward(x)
        for n_out in ENDS:
            net = net_of(variant, dtype, n_in, n_out, activation, bias)
            for n in (0, 1, 7, 16, 31, 32, 33, 101):
                fence = net.spoil_scratch(n)
                _, a = net.forward(x[:n])
                case = (activation, n_out, n)
                assert a.tobytes() == a_wide[:n, :n_out].tobytes(), case
                assert net.predict(x[:n]).tobytes() == a.tobytes(), case
                assert np.isnan(fence).all(), case


@on_every_kernel
@pytest.mark.parametrize("optimizer", [SGD, MOMENTUM])
@pytest.mark.parametrize("n_in", [1, 15, 16, 17, 47, 64, 100, 144, 300])
def test_weights_do_not_depend_on_how_many_outputs_there_are(variant, dtype, optimizer, n_in):
    """A step corrects those of each output as if there were more, and leaves padding at 0."""
    x, y = draw(70, n_in), draw(70, WIDE)
    planes = 1 if optimizer is MOMENTUM else 0
    for n in (1, 7, 8, 23, 24, 70):
        wide = net_of(variant, dtype, n_in, WIDE)
        wide.spoil_scratch(n)
        wide.train("half_squared_error", optimizer, x[:n], y[:n], wide.state(planes).buffer)
        values = wide.parameters.values
        w_wide, b_wide = wide.places[0].weight(values), wide.places[0].bias(values)
        for n_out in ENDS:
            net = net_of(variant, dtype, n_in, n_out)
            net.spoil_scratch(n)
            state = net.state(planes).buffer
            net.train("half_squared_error", optimizer, x[:n], y[:n, :n_out], state)
            values = net.parameters.values
            assert net.places[0].weight(values).tobytes() == w_wide[:, :n_out].tobytes(), (n_out, n)
            assert net.places[0].bias(values).tobytes() == b_wide[:n_out].tobytes(), (n_out, n)
            assert not net.padding(values).any(), (n_out, n)


@on_every_kernel
def test_gradients_do_not_depend_on_how_many_outputs_there_are(variant, dtype):
    """Written instead of used."""
    for n_in, n in product((16, 50, 129), (8, 65)):
        x, delta = draw(n, n_in), draw(n, WIDE)
        gradients = {}
        for n_out in (*ENDS, WIDE):
            net = net_of(variant, dtype, n_in, n_out)
            net.spoil_scratch(n)
            net.forward(x)
            buffer, _ = net.backward(delta[:, :n_out])
            gradients[n_out] = net.places[0].weight(buffer)
        for n_out in ENDS:
            assert gradients[n_out].tobytes() == gradients[WIDE][:, :n_out].tobytes(), (n_in, n_out)


@on_every_kernel
def test_softmax_of_many_rows_is_that_of_each(variant, dtype):
    """Also where numbers among them aren't finite: those rows alone are done another way."""
    big = 1e30 if dtype == "float32" else 1e200
    for n_out in (2, 3, 7, 8, 9, 10, 16, 17):
        net = Kernels(variant, dtype, [Layer(big * np.eye(n_out), None, "softmax")])
        x = (draw(70, n_out).astype(np.float64) * 90 / big).astype(dtype)
        x[37] = x[37, 0]  # all shares are the same
        x[40, 1] = big  # z is infinite
        x[61] = -big
        x[69] = -big
        x[69, 0] = 0
        for rows in (x, np.where(np.arange(70)[:, None] == 50, dtype_nan(dtype), x)):
            net.spoil_scratch(70)
            _, together = net.forward(rows)
            for i in range(70):
                net.spoil_scratch(1)
                _, alone = net.forward(rows[i : i + 1])
                assert np.array_equal(together[i], alone[0], equal_nan=True), (n_out, i)
            assert np.isnan(together).any() == np.isnan(rows).any()
            assert together[40, 1] == 1
            assert together[69, 0] == 1


def dtype_nan(dtype):
    return np.array(np.nan, dtype)


@on_every_kernel
def test_among_equal_shares_the_first_is_predicted(variant, dtype):
    for n_out in (2, 3, 8, 10, 16, 17, 33):
        for first in (0, 1, n_out - 1):
            weight = np.zeros((1, n_out))
            weight[0, first:] = 1  # from there on they are the largest, and equal
            net = Kernels(variant, dtype, [Layer(weight, None, "softmax")])
            net.spoil_scratch(40)
            labels = np.arange(40) % n_out
            _, _, right, *_ = net.train(
                "cross_entropy", (0.0, 0.0, False, 0.0), np.ones((40, 1)), labels
            )
            assert right == (labels == first).sum(), (n_out, first)
