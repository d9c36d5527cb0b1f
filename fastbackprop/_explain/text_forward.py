"""Text of the way forward: predict, with every sum and activation, and compare, with the cost."""

from typing import Any

from fastbackprop._core.losses import TABLE
from fastbackprop._core.naming import layer_in_words
from fastbackprop._explain.chain import bias_name, name_of, weight_name
from fastbackprop._explain.chain import shown_number as number
from fastbackprop._explain.kinds import forward_line
from fastbackprop._explain.text_terms import Line, and_more, largest, sum_of

__all__ = ["compare_lines", "predict_lines"]


def predict_lines(e: Any, s: int) -> list[Line]:
    """Return z = sum w x + b and a = sigma(z) of sample s, layer by layer."""
    lines: list[Line] = []
    for k, layer in enumerate(e.layers):
        n_in, n_out = layer.weight.shape
        is_dense = layer.kind == "Dense"
        what = f"{n_in} -> {n_out}, {layer.activation}" if is_dense else _name_of_kind(layer)
        lines.append((f"{layer_in_words(k)}: {what}",))
        neurons, n_others = largest(abs(layer.delta[s]))
        line_of = _neuron if is_dense else forward_line
        lines += [line_of(e, k, j, s) for j in neurons]
        lines += and_more(n_others, "neurons")
    return lines


def _name_of_kind(layer: Any) -> str:
    """Return what a layer that isn't Dense is: its kind, or its activation."""
    if layer.kind == "Dropout":
        return f"Dropout, rate {number(layer.rate)}"
    return str(layer.activation if layer.kind == "Activation" else layer.kind)


def _neuron(e: Any, k: int, j: int, s: int) -> Line:
    """Return z and a of one neuron."""
    layer = e.layers[k]
    shape = n_in, n_out = layer.weight.shape
    inputs, a_prev = (e.x, "x") if k == 0 else (e.layers[k - 1].a, f"a{k}")

    def letters_of(i: int) -> str:
        return f"{weight_name(shape, k, i, j)} {name_of(a_prev, n_in, i)}"

    letters, numbers = sum_of(layer.weight[:, j], inputs[s], letters_of)
    if layer.bias is not None:
        letters = f"{letters} + {bias_name(shape, k, j)}"
        numbers = f"{numbers} + {number(layer.bias[j])}"
    z, a = name_of(f"z{k + 1}", n_out, j), name_of(f"a{k + 1}", n_out, j)
    act = z if layer.activation == "identity" else f"sigma({z})"
    if k == len(e.layers) - 1:
        a = f"{name_of('y_hat', n_out, j)} = {a}"
    return (
        f"  {z} = {letters}",
        f"= {numbers} = {number(layer.z[s, j])}",
        f"{a} = {act} = {number(layer.a[s, j])}",
    )


def compare_lines(e: Any, s: int) -> list[Line]:
    """Return y_hat, y, C and dC/dy_hat of sample s."""
    n_out = e.y_hat.shape[1]
    formula = TABLE[e.loss].formula if e.loss in TABLE else f"{e.loss}(y_hat, y)"
    if n_out == 1:
        formula = formula.replace("sum ", "").replace("mean of ", "")
    # A loss of the user's own may compare with something else than numbers for the outputs.
    is_of_outputs = e.y.shape == e.y_hat.shape
    outputs, n_others = largest(abs(e.d_y_hat[s]))
    lines = [_output(e, j, s, is_of_outputs) for j in outputs]
    if not is_of_outputs:
        lines.append((f"y = {', '.join(map(number, e.y[s]))}",))
    lines += and_more(n_others, "outputs")
    what = "C of this sample" if len(e.x) > 1 else "C"
    lines.append((f"{what} = {formula} = {number(e.costs[s])}",))
    if len(e.x) > 1:
        lines.append((f"C = mean over {len(e.x)} samples = {number(e.cost)}",))
    return lines


def _output(e: Any, j: int, s: int, with_target: bool) -> Line:
    """Return y_hat, its target and dC/dy_hat of one output."""
    n_out = e.y_hat.shape[1]
    y_hat = name_of("y_hat", n_out, j)
    target = [f"{name_of('y', n_out, j)} = {number(e.y[s, j])}"] if with_target else []
    return (
        f"{y_hat} = {number(e.y_hat[s, j])}",
        *target,
        f"dC/d{y_hat} = {number(e.d_y_hat[s, j])}",
    )
