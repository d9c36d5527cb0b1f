"""Threads: any number gives the bits of one, on any road, and none is at work when nothing runs."""

import hashlib
import math
import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, product
from multiprocessing import get_context

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import DTYPES, HIDDEN, VARIANTS, Kernels, Layer, kernels
from test_bits import LOSSES, OPTIMIZERS, bits, targets
from test_golden import train
from test_interrupt import FIT, NETS

import fastbackprop as fb
from fastbackprop._core import threads as _threads
from fastbackprop._model import sequential as _model
from fastbackprop._train import trainer as _trainer

THREADS = (1, 2, 3, 4, 7)
MANY = 20  # more than there are queues of chunks, and cores on most machines
RULES = [
    (1e-4, 0.0, False, 0.0),
    (1e-4, 0.9, False, 0.0),
    (1e-4, 0.8, True, 0.0),
    (1e-4, 0.9, False, 0.01),
]
# Chunks are of 16 rows of a batch, and of 48 rows of weights or more; rows of 1, 2 or 4 KB are
# padded in another way.
WIDTHS = st.integers(1, 150) | st.sampled_from([49, 96, 97, 128, 256, 512])


def sha256(*arrays):
    return hashlib.sha256(b"".join(map(bits, arrays))).hexdigest()


def weights(trainer):
    return trainer.model._parameters.values.tobytes()


def is_crowded(n_threads):
    return n_threads > _threads.available_cpus()


def random_layers(rng, widths, activations, has_bias=None):
    shapes, has_bias = pairwise(widths), has_bias or [True] * len(activations)
    return [
        Layer(
            rng.normal(size=shape) / shape[0] ** 0.5,
            rng.normal(size=shape[1]) if bias else None,
            activation,
        )
        for shape, activation, bias in zip(shapes, activations, has_bias, strict=True)
    ]


def random_targets(rng, name, n, n_out):
    return targets(name, rng.uniform(size=(n, n_out)))


# ---- the same bits -------------------------------------------------------------------


@st.composite
def trainings(draw):
    """Layers, and what Kernels.train wants."""
    widths = draw(st.lists(WIDTHS, min_size=2, max_size=4))
    n_layers, name = len(widths) - 1, draw(st.sampled_from(list(LOSSES)))
    activations = [
        *draw(st.lists(st.sampled_from(HIDDEN), min_size=n_layers - 1, max_size=n_layers - 1))
    ]
    has_bias = draw(st.lists(st.booleans(), min_size=n_layers, max_size=n_layers))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    layers = random_layers(rng, widths, [*activations, LOSSES[name][1]], has_bias)
    n = draw(st.integers(1, 120))
    return layers, {
        "loss": LOSSES[name][0].name,
        "optimizer": draw(st.sampled_from(RULES)),
        "X": rng.normal(size=(n, widths[0])),
        "y": random_targets(rng, name, n, widths[-1]),
        "order": rng.permutation(n) if draw(st.booleans()) else None,
        "batch_size": draw(st.sampled_from([1, 15, 16, 17, 33, 100, 200])),
    }


def trained(variant, dtype, layers, training, n_threads):
    """A digest of weights and velocities, and what the call returned."""
    net = Kernels(variant, dtype, layers)
    fence = net.spoil_scratch(min(training["batch_size"], len(training["X"])))
    velocity = net.zeros()
    result = net.train(
        **training, velocity=velocity, n_threads=n_threads, crowded=is_crowded(n_threads)
    )
    assert result[0] == 0, "diverged"
    assert np.isnan(fence).all(), "wrote behind the scratch"
    return sha256(net.parameters.values, velocity), *result


@settings(max_examples=60, deadline=None)
@given(training=trainings(), dtype=st.sampled_from(DTYPES))
def test_any_number_of_threads_trains_to_the_same_bits_on_every_variant(training, dtype):
    results = {
        variant: {trained(variant, dtype, *training, n) for n in THREADS} for variant in VARIANTS
    }
    for variant, result in results.items():
        assert len(result) == 1, f"{variant} {dtype}: {result}"
    fused = set().union(
        *(results[variant] for variant in VARIANTS if kernels(variant, dtype).has_fma)
    )
    assert len(fused) <= 1, fused


@pytest.mark.parametrize("name", LOSSES)
def test_any_number_of_threads_gives_the_same_trainer(name):
    rng, (loss, last) = np.random.default_rng(0), LOSSES[name]
    X, y = rng.normal(size=(230, 60)), random_targets(rng, name, 230, 5)
    for dtype, shuffle, optimizer in product(DTYPES, [True, False], OPTIMIZERS):
        results = set()
        for n_threads in (*THREADS, MANY):
            model = fb.mlp(
                [60, 100, 5], activation="tanh", output_activation=last, seed=1, dtype=dtype
            )
            sgd = fb.SGD(0.01, **OPTIMIZERS[optimizer])
            trainer = fb.Trainer(model, loss, sgd, batch_size=100, seed=2, n_threads=n_threads)
            history = trainer.fit(
                X, y, epochs=2, shuffle=shuffle, validation_data=(X[:150], y[:150])
            ).to_dict()
            del history["seconds"]
            results.add(
                (sha256(model._parameters.values), str(history), str(trainer.evaluate(X, y)))
            )
        assert len(results) == 1, (dtype, shuffle, optimizer)


@pytest.mark.parametrize(("variant", "dtype"), list(product(VARIANTS, DTYPES)))
def test_any_number_of_threads_and_any_batches_predict_and_evaluate_to_the_same_bits(
    variant, dtype
):
    rng = np.random.default_rng(0)
    for name, (loss, last) in LOSSES.items():
        X, y = rng.normal(size=(500, 53)), random_targets(rng, name, 500, 9)
        net = Kernels(variant, dtype, random_layers(rng, [53, 64, 9], ["tanh", last]))
        together, judged = net.predict(X), net.evaluate(loss.name, X, y)
        assert np.isfinite(together).all()
        for n_threads in (2, 3, 7):
            assert bits(net.predict(X, n_threads)) == bits(together)
            assert net.evaluate(loss.name, X, y, n_threads) == judged, name
            parts = np.split(X, np.sort(rng.choice(np.arange(1, 500), n_threads, replace=False)))
            assert b"".join(bits(net.predict(part, n_threads)) for part in parts) == bits(together)


def test_rows_shuffled_or_in_a_read_only_file_are_predicted_by_threads_to_the_same_bits(tmp_path):
    X = np.random.default_rng(0).normal(size=(1000, 60)).astype("f4")
    np.save(tmp_path / "X.npy", X)
    mapped, order = (
        np.load(tmp_path / "X.npy", mmap_mode="r"),
        np.random.default_rng(1).permutation(1000),
    )
    model = fb.mlp([60, 100, 3], output_activation="softmax", seed=0)
    expected = model.predict(X, n_threads=1)
    for n_threads in THREADS:
        assert bits(model.predict(mapped, n_threads=n_threads)) == bits(expected)
        assert bits(model.predict(X[order], n_threads=n_threads)) == bits(expected[order])
    del mapped  # Windows can't delete a file that is mapped


# ---- helpers that come whenever they come ----------------------------------------------


def helper_first(work, n_threads):
    for _ in range(n_threads):
        work.help()  # the first does everything
    return work.run()


def helpers_too_late(work, n_threads):
    result = work.run()
    for _ in range(n_threads):
        work.help()
    return result


def helpers_at_any_time(work, n_threads):
    def come():
        time.sleep(random.uniform(0, 0.002))
        work.help()

    helpers = [threading.Thread(target=come) for _ in range(n_threads + 2)]  # more than are wanted
    for helper in helpers:
        helper.start()
    time.sleep(random.uniform(0, 0.002))
    result = work.run()
    for helper in helpers:
        helper.join()
    return result


@pytest.mark.parametrize("come", [helper_first, helpers_too_late, helpers_at_any_time])
@pytest.mark.parametrize("dtype", DTYPES)
def test_it_does_not_matter_when_helpers_come(come, dtype, monkeypatch):
    rng = np.random.default_rng(0)
    layers = random_layers(rng, [60, 256, 100, 5], ["tanh", "relu", "softmax"])
    X, y = rng.normal(size=(1000, 60)), rng.integers(0, 5, 1000)
    training = {
        "loss": "cross_entropy",
        "optimizer": RULES[2],
        "X": X,
        "y": y,
        "order": None,
        "batch_size": 90,
    }
    net = Kernels(VARIANTS[-1], dtype, layers)

    def results(n):
        judged = net.evaluate("cross_entropy", X, y, n)
        return trained(VARIANTS[-1], dtype, layers, training, n), judged, sha256(net.predict(X, n))

    expected = results(1)
    monkeypatch.setattr(reference, "run", come)
    for n_threads in (2, 3, 7) * 3:
        assert results(n_threads) == expected


def fit_with_threads(n_threads=2, seed=0, n=200, **options):
    """A trainer after two epochs."""
    X = np.random.default_rng(0).normal(size=(n, 60)).astype("f4")
    model = fb.mlp([60, 100, 1], activation="tanh", seed=seed)
    trainer = fb.Trainer(
        model, "half_squared_error", fb.SGD(0.01), batch_size=50, seed=0, n_threads=n_threads
    )
    trainer.fit(X, X[:, :1], **{"epochs": 2, **options})
    return trainer


def test_calls_that_are_over_neither_hang_nor_change_bits(monkeypatch):
    over, original = [], _threads.run
    monkeypatch.setattr(
        _trainer, "run", lambda work, n_threads: over.append(work) or original(work, n_threads)
    )
    expected = weights(fit_with_threads())
    for work in over * 500:
        _threads._workers.calls.put(work)
    assert weights(fit_with_threads()) == expected


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_work_runs_once(n_threads, monkeypatch):
    works, original, model = [], _threads.run, fb.mlp([3, 2], seed=0)
    monkeypatch.setattr(
        _model, "run", lambda work, n_threads: works.append(work) or original(work, n_threads)
    )
    model.predict(np.ones((100, 3)), n_threads=n_threads)
    with pytest.raises(RuntimeError, match=r"^a Work runs once$"):
        works[0].run()


class Call:
    """Like a Work of the kernels, but its run waits for help."""

    def __init__(self):
        self.helped, self.helper = threading.Event(), None

    def help(self):
        self.helper = threading.current_thread()
        self.helped.set()

    def run(self, call):
        call(self)
        return self.helped.wait(20)


def test_helpers_are_called_and_are_parked_daemon_threads():
    call = Call()
    assert _threads.run(call, 2)
    assert call.helper.name.startswith("fastbackprop-")
    assert call.helper.daemon
    assert call.helper.is_alive()
    n_started = _threads._workers.n_started
    assert _threads.run(Call(), 2)
    assert _threads._workers.n_started == n_started


def test_a_fit_calls_as_many_helpers_as_it_was_told():
    fit_with_threads(n_threads=5)
    assert _threads._workers.n_started >= 4
    assert (
        sum(x.name.startswith("fastbackprop-") for x in threading.enumerate())
        == _threads._workers.n_started
    )


# ---- divergence -------------------------------------------------------------------------

DIVERGING = {
    # name: (inputs are, activation, bias, options of SGD, what is said); see test_divergence.py for
    # how weights diverge
    "loss": (1.0, "relu", True, {"learning_rate": 2.0}, "The loss stopped being finite"),
    "loss, at once": (
        1.0,
        "identity",
        True,
        {"learning_rate": 1e30},
        "The loss stopped being finite",
    ),
    "weights": (
        1e-30,
        "tanh",
        False,
        {"learning_rate": 1.0, "weight_decay": 5.0},
        "weights infinite or NaN",
    ),
    "weights, at once": (
        1e-30,
        "tanh",
        False,
        {"learning_rate": 3e38, "weight_decay": 1e3},
        "weights infinite or NaN",
    ),
}


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("case", DIVERGING)
def test_threads_diverge_with_the_same_words_and_leave_the_same_weights(
    case, momentum, monkeypatch
):
    scale, activation, bias, options, words = DIVERGING[case]
    X = np.random.default_rng(0).normal(size=(1000, 100)).astype("f4")
    results = set()
    # An epoch is one call of the kernels, or some: then good steps of several calls are repeated.
    for n_threads, operations in product((1, 2, 4, 7), (1e9, 1e7)):
        monkeypatch.setattr(_trainer, "OPERATIONS_PER_CALL", operations)
        model = fb.mlp([100, 100, 1], activation=activation, bias=bias, seed=0)
        for layer in model.layers:
            layer.weight = np.sign(layer.weight) * np.float32(
                0.1
            )  # so that weights of both layers overflow together
        sgd = fb.SGD(**options, momentum=momentum)
        trainer = fb.Trainer(
            model, "half_squared_error", sgd, batch_size=40, seed=0, n_threads=n_threads
        )
        with pytest.raises(fb.DivergenceError, match=words) as caught:
            trainer.fit(X * np.float32(scale), X[:, :1], epochs=100)
        assert np.isfinite(model._parameters.values).all()
        velocity = sgd._velocity(model._parameters) if momentum else np.zeros(0)
        error = caught.value
        where = error.epoch, error.batch, error.layer
        results.add(
            (
                str(error),
                where,
                str(trainer.history.loss),
                sha256(model._parameters.values, velocity),
            )
        )
    assert len(results) == 1
    if "at once" not in case:
        assert where[:2] > (1, 2)  # there were good steps to keep


# ---- several threads of the user ----------------------------------------------------------


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


# ---- several processes ----------------------------------------------------------------------

START = """
import os, signal, sys, threading, time, warnings
import numpy as np
import fastbackprop as fb
X = np.random.default_rng(0).normal(size=(200, 60)).astype("f4")

def new(n_threads):
    model = fb.mlp([60, 100, 1], activation="tanh", seed=0)
    return fb.Trainer(model, "half_squared_error", fb.SGD(0.01), batch_size=50, seed=0,
                      n_threads=n_threads)

def fit(n_threads, **options):
    trainer = new(n_threads)
    trainer.fit(X, X[:, :1], **{"epochs": 2, **options})
    return trainer.model._parameters.values.tobytes()

def helpers():
    return [x for x in threading.enumerate() if x.name.startswith("fastbackprop-")]

def busy():
    time.sleep(0.01)  # the last to leave may be on its way
    before = time.process_time()
    time.sleep(1)
    return time.process_time() - before
"""


def run_script(code, *arguments, returncode=0, timeout=60, **environment):
    process = subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip
    assert process.returncode == returncode, process.stderr
    return process


FORK = """
# Python 3.12 warns of forks where there are threads
warnings.simplefilter("ignore", DeprecationWarning)
signal.alarm(100)
expected = fit(2)
background = sys.argv[1] == "during a fit"
if background:  # forks find helpers at work, and calls in the queue
    threading.Thread(target=fit, args=(2,), kwargs={"epochs": 10**9}, daemon=True).start()
for _ in range(100):
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # a child that hangs ends by this
        os._exit(0 if fit(2) == expected and len(helpers()) == 1 else 3)
    right = fit(2) == expected
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert right and status == 0, (right, status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="There is no fork here.")
@pytest.mark.parametrize("when", ["between fits", "during a fit"])
def test_a_hundred_forks_train_in_parent_and_child(when):
    run_script(START + FORK, when, timeout=120)


JOB = (
    "float32",
    (60, 100, 5),
    "tanh",
    "identity",
    "half_squared_error",
    {"learning_rate": 0.01},
    2,
)


def test_a_spawned_process_trains_with_threads_to_the_same_bits(monkeypatch):
    expected = train(*JOB)
    monkeypatch.setenv("FASTBACKPROP_NUM_THREADS", "2")
    assert train(*JOB) == expected
    with get_context("spawn").Pool(1) as pool:
        assert pool.apply_async(train, JOB).get(timeout=60) == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="This system does not fork.")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_model_forked_in_the_middle_of_a_fit_can_be_trained_in_the_child():
    trainer, X = fb.Trainer(fb.mlp([3, 2], seed=0), "half_squared_error", seed=0), np.ones((10, 3))
    inside, go_on = threading.Event(), threading.Event()

    def wait(history):
        inside.set()
        go_on.wait(20)

    thread = threading.Thread(target=trainer.fit, args=(X, X[:, :2]), kwargs={"on_epoch_end": wait})
    thread.start()
    assert inside.wait(20)
    child = os.fork()
    if child == 0:
        try:
            trainer.fit(X, X[:, :2])
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    with pytest.raises(RuntimeError, match="one thread at a time"):
        trainer.fit(X, X[:, :2])
    go_on.set()
    thread.join()
    assert status == 0


def test_processes_of_joblib_train_with_threads_to_the_same_bits(monkeypatch):
    joblib = pytest.importorskip("joblib", reason="joblib isn't installed.")
    loky = pytest.importorskip("joblib.externals.loky")
    expected = train(*JOB)
    monkeypatch.setenv("FASTBACKPROP_NUM_THREADS", "2")
    try:
        jobs = [joblib.delayed(train)(*JOB) for _ in range(4)]
        assert joblib.Parallel(n_jobs=2, backend="loky", timeout=60)(jobs) == [expected] * 4
    finally:
        loky.get_reusable_executor().shutdown(wait=True, kill_workers=True)


# ---- how many ----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "2"])
def test_a_number_of_threads_that_is_none_is_refused(value):
    error, model = ValueError if type(value) is int else TypeError, fb.mlp([2, 1], seed=0)
    words = f"n_threads must be an integer of at least 1, got {value!r}."
    for use in [
        lambda: fb.Trainer(model, "half_squared_error", n_threads=value),
        lambda: model.predict([[1.0, 2.0]], n_threads=value),
        lambda: model.predict(np.ones((1, 2), "f4"), n_threads=value),
    ]:
        with pytest.raises(error) as caught:
            use()
        assert str(caught.value) == words


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "abc", "4,2"])
def test_an_environment_variable_of_ours_that_is_no_number_is_refused(value, monkeypatch):
    monkeypatch.setenv("FASTBACKPROP_NUM_THREADS", value)
    model = fb.mlp([2, 1], seed=0)
    for use in [
        lambda: fb.Trainer(model, "half_squared_error"),
        lambda: model.predict([[1.0, 2.0]]),
    ]:
        with pytest.raises(ValueError) as caught:
            use()
        assert (
            str(caught.value)
            == f"FASTBACKPROP_NUM_THREADS must be an integer of at least 1, got {value!r}."
        )
    assert fb.Trainer(model, "half_squared_error", n_threads=2)  # nobody asks for it


def test_thousands_of_threads_are_refused(monkeypatch):
    model = fb.mlp([2, 1], seed=0)
    for value in [1025, 2**26, 2**31, 2**63]:
        with pytest.raises(ValueError, match=f"^n_threads must be at most 1,024, got {value:,}.$"):
            fb.Trainer(model, "half_squared_error", n_threads=value)
    monkeypatch.setenv("FASTBACKPROP_NUM_THREADS", str(2**26))
    with pytest.raises(
        ValueError, match=r"^FASTBACKPROP_NUM_THREADS must be at most 1,024, got 67,108,864.$"
    ):
        model.predict([[1.0, 2.0]])
    monkeypatch.delenv("FASTBACKPROP_NUM_THREADS")
    with pytest.raises(ValueError, match=r"^n_threads must be at most 1,024"):
        model.predict(np.ones((1, 2), "f4"), n_threads=2**70)


# /proc/self/cgroup, files below /sys/fs/cgroup, CPUs' worth of time
GROUPS = {
    "none": (None, {}, math.inf),
    "no limit": ("0::/", {"cpu.max": "max 100000"}, math.inf),
    "version 2": ("0::/", {"cpu.max": "150000 100000"}, 1.5),
    "a slice": ("0::/user.slice/job", {"user.slice/job/cpu.max": "200000 100000"}, 2),
    "a slice in one with less": (
        "0::/a/b",
        {"a/cpu.max": "100000 100000", "a/b/cpu.max": "400000 100000", "cpu.max": "max 100000"},
        1,
    ),
    "known by another path inside": ("0::/docker/123", {"cpu.max": "300000 100000"}, 3),
    "above what is mounted": ("0::/../..", {"cpu.max": "300000 100000"}, 3),
    "version 1": (
        "4:cpu,cpuacct:/job\n3:memory:/job",
        {
            "cpu,cpuacct/job/cpu.cfs_quota_us": "250000",
            "cpu,cpuacct/job/cpu.cfs_period_us": "100000",
        },
        2.5,
    ),
    "version 1, no limit": (
        "4:cpu:/",
        {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
        math.inf,
    ),
    "a period of 0": ("0::/", {"cpu.max": "100000 0"}, math.inf),
    "nonsense": ("nonsense\n0::/", {"cpu.max": "a b c"}, math.inf),
}


@pytest.mark.parametrize("name", GROUPS)
def test_the_quota_of_a_control_group_is_found(name, tmp_path, monkeypatch):
    groups, files, expected = GROUPS[name]
    if groups is not None:
        (tmp_path / "groups").write_text(groups)
    for path, text in files.items():
        (tmp_path / "fs" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / path).write_text(text)
    monkeypatch.setattr(_threads, "CGROUPS_OF_PROCESS", tmp_path / "groups")
    monkeypatch.setattr(_threads, "CGROUPS", tmp_path / "fs")
    assert _threads._cgroup_quota.__wrapped__() == expected


# argument, FASTBACKPROP_NUM_THREADS, OMP_NUM_THREADS, used
SAID = [
    (None, None, None, None),
    (2, "3", "4", 2),
    (2, "abc", "abc", 2),
    (None, "3", "4", 3),
    (None, " 3 ", "", 3),
    (None, "", "4", 4),
    (None, None, "4,2", 4),
    (None, None, " 4 , 2", 4),
    (None, None, "0", None),
    (None, None, "abc", None),
    (None, None, "-2", None),
    (None, None, "9" * 5000, 1024),
    (None, None, ",", None),
]


def set_environment(monkeypatch, ours, common):
    for name, value in zip(_threads.ENVIRONMENT_VARIABLES, (ours, common), strict=True):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)


@pytest.mark.parametrize(("argument", "ours", "common", "used"), SAID)
def test_the_argument_beats_our_variable_and_that_beats_the_common_one(
    argument, ours, common, used, monkeypatch
):
    set_environment(monkeypatch, ours, common)
    assert _threads.check_n_threads(argument) == used


def test_trainer_and_predict_use_the_number_that_was_said(monkeypatch):
    calls = []

    def run(work, n_threads):
        calls.append(n_threads)
        return work.run()

    monkeypatch.setattr(_trainer, "run", run)
    monkeypatch.setattr(_model, "run", run)
    set_environment(monkeypatch, None, None)
    model, X = fb.mlp([2, 1], seed=0), [[1, 2]] * 70
    for argument, ours, used in [(None, None, 1), (5, "3", 5), (None, "3", 3), (1, "3", 1)]:
        set_environment(monkeypatch, ours, None)
        trainer = fb.Trainer(model, "half_squared_error", n_threads=argument)
        for use in [
            lambda trainer=trainer: trainer.fit(X, [1] * 70, batch_size=70),
            lambda trainer=trainer: trainer.step(X, [1] * 70),
            lambda trainer=trainer: trainer.evaluate(X, [1] * 70),
            lambda argument=argument: model.predict(X, n_threads=argument),
        ]:
            calls.clear()
            use()
            assert calls == [used]


def test_small_work_is_done_by_one_thread_and_large_work_by_no_more_than_there_are_cpus(
    monkeypatch,
):
    unit = _threads.OPERATIONS_PER_THREAD
    assert _threads.share_of_work(None, 0) == _threads.share_of_work(None, 1.9 * unit) == (1, False)
    assert 1 <= _threads.share_of_work(None, 1e15)[0] <= _threads.available_cpus() <= os.cpu_count()
    monkeypatch.setattr(_threads, "available_cpus", lambda: 4)
    assert [_threads.share_of_work(None, x * unit)[0] for x in (1, 2, 3, 4, 5, 1e6)] == [
        1,
        2,
        3,
        4,
        4,
        4,
    ]
    assert [_threads.share_of_work(n, 1) for n in (1, 4, 5, 16)] == [
        (1, False),
        (4, False),
        (5, True),
        (16, True),
    ]


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="A process can't be tied to CPUs here."
)
def test_a_process_on_one_cpu_uses_one_thread():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert _threads.available_cpus() == 1
        assert _threads.share_of_work(None, 1e15) == (1, False)
        assert _threads.share_of_work(2, 1e15) == (2, True)
    finally:
        os.sched_setaffinity(0, before)


# ---- when nothing runs ---------------------------------------------------------------------------

QUIET = """
fit(1)
new(None).model.predict(X)
fit(None)
assert threading.enumerate() == [threading.main_thread()], threading.enumerate()
alone = fit(1)
assert fit(3) == alone
assert sorted(x.name for x in helpers()) == ["fastbackprop-1", "fastbackprop-2"]
assert all(x.daemon for x in helpers())
print(busy())
"""


def test_no_thread_is_started_for_one_and_helpers_sleep_when_nothing_runs():
    assert float(run_script(START + QUIET).stdout) < 0.05


NO_ROWS = """
model = new(2).model
for _ in range(3):
    assert model.predict(X[:0], n_threads=3).shape == (0, 1)
used = busy()

class Call:
    def help(self):
        helped.set()

    def run(self, call):
        call(self)
        return helped.wait(10)

helped = threading.Event()
assert fb._core.threads.run(Call(), 2), "no helper came"
print(used)
"""


def test_helpers_called_for_no_rows_come_back_and_sleep():
    assert float(run_script(START + NO_ROWS).stdout) < 0.05


AFTER = {
    "a fit": ("fit(2)", 0),
    "an exception": ("fit(2); raise OSError('the end')", 1),
    "an exception in a fit": ("fit(2, on_epoch_end=lambda history: sys.exit(7))", 7),
    "a fit that a daemon thread is still in": (
        "threading.Thread(target=fit, args=(2,), kwargs={'epochs': 10**9}, daemon=True).start(); "
        "time.sleep(0.2)",
        0,
    ),
}


@pytest.mark.parametrize("what", AFTER)
def test_the_interpreter_ends_after(what):
    code, returncode = AFTER[what]
    process = run_script(START + code, returncode=returncode, timeout=30)
    assert process.stderr.strip().splitlines()[-1:] == (
        ["OSError: the end"] if returncode == 1 else []
    )


IDLE = """
names = [x.name for x in threading.enumerate() if x.name.startswith("fastbackprop-")]
assert len(names) == 1, names
before = time.process_time()
time.sleep(1)
assert time.process_time() - before < 0.05, "still at work"
"""


@pytest.mark.skipif(
    sys.platform == "win32", reason="Windows gives SIGINT to a process by other means"
)
@pytest.mark.parametrize("net", ["middle", "large"])
def test_ctrl_c_ends_a_fit_with_threads_and_leaves_none_at_work(net):
    run_script(FIT + IDLE, repr(NETS[net]), FASTBACKPROP_NUM_THREADS="2")


class InterruptAt:
    """Raises KeyboardInterrupt before the n-th line of _threads.py that is about to run."""

    def __init__(self, n):
        self.left, self.place = n, ""

    def __call__(self, frame, event, argument):
        if frame.f_code.co_filename != _threads.__file__:
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                self.place = f"{frame.f_code.co_name}:{frame.f_lineno}"
                raise KeyboardInterrupt
        return self


def test_ctrl_c_while_helpers_are_called_leaves_none_training(monkeypatch):
    monkeypatch.setattr(_threads, "available_cpus", lambda: 2)
    X = np.random.default_rng(0).normal(size=(5_000, 64)).astype("f4")  # one call
    fit_with_threads()  # so that there is a helper
    n = 0
    while True:
        n += 1
        model = fb.mlp([64, 128, 1], activation="tanh", seed=0)
        trainer = fb.Trainer(
            model, "half_squared_error", fb.SGD(1e-3), batch_size=64, seed=0, n_threads=2
        )
        start, before, interrupt = weights(trainer), sys.gettrace(), InterruptAt(n)
        sys.settrace(interrupt)
        try:
            trainer.fit(X, X[:, :1])
            break
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        time.sleep(0.02)  # a helper without a leader would have begun
        assert weights(trainer) == start, f"trained after Ctrl-C in {interrupt.place}"
        assert len(trainer.fit(X[:100], X[:100, :1])) == 1
    assert n > 5
