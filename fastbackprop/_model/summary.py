"""A model in words: its table of layers, and its line."""

from fastbackprop._core.naming import layer_in_code
from fastbackprop._model.scaling import Scaled
from fastbackprop._predict.dense import Dense
from fastbackprop._predict.layer import Layer
from fastbackprop._predict.plain import Activation, Dropout
from fastbackprop._predict.scaling import Scaler

__all__ = ["line_of", "table_of"]


def table_of(model: Scaled) -> str:
    """Return the layers as a table, a line for each."""
    head = ("layer", "shape", "activation", "bias", "parameters")
    rows = [
        (
            f"{layer_in_code(i)} {type(x).__name__}",
            f"{x.n_in:,} -> {x.n_out:,}",
            _does(x),
            "no" if not x.has_bias else "yes" if isinstance(x, Dense) else "beta",
            f"{x.n_parameters:,}",
        )
        for i, x in enumerate(model.layers)
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(5)]
    lines = [
        "  ".join(
            c.rjust(w) if i == 4 else c.ljust(w)
            for i, (c, w) in enumerate(zip(r, widths, strict=True))
        )
        for r in [head, *rows]
    ]
    rule = "-" * len(lines[0])
    size = model.n_parameters * model.dtype.itemsize
    if model.scale_targets:
        lines.append(
            f"targets are scaled, {'not fitted yet' if model.target_scale is None else 'fitted'}"
        )
    total = f"{model.n_parameters:,} parameters, {model.dtype}, {size:,} bytes"
    return "\n".join([lines[0], rule, *lines[1:], rule, total])


def line_of(model: Scaled) -> str:
    """Return the model's widths, activations, dtype and number of parameters in one line."""
    dense = [layer for layer in model.layers if isinstance(layer, Dense)]
    widths = "-".join(str(n) for n in [model.n_in, *(layer.n_out for layer in dense)])
    names = [_name_in_line(layer) for layer in model.layers]
    if len(widths) + sum(map(len, names)) > 70:
        widths = f"{model.n_in}-...-{model.n_out} ({len(names)} layers)"
        names = list(dict.fromkeys(names))
    if model.scale_targets:
        names.append("scaled back")
    return (
        f"Sequential({widths}, {' '.join(names)}, {model.dtype}, {model.n_parameters:,} parameters)"
    )


def _name_in_line(layer: Layer) -> str:
    """Return a layer's activation, or its kind."""
    is_activation = isinstance(layer, Dense | Activation)
    return layer.activation if is_activation else type(layer).__name__


def _does(layer: Layer) -> str:
    """Return a layer's activation or its rate, and whether it is frozen."""
    if isinstance(layer, Scaler):
        return "fitted" if layer.is_fitted else "not fitted yet"
    text = f"rate {layer._rate_in_words}" if isinstance(layer, Dropout) else str(layer._activation)
    return text if layer.trainable else f"{text}, frozen"
