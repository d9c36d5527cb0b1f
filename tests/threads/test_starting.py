"""A helper that can't be started costs its help, and nothing else."""

import _thread
import sys
import threading

import numpy as np
import pytest
from privates import replace_workers
from privates import threads as _threads
from test_helpers import Call
from threads_shared import START, fit_with_threads, run_script, weights

import fastbackprop as fb


@pytest.fixture
def no_workers(monkeypatch):
    """None has been started yet."""
    return replace_workers(monkeypatch)


@pytest.mark.parametrize("n_more", [0, 1])
@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
def test_the_work_is_done_with_the_threads_there_are(error, n_more, no_workers, monkeypatch):
    expected, start, left = weights(fit_with_threads(1)), _thread.start_new_thread, [n_more]

    def start_some(*arguments):
        left[0] -= 1
        if left[0] < 0:
            raise error
        return start(*arguments)

    monkeypatch.setattr(_thread, "start_new_thread", start_some)
    trainer = fit_with_threads(4)
    assert weights(trainer) == expected
    assert no_workers.n_started == n_more
    if n_more == 0:
        assert no_workers.calls.empty()  # nobody would take them out
    X = np.ones((500, 60), "f4")
    assert np.isfinite(trainer.model.predict(X, n_threads=3)).all()


NO_STACK = """
expected = fit(1)
threading.stack_size(1 << 50)
assert fit(3) == expected
assert n_helpers() == 0
threading.stack_size(0)
assert fit(3) == expected
assert n_helpers() == 2
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows reserves such a stack later, or never")
def test_a_system_without_room_for_another_thread():
    run_script(START + NO_STACK)


AT_EXIT = """
import atexit
expected = fit(1)
@atexit.register
def last():
    print(fit(2) == expected)
"""


def test_a_fit_when_python_ends():
    """From 3.12 on no thread can be started then."""
    assert run_script(START + AT_EXIT).stdout == "True\n"


def test_no_helper_is_waited_for_when_it_starts(no_workers, monkeypatch):
    """As Thread.start does: for ever, where memory ends before the thread has begun."""

    def start(self):
        raise AssertionError("waits for the thread to begin")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert _threads.run(Call(), 2)


def test_calls_of_threads_that_died_in_their_start_do_not_pile_up(no_workers, monkeypatch):
    monkeypatch.setattr(_thread, "start_new_thread", lambda *arguments: 1)
    model, X = fb.mlp([3, 1], seed=0), np.ones((200, 3), "f4")
    for _ in range(3 * _threads.MOST_THREADS):
        model.predict(X, n_threads=2)
    assert no_workers.calls.qsize() <= 2 * _threads.MOST_THREADS
