"""What both estimators share: parameters as scikit-learn checks them, and fit."""

import copy
import operator
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from sklearn.base import _fit_context
from sklearn.metrics import check_scoring
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, validate_data

from fastbackprop._estimators.continuing import check_continues
from fastbackprop._estimators.data import Samples
from fastbackprop._estimators.evaluation import Evaluation
from fastbackprop._estimators.inside import Inside
from fastbackprop._estimators.lbfgs import fit_lbfgs
from fastbackprop._estimators.losses import LossRule, loss_rule
from fastbackprop._estimators.network import Design, Network
from fastbackprop._estimators.parameters import RULES, is_own_solver, is_stochastic
from fastbackprop._estimators.stochastic import fit_stochastic

__all__ = ["BaseMLP"]


class BaseMLP(Inside):
    """Base of the two estimators."""

    # Of a classifier or a regressor.
    _is_classifier: ClassVar[bool]

    hidden_layer_sizes: Any
    solver: Any
    alpha: float
    max_iter: int
    random_state: Any
    warm_start: bool
    early_stopping: bool
    n_threads: int | None
    scoring: Any
    learning_rate: Any
    callbacks: Any
    clip_value: float | None
    clip_norm: float | None
    time_budget: float | None

    _parameter_constraints: ClassVar[dict[str, Any]] = RULES

    @property
    @abstractmethod
    def _loss_name(self) -> str:
        """scikit-learn's name of the loss."""

    @abstractmethod
    def _validate_input(
        self, X: Any, y: Any, is_partial: bool, reset: bool
    ) -> tuple[Any, np.ndarray, int]:
        """Return X, the targets in the kernels' form, and the number of outputs."""

    @abstractmethod
    def _output_activation(self) -> str:
        """Name the activation of the last layer, by scikit-learn's names."""

    @abstractmethod
    def _validation_score(self, samples: Samples) -> float:
        """Return accuracy or R^2 of samples that the fit doesn't learn from."""

    @abstractmethod
    def _values_of(self, targets: np.ndarray) -> np.ndarray:
        """Return targets in the kernels' form as a user has them: labels, numbers."""

    def _kernel_targets(self, y: Any) -> np.ndarray:
        """Return targets beside those of ``fit`` in the kernels' form."""
        return self._targets_of(y)

    def _score_of(self, samples: Samples) -> float:
        """Return the score of early stopping."""
        if self.scoring is None:
            return self._validation_score(samples)
        scorer: Any = check_scoring(self, self.scoring)
        twin = copy.copy(self)  # the rows aside have no names of features any more
        if hasattr(twin, "feature_names_in_"):
            del twin.feature_names_in_
        weights = {} if samples.weights is None else {"sample_weight": samples.weights}
        return float(scorer(twin, samples.rows, self._values_of(samples.targets), **weights))

    def _class_weighted(self, samples: Samples) -> Samples:
        """Return samples to train on, with the weights of their classes."""
        return samples

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, eval_set: tuple[Any, Any] | None = None
    ) -> "BaseMLP":
        """Fit the model to data matrix X and target(s) y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The target values: class labels in classification, numbers in regression.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.
        eval_set : tuple (X, y), default=None
            Other samples, whose loss after each epoch, without the penalty, is a number of
            ``validation_curve_``; for sgd and adam.

        Returns
        -------
        object
            The estimator itself, trained.
        """
        return self._fit(X, y, sample_weight, is_partial=False, eval_set=eval_set)

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, is_partial: bool, eval_set: Any = None
    ) -> "BaseMLP":
        if is_partial and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        self._check_solver_fits()
        hidden = self._hidden_sizes()
        is_first = not hasattr(self, "coefs_") or (not self.warm_start and not is_partial)
        if is_partial and not is_first and getattr(self, "best_loss_", 0.0) is None:
            raise ValueError(
                "partial_fit must follow a fit without early_stopping, got one with "
                "early_stopping=True: fit again, or begin with partial_fit."
            )
        X, targets, n_outputs = self._validate_input(X, y, is_partial, reset=is_first)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        if X.dtype == object:  # frames of polars with text, which may be numbers
            X = X.astype(np.float64)
        widths = [X.shape[1], *hidden, n_outputs]
        network = None if is_first else self._to_go_on_with(widths)
        self.n_outputs_ = n_outputs
        self._random_state = check_random_state(self.random_state)
        if network is None:
            self._initialize(widths, X.dtype)
        else:
            self._take_over(network)
        samples = Samples(X, targets, sample_weight)
        evaluation = self._evaluation(eval_set, is_first, targets.shape[1:])
        if is_stochastic(self.solver):
            fit_stochastic(self, samples, is_partial, evaluation)
        else:
            network = self._network
            network.fit_scaling(samples.counted_rows)
            fit_lbfgs(self, samples)
        return self

    def _evaluation(
        self, eval_set: Any, is_first: bool, targets_shape: tuple[int, ...]
    ) -> Evaluation | None:
        """Return what measures the loss of other samples, and begin their curve."""
        if is_first and hasattr(self, "validation_curve_"):
            del self.validation_curve_
        if eval_set is None:
            return None
        if not is_stochastic(self.solver):
            raise ValueError(f"eval_set must come with solver sgd or adam, got {self.solver}.")
        if not isinstance(eval_set, tuple | list) or len(eval_set) != 2:
            is_sequence = isinstance(eval_set, tuple | list)
            what = f"{len(eval_set)} items" if is_sequence else type(eval_set).__name__
            raise ValueError(f"eval_set must be a tuple (X, y), got {what}.")
        network = self._network
        X, y = eval_set
        rows: Any = validate_data(
            self, X=X, accept_sparse=["csr", "csc"], dtype=network.model.dtype, reset=False
        )
        targets = self._kernel_targets(y)
        shape = (rows.shape[0], *targets_shape)
        if targets.shape[:1] != shape[:1] or targets.size != np.prod(shape):
            raise ValueError(
                f"y of eval_set must have shape {shape}, as X has rows, got {targets.shape}."
            )
        if targets.dtype.kind == "f" and not np.isfinite(targets).all():
            raise ValueError("y of eval_set must be finite, got NaN or infinity.")
        if not hasattr(self, "validation_curve_"):
            self.validation_curve_: list[float] = []
        samples = Samples(rows, targets.reshape(shape), None)
        return Evaluation(network, samples, self._loss_rule(network.model.dtype), self.n_threads)

    def _check_solver_fits(self) -> None:
        """Refuse what the chosen solver can't have."""
        if is_stochastic(self.solver):
            rates = np.ravel(np.array(self.dropout, object))
            if any(map(callable, rates)) and not is_own_solver(self.solver):
                raise ValueError(
                    f"dropout must be of numbers with solver {self.solver}, got {self.dropout!r}; "
                    "an optimizer as solver, as fastbackprop.Adam(), takes schedules, too."
                )
            return
        is_none = {
            "dropout": (0, not np.any(self.dropout)),
            "normalization": (None, self.normalization is None),
            "callbacks": (None, not self.callbacks),
            "learning_rate": ("a name", not callable(self.learning_rate)),
            "clip_value": (None, self.clip_value is None),
            "clip_norm": (None, self.clip_norm is None),
            "time_budget": (None, self.time_budget is None),
        }
        for name, (none, is_it) in is_none.items():
            if not is_it:
                raise ValueError(
                    f"{name} must be {none} with solver lbfgs, which takes all samples at once, "
                    "the same function each time, and finds the length of its steps by itself, got "
                    f"{getattr(self, name)!r}."
                )

    def _seed_of_masks(self, design: Design) -> int:
        """Draw a seed for dropout, where there is any: else draws stay scikit-learn's."""
        return int(self._random_state.randint(2**31)) if any(design.rates) else 0

    def _library_y(self, targets: np.ndarray) -> np.ndarray:
        """Return targets in the kernels' form as the library's losses take them."""
        return targets if targets.ndim == 1 else targets.astype(float)

    def _hidden_sizes(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if np.any(np.array(sizes) <= 0):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        for size in sizes:
            if isinstance(size, bool) or not hasattr(size, "__index__"):
                raise TypeError(f"hidden_layer_sizes must be integers, got {size!r}.")
        return [operator.index(size) for size in sizes]

    def _initialize(self, widths: list[int], dtype: Any) -> None:
        """Make the network, with weights as scikit-learn draws them, and begin to count."""
        self.n_layers_ = len(widths)
        self.out_activation_ = self._output_activation()
        dtype = np.dtype(self.dtype or ("float64" if self.solver == "lbfgs" else dtype))
        design = self._design(len(widths) - 1)
        network = Network.new(widths, design, dtype, self._seed_of_masks(design))
        kinds = self.activation if isinstance(self.activation, list | tuple) else [self.activation]
        for i, (weight, bias) in enumerate(zip(network.coefs, network.intercepts, strict=True)):
            is_logistic = bool(kinds) and kinds[min(i, len(kinds) - 1)] in ("logistic", "sigmoid")
            bound = np.sqrt((2.0 if is_logistic else 6.0) / sum(weight.shape))
            weight[...] = self._random_state.uniform(-bound, bound, weight.shape)
            bias[...] = self._random_state.uniform(-bound, bound, bias.shape)
        self._begin(network)

    def _begin(self, network: Network) -> None:
        """Show a new network, and count from 0."""
        self._show(network)
        self.n_iter_ = self.t_ = 0
        if is_stochastic(self.solver):
            self.loss_curve_: list[float] = []
            self._no_improvement_count = 0
            self._best_values = network.store.copy()
            stops = self.early_stopping
            self.validation_scores_: list[float] | None = [] if stops else None
            self.best_validation_score_ = -np.inf if stops else None
            self.best_loss_ = None if stops else np.inf

    def _to_go_on_with(self, widths: list[int]) -> Network:
        """Return the network with the weights as they are, also where some were assigned."""
        wanted = self.dtype or ("float64" if self.solver == "lbfgs" else None)
        network = self._current(None if wanted is None else np.dtype(wanted))
        check_continues(self, network, widths)
        return network

    def _take_over(self, network: Network) -> None:
        """Go on with this network."""
        if network is not self.__dict__.get("_network"):
            self._show(network)
            if np.size(getattr(self, "_best_values", 0)) != network.store.size:
                self._best_values = network.store.copy()

    def _loss_rule(self, dtype: np.dtype) -> LossRule:
        return loss_rule(self._loss_name, self.out_activation_, self.n_outputs_, dtype)

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any) -> "BaseMLP":
        return self._fit(X, y, sample_weight, is_partial=True)

    def _check_solver(self) -> bool:
        if not is_stochastic(self.solver):
            raise AttributeError(
                "partial_fit is only available for stochastic optimizers. "
                f"{self.solver} is not stochastic."
            )
        return True

    def _rare_classes(self, targets: np.ndarray) -> list[Any]:
        return []

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
