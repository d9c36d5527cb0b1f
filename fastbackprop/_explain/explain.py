"""explain: one step of backpropagation with every number of it, none of them made a second time.

The step is done on a copy of the model by ``forward``, the loss, ``backward`` and ``SGD.step``; the
kernels that did it say what was inside (``inspect``).
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from fastbackprop._compare.losses import Loss, Targets, as_loss
from fastbackprop._compare.samples import as_samples
from fastbackprop._core.arithmetic import in_exact_mode
from fastbackprop._core.buffers import aligned_zeros, row_length
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.finite import check_weights
from fastbackprop._core.validation import as_numeric, as_rows, check_real, same_length
from fastbackprop._correct.optimizers import SGD
from fastbackprop._explain.explanation import After, Explanation, LayerExplanation
from fastbackprop._model.sequential import Sequential
from fastbackprop._predict.dense import Dense

__all__ = [
    "LossFunction",
    "Samples",
    "data_of",
    "explain",
    "explain_step",
    "first_overflow",
    "inspect_layer",
    "layers_of",
    "loss_of",
    "one_hot",
    "predict_and_compare",
]

LossFunction = Callable[[Any, Any], tuple[float, np.ndarray]]


@dataclass(frozen=True)
class Samples:
    """Rows of x, and the targets that the loss compares their predictions with.

    Labels stay labels: whoever shows them chooses rows first, and makes rows of numbers of those.
    """

    rows: np.ndarray
    targets: np.ndarray
    are_labels: bool

    @classmethod
    def of(cls, rows: np.ndarray, targets: Targets) -> "Samples":
        """Take what a Loss made of y."""
        if targets.labels is not None:
            return cls(rows, targets.labels, are_labels=True)
        assert targets.values is not None
        return cls(rows, targets.values, are_labels=False)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: slice | np.ndarray) -> "Samples":
        """Return some of the samples; a slice copies nothing."""
        return Samples(self.rows[chosen], self.targets[chosen], self.are_labels)

    def shown_targets(self, n_out: int) -> np.ndarray:
        """Return the targets as rows of numbers, labels as one-hot rows; never the array itself."""
        if self.are_labels:
            return one_hot(self.targets, n_out, self.rows.dtype)
        return self.targets.reshape(len(self.targets), -1).copy()


def inspect_layer(model: Sequential, k: int, n: int) -> tuple[np.ndarray, ...]:
    """z, a, act'(z), dC/da and dC/dz of layer k, after forward and backward."""
    n_out = model.layers[k].n_out
    row = row_length(n_out, model.dtype)
    arrays = [aligned_zeros(n * row, model.dtype).reshape(n, row) for _ in range(5)]
    kernels(model.dtype).inspect(model._forward_workspace(), k, *arrays)
    return tuple(x[:, :n_out].copy() for x in arrays)


def _add_step(values: dict[str, Any], layer: Dense) -> float:
    """Note what a step has done to a layer; return the change of cost the gradient predicts."""
    change = 0.0
    for name, after in (("weight", layer.weight), ("bias", layer.bias)):
        values[f"{name}_after"] = None if after is None else after.copy()
        # Exact for numbers that are near each other (Sterbenz), and in any case in double.
        step = None if after is None else after.astype(np.float64) - values[name]
        values[f"{name}_step"] = step
        change += 0.0 if step is None else float((step * values[f"{name}_gradient"]).sum())
    return change


def layers_of(model: Sequential, d_y_hat: np.ndarray) -> list[dict[str, Any]]:
    """Every layer as it is between backward and the step."""
    found = []
    for k, layer in enumerate(model.layers):
        z, a, derivative, d_a, delta = inspect_layer(model, k, len(d_y_hat))
        is_last = k == len(model.layers) - 1
        bias, d_bias = layer.bias, layer.bias_gradient
        found.append({
            "activation": layer.activation, "slope": layer.slope, "z": z, "a": a,
            "derivative": None if layer.activation == "softmax" else derivative,
            "d_a": d_y_hat if is_last else d_a, "delta": delta,
            "weight": layer.weight.copy(), "bias": None if bias is None else bias.copy(),
            "weight_gradient": layer.weight_gradient.copy(),
            "bias_gradient": None if d_bias is None else d_bias.copy(),
        })  # fmt: skip
    return found


@in_exact_mode
def explain(
    model: Sequential,
    x: Any,
    y: Any,
    *,
    loss: str | Loss | LossFunction,
    learning_rate: float = 0.01,
) -> Explanation:
    """Explain one step of backpropagation: predict, compare, blame, correct, with every number.

    Parameters
    ----------
    model : Sequential
        Stays as it is: the step is done on a copy.
    x : array-like of shape (n_in,) or (n, n_in)
        One sample, or a batch; a number for one input.
    y : array-like
        What the answer should be, as in ``Trainer.step``.
    loss : str, Loss or callable
        As for Trainer; or your own: ``cost, d_y_hat = loss(y_hat, y)``, the cost a mean over the
        samples.
    learning_rate : float, default=0.01
        Of the step of plain SGD.

    Returns
    -------
    Explanation
        Print it, or see its methods.

    Raises
    ------
    ValueError, TypeError
        If data or an argument doesn't fit.
    DivergenceError
        If the step would make a weight infinite.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> model = fb.mlp([2, 3, 1], activation="tanh", seed=0)
    >>> X, y = [[0, 1], [1, 1]], [1, 0]
    >>> e = fb.explain(model, X, y, loss="half_squared_error", learning_rate=0.1)
    >>> e.after.falls
    True
    >>> sum(blamed.share for blamed in e.top(13))
    1.0
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"model must be a Sequential, got {type(model).__name__}.")
    rate = check_real("learning_rate", learning_rate, above=0.0)
    compare = loss_of(loss)
    samples = data_of(model, x, y, compare)
    own, optimizer = copy.deepcopy(model), SGD(rate)
    return explain_step(own, samples, compare, optimizer, lambda: optimizer.step(own))


def explain_step(
    own: Sequential,
    samples: Samples,
    compare: Any,
    optimizer: SGD,
    correct: Callable[[], object],
) -> Explanation:
    """Predict, compare and blame, look at everything, and let ``correct`` change the weights."""
    rows, targets = samples.rows, samples.targets
    predicted_y, cost, d = predict_and_compare(own, samples, compare)
    rate, shown = optimizer.learning_rate, samples.shown_targets(own.n_out)
    d_x = own.backward(d)
    d_y_hat = np.array(d, own.dtype)
    layers = layers_of(own, d_y_hat)
    costs = np.array(
        [compare(own.forward(rows[i : i + 1]), targets[i : i + 1])[0] for i in range(len(rows))]
    )
    correct()
    predicted = float(cost) + sum(
        _add_step(values, layer) for values, layer in zip(layers, own.layers, strict=True)
    )
    new = own.forward(rows)
    # After a step that was far too long there is nothing to compare.
    new_cost = float(compare(new, targets)[0]) if np.isfinite(new).all() else np.inf
    return Explanation(
        title=repr(own),
        dtype=own.dtype.name,
        loss=compare.name
        if isinstance(compare, Loss)
        else getattr(compare, "__name__", type(compare).__name__),
        learning_rate=rate,
        optimizer=repr(optimizer),
        x=rows.copy(),
        y=shown,
        y_hat=predicted_y,
        cost=float(cost),
        costs=costs,
        d_y_hat=d_y_hat,
        d_x=d_x,
        layers=[LayerExplanation(**x) for x in layers],
        after=After(
            np.array(new),
            new_cost,
            predicted,
            new_cost < cost,
            _verdict(float(cost), new_cost, predicted),
        ),
    )


def predict_and_compare(
    model: Sequential, samples: Samples, compare: Any
) -> tuple[np.ndarray, float, Any]:
    """Return y_hat, the cost and dC/dy_hat; refuse a model whose numbers aren't finite."""
    check_weights(model._parameters)
    y_hat = model.forward(samples.rows)
    if not np.isfinite(y_hat).all():
        row, column = np.argwhere(~np.isfinite(y_hat))[0]
        first = first_overflow(model, len(samples))
        raise ValueError(
            f"model must give finite outputs, got {y_hat[row, column]} at row {row}, column "
            f"{column}: numbers outgrow {model.dtype} in layers[{first}]; scale the inputs, or "
            f"begin with smaller weights."
        )
    predicted = np.array(y_hat)  # before a loss of the user's own can change it
    cost, d_y_hat = compare(y_hat, samples.targets)
    if not np.isfinite(cost):
        raise ValueError(
            f"the cost must be finite, got {float(cost)} for outputs up to "
            f"{np.abs(predicted).max():g}; scale the targets, or begin with smaller weights."
        )
    return predicted, float(cost), d_y_hat


def first_overflow(model: Sequential, n_rows: int) -> int:
    """Return the first layer whose z is not finite, after ``forward``; the last if none is."""
    for k in range(len(model.layers) - 1):
        if not np.isfinite(inspect_layer(model, k, n_rows)[0]).all():
            return k
    return len(model.layers) - 1


def _verdict(cost: float, after: float, predicted: float) -> str:
    """What became of the cost."""
    if after < cost:
        return "it falls"
    if not np.isfinite(after):
        return "it is not finite any more: the step is too long"
    if predicted == cost:
        return "nobody is to blame: there is nothing to correct"
    return (
        "it stays: the step is too short to be seen"
        if after == cost
        else "it does not fall: the step is too long"
    )


def loss_of(loss: Any) -> Any:
    """A Loss, or what a callable gives, checked: (cost, d_y_hat)."""
    if isinstance(loss, Loss) or not callable(loss) or isinstance(loss, type):
        return as_loss(loss)

    def compare(y_hat: Any, y: Any) -> tuple[float, Any]:
        pair = loss(y_hat, y)
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"loss must return a tuple (cost, d_y_hat), got {type(pair).__name__}.")
        cost = np.asarray(pair[0])
        if cost.size != 1 or cost.dtype.kind not in "fiu":
            got = f"shape {cost.shape}" if cost.size != 1 else f"{pair[0]!r}"
            raise TypeError(f"the cost that loss returns must be a number, got {got}.")
        return float(cost.reshape(())), pair[1]

    compare.__name__ = getattr(loss, "__name__", type(loss).__name__)
    return compare


def one_hot(labels: np.ndarray, n_classes: int, dtype: np.dtype) -> np.ndarray:
    """Rows of zeros with a 1 at each label."""
    rows = np.zeros((len(labels), n_classes), dtype)
    rows[np.arange(len(labels)), labels] = 1
    return rows


def data_of(model: Sequential, x: Any, y: Any, compare: Any, name: str = "x") -> Samples:
    """Check x and y, and bring them into the form of the model and the loss."""
    is_number = isinstance(x, Real) or getattr(x, "shape", None) == ()
    value = np.atleast_1d(as_numeric(name, x)) if is_number else x
    if isinstance(compare, Loss):
        compare._check_fits(model.layers[-1].activation, model.n_out)
        rows, targets = as_samples(model, compare, value, y, names=(name, "y"), may_be_row=True)
        return Samples.of(rows.whole(), targets)
    meaning = "the model's n_in"
    source, one_row = as_rows(name, value, model.dtype, model.n_in, meaning, may_be_row=True)
    matrix = source.whole()
    if len(matrix) == 0:
        raise ValueError(f"{name} must have at least one row, got 0.")
    numbers = np.atleast_1d(as_numeric("y", y))
    if one_row and numbers.ndim == 1:
        numbers = numbers[None]
    elif numbers.ndim == 1 and model.n_out == 1:
        numbers = numbers[:, None]
    same_length(matrix, numbers, name)
    return Samples(matrix, numbers, are_labels=False)
