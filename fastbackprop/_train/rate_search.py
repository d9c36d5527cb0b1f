"""A sweep of learning rates: which are worth a try, after a few dozen steps."""

import math
from typing import Any

import numpy as np

from fastbackprop._core.arithmetic import in_exact_mode
from fastbackprop._core.errors import DivergenceError
from fastbackprop._core.validation import check_integer, check_real
from fastbackprop._train.data import TrainingData
from fastbackprop._train.loop import Loop

__all__ = ["LearningRateSearch", "check_sweep", "sweep"]

SMOOTHING = 0.9  # of the losses of single batches, which jump
RISEN = 4.0  # a loss so many times the best: larger rates say nothing more
LEAST_STEPS = 10


class LearningRateSearch:
    """What ``Trainer.find_learning_rate`` found.

    Parameters
    ----------
    rates, losses : list of float
        The learning rate of each step, and the loss of its batch before the step.

    Attributes
    ----------
    smoothed : list of float
        The losses, each with those before it (an exponential mean without bias).
    suggestion : float
        The rate at which half of the way from the first losses to the lowest smoothed one is done;
        where they don't fall, a tenth of the smallest that was tried.
    """

    def __init__(self, rates: list[float], losses: list[float]) -> None:
        self.rates, self.losses = rates, losses
        self.smoothed = _smoothed(losses)
        self.suggestion = _suggestion(rates, losses, self.smoothed)

    def plot(self, axes: Any = None) -> Any:
        """Draw the losses over the rates, and the suggestion.

        Parameters
        ----------
        axes : matplotlib Axes, optional
            Axes to draw on; None makes a figure.

        Returns
        -------
        matplotlib Axes

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
        if axes is None:
            axes = Figure((6.4, 4.0), layout="constrained").add_subplot()
        axes.plot(self.rates, self.losses, color="0.8", label="loss of each batch")
        axes.plot(self.rates, self.smoothed, color="teal", label="smoothed")
        axes.axvline(self.suggestion, color="tab:orange", label=f"suggestion {self.suggestion:.2g}")
        axes.set_xscale("log")
        top = max(self.smoothed[0], *self.smoothed[: self.smoothed.index(min(self.smoothed)) + 1])
        low = min(self.smoothed)
        axes.set_ylim(low - 0.1 * (top - low), top + 0.5 * (top - low) or None)
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss")
        axes.legend()
        return axes

    def __repr__(self) -> str:
        return (
            f"LearningRateSearch({len(self.rates)} steps from {self.rates[0]:.2g} to "
            f"{self.rates[-1]:.2g}, suggestion {self.suggestion:.2g})"
        )


def check_sweep(lowest: Any, highest: Any, n_steps: Any) -> np.ndarray:
    """Return the rates of a sweep: each as many times larger than the one before."""
    lowest = check_real("lowest", lowest, above=0.0)
    highest = check_real("highest", highest, above=0.0)
    n_steps = check_integer("n_steps", n_steps, at_least=LEAST_STEPS)
    if not lowest < highest:
        raise ValueError(f"lowest must be below highest, got {lowest:g} and {highest:g}.")
    return np.geomspace(lowest, highest, n_steps)


@in_exact_mode
def sweep(
    loop: Loop, data: TrainingData, rates: np.ndarray, order: np.ndarray
) -> LearningRateSearch:
    """Do a step with each of the rates, as long as the loss is of use.

    Parameters
    ----------
    loop : Loop
        Its model and optimizer are trained: copies.
    data : TrainingData
        The samples, and how many are a batch.
    rates : ndarray
        Rising.
    order : ndarray
        The order of the rows; begun again at its end.
    """
    n, size = len(data.rows), data.batch_size
    done: list[float] = []
    losses: list[float] = []
    for k, rate in enumerate(rates.tolist()):
        rows = order[(k * size + np.arange(size)) % n]
        batch = data.take(rows)
        loop.optimizer.learning_rate = rate
        try:
            loss = batch.targets.mean_of(loop.step(batch, of=(k, len(rates))))
        except DivergenceError:
            break
        if not math.isfinite(loss):
            break
        done, losses = [*done, rate], [*losses, loss]
        smoothed = _smoothed(losses)
        if len(losses) > LEAST_STEPS and smoothed[-1] > RISEN * min(smoothed):
            break
    if not losses:
        raise ValueError(
            f"lowest must be a rate that can be trained with, got {rates[0]:g}, at which the first "
            f"step diverges; scale the data, or begin with smaller weights."
        )
    return LearningRateSearch(done, losses)


def _smoothed(losses: list[float]) -> list[float]:
    """Return the exponential mean of each loss and those before it, without bias."""
    means, mean = [], 0.0
    for k, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        means.append(mean / (1 - SMOOTHING**k))
    return means


def _suggestion(rates: list[float], losses: list[float], smoothed: list[float]) -> float:
    """Return the rate at which half of the fall to the lowest smoothed loss is done."""
    lowest = smoothed.index(min(smoothed))
    start = float(np.mean(losses[: lowest // 4 + 1]))
    half = (start + smoothed[lowest]) / 2
    above = [k for k in range(lowest) if smoothed[k] >= half]
    return rates[above[-1] + 1] if above else rates[0] / 10
