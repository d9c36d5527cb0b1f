"""NaN, infinity and overflow planted in every place are found in the step where they appear."""

import numpy as np
import pytest
from privates import OPTIMIZERS, state_of, values_of

import fastbackprop as fb

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6)).astype("f4")
BATCH, BAD = 8, 19  # the row that is spoilt is in the third of five batches
NETS = {
    "relu": (["relu", "relu", "identity"], "half_squared_error", X[:, :3]),
    "tanh": (["tanh", "tanh", "identity"], "mean_squared_error", X[:, :3]),
    "softmax": (["leaky_relu", "relu", "softmax"], "cross_entropy", np.arange(40) % 3),
    "sigmoid": (["relu", "tanh", "sigmoid"], "binary_cross_entropy", (X[:, :3] > 0).astype("f4")),
}
RULES = {
    **{name: lambda cls=cls: cls() for name, cls in OPTIMIZERS.items() if name != "rprop"},
    "momentum": lambda: fb.SGD(0.01, momentum=0.9),
    "nesterov and decay": lambda: fb.SGD(0.01, momentum=0.9, nesterov=True, weight_decay=0.01),
}


def new_trainer(net="relu", rule="sgd", batch_size=BATCH, n_threads=1):
    activations, loss, _ = NETS[net]
    widths = [6, 9, 5, 3]
    layers = [fb.Dense(*widths[k : k + 2], name) for k, name in enumerate(activations)]
    return fb.Trainer(
        fb.Sequential(layers, seed=1), loss, RULES[rule](), batch_size=batch_size, seed=1,
        n_threads=n_threads,
    )  # fmt: skip


def buffers(trainer):
    return values_of(trainer.model), state_of(trainer.optimizer, trainer.model).buffer


def check_found(trainer, rows, y, batch, words=None):
    """A fit in order stops in this batch; it and a step leave the numbers of before."""
    before = [x.tobytes() for x in buffers(trainer)]
    with pytest.raises(fb.DivergenceError, match=words) as caught:
        trainer.fit(rows, y, shuffle=False, check_finite=False)
    assert (caught.value.epoch, caught.value.batch) == (1, batch)
    assert [x.tobytes() for x in buffers(trainer)] == before
    size = trainer.batch_size
    some = slice((batch - 1) * size, batch * size)
    with pytest.raises(fb.DivergenceError):
        trainer.step(rows[some], y[some], check_finite=False)
    assert [x.tobytes() for x in buffers(trainer)] == before
    return caught.value


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("batch_size", [1, BATCH])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("rule", RULES)
def test_in_the_inputs(rule, net, value, batch_size, n_threads):
    rows = X.copy()
    rows[BAD, 2] = value
    trainer, y = new_trainer(net, rule, batch_size, n_threads), NETS[net][2]
    error = check_found(trainer, rows, y, BAD // batch_size + 1, "column 2 of X isn't finite")
    assert error.layer == 0


@pytest.mark.parametrize("batch_size", [1, BATCH])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("value", [np.nan, np.inf, 3e19, 3e38])
def test_in_the_targets(value, rule, batch_size):
    y = NETS["relu"][2].copy()
    y[BAD, 1] = value
    words = "y reaches 3e" if np.isfinite(value) else "column 1 of y isn't finite"
    error = check_found(new_trainer("relu", rule, batch_size), X, y, BAD // batch_size + 1, words)
    assert error.layer == 2


@pytest.mark.parametrize("batch_size", [1, BATCH])
@pytest.mark.parametrize("rule", RULES)
def test_an_input_column_that_overflows(rule, batch_size):
    rows = X.copy()
    rows[BAD, 4] = 3e38
    trainer = new_trainer("relu", rule, batch_size)
    check_found(trainer, rows, X[:, :3], BAD // batch_size + 1, "column 4 of X reaches 3e")


@pytest.mark.parametrize("batch_size", [1, BATCH])
@pytest.mark.parametrize("what", ["weight", "bias"])
@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("rule", RULES)
def test_in_the_weights(rule, net, value, layer, what, batch_size):
    trainer = new_trainer(net, rule, batch_size)
    getattr(trainer.model.layers[layer], what)[..., 1] = value
    words = f"isn't finite|NaN|{value}"
    check_found(trainer, X, NETS[net][2], 1, words)


@pytest.mark.parametrize("batch_size", [1, BATCH])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rule", RULES)
def test_in_the_optimizers_state(rule, value, batch_size):
    trainer = new_trainer("tanh", rule, batch_size)
    trainer.fit(X, NETS["tanh"][2])
    state = state_of(trainer.optimizer, trainer.model)
    for plane in range(len(state.planes)):
        kept = state.planes[plane].copy()
        state.planes[plane][3] = value
        check_found(trainer, X, NETS["tanh"][2], 1)
        state.planes[plane][:] = kept


@pytest.mark.parametrize("epochs", [1, 3])
def test_weights_that_are_spoilt_between_epochs_are_put_back(epochs):
    trainer, good = new_trainer(), []

    def spoil(history):
        good.append(values_of(trainer.model).copy())
        if len(history) == epochs:
            trainer.model.layers[1].weight[2, 2] = np.nan

    with pytest.raises(fb.DivergenceError) as caught:
        trainer.fit(X, X[:, :3], epochs=5, shuffle=False, on_epoch_end=spoil)
    assert (caught.value.epoch, caught.value.batch, caught.value.layer) == (epochs + 1, 1, 1)
    assert (values_of(trainer.model) == good[-1]).all()
