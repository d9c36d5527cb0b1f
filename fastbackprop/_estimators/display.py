"""A picture of how the loss of an estimator went on, in scikit-learn's manner."""

from collections.abc import Sequence
from typing import Any

from sklearn.utils.validation import check_is_fitted

__all__ = ["LossCurveDisplay"]


class LossCurveDisplay:
    """The loss of each epoch, and what was measured beside it.

    Best made by ``from_estimator``.

    Parameters
    ----------
    loss_curve : sequence of float
        The training loss of each epoch.
    validation_curve : sequence of float, default=None
        The loss of ``fit``'s eval_set.
    validation_scores : sequence of float, default=None
        The scores of early stopping, on an axis of their own.
    estimator_name : str, default=None
        A name for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn on.
    figure_ : matplotlib Figure
        Its figure.
    lines_ : list of matplotlib Line2D
        The curves.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbackprop.sklearn import LossCurveDisplay, MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier(max_iter=500, random_state=0).fit(X[::2], y[::2], eval_set=(X, y))
    >>> display = LossCurveDisplay.from_estimator(clf)
    >>> len(display.lines_)
    2
    """

    __module__ = "fastbackprop.sklearn"

    def __init__(
        self,
        *,
        loss_curve: Sequence[float],
        validation_curve: Sequence[float] | None = None,
        validation_scores: Sequence[float] | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_curve = validation_curve
        self.validation_scores = validation_scores
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Any = None, name: str | None = None, **kwargs: Any
    ) -> "LossCurveDisplay":
        """Draw the curves of a fitted estimator, ours or scikit-learn's.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            What was fitted by sgd or adam.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        name : str, default=None
            A name for the legend; None takes the class's.
        **kwargs : dict
            What matplotlib's ``plot`` takes, for all curves.

        Returns
        -------
        LossCurveDisplay
            What was drawn, with ``ax_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ValueError
            If there is no curve, as after lbfgs.
        ImportError
            If matplotlib is not installed.
        """
        check_is_fitted(estimator)
        curve = getattr(estimator, "loss_curve_", None)
        if not curve:
            raise ValueError("estimator must have a loss_curve_, as after sgd or adam, got none.")
        display = cls(
            loss_curve=curve,
            validation_curve=getattr(estimator, "validation_curve_", None),
            validation_scores=getattr(estimator, "validation_scores_", None),
            estimator_name=type(estimator).__name__ if name is None else name,
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, *, ax: Any = None, **kwargs: Any) -> "LossCurveDisplay":
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            What matplotlib's ``plot`` takes, for all curves.

        Returns
        -------
        LossCurveDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise ImportError(
                "plot needs matplotlib, which is not installed: pip install 'fastbackprop[plot]'."
            ) from None
        if ax is None:
            ax = Figure((6.4, 4.0), layout="constrained").add_subplot()
        name = f"{self.estimator_name}: " if self.estimator_name else ""
        self.lines_ = ax.plot(self._epochs(self.loss_curve), self.loss_curve, **kwargs)
        self.lines_[0].set_label(f"{name}training loss")
        if self.validation_curve:
            epochs = self._epochs(self.validation_curve)
            style = {"linestyle": "--", **kwargs}
            self.lines_ += ax.plot(epochs, self.validation_curve, **style)
            self.lines_[-1].set_label(f"{name}loss of eval_set")
        ax.set(xlabel="epoch", ylabel="loss")
        if self.validation_scores:
            right = ax.twinx()
            style = {"color": "tab:green", "linestyle": ":", **kwargs}
            epochs = self._epochs(self.validation_scores)
            self.lines_ += right.plot(epochs, self.validation_scores, **style)
            self.lines_[-1].set_label(f"{name}validation score")
            right.set_ylabel("score")
        ax.legend(handles=self.lines_)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @staticmethod
    def _epochs(curve: Sequence[float]) -> range:
        return range(1, len(curve) + 1)
