"""set_num_threads: a total over the process, which wins over all, and changes no bit."""

import os
import subprocess
import sys
import threading

import joblib
import numpy as np
import pytest
from privates import prediction_work, threads

import fastbackprop as fb

X = np.random.default_rng(0).normal(size=(4000, 200)).astype("f4")
WORK = 1e12  # worth any number of threads


@pytest.fixture(autouse=True)
def _no_limit():
    yield
    fb.set_num_threads(None)


def test_it_wins_over_orders_and_the_environment(monkeypatch):
    monkeypatch.setenv("FASTBACKPROP_NUM_THREADS", "7")
    monkeypatch.setattr(threads, "available_cpus", lambda: 64)
    assert threads.share_of_work(5, WORK)[0] == 5
    assert threads.share_of_work(None, WORK)[0] == fb.get_num_threads() == 7
    fb.set_num_threads(3)
    assert threads.share_of_work(5, WORK)[0] == 3
    assert threads.share_of_work(None, WORK)[0] == fb.get_num_threads() == 3
    assert threads.share_of_work(2, WORK)[0] == 2
    fb.set_num_threads(None)
    assert threads.share_of_work(5, WORK)[0] == 5


def test_contexts_nest_and_take_it_back_after_an_error():
    fb.set_num_threads(4)
    with fb.set_num_threads(2), fb.set_num_threads(1):
        assert threads.share_of_work(8, WORK)[0] == 1
    assert threads.share_of_work(8, WORK)[0] == 4
    with pytest.raises(ValueError, match=r"^X must have 3 columns"), fb.set_num_threads(None):
        fb.mlp([3, 1]).predict([1.0])
    assert threads.share_of_work(8, WORK)[0] == 4


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (0, ValueError, "n_threads must be an integer of at least 1, got 0"),
        (1025, ValueError, "n_threads must be at most 1,024, got 1,025"),
        (2.0, TypeError, "n_threads must be an integer"),
        ("2", TypeError, "n_threads must be an integer"),
    ],
)
def test_wrong_totals_change_nothing(wrong, error, words):
    fb.set_num_threads(2)
    with pytest.raises(error, match=f"^{words}"):
        fb.set_num_threads(wrong)
    assert threads.share_of_work(8, WORK)[0] == 2


class Pausing:
    """A work of the kernels that waits until it may go on."""

    waited = 0.0

    def __init__(self):
        self.begun, self.may_end = threading.Event(), threading.Event()

    def run(self, call=None):
        self.begun.set()
        assert self.may_end.wait(30)


def test_calls_at_work_share_the_total(monkeypatch):
    """Another Python thread's call has its threads; who comes later gets what is left."""
    monkeypatch.setattr(threads, "available_cpus", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    first, second = Pausing(), Pausing()
    callers = [
        threading.Thread(target=threads.run, args=(work, n))
        for work, n in ((first, 1), (second, 3))
    ]
    for caller in callers:
        caller.start()
    for work in (first, second):
        assert work.begun.wait(30)
    assert threads.share_of_work(None, WORK)[0] == 2, "of six CPUs"
    assert threads.share_of_work(8, WORK)[0] == 8, "an order, without a total"
    fb.set_num_threads(7)
    assert threads.share_of_work(8, WORK)[0] == 3
    fb.set_num_threads(4)
    assert threads.share_of_work(8, WORK)[0] == 1, "a call always has the thread that makes it"
    for work in (first, second):
        work.may_end.set()
    for caller in callers:
        caller.join()
    assert threads.share_of_work(8, WORK)[0] == 4


class Limited(Pausing):
    """The same, that notes to how many threads it was limited."""

    limited_to = None

    def limit(self, n_threads):
        self.limited_to = n_threads


def test_who_begins_when_others_have_begun_gets_what_is_left_then(monkeypatch):
    """Two may be granted all at the same moment, before either has begun."""
    monkeypatch.setattr(threads, "available_cpus", lambda: 6)
    fb.set_num_threads(4)
    assert threads.share_of_work(3, WORK)[0] == 3
    assert threads.share_of_work(3, WORK)[0] == 3
    first, second = Limited(), Limited()
    callers = [threading.Thread(target=threads.run, args=(x, 3)) for x in (first, second)]
    for caller, work in zip(callers, (first, second), strict=True):
        caller.start()
        assert work.begun.wait(30)
    assert (first.limited_to, second.limited_to) == (None, 1)
    for caller, work in zip(callers, (first, second), strict=True):
        work.may_end.set()
        caller.join()


def test_a_work_that_is_limited_calls_fewer_helpers():
    model = fb.mlp([200, 300, 5], seed=0)
    work, out = prediction_work(model, X, n_threads=4)
    called = []
    work.limit(3)
    work.limit(3)
    work.run(called.append)
    assert called == [work, work]
    np.testing.assert_array_equal(out, model.predict(X, n_threads=1))


def test_the_bits_are_the_same_from_several_callers():
    model = fb.mlp([200, 300, 5], seed=0)
    alone = model.predict(X, n_threads=1)
    with fb.set_num_threads(2):
        outputs = joblib.Parallel(n_jobs=4, backend="threading")(
            joblib.delayed(model.predict)(X, n_threads=3) for _ in range(8)
        )
    for y in outputs:
        np.testing.assert_array_equal(y, alone)


CHILD = """
import sys, fastbackprop as fb
from fastbackprop._core import threads
print(threads.share_of_work(8, 1e12)[0])
"""


def test_new_processes_begin_without_it():
    fb.set_num_threads(1)
    done = subprocess.run(
        [sys.executable, "-P", "-c", CHILD], capture_output=True, text=True, check=True
    )
    assert done.stdout == "8\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_has_its_parents():
    fb.set_num_threads(3)
    child = os.fork()
    if child == 0:
        os._exit(threads.share_of_work(8, WORK)[0])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
