"""Calls become longer where another Python thread makes coming back from them slow."""

import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from privates import replace_run
from privates import threads as _threads
from privates import visits as _visits
from threads_shared import fit_with_threads, weights

import fastbackprop as fb


def seconds_of_calls(monkeypatch, n, unit, operations, speed, waits):
    """How long each call takes with so many operations a second, and a wait behind each."""
    now, seconds, place = [0.0], [], 0
    monkeypatch.setattr(_visits, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    for i, (first, last) in enumerate(_visits.Visits().parts(n, unit, operations)):
        assert first == place < last <= n
        assert last == n or last % unit == 0
        wait, place = waits[i % len(waits)], last
        seconds.append((last - first) / unit * operations / speed)
        now[0] += seconds[-1] + wait
        monkeypatch.setattr(_threads, "last_wait", wait)
    assert place == n
    return seconds


def test_without_waiting_a_call_is_as_long_as_ever(monkeypatch):
    seconds = seconds_of_calls(monkeypatch, 100_000, 10, 1e7, 1e11, [1e-6])
    assert seconds == pytest.approx([0.01] * 100)


@pytest.mark.parametrize("speed", [2e9, 1e10, 1e11])
def test_waiting_takes_a_small_part_of_the_time_and_ctrl_c_need_not_wait_long(speed, monkeypatch):
    waits = [0.005]
    seconds = seconds_of_calls(monkeypatch, 1_000_000, 10, 1e7, speed, waits)
    assert max(seconds) <= max(0.11, 1e9 / speed * 1.01)
    assert len(seconds) * waits[0] < 0.08 * sum(seconds)


def test_calls_are_short_again_when_the_other_thread_has_ended(monkeypatch):
    seconds = seconds_of_calls(monkeypatch, 1_000_000, 10, 1e7, 1e11, [0.005] * 5 + [0.0] * 10**6)
    assert max(seconds[:6]) > 0.09
    assert max(seconds[6:]) == pytest.approx(0.01)


@given(
    n=st.integers(0, 10**7),
    unit=st.integers(1, 10**5),
    operations=st.floats(1.0, 1e13),
    speed=st.floats(1e7, 1e12),
    waits=st.lists(st.floats(0.0, 10.0), min_size=1, max_size=4),
)
def test_every_row_is_in_one_call(n, unit, operations, speed, waits):
    n = min(n, 100 * unit)
    with pytest.MonkeyPatch.context() as monkeypatch:
        seconds_of_calls(monkeypatch, n, unit, operations, speed, waits)


@pytest.fixture
def busy_thread():
    """Another Python thread that computes all the time, and gives the GIL up as late as it may."""
    before, stop = sys.getswitchinterval(), threading.Event()

    def compute():
        while not stop.is_set():
            sum(range(100))

    thread = threading.Thread(target=compute)
    sys.setswitchinterval(0.01)
    thread.start()
    yield thread
    stop.set()
    thread.join()
    sys.setswitchinterval(before)


def test_a_fit_beside_a_busy_thread_has_the_same_bits(busy_thread, monkeypatch):
    monkeypatch.setattr(_visits, "OPERATIONS_PER_CALL", 1e6)
    beside = weights(fit_with_threads(2, n=1000))
    monkeypatch.undo()
    assert beside == weights(fit_with_threads(1, n=1000))


@pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="there is no GIL to wait for"
)
def test_a_work_says_how_long_it_waited(busy_thread, monkeypatch):
    waits = []

    def run(work, n_threads):
        result = _threads.run(work, n_threads)
        waits.append(work.waited)
        return result

    replace_run(monkeypatch, run)
    model, X = fb.mlp([200, 100, 1], seed=0), np.ones((1000, 200), "f4")
    end = time.monotonic() + 20
    while not waits or (max(waits) <= 0.001 and time.monotonic() < end):
        model.predict(X)  # where cores are scarce, the busy thread may not come at once
    assert max(waits) > 0.001  # the busy thread gives the GIL up after 0.01 s
    assert _threads.last_wait == waits[-1]
