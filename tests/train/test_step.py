"""A step by itself: all of it or nothing, although it seldom copies the weights beforehand."""

import numpy as np
import pytest
from privates import state_of, values_of

import fastbackprop as fb

LARGEST = {"float32": 3e38, "float64": 1.7e308}
SIZES = [1e-30, 1.0, 1e10, 1e19, 3e35]


def sized_trainer(rng, dtype, momentum, decay):
    """A trainer with weights, a learning rate and a velocity of any size."""
    activation = str(rng.choice(["relu", "tanh", "identity"]))
    widths = [int(n) for n in rng.integers(1, 60, 3)]
    model = fb.mlp(widths, activation=activation, seed=int(rng.integers(1000)), dtype=dtype)
    exponent = 1.0 if dtype == "float32" else 8.0
    for layer in model.layers:
        layer.weight *= rng.choice(SIZES) ** exponent
    rate = min(rng.choice(SIZES) ** exponent, LARGEST[dtype])
    sgd = fb.SGD(rate, momentum=momentum, weight_decay=decay)
    trainer = fb.Trainer(model, "half_squared_error", sgd, n_threads=int(rng.integers(1, 3)))
    X = rng.normal(size=(int(rng.integers(1, 12)), widths[0])) * rng.choice(SIZES[:4]) ** exponent
    return trainer, X.astype(dtype), rng.normal(size=(len(X), widths[-1])).astype(dtype)


def buffers(trainer):
    return values_of(trainer.model), state_of(trainer.optimizer, trainer.model).buffer


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("momentum", "decay"), [(0.0, 0.0), (0.9, 0.0), (0.9, 3.0)])
def test_a_step_leaves_finite_numbers_or_those_of_before(momentum, decay, dtype):
    rng, n_done, n_refused = np.random.default_rng(0), 0, 0
    for _ in range(400):
        trainer, X, y = sized_trainer(rng, dtype, momentum, decay)
        twin = fb.Trainer(
            fb.Sequential(
                [
                    fb.Dense(x.n_in, x.n_out, x.activation, weight_init=x.weight, bias_init=x.bias)
                    for x in trainer.model.layers
                ],
                dtype=dtype,
            ),
            trainer.loss,
            fb.SGD(trainer.optimizer.learning_rate, momentum=momentum, weight_decay=decay),
        )
        for _ in range(3):
            before = [x.tobytes() for x in buffers(trainer)]
            try:
                trainer.step(X, y)
                twin.fit(X, y, batch_size=len(X), shuffle=False)  # copies always
                n_done += 1
            except fb.DivergenceError:
                assert [x.tobytes() for x in buffers(trainer)] == before
                with pytest.raises(fb.DivergenceError):
                    twin.fit(X, y, batch_size=len(X), shuffle=False)
                n_refused += 1
                break
            assert all(np.isfinite(x).all() for x in buffers(trainer))
            assert (values_of(trainer.model) == values_of(twin.model)).all()
    assert min(n_done, n_refused) > 100


def test_a_weight_that_was_not_finite_before_leaves_the_others_as_they_were():
    # -inf in front of a relu: no loss tells of it.
    model = fb.mlp([200, 100, 1], activation="relu", seed=0)
    trainer = fb.Trainer(model, "half_squared_error", fb.SGD(0.1))
    model.layers[0].weight[3, 5] = -np.inf
    before = values_of(model).tobytes()
    with pytest.raises(fb.DivergenceError):
        trainer.step(np.ones((2, 200)), np.ones((2, 1)))
    assert values_of(model).tobytes() == before
