# What Python sees of a kernel module. The others, of another instruction set or dtype, have the
# same.

from collections.abc import Callable
from typing import Any, Self

import numpy as np

ACTIVATIONS: tuple[str, ...]
LOSSES: tuple[str, ...]
dtype: str
variant: str
has_fma: bool
is_debug: bool
sources: str

# Of a loss: name, fused, gradient factor, cost factor. Of an update: learning rate, momentum,
# nesterov, weight decay.
_LossSpec = tuple[str, bool, float, float]
_UpdateSpec = tuple[float, float, bool, float]

class Network:
    # (n_in, n_out, offset of the weight, has a bias, activation, slope) each.
    def __new__(
        cls, layers: list[tuple[int, int, int, bool, str, float]], parameters: np.ndarray
    ) -> Self: ...
    @property
    def predict_scratch_size(self) -> int: ...
    @property
    def backward_scratch_size(self) -> int: ...
    def scratch_size(self, capacity: int) -> int: ...
    def set_scratch(self, capacity: int, scratch: np.ndarray) -> None: ...

class Work:
    # Seconds that run waited for the GIL after its work.
    @property
    def waited(self) -> float: ...
    def help(self) -> None: ...

class TrainingWork(Work):
    def __init__(
        self,
        network: Network,
        X: np.ndarray,
        targets: np.ndarray | None,
        labels: np.ndarray | None,
        order: np.ndarray | None,
        first: int,
        last: int,
        batch_size: int,
        loss_spec: _LossSpec,
        update_spec: _UpdateSpec,
        velocity: np.ndarray | None,
        cost: float,
        n_right: int,
        n_threads: int = 1,
        crowded: bool = False,
        undo: np.ndarray | None = None,
        n_steps: np.ndarray | None = None,
    ) -> None: ...
    # outcome, cost, n_right, first row of the batch, layer
    def run(
        self, call: Callable[[Work], Any] | None = None
    ) -> tuple[int, float, int, int, int]: ...

class PredictionWork(Work):
    def __init__(
        self,
        network: Network,
        X: np.ndarray,
        out: np.ndarray | None,
        scratch: np.ndarray,
        targets: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        loss_spec: _LossSpec | None = None,
        costs: np.ndarray | None = None,
        n_threads: int = 1,
        crowded: bool = False,
    ) -> None: ...
    def run(self, call: Callable[[Work], Any] | None = None) -> int: ...

class ExactMode:
    def __enter__(self) -> None: ...
    def __exit__(self, *error: object) -> None: ...

def count_fork() -> None: ...

class QuickPredictor:
    def __new__(cls, network: Network) -> Self: ...
    def predict(self, X: Any, check_finite: bool) -> np.ndarray | None: ...

def inspect(
    network: Network,
    k: int,
    z: np.ndarray,
    a: np.ndarray,
    derivative: np.ndarray,
    d_a: np.ndarray,
    delta: np.ndarray,
) -> None: ...
def output_derivatives(
    network: Network,
    X: np.ndarray,
    combinations: np.ndarray,
    out: np.ndarray,
    scratch: np.ndarray,
    is_packed: bool,
) -> None: ...
def sample_gradients(
    network: Network,
    X: np.ndarray,
    targets: np.ndarray | None,
    labels: np.ndarray | None,
    loss_spec: _LossSpec,
    out: list[tuple[np.ndarray, np.ndarray | None]],
) -> None: ...
def hessian_vector_product(
    network: Network,
    direction: Network,
    X: np.ndarray,
    targets: np.ndarray | None,
    labels: np.ndarray | None,
    loss_spec: _LossSpec,
    out: np.ndarray,
    scratch: np.ndarray,
) -> None: ...
def sum_costs(costs: np.ndarray, total: float) -> float: ...
def compare(
    loss_spec: _LossSpec,
    z: np.ndarray,
    a: np.ndarray,
    targets: np.ndarray | None,
    labels: np.ndarray | None,
    delta: np.ndarray,
    n_out: int,
    costs: np.ndarray,
) -> float: ...
def correct(
    parameters: np.ndarray,
    gradients: np.ndarray,
    velocity: np.ndarray | None,
    update_spec: _UpdateSpec,
    snapshot: np.ndarray,
) -> int: ...
def first_nonfinite(x: np.ndarray) -> int: ...
def first_outside(labels: np.ndarray, n_classes: int) -> int: ...
def shuffle(order: np.ndarray, words: np.ndarray) -> None: ...
def apply(function: str, x: np.ndarray, out: np.ndarray) -> None: ...
def multiply_adds(n: int) -> int: ...
def forward(network: Network, X: np.ndarray, y_hat: np.ndarray, z: np.ndarray) -> None: ...
def backward(
    network: Network,
    d_out: np.ndarray,
    is_d_z: bool,
    gradients: np.ndarray,
    d_x: np.ndarray,
    scratch: np.ndarray,
) -> None: ...
