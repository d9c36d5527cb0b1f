"""The Checkpoint callback, and callbacks that go on after a resume."""

import os
import time

import numpy as np
import pytest
from checkpoints import everything
from privates import read_checkpoint_file, step_by_step, write_model_file

import fastbackprop as fb

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype(np.float32)
Y = np.sin(X[:, :2]) + 0.3 * RNG.normal(size=(60, 2))
V = RNG.normal(size=(30, 3)), RNG.normal(size=(30, 2))


class StopError(Exception):
    pass


class StopAfter(fb.Callback):
    """Ends a fit by an error in the middle of an epoch, as a killed process does."""

    def __init__(self, n):
        self.n = n

    def on_batch_end(self, trainer, step, loss):
        if step == self.n:
            raise StopError


def new_trainer(**more):
    model = fb.mlp([3, 20, 2], activation="tanh", seed=1)
    optimizer = fb.Adam(fb.Cosine(0.05))
    return fb.Trainer(model, "half_squared_error", optimizer, batch_size=8, seed=2, **more)


def killed(path, n, callbacks=(), **more):
    """A fit that wrote checkpoints and ended by an error; returns the trainer."""
    trainer = new_trainer()
    with pytest.raises(StopError):
        fit(trainer, [*callbacks, fb.Checkpoint(path), StopAfter(n)], **more)
    return trainer


def fit(trainer, callbacks, **more):
    arguments = {"epochs": 12, "validation_data": V, "metrics": ["rmse"], **more}
    return trainer.fit(X, Y, callbacks=callbacks, **arguments)


@pytest.mark.parametrize("n", [9, 17, 33])
@pytest.mark.parametrize("given_to", ["fit", "resume"])
def test_early_stopping_goes_on_after_a_resume(n, given_to, tmp_path):
    """It stops where it would have, with the weights of the same epoch."""

    def make():
        return fb.EarlyStopping(patience=4, min_delta=0.01)

    stopping = make()
    whole = new_trainer()
    fit(whole, [stopping])
    assert 0 < stopping.stopped_epoch < 12
    killed(tmp_path / "c", n, [make()])
    again = make()
    trainer = fb.Trainer.resume(tmp_path / "c", callbacks=[again] if given_to == "resume" else ())
    fit(trainer, [again])
    assert everything(trainer) == everything(whole)
    assert (again.best, again.best_epoch) == (stopping.best, stopping.best_epoch)


@pytest.mark.parametrize("decay", [0.9, None])
@pytest.mark.parametrize("saved_at", ["step", "epoch"])
def test_averages_go_on(decay, saved_at, tmp_path, monkeypatch):
    step_by_step(monkeypatch)

    class SaveAt(fb.Callback):
        def on_batch_end(self, trainer, step, loss):
            if step == 37 and saved_at == "step":
                trainer.save_checkpoint(tmp_path / "c")

        def on_epoch_end(self, trainer, history):  # before the others hear of the epoch
            if len(history) == 4 and saved_at == "epoch":
                trainer.save_checkpoint(tmp_path / "c")

    def callbacks():
        return [fb.WeightAveraging(decay, start_epoch=2), fb.EarlyStopping(patience=3)]

    whole = new_trainer()
    fit(whole, [SaveAt(), *callbacks()])
    trainer = fb.Trainer.resume(tmp_path / "c")
    fit(trainer, [SaveAt(), *callbacks()])
    assert everything(trainer) == everything(whole)


def test_what_has_ended_is_not_begun_again(tmp_path):
    """The checkpoint of the last epoch of a fit that stopped early, as the script runs again."""
    whole, stopping = new_trainer(), fb.EarlyStopping(patience=2)
    fit(whole, [stopping, fb.Checkpoint(tmp_path / "c")])
    n_steps = len(whole.history)
    trainer, again = fb.Trainer.resume(tmp_path / "c"), fb.EarlyStopping(patience=2)
    fit(trainer, [again, fb.Checkpoint(tmp_path / "c")])
    assert len(trainer.history) == n_steps < 12
    assert everything(trainer) == everything(whole)


def test_a_validation_split_is_the_same_after_a_resume(tmp_path):
    more = {"validation_data": None, "validation_split": 0.25}
    whole = new_trainer()
    fit(whole, [], **more)
    killed(tmp_path / "c", 30, **more)
    trainer = fb.Trainer.resume(tmp_path / "c")
    fit(trainer, [], **more)
    assert everything(trainer) == everything(whole)


def test_other_metrics_are_another_fit(tmp_path):
    killed(tmp_path / "c", 30)
    trainer = fb.Trainer.resume(tmp_path / "c")
    with pytest.raises(ValueError, match=r"^metrics must be \['rmse'\] as before, got \[\]"):
        fit(trainer, [], metrics=())


class Counter(fb.Callback):
    """A user's callback with arrays and other things in its state."""

    def __init__(self):
        self.state_now = {"n": 0, "losses": np.zeros(0), "steps": np.arange(0), "names": []}
        self.heard = []

    def on_epoch_end(self, trainer, history):
        now = self.state_now
        self.state_now = {
            "n": now["n"] + 1,
            "losses": np.append(now["losses"], history.loss[-1]),
            "steps": np.append(now["steps"], len(history)),
            "names": [*now["names"], {"epoch": str(len(history)), "none": None, "yes": True}],
        }
        self.heard.append(len(history))

    def state(self):
        return self.state_now

    def set_state(self, state):
        self.state_now = state


def test_states_of_users_callbacks_are_stored(tmp_path):
    one, two = Counter(), Counter()
    whole = new_trainer()
    fit(whole, [Counter(), one])
    killed(tmp_path / "c", 44, [Counter(), Counter()])
    trainer = fb.Trainer.resume(tmp_path / "c")
    fit(trainer, [Counter(), two])
    assert two.state_now["losses"].tobytes() == one.state_now["losses"].tobytes()
    assert two.state_now["steps"].tolist() == list(range(1, 13))
    assert two.state_now["steps"].dtype == one.state_now["steps"].dtype
    assert two.state_now["names"] == one.state_now["names"]
    assert two.heard == list(range(6, 13))


def test_those_that_had_still_to_hear_of_the_epoch_hear_of_it(tmp_path):
    class Save(fb.Callback):
        def on_epoch_end(self, trainer, history):
            if len(history) == 3:
                trainer.save_checkpoint(tmp_path / "c")

    fit(new_trainer(), [Counter(), Save(), Counter()])
    before, after = Counter(), Counter()
    fit(fb.Trainer.resume(tmp_path / "c"), [before, Save(), after])
    assert before.heard == list(range(4, 13))
    assert after.heard == list(range(3, 13))
    assert before.state_now["n"] == after.state_now["n"] == 12


def test_a_state_that_no_file_can_hold_is_refused_in_a_sentence(tmp_path):
    class Odd(fb.Callback):
        def state(self):
            return {"function": print}

    with pytest.raises(TypeError, match=r"^state\(\) of Odd must hold numbers, text, None, arrays"):
        fit(new_trainer(), [Odd(), fb.Checkpoint(tmp_path / "c")])
    assert os.listdir(tmp_path) == []


def test_a_state_that_a_callback_does_not_take_is_refused_in_a_sentence(tmp_path):
    class Picky(fb.Callback):
        def set_state(self, state):
            raise KeyError("n")

    with pytest.raises(StopError):
        fit(new_trainer(), [Picky(), fb.Checkpoint(tmp_path / "c"), StopAfter(30)])
    with pytest.raises(ValueError, match=r"^Picky.set_state must take what its state\(\) returned"):
        fit(fb.Trainer.resume(tmp_path / "c"), [Picky()])


@pytest.mark.parametrize("kind", ["EarlyStopping", "WeightAveraging"])
@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5)])
def test_stored_weights_of_another_model_are_refused_before_they_are_used(kind, shape, tmp_path):
    make = {"EarlyStopping": fb.EarlyStopping, "WeightAveraging": fb.WeightAveraging}[kind]
    killed(tmp_path / "c", 30, [make()])
    tensors, model, packed = read_checkpoint_file(tmp_path / "c")
    (name,) = [x for x in tensors if x.startswith("trainer.callbacks.")]
    tensors[name] = np.ones(shape, np.float32)
    write_model_file(tmp_path / "c", tensors, model, trainer=packed)
    trainer = fb.Trainer.resume(tmp_path / "c")
    before = trainer.model.get_parameters().tobytes()
    with pytest.raises(ValueError, match=f"of {kind} must be float32 of shape|^{kind}.set_state"):
        fit(trainer, [make()])
    assert trainer.model.get_parameters().tobytes() == before


def test_it_is_written_every_so_many_epochs(tmp_path, monkeypatch):
    written = []
    save = fb.Trainer.save_checkpoint
    monkeypatch.setattr(
        fb.Trainer, "save_checkpoint", lambda t, p: (written.append(len(t.history)), save(t, p))
    )
    fit(new_trainer(), [fb.Checkpoint(tmp_path / "c", every_epochs=5)])
    assert written == [5, 10]
    assert len(fb.Trainer.resume(str(tmp_path / "c")).history) == 10
    written.clear()
    new_trainer().fit(X, Y, epochs=3, callbacks=[fb.Checkpoint(str(tmp_path / "c"))])
    assert written == [1, 2, 3]


def test_seconds_write_it_inside_of_an_epoch_too(tmp_path, monkeypatch):
    step_by_step(monkeypatch)
    places = []

    class Slow(fb.Callback):
        def on_batch_end(self, trainer, step, loss):
            time.sleep(0.004)

    save = fb.Trainer.save_checkpoint

    def note(trainer, path):
        places.append(len(trainer.history))
        save(trainer, path)

    monkeypatch.setattr(fb.Trainer, "save_checkpoint", note)
    checkpoint = fb.Checkpoint(tmp_path / "c", every_epochs=None, every_seconds=0.02)
    fit(new_trainer(), [Slow(), checkpoint], epochs=3)
    assert len(places) > 1
    places.clear()
    fit(new_trainer(), [fb.Checkpoint(tmp_path / "c", every_epochs=None, every_seconds=1e6)])
    assert places == []


@pytest.mark.parametrize("validates", [True, False])
def test_the_best_is_kept(validates, tmp_path):
    trainer = new_trainer()
    losses = [5.0, 4.0, float("nan"), 3.0, 3.0, 4.0]
    models = []

    class Pretend(fb.Callback):
        def on_epoch_end(self, trainer, history):
            figures = history.validation_loss if validates else history.loss
            figures[-1] = losses[len(history) - 1]
            models.append(trainer.model.get_parameters().tobytes())

    checkpoint = fb.Checkpoint(tmp_path / "c", keep_best=True, every_seconds=1e-9)
    data = V if validates else None
    fit(trainer, [checkpoint, Pretend()], epochs=6, validation_data=data)
    assert fb.load(tmp_path / "c").get_parameters().tobytes() == models[3]
    assert checkpoint.best == 3
    resumed = fb.Trainer.resume(tmp_path / "c")
    again = fb.Checkpoint(tmp_path / "other", keep_best=True)
    models.clear()
    losses[4:] = [3.5, 2.5]
    fit(resumed, [again, Pretend()], epochs=6, validation_data=data)
    assert again.best == 2.5
    assert fb.load(tmp_path / "other").get_parameters().tobytes() == models[-1]


def test_one_object_in_two_fits_begins_anew(tmp_path):
    checkpoint = fb.Checkpoint(tmp_path / "c", keep_best=True)
    fit(new_trainer(), [checkpoint])
    best = checkpoint.best
    trainer = new_trainer()
    trainer.fit(X, Y + 10, epochs=1, validation_data=(V[0], V[1] + 10), callbacks=[checkpoint])
    assert checkpoint.best > best
    assert fb.Trainer.resume(tmp_path / "c").history.loss == trainer.history.loss


def test_at_the_end_of_a_fit_nothing_is_pending(tmp_path):
    class SaveAtEnd(fb.Callback):
        def on_fit_end(self, trainer):
            trainer.save_checkpoint(tmp_path / "c")

    trainer = new_trainer()
    fit(trainer, [fb.EarlyStopping(patience=2), SaveAtEnd()])
    again = fb.Trainer.resume(tmp_path / "c")
    assert everything(again) == everything(trainer)
    assert len(again.fit(X[:9], Y[:9], epochs=2)) == 2


WRONG = {
    "no time": ({"every_epochs": None}, ValueError, "^every_epochs or every_seconds must be given"),
    "epochs": ({"every_epochs": 0}, ValueError, "^every_epochs must be an integer"),
    "seconds": ({"every_seconds": 0}, ValueError, "^every_seconds must be a finite number above 0"),
    "best": ({"keep_best": 1}, TypeError, "^keep_best must be"),
}


@pytest.mark.parametrize("case", WRONG)
def test_arguments_are_checked(case):
    more, error, words = WRONG[case]
    with pytest.raises(error, match=words):
        fb.Checkpoint("c", **more)
    with pytest.raises(TypeError):
        fb.Checkpoint(3)


def test_a_nested_fit_of_a_callback_is_none_of_the_checkpoint_s(tmp_path):
    other = fb.Trainer(fb.mlp([3, 2], seed=5), "half_squared_error", seed=0)

    class Nested(fb.Callback):
        def on_epoch_end(self, trainer, history):
            other.fit(X, Y, epochs=2)

    killed(tmp_path / "c", 30, [Nested()])
    whole = new_trainer()
    fit(whole, [])
    trainer = fb.Trainer.resume(tmp_path / "c")
    fit(trainer, [])
    assert everything(trainer) == everything(whole)


def test_labels_and_frames_and_files_mapped_into_memory_go_on(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (200, 6), np.uint8)
    pixels.tofile(tmp_path / "pixels")
    X = np.memmap(tmp_path / "pixels", np.uint8, "r", shape=(200, 6))
    y = np.array(["cat", "dog", "eel"])[rng.integers(0, 3, 200)]

    def make():
        model = fb.mlp([6, 8, 3], output_activation="softmax", seed=1)
        weights = {"cat": 2.0, "dog": 1.0, "eel": 0.5}
        return fb.Trainer(model, "cross_entropy", "adam", seed=2, class_weight=weights)

    def fit(trainer, *callbacks):
        trainer.fit(X, y, epochs=5, scale=1 / 255, callbacks=callbacks, validation_split=0.2)
        return everything(trainer)

    whole = fit(make())
    with pytest.raises(StopError):
        fit(make(), fb.Checkpoint(tmp_path / "c"), StopAfter(13))
    trainer = fb.Trainer.resume(tmp_path / "c")
    assert fit(trainer) == whole
    assert trainer.model.predict_classes(X[:5] / 255).dtype.kind == "U"
    trainer = fb.Trainer.resume(tmp_path / "c")
    with pytest.raises(ValueError, match=r"^X must be the same data as before"):
        trainer.fit(X, y, epochs=5, scale=1 / 256, validation_split=0.2)


def test_fit_batches_leaves_checkpoints_with_nothing_pending(tmp_path):
    trainer, places = new_trainer(), []

    class Save(fb.Callback):
        def on_batch_end(self, trainer, step, loss):
            if step == 11:
                trainer.save_checkpoint(tmp_path / "step")
                places.append(trainer.model.get_parameters().tobytes())

    batches = [(X[i : i + 8], Y[i : i + 8]) for i in range(0, 56, 8)]
    trainer.optimizer.learning_rate = 0.01
    trainer.fit_batches(batches, epochs=3, callbacks=[Save(), fb.Checkpoint(tmp_path / "c")])
    again = fb.Trainer.resume(tmp_path / "step")
    assert again.model.get_parameters().tobytes() == places[0]
    assert len(again.history) == 1
    again = fb.Trainer.resume(tmp_path / "c")
    assert everything(again) == everything(trainer)
    for x in (trainer, again):
        x.fit_batches(batches, epochs=2)
    assert everything(again) == everything(trainer)


@pytest.mark.parametrize("decay", [0.9, None])
def test_the_best_beside_an_average_is_the_average_that_was_judged(decay, tmp_path):
    """And training goes on with the weights as they were, to the bit."""

    def new_callbacks(name):
        return [
            fb.WeightAveraging(decay, start_epoch=2),
            fb.Checkpoint(tmp_path / name, keep_best=True),
        ]

    trainer = fb.Trainer(
        fb.mlp([3, 8, 2], normalization="batch", dropout=0.3, seed=0), "half_squared_error",
        fb.Adam(0.1), seed=0, batch_size=10,
    )  # fmt: skip
    X, y = np.random.default_rng(0).normal(size=(2, 45, 3))
    data = {"validation_data": (X[30:], y[30:, :2]), "epochs": 6}
    whole = trainer.fit(X[:30], y[:30, :2], callbacks=new_callbacks("c"), **data)
    best = int(np.argmin(whole.validation_loss))
    judged = fb.load(tmp_path / "c")
    loss = fb.Trainer(judged, "half_squared_error").evaluate(*data["validation_data"])["loss"]
    assert loss == whole.validation_loss[best]

    again = fb.Trainer.resume(tmp_path / "c")
    assert len(again.history) == best + 1 < 6  # or nothing would be left to do
    assert (again.model.get_parameters() != judged.get_parameters()).any()
    again.save_checkpoint(tmp_path / "between")  # a fit that waits; no average is at work
    for other in (again, fb.Trainer.resume(tmp_path / "between")):
        history = other.fit(X[:30], y[:30, :2], callbacks=new_callbacks("d"), **data)
        assert history.validation_loss == whole.validation_loss
        assert other.model.get_parameters().tobytes() == trainer.model.get_parameters().tobytes()


def test_weights_of_training_beside_an_average_must_be_finite(tmp_path):
    trainer = fb.Trainer(fb.mlp([1, 1], seed=0), "half_squared_error", "adam", seed=0)
    callbacks = [fb.WeightAveraging(0.9), fb.Checkpoint(tmp_path / "c")]
    trainer.fit([[0.0], [1.0]], [0.0, 1.0], epochs=2, callbacks=callbacks)
    tensors, model, described = read_checkpoint_file(tmp_path / "c")
    tensors["trainer.now.parameters"][0] = np.inf
    write_model_file(tmp_path / "c", tensors, model, trainer=described)
    with pytest.raises(fb.ModelFileError, match=r"is damaged: .*weights must be finite"):
        fb.Trainer.resume(tmp_path / "c")
