"""What is measured: networks, training methods, batches, and made-up data."""

from dataclasses import dataclass, field
from itertools import pairwise

import judge
import numpy as np
from judge import Weights


@dataclass(frozen=True)
class Method:
    """What a training has beside plain SGD, relu and dense layers.

    Attributes
    ----------
    name : str
        As in the table; empty for plain SGD.
    optimizer : {"sgd", "adam", "adamw"}
        Adam and AdamW with PyTorch's defaults, AdamW with weight decay 0.01.
    clip_norm : float or None
        Largest global norm of the gradient.
    dropout : float
        Rate behind each hidden activation.
    normalization : {"batch", "layer"} or None
        Norm between each hidden layer's products and its activation.
    activation : {"relu", "gelu"}
        Of hidden layers; gelu is the exact one.
    """

    name: str = ""
    optimizer: str = "sgd"
    clip_norm: float | None = None
    dropout: float = 0.0
    normalization: str | None = None
    activation: str = "relu"

    @property
    def is_plain(self) -> bool:
        """Whether it is plain SGD of a plain network."""
        return not self.name


PLAIN = Method()
METHODS = (
    Method("Adam", optimizer="adam"),
    Method("AdamW clipped", optimizer="adamw", clip_norm=1.0),
    Method("dropout 0.2", dropout=0.2),
    Method("BatchNorm", normalization="batch"),
    Method("LayerNorm", normalization="layer"),
    Method("gelu", activation="gelu"),
)


@dataclass(frozen=True)
class Workload:
    """One line of the table.

    Attributes
    ----------
    kind : str
        "train" or "predict".
    widths : tuple of int
        Inputs, hidden widths, outputs; relu (or the method's activation) between, softmax (or, for
        regression, nothing) at the end.
    batch : int
        Rows in a training step, or in a call of predict.
    n_batches : int
        Batches in an epoch of the data.
    is_regression : bool
        Half squared error instead of cross entropy with integer labels.
    is_quick : bool
        Whether ``--quick`` runs it.
    method : Method
        How it is trained.
    in_float64 : bool
        Whether ours is measured in float64, too.
    """

    kind: str
    widths: tuple[int, ...]
    batch: int
    n_batches: int = 1
    is_regression: bool = False
    is_quick: bool = False
    method: Method = field(default=PLAIN)
    in_float64: bool = False

    @property
    def name(self) -> str:
        """Name in the table and for ``--workloads``."""
        size = (
            f"batch {self.batch}"
            if self.kind == "train"
            else f"{self.batch} row{'s' * (self.batch > 1)}"
        )
        return f"{self.kind} {'-'.join(map(str, self.widths))} {size} {self.method.name}".rstrip()

    @property
    def flops(self) -> int:
        """Useful floating-point operations of a step or call: those of the matrix products.

        Norms, activations and optimizers do more, but a few for each number, not for each product.
        """
        products = [2 * n_in * n_out * self.batch for n_in, n_out in pairwise(self.widths)]
        if self.kind == "predict":
            return sum(products)
        # predict, dC/dW, and delta for every layer below but the inputs.
        return 3 * sum(products) - products[0]


# An epoch of the larger ones is short, so that a round of it is: see rounds.py.
WORKLOADS = (
    Workload("train", (4, 8, 3), 1, 10_000, is_quick=True),
    Workload("train", (4, 16, 16, 3), 32, 320),
    Workload("train", (64, 64, 10), 32, 320, is_quick=True, in_float64=True),
    Workload("train", (17, 64, 64, 6), 64, 160),
    Workload("train", (784, 128, 10), 128, 32, is_quick=True),
    Workload("train", (784, 512, 512, 10), 256, 4, in_float64=True),
    Workload("train", (1024, 1024, 1024, 1024, 10), 512, 2),
    # Logistic regression, and a usual net for tables.
    Workload("train", (100, 10), 64, 320),
    Workload("train", (50, 256, 256, 256, 1), 256, 16, is_regression=True),
    # Odd ones, that nobody tunes for.
    Workload("train", (3, 3, 2), 1, 10_000),
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
    Workload("train", (100, 10), 64, 320, method=METHODS[0]),
    Workload("train", (50, 256, 256, 256, 1), 256, 16, is_regression=True, method=METHODS[0]),
    # The methods, beside plain SGD on the same networks.
    Workload("train", (256, 256, 256, 10), 256, 16),
    *(
        Workload("train", widths, batch, n_batches, is_quick=batch == 32, method=method)
        for widths, batch, n_batches in (
            ((64, 64, 10), 32, 320),
            ((784, 128, 10), 128, 32),
            ((256, 256, 256, 10), 256, 16),
        )
        for method in METHODS
    ),
)

# Measured by several threads, too.
THREADED = (
    "train 784-128-10 batch 128",
    "train 784-512-512-10 batch 256",
    "train 1024-1024-1024-1024-10 batch 512",
    "train 17-64-64-6 batch 64",
    "train 50-256-256-256-1 batch 256",
    "predict 64-64-10 1024 rows",
    "predict 784-128-10 1024 rows",
)


class Task:
    """A workload with its data and initial weights: what every runner is given.

    Parameters
    ----------
    workload : Workload
        Workload to make data for.
    n_threads : int
        Number of threads that a runner may use.

    Attributes
    ----------
    X, y : ndarray
        float32 (n, n_in); int64 labels (n,) or float32 (n, 1).
    weights : Weights
        Initial weights in float32: for each dense layer W and b, and of the norm behind it gamma
        and beta, for BatchNorm also running mean and variance.
    learning_rate : float
        Learning rate of the optimizer.
    """

    def __init__(self, workload: Workload, n_threads: int = 1) -> None:
        self.workload = workload
        self.n_threads = n_threads
        # Small enough that nothing diverges: the squared error of a wide layer is steep.
        is_small = workload.is_regression or workload.method.optimizer != "sgd"
        self.learning_rate = 0.001 if is_small else 0.01
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
        if workload.method.normalization is not None:
            n_arrays = 4 if workload.method.normalization == "batch" else 2
            self.weights[:-1] = [
                (*layer, *(np.full(len(layer[1]), value, np.float32) for value in (1, 0, 0, 1)))[
                    : 2 + n_arrays
                ]
                for layer in self.weights[:-1]
            ]

    def order(self, n_steps: int) -> np.ndarray:
        """Return row numbers (n_steps, batch), shuffled epoch by epoch: the same by each call."""
        generator = np.random.default_rng(1)
        n_epochs = -(-n_steps // self.workload.n_batches)
        rows = np.concatenate([generator.permutation(len(self.X)) for _ in range(n_epochs)])
        return rows.reshape(-1, self.workload.batch)[:n_steps]

    def loss(self, weights: Weights, order: np.ndarray) -> float:
        """Return the loss of these weights on the rows in order, in float64."""
        rows = order.ravel()
        return judge.loss(self.workload, weights, self.X[rows], self.y[rows])


def copied(weights: Weights) -> Weights:
    """Copy weights, for runners that would overwrite them."""
    return [tuple(array.copy() for array in layer) for layer in weights]


def selected(words: list[str], quick: bool) -> list[Workload]:
    """Return the workloads with one of the words in their name; without words all, or the quick."""
    if words:
        return [workload for workload in WORKLOADS if any(word in workload.name for word in words)]
    return [workload for workload in WORKLOADS if workload.is_quick or not quick]


def threaded(words: list[str], quick: bool) -> list[Workload]:
    """Return those of them that are measured by several threads, too."""
    return [workload for workload in selected(words, quick) if workload.name in THREADED]
