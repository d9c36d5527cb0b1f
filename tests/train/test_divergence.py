"""What stops being finite is named, and the last finite weights stay, to the bit."""

import pickle

import numpy as np
import pytest

import fastbackprop as fb

X = np.random.default_rng(0).normal(size=(53, 6)).astype(np.float32)
REAL = np.sin(X[:, :1])


def weights(trainer):
    return trainer.model._parameters.values.tobytes()


def divergence(trainer, X, y, epochs):
    """The error of a fit in order, and a twin that made every step before the failing one."""
    twin = pickle.loads(pickle.dumps(trainer))
    with pytest.raises(fb.DivergenceError) as caught:
        trainer.fit(X, y, epochs=epochs, shuffle=False)
    error, size = caught.value, trainer.batch_size
    batches = range(0, len(X), size)
    steps = [(X[i : i + size], y[i : i + size]) for _ in range(error.epoch) for i in batches]
    n_good = (error.epoch - 1) * len(batches) + error.batch - 1
    for step in steps[:n_good]:
        twin.step(*step)
    before = weights(twin)
    with pytest.raises(fb.DivergenceError) as again:
        twin.step(*steps[n_good])
    assert weights(twin) == before
    assert again.value.layer == error.layer
    assert again.value.batch == n_good + 1
    return error, twin


# The loss overflows because steps are too long; the weights do, where inputs of 1e-30 keep the
# outputs small, because this weight decay makes each of them -4 times what it was.
DIVERGING = {
    "loss, soon": ([6, 11, 1], "relu", {"learning_rate": 3.0}, X),
    "loss, at once": ([6, 11, 1], "tanh", {"learning_rate": 1e30}, X),
    "weights, late": ([6, 1], "tanh", {"learning_rate": 1.0, "weight_decay": 5.0}, X * 1e-30),
    "weights, at once": ([6, 1], "tanh", {"learning_rate": 3e38, "weight_decay": 1e3}, X * 1e-30),
}


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("case", DIVERGING)
def test_a_divergence_is_named_and_leaves_the_last_finite_weights(case, momentum):
    widths, activation, options, rows = DIVERGING[case]
    model = fb.mlp(widths, activation=activation, bias=len(widths) > 2, seed=0)
    trainer = fb.Trainer(
        model, "half_squared_error", fb.SGD(**options, momentum=momentum), batch_size=8
    )
    start = weights(trainer)
    error, twin = divergence(trainer, rows, REAL, epochs=200)
    assert weights(trainer) == weights(twin)
    velocities = [one.optimizer._velocity(one.model._parameters) for one in (trainer, twin)]
    assert np.array_equal(*velocities) if momentum else velocities == [None, None]
    assert np.isfinite(model._parameters.values).all()
    said = {
        "loss": "The loss stopped being finite",
        "weights": "would have made weights infinite or NaN",
    }
    assert said[case.split(",")[0]] in str(error)
    where = (
        f"in epoch {error.epoch}, batch {error.batch}, "
        f"first in layer {error.layer} (model.layers[{error.layer}]"
    )
    assert where in str(error)
    assert f"smaller learning rate than {options['learning_rate']:g}" in str(error)
    assert len(trainer.history) == error.epoch - 1
    assert (error.epoch > 1) == ("late" in case) or case == "loss, soon"
    assert (weights(trainer) == start) == (error.epoch == error.batch == 1)
    assert pickle.loads(pickle.dumps(error)).batch == error.batch


def test_weights_diverge_in_a_later_batch_of_a_call_and_good_steps_before_it_stay():
    # Only the 21st sample is too large: two batches of ten are learned, the third is undone.
    trainer = fb.Trainer(
        fb.mlp([6, 1], weight_init=0.0), "half_squared_error", fb.SGD(0.1), batch_size=10
    )
    rows, y = X.copy(), REAL * np.float32(1e-6)
    rows[20], y[20] = 1e23, 1e18
    error, twin = divergence(trainer, rows, y, epochs=1)
    assert (error.epoch, error.batch) == (1, 3)
    assert "weights infinite" in str(error)
    assert weights(trainer) == weights(twin)
    assert trainer.model.layers[0].weight.any()


def test_the_layer_that_overflows_first_is_named():
    model = fb.mlp([1, 1, 1, 1], weight_init=1.0)
    model.layers[1].weight = [[3e38]]
    trainer = fb.Trainer(model, "half_squared_error", fb.SGD(1e-3))
    with pytest.raises(
        fb.DivergenceError, match=r"first in layer 1 \(model.layers\[1\], Dense\(1, 1"
    ) as caught:
        trainer.step([[10.0]], [[0.0]])
    assert (caught.value.epoch, caught.value.batch, caught.value.layer) == (1, 1, 1)
    with pytest.raises(fb.DivergenceError, match="epoch 1, batch 1, first in layer 1"):
        trainer.fit([[10.0]], [[0.0]])


def test_a_step_by_hand_that_diverges_is_undone():
    model, sgd = fb.mlp([2, 3, 1], seed=0), fb.SGD(1e30, momentum=0.5)
    before = [x.weight.copy() for x in model.layers]
    model.forward([[1, 2]])
    model.backward([[1e30]])
    with pytest.raises(
        fb.DivergenceError, match=r"make weights of model.layers\[0\] infinite or NaN"
    ):
        sgd.step(model)
    assert all((x.weight == w).all() for x, w in zip(model.layers, before, strict=True))
