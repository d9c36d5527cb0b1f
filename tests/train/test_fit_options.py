"""drop_last and reset."""

import numpy as np
import pytest
from privates import state_of, values_of

import fastbackprop as fb

X = np.random.default_rng(0).normal(size=(23, 3))
Y = X @ np.ones((3, 2))


def new_trainer(**options):
    model = fb.mlp([3, 4, 2], activation="tanh", seed=3)
    return fb.Trainer(model, "mean_squared_error", fb.SGD(0.1, momentum=0.5), seed=5, **options)


def test_drop_last_leaves_out_what_is_behind_the_last_whole_batch():
    dropping, short = new_trainer(), new_trainer()
    figures = dropping.fit(X, Y, batch_size=5, shuffle=False, drop_last=True, epochs=2)
    assert figures.loss == short.fit(X[:20], Y[:20], batch_size=5, shuffle=False, epochs=2).loss
    assert values_of(dropping.model).tobytes() == values_of(short.model).tobytes()
    assert state_of(dropping.optimizer, dropping.model).n_steps == 8


def test_drop_last_leaves_out_what_shuffling_put_last():
    marked, trainer = X.copy(), new_trainer()
    used = np.zeros(23)
    for row in range(23):  # a huge target tells whether its row was used
        y = Y.copy()
        y[row] = 1e6
        trainer = new_trainer()
        losses = trainer.fit(marked, y, batch_size=20, drop_last=True, epochs=1).loss
        used[row] = losses[0] > 1e9
    assert used.sum() == 20
    assert used[20:].any()


def test_drop_last_needs_a_whole_batch():
    with pytest.raises(ValueError, match="batch_size must be at most 23, the rows of X, with drop"):
        new_trainer().fit(X, Y, drop_last=True)
    new_trainer(batch_size=23).fit(X, Y, drop_last=True)
    with pytest.raises(TypeError, match="drop_last must be True or False, got 1"):
        new_trainer().fit(X, Y, drop_last=1)


def test_a_fit_after_reset_is_the_first_again():
    trainer = new_trainer()
    start = trainer.model.get_parameters()
    first = trainer.fit(X, Y, epochs=3, batch_size=4).loss
    on = trainer.fit(X, Y, epochs=3, batch_size=4).loss
    assert on[0] < first[-1]  # it went on
    trainer.reset()
    assert len(trainer.history) == 0
    assert state_of(trainer.optimizer, trainer.model).n_steps == 0
    trainer.model.set_parameters(start)
    assert trainer.fit(X, Y, epochs=3, batch_size=4).loss == first
