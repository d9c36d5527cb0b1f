"""low_level_callable: the bits of predict from C, whatever the net, from any thread."""

import copy
import ctypes
import gc
import os
import signal
import threading
import tracemalloc
import weakref

import numpy as np
import pytest
from calls_from_c import ROW, function_of, rows_function_of
from privates import compiled_net, mark_of_parameters
from reference import DTYPES

import fastbackprop as fb

INTEGRAND = "double (int, double *, void *)"
FILTER = "int (double *, intptr_t, double *, void *)"

NETS = {
    "3-1": lambda: [fb.Dense(3, 1)],
    "a softmax": lambda: [fb.Dense(3, 40), fb.Dense(40, 5, activation="softmax")],
    "wide": lambda: [fb.Dense(3, 256, activation="gelu"), fb.Dense(256, 1, activation="sigmoid")],
    "dropout first": lambda: [fb.Dropout(0.2), fb.Dense(3, 7), fb.Activation("silu"),
                              fb.Dropout(0.5), fb.Dense(7, 2)],
    "norms": lambda: [fb.BatchNorm(), fb.Dense(3, 20), fb.LayerNorm(), fb.Activation("relu"),
                      fb.Dense(20, 33), fb.BatchNorm(), fb.Activation(fb.ELU(0.7)),
                      fb.Dense(33, 1)],
    "a norm first": lambda: [fb.LayerNorm(), fb.Dense(3, 2)],
    "scaled": lambda: [fb.Standardize(), fb.Dense(3, 20, activation="tanh"), fb.Dense(20, 1)],
    "robust": lambda: [fb.RobustScale(), fb.Dense(3, 4), fb.Dense(4, 2)],
}  # fmt: skip


def model_of(name, dtype):
    """A net whose running statistics and scaling are not what it began with."""
    rng = np.random.default_rng(0)
    model = fb.Sequential(NETS[name](), seed=0, dtype=dtype, scale_targets=name == "scaled")
    X, y = rng.normal(3, 2, size=(64, 3)), rng.normal(5, 3, size=(64, model.n_out))
    if name in ("scaled", "robust"):
        model.fit_scaling(X, y if name == "scaled" else None)
    if name == "norms":
        fb.Trainer(model, "mean_squared_error").step(X, y)
    return model


def rows_of(dtype, n=37):
    return np.random.default_rng(1).normal(3, 2, size=(n, 3)).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETS)
def test_the_bits_are_those_of_predict(name, dtype):
    model, X = model_of(name, dtype), rows_of(dtype)
    expected, y = model.predict(X), np.empty((len(X), model.n_out), dtype)
    function, context = function_of(model.low_level_callable(ROW[dtype]))
    for i, x in enumerate(X):
        assert function(x.ctypes.data, y[i].ctypes.data, context) == 0
    np.testing.assert_array_equal(y, expected)
    y[:] = 7
    predict, net = rows_function_of(model.low_level_callable(ROW[dtype]))
    for n in (0, 1, 5, 16, 17, 37):
        assert predict(net, X.ctypes.data, y.ctypes.data, n) == 0
        np.testing.assert_array_equal(y[:n], expected[:n])
        assert (y[n:] == 7).all() or n == 37
        y[:] = 7


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["3-1", "wide", "norms", "scaled"])
def test_doubles_are_rounded_as_predict_rounds_them(name, dtype):
    model, X = model_of(name, dtype), rows_of("float64")
    expected = model.predict(X)
    integrand, context = function_of(model.low_level_callable())
    window, its_context = function_of(model.low_level_callable(FILTER))
    y = np.empty(1)
    for x, output in zip(X, expected, strict=True):
        assert integrand(3, x.ctypes.data, context) == float(output[0])
        assert window(x.ctypes.data, 3, y.ctypes.data, its_context) == 1
        assert y[0] == float(output[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_huge_columns_are_scaled_by_halves(dtype):
    X = np.array([[1e308, 0, 1], [1.5e308, 2, 1], [-1.5e308, 3, 3]])
    model = fb.Sequential([fb.RobustScale(), fb.Dense(3, 1)], seed=0, dtype=dtype)
    model.fit_scaling(X)
    integrand, context = function_of(model.low_level_callable())
    outputs = [integrand(3, x.ctypes.data, context) for x in X]
    np.testing.assert_array_equal(outputs, model.predict(X)[:, 0])


@pytest.mark.parametrize("name", ["3-1", "scaled", "a norm first"])
def test_what_predict_refuses_is_nan_in_its_row_alone(name):
    model, X = model_of(name, "float32"), rows_of("float32")
    expected, y = model.predict(X), np.empty((37, model.n_out), "float32")
    X[3, 1], X[20, 0], X[36, 2] = np.nan, np.inf, -np.inf
    predict, net = rows_function_of(model.low_level_callable(ROW["float32"]))
    assert predict(net, X.ctypes.data, y.ctypes.data, 37) == 1
    fine = np.isfinite(X).all(axis=1)
    assert np.isnan(y[~fine]).all()
    np.testing.assert_array_equal(y[fine], expected[fine])
    assert predict(net, X[4:].ctypes.data, y.ctypes.data, 16) == 0, "nothing is left in the scratch"
    np.testing.assert_array_equal(y[:16], expected[4:20])


def test_the_wrong_number_of_inputs_and_too_large_ones_are_nan():
    model, x, y = model_of("3-1", "float32"), np.ones(4), np.zeros(1)
    integrand, context = function_of(model.low_level_callable(INTEGRAND))
    window, its_context = function_of(model.low_level_callable(FILTER))
    assert np.isnan(integrand(4, x.ctypes.data, context))
    assert window(x.ctypes.data, 2, y.ctypes.data, its_context) == 0
    x[0] = 1e300  # which float32 can't hold
    assert np.isnan(integrand(3, x.ctypes.data, context))
    assert window(x.ctypes.data, 3, y.ctypes.data, its_context) == 0


def test_it_sees_weights_as_they_are_at_each_call_and_a_copy_keeps_them():
    model, x = model_of("norms", "float64"), rows_of("float64")[0]
    live, context = function_of(model.low_level_callable())
    kept = copy.deepcopy(model).low_level_callable()
    copied, its_context = function_of(kept)
    before = model.predict(x)[0]
    fb.Trainer(model, "mean_squared_error").step(rows_of("float64"), np.ones(37))
    assert live(3, x.ctypes.data, context) == model.predict(x)[0] != before
    assert copied(3, x.ctypes.data, its_context) == before
    model.layers[1].trainable = False  # which makes the model plan anew
    model.set_parameters(model.get_parameters() / 2)
    assert live(3, x.ctypes.data, context) == model.predict(x)[0]


def test_the_capsule_keeps_what_it_needs_and_lets_go_of_it():
    model, x = model_of("scaled", "float32"), rows_of("float64")[0]
    expected = float(model.predict(x)[0])
    weights = weakref.ref(mark_of_parameters(model))
    capsules = [model.low_level_callable() for _ in range(3)]
    function, context = function_of(capsules[1])
    del model, capsules[2], capsules[0]
    gc.collect()
    assert weights() is not None
    assert [np.zeros(1000) for _ in range(1000)]  # what would lie in memory that was let go
    assert function(3, x.ctypes.data, context) == expected
    del function, capsules
    gc.collect()
    assert weights() is None


@pytest.mark.parametrize("n_calls", [1, 2, 16])
def test_calls_from_many_threads_have_scratch_of_their_own(n_calls):
    """ctypes lets the GIL go; with one place for all, calls take turns."""
    model, X = model_of("wide", "float32"), rows_of("float32", 8 * 40)
    expected, y = model.predict(X), np.empty((len(X), 1), "float32")
    capsule = compiled_net(model, n_calls).capsule(ROW["float32"])
    function, context = function_of(capsule)
    predict, net = rows_function_of(capsule)
    start = threading.Barrier(8)

    def call(k):
        start.wait()
        for _ in range(20):
            some = slice(40 * k, 40 * k + 40)
            predict(net, X[some].ctypes.data, y[some].ctypes.data, 20)
            for i in range(some.start + 20, some.stop):
                function(X[i].ctypes.data, y[i].ctypes.data, context)

    threads = [threading.Thread(target=call, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(y, expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scratch_that_a_thread_had_at_a_fork_is_free_in_the_child():
    model, x = model_of("wide", "float32"), rows_of("float32")[0]
    expected, y = model.predict(x)[0], np.zeros(1, "float32")
    capsule = compiled_net(model, 1).capsule(ROW["float32"])
    predict, net = rows_function_of(capsule)
    X, outputs = rows_of("float32", 400_000), np.empty(400_000, "float32")
    begun = threading.Event()

    def long_call():
        begun.set()
        predict(net, X.ctypes.data, outputs.ctypes.data, len(X))

    thread = threading.Thread(target=long_call)
    thread.start()
    begun.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        predict(net, x.ctypes.data, y.ctypes.data, 1)
        os._exit(0 if y[0] == expected else 1)
    assert thread.is_alive(), "the call must take long enough to be at work"
    assert os.waitpid(child, 0)[1] == 0
    thread.join()


@pytest.mark.parametrize(
    ("n_out", "signature", "error", "words"),
    [
        (2, INTEGRAND, ValueError, "signature must be 'int (float *, float *, void *)' for a model "
         "with 2 outputs, got 'double (int, double *, void *)', which is for one."),
        (1, "int (double *, double *, void *)", ValueError, "signature must be one of"),
        (1, 3, TypeError, "signature must be one of"),
    ],
)  # fmt: skip
def test_signatures_that_do_not_fit_are_refused(n_out, signature, error, words):
    with pytest.raises(error) as caught:
        fb.mlp([3, n_out], seed=0).low_level_callable(signature)
    assert str(caught.value).startswith(words)


def test_scaling_must_be_fitted_first():
    model = fb.mlp([3, 1], scale_inputs=True, seed=0)
    with pytest.raises(RuntimeError, match=r"^The scaling of layers\[0\]"):
        model.low_level_callable()


def test_the_signature_by_default_and_pickles():
    assert INTEGRAND in repr(fb.mlp([3, 1]).low_level_callable())
    assert ROW["float64"] in repr(fb.mlp([3, 2], dtype="float64").low_level_callable())
    with pytest.raises(TypeError):
        copy.deepcopy(fb.mlp([3, 1]).low_level_callable())


def test_calls_leave_no_memory_behind():
    model, x = model_of("norms", "float32"), rows_of("float64")[0]
    function, context = function_of(model.low_level_callable())
    address = ctypes.c_size_t(x.ctypes.data)
    function(3, address, context)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(1000):
        function(3, address, context)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 2000
