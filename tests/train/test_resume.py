"""A fit that goes on from a checkpoint ends with the bits of one that never stopped."""

import copy
import hashlib
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from checkpoints import everything
from loss_cases import NAMES, last_activation, loss_of
from privates import FOR_SCRIPTS, OPTIMIZERS, at_pauses, n_steps, step_by_step

import fastbackprop as fb

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 3)).astype(np.float32)
Y = np.sin(X[:, :2]) + 0.1 * RNG.normal(size=(50, 2))
V = X[::3] + 0.1, Y[::3]


def new_trainer(optimizer="adam", dtype="float32", **more):
    layers = [
        fb.Dense(3, 9, "tanh", l1=1e-3, learning_rate_factor=0.5),
        fb.Dense(9, 2, max_norm=1.5, bias_init=fb.Uniform(-1, 1)),
    ]
    model = fb.Sequential(layers, seed=1, dtype=dtype)
    return fb.Trainer(
        model, "half_squared_error", optimizer, **{"batch_size": 8, "seed": 2, **more}
    )


def fit_and_save(trainer, path, at, **more):
    """Fit; write a checkpoint after this many steps."""
    done = n_steps(trainer)

    def look(*history):
        if n_steps(trainer) - done == at:
            trainer.save_checkpoint(path)

    at_pauses(trainer, look)
    trainer.fit(X, Y, **{"epochs": 4, "validation_data": V, "on_epoch_end": look, **more})
    assert path.exists()
    return everything(trainer)


def resumed(path, *, epochs=4, **more):
    names = {k: more.pop(k) for k in ("loss", "schedule") if k in more}
    trainer = fb.Trainer.resume(path, **names)
    trainer.fit(X, Y, **{"epochs": epochs, "validation_data": V, **more})
    return everything(trainer), trainer


OPTIONS = {
    "sgd": lambda: fb.SGD(0.05),
    "momentum": lambda: fb.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": lambda: fb.Adam(0.01, amsgrad=True, weight_decay=1e-3, decay_biases=False),
    "adamw": lambda: fb.AdamW(0.01),
    "nadam": lambda: fb.NAdam(0.01),
    "rmsprop": lambda: fb.RMSprop(0.01, momentum=0.5, centered=True),
    "adagrad": lambda: fb.Adagrad(0.05),
    "lion": lambda: fb.Lion(0.001),
    "rprop": lambda: fb.Rprop(0.01),
    "cosine": lambda: fb.SGD(fb.Cosine(0.1), momentum=fb.schedules.Linear(0.9, 0.5)),
    "warmup": lambda: fb.Adam(fb.Warmup(fb.Cosine(0.02, 0.001), 5), weight_decay=fb.Cosine(0.1)),
    "one cycle": lambda: fb.RMSprop(fb.OneCycle(0.05)),
    "plateau": lambda: fb.SGD(fb.schedules.ReduceOnPlateau(0.05, patience=1, min_delta=0.5)),
    "pieces": lambda: fb.SGD(
        fb.schedules.Piecewise([0.1, fb.schedules.Steps(0.05, 0.5, 3), fb.Cosine(0.05)], [4, 12])
    ),
}


def test_all_optimizers_are_among_the_options():
    assert {type(make()) for make in OPTIONS.values()} == set(OPTIMIZERS.values())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("option", OPTIONS)
def test_any_optimizer_goes_on_with_the_same_bits(option, dtype, tmp_path, monkeypatch):
    """From the middle of the first epoch, of the third, from its end, and from the end of all."""
    step_by_step(monkeypatch)
    per_epoch = 1 if option == "rprop" else 7
    size = 50 if option == "rprop" else 8
    whole = None
    for at in (3, 2 * per_epoch + 1, 3 * per_epoch, 4 * per_epoch):
        path = tmp_path / f"{at}"
        trainer = new_trainer(OPTIONS[option](), dtype, batch_size=size)
        done = fit_and_save(trainer, path, min(at, 4 * per_epoch))
        assert whole in (None, done)
        whole = done
        again, trainer = resumed(path)
        assert again == whole
        assert len(trainer.history) == 4
        assert repr(trainer.optimizer) == repr(OPTIONS[option]())


def test_the_issue_s_numbers_of_adam(tmp_path):
    """Gradients 1, 2, a checkpoint, then 3, 4; with the state lost it would be -0.0039625."""
    model = fb.Sequential([fb.Dense(1, 1, weight_init="zeros", bias=False)], dtype="float64")
    trainer = fb.Trainer(model, lambda y_hat, y: (0.0, y), "adam")
    for gradient in (1, 2):
        trainer.step([[1]], [[gradient]])
    trainer.save_checkpoint(tmp_path / "c")
    trainer = fb.Trainer.resume(tmp_path / "c", loss=lambda y_hat, y: (0.0, y))
    for gradient in (3, 4):
        trainer.step([[1]], [[gradient]])
    assert trainer.model.get_parameters()[0] == pytest.approx(-0.0038835935, abs=5e-11)


FIT = {
    "shuffle=False": {"shuffle": False},
    "drop_last": {"drop_last": True},
    "weights": {"sample_weight": np.r_[np.zeros(9), np.linspace(0, 2, 41)]},
    "no validation": {"validation_data": None},
    "another batch size": {"batch_size": 11},
}


@pytest.mark.parametrize("case", FIT)
@pytest.mark.parametrize("at", [2, 9])
def test_any_fit_goes_on(case, at, tmp_path, monkeypatch):
    step_by_step(monkeypatch)
    more = FIT[case]
    whole = fit_and_save(new_trainer(clip_norm=0.5, clip_value=0.3), tmp_path / "c", at, **more)
    assert resumed(tmp_path / "c", **more)[0] == whole


LAYERS = {
    "dropout": [fb.Dropout(0.2), fb.Dense(3, 20, "relu"), fb.Dropout(0.5), fb.Dense(20, 2)],
    "batch norm": [fb.Dense(3, 9), fb.BatchNorm(), fb.Activation("tanh"), fb.Dense(9, 2)],
    "layer norm": [fb.Dense(3, 9), fb.LayerNorm(), fb.Activation("relu"), fb.Dense(9, 2)],
    "frozen": [fb.Dense(3, 9, "tanh", trainable=False), fb.BatchNorm(), fb.Dense(9, 2)],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", LAYERS)
def test_any_layers_go_on_with_the_same_bits(kind, dtype, tmp_path, monkeypatch):
    step_by_step(monkeypatch)
    whole = None
    for at in (3, 14, 17, 28):
        model = fb.Sequential([copy.copy(x) for x in LAYERS[kind]], seed=1, dtype=dtype)
        trainer = fb.Trainer(model, "half_squared_error", "adam", batch_size=8, seed=2)
        done = fit_and_save(trainer, tmp_path / "c", at)
        assert whole in (None, done)
        whole = done
        again, other = resumed(tmp_path / "c")
        assert again == whole
        assert other.model.predict(X).tobytes() == trainer.model.predict(X).tobytes()
        # ... and so does the next fit, with the next masks.
        for x in (trainer, other):
            x.fit(X, Y, epochs=2)
        assert everything(other) == everything(trainer)
        assert other.model.predict(X).tobytes() == trainer.model.predict(X).tobytes()


def test_a_fit_after_the_resumed_one_draws_on(tmp_path, monkeypatch):
    step_by_step(monkeypatch)
    trainer = new_trainer()
    fit_and_save(trainer, tmp_path / "c", 10)
    _, again = resumed(tmp_path / "c")
    for x in (trainer, again):
        x.fit(X, Y, epochs=2)
    assert everything(trainer) == everything(again)


def test_a_checkpoint_between_fits_has_nothing_pending(tmp_path):
    trainer = new_trainer()
    trainer.fit(X, Y, epochs=3)
    trainer.save_checkpoint(tmp_path / "c")
    again = fb.Trainer.resume(tmp_path / "c")
    assert everything(again) == everything(trainer)
    assert again.history.to_dict() == trainer.history.to_dict()
    for x in (trainer, again):
        assert len(x.fit(X[:20], Y[:20], epochs=2)) == 2  # other data, as it pleases
    assert everything(again) == everything(trainer)


def test_nothing_left_returns_at_once_with_the_history(tmp_path):
    trainer = new_trainer()
    whole = fit_and_save(trainer, tmp_path / "c", 28)
    for epochs in (4, 2):
        again, resumed_one = resumed(tmp_path / "c", epochs=epochs)
        assert again == whole
        assert n_steps(resumed_one) == 28
    assert len(resumed_one.fit(X, Y, epochs=2)) == 2  # it isn't pending any more


def test_more_epochs_than_before(tmp_path):
    trainer, other = new_trainer(), new_trainer()
    fit_and_save(trainer, tmp_path / "c", 14)
    other.fit(X, Y, epochs=6, validation_data=V)
    assert resumed(tmp_path / "c", epochs=6)[0] == everything(other)


SCRIPT = """
from test_resume import *
again, trainer = resumed(sys.argv[1])
print(fb.kernel_info()["variant"], hashlib.sha256(again[0] + again[1]).hexdigest())
"""


@pytest.mark.parametrize("threads", ["1", "3"])
@pytest.mark.parametrize("variant", ["x86_64_v3", "x86_64_v4"])
def test_another_process_with_other_threads_and_kernels(variant, threads, tmp_path, monkeypatch):
    info = fb.kernel_info()
    if not info["fma"] or variant not in {*info["built"]} & {*info["supported"]}:
        pytest.skip("not built, or not of this machine")
    step_by_step(monkeypatch)
    whole = fit_and_save(new_trainer(OPTIONS["warmup"]()), tmp_path / "c", 17)
    environment = {
        **os.environ, "FASTBACKPROP_NUM_THREADS": threads, "FASTBACKPROP_KERNELS": variant,
        "PYTHONPATH": os.path.dirname(__file__),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-P", "-c", FOR_SCRIPTS + SCRIPT, str(tmp_path / "c")],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    digest = hashlib.sha256(whole[0] + whole[1]).hexdigest()
    assert done.stdout.split() == [variant, digest]


OTHER = {
    "rows": (lambda: {"X": X[:40], "y": Y[:40]}, "^X must have 50 rows as before, got 40: the ch"),
    "a first row": (lambda: {"X": X + (np.arange(50) == 0)[:, None]}, "^X must be the same data"),
    "a last target": (lambda: {"y": Y + (np.arange(50) == 49)[:, None]}, "^X must be the same dat"),
    "weights": (lambda: {"sample_weight": np.arange(50)}, "^X must be the same data as before"),
    "batch size": (lambda: {"batch_size": 9}, "^batch_size must be 8 as before, got 9: the check"),
    "shuffle": (lambda: {"shuffle": False}, "^shuffle must be True as before, got False"),
    "drop_last": (lambda: {"drop_last": True}, "^drop_last must be False as before, got True"),
    "no validation": (
        lambda: {"validation_data": None},
        "^validation_data must be given as before, got None",
    ),
    "validation": (lambda: {"validation_data": (X, Y)}, "^validation_data must have 17 rows"),
}


@pytest.mark.parametrize("case", OTHER)
def test_another_fit_is_refused_and_changes_nothing(case, tmp_path):
    change, words = OTHER[case]
    whole = fit_and_save(new_trainer(), tmp_path / "c", 14)
    trainer = fb.Trainer.resume(tmp_path / "c")
    before = everything(trainer)
    fit = {"X": X, "y": Y, "epochs": 4, "validation_data": V}
    with pytest.raises(ValueError, match=words):
        trainer.fit(**{**fit, **change()})
    assert everything(trainer) == before
    trainer.fit(**fit)  # it is still pending
    assert everything(trainer) == whole


def test_reset_forgets_what_is_pending(tmp_path):
    fit_and_save(new_trainer(), tmp_path / "c", 14)
    trainer = fb.Trainer.resume(tmp_path / "c")
    trainer.reset()
    assert len(trainer.fit(X[:9], Y[:9], epochs=2)) == 2


def test_a_pickled_trainer_keeps_what_is_pending(tmp_path, monkeypatch):
    step_by_step(monkeypatch)
    whole = fit_and_save(new_trainer(), tmp_path / "c", 10)
    for again in (pickle.loads, copy.deepcopy):
        trainer = fb.Trainer.resume(tmp_path / "c")
        trainer = again(pickle.dumps(trainer) if again is pickle.loads else trainer)
        trainer.fit(X, Y, epochs=4, validation_data=V)
        assert everything(trainer) == whole


def test_a_divergence_after_a_resume_goes_back_to_the_best_epoch_before(tmp_path, monkeypatch):
    step_by_step(monkeypatch)
    whole = new_trainer(fb.SGD(0.05, momentum=0.5))
    fit_and_save(copy.deepcopy(whole), tmp_path / "c", 16)
    results = []
    for trainer in (whole, fb.Trainer.resume(tmp_path / "c")):

        def spoil(history, trainer=trainer):
            if len(history) == 3:
                trainer.optimizer.learning_rate = 1e30

        with pytest.raises(fb.DivergenceError) as caught:
            trainer.fit(X, Y, epochs=4, validation_data=V, on_epoch_end=spoil)
        results.append((everything(trainer), str(caught.value)))
    assert results[0] == results[1]


LOSSES = {
    **{name: lambda name=name: loss_of(name) for name in NAMES},
    "huber with delta": lambda: fb.Huber(delta=0.3, mask_missing=True),
    "quantiles": lambda: fb.Quantile([0.1, 0.9]),
    "one quantile": lambda: fb.Quantile(0.1),
    "smoothed": lambda: fb.CrossEntropy(label_smoothing=0.1),
    "sums": lambda: fb.BinaryCrossEntropy(label_smoothing=0.1, sum_outputs=True),
    "gamma": lambda: fb.FocalCrossEntropy(gamma=1.25),
}


@pytest.mark.parametrize("case", LOSSES)
def test_every_loss_is_stored_with_its_settings(case, tmp_path):
    loss = LOSSES[case]()
    model = fb.mlp([3, 2], output_activation=last_activation(loss.name), seed=0)
    trainer = fb.Trainer(model, loss)
    trainer.save_checkpoint(tmp_path / "c")
    again = fb.Trainer.resume(tmp_path / "c")
    assert again.loss == loss
    assert repr(again) == repr(trainer)


def test_a_user_s_callables_must_be_brought_along(tmp_path):
    def my_loss(y_hat, y):
        return float(np.mean((y_hat - y) ** 2)), 2 * (y_hat - y) / y.size

    def my_rate(step):
        return 0.1 / (1 + step)

    rate = fb.Warmup(my_rate, 3)
    trainer = fb.Trainer(fb.mlp([3, 2], seed=0), my_loss, fb.SGD(rate, momentum=0.5), seed=0)
    trainer.fit(X, Y, epochs=2)
    path = tmp_path / "c"
    trainer.save_checkpoint(path)
    with pytest.raises(
        ValueError, match=r"^loss must be given: .* callable, my_loss, which a file"
    ):
        fb.Trainer.resume(path, schedule=rate)
    with pytest.raises(ValueError, match=r"^schedule must be given for learning_rate: .*, my_rate"):
        fb.Trainer.resume(path, loss=my_loss)
    for schedule in (rate, {"learning_rate": rate}):
        again = fb.Trainer.resume(path, loss=my_loss, schedule=schedule)
        assert again.loss is my_loss
        assert again.fit(X, Y).loss == copy.deepcopy(trainer).fit(X, Y).loss


def test_an_optimizer_of_one_s_own_class_is_refused_before_anything_is_written(tmp_path):
    class MyAdam(fb.Adam):
        pass

    with pytest.raises(TypeError, match=r"^optimizer must be one of .* got MyAdam, a class that"):
        new_trainer(MyAdam()).save_checkpoint(tmp_path / "c")
    assert os.listdir(tmp_path) == []


def test_a_subclass_resumes_as_itself_and_settings_are_kept(tmp_path):
    class Mine(fb.Trainer):
        def __init__(self):
            model = fb.mlp([3, 4, 2], output_activation="softmax", seed=0)
            weights = {0: 2.0, np.int64(1): 3}
            super().__init__(
                model, fb.CrossEntropy(label_smoothing=0.1), "adam",
                batch_size=5, class_weight=weights, n_threads=2, clip_norm=3.0, seed=1,
            )  # fmt: skip

    trainer = Mine()
    y = (Y[:, 0] > 0).astype(int)
    trainer.fit(X, y)
    trainer.save_checkpoint(tmp_path / "c")
    again = Mine.resume(tmp_path / "c")
    assert type(again) is Mine
    assert repr(again) == repr(trainer).replace("np.int64(1): 3", "1: 3.0")
    assert repr(again.loss) == repr(trainer.loss)
    for x in (trainer, again):
        x.fit(X, y, epochs=2)
    assert everything(again) == everything(trainer)


def test_load_reads_the_model_of_a_checkpoint_and_resume_no_model(tmp_path):
    trainer = new_trainer()
    fit_and_save(trainer, tmp_path / "c", 14)
    assert fb.load(tmp_path / "c").predict(X).shape == (50, 2)
    trainer.model.save(tmp_path / "m")
    with pytest.raises(fb.ModelFileError, match="must be a checkpoint, got a model without"):
        fb.Trainer.resume(tmp_path / "m")
    with pytest.raises(FileNotFoundError, match="path must be a model file"):
        fb.Trainer.resume(tmp_path / "nothing")


def test_elsewhere_than_in_a_callback_it_is_refused(tmp_path):
    trainer, said = new_trainer(), []

    def loss(y_hat, y):  # in the middle of a step
        with pytest.raises(RuntimeError, match=r"^save_checkpoint must be called where"):
            own.save_checkpoint(tmp_path / "c")
        said.append("loss")
        return 0.0, y_hat * 0

    own = fb.Trainer(fb.mlp([3, 2], seed=0), loss)
    own.fit(X, Y)

    def from_another_thread(history):
        with (
            ThreadPoolExecutor(1) as threads,
            pytest.raises(RuntimeError, match=r"^save_checkpoint"),
        ):
            threads.submit(trainer.save_checkpoint, tmp_path / "c").result()
        said.append("thread")

    trainer.fit(X, Y, on_epoch_end=from_another_thread)
    assert set(said) == {"loss", "thread"}
    assert os.listdir(tmp_path) == []


def test_a_model_that_is_not_finite_is_not_written(tmp_path):
    trainer = new_trainer()
    trainer.save_checkpoint(tmp_path / "c")
    before = (tmp_path / "c").read_bytes()
    trainer.model.layers[0].weight[0, 0] = np.nan
    with pytest.raises(ValueError, match="must have finite weights"):
        trainer.save_checkpoint(tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_stops_a_resumed_fit_before_its_first_step_changes_nothing(error, tmp_path):
    """Neither the average nor the best weights come into the model, and the fit waits still."""
    path = tmp_path / "c"

    class Saves(fb.Callback):
        def on_epoch_end(self, trainer, history):
            if len(history) == 3 and not path.exists():
                trainer.save_checkpoint(path)

    class Stops(fb.Callback):
        is_at_work = False

        def on_epoch_end(self, trainer, history):
            if self.is_at_work:
                raise error

    def fit(trainer, stops):
        callbacks = [Saves(), stops, fb.WeightAveraging(0.9), fb.EarlyStopping("loss")]
        trainer.fit(X, Y, epochs=5, callbacks=callbacks)
        return everything(trainer)

    whole = fit(new_trainer(), Stops())
    trainer, stops = fb.Trainer.resume(path), Stops()
    before = everything(trainer)
    stops.is_at_work = True  # it has still to hear of the third epoch
    with pytest.raises(error):
        fit(trainer, stops)
    assert everything(trainer) == before
    assert fit(trainer, Stops()) == whole


def test_the_gradient_norm_of_an_epoch_whose_steps_are_all_done(tmp_path):
    """It is that of the last step, which a resumed fit doesn't do again."""

    class Saves(fb.Callback):
        def on_batch_end(self, trainer, step, loss):
            if step == 14:  # the last one of the second epoch
                trainer.save_checkpoint(tmp_path / "c")

    whole = new_trainer(clip_norm=0.5)
    whole.fit(X, Y, epochs=4, callbacks=[Saves()])
    again = fb.Trainer.resume(tmp_path / "c")
    again.fit(X, Y, epochs=4)
    assert everything(again) == everything(whole)
    assert len(set(again.history.gradient_norm)) == 4
