"""The chain rule of one weight, path by path, with the factors by name and number.

A weight of layer k reaches an output by as many paths as there are ways through the neurons
behind it; its gradient is the sum over them of the products of the factors on the way:

    dC/dw1 = dC/dy_hat * dy_hat/dz2 * dz2/da1 * da1/dz1 * dz1/dw1

(Rumelhart, Hinton, Williams 1986). Behind softmax each output depends on every z, so there
a path also goes from any output to any z.
"""

from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "Chain",
    "Path",
    "bias_name",
    "name_of",
    "shown_number",
    "softmax_derivative",
    "strongest_paths",
    "weight_name",
]


def shown_number(value: float) -> str:
    """Return four digits, as in all texts of an explanation."""
    return f"{value + 0.0:.4g}"  # no -0


def name_of(what: str, width: int, index: int) -> str:
    """Return z2, or z2[5] where there are several."""
    return what if width == 1 else f"{what}[{index}]"


def weight_name(shape: tuple[int, ...], k: int, i: int, j: int) -> str:
    """Return w1, or w1[i, j] for ``model.layers[0].weight[i, j]``."""
    return f"w{k + 1}" if shape == (1, 1) else f"w{k + 1}[{i}, {j}]"


def bias_name(shape: tuple[int, ...], k: int, j: int) -> str:
    """Return b1, or b1[j] for ``model.layers[0].bias[j]``."""
    return name_of(f"b{k + 1}", shape[1], j)


class Path(NamedTuple):
    """One way through the network: the names of its factors, and their numbers."""

    names: tuple[str, ...]
    factors: tuple[float, ...]

    @property
    def product(self) -> float:
        """Product of the factors."""
        return float(np.prod(self.factors))


class Chain(NamedTuple):
    """The chain rule for one weight and one sample.

    Attributes
    ----------
    name : str
        Name of the derivative, for instance dC/dw1[0, 2].
    paths : list of Path
        Strongest paths, by the size of their products.
    n_paths : int
        Number of paths in all.
    total : float
        Sum of all paths: this sample's part of dC/dw.
    """

    name: str
    paths: list[Path]
    n_paths: int
    total: float

    @property
    def rest(self) -> float:
        """Sum of the paths that aren't named."""
        return (
            self.total - sum(path.product for path in self.paths)
            if self.n_paths > len(self.paths)
            else 0.0
        )

    def __str__(self) -> str:
        lines = []
        for path in self.paths:
            numbers = " * ".join(map(shown_number, path.factors))
            lines.append(f"{' * '.join(path.names)} = {numbers} = {shown_number(path.product)}")
        if self.n_paths == 1:
            return f"{self.name} = {lines[0]}"
        more = self.n_paths - len(self.paths)
        if more:
            lines.append(
                f"and {more:,} more path{'s' if more > 1 else ''}: {shown_number(self.rest)}"
            )
        return f"{self.name} = {shown_number(self.total)}, the sum of\n  " + "\n  ".join(lines)


def strongest_paths(e: Any, layer: int, i: int | None, j: int, sample: int, most: int) -> Chain:
    """Return the chain of a weight: exactly the ``most`` paths with the largest products.

    From the outputs back, each neuron keeps its ``most`` strongest ways to an output: no way that
    isn't among them can be part of a stronger one.
    """
    last = len(e.layers) - 1
    begins_at_z = is_saturated(e, sample)
    products, units = _at_last_layer(e, sample, most, begins_at_z)
    n_paths = _n_paths(e, layer, begins_at_z)
    for k in range(last - 1, layer - 1, -1):
        neurons = np.array([j]) if k == layer else np.arange(e.layers[k].weight.shape[1])
        steps = _passed(e, k + 1, neurons) * _derivative(e, k, sample)[neurons, None]
        products, units = _keep_strongest(neurons, steps[:, :, None] * products, units, most)
    before = e.x if layer == 0 else e.layers[layer - 1].a
    a_prev = 1.0 if i is None else float(before[sample, i])
    shape = e.layers[layer].weight.shape
    name = bias_name(shape, layer, j) if i is None else weight_name(shape, layer, i, j)
    at = 0 if layer < last else j
    ways = units[at][~np.isnan(products[at])].tolist()
    paths = [_path(e, layer, way, sample, name, a_prev, begins_at_z) for way in ways]
    total = float(e.layers[layer].delta[sample, j]) * a_prev
    return Chain(f"dC/d{name}", sorted(paths, key=lambda x: -abs(x.product)), n_paths, total)


def _derivative(e: Any, k: int, sample: int) -> np.ndarray:
    return np.asarray(e.layers[k].derivative[sample], np.float64)


def _passed(e: Any, k: int, neurons: np.ndarray) -> np.ndarray:
    """Return what blame is multiplied by on its way from all z of layer k to some of its inputs.

    NaN is no way at all: beside Dense, what a layer does to an input it does to that alone.
    """
    if e.layers[k].kind == "Dense":
        return np.asarray(e.layers[k].weight[neurons], np.float64)
    columns = np.arange(e.layers[k].weight.shape[1])
    return np.where(neurons[:, None] == columns, 1.0, np.nan)


def softmax_derivative(e: Any, sample: int, outputs: Any, inputs: Any) -> np.ndarray:
    """Return dy_hat[o]/dz[m] = y_hat[o] ((o == m) - y_hat[m]), for those o and m only."""
    p = e.y_hat[sample].astype(np.float64)
    return np.where(outputs == inputs, p[outputs], 0.0) - p[outputs] * p[inputs]


def is_saturated(e: Any, sample: int) -> bool:
    """Return whether y_hat is too near its end for dC/dy_hat times dy_hat/dz.

    That product has then lost what the fused loss knows as dC/dz.
    """
    last = e.layers[-1]
    if last.derivative is None:
        p, d = e.y_hat[sample].astype(np.float64), e.d_y_hat[sample].astype(np.float64)
        product = p * (d - p @ d)
    else:
        product = e.d_y_hat[sample].astype(np.float64) * _derivative(e, -1, sample)
    delta = last.delta[sample].astype(np.float64)
    return bool(np.abs(product - delta).max() > 1e-3 * np.abs(delta).max())


def _n_paths(e: Any, layer: int, begins_at_z: bool) -> int:
    """Count ways from a neuron of a layer to dC/dy_hat, or to dC/dz of the last layer."""
    n = 1
    for x in e.layers[layer + 1 :]:
        n *= x.weight.shape[1] if x.kind == "Dense" else 1
    return n * e.y_hat.shape[1] if e.layers[-1].derivative is None and not begins_at_z else n


def _at_last_layer(
    e: Any, sample: int, most: int, begins_at_z: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return products (n_out, ways) for each z of the last layer, and the neurons on them.

    The neurons are in order from the output on.
    """
    d_y_hat = e.d_y_hat[sample].astype(np.float64)
    n = len(d_y_hat)
    if begins_at_z:
        return e.layers[-1].delta[sample].astype(np.float64)[:, None], np.arange(n)[:, None, None]
    if e.layers[-1].derivative is not None:
        return (d_y_hat * _derivative(e, -1, sample))[:, None], np.arange(n)[:, None, None]
    return _through_softmax(e, sample, most)


def _through_softmax(e: Any, sample: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each z[m] the strongest of its ways to an output o, and (o, m) of each.

    For o other than m the product is -d[o] y_hat[o] y_hat[m]: so the strongest are, whatever m is,
    among the same few outputs, and m itself.
    """
    p, d = e.y_hat[sample].astype(np.float64), e.d_y_hat[sample].astype(np.float64)
    n = len(p)
    m = np.arange(n)[:, None]
    largest = np.sort(np.argsort(-abs(d * p), kind="stable")[: most + 1])
    outputs = np.concatenate([np.broadcast_to(largest, (n, len(largest))), m], axis=1)
    products = d[outputs] * softmax_derivative(e, sample, outputs, m)
    sizes = abs(products)
    sizes[np.isin(m[:, 0], largest), -1] = -1  # m is there already
    best = np.argsort(-sizes, axis=1, kind="stable")[:, : min(most, n)]
    chosen = np.take_along_axis(outputs, best, axis=1)
    units = np.stack([chosen, np.broadcast_to(m, chosen.shape)], axis=2)
    return np.take_along_axis(products, best, axis=1), units


def _keep_strongest(
    neurons: np.ndarray, candidates: np.ndarray, units: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each neuron the best of its candidates, and their units with it.

    The candidates are (neurons, neurons above, ways from there).
    """
    n, above, ways = candidates.shape
    flat = candidates.reshape(n, above * ways)
    best = np.argsort(-abs(flat), axis=1, kind="stable")[:, :most]
    own_units = np.broadcast_to(neurons[:, None, None], (*best.shape, 1))
    chosen = units.reshape(above * ways, -1)[best]
    return np.take_along_axis(flat, best, axis=1), np.concatenate([chosen, own_units], axis=2)


def _path(
    e: Any, layer: int, way: list[int], sample: int, name: str, a_prev: float, begins_at_z: bool
) -> Path:
    """Return names and numbers along the units of a way, from the output to the weight."""
    last = len(e.layers) - 1
    units = way
    n_out = e.y_hat.shape[1]
    output = units[0]
    is_softmax = e.layers[-1].derivative is None
    if is_softmax and not begins_at_z:
        units = units[1:]
    y_hat = name_of("y_hat", n_out, output)
    names, factors = [f"dC/d{y_hat}"], [float(e.d_y_hat[sample, output])]
    z = ""
    for k, unit in zip(range(last, layer - 1, -1), units, strict=False):
        width = e.layers[k].weight.shape[1]
        is_dense = e.layers[k].kind == "Dense"
        of_z = f"z{k + 1}" if is_dense else f"a{k}" if k else "x"
        z, a = name_of(of_z, width, unit), name_of(f"a{k + 1}", width, unit)
        if k < last and e.layers[k + 1].kind == "Dense":
            above = units[last - k - 1]
            names.append(f"d{name_of(f'z{k + 2}', e.layers[k + 1].weight.shape[1], above)}/d{a}")
            factors.append(float(e.layers[k + 1].weight[unit, above]))
        if k == last and begins_at_z:
            names, factors = [f"dC/d{z}"], [float(e.layers[-1].delta[sample, unit])]
            continue
        names.append(f"d{y_hat if k == last else a}/d{z}")
        factors.append(
            float(softmax_derivative(e, sample, output, unit))
            if k == last and is_softmax
            else float(_derivative(e, k, sample)[unit])
        )
    names.append(f"d{z}/d{name}")
    return Path(tuple(names), (*factors, a_prev))
