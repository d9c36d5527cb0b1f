# What Python sees of a kernel module. The others, of another instruction set or dtype, have the
# same.

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from fastbackprop._core.lock import TrainingLock
from fastbackprop._predict.op import OpSpec

ACTIVATIONS: tuple[str, ...]
OPS: tuple[str, ...]
LOSSES: tuple[str, ...]
UPDATES: tuple[str, ...]
dtype: str
variant: str
has_fma: bool
is_debug: bool
sources: str

class LossSpec:
    def __new__(
        cls,
        kind: str,
        fused: bool,
        gradient_factor: float,
        cost_factor: float,
        n_targets: int,
        parameter: float = 0,
        on: float = 1,
        off: float = 0,
        masks: bool = False,
        columns: np.ndarray | None = None,
        most: float = ...,
    ) -> Self: ...
    @property
    def gradient_factor(self) -> float: ...

class UpdateSpec:
    def __new__(
        cls,
        kind: str,
        learning_rate: float,
        momentum: float = 0,
        nesterov: bool = False,
        weight_decay: float = 0,
        *,
        decoupled: bool = False,
        decay_biases: bool = True,
        amsgrad: bool = False,
        centered: bool = False,
        beta_1: float = 0,
        beta_2: float = 0,
        epsilon: float = 0,
        fading: float = 1,
        shorten: float = 0,
        lengthen: float = 0,
        shortest: float = 0,
        longest: float = 0,
        decay_per_weight: bool = False,
        scaled_velocity: bool = False,
        bare_epsilon: bool = False,
    ) -> Self: ...
    @property
    def n_planes(self) -> int: ...

class Network:
    def __new__(
        cls,
        layers: list[OpSpec],
        parameters: np.ndarray,
        running: np.ndarray | None = None,
        seed: int = 0,
        near_weights: int = ...,
    ) -> Self: ...
    @property
    def clipping_scratch_size(self) -> int: ...
    @property
    def most_rows(self) -> int: ...
    @property
    def predict_scratch_size(self) -> int: ...

class Workspace:
    def __new__(
        cls, network: Network, capacity: int, reaches_inputs: bool, scratch: np.ndarray
    ) -> Self: ...
    @property
    def capacity(self) -> int: ...
    @property
    def reaches_inputs(self) -> bool: ...
    def drop_by(self, k: int, rates: np.ndarray, first_forward: int) -> None: ...

def chunks_of_weights(network: Network) -> int: ...
def chunks_of_rows(network: Network, n: int) -> int: ...

class Work:
    # Seconds that run waited for the GIL after its work.
    @property
    def waited(self) -> float: ...
    def help(self) -> None: ...
    def limit(self, n_threads: int, /) -> None: ...

class TrainingWork(Work):
    def __init__(
        self,
        workspace: Workspace,
        X: np.ndarray,
        targets: np.ndarray | None,
        labels: np.ndarray | None,
        order: np.ndarray | None,
        first: int,
        last: int,
        batch_size: int,
        loss_spec: LossSpec,
        update_spec: UpdateSpec,
        state: np.ndarray,
        cost: float,
        n_right: int,
        n_threads: int = 1,
        crowded: bool = False,
        undo: np.ndarray | None = None,
        rates: np.ndarray | None = None,
        undo_is_filled: bool = True,
        clip_value: float = 0,
        clip_norm: float = 0,
        clipping: np.ndarray | None = None,
        weights: np.ndarray | None = None,
        shares: np.ndarray | None = None,
        n_forwards: int = 0,
        report: np.ndarray | None = None,
        rights: np.ndarray | None = None,
        is_packed: bool = False,
        goes_on: bool = False,
    ) -> None: ...
    # outcome, cost, n_right, first row of the batch, layer
    def run(
        self, call: Callable[[Work], Any] | None = None
    ) -> tuple[int, float, int, int, int]: ...

class SpanWork(Work):
    def run(self, call: Callable[[Work], Any] | None = None) -> Any: ...

class PredictionWork(SpanWork):
    def __init__(
        self,
        network: Network,
        X: np.ndarray,
        out: np.ndarray | None,
        scratch: np.ndarray,
        targets: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        loss_spec: LossSpec | None = None,
        costs: np.ndarray | None = None,
        n_threads: int = 1,
        crowded: bool = False,
        weights: np.ndarray | None = None,
        shares: np.ndarray | None = None,
        rights: np.ndarray | None = None,
    ) -> None: ...
    def run(self, call: Callable[[Work], Any] | None = None) -> int: ...

class ExactMode:
    def __enter__(self) -> None: ...
    def __exit__(self, *error: object) -> None: ...

def count_fork() -> None: ...

class OutputDerivativesWork(SpanWork):
    def __init__(
        self,
        workspace: Workspace,
        X: np.ndarray,
        combinations: np.ndarray,
        out: np.ndarray,
        is_packed: bool,
        n_threads: int = 1,
        crowded: bool = False,
    ) -> None: ...

class SampleGradientsWork(SpanWork):
    def __new__(cls, workspace: Workspace, *args: Any) -> Self: ...
    def __init__(
        self,
        workspace: Workspace,
        X: np.ndarray,
        targets: np.ndarray | None,
        labels: np.ndarray | None,
        loss_spec: LossSpec,
        out: list[tuple[np.ndarray | None, np.ndarray | None]],
        n_threads: int = 1,
        crowded: bool = False,
    ) -> None: ...

class HessianWork(SpanWork):
    def __init__(
        self,
        workspace: Workspace,
        direction: Workspace,
        X: np.ndarray,
        targets: np.ndarray | None,
        labels: np.ndarray | None,
        loss_spec: LossSpec,
        out: np.ndarray,
        scratch: np.ndarray,
        of_weights: bool,
        first: int,
        last: int,
        n_threads: int = 1,
        crowded: bool = False,
        shares: np.ndarray | None = None,
    ) -> None: ...

# Quick paths: each returns None for what isn't simple.
class Room:
    def __new__(cls, size: int) -> Self: ...

class Quick: ...

class QuickPredictor:
    def __new__(
        cls,
        network: Network,
        center: np.ndarray | None = None,
        scale: np.ndarray | None = None,
        factor: np.ndarray | None = None,
        offset: np.ndarray | None = None,
        n_calls: int = 1,
    ) -> Self: ...
    def predict(self, X: Any, check_finite: bool, /) -> np.ndarray | None: ...

INTEGRAND: str
FILTER: str
ROW: str

class CompiledNet:
    def __new__(
        cls,
        network: Network,
        n_calls: int,
        factor: np.ndarray | None = None,
        center: np.ndarray | None = None,
        scale: np.ndarray | None = None,
        out_factor: np.ndarray | None = None,
        out_offset: np.ndarray | None = None,
    ) -> Self: ...
    def capsule(self, signature: str, /) -> Any: ...

class QuickTargets:
    def __new__(cls, spec: LossSpec, n_out: int, capacity: int, /) -> Self: ...
    @property
    def capacity(self) -> int: ...

class Version:
    def __new__(cls, counts: np.ndarray, lock: TrainingLock, is_simple: bool, /) -> Self: ...
    @property
    def is_current(self) -> bool: ...

class QuickStep:
    def __init__(
        self,
        version: Version,
        optimizer: Any,
        specs: dict[Any, Any],
        work: TrainingWork,
        targets: QuickTargets,
        answers: int,
        /,
    ) -> None: ...
    def suits(self, n: int, /) -> bool: ...
    def step(self, X: Any, y: Any, sample_weight: Any, check_finite: bool, /) -> float | None: ...
    def fit_row(self, X: Any, y: Any, /) -> tuple[float, float | None] | None: ...

class QuickEvaluation(Quick):
    def __init__(
        self,
        version: Version,
        network: Network,
        targets: QuickTargets,
        answers: int,
        /,
    ) -> None: ...
    def suits(self, n: int, /) -> bool: ...
    def evaluate(
        self, X: Any, y: Any, sample_weight: Any, check_finite: bool, /
    ) -> dict[str, float] | None: ...

class Pass:
    def __init__(
        self,
        version: Version,
        workspace: Workspace,
        pool: Any,
        rows: np.ndarray,
        is_row: bool,
        n_trainings: int,
        output: tuple[Any, Any, str],
        /,
    ) -> None: ...
    @property
    def workspace(self) -> Workspace: ...
    @property
    def rows(self) -> np.ndarray: ...
    @property
    def pool(self) -> Any: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def n_trainings(self) -> int: ...
    def begin_backward(self, gradients: np.ndarray, /) -> None: ...
    def forward(self, X: Any, training: Any, check_finite: bool, /) -> np.ndarray | None: ...
    def backward(self, d_y_hat: Any, /) -> np.ndarray | None: ...

class QuickUpdate:
    def __init__(
        self,
        version: Version,
        network: Network,
        specs: dict[Any, Any],
        update_spec: UpdateSpec,
        state: np.ndarray,
        gradients: np.ndarray,
        /,
    ) -> None: ...
    def suits(self, specs: dict[Any, Any], /) -> bool: ...
    def correct(self, specs: dict[Any, Any], /) -> bool: ...

class QuickLoss(Quick):
    def __init__(
        self,
        targets: QuickTargets,
        output: tuple[Any, Any, str | None],
        smoothing: float,
        /,
    ) -> None: ...
    @property
    def capacity(self) -> int: ...
    def is_of(self, cls: type, n_out: int, /) -> bool: ...
    def compare(
        self, y_hat: Any, y: Any, sample_weight: Any, /
    ) -> tuple[float, np.ndarray] | None: ...

class QuickDerivatives(Quick):
    def __init__(
        self,
        version: Version,
        workspace: Workspace,
        /,
    ) -> None: ...
    def suits(self, size: int, /) -> bool: ...
    def input_gradient(self, X: Any, output: Any, /) -> np.ndarray | None: ...
    def jacobian(self, X: Any, /) -> np.ndarray | None: ...

class QuickSamples(Quick):
    def __init__(
        self,
        version: Version,
        workspace: Workspace,
        direction: Workspace,
        targets: QuickTargets,
        loss: Any,
        out: np.ndarray,
        scratch: np.ndarray,
        /,
    ) -> None: ...
    def suits(self, n: int, loss: Any, /) -> bool: ...
    def sample_gradients(self, X: Any, y: Any, loss: Any, /) -> list[Any] | None: ...
    def hessian_vector_product(self, X: Any, y: Any, loss: Any, v: Any, /) -> list[Any] | None: ...

def workspace_size(network: Network, capacity: int, reaches_inputs: bool) -> int: ...
def inspect(
    workspace: Workspace,
    k: int,
    z: np.ndarray,
    a: np.ndarray,
    derivative: np.ndarray,
    d_a: np.ndarray,
    delta: np.ndarray,
) -> None: ...
def hessian_rows(network: Network, n: int, n_threads: int) -> int: ...
def hessian_chunks(network: Network) -> int: ...
def sum_costs(costs: np.ndarray, total: float) -> float: ...
def compare(
    loss_spec: LossSpec,
    z: np.ndarray,
    a: np.ndarray,
    targets: np.ndarray | None,
    labels: np.ndarray | None,
    delta: np.ndarray,
    n_out: int,
    costs: np.ndarray,
    weights: np.ndarray | None = None,
    shares: np.ndarray | None = None,
) -> float: ...
def correct(
    network: Network,
    gradients: np.ndarray,
    update_spec: UpdateSpec,
    state: np.ndarray,
    snapshot: np.ndarray | None = None,
    rates: np.ndarray | None = None,
) -> int: ...
def clip(
    network: Network,
    gradients: np.ndarray,
    clip_value: float,
    clip_norm: float,
    scratch: np.ndarray,
) -> float: ...
def first_nonfinite(x: np.ndarray) -> int: ...
def scale_columns(
    x: np.ndarray, center: np.ndarray, scale: np.ndarray, out: np.ndarray
) -> None: ...
def first_outside(labels: np.ndarray, n_classes: int) -> int: ...
def shuffle(order: np.ndarray, words: np.ndarray, first: int = 0) -> None: ...
def apply(function: str, x: np.ndarray, out: np.ndarray) -> None: ...
def activate(
    name: str,
    alpha: float,
    z: np.ndarray,
    a: np.ndarray,
    derivative: np.ndarray,
    second: np.ndarray,
) -> None: ...
def multiply_adds(n: int) -> int: ...
def forward(
    workspace: Workspace,
    X: np.ndarray,
    y_hat: np.ndarray,
    z: np.ndarray,
    training: bool = True,
    n_forwards: int = 0,
    weights: np.ndarray | None = None,
) -> None: ...
def backward(
    workspace: Workspace,
    d_out: np.ndarray,
    is_d_z: bool,
    gradients: np.ndarray,
    d_x: np.ndarray,
) -> None: ...
