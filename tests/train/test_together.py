"""Parts of training that meet: fits in fits, losses and labels of one's own, their checkpoints."""

import numpy as np
import pytest
from privates import n_forwards_of, store_of

import fastbackprop as fb

rng = np.random.default_rng(0)
X = rng.normal(size=(97, 5))
Y = rng.integers(0, 3, 97)


def trainer_of(loss="cross_entropy", optimizer="adam", **settings):
    model = fb.mlp(
        [5, 16, 3], output_activation="softmax", normalization="batch", dropout=0.2, seed=1
    )
    return fb.Trainer(model, loss, optimizer, seed=3, batch_size=16, **settings)


def bits_of(trainer):
    return store_of(trainer.model).tobytes(), n_forwards_of(trainer.model)


class FitsInside(fb.Callback):
    """Fits the same trainer once more, inside of its fit."""

    def __init__(self, by_batches):
        self.by_batches, self.is_done = by_batches, False

    def on_epoch_end(self, trainer, history):
        if not self.is_done:
            self.is_done = True
            if self.by_batches:
                trainer.fit_batches([(X[:16], Y[:16])])
            else:
                trainer.fit(X[:16], Y[:16])


@pytest.mark.parametrize("by_batches", [False, True])
def test_a_fit_inside_of_a_fit_leaves_it_its_history_and_its_checkpoints(tmp_path, by_batches):
    trainer = trainer_of()
    path = tmp_path / "checkpoint"
    callbacks = [FitsInside(by_batches), fb.Checkpoint(path)]
    history = trainer.fit(X, Y, epochs=4, callbacks=callbacks)
    assert trainer.history is history
    assert len(history) == 4
    assert len(fb.Trainer.resume(path).fit(X, Y, epochs=4)) == 4


@pytest.mark.parametrize("order", [[2, 1, 0], [1, 2, 0]])
def test_explained_trainings_take_labels_as_steps_do(order):
    explained, stepped = (trainer_of(classes=order) for _ in range(2))
    fb.explain_training(explained, X[:48], Y[:48], steps=3)
    for first in range(0, 48, 16):
        stepped.step(X[first : first + 16], Y[first : first + 16])
    assert bits_of(explained) == bits_of(stepped)


def test_an_explained_training_learns_the_classes():
    trainer = trainer_of()
    fb.explain_training(trainer, X, np.array(["a", "b", "c"])[Y], steps=2)
    assert trainer.model.classes.tolist() == ["a", "b", "c"]


def test_a_loss_of_ones_own_that_calls_the_librarys_diverges_as_others_do():
    trainer = trainer_of(lambda y_hat, y: fb.CrossEntropy()(y_hat, y), fb.SGD(0.1))

    def leap(history):
        if len(history) == 3:
            trainer.optimizer.learning_rate = 1e38

    with pytest.raises(fb.DivergenceError):
        trainer.fit(X, Y, epochs=9, on_epoch_end=leap)
    assert np.isfinite(trainer.model.predict(X)).all()


@pytest.mark.parametrize("is_own", [False, True])
def test_masks_after_a_divergence_do_not_depend_on_how_steps_were_called(is_own):
    class Listens(fb.Callback):
        def on_batch_end(self, trainer, step, loss):
            pass

    library = fb.HalfSquaredError()
    loss = (lambda y_hat, y: library(y_hat, y)) if is_own else library
    stores = []
    for callbacks in ([], [Listens()]):
        model = fb.mlp([5, 16, 3], dropout=0.2, seed=1)
        trainer = fb.Trainer(model, loss, fb.SGD(1e9), seed=3)
        with pytest.raises(fb.DivergenceError):
            trainer.fit(X, np.eye(3)[Y], batch_size=4, epochs=50, callbacks=callbacks)
        stores.append(bits_of(trainer))
    assert stores[0] == stores[1]


@pytest.mark.parametrize("returns", [None, np.zeros(3)])
def test_a_step_whose_loss_fails_changes_nothing(returns):
    def loss(y_hat, y):
        if returns is None:
            raise RuntimeError("no")
        return 1.0, returns

    trainer = trainer_of(loss)
    before = bits_of(trainer)
    with pytest.raises((RuntimeError, ValueError)):
        trainer.step(X[:16], Y[:16])
    assert bits_of(trainer) == before


def interrupted(tmp_path):
    """A checkpoint of the middle of the second of three epochs, and the whole fit's bits."""
    path = tmp_path / "middle"

    class Saves(fb.Callback):
        def on_batch_end(self, trainer, step, loss):
            if len(trainer.history) == 1 and not path.exists():
                trainer.save_checkpoint(path)

    trainer = trainer_of()
    trainer.fit(X, Y, epochs=3, callbacks=[Saves()])
    return path, bits_of(trainer)


def test_a_resumed_trainer_that_is_saved_again_goes_on_as_well(tmp_path):
    path, expected = interrupted(tmp_path)
    fb.Trainer.resume(path).save_checkpoint(tmp_path / "again")
    again = fb.Trainer.resume(tmp_path / "again")
    again.fit(X, Y, epochs=3)
    assert bits_of(again) == expected


def test_a_callback_that_fails_at_the_start_leaves_the_fit_pending(tmp_path):
    class Fails(fb.Callback):
        def on_fit_begin(self, trainer):
            raise RuntimeError("no")

    path, expected = interrupted(tmp_path)
    trainer = fb.Trainer.resume(path)
    with pytest.raises(RuntimeError, match="no"):
        trainer.fit(X, Y, epochs=3, callbacks=[Fails()])
    trainer.fit(X, Y, epochs=3)
    assert bits_of(trainer) == expected


def test_a_sample_without_any_target_is_explained_as_costing_nothing():
    model = fb.mlp([5, 4, 1], seed=0)
    y = np.array([1.0, np.nan, 2.0])
    e = fb.explain(model, X[:3], y, loss=fb.MeanSquaredError(mask_missing=True))
    assert e.costs[1] == 0
    assert np.isfinite(e.costs).all()


def test_early_stopping_remembers_where_it_stopped(tmp_path):
    path = tmp_path / "stopped"
    callbacks = [fb.EarlyStopping("loss", patience=1, min_delta=9.0), fb.Checkpoint(path)]
    trainer_of().fit(X, Y, epochs=9, callbacks=callbacks)
    stopping = fb.EarlyStopping("loss", patience=1, min_delta=9.0)
    fb.Trainer.resume(path).fit(X, Y, epochs=9, callbacks=[stopping])
    assert stopping.stopped_epoch == callbacks[0].stopped_epoch > 0
