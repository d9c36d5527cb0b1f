"""Where numbers leave what a dtype can hold, on either side: infinite z, fading velocities."""

from itertools import product

import numpy as np
import pytest
import reference as twin
from privates import state_of
from reference import DTYPES, VARIANTS, Kernels, Layer

import fastbackprop as fb

on_every_kernel = pytest.mark.parametrize(("variant", "dtype"), list(product(VARIANTS, DTYPES)))
INF = np.inf

# z, and the limit of softmax z where finite z grow to it: who reaches infinity shares 1.
SOFTMAX = [
    ((INF, 0.0), (1.0, 0.0)),
    ((0.0, INF, INF), (0.0, 0.5, 0.5)),
    ((INF, INF, INF, INF), (0.25,) * 4),
    ((-INF, 3.0), (0.0, 1.0)),
    ((-INF, INF), (0.0, 1.0)),
    ((-INF, -INF), (0.5, 0.5)),
    ((0.0,) * 40 + (INF,), (0.0,) * 40 + (1.0,)),
    ((INF,) + (5.0,) * 99, (1.0,) + (0.0,) * 99),
]


def overflowing(variant, dtype, z, activation):
    """A layer with finite weights whose z for the input [[4]] is this."""
    largest = float(np.finfo(dtype).max)
    row = [np.copysign(largest / 2, x) if np.isinf(x) else x / 4 for x in z]
    net = Kernels(variant, dtype, [Layer(np.array([row]), None, activation)])
    net.spoil_scratch(1)
    return net, np.full((1, 1), 4.0)


@on_every_kernel
@pytest.mark.parametrize(("z", "limit"), SOFTMAX)
def test_softmax_of_infinite_z_is_its_limit(variant, dtype, z, limit):
    net, X = overflowing(variant, dtype, z, "softmax")
    assert np.array_equal(net.forward(X)[0], [z])
    assert net.predict(X).tolist() == [list(limit)]
    assert net.forward(X)[1].tolist() == [list(limit)]
    quick = net.kernels.QuickPredictor(net.network)
    assert quick.predict(net.cast(X), True).tolist() == [list(limit)]
    assert np.array_equal(twin.TABLE["softmax"].value(np.array([z]), 0), [limit])


@on_every_kernel
@pytest.mark.parametrize(("z", "limit"), SOFTMAX)
def test_cross_entropy_of_infinite_z_is_its_limit(variant, dtype, z, limit):
    for label, p in enumerate(limit[:4]):
        one_hot = np.eye(len(z))[[label]]
        expected = INF if p == 0 else -np.log(p)
        net, X = overflowing(variant, dtype, z, "softmax")
        for y in (np.array([label]), one_hot):
            assert net.evaluate("cross_entropy", X, y)[0] == pytest.approx(expected, rel=1e-6)
        layer = Layer(net.places[0].weight(net.parameters.values), None, "softmax")
        cost, delta = twin.compare(
            "cross_entropy", layer, np.array([z]), np.array([limit]), one_hot
        )
        assert cost == pytest.approx(expected)
        assert np.array_equal(delta, limit - one_hot)


@on_every_kernel
@pytest.mark.parametrize(
    ("z", "y", "cost"),
    [(INF, 1.0, 0), (INF, 0.0, INF), (INF, 0.5, INF), (-INF, 0.0, 0), (-INF, 1.0, INF)],
)
def test_binary_cross_entropy_of_infinite_z_is_its_limit(variant, dtype, z, y, cost):
    net, X = overflowing(variant, dtype, (z,), "sigmoid")
    assert net.predict(X).tolist() == [[float(z > 0)]]
    assert net.evaluate("binary_cross_entropy", X, [[y]])[0] == cost
    a = np.array([[float(z > 0)]])
    layer = Layer(np.ones((1, 1)), None, "sigmoid")
    assert (
        twin.compare("binary_cross_entropy", layer, np.array([[z]]), a, np.array([[y]]))[0] == cost
    )


@on_every_kernel
def test_nan_stays_nan_beside_infinite_z(variant, dtype):
    net, _ = overflowing(variant, dtype, (INF, 0.0, 1.0), "softmax")
    assert np.isnan(net.predict(np.full((1, 1), np.nan))).all()
    for row in ([1.0, 0.0, -1.0], [0.0, 1.0, 1.0], [-1.0, 0.0, -1.0]):  # inf * 0
        net = Kernels(variant, dtype, [Layer(np.array([row]), None, "softmax")])
        assert np.isnan(net.predict(np.full((1, 1), INF))).all()


def test_a_net_whose_z_overflows_predicts_and_trains():
    model = fb.Sequential([fb.Dense(2, 2, "softmax", weight_init=[[3e38, 0], [0, 1]], bias=False)])
    assert model.predict([[2, 0]]).tolist() == [[1, 0]]
    cost, gradient = fb.CrossEntropy()(model.forward([[2, 0]]), [0])
    assert cost == 0
    assert gradient.tolist() == [[0, 0]] or np.isfinite(gradient).all()
    trainer = fb.Trainer(model, "cross_entropy", fb.SGD(0.1))
    assert trainer.step([[2, 0]], [0]) == 0
    with pytest.raises(fb.DivergenceError):
        trainer.step([[2, 0]], [1])  # its cost is infinite


@on_every_kernel
@pytest.mark.parametrize("nesterov", [False, True])
def test_a_velocity_that_fades_becomes_zero_and_weights_stay_subnormal(variant, dtype, nesterov):
    """An input is lit once; then its gradients are 0, and momentum alone moves its weights."""
    tiny, smallest = np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal
    net = Kernels(variant, dtype, [Layer(np.full((3, 20), 3 * smallest), None)])
    state, hand = (
        net.state(),
        Kernels(variant, dtype, [Layer(np.full((3, 20), 3 * smallest), None)]),
    )
    state.planes[:] = np.where(net.parameters.values != 0, 4 * tiny, 0)
    X, y = np.zeros((2, 3)), np.zeros((2, 20))
    net.spoil_scratch(2)
    update = (smallest, 0.9, nesterov, 0.0)  # moves nothing
    start = net.parameters.values.copy()
    gradients, hand_state, weights = net.zeros(), net.state(), hand.parameters.values
    hand_state.planes[:] = state.planes
    for _ in range(20):
        assert net.train("half_squared_error", update, X, y, state.buffer)[0] == 0
        assert hand.correct(gradients, update, hand_state.buffer) == -1
        assert not ((state.planes != 0) & (np.abs(state.planes) < tiny)).any()
        assert state.buffer.tobytes() == hand_state.buffer.tobytes()
    assert not state.planes.any()
    assert net.parameters.values.tobytes() == start.tobytes() == weights.tobytes()
    assert np.abs(start[start != 0]).max() < tiny


def test_no_subnormal_velocity_is_left_by_an_input_that_was_lit_once():
    """Rounding to nearest, 0.9 v is v again for the smallest of them: they stayed for ever."""
    model = fb.mlp([4, 8, 1], seed=0)
    optimizer = fb.SGD(0.01, momentum=0.9)
    trainer = fb.Trainer(model, "half_squared_error", optimizer)
    X = np.zeros((900, 4))
    X[0] = 1
    trainer.fit(X, np.zeros((900, 1)), epochs=1, batch_size=1, shuffle=False)
    velocity = state_of(optimizer, model).planes
    assert not ((velocity != 0) & (np.abs(velocity) < np.finfo("float32").tiny)).any()


@on_every_kernel
@pytest.mark.parametrize("value", [np.nan, -np.nan, INF, -INF])
def test_the_first_number_that_is_not_finite_is_found_wherever_it_is(variant, dtype, value):
    module, limits = twin.kernels(variant, dtype), np.finfo(dtype)
    finite = np.array(
        [0, -0.0, 1, -1, limits.max, limits.min, limits.tiny, -limits.smallest_subnormal], dtype
    )
    for size in (1, 7, 16, 33, 64):
        x = np.resize(finite, size)
        assert module.first_nonfinite(x) == -1
        for at in range(size):
            wrong = x.copy()
            wrong[at] = value
            wrong[-1] = INF
            assert module.first_nonfinite(wrong) == at
