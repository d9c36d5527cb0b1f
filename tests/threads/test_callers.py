"""Several threads of the user train and predict at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from privates import quick_prediction, quick_predictor
from test_bits import bits
from threads_shared import fit_with_threads, weights

import fastbackprop as fb


def test_eight_threads_predict_on_one_model_with_helpers_and_without():
    model = fb.mlp([60, 100, 3], output_activation="softmax", seed=0)
    X = np.random.default_rng(0).normal(size=(1000, 60)).astype("f4")
    expected = model.predict(X, n_threads=1)

    def predict_many(i):
        for k in range(40):
            row = 40 * i + k
            if bits(model.predict(X, n_threads=2)) != bits(expected):
                return "many rows"
            if bits(model.predict(X[row])) != bits(expected[row]):
                return f"row {row}"
        return "right"

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(predict_many, range(8))) == ["right"] * 8


def in_threads(call, n):
    """Call ``call(k)`` in n threads at once; what they returned."""
    start = threading.Barrier(n)

    def begin(k):
        start.wait()
        return call(k)

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(begin, range(n)))


def test_each_thread_on_the_short_way_has_scratch_of_its_own():
    """So wide that the GIL is let go; without scratch for all, some would have to go the long way.

    One place for the same threads shows that they are in it at once.
    """
    model = fb.mlp([300, 500, 500, 4], seed=0)
    X = np.random.default_rng(0).normal(size=(4, 32, 300)).astype("f4")
    expected = [model.predict(rows, n_threads=1) for rows in X]

    def predict_with(predict):
        def predict_many(k):
            outputs = [predict(X[k], True) for _ in range(100)]
            assert all(y is None or bits(y) == bits(expected[k]) for y in outputs)
            return sum(y is not None for y in outputs)

        return in_threads(predict_many, 4)

    assert predict_with(lambda rows, check: quick_prediction(model, rows)) == [100] * 4
    assert 100 <= sum(predict_with(quick_predictor(model, 1).predict)) < 400
    scaled = fb.mlp([300, 500, 500, 4], seed=0, scale_inputs=True)
    scaled.fit_scaling(X[0])
    expected = [scaled.predict(rows, n_threads=1) for rows in X]
    assert predict_with(lambda rows, check: quick_prediction(scaled, rows)) == [100] * 4


def test_a_second_fit_on_a_model_is_refused_while_threads_train_it_and_the_first_is_unharmed():
    X = np.ones((100, 60), "f4")
    inside, go_on = threading.Event(), threading.Event()

    def wait(history):
        inside.set()
        assert go_on.wait(20)

    def fit(trainer, **options):
        trainer.fit(X, X[:, :1], epochs=3, **options)
        return weights(trainer)

    def new():
        return fb.Trainer(
            fb.mlp([60, 100, 1], seed=0), "half_squared_error", batch_size=50, seed=0, n_threads=2
        )

    trainer = new()
    second = fb.Trainer(trainer.model, "half_squared_error", n_threads=2)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(fit, trainer, on_epoch_end=wait)
        assert inside.wait(20)
        try:
            with pytest.raises(
                RuntimeError, match="trained by one thread at a time, got a second one"
            ):
                second.fit(X, X[:, :1])
        finally:
            go_on.set()
        assert first.result() == fit(new())


def test_fits_of_different_models_at_once_give_the_bits_that_each_gives_alone():
    def fit(seed):
        return weights(fit_with_threads(seed=seed, epochs=20))

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(fit, range(3))) == [fit(seed) for seed in range(3)]


def test_predicting_from_a_model_in_training_disturbs_neither():
    X = np.random.default_rng(0).normal(size=(1000, 60)).astype("f4")
    model = fb.mlp([60, 100, 1], activation="tanh", seed=0)
    trainer = fb.Trainer(
        model, "half_squared_error", fb.SGD(1e-3), batch_size=50, seed=0, n_threads=2
    )
    begun, enough = threading.Event(), threading.Event()

    class EnoughError(Exception):
        pass

    def end(history):
        begun.set()
        if enough.is_set():
            raise EnoughError

    def fit():
        with pytest.raises(EnoughError):
            trainer.fit(X, X[:, :1], epochs=10**9, on_epoch_end=end)

    with ThreadPoolExecutor(1) as pool:
        fitting = pool.submit(fit)
        try:
            assert begun.wait(20)
            # Weights of one step or another, or of both: finite in any case.
            assert all(
                np.isfinite(model.predict(X[:k], n_threads=1 + k % 2)).all() for k in range(1, 301)
            )
        finally:
            enough.set()
        fitting.result()
    model = fb.mlp([60, 100, 1], activation="tanh", seed=0)
    twin = fb.Trainer(model, "half_squared_error", fb.SGD(1e-3), batch_size=50, seed=0, n_threads=1)
    twin.fit(X, X[:, :1], epochs=len(trainer.history))
    assert weights(twin) == weights(trainer)
