"""The solver lbfgs: scipy's L-BFGS-B, on the loss and the gradient of all rows."""

from typing import Any

import numpy as np
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning

from fastbackprop._core.dispatch import kernels
from fastbackprop._correct.state import OptimizerState
from fastbackprop._estimators.data import Samples
from fastbackprop._estimators.epochs import Epochs
from fastbackprop._estimators.losses import LossRule
from fastbackprop._estimators.network import Network
from fastbackprop._estimators.warn import warn_as_theirs

__all__ = ["Objective", "fit_lbfgs"]

# Rows of which the kernels hold all z, a and deltas at once: in the second cache where layers are
# narrow. The gradient is one sum over all of them.
ROWS = 512


class Objective:
    """Loss and gradient by all parameters, as scipy calls them.

    The kernels train with a rate of 0: a velocity of momentum 1 sums the gradients of all batches,
    of which the first row stands for the weight of all.

    Parameters
    ----------
    network : Network
        Gets the parameters at which it is asked.
    samples : Samples
        All rows.
    loss : LossRule
        How they are compared.
    alpha : float
        The penalty's factor.
    n_threads : int or None
        An order; None leaves it to the work.
    """

    def __init__(
        self,
        network: Network,
        samples: Samples,
        loss: LossRule,
        alpha: float,
        n_threads: int | None = None,
    ) -> None:
        self._network, self._alpha = network, alpha
        dtype = network.model.dtype
        n, size = len(samples), min(ROWS, len(samples))
        self._total = float(n) if samples.weights is None else float(np.sum(samples.weights))
        self._epochs = Epochs(network, samples, size, loss, 0.0, n_threads, total=self._total)
        self._spec = kernels(dtype).UpdateSpec("sgd", 0.0, 1.0)
        self._state = OptimizerState(1, network.values.size, dtype)

    def __call__(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the loss at these parameters, and its gradient."""
        network = self._network
        set_flat(network, flat)
        self._state.buffer.fill(0)
        with np.errstate(all="ignore"):
            loss = self._epochs.run(self._spec, self._state.buffer, None)
            gradients = flat_views(network, self._state.planes[0])
            if not isinstance(loss, float):
                loss = np.inf
            for weight, gradient in zip(network.coefs, gradients, strict=False):
                gradient += self._alpha / self._total * weight
                loss += 0.5 * self._alpha * float((weight * weight).sum()) / self._total
        return loss, np.concatenate([x.ravel() for x in gradients])


def flat_views(network: Network, buffer: np.ndarray) -> list[np.ndarray]:
    """Return views of all weights, then of all biases, in a buffer laid out as the parameters."""
    views = network.views(buffer)
    return [weight for weight, _ in views] + [bias for _, bias in views if bias is not None]


def set_flat(network: Network, flat: np.ndarray) -> None:
    """Copy one vector, all weights and then all biases, into the network."""
    first = 0
    for view in network.arrays:
        view[...] = flat[first : first + view.size].reshape(view.shape)
        first += view.size


def fit_lbfgs(estimator: Any, samples: Samples) -> None:
    """Train an estimator whose network is there, in float64 as scipy does."""
    network = estimator._network
    objective = Objective(
        network,
        estimator._class_weighted(samples),
        estimator._loss_rule(network.model.dtype),
        estimator.alpha,
        estimator.n_threads,
    )
    result = scipy.optimize.minimize(
        objective,
        np.concatenate([x.ravel() for x in network.arrays]),
        method="L-BFGS-B",
        jac=True,
        options={
            "maxfun": estimator.max_fun,
            "maxiter": estimator.max_iter,
            "gtol": estimator.tol,
        },
    )
    estimator.n_iter_ = min(result.nit, estimator.max_iter)
    if result.status != 0:
        _warn(result, estimator.n_iter_, estimator.max_iter)
    estimator.loss_ = np.float64(result.fun)
    set_flat(network, result.x)


def _warn(result: Any, n_iter: int, max_iter: int) -> None:
    """Say in scikit-learn's words that the solver gave up."""
    message = (
        f"lbfgs failed to converge after {n_iter} iteration(s) (status={result.status}):\n"
        f"{result.message}\n"
    )
    if n_iter == max_iter:
        message += (
            f"\nIncrease the number of iterations to improve the convergence (max_iter={max_iter})."
        )
    message += (
        "\nYou might also want to scale the data as shown in:\n"
        "    https://scikit-learn.org/stable/modules/preprocessing.html"
    )
    warn_as_theirs(message, ConvergenceWarning)
