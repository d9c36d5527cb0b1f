"""Metrics of predicted classes: one of several, yes or no, or several yes or no at once."""

from typing import Any, Literal, NamedTuple

import numpy as np

from fastbackprop._compare.weights import as_weights
from fastbackprop._core.arithmetic import in_exact_mode
from fastbackprop._core.validation import as_numeric, check_integer, check_real

__all__ = ["accuracy", "balanced_accuracy", "f1", "roc_auc", "top_k"]

# Rows of targets that sum to 1, to the rounding of float32, are one class each.
SUM_TOLERANCE = 1e-3


class _Classes(NamedTuple):
    """Targets and predictions, either (n,) whole numbers, or (n, k) yes or no."""

    y: np.ndarray
    y_hat: np.ndarray
    scores: np.ndarray  # (n,) or (n, k), from which the predictions are
    weights: np.ndarray

    @property
    def has_columns(self) -> bool:
        """Whether a sample has several yes or no."""
        return self.y.ndim == 2

    @property
    def columns(self) -> list["_Classes"]:
        """Each yes or no by itself."""
        return [
            _Classes(self.y[:, k], self.y_hat[:, k], self.scores[:, k], self.weights)
            for k in range(self.y.shape[1])
        ]


@in_exact_mode
def accuracy(
    y: Any,
    y_hat: Any,
    sample_weight: Any = None,
    *,
    threshold: float = 0.5,
    multilabel: bool | None = None,
) -> float:
    """Return the share of samples whose class is right; of several yes or no the share of these.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, n_out)
        Labels; or 0 and 1 for each output.
    y_hat : array-like of shape (n,) or (n, n_out)
        Outputs, one for each class, or for yes; or, if they are integers (n,), labels.
    sample_weight : array-like of shape (n,), optional
        How much each sample counts.
    threshold : float, default=0.5
        Number above which an output says yes.
    multilabel : bool, optional
        Whether y of shape (n, n_out) has several yes or no for each sample; else the largest is its
        class. None takes rows that sum to 1 for one class each.

    Returns
    -------
    float
        That of ``sklearn.metrics.accuracy_score``, for one class a sample.

    Raises
    ------
    ValueError
        If shapes don't fit.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.metrics.accuracy([0, 2], [[0.8, 0.1, 0.1], [0.3, 0.5, 0.2]])
    0.5
    >>> fb.metrics.accuracy([0, 1, 1, 1], [0.2, 0.9, 0.8, 0.4])
    0.75
    """
    classes = _classes("accuracy", y, y_hat, sample_weight, threshold, multilabel)
    right = classes.y == classes.y_hat
    if classes.has_columns:
        right = right.mean(axis=1)
    return float((right * classes.weights).sum() / classes.weights.sum())


@in_exact_mode
def top_k(y: Any, y_hat: Any, sample_weight: Any = None, *, k: int = 5) -> float:
    """Return the share of samples whose class is among the k largest outputs.

    Of equal outputs those behind count as larger, as in scikit-learn.

    Parameters
    ----------
    y, y_hat : array-like of shape (n,) or (n, n_out)
        Targets and outputs, as for ``accuracy``; an output for each class.
    sample_weight : array-like of shape (n,), optional
        How much each sample counts.
    k : int, default=5
        How many may be wrong before the right one, and one more.

    Returns
    -------
    float
        That of ``sklearn.metrics.top_k_accuracy_score``.

    Raises
    ------
    ValueError
        If shapes don't fit.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.metrics.top_k([0, 2], [[0.8, 0.1, 0.1], [0.3, 0.5, 0.2]], k=2)
    0.5
    """
    k = check_integer("k", k)
    classes = _classes("top_k", y, y_hat, sample_weight, 0.5, False)
    if classes.has_columns or classes.scores.ndim == 1:
        raise ValueError(f"y_hat of top_k must have an output for each class, got {_got(classes)}.")
    largest = np.argsort(classes.scores, axis=1, kind="stable")[:, ::-1][:, :k]
    hits = (largest == classes.y[:, np.newaxis]).any(axis=1) & (classes.y_hat >= 0)
    return float((hits * classes.weights).sum() / classes.weights.sum())


@in_exact_mode
def balanced_accuracy(
    y: Any,
    y_hat: Any,
    sample_weight: Any = None,
    *,
    threshold: float = 0.5,
    multilabel: bool | None = None,
) -> float:
    """Return the mean over the classes that are there of the share that is right of each.

    Parameters
    ----------
    y, y_hat : array-like of shape (n,) or (n, n_out)
        Targets and outputs, as for ``accuracy``.
    sample_weight : array-like of shape (n,), optional
        How much each sample counts.
    threshold : float, default=0.5
        Number above which an output says yes.
    multilabel : bool, optional
        Whether samples have several yes or no, as for ``accuracy``: then it is the mean of theirs.

    Returns
    -------
    float
        That of ``sklearn.metrics.balanced_accuracy_score``.

    Raises
    ------
    ValueError
        If shapes don't fit.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.metrics.balanced_accuracy([0, 1, 1, 1], [0.2, 0.9, 0.8, 0.4])
    0.8333333333333333
    """
    classes = _classes("balanced_accuracy", y, y_hat, sample_weight, threshold, multilabel)
    parts = classes.columns if classes.has_columns else [classes]
    return float(np.mean([_balanced(part) for part in parts]))


def _balanced(classes: _Classes) -> float:
    labels, places = np.unique(classes.y, return_inverse=True)
    right = classes.weights * (classes.y == classes.y_hat)
    totals = np.bincount(places, classes.weights, len(labels))
    hits = np.bincount(places, right, len(labels))
    return float((hits[totals > 0] / totals[totals > 0]).mean())


@in_exact_mode
def f1(
    y: Any,
    y_hat: Any,
    sample_weight: Any = None,
    *,
    average: Literal["binary", "macro", "weighted", "micro"] | None = None,
    threshold: float = 0.5,
    multilabel: bool | None = None,
) -> float:
    """Return the harmonic mean of precision and recall: 2 tp / (2 tp + fp + fn).

    Parameters
    ----------
    y, y_hat : array-like of shape (n,) or (n, n_out)
        Targets and outputs, as for ``accuracy``.
    sample_weight : array-like of shape (n,), optional
        How much each sample counts.
    average : None, "binary", "macro", "weighted" or "micro", default=None
        "binary" is that of class 1; "macro" the mean over the classes that are there or predicted,
        "weighted" by their samples; "micro" adds up the counts first. None is "binary" where there
        are two classes, else "macro".
    threshold : float, default=0.5
        Number above which an output says yes.
    multilabel : bool, optional
        Whether samples have several yes or no, as for ``accuracy``.

    Returns
    -------
    float
        That of ``sklearn.metrics.f1_score``; 0 for a class that is neither there nor predicted.

    Raises
    ------
    ValueError
        If shapes don't fit.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.metrics.f1([0, 1, 1, 1], [0.2, 0.9, 0.8, 0.4])
    0.8
    """
    classes = _classes("f1", y, y_hat, sample_weight, threshold, multilabel)
    known = (None, "binary", "macro", "weighted", "micro")
    if average not in known:
        names = ", ".join(map(repr, known))
        raise ValueError(f"average must be one of {names}, got {average!r}.")
    if classes.has_columns:
        pairs = [(part.y, part.y_hat) for part in classes.columns]
        average = average or "macro"
    else:
        average = average or ("binary" if _are_two(classes) else "macro")
        labels = [1] if average == "binary" else np.union1d(classes.y, classes.y_hat)
        pairs = [(classes.y == label, classes.y_hat == label) for label in labels]
    hits, n_true, n_predicted = np.array(
        [[(classes.weights * x).sum() for x in (a & b, a, b)] for a, b in pairs]
    ).T
    if average == "micro":
        hits, n_true, n_predicted = (x.sum(keepdims=True) for x in (hits, n_true, n_predicted))
    totals = n_true + n_predicted
    scores = np.where(totals > 0, 2 * hits / np.where(totals > 0, totals, 1), 0.0)
    if average == "weighted":
        return float((scores * n_true).sum() / n_true.sum()) if n_true.any() else 0.0
    return float(scores.mean())


def _are_two(classes: _Classes) -> bool:
    """Whether there are no classes but 0 and 1."""
    if classes.scores.ndim == 2:
        return classes.scores.shape[1] == 2
    return bool(max(classes.y.max(), classes.y_hat.max()) <= 1)


@in_exact_mode
def roc_auc(
    y: Any, y_hat: Any, sample_weight: Any = None, *, multilabel: bool | None = None
) -> float:
    """Return the area under the curve of true over false positives.

    It is the probability that of two samples, one of the class and one not, the first has the
    larger output; ties count half. Of several classes: the mean of each against the rest, over
    those that some samples have and some haven't; NaN if there are none.

    Parameters
    ----------
    y, y_hat : array-like of shape (n,) or (n, n_out)
        Targets and outputs, as for ``accuracy``; of two outputs for two classes that of class 1.
    sample_weight : array-like of shape (n,), optional
        How much each sample counts.
    multilabel : bool, optional
        Whether samples have several yes or no, as for ``accuracy``.

    Returns
    -------
    float
        That of ``sklearn.metrics.roc_auc_score(..., multi_class="ovr")``.

    Raises
    ------
    ValueError
        If shapes don't fit.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> fb.metrics.roc_auc([0, 1, 0, 1], [0.2, 0.9, 0.5, 0.4])
    0.75
    """
    classes = _classes("roc_auc", y, y_hat, sample_weight, 0.5, multilabel)
    if classes.has_columns:
        pairs = [(part.y, part.scores) for part in classes.columns]
    elif classes.scores.ndim == 1:
        pairs = [(classes.y > 0, classes.scores)]
    else:
        n_classes = classes.scores.shape[1]
        labels = [1] if n_classes == 2 else range(n_classes)
        pairs = [(classes.y == k, classes.scores[:, k]) for k in labels]
    areas = [_area(is_true, scores, classes.weights) for is_true, scores in pairs]
    defined = [area for area in areas if area is not None]
    return float(np.mean(defined)) if defined else float("nan")


def _area(is_true: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float | None:
    """Return the area for one yes or no; None where all samples are the same."""
    if np.isnan(scores).any():
        return float("nan")
    _, places = np.unique(scores, return_inverse=True)
    n_true = np.bincount(places, weights * is_true)
    n_false = np.bincount(places, weights * ~is_true)
    pairs = n_true.sum() * n_false.sum()
    if pairs == 0:
        return None
    below = np.cumsum(n_false) - n_false / 2  # samples that aren't of the class, and half the ties
    return float((n_true * below).sum() / pairs)


def _classes(
    what: str,
    y: Any,
    y_hat: Any,
    sample_weight: Any,
    threshold: float,
    multilabel: bool | None,
) -> _Classes:
    """Return classes for what users have, or a complaint."""
    threshold = check_real("threshold", threshold)
    y, scores = (_narrow(as_numeric(name, x)) for name, x in (("y", y), ("y_hat", y_hat)))
    if scores.ndim not in (1, 2) or y.ndim not in (1, 2) or len(y) != len(scores):
        raise ValueError(
            f"y of {what} must have a row for each of y_hat {scores.shape}, got {y.shape}."
        )
    if len(y) == 0:
        raise ValueError(f"y of {what} must have at least one sample, got 0.")
    if y.ndim == 2 and y.shape != scores.shape:
        raise ValueError(
            f"y of {what} must be labels (n,) or have y_hat's shape {scores.shape}, got {y.shape}."
        )
    dtype = np.dtype(np.float64)
    weights = np.ones(len(y))
    if sample_weight is not None:
        weights = as_weights(sample_weight, len(y), dtype)
    if scores.ndim == 1:
        return _of_one_output(what, y, scores, weights, threshold)
    if multilabel is None:
        multilabel = y.ndim == 2 and not (np.abs(y.sum(axis=1) - 1) < SUM_TOLERANCE).all()
    if multilabel and y.ndim == 2:
        is_yes = y > 0.5
        y_hat = np.where(np.isnan(scores), ~is_yes, scores > threshold)  # NaN is never right
        return _Classes(is_yes, y_hat, scores, weights)
    return _of_outputs(what, y, scores, weights)


def _of_one_output(
    what: str, y: np.ndarray, scores: np.ndarray, weights: np.ndarray, threshold: float
) -> _Classes:
    """Return classes for labels, or for outputs above which a threshold says yes."""
    are_labels = scores.dtype.kind in "iub"
    y = _labels(what, y) if are_labels or y.dtype.kind in "iub" else (y > 0.5).astype(np.int64)
    y_hat = scores.astype(np.int64) if are_labels else (scores > threshold).astype(np.int64)
    return _Classes(y, np.where(np.isnan(scores), -1, y_hat), scores, weights)


def _of_outputs(what: str, y: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> _Classes:
    """Return classes where each has an output, and the largest is predicted."""
    y = y.argmax(axis=1) if y.ndim == 2 else _labels(what, y)
    most = scores.shape[1] - 1
    if y.min() < 0 or y.max() > most:
        raise ValueError(
            f"y of {what} must have labels of 0 ... {most}, one for each column of y_hat, got "
            f"{y.min() if y.min() < 0 else y.max()}."
        )
    y_hat = np.where(np.isnan(scores).any(axis=1), -1, scores.argmax(axis=1))
    return _Classes(y, y_hat, scores, weights)


def _narrow(array: np.ndarray) -> np.ndarray:
    """Return (n,) for (n, 1)."""
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def _labels(what: str, y: np.ndarray) -> np.ndarray:
    """Return whole numbers, or a complaint."""
    if y.dtype.kind not in "iub" and not (y == np.floor(y)).all():
        raise ValueError(f"y of {what} must be labels, got {y[y != np.floor(y)][0]}.")
    return y.astype(np.int64)


def _got(classes: _Classes) -> str:
    return "several yes or no" if classes.has_columns else "one output"
