"""Metrics of predicted classes: one of several, yes or no, or several yes or no at once."""

from typing import Any, Literal

import numpy as np

from fastbackprop._compare.class_outputs import Classes, as_classes
from fastbackprop._core.arithmetic import in_exact_mode
from fastbackprop._core.validation import check_integer

__all__ = ["accuracy", "balanced_accuracy", "f1", "roc_auc", "top_k"]


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
    classes = as_classes("accuracy", y, y_hat, sample_weight, threshold, multilabel)
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
    classes = as_classes("top_k", y, y_hat, sample_weight, 0.5, False)
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
    classes = as_classes("balanced_accuracy", y, y_hat, sample_weight, threshold, multilabel)
    parts = classes.columns if classes.has_columns else [classes]
    return float(np.mean([_balanced(part) for part in parts]))


def _balanced(classes: Classes) -> float:
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
    classes = as_classes("f1", y, y_hat, sample_weight, threshold, multilabel)
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


def _are_two(classes: Classes) -> bool:
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
    classes = as_classes("roc_auc", y, y_hat, sample_weight, 0.5, multilabel)
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


def _got(classes: Classes) -> str:
    return "several yes or no" if classes.has_columns else "one output"
