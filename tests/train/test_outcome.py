"""The one warning of a fit that left a useless model, and none of all others; the progress bar."""

import io
import os
import re
import sys
import types
import warnings

import numpy as np
import pytest
from privates import History, figures_of, show_progress

import fastbackprop as fb

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 4))
CLASSES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


def classifier(activation="relu", rate=0.05):
    model = fb.mlp([4, 8, 3], activation=activation, output_activation="softmax", seed=0)
    return fb.Trainer(model, "cross_entropy", fb.SGD(rate), seed=0)


def regressor(rate):
    return fb.Trainer(fb.mlp([4, 1], seed=0), "half_squared_error", fb.SGD(rate), seed=0)


def kill_relus(trainer):
    trainer.model.layers[0].bias = np.full(8, -1e6)
    return trainer


def test_a_loss_that_rose_is_warned_of_once_where_fit_was_called():
    with pytest.warns(fb.TrainingWarning) as caught:
        history = regressor(0.8).fit(2 * X, X[:, 0], epochs=5)
    assert history.loss[-1] > 100 * history.loss[0]
    assert len(caught) == 1
    assert caught[0].filename == __file__
    words = str(caught[0].message)
    assert f"from {history.loss[0]:.4g} in the first epoch to {history.loss[-1]:.4g}" in words
    assert "fastbackprop.diagnose(" in words
    assert issubclass(fb.TrainingWarning, UserWarning)


def test_dead_relus_are_warned_of_by_their_layer():
    words = r"^All 150 rows get the same outputs: every relu of layers\[0\] is 0 for all of them\. "
    with pytest.warns(fb.TrainingWarning, match=words) as caught:
        kill_relus(classifier()).fit(X, CLASSES, epochs=21)
    assert len(caught) == 1


def test_saturated_units_that_give_one_output_are_warned_of():
    trainer = classifier("tanh")
    trainer.model.layers[0].bias = np.full(8, 1e6)
    with pytest.warns(fb.TrainingWarning, match=r"^All 150 rows get the same outputs\. "):
        trainer.fit(X, CLASSES, epochs=21)


rare = np.zeros(5000, int)
rare[1234] = 1
SOUND = {
    "10 epochs": lambda: kill_relus(classifier()).fit(X, CLASSES, epochs=10, batch_size=5),
    "100 steps": lambda: kill_relus(classifier()).fit(X, CLASSES, epochs=50, batch_size=75),
    "targets are one number": lambda: kill_relus(classifier()).fit(X, 0 * CLASSES, epochs=21),
    "rows are equal": lambda: classifier().fit(np.ones((150, 4)), CLASSES, epochs=21),
    "one row": lambda: classifier().fit(X[:1], CLASSES[:1], epochs=200),
    "learned before": lambda: regressor(0.05).fit(X, X[:, 0], epochs=300),
    "one epoch": lambda: regressor(0.5).fit(X[:40], X[:40, 0]),
    "interrupted by an error": lambda: stopped(kill_relus(classifier())),
}


def stopped(trainer):
    def stop(history):
        if len(history) == 21:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        trainer.fit(X, CLASSES, epochs=30, on_epoch_end=stop)


@pytest.mark.parametrize("case", SOUND)
def test_no_warning_where(case):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SOUND[case]()


def test_one_row_that_differs_among_thousands_is_no_reason_to_warn():
    rows = np.zeros((5000, 4))
    rows[rare == 1] = 3
    trainer = classifier()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer.fit(rows, rare, epochs=11)
    assert len(np.unique(trainer.model.predict(rows[:, :]), axis=0)) == 2


def random_fit(rng):
    """A short fit of a random net to standardized data, at a rate that suits it."""
    n, n_in, kind = int(rng.integers(4, 200)), int(rng.integers(1, 9)), int(rng.integers(3))
    rows = rng.normal(size=(n, n_in))
    signal = np.sin(rows @ rng.normal(size=(n_in, 3))) + rng.choice([0, 0.5]) * rng.normal(
        size=(n, 3)
    )
    y = [signal[:, 0], (signal[:, 0] > 0).astype(int), signal.argmax(axis=1)][kind]
    loss = ["half_squared_error", "binary_cross_entropy", "cross_entropy"][kind]
    activation = ["identity", "sigmoid", "softmax"][kind]
    hidden = [int(rng.integers(4, 33)) for _ in range(rng.integers(0, 3))]
    model = fb.mlp(
        [n_in, *hidden, 3 if kind == 2 else 1],
        activation=str(rng.choice(["tanh", "sigmoid", "leaky_relu"])),
        output_activation=activation,
        seed=int(rng.integers(1 << 30)),
    )
    momentum = float(rng.choice([0, 0.9]))
    sgd = fb.SGD(float(rng.choice([0.003, 0.01, 0.03])) * (1 - momentum), momentum=momentum)
    trainer = fb.Trainer(model, loss, sgd, batch_size=int(rng.choice([1, 8, 32, 1000])), seed=0)
    trainer.fit(rows, y, epochs=int(rng.choice([1, 2, 3, 5, 12, 30])))


def test_five_hundred_healthy_fits_warn_of_nothing():
    rng = np.random.default_rng(5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(500):
            random_fit(rng)


# ---- the progress bar --------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("columns", [80, 100])
@pytest.mark.parametrize("loss", [0.12345678, 1.5e25])
def test_at_80_columns_the_bar_shows_both_losses_and_is_wide_enough(columns, loss, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((columns, 24)))
    history = History(loss=[loss], validation_loss=[0.45678], seconds=[1.0])
    with show_progress(1000) as bar:
        bar.ncols, bar.dynamic_ncols = columns, None
        bar.set_description_str("epoch 99/100", refresh=False)
        bar.update(500)
        bar.set_postfix_str(figures_of(history), refresh=False)
        line = str(bar)
    assert len(line) <= columns
    assert f"loss {loss:.4g}, val. loss 0.4568" in line
    width = len(line.split("|")[1])
    assert width >= 15


def test_a_classifiers_bar_at_80_columns_shows_the_accuracy_too():
    with show_progress(1000) as bar:
        bar.ncols, bar.dynamic_ncols = 80, None
        history = History([0.1234], [0.97], [0.4568], [0.9567], [1.0])
        bar.set_description_str("epoch 9/10", refresh=False)
        bar.update(500)
        bar.set_postfix_str(figures_of(history), refresh=False)
        line = str(bar)
    assert len(line) <= 80
    assert "loss 0.1234, val. loss 0.4568, val. acc. 0.9567" in line
    assert len(line.split("|")[1]) >= 3


def test_the_bar_shows_speed_and_the_time_that_is_left():
    with show_progress(100_000) as bar:
        bar.ncols, bar.dynamic_ncols, bar.start_t = 80, None, bar.start_t - 2
        bar.last_print_n, bar.last_print_t = 0, bar.start_t
        bar.update(50_000)
        line = str(bar)
    assert re.search(r"\| 00:0[12] 2[0-9.]+k/s", line), line


def test_a_notebook_sees_the_bar_unasked(monkeypatch, capsys):
    def fit():
        trainer = fb.Trainer(fb.mlp([1, 1], seed=0), "half_squared_error", seed=0)
        trainer.fit([[1.0]], [1.0])
        return capsys.readouterr().err

    assert fit() == ""
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    python = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", python)
    assert "epoch 1/1 |" in fit()
    shell.config = {}  # a terminal
    assert fit() == ""


def test_metrics_are_in_the_bar_those_of_validation_before_others(capsys):
    X = np.random.default_rng(0).normal(size=(20, 2))
    model = fb.mlp([2, 2], output_activation="softmax", seed=0)
    trainer = fb.Trainer(model, "cross_entropy", fb.SGD(fb.Cosine(0.1)), seed=0)
    y = (X[:, 0] > 0).astype(int)
    trainer.fit(X, y, validation_data=(X, y), metrics=["f1"], progress_bar=True)
    line = capsys.readouterr().err.split("\r")[-1]
    shown = figures_of(trainer.history)
    assert re.fullmatch(r"loss \S+, val. loss \S+, val. acc. \S+, val. f1 \S+", shown)
    assert shown[:30] in line
