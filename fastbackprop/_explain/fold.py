"""What a page shows of an explanation: the neurons most to blame, the most costly samples.

Wide layers are folded to some neurons, long trainings to some of their steps, until the page is
small enough to be mailed; what is left out is counted on the page.
"""

from typing import Any

import numpy as np

from fastbackprop._explain.as_dict import as_dict, doubles
from fastbackprop._explain.columns import shown_neurons

__all__ = ["AMOUNTS", "folded", "prepared"]

# How much is tried to be shown, from the most on: neurons of a layer, samples, steps of a training.
AMOUNTS = [
    (8, 8, 101),
    (8, 4, 51),
    (6, 2, 51),
    (6, 1, 51),
    (5, 1, 31),
    (4, 1, 21),
    (3, 1, 11),
    (2, 1, 5),
    (1, 1, 2),
]


def prepared(e: Any) -> dict[str, Any]:
    """Return an Explanation as a dict with arrays, and the weights and biases most to blame."""
    step = as_dict(e, doubles)
    return {**step, "worst": _worst(step)}


def folded(
    steps: list[dict[str, Any]], n_neurons: int, n_samples: int, n_steps: int
) -> dict[str, Any]:
    """Return what the page embeds: so many neurons of a layer, samples and steps."""
    first = steps[0]
    model = first["model"]
    neurons = _most_blamed(steps, n_neurons)
    samples = _most_costly(steps)
    # Evenly spread, with the first and the last.
    step_indices = sorted(
        set(np.linspace(0, len(steps) - 1, min(n_steps, len(steps))).round().astype(int).tolist())
    )
    kinds = kinds_of(first)
    dense = [n for n, kind in zip(model["widths"][1:], kinds, strict=True) if kind == "Dense"]
    widths = "-".join(map(str, [model["widths"][0], *dense]))
    words = " ".join(
        activation if kind in ("Dense", "Activation") else kind
        for activation, kind in zip(model["activations"], kinds, strict=True)
    )
    return {
        "title": f"{widths}, {words}, {model['dtype']}, {model['n_parameters']:,} parameters; "
        f"loss {first['loss']}, optimizer {first['optimizer']}",
        "note": _note(
            model["widths"], neurons, first["n_samples"], n_samples, len(steps), len(step_indices)
        ),
        "widths": model["widths"],
        "activations": model["activations"],
        "kinds": kinds,
        "learning_rate": first["learning_rate"],
        "optimizer": first["optimizer"],
        "plain": first["optimizer"] == f"SGD({first['learning_rate']:g})",
        "loss": first["loss"],
        "n_samples": first["n_samples"],
        "shown": neurons,
        "steps": [_step(steps[i], i, neurons, samples[i][:n_samples]) for i in step_indices],
    }


def _most_blamed(steps: list[dict[str, Any]], most: int) -> list[list[int]]:
    """Return for the inputs and each layer the neurons to show, in the order of the layer.

    Those at the ends of the weights most to blame come first, then inputs by the blame of their
    weights (a pixel that is 0 has none) and neurons by their own, over all steps.
    """
    kinds = kinds_of(steps[0])
    totals = [
        np.sum([x["blame"]["weights"][0] for x in steps], axis=0).sum(axis=1)
        if kinds[0] == "Dense"
        else np.sum([x["blame"]["inputs"] for x in steps], axis=0)
    ]
    totals += [np.sum([x["blame"]["neurons"][k] for x in steps], axis=0) for k in range(len(kinds))]
    for place in steps[0]["worst"][: most // 2]:
        ends = [(place["k"], place["j"])]
        if place["i"] is not None and kinds[place["k"] - 1] == "Dense":
            ends.append((place["k"] - 1, place["i"]))
        for k, i in ends:
            totals[k][i] = np.inf
    return [x.tolist() for x in shown_neurons(totals, kinds, most)]


def kinds_of(step: dict[str, Any]) -> list[str]:
    """Return the kinds of a step's layers."""
    return [x["kind"] for x in step["layers"]]


def _most_costly(steps: list[dict[str, Any]]) -> list[list[int]]:
    """Return each step's samples, the most costly first.

    The order is one for all steps, so that time moves under one sample.
    """
    costs = [x["costs"] for x in steps]
    if len({len(x) for x in costs}) == 1:
        costs = [np.mean(costs, axis=0)] * len(costs)
    return [np.argsort(-x, kind="stable").tolist() for x in costs]


def _worst(step: dict[str, Any], most: int = 6) -> list[dict[str, Any]]:
    """Return the weights and biases most to blame: in layer k from i (None for a bias) to j."""
    worst = []
    for k, weights in enumerate(step["blame"]["weights"]):
        for flat in np.argsort(-weights, axis=None, kind="stable")[:most].tolist():
            i, j = divmod(flat, weights.shape[1])
            worst.append({"k": k + 1, "i": i, "j": j, "share": float(weights[i, j])})
        biases = step["blame"]["biases"][k]
        biases = np.empty(0) if biases is None else biases
        worst += [
            {"k": k + 1, "i": None, "j": j, "share": float(biases[j])}
            for j in np.argsort(-biases, kind="stable")[:most].tolist()
        ]
    return sorted(worst, key=lambda x: -x["share"])[:most]


def _note(
    widths: list[int],
    neurons: list[list[int]],
    of_samples: int,
    n_samples: int,
    of_steps: int,
    n_steps: int,
) -> str:
    """Say in words what was left out."""
    parts = []
    if any(len(x) < width for x, width in zip(neurons, widths, strict=True)):
        parts.append("of wide layers the neurons most to blame")
    if n_samples < of_samples:
        parts.append(f"the {n_samples} most costly of {of_samples:,} samples")
    if n_steps < of_steps:
        parts.append(f"{n_steps} of {of_steps:,} steps")
    return f"Shown: {', '.join(parts)}. Sums and shares are over all." if parts else ""


def _step(
    data: dict[str, Any], index: int, neurons: list[list[int]], rows: list[int]
) -> dict[str, Any]:
    """Return one step, as far as it is shown."""
    costs, samples = data["costs"], np.array(rows)

    def part(name: str, columns: list[int]) -> Any:
        array = data[name]
        # A loss of the user's own may compare with something else than numbers for the outputs.
        return (
            []
            if name == "y" and array.shape != data["y_hat"].shape
            else _plain(array[samples[:, None], columns])
        )

    layers = []
    for k, layer in enumerate(data["layers"]):
        a_prev = data["x"] if k == 0 else data["layers"][k - 1]["a"]
        share = _layer if layer["kind"] == "Dense" else _straight_layer
        layers.append(share(layer, a_prev, data["blame"], k, samples, neurons[k], neurons[k + 1]))
    return {
        "index": index,
        "samples": samples.tolist(),
        "cost": _plain(data["cost"]),
        "costs": _plain(costs[samples]),
        "x": part("x", neurons[0]),
        "d_x": part("d_x", neurons[0]),
        **{name: part(name, neurons[-1]) for name in ("y", "y_hat", "d_y_hat")},
        "after": {
            name: _plain(data["after"][name])
            for name in ("cost", "predicted_cost", "falls", "verdict")
        }
        | {"y_hat": _plain(data["after"]["y_hat"][samples[:, None], neurons[-1]])}
        | {
            "a": [
                _plain(a[samples[:, None], some])
                for a, some in zip(data["after"]["a"], neurons[1:], strict=True)
            ]
        },
        "worst": [{**x, "share": _plain(x["share"])} for x in data["worst"]],
        "layers": layers,
    }


def _layer(
    layer: dict[str, Any],
    a_prev: np.ndarray,
    blame: dict[str, Any],
    k: int,
    samples: np.ndarray,
    inputs: list[int],
    outputs: list[int],
) -> dict[str, Any]:
    """Describe a layer between neurons that are shown.

    It sums over the others as rest_in (of z) and rest_out (of dC/da).
    """
    weight, delta = layer["weight"], layer["delta"][samples]
    other_in = np.setdiff1d(np.arange(weight.shape[0]), inputs)
    other_out = np.setdiff1d(np.arange(weight.shape[1]), outputs)
    values = _of_neurons(layer, blame, k, samples, outputs)
    for name in ("weight", "weight_gradient", "weight_step", "weight_after"):
        values[name] = _plain(layer[name][np.array(inputs)[:, None], outputs])
    values["blame"] = _plain(blame["weights"][k][np.array(inputs)[:, None], outputs])
    values["rest_in"] = _plain((a_prev[samples][:, other_in] @ weight[other_in])[:, outputs])
    values["rest_out"] = _plain((delta[:, other_out] @ weight[:, other_out].T)[:, inputs])
    return values


def _of_neurons(
    layer: dict[str, Any],
    blame: dict[str, Any],
    k: int,
    samples: np.ndarray,
    outputs: list[int],
) -> dict[str, Any]:
    """Describe the neurons of a layer of any kind, with their biases."""
    values: dict[str, Any] = {
        name: None if layer[name] is None else _plain(layer[name][samples[:, None], outputs])
        for name in ("z", "a", "derivative", "delta")
    }
    for name in ("bias", "bias_gradient", "bias_step", "bias_after"):
        values[name] = None if layer[name] is None else _plain(layer[name][outputs])
    values["bias_blame"] = None if layer["bias"] is None else _plain(blame["biases"][k][outputs])
    return values


def _straight_layer(
    layer: dict[str, Any],
    a_prev: np.ndarray,
    blame: dict[str, Any],
    k: int,
    samples: np.ndarray,
    inputs: list[int],
    outputs: list[int],
) -> dict[str, Any]:
    """Describe a layer in which each number has a line of its own: gamma as a list, no weight."""
    values = _of_neurons(layer, blame, k, samples, outputs)
    if layer["kind"] == "Dropout":  # its derivative is the mask
        values["through"], values["derivative"] = values["derivative"], None
    if "through" in layer:
        values["through"] = _plain(layer["through"][samples[:, None], outputs])
        for name in ("weight", "weight_gradient", "weight_step", "weight_after"):
            values[name.replace("weight", "gamma")] = _plain(layer[name][0, outputs])
        values["gamma_blame"] = _plain(blame["weights"][k][0, outputs])
    return values


def _plain(value: Any) -> Any:
    """Return it for JSON, which knows no NaN and no infinity: null instead."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list):
        return [_plain(x) for x in value]
    return value if isinstance(value, bool | str) or np.isfinite(value) else None
