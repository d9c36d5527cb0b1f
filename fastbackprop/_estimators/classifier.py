"""MLPClassifier, in place of scikit-learn's."""

from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np
from scipy.sparse import issparse
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.neural_network import MLPClassifier as Theirs
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import validate_data

from fastbackprop._compare.labels import Classes, check_classes
from fastbackprop._compare.losses import BinaryCrossEntropy, CrossEntropy, Loss, as_loss
from fastbackprop._core.losses import TABLE
from fastbackprop._estimators.base import BaseMLP
from fastbackprop._estimators.conversion import sort_outputs
from fastbackprop._estimators.data import Samples
from fastbackprop._estimators.losses import LossRule, loss_rule, no_constants
from fastbackprop._estimators.parameters import LOSS
from fastbackprop._model.sequential import Sequential

__all__ = ["MLPClassifier"]

OUR_LOSSES = {name for name, row in TABLE.items() if row.is_classification}


class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multi-layer perceptron classifier: scikit-learn's, trained by fastbackprop's kernels.

    Parameters, attributes and arithmetic are those of ``sklearn.neural_network.MLPClassifier``;
    with the same ``random_state`` it draws the same weights and takes the samples in the same
    order, so that losses agree to rounding.

    Parameters
    ----------
    hidden_layer_sizes : array-like of shape (n_layers - 2,) or int, default=(100,)
        Number of neurons of each hidden layer.
    activation : {"identity", "logistic", "tanh", "relu"}, str, activation or list, default="relu"
        Activation of the hidden layers: also any of fastbackprop's, by name or object, or a list
        with one for each hidden layer.
    solver : {"lbfgs", "sgd", "adam"}, str or optimizer, default="adam"
        How weights follow from gradients: also by any other optimizer of fastbackprop, by name or
        object, which has rate, schedule and decay of its own (``fastbackprop.AdamW(0.003)``).
    alpha : float, default=0.0001
        Strength of the L2 penalty; it is divided by the number of samples of a batch.
    batch_size : int or "auto", default="auto"
        Samples of a step; "auto" is min(200, n_samples).
    learning_rate : {"constant", "invscaling", "adaptive"}, schedule or callable, default="constant"
        How the rate goes on, with sgd: as it is; divided by t ** power_t; or divided by 5 each time
        that n_iter_no_change epochs did not improve by tol. A schedule of fastbackprop, or a
        function of the step from 0, gives the rate with any solver but lbfgs that is a name; where
        it goes over a fit, that is max_iter epochs.
    learning_rate_init : float, default=0.001
        The initial rate, of sgd or adam, and of an optimizer of fastbackprop by name.
    power_t : float, default=0.5
        Exponent of "invscaling".
    max_iter : int, default=200
        Most epochs, or most iterations of lbfgs.
    shuffle : bool, default=True
        Whether each epoch takes the samples in a new order.
    random_state : int, RandomState instance or None, default=None
        What weights, splits and orders are drawn from.
    tol : float, default=1e-4
        Loss or score must improve by so much in n_iter_no_change epochs, or training ends.
    verbose : bool, default=False
        Whether to print the loss of each epoch.
    warm_start : bool, default=False
        Whether fit goes on from the last one's solution.
    momentum : float, default=0.9
        Momentum of sgd, from 0 to 1.
    nesterovs_momentum : bool, default=True
        Whether it is Nesterov's.
    early_stopping : bool, default=False
        Whether to put validation_fraction of the samples aside, and to end where their score no
        longer improves; the best weights are kept.
    validation_fraction : float, default=0.1
        Part of the samples that early_stopping puts aside.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of adam's moments, from 0 to below 1.
    epsilon : float, default=1e-8
        Term in adam's denominator.
    n_iter_no_change : int, default=10
        Epochs that may pass without an improvement.
    max_fun : int, default=15000
        Most calls of the loss by lbfgs.
    dtype : {"float32", "float64"} or None, default=None
        Number type of weights and outputs, to which rows are converted; None takes that of X, and
        float64 for lbfgs.
    n_threads : int or None, default=None
        Threads that share the work; None takes as many as it is worth. The bits are the same.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in training, by label, or n_samples / (n_classes * samples of it).
    label_smoothing : float, default=0
        Part of each target that all classes share, from 0 to below 1.
    clip_value, clip_norm : float or None, default=None
        The largest gradient, and the largest norm of all of a step; not of lbfgs.
    time_budget : float or None, default=None
        Seconds after which no new epoch begins; not of lbfgs.
    scoring : str, callable or None, default=None
        What early_stopping measures instead of ``score``: a scorer's name, or a function of
        (estimator, X, y).
    dropout : float, list, schedule or callable, default=0
        Part of each hidden layer's units that are dropped in training, at least 0 and below 1; or
        one part for each. Not of lbfgs; a schedule only with an optimizer of fastbackprop.
    normalization : {"batch", "layer"} or None, default=None
        BatchNorm or LayerNorm between each hidden layer and its activation. Not of lbfgs.
    scale_inputs : bool, "standard" or "robust", default=False
        Whether the model scales its inputs itself, by means and deviations (True or "standard") or
        medians and quartiles of the rows to train on.
    callbacks : list of Callback or None, default=None
        Who hears of the fit by sgd, adam or an optimizer of fastbackprop. Each fit calls copies,
        ``callbacks_``.
    loss : {"log_loss"}, str or loss, default="log_loss"
        What is compared: also a loss for classes of fastbackprop, such as
        ``fastbackprop.FocalCrossEntropy(2)``, with which two classes have two outputs.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    loss_, best_loss_ : float
        The last loss, and the least (None with early_stopping).
    loss_curve_ : list of float
        The loss of each epoch.
    validation_scores_, best_validation_score_ : list of float, float
        Accuracies of the samples put aside; None without early_stopping.
    validation_curve_ : list of float
        The loss of ``fit``'s eval_set after each epoch; only with one.
    history_ : History
        The figures of each epoch, where solver is an optimizer of fastbackprop or there are
        callbacks.
    t_ : int
        Samples that were trained on.
    coefs_, intercepts_ : list of ndarray
        Weights (n_in, n_out) and biases (n_out,) of each layer: views into the model, so writing
        into them changes it; they can be assigned.
    n_features_in_, n_iter_, n_layers_, n_outputs_ : int
        Features seen during fit, epochs run, layers with the inputs, outputs.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X had them.
    out_activation_ : str
        Activation of the last layer.

    See Also
    --------
    MLPRegressor : The same for numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbackprop.sklearn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier(max_iter=1000, random_state=1).fit(X, y)
    >>> clf.score(X, y) > 0.95
    True
    """

    __module__ = "fastbackprop.sklearn"
    _is_classifier: ClassVar[bool] = True
    _theirs: ClassVar[type] = Theirs
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "loss": [StrOptions({"log_loss", *OUR_LOSSES}), LOSS],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dtype: str | None = None,
        n_threads: int | None = None,
        class_weight: Any = None,
        label_smoothing: float = 0.0,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        time_budget: float | None = None,
        scoring: Any = None,
        dropout: Any = 0.0,
        normalization: str | None = None,
        scale_inputs: bool | str = False,
        callbacks: Any = None,
        loss: Any = "log_loss",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dtype = dtype
        self.n_threads = n_threads
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.clip_value = clip_value
        self.clip_norm = clip_norm
        self.time_budget = time_budget
        self.scoring = scoring
        self.dropout = dropout
        self.normalization = normalization
        self.scale_inputs = scale_inputs
        self.callbacks = callbacks
        self.loss = loss

    @available_if(lambda self: self._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> "MLPClassifier":
        """Update the model with a single iteration over the given data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            The target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.
        classes : array of shape (n_classes,), default=None
            All classes of all calls: for the first call; later ones may leave it out. y needn't
            have all of them.

        Returns
        -------
        object
            The estimator itself, trained.
        """
        if _check_partial_fit_first_call(self, classes):
            self._label_binarizer = LabelBinarizer()
            is_multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer.fit(y if is_multilabel else classes)
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit, which doesn't know all "
                "samples: give a dict."
            )
        self._partial_fit(X, y, sample_weight)
        return self

    def predict(self, X: Any) -> Any:
        """Predict classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            The predicted classes; a sparse matrix where ``fit`` had a sparse y.
        """
        outputs = self._outputs(X)
        if self._label_binarizer.sparse_input_:
            return self._label_binarizer.inverse_transform(outputs)
        if self.out_activation_ == "softmax":
            return self.classes_.take(outputs.argmax(axis=1))
        if self.n_outputs_ > 1 or self._label_binarizer.y_type_.startswith("multilabel"):
            return (outputs > 0.5).astype(int)
        return self.classes_.take((outputs[:, 0] > 0.5).astype(int), mode="clip")

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            The probability of each class, in the order of ``classes_``.
        """
        outputs = self._outputs(X)
        if self.n_outputs_ > 1:
            return outputs
        return np.hstack([1 - outputs, outputs])

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            The logarithm of each class's probability, in the order of ``classes_``.
        """
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=probabilities)

    @property
    def _loss_name(self) -> str:
        return "log_loss"

    def _validate_input(
        self, X: Any, y: Any, is_partial: bool, reset: bool
    ) -> tuple[Any, np.ndarray, int]:
        if isinstance(self.class_weight, dict):
            for label, weight in self.class_weight.items():
                if not isinstance(weight, int | float | np.number) or not 0 <= weight < np.inf:
                    raise ValueError(
                        "class_weight must have finite numbers of at least 0, got "
                        f"{weight!r} for {label!r}."
                    )
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or (not self.warm_start and not is_partial):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            self._check_classes(y)
        if self._is_softmax() and y.ndim == 1:
            return X, np.searchsorted(self.classes_, y), len(self.classes_)
        targets = self._label_binarizer.transform(y).astype(bool)
        return X, targets, targets.shape[1]

    def _check_classes(self, y: Any) -> None:
        """Refuse labels that the fit to go on from doesn't know."""
        classes = unique_labels(y)
        if self.warm_start:
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous "
                    f"call to fit. Previously got {self.classes_}, `y` has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. "
                f"'y' has {classes}."
            )

    @classmethod
    def from_model(cls, model: Any, classes: Any = None, **parameters: Any) -> "MLPClassifier":
        """Make a fitted classifier of a model of the library.

        Parameters
        ----------
        model : Sequential
            Dense layers with biases; behind the last one softmax, or sigmoid for two classes (one
            output) or several labels. Its weights are copied.
        classes : array-like of shape (n_classes,), optional
            Labels in the order of the outputs, sorted; None takes the model's ``classes``, with
            the outputs in their sorted order, or counts them from 0 where it has none.
        **parameters : dict
            Of the estimator, for further fits.

        Returns
        -------
        MLPClassifier
            Ready to predict, and, with ``warm_start=True`` or by ``partial_fit``, to go on.
        """
        last = model.layers[-1].activation if hasattr(model, "layers") else None
        if last not in ("softmax", "sigmoid", None):
            raise ValueError(
                f"model must end in softmax or sigmoid to be a classifier, got {last!r}."
            )
        estimator = cls._of_model(model, parameters)
        n_classes = 2 if last == "sigmoid" and model.n_out == 1 else model.n_out
        is_several = last == "sigmoid" and model.n_out > 1
        if classes is None and not is_several and model.classes is not None:
            classes = sort_outputs(estimator, model.classes)
        labels = np.arange(n_classes) if classes is None else np.array(classes)
        if labels.shape != (n_classes,) or not np.array_equal(np.unique(labels), labels):
            raise ValueError(
                f"classes must be {n_classes} different labels in ascending order, got {classes!r}."
            )
        examples = np.eye(n_classes, dtype=int)
        estimator._label_binarizer = LabelBinarizer().fit(examples if is_several else labels)
        if last == "softmax" and n_classes == 2:
            estimator._label_binarizer.y_type_ = "multiclass"  # though labels look binary
        estimator.classes_ = labels
        return estimator

    def _own_loss(self) -> Loss | None:
        """Return the loss of the library; None where it is scikit-learn's."""
        return (
            None if isinstance(self.loss, str) and self.loss == "log_loss" else as_loss(self.loss)
        )

    def _is_softmax(self) -> bool:
        """Whether there is an output for each class."""
        loss, kind = self._own_loss(), self._label_binarizer.y_type_
        if loss is None:
            return kind == "multiclass"
        is_several = kind.startswith("multilabel")
        fits = {"softmax": not is_several, "sigmoid": kind == "binary" or is_several}
        if not fits.get(loss.activation or "", False):
            raise ValueError(
                f"loss must be one for {kind} targets, of outputs that are probabilities, got "
                f"{self.loss!r}."
            )
        if self.label_smoothing:
            raise ValueError(
                f"label_smoothing must be 0 with another loss than log_loss, got "
                f"{self.label_smoothing!r}; some losses have it of their own."
            )
        return loss.activation == "softmax"

    def _library_loss(self) -> Loss:
        loss = self._own_loss()
        if loss is not None:
            return loss
        if self.out_activation_ == "softmax":
            return CrossEntropy(label_smoothing=self.label_smoothing)
        return BinaryCrossEntropy(label_smoothing=self.label_smoothing, sum_outputs=True)

    def _classes_of(self, model: Sequential) -> Classes | None:
        n_classes = model.n_out if self.out_activation_ == "softmax" else 2
        is_several = self._label_binarizer.y_type_.startswith("multilabel")
        if is_several or len(self.classes_) != n_classes:
            return None
        try:
            return check_classes("classes_", self.classes_, n_classes)
        except TypeError:  # labels that a model can't have: floats, dates, bytes
            return None

    def _targets_of(self, y: Any) -> np.ndarray:
        y = y.toarray() if issparse(y) else np.asarray(y)
        is_several = self._label_binarizer.y_type_.startswith("multilabel")
        unknown: Any = [] if is_several else np.setdiff1d(y, self.classes_).tolist()
        if unknown:
            raise ValueError(f"y must have labels of classes_, got {unknown[0]!r}.")
        if self.out_activation_ == "softmax":
            return np.searchsorted(self.classes_, y)
        return self._label_binarizer.transform(y).astype(float)

    def _output_activation(self) -> str:
        return "softmax" if self._is_softmax() else "logistic"

    def _validation_score(self, samples: Samples) -> float:
        outputs = self._network.predict(samples.rows)
        if samples.is_labels:
            is_right = outputs.argmax(axis=1) == samples.targets
        else:
            is_right = ((outputs > 0.5) == samples.targets).all(axis=1)
        return float(np.average(is_right, weights=samples.weights))

    def _values_of(self, targets: np.ndarray) -> np.ndarray:
        if targets.ndim == 1:
            return self.classes_[targets]
        targets = targets.astype(int)
        is_several = self._label_binarizer.y_type_.startswith("multilabel")
        return targets if is_several else self.classes_[targets[:, 0]]

    def _class_weighted(self, samples: Samples) -> Samples:
        if self.class_weight is None:
            return samples
        weights = compute_sample_weight(self.class_weight, self._values_of(samples.targets))
        if not weights.any():
            raise ValueError("class_weight must be above 0 for a class of y, got 0 for all.")
        return replace(
            samples, weights=weights if samples.weights is None else weights * samples.weights
        )

    def _loss_rule(self, dtype: np.dtype) -> LossRule:
        loss = self._own_loss()
        if loss is not None:
            return LossRule(loss._spec(self.n_outputs_, dtype), no_constants)
        return loss_rule(
            self._loss_name, self.out_activation_, self.n_outputs_, dtype, self.label_smoothing
        )

    def _rare_classes(self, targets: np.ndarray) -> list[Any]:
        counts = np.bincount(targets.ravel().astype(int), minlength=len(self.classes_))
        return [x.item() if hasattr(x, "item") else x for x in self.classes_[counts == 1]]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
