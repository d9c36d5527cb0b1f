"""An exception at any line, a second thread, a fork: model, trainer and lock are as promised."""

import copy
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from privates import FOR_SCRIPTS, n_steps, parameters_of, state_of, values_of

import fastbackprop as fb

PACKAGE = str(Path(fb.__file__).parent)
# How a file is written is the business of tests/model/test_files.py.
ELSEWHERE = tuple(os.path.join("_model", name) for name in ("files.py", "beside.py"))
X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
Y = np.sin(X[:, :2])


class InterruptAt:
    """Raises KeyboardInterrupt before the n-th line of the package that is about to run."""

    def __init__(self, n):
        self.left, self.place = n, None

    def __call__(self, frame, event, argument):
        path = frame.f_code.co_filename
        if not path.startswith(PACKAGE) or path.endswith(ELSEWHERE):
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                self.place = f"{frame.f_code.co_name}:{frame.f_lineno}"
                raise KeyboardInterrupt
        return self


def new_trainer(rate=0.05):
    model = fb.mlp([3, 4, 2], activation="tanh", seed=0)
    return fb.Trainer(model, "half_squared_error", fb.SGD(rate, momentum=0.9), batch_size=5, seed=0)


def weights(trainer):
    return values_of(trainer.model).tobytes()


def state(trainer):
    return weights(trainer), state_of(trainer.optimizer, trainer.model).buffer.tobytes()


def by_hand(trainer):
    model = trainer.model
    y_hat = model.forward(X)
    model.backward(trainer.loss(y_hat, Y)[1])
    trainer.optimizer.step(model)


CALLS = {
    "fit": lambda t, folder: t.fit(X, Y, epochs=2, validation_data=(X, Y)),
    "fit with a bar": lambda t, folder: t.fit(X, Y, epochs=2, progress_bar=True),
    "fit with checkpoints": lambda t, folder: t.fit(
        X, Y, epochs=2, callbacks=[fb.Checkpoint(folder / "checkpoint")]
    ),
    "step": lambda t, folder: t.step(X, Y),
    "evaluate": lambda t, folder: t.evaluate(X, Y),
    "by hand": lambda t, folder: by_hand(t),
    "predict": lambda t, folder: t.model.predict(X[::2]),
    "input_gradient": lambda t, folder: t.model.input_gradient(X, output=1),
    "jacobian": lambda t, folder: t.model.jacobian(X),
    "sample_gradients": lambda t, folder: t.model.sample_gradients(X, Y, t.loss),
    "hessian_vector_product": lambda t, folder: t.model.hessian_vector_product(
        X, Y, t.loss, [(layer.weight, layer.bias) for layer in t.model.layers]
    ),
    "pickle": lambda t, folder: pickle.loads(pickle.dumps(t)),
    "save": lambda t, folder: t.model.save(folder / "model.safetensors"),
}


@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_at_any_line_leaves_model_trainer_and_lock_as_promised(call, tmp_path):
    CALLS[call](new_trainer(), tmp_path)  # imports and such
    possible = {state(trainer) for trainer in trainers_after_each_step(call)}
    whole, n = new_trainer(), 0
    whole.fit(X, Y, epochs=2)
    whole = state(whole)
    with ThreadPoolExecutor(1) as another_thread:
        while True:
            n += 1
            trainer, before = new_trainer(), sys.gettrace()
            interrupt, kept = InterruptAt(n), None
            sys.settrace(interrupt)
            try:
                CALLS[call](trainer, tmp_path)
                break
            except KeyboardInterrupt as error:
                kept = error  # with its traceback and all frames, as a console keeps it
            finally:
                sys.settrace(before)
            figures = trainer.history.to_dict()
            assert len({len(values) for values in figures.values()}) <= 1, interrupt.place
            assert state(trainer) in possible, f"half a step after Ctrl-C in {interrupt.place}"
            saved = tmp_path / "model.safetensors"
            if n % 5 == 0 and (tmp_path / "checkpoint").exists():
                resumed = fb.Trainer.resume(tmp_path / "checkpoint")
                assert len(resumed.fit(X, Y, epochs=2)) == 2
                assert state(resumed) == whole, interrupt.place
            if call == "save":
                assert fb.load(saved).predict(X).shape == (12, 2), interrupt.place
            # What holds for another thread holds for this one too: the lock is free.
            loss = another_thread.submit(trainer.step, X, Y).result(20)
            assert np.isfinite(loss), interrupt.place
            assert len(trainer.fit(X, Y)) == 1
            del kept
    assert n > 3


def trainers_after_each_step(call):
    """Trainers in each state that an interrupted call may leave."""
    trainer = new_trainer()
    yield trainer
    if call == "step":
        trainer.step(X, Y)
        yield trainer
    elif call == "by hand":
        by_hand(trainer)
        yield trainer
    elif call.startswith("fit"):
        # An epoch is one call of the kernels here.
        for _ in range(2):
            trainer.fit(X, Y)
            yield trainer


def test_ctrl_c_at_any_line_of_a_diverging_fit_leaves_finite_weights_of_an_epoch():
    possible = {state(trainer) for trainer in trainers_after_each_step("fit")}
    n = 0
    while True:
        n += 1
        trainer, before = new_trainer(), sys.gettrace()

        def spoil(history, trainer=trainer):
            if len(history) == 2:
                trainer.optimizer.learning_rate = 1e38

        sys.settrace(InterruptAt(n))
        try:
            trainer.fit(X, Y, epochs=4, on_epoch_end=spoil)
        except KeyboardInterrupt:
            pass
        except fb.DivergenceError:
            break
        finally:
            sys.settrace(before)
        assert np.isfinite(values_of(trainer.model)).all()
        if len(trainer.history) <= 2:
            assert state(trainer) in possible
    assert state(trainer) in possible
    assert n > 100


def test_ctrl_c_at_any_line_leaves_the_weights_of_the_best_epoch():
    twin, states = new_trainer(), []
    for _ in range(4):
        states.append(state(twin))
        twin.fit(X, Y)
    n, best_epochs = 0, set()
    while True:
        n += 1
        trainer, before, values = new_trainer(), sys.gettrace(), iter([3.0, 1.0, 2.0])
        stopping = fb.EarlyStopping("led_error")

        def led_error(y, y_hat, values=values):
            return next(values)

        sys.settrace(InterruptAt(n))
        try:
            trainer.fit(X, Y, epochs=3, metrics=[led_error], callbacks=[stopping])
            break
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        best_epochs.add(stopping.best_epoch)
        possible = [states[stopping.best_epoch]] if stopping.best_epoch else states
        assert state(trainer) in possible
        trainer.step(X, Y)  # the lock is free
    assert state(trainer) == states[2]
    assert best_epochs == {0, 1, 2}
    assert n > 100


def test_ctrl_c_at_any_line_of_a_diverging_step_leaves_the_weights_of_before():
    n = 0
    while True:
        n += 1
        trainer, before = new_trainer(3e38), sys.gettrace()
        start = state(trainer)
        sys.settrace(InterruptAt(n))
        try:
            trainer.step(X, 1e3 * Y)
        except KeyboardInterrupt:
            pass
        except fb.DivergenceError:
            break
        finally:
            sys.settrace(before)
        assert state(trainer) == start
    assert state(trainer) == start
    assert n > 20


INTERRUPTED = (
    FOR_SCRIPTS
    + """
import signal, sys
import numpy as np
import fastbackprop as fb

def interrupt(number, frame):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
X = np.random.default_rng(0).normal(size=(4096, 1000)).astype("f4")
trainer = fb.Trainer(fb.mlp([1000, 1000, 1], activation="tanh", seed=0), "half_squared_error",
                     fb.SGD(3e38), batch_size=4096)
start = values_of(trainer.model).copy()
for delay in (0.05, 0.1):
    for call in (trainer.fit, trainer.step):
        signal.setitimer(signal.ITIMER_REAL, delay)
        try:
            call(X, X[:, :1])
        except (KeyboardInterrupt, fb.DivergenceError):
            pass
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert np.isfinite(values_of(trainer.model)).all(), "not finite"
        values_of(trainer.model)[:] = start
"""
)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no SIGALRM")
def test_a_real_signal_during_the_step_that_diverges_leaves_finite_weights():
    run = subprocess.run(
        [sys.executable, "-P", "-c", INTERRUPTED], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr


# ---- the counter of steps --------------------------------------------------------------------


def test_steps_of_a_call_that_ended_in_an_error_or_ctrl_c_are_counted():
    trainer = new_trainer()
    trainer.fit(X, Y)
    assert n_steps(trainer) == 3

    class EnoughError(Exception):
        pass

    def end(history):
        raise EnoughError

    with pytest.raises(EnoughError):
        trainer.fit(X, Y, on_epoch_end=end)
    assert n_steps(trainer) == 6
    y = Y.copy()
    y[7] = 1e30
    with pytest.raises(fb.DivergenceError):
        trainer.fit(X, y, shuffle=False)
    assert n_steps(trainer) == 6  # the weights are those of before this fit
    with pytest.raises(fb.DivergenceError, match="in step 7,") as caught:
        trainer.step(X, y)
    assert caught.value.batch == 7
    assert n_steps(copy.deepcopy(trainer)) == 6


def test_the_counter_and_the_weights_agree_after_ctrl_c_at_any_line():
    n, states = 0, {}
    twin = new_trainer()
    for n_epochs in range(3):
        states[3 * n_epochs] = state(twin)
        twin.fit(X, Y)
    while True:
        n += 1
        trainer, before = new_trainer(), sys.gettrace()
        sys.settrace(InterruptAt(n))
        try:
            trainer.fit(X, Y, epochs=2)
            break
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        assert state(trainer) == states[n_steps(trainer)]


# ---- several threads -------------------------------------------------------------------------


def test_threads_that_come_at_once_get_one_state_and_one_buffer_of_gradients():
    for _ in range(200):
        trainer, barrier = new_trainer(), threading.Barrier(4)
        parameters = parameters_of(trainer.model)

        def ask(parameters=parameters, trainer=trainer, barrier=barrier):
            barrier.wait()
            return state_of(trainer.optimizer, trainer.model), parameters.gradients

        with ThreadPoolExecutor(4) as pool:
            buffers = [future.result() for future in [pool.submit(ask) for _ in range(4)]]
        assert len({id(state) for state, _ in buffers}) == 1
        assert len({id(gradients) for _, gradients in buffers}) == 1


def test_a_thread_that_is_refused_can_have_the_model_later_and_shows_no_bar(capsys):
    trainer = new_trainer()
    inside, go_on = threading.Event(), threading.Event()

    def wait(history):
        inside.set()
        assert go_on.wait(20)

    refused = {
        "fit": lambda: trainer.fit(X, Y, progress_bar=True),
        "step": lambda: trainer.step(X, Y),
        "backward": lambda: trainer.model.backward(Y),
        "optimizer.step": lambda: trainer.optimizer.step(trainer.model),
    }
    with ThreadPoolExecutor(1) as pool:
        fit = pool.submit(trainer.fit, X, Y, on_epoch_end=wait)
        assert inside.wait(20)
        try:
            for call in refused.values():
                with pytest.raises(RuntimeError, match="by one thread at a time, got a second one"):
                    call()
            # What only reads the model has a workspace of its own.
            assert trainer.model.forward(X).shape == trainer.model.predict(X).shape
            assert len(trainer.model.jacobian(X)) == len(X)
        finally:
            go_on.set()
        fit.result(20)
    assert capsys.readouterr() == ("", "")
    trainer.fit(X, Y)


def test_a_callback_may_train_by_hand_and_the_fit_goes_on():
    trainer = new_trainer()

    def more(history):
        by_hand(trainer)
        trainer.step(X, Y)

    assert len(trainer.fit(X, Y, epochs=3, on_epoch_end=more)) == 3
    assert n_steps(trainer) == 15


@pytest.mark.parametrize("save", ["save", "pickle", "deepcopy", "trainer"])
def test_what_is_saved_while_another_thread_trains_is_of_a_steps_end(save, tmp_path):
    # Every weight of this layer is the same number after each step: all inputs and targets are 1.
    model = fb.Sequential([fb.Dense(400, 500, weight_init=0.0, bias=False)])
    trainer = fb.Trainer(model, "half_squared_error", fb.SGD(1e-6, momentum=0.5), n_threads=2)
    rows, y = np.ones((64, 400), np.float32), np.ones((64, 500), np.float32)
    begun, enough = threading.Event(), threading.Event()

    class EnoughError(Exception):
        pass

    def end(history):
        begun.set()
        if enough.is_set():
            raise EnoughError

    def fit():
        with pytest.raises(EnoughError):
            trainer.fit(rows, y, epochs=10**9, on_epoch_end=end)

    path = tmp_path / "model.safetensors"
    with ThreadPoolExecutor(1) as pool:
        fitting, copies = pool.submit(fit), []
        try:
            assert begun.wait(20)
            for _ in range(200 if save == "save" else 30):
                if save == "save":
                    model.save(path)
                    copies.append(fb.load(path))
                elif save == "pickle":
                    copies.append(pickle.loads(pickle.dumps(model)))
                elif save == "deepcopy":
                    copies.append(copy.deepcopy(model))
                else:
                    twin = pickle.loads(pickle.dumps(trainer))
                    copies.append(twin.model)
                    check_velocity(twin)
        finally:
            enough.set()
        fitting.result(60)
    numbers = [np.unique(model_copy.layers[0].weight) for model_copy in copies]
    assert {len(x) for x in numbers} == {1}
    assert all(a <= b for a, b in pairwise(numbers))
    assert numbers[0] < numbers[-1]


def check_velocity(twin):
    """The velocity of a step's end belongs to the weights: both follow from the number of steps."""
    velocity = state_of(twin.optimizer, twin.model).planes
    number = np.unique(twin.model.layers[0].weight)
    speeds = np.unique(velocity[velocity != 0])
    assert len(number) == len(speeds) == 1


def test_a_signals_handler_may_save_the_model_that_is_in_training(tmp_path):
    if not hasattr(signal, "setitimer"):
        pytest.skip("this system has no SIGALRM")
    trainer, path, n_saved = new_trainer(), tmp_path / "model.safetensors", 0

    def save(number, frame):
        nonlocal n_saved
        trainer.model.save(path)
        n_saved += 1
        signal.setitimer(signal.ITIMER_REAL, 1e-3)  # not before: it would come in here

    before = signal.signal(signal.SIGALRM, save)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-3)
        end = time.monotonic() + 20
        while n_saved < 50 and time.monotonic() < end:
            trainer.fit(X, Y, epochs=20)
            trainer.step(X, Y)
            by_hand(trainer)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert n_saved >= 50
    assert fb.load(path).predict(X).shape == (12, 2)


# ---- forks -----------------------------------------------------------------------------------


def in_child(function):
    """Run a function in a forked child, and end that; returns the exit code."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            function()
            code = 0
        finally:
            os._exit(code)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hangs"


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@needs_fork
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # of jax, if a test had it
def test_a_child_forked_at_the_end_of_an_epoch_goes_on_with_the_fit_and_may_train_anew():
    trainer, codes, has_ended = new_trainer(), [], False
    expected = new_trainer()
    expected.fit(X, Y, epochs=3)

    def fork(history):
        if len(history) == 2:
            child = os.fork()
            if child == 0:
                codes.append("child")
            else:
                codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    try:
        trainer.fit(X, Y, epochs=3, on_epoch_end=fork)
        has_ended = True
    finally:
        if codes == ["child"]:
            same = has_ended and state(trainer) == state(expected)
            with ThreadPoolExecutor(1) as pool:
                ended = pool.submit(trainer.fit, X, Y).exception(20) is None
            os._exit(0 if same and ended else 1)
    assert codes == [0]
    assert state(trainer) == state(expected)


@needs_fork
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # of jax, if a test had it
def test_a_child_forked_while_another_thread_trains_may_train_and_save(tmp_path):
    trainer, rows = new_trainer(), np.tile(X, (2000, 1))
    enough = threading.Event()

    class EnoughError(Exception):
        pass

    def end(history):
        if enough.is_set():
            raise EnoughError

    def fit():
        with pytest.raises(EnoughError):
            trainer.fit(rows, np.sin(rows[:, :2]), epochs=10**9, on_epoch_end=end)

    def use():
        # Another trainer: what a fork does to the generator is not this test's business.
        other = fb.Trainer(trainer.model, "half_squared_error", seed=0)
        other.fit(X, Y)
        trainer.model.save(tmp_path / "model.safetensors")

    with ThreadPoolExecutor(1) as pool:
        fitting = pool.submit(fit)
        try:
            codes = [in_child(use) for _ in range(20)]
        finally:
            enough.set()
        fitting.result(20)
    assert codes == [0] * 20
