"""diagnose: what keeps a network from learning, with the number, the place and a piece of advice.

The numbers of the network are those of the kernels, from a copy of the model; the data are looked at with NumPy. Each
threshold stands here once, with its reason. Nothing is said where nothing is wrong.
"""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastbackprop._diagnosis import Diagnosis, Finding
from fastbackprop._errors import DivergenceError
from fastbackprop._explain import LossFunction, data_of, layers_of, loss_of
from fastbackprop._losses import Loss
from fastbackprop._model import Sequential, copy_of
from fastbackprop._optimizers import SGD
from fastbackprop._validation import check_real

__all__ = ["diagnose"]

MOST_ROWS = 1024  # more rows change no finding, and a fit should not wait for them
LEAST_ROWS = 8  # with fewer, a unit that is off for all rows says nothing about it
MOST_COLUMNS = 2000  # pairs of columns are compared up to here

DEAD = 0.3  # of a layer's relu units: one in ten is often off for a kind of data, and learns nothing the others don't
SATURATED = 0.3  # likewise of sigmoid and tanh units
FLAT = 0.01  # of the steepest act': a unit that passes on less than that for nearly all rows
NEARLY_ALL = 0.95
VANISHING = 1e-4  # delta of a layer, by that of the last: below it float32 and any learning rate for all layers give up
EXPLODING = 1e3
# Of a layer's weights in one step: about 0.001 is usual (Karpathy 2015), fresh nets reach 0.2.
LARGEST_UPDATE = 0.3
LARGE_INPUT = 10.0  # root mean square of a column; initial weights are made for about 1
SMALL_INPUT = 1e-3
STEADY = 30.0  # |mean| of a column by its standard deviation: it is nearly a constant
PROPORTIONAL = 1 - 1e-7  # correlation of two columns
RARE = 10.0  # the most frequent class by the rarest
ROWS_PER_CLASS = 20  # so that the counts mean something
RISE = 1.0  # the cost after a step, by that before it
MUCH_LONGER = 1000.0  # a step so much longer that would still do what the gradient says ...
STRAIGHT = 0.9  # ... to this part


def diagnose(
    model: Sequential, X: Any, y: Any, *, loss: str | Loss | LossFunction, learning_rate: float | None = None
) -> Diagnosis:
    """Look for what keeps a network from learning: in the data, in the network, in the learning rate.

    Dead relu units, saturated units, gradients that vanish or explode; inputs that are unscaled, constant or there
    twice; classes that are rare, targets that can't be reached; with a learning rate also updates that are too large,
    and steps that are too long or too short for this batch.

    Parameters
    ----------
    model : Sequential
        Stays as it is.
    X, y : array-like
        A batch, or all of the data, as in ``Trainer.fit``; of more than 1,024 rows a fixed choice is looked at.
    loss : str, Loss or callable
        As for Trainer; or your own: ``cost, d_y_hat = loss(y_hat, y)``.
    learning_rate : float, optional
        Of plain SGD; None says nothing about steps.

    Returns
    -------
    Diagnosis
        True if there are no findings; ``print`` shows them.

    Raises
    ------
    ValueError, TypeError
        If data or an argument doesn't fit.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> model = fb.mlp([2, 3, 1], output_activation="tanh", seed=0)
    >>> print(fb.diagnose(model, [[0, 1], [1, 5]], [0.5, 7], loss="half_squared_error"))
    unreachable targets, y: 7. Behind 'tanh' nothing above 1 can come out: scale the targets, or end with 'identity'.
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"model must be a Sequential, got {type(model).__name__}.")
    rate = None if learning_rate is None else check_real("learning_rate", learning_rate, above=0.0)
    compare = loss_of(loss)
    rows, each, shown = data_of(model, X, y, compare, "X")
    return look(copy.deepcopy(model), rows, each, shown, compare, rate)


def look(
    own: Sequential, rows: np.ndarray, each: np.ndarray, shown: np.ndarray, compare: Any, rate: float | None
) -> Diagnosis:
    """Diagnose a copy of the model with checked data; ``own`` is spent afterwards."""
    n = len(rows)
    if n > MOST_ROWS:
        chosen = np.sort(np.random.default_rng(0).permutation(n)[:MOST_ROWS])
        rows, each, shown = np.ascontiguousarray(rows[chosen]), np.ascontiguousarray(each[chosen]), shown[chosen]
    findings = [
        *_inputs(rows.astype(np.float64)),
        *_targets(own.layers[-1].activation, shown.astype(np.float64), compare),
        *_classes(shown, compare),
    ]
    y_hat = own.forward(rows)
    cost, d = compare(y_hat, each)
    own.backward(d)
    layers = layers_of(own, np.array(d, own.dtype))
    findings += [*_units(layers, getattr(compare, "activation", None) is not None), *_flow(layers)]
    if rate is not None:
        findings += [*_updates(layers, rate), *_steps(own, rows, each, compare, float(cost), layers, rate)]
    return Diagnosis(findings, len(rows), n)


def _columns(indices: np.ndarray) -> str:
    """x[3], or x[3], x[5] and 7 more."""
    names = ", ".join(f"x[{i}]" for i in indices[:3])
    return names if len(indices) <= 3 else f"{names} and {len(indices) - 3:,} more"


def _inputs(x: np.ndarray) -> Iterator[Finding]:
    """Constant, unscaled and duplicated columns; a column of zeros (a pixel that is never lit) harms nobody."""
    size = np.sqrt((x**2).mean(axis=0))
    mean, spread = x.mean(axis=0), x.std(axis=0)
    large = np.flatnonzero(size > LARGE_INPUT)
    if len(large):
        yield Finding(
            "unscaled inputs",
            _columns(large),
            float(size.max()),
            "Divide it by about that, or standardise all inputs: weights begin for inputs of about 1.",
        )
    if 0 < size.max(initial=0) < SMALL_INPUT:
        yield Finding(
            "unscaled inputs",
            "all of x",
            float(size.max()),
            "Standardise the inputs: weights begin for inputs of about 1.",
        )
    if len(x) < LEAST_ROWS:
        return
    constant = np.flatnonzero((spread <= 1e-7 * size) & (size > 0))
    if len(constant):
        yield Finding(
            "constant inputs",
            _columns(constant),
            float(mean[constant[0]]),
            "Leave it out: it says the same of each sample, as the bias does already.",
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        steady = np.flatnonzero((abs(mean) / spread > STEADY) & (spread > 1e-7 * size))
    if len(steady):
        ratio = float((abs(mean[steady]) / spread[steady]).max())
        yield Finding(
            "inputs that hardly vary",
            _columns(steady),
            ratio,
            "Subtract its mean: what varies is so many times smaller than what doesn't.",
        )
    yield from _duplicates(x, mean, spread, constant)


def _duplicates(x: np.ndarray, mean: np.ndarray, spread: np.ndarray, constant: np.ndarray) -> Iterator[Finding]:
    """Columns that are the same but for scale and offset."""
    varied = np.setdiff1d(np.flatnonzero(spread > 0), constant)[:MOST_COLUMNS]
    if len(varied) < 2:
        return
    z = (x[:, varied] - mean[varied]) / spread[varied]
    alike = np.triu(abs(z.T @ z) / len(x) > PROPORTIONAL, 1)
    # A column that is nearly always the same can well be like another by chance.
    rare = np.array([(x[:, j] != np.median(x[:, j])).sum() < LEAST_ROWS for j in varied])
    pairs = np.argwhere(alike & ~rare[:, None] & ~rare[None])
    if len(pairs):
        i, j = varied[pairs[0]]
        more = f" and {len(pairs) - 1:,} more pairs" if len(pairs) > 1 else ""
        yield Finding(
            "duplicated inputs",
            f"x[{i}] and x[{j}]{more}",
            float(len(pairs)),
            "Leave one of the two out: they say the same, and share their blame at random.",
        )


RANGES = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "softmax": (0.0, 1.0), "relu": (0.0, np.inf)}


def _targets(activation: str, y: np.ndarray, compare: Any) -> Iterator[Finding]:
    """Targets that the last activation can't give, or only at infinity."""
    low, high = RANGES.get(activation, (-np.inf, np.inf))
    if y.size == 0:
        return
    if y.max() > high or y.min() < low:
        value, side, end = (y.max(), "above", high) if y.max() > high else (y.min(), "below", low)
        yield Finding(
            "unreachable targets",
            "y",
            float(value),
            f"Behind {activation!r} nothing {side} {end:g} can come out: scale the targets, or end with 'identity'.",
        )
    elif activation in ("sigmoid", "tanh") and getattr(compare, "activation", None) is None:
        at_end = float(((y == high) | (y == low)).mean())
        if at_end > 0.1:
            better = "0.1 and 0.9, or loss 'binary_cross_entropy'" if activation == "sigmoid" else "-0.9 and 0.9"
            yield Finding(
                "targets at the edge",
                "y",
                at_end,
                f"That share of them {activation!r} reaches only with "
                f"infinite weights, where it has no slope: take {better}.",
            )
    elif activation == "identity" and np.sqrt((y**2).mean()) > 100:
        yield Finding(
            "unscaled targets",
            "y",
            float(np.sqrt((y**2).mean())),
            "Standardise the targets: gradients grow with them, and the first steps explode.",
        )


def _classes(y: np.ndarray, compare: Any) -> Iterator[Finding]:
    """Classes of which there are few or no samples."""
    if not getattr(compare, "is_classification", False):
        return
    counts = y.sum(axis=0) if y.shape[1] > 1 else np.array([len(y) - y.sum(), y.sum()])
    if compare.activation == "sigmoid" and y.shape[1] > 1:
        return  # several yes-or-no questions, each rare in its own right
    if len(y) < ROWS_PER_CLASS * len(counts):
        return
    rarest = int(counts.argmin())
    if counts.max() > RARE * counts[rarest]:
        yield Finding(
            "imbalanced classes",
            f"class {rarest}",
            float(counts[rarest] / len(y)),
            "Show it more often "
            "(repeat its samples), or judge by each class's own accuracy: always guessing the largest class "
            f"is right for {counts.max() / len(y):.0%}.",
        )


def _units(layers: list[dict[str, Any]], is_fused: bool) -> Iterator[Finding]:
    """Dead and saturated units; behind a fused loss the last layer may be as sure as it likes."""
    for k, layer in enumerate(layers):
        a, n_out = layer["a"], layer["a"].shape[1]
        is_last = k == len(layers) - 1
        if len(a) < LEAST_ROWS or layer["derivative"] is None or (is_last and is_fused):
            continue
        if layer["activation"] == "relu":
            dead = int((a == 0).all(axis=0).sum())
            if dead > DEAD * n_out:
                yield Finding(
                    "dead relu units",
                    f"layer {k + 1}, {dead} of {n_out} units",
                    dead / n_out,
                    "They are 0 for every sample and get no blame: lower the learning rate, centre the inputs, "
                    "or take 'leaky_relu'.",
                )
        elif layer["activation"] in ("sigmoid", "tanh"):
            steepest = 0.25 if layer["activation"] == "sigmoid" else 1.0
            flat = (layer["derivative"] < FLAT * steepest).mean(axis=0) >= NEARLY_ALL
            if is_last:  # where it is right there, nobody complains
                flat &= abs(layer["d_a"]).mean(axis=0) * len(a) > 0.25
            if flat.sum() > SATURATED * n_out:
                yield Finding(
                    "saturated units",
                    f"layer {k + 1}, {int(flat.sum())} of {n_out} units",
                    float(flat.mean()),
                    f"They lie where {layer['activation']!r} is flat and pass hardly any blame on: scale the "
                    "inputs, begin with smaller weights, or take 'relu'.",
                )


def _flow(layers: list[dict[str, Any]]) -> Iterator[Finding]:
    """Whether blame arrives: the size of delta per layer, against that of the last layer."""
    sizes = [float(np.sqrt((x["delta"].astype(np.float64) ** 2).mean())) for x in layers]
    if sizes[-1] == 0 or len(layers) < 2:
        return
    ratios = np.array(sizes) / sizes[-1]
    k = int(ratios[:-1].argmin())
    if ratios[k] < VANISHING:
        yield Finding(
            "vanishing gradients",
            f"layer {k + 1}",
            float(ratios[k]),
            "Its blame is that part of the last layer's: take 'relu' or fewer layers, or larger initial weights.",
        )
    k = int(ratios[:-1].argmax())
    if ratios[k] > EXPLODING:
        yield Finding(
            "exploding gradients",
            f"layer {k + 1}",
            float(ratios[k]),
            "Its blame is so many times the last "
            "layer's: begin with smaller weights (weight_init='auto'), or lower the learning rate.",
        )


def _updates(layers: list[dict[str, Any]], rate: float) -> Iterator[Finding]:
    """How much of each layer's weights one step would change."""
    for k, layer in enumerate(layers):
        norm = float(np.linalg.norm(layer["weight"].astype(np.float64)))
        update = rate * float(np.linalg.norm(layer["weight_gradient"].astype(np.float64)))
        if norm > 0 and update > LARGEST_UPDATE * norm:
            yield Finding(
                "large updates",
                f"layer {k + 1}",
                update / norm,
                "One step changes its weights by that part of them, where 0.001 is usual: lower the learning rate.",
            )


def _steps(
    own: Sequential,
    rows: np.ndarray,
    each: np.ndarray,
    compare: Any,
    cost: float,
    layers: list[dict[str, Any]],
    rate: float,
) -> Iterator[Finding]:
    """Whether a step lowers the cost of this batch, and whether a much longer one would too."""
    slope = sum(
        float((x[name].astype(np.float64) ** 2).sum())
        for x in layers
        for name in ("weight_gradient", "bias_gradient")
        if x[name] is not None
    )
    if rate * slope < 1e-6 * max(cost, 1e-12) and slope < 1e-8:
        return  # nothing to be learned from this batch any more
    after = _cost_after(own, rows, each, compare, rate)
    if after > RISE * cost:
        yield Finding(
            "learning rate too high",
            f"{rate:g}",
            after / cost if cost else np.inf,
            "So many times what it was is the cost after one step: try a tenth of it.",
        )
        return
    far = MUCH_LONGER * rate
    fall = cost - _cost_after(own, rows, each, compare, far)
    # A net that has learned its data has a small straight slope for ever: that is no fault of the rate.
    if slope > 1e-3 * cost and far * slope < cost and fall > STRAIGHT * far * slope:
        yield Finding(
            "learning rate too low",
            f"{rate:g}",
            (cost - after) / cost,
            "That part of the cost goes with one "
            f"step, and {MUCH_LONGER:,.0f} times the step would still go straight down: try 100 times it.",
        )


def _cost_after(own: Sequential, rows: np.ndarray, each: np.ndarray, compare: Any, rate: float) -> float:
    """The cost after one step of this length; inf where the step can't be done."""
    moved = copy_of(own, own.dtype.name)
    _, d = compare(moved.forward(rows), each)
    moved.backward(d)
    try:
        SGD(rate).step(moved)
        with np.errstate(all="ignore"):
            cost = float(compare(moved.forward(rows), each)[0])
    except (DivergenceError, ValueError):
        return np.inf
    return cost if np.isfinite(cost) else np.inf
