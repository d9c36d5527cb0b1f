"""Text of the way back: blame, with every delta and chain, and correct, with every step."""

from typing import Any

import numpy as np

from fastbackprop._core.naming import layer_in_words
from fastbackprop._explain.chain import (
    is_saturated,
    name_of,
    softmax_derivative,
    weight_name,
)
from fastbackprop._explain.chain import shown_number as number
from fastbackprop._explain.kinds import NORMS, parameter_name
from fastbackprop._explain.text_terms import Line, and_more, largest, n_left_out, sum_of, worst

__all__ = ["blame_lines", "correct_lines"]


def blame_lines(e: Any, s: int) -> list[Line]:
    """Return sigma'(z), delta and the most blamed weights' chains, from last layer to first."""
    lines: list[Line] = []
    for k in reversed(range(len(e.layers))):
        lines.append((layer_in_words(k),))
        neurons, n_others = largest(abs(e.layers[k].delta[s]))
        lines += [_delta(e, k, j, s) for j in neurons]
        lines += and_more(n_others, "neurons")
        if not e.layers[k].weight.size:
            continue
        if e.layers[k].kind != "Dense":  # what a sample has to do with it, others have too
            lines += [_gradient(e, k, x) for x in worst(e.blame.weights[k], e.blame.biases[k])]
        else:
            for index in worst(*_gradients_of_sample(e, k, s)):
                lines += _chain(e, k, index, s) if _has_chains(e) else [_product(e, k, index, s)]
        lines += and_more(n_left_out(e.layers[k]), "weights")
    return lines


def _has_chains(e: Any) -> bool:
    """Whether there are paths from weight to weight."""
    return all(layer.kind not in NORMS for layer in e.layers)


def _gradient(e: Any, k: int, index: tuple[int, ...]) -> Line:
    """Return the gradient of a norm's gamma or beta: that of all samples."""
    layer = e.layers[k]
    gradient = layer.weight_gradient if len(index) == 2 else layer.bias_gradient
    name = parameter_name(layer, k, index)
    return (f"  dC/d{name}, of all samples", f"= {number(gradient[index])}")


def _product(e: Any, k: int, index: tuple[int, ...], s: int) -> Line:
    """Return a sample's part of the gradient of a weight (i, j) or bias (j,) of a Dense layer."""
    layer, n_in, j = e.layers[k], e.layers[k].weight.shape[0], index[-1]
    delta = layer.delta[s, j]
    letters, numbers = name_of(f"delta{k + 1}", layer.weight.shape[1], j), number(delta)
    product = delta
    if len(index) == 2:
        a_prev, of_a = (e.x, "x") if k == 0 else (e.layers[k - 1].a, f"a{k}")
        letters += f" {name_of(of_a, n_in, index[0])}"
        numbers += f" * {number(a_prev[s, index[0]])}"
        product = delta * a_prev[s, index[0]]
    name = parameter_name(layer, k, index)
    return (f"  dC/d{name} = {letters}", f"= {numbers} = {number(product)}")


def _chain(e: Any, k: int, index: tuple[int, ...], s: int) -> list[Line]:
    """Return the strongest path of a weight (i, j) or bias (j,), and the sum of all."""
    chain = e.chain(k, index[0] if len(index) == 2 else None, index[-1], sample=s, most=1)
    path, n_others = chain.paths[0], chain.n_paths - 1
    letters, numbers = " * ".join(path.names), " * ".join(map(number, path.factors))
    if n_others:
        letters += " + ..."
        numbers += (
            f" + {number(chain.total - path.product)} "
            f"of {n_others:,} more path{'s' if n_others > 1 else ''}"
        )
    return [
        (f"  {chain.name} = {letters}",),
        (f"  {' ' * len(chain.name)} = {numbers} = {number(chain.total)}",),
    ]


def _delta(e: Any, k: int, j: int, s: int) -> Line:
    """Return delta with what it is made of, by the chain rule."""
    layer, n_out = e.layers[k], e.layers[k].weight.shape[1]
    of_z = f"z{k + 1}" if layer.kind == "Dense" else f"a{k}" if k > 0 else "x"
    z, delta = name_of(of_z, n_out, j), name_of(f"delta{k + 1}", n_out, j)
    if k == len(e.layers) - 1 and is_saturated(e, s):
        why = f"{e.loss} and {layer.activation} taken together, since y_hat is at its end"
        return (f"  {delta} = dC/d{z}", f"= {number(layer.delta[s, j])}", why)
    if layer.kind in ("LayerNorm", "BatchNorm", "Dropout") or layer.scale is not None:
        a = name_of(f"a{k + 1}", n_out, j)
        return (f"  {delta} = dC/d{a}", f"= {number(layer.delta[s, j])}")
    if layer.derivative is None:
        letters, numbers = _through_softmax(e, j, s, z)
    elif k == len(e.layers) - 1:
        letters = f"dC/d{name_of('y_hat', n_out, j)} sigma'({z})"
        numbers = f"{number(e.d_y_hat[s, j])} * {number(layer.derivative[s, j])}"
    elif e.layers[k + 1].kind != "Dense":
        letters = f"dC/d{name_of(f'a{k + 1}', n_out, j)} sigma'({z})"
        numbers = f"{number(layer.d_a[s, j])} * {number(layer.derivative[s, j])}"
    else:
        letters, numbers = _through_next_layer(e, k, j, s, z)
    return (f"  {delta} = {letters}", f"= {numbers} = {number(layer.delta[s, j])}")


def _through_softmax(e: Any, j: int, s: int, z: str) -> tuple[str, str]:
    """Return the sum over all outputs, each of which depends on z."""
    n_out = e.y_hat.shape[1]

    def letters_of(output: int) -> str:
        y_hat = name_of("y_hat", n_out, output)
        return f"dC/d{y_hat} d{y_hat}/d{z}"

    return sum_of(e.d_y_hat[s], softmax_derivative(e, s, np.arange(n_out), j), letters_of)


def _through_next_layer(e: Any, k: int, j: int, s: int, z: str) -> tuple[str, str]:
    """Return sigma'(z) times the sum over the next layer of w delta."""
    layer, next_layer = e.layers[k], e.layers[k + 1]
    shape = next_layer.weight.shape

    def letters_of(m: int) -> str:
        return f"{weight_name(shape, k + 1, j, m)} {name_of(f'delta{k + 2}', shape[1], m)}"

    letters, numbers = sum_of(next_layer.weight[j], next_layer.delta[s], letters_of)
    if shape[1] > 1:
        letters, numbers = f"({letters})", f"({numbers})"
    return f"sigma'({z}) {letters}", f"{number(layer.derivative[s, j])} * {numbers}"


def _gradients_of_sample(e: Any, k: int, s: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return |dC/dw| of a layer's weights and biases, as far as one sample goes."""
    layer = e.layers[k]
    a_prev = (e.x if k == 0 else e.layers[k - 1].a)[s]
    sizes = abs(layer.delta[s])
    return abs(np.outer(a_prev, layer.delta[s])), None if layer.bias is None else sizes


def correct_lines(e: Any) -> list[Line]:
    """Return each weight before, the step and after; and what the cost did."""
    lines: list[Line] = []
    for k, layer in enumerate(e.layers):
        lines += [_step(e, k, index) for index in worst(e.blame.weights[k], e.blame.biases[k])]
        lines += and_more(n_left_out(layer), f"weights of {layer_in_words(k)}")
    lines.append(
        (
            f"C after the step: {number(e.after.cost)}, before: {number(e.cost)} "
            f"({e.after.verdict}); the gradient predicted {number(e.after.predicted_cost)}",
        )
    )
    if len(e.x) == 1:
        y_hat = e.after.y_hat[0]
        outputs = [
            f"{name_of('y_hat', len(y_hat), j)} = {number(y_hat[j])}"
            for j in largest(abs(e.d_y_hat[0]))[0]
        ]
        lines.append((f"after the step: {', '.join(outputs)}",))
    return lines


def _step(e: Any, k: int, index: tuple[int, ...]) -> Line:
    """Return the step of a weight (i, j) or of a bias (j,)."""
    layer, kind = e.layers[k], "weight" if len(index) == 2 else "bias"
    name, rate = parameter_name(layer, k, index), f"{e.learning_rate:g}"
    before, gradient, step, after = (
        number(getattr(layer, kind + part)[index]) for part in ("", "_gradient", "_step", "_after")
    )
    rule, numbers = f"+ step of {e.optimizer}", f"+ {step}"
    if e.optimizer == f"SGD({rate})":
        rule, numbers = f"- {rate} dC/d{name}", f"- {rate} * {gradient}"
    return (f"{name} <- {name} {rule}", f"= {before} {numbers} = {after}")
