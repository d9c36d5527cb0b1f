"""The picture of a loss curve."""

import pytest

pytest.importorskip("sklearn", reason="scikit-learn isn't installed")
pytest.importorskip("matplotlib", reason="matplotlib isn't installed")

import matplotlib.image
import sklearn.neural_network
from matplotlib.figure import Figure
from sklearn.datasets import load_iris

from fastbackprop.sklearn import LossCurveDisplay, MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)


def labels(display):
    return [line.get_label() for line in display.lines_]


def test_the_curves_that_there_are(tmp_path):
    clf = MLPClassifier(max_iter=5, early_stopping=True).fit(X, Y, eval_set=(X, Y))
    display = LossCurveDisplay.from_estimator(clf)
    assert labels(display) == [
        "MLPClassifier: training loss",
        "MLPClassifier: loss of eval_set",
        "MLPClassifier: validation score",
    ]
    for line, curve in zip(
        display.lines_,
        (clf.loss_curve_, clf.validation_curve_, clf.validation_scores_),
        strict=True,
    ):
        assert list(line.get_ydata()) == curve
        assert list(line.get_xdata()) == [1, 2, 3, 4, 5]
    display.figure_.savefig(tmp_path / "curves.png")
    assert matplotlib.image.imread(tmp_path / "curves.png").std() > 0.01


def test_on_axes_of_the_user_with_a_name_and_a_style():
    ax = Figure().add_subplot()
    clf = sklearn.neural_network.MLPClassifier(max_iter=3).fit(X, Y)  # scikit-learn's, too
    display = LossCurveDisplay.from_estimator(clf, ax=ax, name="theirs", color="red")
    assert display.ax_ is ax
    assert labels(display) == ["theirs: training loss"]
    assert display.lines_[0].get_color() == "red"
    again = LossCurveDisplay(loss_curve=[3, 2]).plot(ax=ax)
    assert labels(again) == ["training loss"]


def test_no_curve_is_said():
    clf = MLPClassifier(solver="lbfgs", max_iter=2).fit(X, Y)
    with pytest.raises(ValueError, match="estimator must have a loss_curve_, as after sgd or adam"):
        LossCurveDisplay.from_estimator(clf)
