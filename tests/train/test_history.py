"""History: figures by name, as dict, CSV, frame and picture."""

import copy
import csv
import math
import pickle
import sys

import numpy as np
import pytest

import fastbackprop as fb

X = np.random.default_rng(0).normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(int)


def fit(optimizer=None, **options):
    model = fb.mlp([3, 4, 2], output_activation="softmax", seed=0)
    trainer = fb.Trainer(model, "cross_entropy", optimizer or fb.SGD(0.1), seed=0)
    return trainer.fit(X, Y, epochs=3, **options)


def test_figures_have_names_and_the_rest_is_one_sentence():
    history = fit(metrics=["f1"], validation_split=0.2)
    assert [*history.to_dict()] == [
        *("loss", "accuracy", "validation_loss", "validation_accuracy"),
        *("f1", "validation_f1", "seconds"),
    ]
    assert len(history.f1) == len(history) == 3
    with pytest.raises(AttributeError, match=r"one of the history \('loss', .*\), got 'roc_auc'"):
        _ = history.roc_auc
    with pytest.raises(AttributeError, match="none yet"):
        _ = fb.History().roc_auc
    assert "val. f1" in history.header()
    assert f"{history.f1[-1]:.4f}" in history.row(-1)


def test_a_history_is_equal_to_its_copies():
    history = fit(metrics=["f1"])
    for twin in (pickle.loads(pickle.dumps(history)), copy.deepcopy(history)):
        assert twin == history
        assert twin.f1 == history.f1
    assert eval(repr(history), {"History": fb.History}) == history
    assert history != fit()
    assert fb.History(loss=[1.0]) == fb.History([1.0])
    history.to_dict()["loss"].append(0.0)  # of a copy
    assert len(history.loss) == 3


def test_a_rate_that_changes_is_recorded_and_a_number_is_not():
    cosine = fb.Cosine(0.5)
    history = fit(fb.SGD(cosine), batch_size=10)
    expected = [fb.Cosine(0.5, n_steps=12)(step) for step in (3, 7, 11)]
    assert history.learning_rate == pytest.approx(expected, rel=1e-12)
    assert "learning_rate" not in fit().to_dict()
    steps = fb.SGD(lambda step: 0.1 / (1 + step))
    model = fb.mlp([3, 4, 2], output_activation="softmax", seed=0)
    trainer = fb.Trainer(model, "cross_entropy", steps, batch_size=10)
    trainer.fit(X, Y)
    assert trainer.fit(X, Y).learning_rate == pytest.approx([0.1 / 8])
    plateau = fb.SGD(fb.schedules.ReduceOnPlateau(0.1, patience=1, min_delta=10.0))
    assert fit(plateau).learning_rate == pytest.approx([0.1, 0.1, 0.01])


@pytest.mark.parametrize("limits", [{"clip_norm": 1e30}, {"clip_norm": 1e-3, "clip_value": 1e-4}])
def test_the_norm_of_the_last_gradient_is_recorded_where_it_is_limited(limits):
    models = [fb.mlp([3, 4, 2], output_activation="softmax", seed=0) for _ in range(2)]
    trainer = fb.Trainer(models[0], "cross_entropy", fb.SGD(0.1), batch_size=20, **limits)
    history = trainer.fit(X, Y, shuffle=False)
    twin = fb.Trainer(models[1], "cross_entropy", fb.SGD(0.1), **limits)
    twin.step(X[:20], Y[:20])
    y_hat = models[1].forward(X[20:])
    models[1].backward(twin.loss(y_hat, Y[20:])[1])
    assert history.gradient_norm == pytest.approx([fb.clip_gradients(models[1], norm=1e30)])
    assert "gradient_norm" not in fit().to_dict()


def test_csv_has_a_line_for_each_epoch_and_every_digit(tmp_path):
    history = fit(metrics=["f1"], validation_split=0.2)
    path = tmp_path / "figures.csv"
    history.to_csv(path)
    history.to_csv(str(path))
    with open(path, newline="", encoding="utf-8") as file:
        lines = [*csv.reader(file)]
    assert lines[0] == ["epoch", *history.to_dict()]
    assert [line[0] for line in lines[1:]] == ["1", "2", "3"]
    assert [float(line[1]) for line in lines[1:]] == history.loss
    fb.History(loss=[math.nan, math.inf], seconds=[1, 1]).to_csv(path)
    assert path.read_text(encoding="utf-8").split() == ["epoch,loss,seconds", "1,nan,1", "2,inf,1"]
    with pytest.raises(FileNotFoundError, match=r"^path must be in a folder that is there, got '"):
        history.to_csv(tmp_path / "nowhere" / "figures.csv")


def test_a_frame_has_the_epoch_as_its_index():
    pytest.importorskip("pandas", reason="pandas isn't installed")
    history = fit(validation_split=0.2)
    frame = history.to_frame()
    assert [*frame.columns] == [*history.to_dict()]
    assert frame.index.name == "epoch"
    assert [*frame.index] == [1, 2, 3]
    assert frame.loss.tolist() == history.loss
    assert len(fb.History().to_frame()) == 0


def test_a_plot_has_an_axes_for_each_figure_with_training_and_validation(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib isn't installed")
    history = fit(fb.SGD(fb.Cosine(0.1)), metrics=["f1"], validation_split=0.2)
    figure = history.plot()
    assert [axes.get_ylabel() for axes in figure.axes] == [
        *("loss", "accuracy", "f1", "learning rate"),
    ]
    lines = figure.axes[0].get_lines()
    assert [line.get_label() for line in lines] == ["training", "validation"]
    assert [*lines[0].get_xdata()] == [1, 2, 3]
    assert [*lines[1].get_ydata()] == history.validation_loss
    assert len(figure.axes[3].get_lines()) == 1
    figure.savefig(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_plot_of_a_single_figure_of_none_and_of_nan(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib isn't installed")
    assert fb.History().plot().axes == []
    figure = fb.History(loss=[100.0, math.nan, 0.1], seconds=[1, 1, 1]).plot()
    assert len(figure.axes) == 1
    figure.savefig(tmp_path / "curves.png")
    assert fb.History(loss=[100.0, 1.0, 0.1]).plot().axes[0].get_yscale() == "log"
    assert fb.History(loss=[100.0, 0.0]).plot().axes[0].get_yscale() == "linear"
    only = fb.History(loss=[1.0], validation_mine=[2.0]).plot()
    assert [axes.get_ylabel() for axes in only.axes] == ["loss", "validation mine"]


@pytest.mark.parametrize(("method", "module"), [("plot", "matplotlib"), ("to_frame", "pandas")])
def test_what_is_not_installed_is_said(method, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=f"{method} needs {module}, which is not installed"):
        getattr(fit(), method)()
