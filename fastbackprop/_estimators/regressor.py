"""MLPRegressor, in place of scikit-learn's."""

from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.neural_network import MLPRegressor as Theirs
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from fastbackprop._estimators.base import BaseMLP
from fastbackprop._estimators.data import Samples
from fastbackprop._estimators.own_losses import OUR_LOSSES, THEIR_LOSSES, OwnLosses
from fastbackprop._estimators.parameters import LOSS

__all__ = ["MLPRegressor"]


class MLPRegressor(RegressorMixin, OwnLosses):
    """Multi-layer perceptron regressor: scikit-learn's, trained by fastbackprop's kernels.

    Parameters, attributes and arithmetic are those of ``sklearn.neural_network.MLPRegressor``;
    with the same ``random_state`` it draws the same weights and takes the samples in the same
    order, so that losses agree to rounding.

    Parameters
    ----------
    loss : {"squared_error", "poisson"}, str or Loss, default="squared_error"
        What is made small: half the squared error, or half the Poisson deviance, with exp behind
        the last layer. Also fastbackprop's losses for regression, by name or object: "huber",
        "mean_absolute_error", ``Quantile([0.05, 0.5, 0.95])``, "gaussian_nll" and others.
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

    Attributes
    ----------
    loss_, best_loss_ : float
        The last loss, and the least (None with early_stopping).
    loss_curve_ : list of float
        The loss of each epoch.
    validation_scores_, best_validation_score_ : list of float, float
        R^2 of the samples put aside; None without early_stopping.
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
    MLPClassifier : The same for classes.

    Notes
    -----
    With squared_error and several outputs ``loss_`` is half the mean over outputs, and weights
    follow half the sum over them: n_outputs times the gradient of ``loss_``, as in scikit-learn.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from fastbackprop.sklearn import MLPRegressor
    >>> X, y = make_regression(n_samples=200, n_features=20, random_state=1)
    >>> regressor = MLPRegressor(random_state=1, max_iter=2000, tol=0.1).fit(X, y)
    >>> regressor.score(X, y) > 0.98
    True
    """

    __module__ = "fastbackprop.sklearn"
    _is_classifier: ClassVar[bool] = False
    _theirs: ClassVar[type] = Theirs
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions({*THEIR_LOSSES, *OUR_LOSSES}), LOSS],
    }

    def __init__(
        self,
        loss: Any = "squared_error",
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
        clip_value: float | None = None,
        clip_norm: float | None = None,
        time_budget: float | None = None,
        scoring: Any = None,
        dropout: Any = 0.0,
        normalization: str | None = None,
        scale_inputs: bool | str = False,
        callbacks: Any = None,
    ) -> None:
        self.loss = loss
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
        self.clip_value = clip_value
        self.clip_norm = clip_norm
        self.time_budget = time_budget
        self.scoring = scoring
        self.dropout = dropout
        self.normalization = normalization
        self.scale_inputs = scale_inputs
        self.callbacks = callbacks

    @available_if(lambda self: self._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> "MLPRegressor":
        """Update the model with a single iteration over the given data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        object
            The estimator itself, trained.
        """
        self._partial_fit(X, y, sample_weight)
        return self

    @available_if(lambda self: self._has_interval())
    def predict_interval(self, X: Any, *, coverage: float = 0.9) -> np.ndarray:
        """Predict intervals in which targets lie.

        Only with the loss "gaussian_nll" or a Quantile of several q.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.
        coverage : float, default=0.9
            With "gaussian_nll", the part of the targets that shall lie inside, above 0 and below 1.
            Quantiles have the lowest and the highest q of the loss instead.

        Returns
        -------
        ndarray of shape (n_samples, 2) or (n_samples, n_targets, 2)
            Where each interval begins and ends.
        """
        outputs = self._outputs(X)
        return self._interval(outputs, coverage)

    def predict(self, X: Any) -> np.ndarray:
        """Predict numbers: with "gaussian_nll" the means, with quantiles the one nearest to 0.5.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predicted values.
        """
        outputs = self._points(self._outputs(X))
        return outputs.ravel() if outputs.shape[1] == 1 else outputs

    @property
    def _loss_name(self) -> str:
        return self.loss

    def _validate_input(
        self, X: Any, y: Any, is_partial: bool, reset: bool
    ) -> tuple[Any, np.ndarray, int]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        targets, n_outputs = self._encode(y)
        return X, targets, n_outputs

    @classmethod
    def from_model(cls, model: Any, **parameters: Any) -> "MLPRegressor":
        """Make a fitted regressor of a model of the library.

        Parameters
        ----------
        model : Sequential
            Dense layers with biases; behind the last one identity, or exp for Poisson's loss. Its
            weights are copied.
        **parameters : dict
            Of the estimator, for further fits.

        Returns
        -------
        MLPRegressor
            Ready to predict, and, with ``warm_start=True`` or by ``partial_fit``, to go on.
        """
        last = model.layers[-1].activation if hasattr(model, "layers") else "identity"
        losses = {"identity": "squared_error", "exp": "poisson"}
        if last not in losses:
            raise ValueError(f"model must end in identity or exp to be a regressor, got {last!r}.")
        return cls._of_model(model, {"loss": losses[last], **parameters})

    def _targets_of(self, y: Any) -> np.ndarray:
        return np.asarray(y)

    def _values_of(self, targets: np.ndarray) -> np.ndarray:
        targets = targets[:, :1] if self._several_q(self._own_loss()) else targets
        return targets.ravel() if targets.shape[1] == 1 else targets

    def _output_activation(self) -> str:
        loss = self._own_loss()
        if loss is not None:
            return loss.activation or "identity"
        return "exp" if self.loss == "poisson" else "identity"

    def _validation_score(self, samples: Samples) -> float:
        outputs = self._points(self._network.predict(samples.rows)).astype(np.float64)
        if not np.isfinite(outputs).all():
            return float("nan")
        y = samples.targets[:, : outputs.shape[1]].astype(np.float64)
        return r_squared(y, outputs, samples.weights)


def r_squared(y: np.ndarray, y_hat: np.ndarray, weights: np.ndarray | None) -> float:
    """Return scikit-learn's r2_score, for matrices that need no checks."""
    factors = 1.0 if weights is None else weights[:, np.newaxis]
    missed = (factors * (y - y_hat) ** 2).sum(axis=0)
    spread = (factors * (y - np.average(y, axis=0, weights=weights)) ** 2).sum(axis=0)
    constant = np.where(missed == 0, 1.0, 0.0)  # where y is
    scores = 1 - np.divide(missed, spread, out=1 - constant, where=spread != 0)
    return float(scores.mean())
