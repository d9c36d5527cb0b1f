"""An Explanation as text: the four steps with the formulas, and the numbers put in.

Layers are named by ``_core/naming.py`` and count from 1 as in the formulas, neurons from 0 as in
NumPy. Wide layers are folded to those most to blame.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from fastbackprop._core.naming import layer_in_words
from fastbackprop._explain.chain import (
    bias_name,
    is_saturated,
    name_of,
    softmax_derivative,
    weight_name,
)
from fastbackprop._explain.chain import shown_number as number

__all__ = ["text"]

MOST_NEURONS = 6  # of a layer with more than FEW
MOST_TERMS = 3
FEW = 8
FORMULAS = {
    "half_squared_error": "1/2 sum (y_hat - y)^2",
    "mean_squared_error": "mean of (y_hat - y)^2",
    "cross_entropy": "-sum y log y_hat",
    "binary_cross_entropy": "-mean of (y log y_hat + (1 - y) log(1 - y_hat))",
}


def text(e: Any) -> str:
    """Write an explanation down."""
    sample = int(np.argmax(e.costs))
    n = len(e.x)
    lines = [e.title, f"loss {e.loss}, learning rate {e.learning_rate:g}"]
    if max(x.weight.size for x in e.layers) > 1:
        lines.append(
            "wk[i, j] is model.layers[k - 1].weight[i, j], from input i to neuron j; the most "
            "blamed come first."
        )
    if n > 1:
        lines.append(
            f"Predict, compare and blame show sample {sample}, the most costly of {n}; correct is "
            "for all."
        )
    steps = {
        "predict": _predict(e, sample),
        "compare": _compare(e, sample),
        "blame": _blame(e, sample),
        "correct": _correct(e),
    }
    for name, rows in steps.items():
        lines += ["", name, *(f"  {line}" for line in _aligned(rows))]
    return "\n".join(lines)


def _aligned(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Lines of columns, each as wide as its widest entry; an entry that is alone may be longer."""
    rows = list(rows)
    widths = [
        max((len(row[i]) for row in rows if len(row) > i + 1), default=0)
        for i in range(max(map(len, rows), default=0))
    ]
    return [
        "   ".join(x.ljust(w) for x, w in zip(row, widths, strict=False)).rstrip() for row in rows
    ]


def _shown(shares: np.ndarray, least: int = FEW, most: int = MOST_NEURONS) -> tuple[list[int], int]:
    """Return the indices to show (the most blamed, or all if few), and how many are left out."""
    if len(shares) <= least:
        return list(range(len(shares))), 0
    order = np.argsort(-shares, kind="stable")[:most]
    return [int(j) for j in order], len(shares) - most


def _and_more(n: int, what: str) -> list[tuple[str, ...]]:
    return [(f"and {n:,} more {what}",)] if n else []


def _sum(left: np.ndarray, right: np.ndarray, letters_of: Callable[[int], str]) -> tuple[str, str]:
    """The letters and the numbers of a sum of products: the largest terms, and how many more."""
    products = left.astype(np.float64) * right.astype(np.float64)
    largest: Sequence[int] = range(len(products))
    if len(products) > MOST_TERMS + 1:
        largest = np.argsort(-abs(products), kind="stable")[:MOST_TERMS].tolist()
    letters = " + ".join(letters_of(i) for i in largest)
    numbers = " + ".join(f"{number(left[i])} * {number(right[i])}" for i in largest)
    if more := len(products) - len(largest):
        rest = sum(products.tolist()) - sum(products[largest].tolist())
        return f"{letters} + {more:,} more", f"{numbers} + {number(rest)}"
    return letters, numbers


def _predict(e: Any, s: int) -> list[tuple[str, ...]]:
    """Z = sum w x + b, a = sigma(z), layer by layer."""
    rows: list[tuple[str, ...]] = []
    for k, layer in enumerate(e.layers):
        n_in, n_out = layer.weight.shape
        is_last = k == len(e.layers) - 1
        inputs = (e.x if k == 0 else e.layers[k - 1].a)[s]
        rows.append((f"{layer_in_words(k)}: {n_in} -> {n_out}, {layer.activation}",))
        shown, more = _shown(abs(layer.delta[s]))
        for j in shown:
            shape, a_prev = layer.weight.shape, "x" if k == 0 else f"a{k}"
            letters, numbers = _sum(
                layer.weight[:, j],
                inputs,
                lambda i: f"{weight_name(shape, k, i, j)} {name_of(a_prev, n_in, i)}",  # noqa: B023
            )
            if layer.bias is not None:
                letters, numbers = (
                    f"{letters} + {bias_name(layer.weight.shape, k, j)}",
                    f"{numbers} + {number(layer.bias[j])}",
                )
            z, a = name_of(f"z{k + 1}", n_out, j), name_of(f"a{k + 1}", n_out, j)
            act = z if layer.activation == "identity" else f"sigma({z})"
            a = f"{name_of('y_hat', n_out, j)} = {a}" if is_last else a
            rows.append((f"  {z} = {letters}", f"= {numbers} = {number(layer.z[s, j])}",
                         f"{a} = {act} = {number(layer.a[s, j])}"))  # fmt: skip
        rows += _and_more(more, "neurons")
    return rows


def _compare(e: Any, s: int) -> list[tuple[str, ...]]:
    """y_hat, y, C and dC/dy_hat."""
    n_out = e.y_hat.shape[1]
    formula = FORMULAS.get(e.loss, f"{e.loss}(y_hat, y)")
    if n_out == 1:
        formula = formula.replace("sum ", "").replace("mean of ", "")
    what = "C of this sample" if len(e.x) > 1 else "C"
    rows: list[tuple[str, ...]] = []
    shown, more = _shown(abs(e.d_y_hat[s]))
    for j in shown:
        y_hat = name_of("y_hat", n_out, j)
        of_y = (
            [f"{name_of('y', n_out, j)} = {number(e.y[s, j])}"]
            if e.y.shape == e.y_hat.shape
            else []
        )
        rows.append(
            (
                f"{y_hat} = {number(e.y_hat[s, j])}",
                *of_y,
                f"dC/d{y_hat} = {number(e.d_y_hat[s, j])}",
            )
        )
    if e.y.shape != e.y_hat.shape:
        rows.append((f"y = {', '.join(map(number, e.y[s]))}",))
    rows += _and_more(more, "outputs")
    rows.append((f"{what} = {formula} = {number(e.costs[s])}",))
    if len(e.x) > 1:
        rows.append((f"C = mean over {len(e.x)} samples = {number(e.cost)}",))
    return rows


def _blame(e: Any, s: int) -> list[tuple[str, ...]]:
    """Show sigma'(z), delta and the most blamed weights' chains, from last layer to first."""
    rows: list[tuple[str, ...]] = []
    for k in reversed(range(len(e.layers))):
        layer = e.layers[k]
        n_out = layer.weight.shape[1]
        rows.append((layer_in_words(k),))
        shown, more = _shown(abs(layer.delta[s]))
        rows += [_delta(e, k, j, s, n_out) for j in shown]
        rows += _and_more(more, "neurons")
        for where in _worst(*_of_sample(e, k, s)):
            chain = e.chain(k, where[0] if len(where) == 2 else None, where[-1], sample=s, most=1)
            path = chain.paths[0]
            rows.append(
                (
                    f"  {chain.name} = "
                    f"{' * '.join(path.names)}{' + ...' if chain.n_paths > 1 else ''}",
                )
            )
            numbers = " * ".join(map(number, path.factors))
            if chain.n_paths > 1:
                more = chain.n_paths - 1
                numbers += (
                    f" + {number(chain.total - path.product)} "
                    f"of {more:,} more path{'s' if more > 1 else ''}"
                )
            rows.append((f"  {' ' * len(chain.name)} = {numbers} = {number(chain.total)}",))
        rows += _and_more(_left_out(layer), "weights")
    return rows


def _delta(e: Any, k: int, j: int, s: int, n_out: int) -> tuple[str, ...]:
    """Delta = dC/dy_hat sigma'(z), or sigma'(z) times the sum over the layer behind of w delta."""
    layer = e.layers[k]
    z, delta = name_of(f"z{k + 1}", n_out, j), name_of(f"delta{k + 1}", n_out, j)
    if k == len(e.layers) - 1 and is_saturated(e, s):
        why = f"{e.loss} and {layer.activation} taken together, since y_hat is at its end"
        return (f"  {delta} = dC/d{z}", f"= {number(layer.delta[s, j])}", why)
    if layer.derivative is None:
        slopes = softmax_derivative(e, s, np.arange(n_out), j)

        def letters_of(output: int) -> str:
            y_hat = name_of("y_hat", n_out, output)
            return f"dC/d{y_hat} d{y_hat}/d{z}"

        letters, numbers = _sum(e.d_y_hat[s], slopes, letters_of)
        return (f"  {delta} = {letters}", f"= {numbers} = {number(layer.delta[s, j])}")
    slope = f"sigma'({z})"
    if k == len(e.layers) - 1:
        letters = f"dC/d{name_of('y_hat', n_out, j)} {slope}"
        numbers = f"{number(e.d_y_hat[s, j])} * {number(layer.derivative[s, j])}"
    else:
        above = e.layers[k + 1]
        shape = above.weight.shape
        letters, numbers = _sum(
            above.weight[j],
            above.delta[s],
            lambda m: f"{weight_name(shape, k + 1, j, m)} {name_of(f'delta{k + 2}', shape[1], m)}",
        )
        if shape[1] > 1:
            letters, numbers = f"({letters})", f"({numbers})"
        letters, numbers = f"{slope} {letters}", f"{number(layer.derivative[s, j])} * {numbers}"
    return (f"  {delta} = {letters}", f"= {numbers} = {number(layer.delta[s, j])}")


def _of_sample(e: Any, k: int, s: int) -> tuple[np.ndarray, np.ndarray | None]:
    """|dC/dw| of a layer's weights and biases, as far as one sample goes."""
    layer = e.layers[k]
    a_prev = (e.x if k == 0 else e.layers[k - 1].a)[s]
    return abs(np.outer(a_prev, layer.delta[s])), None if layer.bias is None else abs(
        layer.delta[s]
    )


def _worst(weights: np.ndarray, biases: np.ndarray | None) -> list[tuple[int, ...]]:
    """Return (i, j) of weights and (j,) of biases: the most blamed, or all in order if few."""
    shares = (
        weights.reshape(-1) if biases is None else np.concatenate([weights.reshape(-1), biases])
    )
    order = np.arange(len(shares))
    if len(shares) > FEW:
        order = np.argsort(-shares, kind="stable")[:MOST_NEURONS]
    n_out = weights.shape[1]
    return [divmod(int(x), n_out) if x < weights.size else (int(x) - weights.size,) for x in order]


def _left_out(layer: Any) -> int:
    """How many weights and biases of a layer aren't shown."""
    n = layer.weight.size + (0 if layer.bias is None else layer.bias.size)
    return n - MOST_NEURONS if n > FEW else 0


def _correct(e: Any) -> list[tuple[str, ...]]:
    """Each weight before, the step and after; and what the cost did."""
    rate = f"{e.learning_rate:g}"
    is_plain = e.optimizer == f"SGD({rate})"
    rows: list[tuple[str, ...]] = []
    for k, layer in enumerate(e.layers):
        shape = layer.weight.shape
        for where in _worst(e.blame.weights[k], e.blame.biases[k]):
            if len(where) == 2:
                name = weight_name(shape, k, *where)
                before, gradient, step, after = (
                    layer.weight,
                    layer.weight_gradient,
                    layer.weight_step,
                    layer.weight_after,
                )
            else:
                name = bias_name(shape, k, *where)
                before, gradient, step, after = (
                    layer.bias,
                    layer.bias_gradient,
                    layer.bias_step,
                    layer.bias_after,
                )
            if is_plain:
                rule, numbers = f"- {rate} dC/d{name}", f"- {rate} * {number(gradient[where])}"
            else:
                rule, numbers = f"+ step of {e.optimizer}", f"+ {number(step[where])}"
            rows.append(
                (
                    f"{name} <- {name} {rule}",
                    f"= {number(before[where])} {numbers} = {number(after[where])}",
                )
            )
        rows += _and_more(_left_out(layer), f"weights of {layer_in_words(k)}")
    rows.append((f"C after the step: {number(e.after.cost)}, before: {number(e.cost)} "
        f"({e.after.verdict}); "
                 f"the gradient predicted {number(e.after.predicted_cost)}",))  # fmt: skip
    if len(e.x) == 1:
        outputs = [f"{name_of('y_hat', len(e.after.y_hat[0]), j)} = {number(e.after.y_hat[0, j])}"
                   for j in _shown(abs(e.d_y_hat[0]))[0]]  # fmt: skip
        rows.append((f"after the step: {', '.join(outputs)}",))
    return rows
