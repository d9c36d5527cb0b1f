"""The kernels' slow twin: NumPy, float64, one idea a line, written for reading.

predict -> compare -> blame -> correct for a list of layers. Behind it, ``Kernels``
calls the compiled kernels of any variant directly, in scratch that is full of NaN.
"""

from dataclasses import dataclass

import numpy as np
from privates import (
    LOSSES,
    TABLE,
    OpSpec,
    OptimizerState,
    Parameters,
    aligned_empty,
    aligned_zeros,
    built_variants,
    dispatch,
    kernel_module,
    loss_table,
    missing_features,
    network_of,
    run,
    spec_of,
)

DTYPES = ("float32", "float64")
VARIANTS = [variant for variant in built_variants() if not missing_features(variant)]
# The kernels keep z of the last layer; else a takes its place.
KEEPS_Z = ("identity", *(name for name, row in TABLE.items() if row.loss))
HIDDEN = tuple(name for name, row in TABLE.items() if row.derivative is not None)
# Of nets that are drawn at random: exp of exp overflows within a few layers.
TAME = tuple(name for name in HIDDEN if name != "exp")


def mildness(activation):
    """What to multiply weights by, so that no layer of a deep net makes numbers much larger."""
    row = TABLE[activation]
    return 1 / max(1, row.derivative(2.0, row.default)) if row.derivative else 1


@dataclass
class Layer:
    """A dense layer: ``weight`` (n_in, n_out), ``bias`` (n_out,) or None."""

    weight: np.ndarray
    bias: np.ndarray | None
    activation: str = "identity"
    alpha: float | None = None

    def __post_init__(self):
        if self.alpha is None:
            self.alpha = TABLE[self.activation].default


# ---- predict ---------------------------------------------------------------------


def below_largest(z):
    """z - max z, where the largest are 0 also if they are infinite."""
    largest = z.max(axis=1, keepdims=True)
    return np.subtract(z, largest, out=np.zeros(z.shape), where=(z != largest) | np.isnan(z))


def negative_log_softmax(z):
    z = below_largest(z)
    return np.log(np.exp(z).sum(axis=1, keepdims=True)) - z


def binary_cross_entropies(z, y):
    """-log of what sigmoid z leaves to y; for infinite z 0 where y is what z says, else inf."""
    z_finite = np.where(np.isinf(z), 0, z)
    costs = np.maximum(z, 0) - z_finite * y + np.log1p(np.exp(-np.abs(z)))
    limits = np.where(np.where(z < 0, y, 1 - y) > 0, np.inf, 0)
    return np.where(np.isinf(z), limits, costs)


def activate(layer, z):
    return TABLE[layer.activation].value(z, layer.alpha)


def forward(layers, X):
    """The pairs (z, a) of all layers."""
    pairs, a = [], np.asarray(X, np.float64)
    for layer in layers:
        z = a @ layer.weight + (0 if layer.bias is None else layer.bias)
        a = activate(layer, z)
        pairs.append((z, a))
    return pairs


# ---- compare ---------------------------------------------------------------------


def one_hot(y, n_out):
    y = np.asarray(y)
    return np.eye(n_out)[y] if y.ndim == 1 else y.astype(np.float64)


def compare(loss, layer, z, a, y):
    """The mean cost of a batch, and dC/dz of the last layer."""
    n, n_out = a.shape
    if loss == "cross_entropy":
        y = one_hot(y, n_out)
        zeros = np.zeros(y.shape)  # instead of 0 * inf
        costs = np.multiply(y, negative_log_softmax(z), out=zeros, where=y != 0)
        return costs.sum() / n, (a - y) / n
    if loss == "binary_cross_entropy":
        return binary_cross_entropies(z, y).sum() / (n * n_out), (a - y) / (n * n_out)
    row = loss_table.TABLE[loss]
    if row.activation == "exp":
        return (a - y * z).mean(), (a - y) / (n * n_out)
    y = one_hot(y, n_out)
    d_a = row.gradient(a, y, row.default) / n
    return row.cost(a, y, row.default).mean(), derive(layer, z, a, d_a)


def n_right(loss, z, a, y):
    """What was predicted right: samples, or outputs for binary cross entropy."""
    if loss == "cross_entropy":
        return (a.argmax(axis=1) == one_hot(y, a.shape[1]).argmax(axis=1)).sum()
    return ((z > 0) == (y > 0.5)).sum() if loss == "binary_cross_entropy" else 0


# ---- blame -----------------------------------------------------------------------


def derive(layer, z, a, d_a):
    """dC/dz from dC/da."""
    if layer.activation == "softmax":
        return a * (d_a - (d_a * a).sum(axis=1, keepdims=True))
    return d_a * TABLE[layer.activation].derivative(z, layer.alpha)


def backward(layers, X, pairs, d_z):
    """(dC/dW, dC/db) of every layer, and dC/dx."""
    gradients = []
    below = [np.asarray(X, np.float64), *(a for _, a in pairs)]
    for i in range(len(layers) - 1, -1, -1):
        gradients.insert(0, (below[i].T @ d_z, d_z.sum(axis=0)))
        d_a = d_z @ layers[i].weight.T
        d_z = derive(layers[i - 1], *pairs[i - 1], d_a) if i else d_a
    return gradients, d_z


# ---- correct ---------------------------------------------------------------------


class SGD:
    """w <- w - learning_rate * step, for any number of arrays; keeps their velocities."""

    def __init__(self, learning_rate, momentum=0.0, nesterov=False, weight_decay=0.0):
        self.spec = learning_rate, momentum, nesterov, weight_decay
        self.velocities = {}

    def correct(self, name, w, g):
        learning_rate, momentum, nesterov, weight_decay = self.spec
        g = g + weight_decay * w
        v = momentum * self.velocities.get(name, 0) + g
        if momentum:  # what decays below the smallest normal number becomes 0
            v = np.where(np.abs(v) < np.finfo(np.asarray(v).dtype).tiny, 0, v)
        self.velocities[name] = v
        w -= learning_rate * (g + momentum * v if nesterov else v)


def train_step(layers, loss, optimizer, X, y):
    """One step in place; returns the mean cost."""
    pairs = forward(layers, X)
    cost, d_z = compare(loss, layers[-1], *pairs[-1], y)
    gradients, _ = backward(layers, X, pairs, d_z)
    for i, (layer, (d_weight, d_bias)) in enumerate(zip(layers, gradients, strict=True)):
        optimizer.correct((i, "weight"), layer.weight, d_weight)
        if layer.bias is not None:
            optimizer.correct((i, "bias"), layer.bias, d_bias)
    return cost


# ---- the compiled kernels, called directly -----------------------------------------


def parameters(model):
    """The views of all weights and biases."""
    return [p for layer in model.layers for p in (layer.weight, layer.bias) if p is not None]


def kernels(variant, dtype):
    return kernel_module(variant, dtype)


def loss_spec(module, loss, n_out):
    """The LossSpec of a loss by name, of one module of kernels."""
    return spec_of(LOSSES[loss](), n_out, module)


class Kernels:
    """One variant's kernels with the twin's layers; what isn't written yet is NaN."""

    def __init__(self, variant, dtype, layers):
        self.dtype = np.dtype(dtype)
        self.kernels = kernels(variant, dtype)
        self.parameters = Parameters(
            [(*x.weight.shape, x.bias is not None) for x in layers], self.dtype
        )
        self.places = self.parameters.places
        for layer, place in zip(layers, self.places, strict=True):
            place.weight(self.parameters.values)[...] = layer.weight
            if place.has_bias:
                place.bias(self.parameters.values)[...] = layer.bias
        ops = [
            OpSpec("product", p.n_in, p.n_out, p.offset, p.has_bias, x.activation, x.alpha)
            for x, p in zip(layers, self.places, strict=True)
        ]
        self.network = self.kernels.Network(ops, self.parameters.values)

    def spoiled(self, size):
        """NaN, aligned as the kernels want it."""
        array = aligned_empty(size, self.dtype)
        array.fill(np.nan)
        return array

    def spoil_scratch(self, capacity):
        """New scratch for training, with a fence behind it that must stay NaN."""
        size = self.kernels.workspace_size(self.network, capacity, True)
        memory = self.spoiled(size + 64)
        self.workspace = self.kernels.Workspace(self.network, capacity, True, memory[:size])
        return memory[size:]

    def cast(self, x):
        return np.ascontiguousarray(x, self.dtype)

    def predict(self, X, n_threads=1):
        out = np.full((len(X), self.places[-1].n_out), np.nan, self.dtype)
        scratch = self.spoiled(n_threads * self.network.predict_scratch_size)
        work = self.kernels.PredictionWork(
            self.network, self.cast(X), out, scratch, n_threads=n_threads
        )
        run(work, n_threads)
        return out

    def forward(self, X):
        """(z, a) of the last layer."""
        z, a = np.full((2, len(X), self.places[-1].n_out), np.nan, self.dtype)
        self.x = self.cast(X)  # the network looks at it again in backward
        self.kernels.forward(self.workspace, self.x, a, z)
        return z, a

    def backward(self, d_out, is_d_z=False):
        """The gradients, as one buffer, and dC/dx."""
        gradients = self.spoiled(self.parameters.values.size)
        d_x = np.full((len(d_out), self.places[0].n_in), np.nan, self.dtype)
        self.kernels.backward(self.workspace, self.cast(d_out), is_d_z, gradients, d_x)
        return gradients, d_x

    def targets(self, y):
        """Y as the kernels want it: (values, labels), one of them None."""
        y = np.asarray(y)
        return (None, y.astype(np.int64)) if y.ndim == 1 else (self.cast(y), None)

    def update(self, numbers):
        """(learning rate, momentum, nesterov, weight decay) of SGD as the kernels take them."""
        return self.kernels.UpdateSpec("sgd", *numbers)

    def train(
        self,
        loss,
        optimizer,
        X,
        y,
        state=None,
        order=None,
        batch_size=None,
        span=None,
        n_threads=1,
        crowded=False,
        **weights,
    ):
        """All steps of the rows in span; returns (outcome, cost, n_right, start, layer)."""
        first, last = span or (0, len(X))
        work = self.kernels.TrainingWork(
            self.workspace, self.cast(X), *self.targets(y), order, first, last,
            batch_size or len(X), loss_spec(self.kernels, loss, self.places[-1].n_out),
            self.update(optimizer), self.state().buffer if state is None else state,
            0.0, 0, n_threads, crowded, **weights,
        )  # fmt: skip
        return run(work, n_threads)

    def evaluate(self, loss, X, y, n_threads=1, **weights):
        """The sum of the costs, and what was right."""
        scratch = self.spoiled(n_threads * self.network.predict_scratch_size)
        costs = np.full(len(X), np.nan, self.dtype)
        spec = loss_spec(self.kernels, loss, self.places[-1].n_out)
        work = self.kernels.PredictionWork(
            self.network,
            self.cast(X),
            None,
            scratch,
            *self.targets(y),
            spec,
            costs,
            n_threads,
            **weights,
        )
        n_right = run(work, n_threads)
        return self.kernels.sum_costs(costs, 0.0), n_right

    def correct(self, gradients, optimizer, state, snapshot=None):
        """One update of all parameters by these gradients."""
        update = self.update(optimizer)
        return self.kernels.correct(self.network, gradients, update, state, snapshot)

    def state(self, n_planes=1):
        return OptimizerState(n_planes, self.parameters.values.size, self.dtype)

    def zeros(self):
        return aligned_zeros(self.parameters.values.size, self.dtype)

    def padding(self, buffer):
        """What lies behind the rows of all layers."""
        rows = [
            buffer[p.offset : p.end].reshape(-1, p.row)[:, p.n_out :].ravel() for p in self.places
        ]
        return np.concatenate(rows)


def workspace_size(model, capacity):
    """Numbers of scratch that training of a model in such batches needs."""
    module = dispatch.kernels(model.dtype)
    return module.workspace_size(network_of(model), capacity, False)
