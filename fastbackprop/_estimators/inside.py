"""What an estimator shows of its inside, and takes in: models, scikit-learn's own estimators."""

import copy
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from fastbackprop._compare.labels import Classes
from fastbackprop._compare.losses import Loss
from fastbackprop._diagnose.diagnose import diagnose
from fastbackprop._diagnose.findings import Diagnosis
from fastbackprop._estimators.conversion import (
    attributes_of,
    check_theirs,
    fill_theirs,
    name_of,
    parameters_of_model,
    show_model,
)
from fastbackprop._estimators.network import Network, dense
from fastbackprop._estimators.weights import Weights
from fastbackprop._explain.explain import explain
from fastbackprop._explain.explanation import Explanation
from fastbackprop._model.sequential import Sequential

__all__ = ["Inside"]


class Inside(Weights, ABC):
    """What both estimators have that scikit-learn's have not."""

    # scikit-learn's class of the same name.
    _theirs: ClassVar[type]

    @abstractmethod
    def _library_loss(self) -> Loss:
        """Return the loss as a loss of the library."""

    @abstractmethod
    def _targets_of(self, y: Any) -> np.ndarray:
        """Return labels or numbers as the library's losses take them."""

    @property
    def model_(self) -> Sequential:
        """The Sequential inside: with the same weights, and all that models can do.

        It is the one that the estimator computes with, unless ``coefs_`` or ``intercepts_`` were
        assigned: then it is a copy. It knows the names of features and of classes.
        """
        if not hasattr(self, "coefs_"):
            raise AttributeError(f"{type(self).__name__} has no model_ before fit.")
        model = self._current().model
        model._learn(self._classes_of(model), self._names_of_features())
        return model

    def _classes_of(self, model: Sequential) -> Classes | None:
        """Return the labels of the model's outputs, where it can have some."""
        return None

    def _names_of_features(self) -> list[str] | None:
        """Return what the model's inputs are called; None where frames had columns twice."""
        names = [str(name) for name in getattr(self, "feature_names_in_", ())]
        return names if names and len(set(names)) == len(names) else None

    def _library_targets(self, y: Any, model: Sequential) -> np.ndarray:
        """Return targets for the model: labels, where it knows them, are checked and stay."""
        targets = self._targets_of(y)
        return targets if model._classes is None else np.asarray(y)

    @classmethod
    def from_sklearn(cls, fitted: Any) -> Self:
        """Take over a fitted estimator of scikit-learn's class of this name.

        Parameters
        ----------
        fitted : estimator
            What ``fit`` or ``partial_fit`` returned; it stays as it is. The optimizer's state isn't
            taken: ``partial_fit`` begins with a new one.

        Returns
        -------
        estimator
            One of ours with the same parameters, attributes and predictions.

        Raises
        ------
        TypeError
            If it is of another class.
        sklearn.exceptions.NotFittedError
            If it wasn't fitted.
        """
        check_theirs(fitted, cls._theirs)
        estimator = cls(**fitted.get_params(deep=False))
        for name, value in attributes_of(fitted).items():
            setattr(estimator, name, value)
        estimator.coefs_, estimator.intercepts_ = list(fitted.coefs_), list(fitted.intercepts_)
        network = estimator._current()
        estimator._show(network)
        estimator._best_values = network.store.copy()
        return estimator

    def to_sklearn(self) -> Any:
        """Make a fitted estimator of scikit-learn's class of this name.

        Returns
        -------
        estimator
            With the same parameters, as far as scikit-learn has them, attributes and predictions;
            without the optimizer's state. A UserWarning names parameters of further fits that it
            does without.

        Raises
        ------
        ValueError
            If an activation isn't one of scikit-learn's.
        sklearn.exceptions.NotFittedError
            If this one wasn't fitted.
        """
        return fill_theirs(self, self._theirs)

    @classmethod
    def _of_model(cls, model: Any, parameters: dict[str, Any]) -> Self:
        """Make an estimator with a copy of a model's weights."""
        estimator = cls(**{**parameters_of_model(model), **parameters})
        estimator.out_activation_ = name_of(model.layers[-1]._activation)
        whole = Network(copy.deepcopy(model))
        network = Network.of(
            whole.coefs,
            whole.intercepts,
            estimator._design(len(whole.coefs)),
            model.dtype,
            whole.rest._replace(n_forwards=0),
        )
        show_model(estimator, model, network)
        return estimator

    def explain(self, X: Any, y: Any, *, learning_rate: float = 0.01) -> Explanation:
        """Explain one step of plain gradient descent on some rows, with every number.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; a few.
        y : array-like
            Targets, as in ``fit``.
        learning_rate : float, default=0.01
            Length of the step.

        Returns
        -------
        Explanation
            See ``fastbackprop.explain``. The penalty alpha has no part in it.
        """
        X = self._checked(X)
        model = self.model_
        return explain(
            model,
            X,
            self._library_targets(y, model),
            self._library_loss(),
            learning_rate=learning_rate,
        )

    def diagnose(self, X: Any, y: Any) -> Diagnosis:
        """Look for what keeps the network from learning.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like
            Targets, as in ``fit``.

        Returns
        -------
        Diagnosis
            See ``fastbackprop.diagnose``.
        """
        X = self._checked(X)
        model = self.model_
        return diagnose(model, X, self._library_targets(y, model), self._library_loss())

    def _checked(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        rows: Any = validate_data(self, X=X, accept_sparse=["csr", "csc"], reset=False)
        return dense(rows, self.model_.dtype)
