"""None is left at work when nothing runs, whatever ended it."""

import sys
import time

import numpy as np
import pytest
from privates import FOR_SCRIPTS
from privates import threads as _threads
from test_interrupt import FIT, NETS
from threads_shared import START, fit_with_threads, run_script, weights

import fastbackprop as fb

QUIET = """
fit(1)
new(None).model.predict(X)
fit(None)
assert n_helpers() == 0 and threading.enumerate() == [threading.main_thread()]
alone = fit(1)
assert fit(3) == alone
assert n_helpers() == 2
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

    waited = 0.0

    def run(self, call):
        call(self)
        return helped.wait(10)

helped = threading.Event()
assert run(Call(), 2), "no helper came"
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
assert n_helpers() == 1
before = time.process_time()
time.sleep(1)
assert time.process_time() - before < 0.05, "still at work"
"""


@pytest.mark.skipif(
    sys.platform == "win32", reason="Windows gives SIGINT to a process by other means"
)
@pytest.mark.parametrize("net", ["middle", "large"])
def test_ctrl_c_ends_a_fit_with_threads_and_leaves_none_at_work(net):
    run_script(FOR_SCRIPTS + FIT + IDLE, repr(NETS[net]), "2")


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

    def new():
        model, sgd = fb.mlp([64, 128, 1], activation="tanh", seed=0), fb.SGD(1e-3)
        return fb.Trainer(model, "half_squared_error", sgd, batch_size=64, seed=0, n_threads=2)

    whole = new()
    whole.fit(X, X[:, :1])
    n = 0
    while True:
        n += 1
        trainer = new()
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
        # Behind run's call of the kernels the epoch is over; before it, nothing has begun.
        assert weights(trainer) in (start, weights(whole)), f"cut in two in {interrupt.place}"
        assert len(trainer.fit(X[:100], X[:100, :1])) == 1
    assert n > 5
