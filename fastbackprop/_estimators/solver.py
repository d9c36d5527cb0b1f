"""scikit-learn's sgd and adam: their formulas as the kernels know them, and what they keep.

::

    sgd     v <- momentum v - rate g        w <- w + v, or + momentum v - rate g with Nesterov
    adam    m <- beta_1 m + (1 - beta_1) g  v <- beta_2 v + (1 - beta_2) g^2
            w <- w - rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)

g of a weight, not of a bias, has alpha w / (the batch's sum of weights) in it.
"""

from typing import Any

import numpy as np

from fastbackprop._core.arithmetic import exact_mode
from fastbackprop._core.dispatch import kernels
from fastbackprop._correct.schedule import Position, table_of
from fastbackprop._correct.state import OptimizerState
from fastbackprop._train.history import History

__all__ = ["Solver"]


class Solver:
    """One estimator's optimizer between two epochs.

    Parameters
    ----------
    estimator : BaseMLP
        Whose parameters count.
    size : int
        The network's parameters, with the padding of rows.
    dtype : dtype
        Theirs.

    Attributes
    ----------
    learning_rate : float
        The rate of the next epoch.
    curve : schedule, callable or None
        The rates of all steps instead.
    """

    def __init__(self, estimator: Any, size: int, dtype: np.dtype) -> None:
        self._initial = estimator.learning_rate_init
        self.learning_rate = float(self._initial)
        is_sgd, how = estimator.solver == "sgd", estimator.learning_rate
        self.curve = how if callable(how) else None
        self._schedule = how if is_sgd and self.curve is None else "constant"
        self._fit_step = 0
        self._fit_length: int | None = None
        self._power_t = estimator.power_t
        self._arguments: dict[str, Any] = {
            "weight_decay": estimator.alpha,
            "decay_biases": False,
            "decay_per_weight": True,
        }
        if is_sgd:
            self._kind = "sgd"
            self._arguments |= {
                "momentum": estimator.momentum,
                "nesterov": estimator.nesterovs_momentum,
                "scaled_velocity": True,
            }
        else:
            self._kind = "adam"
            self._arguments |= {
                name: getattr(estimator, name) for name in ("beta_1", "beta_2", "epsilon")
            }
            self._arguments["bare_epsilon"] = True
        self._state = OptimizerState(self.spec(dtype).n_planes, size, dtype)

    def spec(self, dtype: np.dtype) -> Any:
        """Return the kernels' UpdateSpec of now."""
        with exact_mode():
            return kernels(dtype).UpdateSpec(self._kind, self.learning_rate, **self._arguments)

    def begin(self, length: int | None) -> None:
        """Begin a fit of so many steps; None leaves it open."""
        self._fit_step, self._fit_length = 0, length

    def rates(self, n: int, history: History) -> np.ndarray | None:
        """Return what the next n steps have of their own, (n, 3); None without a schedule.

        The history is that of the fit's epochs, at which some schedules look.
        """
        if self.curve is None:
            return None
        in_fit = None if self._fit_length is None else self._fit_step
        position = Position(self._state.n_steps, in_fit, self._fit_length, history)
        self._fit_step += n
        momentum = self._arguments.get("momentum", 0.0)
        table = np.tile([0.0, momentum, self._arguments["weight_decay"]], (n, 1))
        table[:, 0] = table_of(self.curve, position, n)
        is_right = (table[:, 0] >= 0) & (table[:, 0] <= np.finfo(self._state.planes.dtype).max)
        if not is_right.all():
            raise ValueError(
                "The schedule of learning_rate must give finite numbers of at least 0, got "
                f"{table[np.argmin(is_right), 0]:g}."
            )
        return table

    @property
    def state(self) -> OptimizerState:
        """The same, with its planes."""
        return self._state

    @property
    def buffer(self) -> np.ndarray:
        """What it keeps, which the kernels advance."""
        return self._state.buffer

    def fits(self, values: np.ndarray) -> bool:
        """Whether its state is of these parameters' shape and dtype."""
        planes = self._state.planes
        return planes.shape[1] == values.size and planes.dtype == values.dtype

    def end_iteration(self, t: int) -> None:
        """Make the rate that follows t samples."""
        if self._schedule == "invscaling":
            self.learning_rate = float(self._initial) / (t + 1) ** self._power_t

    def stops(self, message: str, verbose: Any) -> bool:
        """Whether training ends where it no longer improves: "adaptive" goes on, with less."""
        ends = self._schedule != "adaptive" or self.learning_rate <= 1e-6
        if not ends:
            self.learning_rate /= 5.0
        if verbose:
            what = " Stopping."
            if self._schedule == "adaptive":
                what = " Learning rate too small." + what
            if not ends:
                what = f" Setting learning rate to {self.learning_rate:f}"
            print(message + what)
        return ends

    def __getstate__(self) -> dict[str, Any]:
        planes = self._state.planes
        return {**self.__dict__, "_state": (planes.shape, planes.dtype, self.buffer.copy())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        (n_planes, size), dtype, buffer = state["_state"]
        self.__dict__.update(state, _state=OptimizerState(n_planes, size, dtype))
        self.buffer[:] = buffer
