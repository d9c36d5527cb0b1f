"""A model in words: its table of layers, and its line."""

from fastbackprop._core.naming import layer_in_code
from fastbackprop._model.structure import Structure

__all__ = ["line_of", "table_of"]


def table_of(model: Structure) -> str:
    """Return the layers as a table, a line for each."""
    head = ("layer", "shape", "activation", "bias", "parameters")
    rows = [
        (
            f"{layer_in_code(i)} Dense",
            f"{x.n_in:,} -> {x.n_out:,}",
            str(x._activation),
            "yes" if x.has_bias else "no",
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
    total = f"{model.n_parameters:,} parameters, {model.dtype}, {size:,} bytes"
    return "\n".join([lines[0], rule, *lines[1:], rule, total])


def line_of(model: Structure) -> str:
    """Return the model's widths, activations, dtype and number of parameters in one line."""
    widths = "-".join(str(n) for n in [model.n_in, *(layer.n_out for layer in model.layers)])
    activations = [layer.activation for layer in model.layers]
    if len(widths) + sum(map(len, activations)) > 70:
        widths = f"{model.n_in}-...-{model.n_out} ({len(activations)} layers)"
        activations = list(dict.fromkeys(activations))
    return (
        f"Sequential({widths}, {' '.join(activations)}, {model.dtype}, "
        f"{model.n_parameters:,} parameters)"
    )
