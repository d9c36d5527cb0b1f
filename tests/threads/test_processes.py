"""Forked, spawned and joblib's processes train with threads too."""

import copy
import os
import pickle
import threading
from multiprocessing import get_context

import numpy as np
import pytest
from test_golden import train
from threads_shared import START, run_script, weights

import fastbackprop as fb

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
        os._exit(0 if fit(2) == expected and n_helpers() == 1 else 3)
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
    50,
)


def test_a_spawned_process_trains_with_threads_to_the_same_bits():
    expected = train(*JOB)
    assert train(*JOB, 2) == expected
    with get_context("spawn").Pool(1) as pool:
        assert pool.apply_async(train, (*JOB, 2)).get(timeout=60) == expected


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


def test_processes_of_joblib_train_with_threads_to_the_same_bits():
    joblib = pytest.importorskip("joblib", reason="joblib isn't installed.")
    loky = pytest.importorskip("joblib.externals.loky")
    expected = train(*JOB)
    try:
        jobs = [joblib.delayed(train)(*JOB, 2) for _ in range(4)]
        assert joblib.Parallel(n_jobs=2, backend="loky", timeout=60)(jobs) == [expected] * 4
    finally:
        loky.get_reusable_executor().shutdown(wait=True, kill_workers=True)


# Before the package is imported, so that it runs after the package's own.
COUNT_THREADS = """
import os, sys, warnings
counts = []
os.register_at_fork(before=lambda: counts.append(len(os.listdir("/proc/self/task"))))
import numpy
n_before = len(os.listdir("/proc/self/task"))
"""
FORK_WHEN_IDLE = """
warnings.simplefilter("error")  # Python 3.12 warns of forks where there are threads
expected = fit(1)
for _ in range(20):
    assert fit(3) == expected
    assert n_helpers() == 2
    child = os.fork()
    if child == 0:
        os._exit(0 if fit(3) == expected and n_helpers() == 2 else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert n_helpers() == 0
assert set(counts) == {n_before}, (counts, n_before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="needs Linux's list of threads")
def test_idle_helpers_have_left_at_a_fork():
    run_script(COUNT_THREADS + START + FORK_WHEN_IDLE, OPENBLAS_NUM_THREADS="1")


FORK_IN_A_DRAW = """
signal.alarm(60)
trainer, other = new(1), new(1)
trainer.fit(X, X[:, :1])
other.fit(X, X[:, :1], epochs=2)
generator = generator_of(trainer)
lock = getattr(generator, "_generator", generator).lock
drawing = threading.Thread(target=lock.acquire)  # as it does while it draws
drawing.start()
drawing.join()
child = os.fork()
if child == 0:
    signal.alarm(10)
    trainer.fit(X, X[:, :1])
    same = (values_of(trainer.model) == values_of(other.model)).all()
    os._exit(0 if same else 3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="This system does not fork.")
def test_a_child_forked_while_another_thread_draws_words_goes_on_from_the_last_draw():
    run_script(START + FORK_IN_A_DRAW)


@pytest.mark.parametrize("copy_of", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy])
def test_a_copy_of_a_trainer_shuffles_alike(copy_of):
    trainer, X = fb.Trainer(fb.mlp([3, 2], seed=0), "half_squared_error", seed=0), np.eye(50, 3)
    trainer.fit(X, X[:, :2])
    twin = copy_of(trainer)
    assert trainer.fit(X, X[:, :2]).loss == twin.fit(X, X[:, :2]).loss
    assert weights(trainer) == weights(twin)


FORK_IN_PREDICT = """
warnings.simplefilter("ignore", DeprecationWarning)
signal.alarm(60)
model, rows = fb.mlp([500, 1000, 500], seed=0), np.ones((64, 500), "f4")

def predict():
    while True:
        model.predict(rows)

threading.Thread(target=predict, daemon=True).start()
for _ in range(20):
    time.sleep(0.001)
    child = os.fork()
    if child == 0:
        quick = all(quick_prediction(model, rows) is not None for _ in range(2))
        os._exit(0 if quick else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="This system does not fork.")
def test_a_child_forked_while_another_thread_predicts_predicts_as_fast():
    run_script(START + FORK_IN_PREDICT)


FORK_AT_A_BAR = """
signal.alarm(60)
fit(1, progress_bar=True)
from tqdm.std import TqdmDefaultWriteLock
drawing = threading.Thread(target=TqdmDefaultWriteLock.th_lock.acquire)
drawing.start()
drawing.join()
assert threading.enumerate() == [threading.main_thread()], "a thread of tqdm"
child = os.fork()
if child == 0:
    signal.alarm(10)
    fit(1, progress_bar=True)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="This system does not fork.")
def test_a_child_forked_while_another_thread_draws_a_bar_shows_its_own_and_no_thread_stays():
    assert run_script(START + FORK_AT_A_BAR).stderr.count("epoch 2/2 |") == 2
