"""What an optimizer keeps, and rates of each step: the same bits as steps one by one."""

import copy
import pickle

import numpy as np
import pytest
from privates import state_of, values_of
from reference import DTYPES, VARIANTS, Kernels, Layer, loss_spec, run

import fastbackprop as fb

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(21, 5)), RNG.normal(size=(21, 3))
LAYERS = [
    Layer(RNG.normal(size=(5, 9)), RNG.normal(size=9), "tanh"),
    Layer(RNG.normal(size=(9, 3)), None),
]
# Learning rate, momentum, weight decay.
RATES = np.array([[0.1, 0.9, 0.01], [0.0, 0.5, 0.0], [0.3, 0.0, 0.1], [0.01, 0.99, 0.2]])


def train_by_table(net, batch_size, state, n_threads=1):
    update = net.update((1.0, 0.5, True, 1.0))
    work = net.kernels.TrainingWork(
        net.workspace, net.cast(X), net.cast(Y), None, None, 0, 21, batch_size,
        loss_spec(net.kernels, "half_squared_error", Y.shape[1]), update, state.buffer,
        0.0, 0, n_threads, False, None, RATES,
    )  # fmt: skip
    assert run(work, n_threads)[0] == 0


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_a_table_of_rates_is_as_good_as_a_call_for_each_step(variant, dtype, n_threads):
    net, one_by_one = (Kernels(variant, dtype, LAYERS) for _ in range(2))
    net.spoil_scratch(6)
    one_by_one.spoil_scratch(6)
    state, other = net.state(), one_by_one.state()
    train_by_table(net, 6, state, n_threads)
    for step, (rate, momentum, decay) in enumerate(RATES):
        update = one_by_one.kernels.UpdateSpec("sgd", rate, max(momentum, 1e-30), True, decay)
        work = one_by_one.kernels.TrainingWork(
            one_by_one.workspace, net.cast(X), net.cast(Y), None, None, 6 * step,
            min(6 * step + 6, 21), 6,
            loss_spec(one_by_one.kernels, "half_squared_error", Y.shape[1]), update, other.buffer,
            0.0, 0,
        )  # fmt: skip
        assert run(work, 1)[0] == 0
    assert state.n_steps == other.n_steps == 4
    if dtype == "float64":  # a momentum of 1e-30 is as good as 0 there
        assert state.buffer.tobytes() == other.buffer.tobytes()
    assert np.allclose(net.parameters.values, one_by_one.parameters.values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_steps_are_counted_by_fit_step_and_by_hand_for_each_model(momentum):
    sgd, models = fb.SGD(0.01, momentum=momentum), [fb.mlp([5, 4, 3], seed=0) for _ in range(2)]
    trainers = [fb.Trainer(model, "half_squared_error", sgd, batch_size=6) for model in models]
    trainers[0].fit(X, Y, epochs=2)
    trainers[0].step(X, Y)
    trainers[1].fit(X, Y, batch_size=1)
    _, d = fb.HalfSquaredError()(models[1].forward(X), Y)
    models[1].backward(d)
    sgd.step(models[1])
    assert [state_of(sgd, model).n_steps for model in models] == [9, 22]
    state = state_of(sgd, models[0])
    assert state.planes.shape == (momentum > 0, values_of(models[0]).size)
    for twin in (copy.deepcopy(trainers[0]), pickle.loads(pickle.dumps(trainers[0]))):
        assert state_of(twin.optimizer, twin.model).buffer.tobytes() == state.buffer.tobytes()
    assert state_of(copy.copy(sgd), models[0]).n_steps == 0
