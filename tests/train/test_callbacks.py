"""Callbacks: who is called when, what they may do, and that nobody pays for what isn't asked."""

import logging
import threading
import time

import numpy as np
import pytest
from privates import state_of, values_of

import fastbackprop as fb

X = np.random.default_rng(0).normal(size=(50, 3))
Y = np.sin(X[:, :2])


def new_trainer(optimizer=None, loss="half_squared_error", **options):
    model = fb.mlp([3, 6, 2], activation="tanh", seed=0)
    optimizer = optimizer or fb.SGD(0.1, momentum=0.9)
    return fb.Trainer(model, loss, optimizer, batch_size=8, seed=0, **options)


def state(trainer):
    buffers = values_of(trainer.model), state_of(trainer.optimizer, trainer.model).buffer
    return [buffer.tobytes() for buffer in buffers]


class Diary(fb.Callback):
    def __init__(self, name="", lines=None):
        self.name, self.lines = name, [] if lines is None else lines

    def on_fit_begin(self, trainer):
        self.lines.append(f"{self.name}begin")

    def on_epoch_end(self, trainer, history):
        self.lines.append(f"{self.name}epoch {len(history)}")

    def on_batch_end(self, trainer, step, loss):
        self.lines.append(f"{self.name}step {step}")

    def on_fit_end(self, trainer):
        self.lines.append(f"{self.name}end")


def test_callbacks_are_called_in_turn():
    lines = []
    callbacks = [Diary("a ", lines), Diary("b ", lines)]
    new_trainer().fit(
        X[:16],
        Y[:16],
        epochs=2,
        callbacks=callbacks,
        on_epoch_end=lambda history: lines.append(f"function {len(history)}"),
    )
    expected = ["a begin", "b begin"]
    for epoch in (1, 2):
        for step in (2 * epoch - 1, 2 * epoch):
            expected += [f"a step {step}", f"b step {step}"]
        expected += [f"a epoch {epoch}", f"b epoch {epoch}", f"function {epoch}"]
    assert lines == [*expected, "a end", "b end"]


@pytest.mark.parametrize("loss", ["half_squared_error", "own"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_callback_for_batches_gets_their_losses_and_changes_no_bit(loss, weighted):
    def own(y_hat, y, sample_weight=None):
        w = np.ones(len(y)) if sample_weight is None else sample_weight
        e = (y_hat - y) * w[:, None] / w.sum()
        return float((e * (y_hat - y)).sum() / 2), e

    loss = own if loss == "own" else loss
    weights = np.arange(50) % 4 if weighted else None
    losses = []

    class Listen(fb.Callback):
        def on_batch_end(self, trainer, step, loss):
            losses.append(loss)

    listening, twin = new_trainer(loss=loss), new_trainer(loss=loss)
    options = {"epochs": 3, "sample_weight": weights, "validation_data": (X, Y), "shuffle": False}
    heard = listening.fit(X, Y, callbacks=[Listen()], **options)
    assert heard.loss == twin.fit(X, Y, **options).loss
    assert state(listening) == state(twin)
    by_hand = new_trainer(loss=loss)
    expected = [
        by_hand.step(X[k : k + 8], Y[k : k + 8], sample_weight=None if weights is None else w)
        for _ in range(3)
        for k in range(0, 50, 8)
        for w in [None if weights is None else weights[k : k + 8]]
    ]
    assert losses == pytest.approx(expected, rel=1e-12)


def test_masks_and_statistics_of_batches_are_the_same_where_somebody_listens():
    states = []
    for callbacks in ([], [Diary()], [fb.WeightAveraging(0.0)]):
        model = fb.mlp([3, 8, 2], normalization="batch", dropout=0.3, seed=0)
        trainer = fb.Trainer(model, "half_squared_error", fb.Adam(0.01), batch_size=8, seed=0)
        history = trainer.fit(X, Y, epochs=3, callbacks=callbacks)
        states.append((state(trainer), history.loss, model.predict(X).tobytes()))
    assert states[0] == states[1] == states[2]


def test_python_is_called_for_each_step_only_where_somebody_listens():
    calls = []
    original = fb.Trainer.stop_training

    class Count:
        def __get__(self, trainer, owner=None):
            calls.append(1)
            return False

        def __set__(self, trainer, value):
            pass

    try:
        fb.Trainer.stop_training = Count()  # read after each call of the kernels
        new_trainer().fit(X, Y, callbacks=[fb.Callback()])
        quiet, calls[:] = len(calls), []
        new_trainer().fit(X, Y, callbacks=[Diary()])
        assert len(calls) - quiet == 6  # 7 steps instead of 1 call
    finally:
        fb.Trainer.stop_training = original


def test_a_rate_that_a_callback_assigns_is_that_of_the_next_step():
    class Lower(fb.Callback):
        def on_batch_end(self, trainer, step, loss):
            trainer.optimizer.learning_rate = 0.1 / (step + 1)

    trainer, twin = new_trainer(), new_trainer()
    trainer.fit(X, Y, callbacks=[Lower()], shuffle=False)
    for k in range(7):
        twin.optimizer.learning_rate = 0.1 / (k + 1)
        twin.step(X[8 * k : 8 * k + 8], Y[8 * k : 8 * k + 8])
    assert values_of(trainer.model).tobytes() == values_of(twin.model).tobytes()


# ---- ends --------------------------------------------------------------------------------------


class StopAt(fb.Callback):
    def __init__(self, *, step=None, epoch=None):
        self.step, self.epoch = step, epoch

    def on_batch_end(self, trainer, step, loss):
        trainer.stop_training = trainer.stop_training or step == self.step

    def on_epoch_end(self, trainer, history):
        trainer.stop_training = trainer.stop_training or len(history) == self.epoch


@pytest.mark.parametrize(
    ("where", "n_steps", "n_epochs"),
    [({"step": 1}, 1, 0), ({"step": 9}, 9, 1), ({"step": 14}, 14, 2), ({"epoch": 1}, 7, 1)],
)
def test_stop_training_ends_the_fit_after_the_step(where, n_steps, n_epochs):
    trainer, diary = new_trainer(), Diary()
    history = trainer.fit(X, Y, epochs=5, callbacks=[StopAt(**where), diary])
    assert state_of(trainer.optimizer, trainer.model).n_steps == n_steps
    assert len(history) == n_epochs
    assert sum(line.startswith("epoch") for line in diary.lines) == n_epochs
    assert diary.lines[-1] == "end"
    assert trainer.stop_training is True
    assert len(trainer.fit(X, Y, epochs=2)) == 2  # it begins anew
    assert trainer.stop_training is False


def test_a_fit_that_ends_inside_of_an_epoch_has_done_its_steps():
    trainer, twin = new_trainer(), new_trainer()
    trainer.fit(X, Y, shuffle=False, callbacks=[StopAt(step=3)])
    for k in range(3):
        twin.step(X[8 * k : 8 * k + 8], Y[8 * k : 8 * k + 8])
    assert state(trainer) == state(twin)


def test_another_thread_may_stop_the_fit():
    trainer, begun = new_trainer(), threading.Event()

    class Begin(fb.Callback):
        def on_epoch_end(self, trainer, history):
            begun.set()

    def stop():
        begun.wait(20)
        trainer.stop_training = True

    thread = threading.Thread(target=stop)
    thread.start()
    assert 0 < len(trainer.fit(X, Y, epochs=10**8, callbacks=[Begin()])) < 10**8
    thread.join()


def test_a_fit_inside_of_a_fit_stops_by_itself():
    class Inner(fb.Callback):
        def on_epoch_end(self, trainer, history):
            trainer.fit(X, Y, epochs=5, callbacks=[StopAt(step=2)])
            assert trainer.stop_training is False

    assert len(new_trainer().fit(X, Y, epochs=3, callbacks=[Inner()])) == 3


def test_a_loss_of_ones_own_stops_too():
    def own(y_hat, y):
        return float(((y_hat - y) ** 2).mean()), 2 * (y_hat - y) / y.size

    trainer = new_trainer(loss=own)
    trainer.fit(X, Y, callbacks=[StopAt(step=3)])
    assert state_of(trainer.optimizer, trainer.model).n_steps == 3


class EndError(Exception):
    pass


def test_on_fit_end_is_called_however_the_fit_ends_of_all_that_have_begun():
    lines = []

    class Raise(Diary):
        def on_fit_begin(self, trainer):
            super().on_fit_begin(trainer)
            if self.name == "begin ":
                raise EndError("begin")

        def on_fit_end(self, trainer):
            super().on_fit_end(trainer)
            raise EndError(self.name)

    for error, callbacks in {
        "begin ": [Diary("a ", lines), Raise("begin ", lines), Diary("never ", lines)],
        "end ": [Raise("end ", lines), Diary("b ", lines)],
    }.items():
        with pytest.raises(EndError, match=error):
            new_trainer().fit(X, Y, callbacks=callbacks)
    ends = [line for line in lines if line.endswith(" end")]
    assert ends == ["a end", "begin end", "end end", "b end"]
    trainer, diary = new_trainer(fb.SGD(1e38)), Diary()
    with pytest.raises(fb.DivergenceError):
        trainer.fit(X, Y, callbacks=[diary])
    assert diary.lines[-1] == "end"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"callbacks": [print]}, "callbacks must be Callback objects, got <built-in function"),
        ({"callbacks": [fb.EarlyStopping]}, "callbacks must be Callback objects, got <class"),
        ({"callbacks": 3}, "callbacks must be a list of Callback objects, got 3"),
        ({"callbacks": [Diary("x")] * 2}, "callbacks must be different objects"),
        ({"log": 3}, "log must be True, a logging.Logger or the name of one, got 3"),
        ({"metrics": 3}, "metrics must be names or functions, got 3"),
    ],
)
def test_what_is_no_callback_is_refused_before_training(options, words):
    trainer = new_trainer()
    before, history = state(trainer), trainer.history
    with pytest.raises((TypeError, ValueError)) as caught:
        trainer.fit(X, Y, **options)
    assert words in str(caught.value)
    assert state(trainer) == before
    assert trainer.history is history


def test_one_callback_may_stand_without_a_list():
    diary = Diary()
    new_trainer().fit(X, Y, callbacks=diary)
    assert diary.lines[0] == "begin"


# ---- TimeBudget and log --------------------------------------------------------------------------


def test_a_time_budget_ends_long_fits_inside_of_an_epoch_too():
    rows = np.ones((20_000, 3))
    trainer = new_trainer(fb.SGD(1e-4))
    budget = fb.TimeBudget(0.1)
    start = time.monotonic()
    history = trainer.fit(
        rows, np.ones((20_000, 2)), batch_size=1, epochs=10**6, callbacks=[budget]
    )
    assert 0.1 <= time.monotonic() - start < 30
    assert len(history) < 10**6
    assert state_of(trainer.optimizer, trainer.model).n_steps > 0
    assert budget.state()["seconds_left"] == 0


def test_a_time_budget_goes_on_with_what_was_left():
    budget = fb.TimeBudget(1000)
    budget.on_fit_begin(None)
    assert 900 < budget.state()["seconds_left"] <= 1000
    budget.set_state({"seconds_left": 0.0})

    class GoOn(fb.Callback):
        def on_fit_begin(self, trainer):
            budget.set_state({"seconds_left": 0.0})

    trainer = new_trainer()
    trainer.fit(X, Y, epochs=1000, callbacks=[budget, GoOn()])
    assert state_of(trainer.optimizer, trainer.model).n_steps == 7  # a call of the kernels
    with pytest.raises(ValueError, match="seconds must be a finite number above 0"):
        fb.TimeBudget(0)


def test_epochs_are_logged_where_asked_for(caplog):
    with caplog.at_level(logging.INFO):
        trainer = new_trainer()
        trainer.fit(X, Y)
        assert caplog.records == []
        trainer.fit(X, Y, epochs=2, validation_data=(X, Y), metrics=["mae"], log=True)
        assert [record.name for record in caplog.records] == ["fastbackprop"] * 2
        line = caplog.records[1].getMessage()
        figures = trainer.history
        assert line.startswith(f"epoch 2/2: loss {figures.loss[1]:.6g}, validation_loss ")
        assert f"mae {figures.mae[1]:.6g}" in line
        caplog.clear()
        for log in ("mine", logging.getLogger("mine")):
            trainer.fit(X, Y, log=log)
        assert [record.name for record in caplog.records] == ["mine", "mine"]


# ---- WeightAveraging -----------------------------------------------------------------------------


def weights_of_steps(n_epochs):
    """Weights after each step."""
    trainer, seen = new_trainer(), []

    class Keep(fb.Callback):
        def on_batch_end(self, trainer, step, loss):
            seen.append(values_of(trainer.model).astype(np.float64))

    trainer.fit(X, Y, epochs=n_epochs, callbacks=[Keep()])
    return seen


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.999])
def test_the_exponential_average_begins_with_the_first_step(decay):
    seen = weights_of_steps(2)
    average = seen[0]
    for weights in seen[1:]:
        average = decay * average + (1 - decay) * weights
    trainer = new_trainer()
    trainer.fit(X, Y, epochs=2, callbacks=[fb.WeightAveraging(decay)])
    assert values_of(trainer.model) == pytest.approx(average, rel=1e-5, abs=1e-7)


def test_without_decay_it_is_the_mean_of_the_ends_of_epochs():
    ends = weights_of_steps(5)[6::7]
    trainer = new_trainer()
    trainer.fit(X, Y, epochs=5, callbacks=[fb.WeightAveraging(None, start_epoch=3)])
    expected = np.mean(ends[2:], axis=0)
    assert values_of(trainer.model) == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_validation_and_early_stopping_see_the_average_and_training_does_not():
    averaging, plain = new_trainer(), new_trainer()
    held_out = X[40:], Y[40:]
    rows = X[:40], Y[:40]
    history = averaging.fit(
        *rows,
        epochs=6,
        validation_data=held_out,
        metrics=["mae"],
        callbacks=[fb.WeightAveraging(0.9)],
    )
    expected = plain.fit(*rows, epochs=6, validation_data=held_out)
    assert history.loss == expected.loss
    assert history.validation_loss != expected.validation_loss
    figures = averaging.evaluate(*held_out, metrics=["mae"])
    assert figures["loss"] == history.validation_loss[-1]
    assert figures["mae"] == history.validation_mae[-1]
    assert averaging.evaluate(*rows, metrics=["mae"])["mae"] == history.mae[-1]

    values = iter([3.0, 1.0, 2.0, 2.0])

    def led_error(y, y_hat):
        return next(values)

    stopping, trainer = fb.EarlyStopping("led_error"), new_trainer()
    callbacks = [stopping, fb.WeightAveraging(0.9)]
    trainer.fit(*rows, epochs=4, metrics=[led_error], callbacks=callbacks)
    assert trainer.evaluate(*held_out)["loss"] == history.validation_loss[1]


@pytest.mark.parametrize("end", [KeyboardInterrupt, EndError])
def test_the_average_is_left_in_the_model_at_ctrl_c_and_errors_too(end):
    class End(fb.Callback):
        def on_epoch_end(self, trainer, history):
            if len(history) == 3:
                raise end

    trainer, twin = new_trainer(), new_trainer()
    with pytest.raises(end):
        trainer.fit(X, Y, epochs=9, callbacks=[fb.WeightAveraging(0.9), End()])
    twin.fit(X, Y, epochs=3, callbacks=[fb.WeightAveraging(0.9)])
    assert state(trainer) == state(twin)


def test_where_training_diverges_the_average_is_forgotten():
    class Spoil(fb.Callback):
        def on_epoch_end(self, trainer, history):
            if len(history) == 3:
                trainer.optimizer.learning_rate = 1e38

    trainer, twin = new_trainer(), new_trainer()
    averaging = fb.WeightAveraging(0.9)
    with pytest.raises(fb.DivergenceError):
        trainer.fit(X, Y, epochs=9, callbacks=[averaging, Spoil()])
    with pytest.raises(fb.DivergenceError):
        twin.fit(X, Y, epochs=9, callbacks=[Spoil()])
    assert state(trainer) == state(twin)


def test_an_average_goes_on_with_its_state():
    whole, first, second = (fb.WeightAveraging(0.9) for _ in range(3))
    kept = []

    class Keep(fb.Callback):
        def on_epoch_end(self, trainer, history):
            kept[:] = [first.state(), values_of(trainer.model).copy()]

    class GoOn(fb.Callback):
        def on_fit_begin(self, trainer):
            second.set_state(kept[0])
            values_of(trainer.model)[:] = kept[1]

    one, two = new_trainer(), new_trainer()
    one.fit(X, Y, epochs=4, callbacks=[whole])
    two.fit(X, Y, epochs=2, callbacks=[first, Keep()])
    two.fit(X, Y, epochs=2, callbacks=[second, GoOn()])
    assert state(one) == state(two)


@pytest.mark.parametrize(
    "options", [{"decay": 1.0}, {"decay": -0.1}, {"decay": "x"}, {"start_epoch": 0}]
)
def test_averaging_arguments_out_of_range_are_refused(options):
    with pytest.raises((ValueError, TypeError), match=f"{next(iter(options))} must be"):
        fb.WeightAveraging(**options)
