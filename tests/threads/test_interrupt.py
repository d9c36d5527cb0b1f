"""Ctrl-C ends a fit soon and cleanly, wherever it comes."""

import subprocess
import sys

import numpy as np
import pytest

import fastbackprop as fb

FIT = """
import signal, sys, threading, time
import numpy as np
import fastbackprop as fb

# a shell's job in the background ignores it
signal.signal(signal.SIGINT, signal.default_int_handler)

widths, n, batch_size = eval(sys.argv[1])
n_threads = int(sys.argv[2]) if len(sys.argv) > 2 else None
rng = np.random.default_rng(0)
X, y = rng.normal(size=(n, widths[0])).astype("f4"), rng.normal(size=(n, widths[-1])).astype("f4")
model = fb.mlp(widths, activation="tanh", seed=0)
trainer = fb.Trainer(model, "half_squared_error", fb.SGD(1e-4, momentum=0.9),
                     batch_size=batch_size, seed=0, n_threads=n_threads)
sent = []

def interrupt():
    time.sleep(0.5)
    sent.append(time.perf_counter())
    signal.raise_signal(signal.SIGINT)

threading.Thread(target=interrupt).start()
try:
    trainer.fit(X, y, epochs=10**9, validation_data=(X[:5], y[:5]))
except KeyboardInterrupt:
    latency = time.perf_counter() - sent[0]
assert all(np.isfinite(x.weight).all() and np.isfinite(x.bias).all() for x in trainer.model.layers)
figures = trainer.history.to_dict()
assert len({len(values) for values in figures.values()}) <= 1, figures
n_epochs = len(trainer.history)
assert len(trainer.fit(X[:100], y[:100])) == 1
print(latency, n_epochs)
"""
PREDICT = """
import signal, sys, threading, time
import numpy as np
import fastbackprop as fb

# a shell's job in the background ignores it
signal.signal(signal.SIGINT, signal.default_int_handler)

model = fb.mlp([200, 1000, 1000, 10], seed=0)
X = np.ones((100_000, 200), "f4")
sent = []

def interrupt():
    time.sleep(0.3)
    sent.append(time.perf_counter())
    signal.raise_signal(signal.SIGINT)

threading.Thread(target=interrupt).start()
try:
    while True:
        model.predict(X, n_threads=int(sys.argv[1]))
except KeyboardInterrupt:
    print(time.perf_counter() - sent[0])
assert np.isfinite(model.predict(X[:100])).all()
"""
NETS = {
    "tiny": ([2, 2, 1], 4, 4),
    "tiny, long epoch": ([4, 8, 3], 1_000_000, 1),
    "middle": ([64, 64, 10], 50_000, 32),
    "large": ([784, 1024, 1024, 10], 5_000, 256),
    "large batch": ([784, 512, 10], 5_000, 5_000),
    "deep and narrow": ([1] * 200, 2_000, 10),
}


@pytest.mark.skipif(
    sys.platform == "win32", reason="Windows gives SIGINT to a process by other means"
)
@pytest.mark.parametrize("net", NETS)
def test_ctrl_c_ends_a_fit_soon(net):
    limit = 1.0 if net == "large batch" else 0.2  # one step of it is the unit, and may take longer
    for _ in range(5):  # on a busy machine the process may have to wait for its turn
        run = subprocess.run(
            [sys.executable, "-P", "-c", FIT, repr(NETS[net])],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert run.returncode == 0, run.stderr
        latency, n_epochs = run.stdout.split()
        print(f"{net}: {1000 * float(latency):.0f} ms after {n_epochs} epochs")
        if float(latency) < limit:
            return
    pytest.fail(f"Ctrl-C took {latency} s in the best of 5 tries")


FILES = tuple(
    f"{name}.py"
    for name in ("trainer", "fitting", "loop", "state", "evaluation", "passes", "optimizers")
)


class InterruptAt:
    """Raises KeyboardInterrupt before the n-th line of these files that is about to run."""

    def __init__(self, n):
        self.left = n

    def __call__(self, frame, event, argument):
        if not frame.f_code.co_filename.endswith(FILES):
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self


def test_ctrl_c_between_any_two_lines_leaves_model_and_trainer_consistent():
    X, y = np.ones((4, 2), np.float32), [0, 1, 0, 1]
    model = fb.mlp([2, 3, 2], output_activation="softmax", seed=0)
    trainer = fb.Trainer(model, "cross_entropy", fb.SGD(0.1, momentum=0.9), batch_size=3, seed=0)
    n, wrong = 0, []
    while True:
        n += 1
        before = sys.gettrace()
        sys.settrace(InterruptAt(n))
        try:
            trainer.fit(X, y, epochs=2, validation_data=(X, y))
            break
        except KeyboardInterrupt as interrupt:
            place = interrupt.__traceback__
            while place.tb_next and "fastbackprop" in place.tb_next.tb_frame.f_code.co_filename:
                place = place.tb_next
            where = f"{place.tb_frame.f_code.co_name}:{place.tb_lineno}"
        finally:
            sys.settrace(before)
        if len({len(values) for values in trainer.history.to_dict().values()}) > 1:
            wrong.append(f"figures of different lengths after {where}")
        try:
            assert len(trainer.fit(X, y)) == 1
        except RuntimeError as error:
            wrong.append(f"no more training after {where}: {error}")
            model = fb.mlp([2, 3, 2], output_activation="softmax", seed=0)
            trainer = fb.Trainer(
                model, "cross_entropy", fb.SGD(0.1, momentum=0.9), batch_size=3, seed=0
            )
        assert all(np.isfinite(layer.weight).all() for layer in model.layers)
    assert n > 50
    assert not wrong, "\n".join(sorted(set(wrong)))


@pytest.mark.skipif(
    sys.platform == "win32", reason="Windows gives SIGINT to a process by other means"
)
@pytest.mark.parametrize("n_threads", ["1", "2"])
def test_ctrl_c_ends_a_long_predict_soon(n_threads):
    for _ in range(5):  # on a busy machine the process may have to wait for its turn
        command = [sys.executable, "-P", "-c", PREDICT, n_threads]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert run.returncode == 0, run.stderr
        if float(run.stdout) < 0.2:  # the whole call takes some seconds
            return
    pytest.fail(f"Ctrl-C took {run.stdout.strip()} s")
