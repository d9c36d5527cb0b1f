"""diagnose: what keeps a network from learning, with the number, the place and a piece of advice.

Here are the network and the step; the numbers are those of the kernels, from a copy of the model.
Each threshold stands once, with its reason. Nothing is said where nothing is wrong.
"""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastbackprop._compare.losses import Loss
from fastbackprop._core.arithmetic import in_exact_mode
from fastbackprop._core.errors import DivergenceError
from fastbackprop._core.naming import layer_in_words
from fastbackprop._core.validation import check_held, check_real
from fastbackprop._correct.optimizers import SGD
from fastbackprop._diagnose.data import LEAST_ROWS, class_findings, input_findings, target_findings
from fastbackprop._diagnose.findings import Diagnosis, Finding
from fastbackprop._diagnose.overflow import blame_overflow, compare_overflow, predict_overflow
from fastbackprop._diagnose.weights import equal_units, lost_weights
from fastbackprop._explain.explain import LossFunction, Samples, data_of, layers_of, loss_of
from fastbackprop._model.copies import copy_of
from fastbackprop._model.sequential import Sequential
from fastbackprop._predict.dense import Dense

__all__ = ["diagnose"]

MOST_ROWS = 1024  # more rows change no finding, and a fit should not wait for them
# of a layer's relu units: one in ten is often off for a kind of data, and learns nothing the others
# don't
DEAD = 0.3
SATURATED = 0.3  # likewise of sigmoid and tanh units
FLAT = 0.01  # of the steepest act': a unit that passes on less than that for nearly all rows
NEARLY_ALL = 0.95
# delta of a layer, by that of the last: below it float32 and any learning rate for all layers give
# up
VANISHING = 1e-4
EXPLODING = 1e3
# Of a layer's weights in one step: about 0.001 is usual (Karpathy 2015), fresh nets reach 0.2.
LARGEST_UPDATE = 0.3
SMALLEST_UPDATE = (
    1e-7  # near what float32 rounds away; fresh nets at a rate of 0.01 begin above 3e-6
)
RISE = 1.001  # the cost after a step, by that before it: less is rounding, or where a relu bends
MUCH_LONGER = 1000.0  # a step so much longer that would still do what the gradient says ...
STRAIGHT = 0.9  # ... to this part
STILL_STEEP = 0.03  # the slope by the cost: below it, little is left to be learned


@in_exact_mode
def diagnose(
    model: Sequential,
    X: Any,
    y: Any,
    *,
    loss: str | Loss | LossFunction,
    learning_rate: float | None = None,
) -> Diagnosis:
    """Look for what keeps a network from learning, in the data, the network, the learning rate.

    Weights that are not finite, numbers that outgrow the dtype; dead relu units, saturated units,
    units that are copies of each other, gradients that vanish or explode; inputs that are unscaled,
    uneven, constant or there twice; classes that are rare, targets that can't be reached; with a
    learning rate also updates that are too large or too small for a layer's weights, and steps that
    are too long or too short for this batch.

    Parameters
    ----------
    model : Sequential
        Stays as it is.
    X, y : array-like
        A batch, or all of the data, as in ``Trainer.fit``; of more than 1,024 rows a fixed choice
        is looked at.
    loss : str, Loss or callable
        As for Trainer; or your own: ``cost, d_y_hat = loss(y_hat, y)``.
    learning_rate : float, optional
        Of plain SGD (momentum's steps become up to 1 / (1 - momentum) times as long); None says
        nothing about steps.

    Returns
    -------
    Diagnosis
        True if there are no findings; ``print`` shows them.

    Raises
    ------
    ValueError, TypeError
        If data or an argument doesn't fit, or the model's dtype can't hold the learning rate.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> model = fb.mlp([2, 3, 1], output_activation="tanh", seed=0)
    >>> print(fb.diagnose(model, [[0, 1], [1, 5]], [0.5, 7], loss="half_squared_error"))
    unreachable targets, y: 7. Behind 'tanh' nothing above 1 can come out: scale the targets, or end
    with 'identity'.
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"model must be a Sequential, got {type(model).__name__}.")
    rate = None if learning_rate is None else check_real("learning_rate", learning_rate, above=0.0)
    if rate is not None:
        check_held("learning_rate", rate, model.dtype)
    compare = loss_of(loss)
    return look(copy.deepcopy(model), data_of(model, X, y, compare, "X"), compare, rate)


def look(own: Sequential, samples: Samples, compare: Any, rate: float | None) -> Diagnosis:
    """Diagnose a copy of the model with checked data; ``own`` is spent afterwards."""
    n = len(samples)
    if n > MOST_ROWS:
        samples = samples.take(np.sort(np.random.default_rng(0).permutation(n)[:MOST_ROWS]))
    findings = _data_findings(own, samples, compare)
    broken, cost, layers = _predict_compare_blame(own, samples, compare)
    if broken:
        return Diagnosis(findings + broken, len(samples), n, [_unmeasured(x) for x in own.layers])
    findings += _units(layers, getattr(compare, "activation", None) is not None)
    findings += equal_units(layers)
    measured = [_measure(layer, layers[-1], rate) for layer in layers]
    findings += _flow(layers, measured)
    if rate is not None:
        steps = [*_steps(own, samples, compare, cost, layers, rate)]
        learns = _slope(layers) > STILL_STEEP * cost
        findings += [*_updates(measured, learns and not steps and not findings), *steps]
    return Diagnosis(findings, len(samples), n, measured)


def _data_findings(own: Sequential, samples: Samples, compare: Any) -> list[Finding]:
    """What can be said of the data alone. Labels can always be reached: they are probabilities."""
    with np.errstate(over="ignore", invalid="ignore"):
        findings = [*input_findings(samples.rows.astype(np.float64))]
        if not samples.are_labels:
            shown = samples.shown_targets(own.n_out).astype(np.float64)
            findings += target_findings(own.layers[-1].activation, shown, compare)
    return [*findings, *class_findings(samples.targets, own.n_out, compare)]


def _predict_compare_blame(
    own: Sequential, samples: Samples, compare: Any
) -> tuple[list[Finding], float, list[dict[str, Any]]]:
    """Return what keeps the step from being done at all; if nothing, its cost and layers."""
    if broken := [*lost_weights(own)]:
        return broken, np.nan, []
    y_hat = own.forward(samples.rows)
    if not np.isfinite(y_hat).all():
        return [*predict_overflow(own, len(samples))], np.nan, []
    predicted = np.array(y_hat)  # before a loss of the user's own can change it
    cost, d = compare(y_hat, samples.targets)
    if broken := [*compare_overflow(own, predicted, cost, d)]:
        return broken, np.nan, []
    own.backward(d)
    broken = [*blame_overflow(own)]
    return broken, float(cost), [] if broken else layers_of(own, np.array(d, own.dtype))


def _unmeasured(layer: Dense) -> dict[str, float | None]:
    """What ``_measure`` returns where no blame can be measured."""
    with np.errstate(all="ignore"):
        weight = float(np.linalg.norm(layer.weight.astype(np.float64)))
    return {
        "weight_norm": weight if np.isfinite(weight) else None,
        "gradient_norm": None,
        "delta": None,
        "delta_ratio": None,
        "update_ratio": None,
    }


def _measure(
    layer: dict[str, Any], last: dict[str, Any], rate: float | None
) -> dict[str, float | None]:
    """The sizes of one layer that ``Diagnosis.layers`` shows; a ratio to nothing is None."""
    weight, gradient = (
        float(np.linalg.norm(layer[x].astype(np.float64))) for x in ("weight", "weight_gradient")
    )
    delta, last_delta = (
        float(np.sqrt((x["delta"].astype(np.float64) ** 2).mean())) for x in (layer, last)
    )
    return {
        "weight_norm": weight,
        "gradient_norm": gradient,
        "delta": delta,
        "delta_ratio": delta / last_delta if last_delta else None,
        "update_ratio": rate * gradient / weight if rate is not None and weight else None,
    }


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
                    f"{layer_in_words(k)}, {dead} of {n_out} units",
                    dead / n_out,
                    "They are 0 for every sample and get no blame: lower the learning rate, "
                    "centre the inputs, "
                    "or take 'leaky_relu'.",
                )
            if dead == n_out:
                return  # what comes after it sees nothing of the data
        elif layer["activation"] in ("sigmoid", "tanh"):
            steepest = 0.25 if layer["activation"] == "sigmoid" else 1.0
            flat = (layer["derivative"] < FLAT * steepest).mean(axis=0) >= NEARLY_ALL
            if is_last:  # where it is right there, nobody complains
                flat &= abs(layer["d_a"]).mean(axis=0) * len(a) > 0.25
            if flat.sum() > SATURATED * n_out:
                yield Finding(
                    "saturated units",
                    f"{layer_in_words(k)}, {int(flat.sum())} of {n_out} units",
                    float(flat.mean()),
                    f"They lie where {layer['activation']!r} is flat and pass hardly any blame "
                    f"on: scale the "
                    "inputs, begin with smaller weights, or take 'relu'.",
                )


def _flow(
    layers: list[dict[str, Any]], measured: list[dict[str, float | None]]
) -> Iterator[Finding]:
    """Whether blame arrives: the size of delta per layer, against that of the last layer."""
    ratios = np.array(
        [np.nan if x["delta_ratio"] is None else x["delta_ratio"] for x in measured[:-1]]
    )
    if np.isnan(ratios).any() or len(ratios) == 0:
        return
    # Below a layer that is dead as a whole no blame arrives: it has been named already.
    dead = max(
        (k for k, x in enumerate(layers) if x["activation"] == "relu" and not x["a"].any()),
        default=-1,
    )
    alive = ratios[dead + 1 :]
    if len(alive) and alive.min() < VANISHING:
        k = int(alive.argmin())
        yield Finding(
            "vanishing gradients",
            layer_in_words(dead + 1 + k),
            float(alive[k]),
            "Its blame is that part of the last layer's: take 'relu' or fewer layers, or larger "
            "initial weights.",
        )
    k = int(ratios.argmax())
    if ratios[k] > EXPLODING:
        yield Finding(
            "exploding gradients",
            layer_in_words(k),
            float(ratios[k]),
            "Its blame is so many times the last "
            "layer's: begin with smaller weights (weight_init='auto'), or lower the learning "
            "rate.",
        )


def _updates(measured: list[dict[str, float | None]], may_be_small: bool) -> Iterator[Finding]:
    """Judge how much of each layer's weights one step would change.

    Too little is named only where nothing else explains it.
    """
    for k, layer in enumerate(measured):
        ratio = layer["update_ratio"]
        if ratio is not None and ratio > LARGEST_UPDATE:
            yield Finding(
                "large updates",
                layer_in_words(k),
                ratio,
                "One step changes its weights by that part of them, where 0.001 is usual: lower "
                "the learning rate.",
            )
        elif ratio is not None and ratio < SMALLEST_UPDATE and may_be_small:
            yield Finding(
                "small updates",
                layer_in_words(k),
                ratio,
                "One step changes its weights by that part of them, where 0.001 is usual: begin "
                "with weights of the "
                "usual size (weight_init='auto'), or raise the learning rate.",
            )


def _slope(layers: list[dict[str, Any]]) -> float:
    """How much the cost falls per learning rate, along the gradient: its norm, squared."""
    gradients = [
        x[name]
        for x in layers
        for name in ("weight_gradient", "bias_gradient")
        if x[name] is not None
    ]
    return sum(float((x.astype(np.float64) ** 2).sum()) for x in gradients)


def _steps(
    own: Sequential,
    samples: Samples,
    compare: Any,
    cost: float,
    layers: list[dict[str, Any]],
    rate: float,
) -> Iterator[Finding]:
    """Whether a step lowers the cost of this batch, and whether a much longer one would too."""
    slope = _slope(layers)
    if rate * slope < 1e-6 * max(cost, 1e-12) and slope < 1e-8:
        return  # nothing to be learned from this batch any more
    after = _cost_after(own, samples, compare, rate)
    if after > RISE * cost:
        yield Finding(
            "learning rate too high",
            f"{rate:g}",
            after / cost if cost else np.inf,
            "So many times what it was is the cost after one step: try a tenth of it.",
        )
        return
    far = MUCH_LONGER * rate
    fall = cost - _cost_after(own, samples, compare, far)
    # A net that has learned its data has a small straight slope for ever: that is no fault of the
    # rate.
    if slope > STILL_STEEP * cost and far * slope < cost and fall > STRAIGHT * far * slope:
        yield Finding(
            "learning rate too low",
            f"{rate:g}",
            (cost - after) / cost,
            "That part of the cost goes with one "
            f"step, and {MUCH_LONGER:,.0f} times the step would still go straight down: try 100 "
            f"times it.",
        )


def _cost_after(own: Sequential, samples: Samples, compare: Any, rate: float) -> float:
    """The cost after one step of this length; inf where the step can't be done."""
    moved = copy_of(own, own.dtype.name)
    _, d = compare(moved.forward(samples.rows), samples.targets)
    moved.backward(d)
    try:
        SGD(rate).step(moved)
        with np.errstate(all="ignore"):
            cost = float(compare(moved.forward(samples.rows), samples.targets)[0])
    except (DivergenceError, ValueError):
        return np.inf
    return cost if np.isfinite(cost) else np.inf
