"""explain: one step of backpropagation with every number of it, none of them made a second time.

The step is done on a copy of the model by ``forward``, the loss, ``backward`` and ``SGD.step``; the
kernels that did it say what was inside (``inspect``).
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastbackprop._compare.losses import Loss
from fastbackprop._compare.own_loss import LossFunction, as_loss_or_function
from fastbackprop._core.arithmetic import in_exact_mode
from fastbackprop._core.validation import check_real
from fastbackprop._correct.optimizer import Optimizer
from fastbackprop._correct.optimizers import SGD
from fastbackprop._explain.chain import shown_number as number
from fastbackprop._explain.explanation import Explanation
from fastbackprop._explain.inspection import (
    inspect_layer,
    layers_of,
    moment_of,
    only_to_look,
    predict_and_compare,
)
from fastbackprop._explain.names import columns_of, image_shape_of, names_of
from fastbackprop._explain.parts import After, LayerExplanation
from fastbackprop._explain.playable import settings_of
from fastbackprop._explain.samples import Samples, data_of
from fastbackprop._model.sequential import Sequential
from fastbackprop._predict.output import Output

__all__ = ["explain", "explain_step", "shown_names"]


@in_exact_mode
def explain(
    model: Sequential,
    x: Any,
    y: Any,
    loss: str | Loss | LossFunction,
    *,
    learning_rate: float = 0.01,
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    image_shape: tuple[int, int] | None = None,
) -> Explanation:
    """Explain one step of backpropagation: predict, compare, blame, correct, with every number.

    Norms are shown as they are in training, and dropout with the mask of that step.

    Parameters
    ----------
    model : Sequential
        Model that is explained. It stays as it is: the step is done on a copy.
    x : array-like of shape (n_in,) or (n, n_in)
        One sample, or a batch; a number for one input.
    y : array-like
        Targets, as in ``Trainer.step``.
    loss : str, Loss or callable
        Loss as for Trainer; or your own: ``cost, d_y_hat = loss(y_hat, y)``, the cost a mean over
        the samples.
    learning_rate : float, default=0.01
        Learning rate of the step of plain SGD.
    feature_names, class_names : sequence of str, optional
        Names of the inputs (by default those of a frame's columns) and of the outputs, for the page
        and the picture.
    image_shape : tuple of int, optional
        Shape (rows, columns) of the image that a row of x is: the page draws it.

    Returns
    -------
    Explanation
        Every number of the step: print it, or see its methods.

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
    >>> round(sum(blamed.share for blamed in e.top(13)), 6)
    1.0
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"model must be a Sequential, got {type(model).__name__}.")
    rate = check_real("learning_rate", learning_rate, above=0.0)
    compare = as_loss_or_function(loss)
    samples = data_of(model, x, y, compare)
    shown = shown_names(model, x, samples, feature_names, class_names, image_shape)
    model_copy, optimizer = copy.deepcopy(model), SGD(rate)
    return explain_step(
        model_copy, samples, compare, optimizer, lambda: optimizer.step(model_copy), **shown
    )


def shown_names(
    model: Sequential,
    X: Any,
    samples: Samples,
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    image_shape: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """Check what inputs and outputs are called, and what they look like.

    What isn't said is as the model knows it, or else as the data has it: the columns of a frame,
    and labels of text.
    """
    if feature_names is None:
        feature_names = model.feature_names or columns_of(X)
    if class_names is None:
        learned = samples.checked.classes
        classes = learned.labels if model.classes is None and learned else model.classes
        if classes is not None and len(classes) == model.n_out:
            class_names = classes.tolist()
    return {
        "feature_names": names_of("feature_names", feature_names, model.n_in, "the model's n_in"),
        "class_names": names_of("class_names", class_names, model.n_out, "the model's n_out"),
        "image_shape": image_shape_of(image_shape, model.n_in),
    }


def explain_step(
    model: Sequential,
    samples: Samples,
    compare: Loss,
    optimizer: Optimizer,
    correct: Callable[[], object],
    rate: float | None = None,
    beside: str | None = None,
    **shown: Any,
) -> Explanation:
    """Predict, compare and blame, look at everything, and let ``correct`` change the weights.

    ``rate`` is that of the step, where it isn't the optimizer's for ever; ``beside`` says what
    else than the optimizer has a part in the step, for which a page can't go on with it.
    """
    settings = beside or settings_of(model, compare, optimizer)
    moment = moment_of(model)
    with only_to_look(model):
        y_hat, cost, d = predict_and_compare(model, samples, compare)
        rate = optimizer.learning_rate if rate is None else rate
        y = samples.target_rows(model.n_out)
        d_x = model.backward(d)
        d_y_hat = np.array(d, model.dtype)
        layers = layers_of(model, samples.rows, d_y_hat)
        costs = _cost_of_each(model, samples, compare)
    correct()
    with only_to_look(model, moment):
        after = _after(model, samples, compare, cost, cost + _add_steps(model, layers))
    return Explanation(
        title=repr(model),
        dtype=model.dtype.name,
        loss=compare.name,
        learning_rate=rate,
        optimizer=repr(optimizer),
        x=_in_units(model, samples.rows),
        y=y,
        y_hat=y_hat,
        cost=cost,
        costs=costs,
        d_y_hat=d_y_hat,
        d_x=d_x,
        layers=[LayerExplanation(**values) for values in layers],
        after=after,
        settings=settings,
        notes=_notes(model),
        **shown,
    )


def _in_units(model: Sequential, rows: np.ndarray) -> np.ndarray:
    """Return a copy of rows, in the user's units where the model scales them: to rounding."""
    columns = model._input_scale()
    return rows.copy() if columns is None else columns.undo(rows)


def _notes(model: Sequential) -> list[str]:
    """Say what is scaled."""
    notes, outputs = [], model._output_scale()
    if model._scaler is not None:
        kind = type(model._scaler).__name__
        notes.append(f"Inputs are scaled first, by {kind}: (x - center) / scale.")
    if outputs is not None:
        few = f"{number(outputs.factor[0])} y_hat + {number(outputs.offset[0])}"
        of_output = few if model.n_out == 1 else f"of y_hat[0] {few}"
        notes.append(f"Targets are scaled: y, y_hat and C are; predict gives {of_output}.")
    return notes


def _cost_of_each(model: Sequential, samples: Samples, compare: Loss) -> np.ndarray:
    """Return the cost of each sample alone: its row of what the batch gives."""
    y_hat, targets = model._forward_rows(samples.rows), samples.targets
    # A sample whose targets are all missing costs nothing, where that is allowed.
    is_told = [samples.are_labels or not np.isnan(y).all() for y in targets]
    return np.array(
        [
            compare(_row_of(y_hat, i), targets[i : i + 1])[0] if is_told[i] else 0.0
            for i in range(len(samples))
        ]
    )


def _row_of(y_hat: np.ndarray, i: int) -> np.ndarray:
    """Return row i of what ``forward`` gave, with its z where that is known."""
    row = np.array(y_hat[i : i + 1])
    if not isinstance(y_hat, Output) or y_hat.z is None or y_hat.activation is None:
        return row
    return Output.of(row, y_hat.z[i : i + 1], y_hat.activation)


def _after(
    model: Sequential, samples: Samples, compare: Loss, cost: float, predicted_cost: float
) -> After:
    """Predict and compare again, after the step."""
    y_hat = model._forward_rows(samples.rows)
    # After a step that was far too long there is nothing to compare.
    is_finite = np.isfinite(y_hat).all()
    new_cost = float(compare(y_hat, samples.targets)[0]) if is_finite else np.inf
    verdict = _verdict(cost, new_cost, predicted_cost)
    outputs = [inspect_layer(model, k, len(samples))[1] for k in range(len(model.layers))]
    return After(np.array(y_hat), new_cost, predicted_cost, new_cost < cost, verdict, outputs)


def _add_steps(model: Sequential, layers: list[dict[str, Any]]) -> float:
    """Note what a step has done to each layer; return the change of cost the gradient predicts."""
    return sum(
        _add_step(values, *pair)
        for values, pair in zip(layers, model._parameters.views(), strict=True)
    )


def _add_step(values: dict[str, Any], weight: np.ndarray, bias: np.ndarray | None) -> float:
    """Note what a step has done to a layer; return the change of cost the gradient predicts."""
    change = 0.0
    for name, after in (("weight", weight), ("bias", bias)):
        values[f"{name}_after"] = None if after is None else after.copy()
        # Exact for numbers that are near each other (Sterbenz), and in any case in double.
        step = None if after is None else after.astype(np.float64) - values[name]
        values[f"{name}_step"] = step
        change += 0.0 if step is None else float((step * values[f"{name}_gradient"]).sum())
    return change


def _verdict(cost: float, after: float, predicted: float) -> str:
    """Say what became of the cost."""
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
