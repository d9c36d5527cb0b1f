"""Random calls with random arguments, good and bad: the quick way and the long one never differ."""

import warnings

import numpy as np
import pytest
from loss_cases import NAMES, TAKES_LABELS, last_activation, loss_of, n_targets
from privates import (
    generator_of,
    leave_quick_paths,
    n_forwards_of,
    optimizer_bytes,
    store_of,
)

import fastbackprop as fb

N_CALLS = 400


def forms_of(array):
    """An array as users may bring it, right and wrong."""
    floats = array.astype("f4")
    read_only = floats.copy()
    read_only.flags.writeable = False
    unaligned = np.zeros(4 * array.size + 1, "u1")[1:].view("f4").reshape(array.shape)
    unaligned[...] = array
    return [
        *(array.astype(dtype) for dtype in ("f4", "f8", "i8", "i4", "u1", "?", "f2", ">f4", "c8")),
        *(np.asfortranarray(floats), floats[::-1], array.tolist(), read_only, unaligned),
        *(array.reshape(-1), array.reshape(-1, 1), array[None], array[0], array[:0]),
        *(np.ma.masked_array(floats), array.astype(object), array.astype("U8"), None),
        *(floats * np.float32(np.nan), array * 1e300, -array, floats + np.float32(0.5)),
        *(np.repeat(array, 2, axis=0), array.astype("i8") * 10**12),
    ]


def numbers_of(number):
    """A target by itself as users may bring it."""
    if number.size > 1:
        return [number, number[None], number.astype("f4"), number[:1]]
    x = number.reshape(-1)[0]
    return [x, float(x), int(x), np.int32(x), np.float32(x), True, -1, 10**30, np.nan, number]


def weights_of(rng, n, dtype):
    """Weights of samples, right and wrong; mostly none."""
    ones = np.ones(n, dtype)
    some = [ones, 0 * ones, ones.astype("f4"), ones.tolist(), -ones, np.nan * ones, ones[:, None]]
    return some[rng.integers(len(some))] if rng.integers(3) == 0 else None


def samples_of(rng, name, dtype, n_out):
    """X, y and weights of one or two rows."""
    n = int(rng.integers(1, 3))
    X, y = np.arange(6.0).reshape(2, 3)[:n] / 3, np.ones((n, n_targets(name, n_out)))
    if name in TAKES_LABELS:
        y = np.array([1, 0])[:n] if rng.integers(2) else np.eye(n_out)[:n]
    if rng.integers(4) == 0:
        targets = numbers_of(y[0])
        return X[0].astype(dtype), targets[rng.integers(len(targets))], weights_of(rng, 1, dtype)
    plain = X.astype(dtype), y.astype(dtype) if y.dtype.kind == "f" else y
    forms = [forms_of(array) for array in (X, y)]
    chosen = [
        few if rng.integers(2) else many[rng.integers(len(many))]
        for few, many in zip(plain, forms, strict=True)
    ]
    return *chosen, weights_of(rng, n, dtype)


def by_hand(trainer, X, y, weights, leave):
    """The four calls, each of them quick or not."""
    y_hat = trainer.model.forward(X)
    cost, d_y_hat = trainer.loss(y_hat, y, weights)
    leave()
    d_x = trainer.model.backward(d_y_hat)
    leave()
    trainer.optimizer.step(trainer.model)
    return cost, y_hat, d_y_hat, d_x


def calls_of(trainer, X, y, weights, yes, leave):
    """What may be called, by name."""
    model = trainer.model
    return {
        "step": lambda: trainer.step(X, y, sample_weight=weights, check_finite=yes),
        "evaluate": lambda: trainer.evaluate(X, y, sample_weight=weights, check_finite=yes),
        "fit": lambda: trainer.fit(X, y, check_finite=yes),
        "forward": lambda: model.forward(X, training=yes),
        "by hand": lambda: by_hand(trainer, X, y, weights, leave),
        "jacobian": lambda: model.jacobian(X),
        "input_gradient": lambda: model.input_gradient(X, output=0),
        "a rate": lambda: setattr(trainer.optimizer, "learning_rate", 0.02 if yes else 0.01),
        "a layer": lambda: setattr(model.layers[0], "trainable", yes),
    }


def result_of(call):
    """What a call gives, or raises, in a form that can be compared."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = call()
        except Exception as error:
            return type(error).__name__, str(error)
    if isinstance(result, fb.History):
        result = {k: v for k, v in result.to_dict().items() if k != "seconds"}
    parts = result if isinstance(result, tuple) else (result,)
    return [
        (x.tobytes(), x.shape, x.dtype, type(x)) if isinstance(x, np.ndarray) else repr(x)
        for x in parts
    ]


def state_of(trainer):
    """All that calls change."""
    return (
        store_of(trainer.model).tobytes(),
        optimizer_bytes(trainer),
        n_forwards_of(trainer.model),
        generator_of(trainer).__getstate__()[1],
    )


@pytest.mark.parametrize("name", NAMES)
def test_random_calls(name):
    rng, n_errors = np.random.default_rng(NAMES.index(name)), 0
    dtype, n_out = str(rng.choice(["float32", "float64"])), int(rng.integers(2, 4))
    n_out = 2 if name == "gaussian_nll" else n_out
    if name not in TAKES_LABELS and name != "gaussian_nll" and rng.integers(2):
        n_out = 1
    for kind in range(4):

        def make(kind=kind):
            model = fb.mlp(
                [3, 5, n_out],
                activation="tanh",
                output_activation=last_activation(name),
                dropout=0.2 if kind == 1 else 0.0,
                normalization="batch" if kind == 2 else None,
                dtype=dtype,
                seed=1,
            )
            return fb.Trainer(model, loss_of(name), ("sgd", "adam")[kind % 2], seed=2)

        quick, long = make(), make()

        def leave(long=long):
            leave_quick_paths(long.model, long.loss)

        for _ in range(N_CALLS // 4):
            samples, yes = samples_of(rng, name, dtype, n_out), bool(rng.integers(4))
            ways = (
                calls_of(quick, *samples, yes, lambda: None),
                calls_of(long, *samples, yes, leave),
            )
            what = str(rng.choice(list(ways[0])))
            leave()
            results = [result_of(way[what]) for way in ways]
            assert results[0] == results[1], f"{what}, {samples!r}"
            assert state_of(quick) == state_of(long), f"{what}, {samples!r}"
            n_errors += isinstance(results[0], tuple)
    assert N_CALLS / 10 < n_errors < N_CALLS / 2  # so many are good, and so many bad
