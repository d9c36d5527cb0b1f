"""What is measured: networks, batches, made-up data, and the reference in float64 for results."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Weights = list[tuple[np.ndarray, np.ndarray]]  # (W, b) of each layer, W of shape (n_in, n_out)


@dataclass(frozen=True)
class Workload:
    """One line of the table.

    Attributes
    ----------
    kind : str
        "train" or "predict".
    widths : tuple of int
        Inputs, hidden widths, outputs; relu between, softmax (or, for regression, nothing) at the
        end.
    batch : int
        Rows in a training step, or in a call of predict.
    n_batches : int
        Batches in an epoch of the data.
    is_regression : bool
        Half squared error instead of cross entropy with integer labels.
    is_quick : bool
        Whether ``--quick`` runs it.
    """

    kind: str
    widths: tuple[int, ...]
    batch: int
    n_batches: int = 1
    is_regression: bool = False
    is_quick: bool = False

    @property
    def name(self) -> str:
        """As in the table and in ``--workloads``."""
        size = (
            f"batch {self.batch}"
            if self.kind == "train"
            else f"{self.batch} row{'s' * (self.batch > 1)}"
        )
        return f"{self.kind} {'-'.join(map(str, self.widths))} {size}"

    @property
    def flops(self) -> int:
        """Useful floating-point operations of a step or call: those of the matrix products."""
        products = [2 * n_in * n_out * self.batch for n_in, n_out in pairwise(self.widths)]
        if self.kind == "predict":
            return sum(products)
        # predict, dC/dW, and delta for every layer below but the inputs.
        return 3 * sum(products) - products[0]


# An epoch of the larger ones is short, so that a round of it is: see rounds.py.
WORKLOADS = (
    Workload("train", (4, 8, 3), 1, 10_000, is_quick=True),
    Workload("train", (4, 16, 16, 3), 32, 320),
    Workload("train", (64, 64, 10), 32, 320, is_quick=True),
    Workload("train", (17, 64, 64, 6), 64, 160),
    Workload("train", (784, 128, 10), 128, 32, is_quick=True),
    Workload("train", (784, 512, 512, 10), 256, 4),
    Workload("train", (1024, 1024, 1024, 1024, 10), 512, 2),
    # Odd ones, that nobody tunes for.
    Workload("train", (5, 5, 1), 1, 10_000, is_regression=True),
    Workload("train", (13, 37, 5), 17, 500),
    Workload("train", (100, 300, 1), 64, 100, is_regression=True),
    Workload("train", (30, 200, 200, 2), 100, 40),
    Workload("train", (2000, 50, 3), 256, 16),
    Workload("predict", (64, 64, 10), 1, is_quick=True),
    Workload("predict", (64, 64, 10), 32),
    Workload("predict", (64, 64, 10), 1024),
    Workload("predict", (784, 128, 10), 1),
    Workload("predict", (784, 128, 10), 32),
    Workload("predict", (784, 128, 10), 1024, is_quick=True),
)


class Task:
    """A workload with its data and initial weights: what every runner is given.

    Parameters
    ----------
    workload : Workload
        What to make data for.
    n_threads : int
        How many threads a runner may use.

    Attributes
    ----------
    X, y : ndarray
        float32 (n, n_in); int64 labels (n,) or float32 (n, 1).
    weights : Weights
        float32.
    learning_rate : float
        Of plain SGD.
    """

    def __init__(self, workload: Workload, n_threads: int = 1) -> None:
        self.workload = workload
        self.n_threads = n_threads
        # Small enough that nothing diverges: the squared error of a wide layer is steep.
        self.learning_rate = 0.001 if workload.is_regression else 0.01
        self._generator = np.random.default_rng(0)
        draw = self._generator.standard_normal
        widths = workload.widths
        self.X = draw((workload.batch * workload.n_batches, widths[0]), np.float32)
        # Something that can be learned: a linear map, so that no runner meets infinities or
        # denormals.
        answers = self.X @ draw((widths[0], widths[-1]), np.float32) / np.float32(widths[0]) ** 0.5
        self.y = answers if workload.is_regression else answers.argmax(axis=1)
        self.weights: Weights = [
            (
                draw((n_in, n_out), np.float32) * np.float32((2 / n_in) ** 0.5),
                draw(n_out, np.float32) * np.float32(0.1),
            )
            for n_in, n_out in pairwise(widths)
        ]

    def order(self, n_steps: int) -> np.ndarray:
        """Row numbers (n_steps, batch), shuffled epoch by epoch: the same by each call."""
        generator = np.random.default_rng(1)
        n_epochs = -(-n_steps // self.workload.n_batches)
        rows = np.concatenate([generator.permutation(len(self.X)) for _ in range(n_epochs)])
        return rows.reshape(-1, self.workload.batch)[:n_steps]

    def loss(self, weights: Weights, order: np.ndarray) -> float:
        """The loss of these weights on the rows in order, in float64."""
        rows = order.ravel()
        a = self.X[rows].astype(np.float64)
        for i, (weight, bias) in enumerate(weights):
            a = a @ np.asarray(weight, np.float64) + np.asarray(bias, np.float64)
            if i < len(weights) - 1:
                a = np.maximum(a, 0)
        if self.workload.is_regression:
            return float(0.5 * ((a - self.y[rows]) ** 2).sum(axis=1).mean())
        a -= a.max(axis=1, keepdims=True)
        return float((np.log(np.exp(a).sum(axis=1)) - a[np.arange(len(rows)), self.y[rows]]).mean())


def copied(weights: Weights) -> Weights:
    """Copies, for runners that would overwrite them."""
    return [(weight.copy(), bias.copy()) for weight, bias in weights]


def selected(words: list[str], quick: bool) -> list[Workload]:
    """Return the workloads with one of the words in their name; without words all, or the quick."""
    if words:
        return [workload for workload in WORKLOADS if any(word in workload.name for word in words)]
    return [workload for workload in WORKLOADS if workload.is_quick or not quick]
