"""Forked, spawned and joblib's processes train with threads too."""

import os
import threading
from multiprocessing import get_context

import numpy as np
import pytest
from test_golden import train
from threads_shared import START, run_script

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
