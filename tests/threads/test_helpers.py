"""It does not matter when helpers come, or whether: and they are parked threads."""

import random
import threading
import time

import numpy as np
import pytest
import reference
from privates import call_a_helper, helpers_that_came, n_helpers, replace_run
from privates import threads as _threads
from reference import DTYPES, VARIANTS, Kernels
from test_same_bits import RULES, trained
from threads_shared import fit_with_threads, random_layers, sha256, weights

import fastbackprop as fb


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


def test_calls_that_are_over_neither_hang_nor_change_bits(monkeypatch):
    over, original = [], _threads.run
    replace_run(monkeypatch, lambda work, n_threads: over.append(work) or original(work, n_threads))
    expected = weights(fit_with_threads())
    for work in over * 500:
        call_a_helper(work)
    assert weights(fit_with_threads()) == expected


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_work_runs_once(n_threads, monkeypatch):
    works, original, model = [], _threads.run, fb.mlp([3, 2], seed=0)
    replace_run(
        monkeypatch, lambda work, n_threads: works.append(work) or original(work, n_threads)
    )
    model.predict(np.ones((100, 3)), n_threads=n_threads)
    with pytest.raises(RuntimeError, match=r"^a Work runs once$"):
        works[0].run()


def wait_for(condition):
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.001)


class Call:
    """Like a Work of the kernels, but its run waits for help."""

    def __init__(self):
        self.helped, self.helper, self.waited = threading.Event(), None, 0.0

    def help(self):
        self.helper = threading.get_native_id()
        self.helped.set()

    def run(self, call):
        call(self)
        return self.helped.wait(20)


def test_helpers_are_called_and_are_parked():
    call = Call()
    assert _threads.run(call, 2)
    assert call.helper != threading.get_native_id()
    assert call.helper in helpers_that_came()
    n_started = n_helpers()
    assert _threads.run(Call(), 2)
    assert n_helpers() == n_started


def test_a_fit_calls_as_many_helpers_as_it_was_told():
    fit_with_threads(n_threads=5)
    assert n_helpers() >= 4
    wait_for(lambda: len(helpers_that_came()) == n_helpers())
