"""The page of an explanation: one HTML file with everything in it.

Wide layers are folded to the neurons most to blame, long trainings to some of their steps, until
the page is small enough to be mailed; what is left out is counted on the page.
"""

import html
import json
from importlib.resources import files
from typing import Any

import numpy as np

__all__ = ["frame", "render"]

MOST_CHARACTERS = 480_000
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


def render(data: dict[str, Any]) -> str:
    """The page for ``Explanation.to_dict()`` or ``TrainingExplanation.to_dict()``."""
    steps = data["steps"] if data.get("kind") == "training" else [data]
    template = (files("fastbackprop._explain") / "page.html").read_text(encoding="utf-8")
    page = ""
    for amount in AMOUNTS:
        shown = json.dumps(_folded(steps, *amount), separators=(",", ":"), allow_nan=False)
        # Nothing in the data may end the script that holds it.
        page = template.replace("@DATA@", shown.replace("<", "\\u003c"))
        if len(page) <= MOST_CHARACTERS:
            break
    return page


def frame(data: dict[str, Any]) -> str:
    """The page in a frame of its own, for notebooks: there its styles and scripts meet nobody's."""
    page = html.escape(render(data), quote=True)
    return (
        f'<iframe srcdoc="{page}" style="width: 100%; height: 800px; border: 0" '
        'title="explanation"></iframe>'
    )


def _folded(
    steps: list[dict[str, Any]], n_neurons: int, n_samples: int, n_steps: int
) -> dict[str, Any]:
    """What is embedded: of so many neurons, samples and steps."""
    first = steps[0]
    model = first["model"]
    shown = _most_blamed(steps, n_neurons)
    samples = _most_costly(steps)
    # Evenly spread, with the first and the last.
    chosen = sorted(
        set(np.linspace(0, len(steps) - 1, min(n_steps, len(steps))).round().astype(int).tolist())
    )
    widths = "-".join(map(str, model["widths"]))
    words = " ".join(model["activations"])
    return {
        "title": f"{widths}, {words}, {model['dtype']}, {model['n_parameters']:,} parameters; "
        f"loss {first['loss']}, "
        f"learning rate {first['learning_rate']:g}",
        "note": _note(
            model["widths"], shown, first["n_samples"], n_samples, len(steps), len(chosen)
        ),
        "widths": model["widths"],
        "activations": model["activations"],
        "learning_rate": first["learning_rate"],
        "optimizer": first["optimizer"],
        "plain": first["optimizer"] == f"SGD({first['learning_rate']:g})",
        "loss": first["loss"],
        "n_samples": first["n_samples"],
        "shown": shown,
        "steps": [_step(steps[i], i, shown, samples[i][:n_samples]) for i in chosen],
    }


def _most_blamed(steps: list[dict[str, Any]], most: int) -> list[list[int]]:
    """For the inputs and each layer the neurons to show, in the order of the layer.

    Those at the ends of the weights most to blame come first, then inputs by the blame of their
    weights (a pixel that is 0 has none) and neurons by their own, over all steps.
    """
    weights = [
        np.sum([x["blame"]["weights"][k] for x in steps], axis=0)
        for k in range(len(steps[0]["layers"]))
    ]
    totals = [weights[0].sum(axis=1)]
    totals += [
        np.sum([x["blame"]["neurons"][k] for x in steps], axis=0) for k in range(len(weights))
    ]
    for place in _worst(steps[0])[: most // 2]:
        for k, i in ((place["k"] - 1, place["i"]), (place["k"], place["j"])):
            if i is not None:
                totals[k][i] = np.inf
    return [sorted(np.argsort(-x, kind="stable")[:most].tolist()) for x in totals]


def _most_costly(steps: list[dict[str, Any]]) -> list[list[int]]:
    """Return each step's samples, the most costly first.

    The order is one for all steps, so that time moves under one sample.
    """
    costs = [np.array(x["costs"]) for x in steps]
    if len({len(x) for x in costs}) == 1:
        costs = [np.mean(costs, axis=0)] * len(costs)
    return [np.argsort(-x, kind="stable").tolist() for x in costs]


def _worst(step: dict[str, Any], most: int = 6) -> list[dict[str, Any]]:
    """The weights and biases most to blame, of all: in layer k from i (None for a bias) to j."""
    found = []
    for k, weights in enumerate(step["blame"]["weights"]):
        shares = np.array(weights)
        for at in np.argsort(-shares, axis=None, kind="stable")[:most].tolist():
            i, j = divmod(at, shares.shape[1])
            found.append({"k": k + 1, "i": i, "j": j, "share": float(shares[i, j])})
        biases = np.array(step["blame"]["biases"][k] or [])
        found += [
            {"k": k + 1, "i": None, "j": j, "share": float(biases[j])}
            for j in np.argsort(-biases, kind="stable")[:most].tolist()
        ]
    return sorted(found, key=lambda x: -x["share"])[:most]


def _note(
    widths: list[int],
    shown: list[list[int]],
    of_samples: int,
    n_samples: int,
    of_steps: int,
    n_steps: int,
) -> str:
    """What was left out, in words."""
    parts = []
    if any(len(x) < width for x, width in zip(shown, widths, strict=True)):
        parts.append("of wide layers the neurons most to blame")
    if n_samples < of_samples:
        parts.append(f"the {n_samples} most costly of {of_samples:,} samples")
    if n_steps < of_steps:
        parts.append(f"{n_steps} of {of_steps:,} steps")
    return f"Shown: {', '.join(parts)}. Sums and shares are over all." if parts else ""


def _step(
    data: dict[str, Any], index: int, shown: list[list[int]], chosen: list[int]
) -> dict[str, Any]:
    """One step, as far as it is shown."""
    costs, samples = np.array(data["costs"]), np.array(chosen)
    x = np.array(data["x"])

    def part(name: str, columns: list[int]) -> Any:
        array = np.array(data[name])
        # A loss of the user's own may compare with something else than numbers for the outputs.
        return (
            []
            if name == "y" and array.shape != np.shape(data["y_hat"])
            else _plain(array[samples[:, None], columns])
        )

    layers = []
    for k, layer in enumerate(data["layers"]):
        a_prev = x if k == 0 else np.array(data["layers"][k - 1]["a"])
        layers.append(_layer(layer, a_prev, data["blame"], k, samples, shown[k], shown[k + 1]))
    return {
        "index": index,
        "samples": samples.tolist(),
        "cost": _plain(data["cost"]),
        "costs": _plain(costs[samples]),
        "x": part("x", shown[0]),
        "d_x": part("d_x", shown[0]),
        **{name: part(name, shown[-1]) for name in ("y", "y_hat", "d_y_hat")},
        "after": {
            name: _plain(data["after"][name])
            for name in ("cost", "predicted_cost", "falls", "verdict")
        },
        "worst": [{**x, "share": _plain(x["share"])} for x in _worst(data)],
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
    weight, delta = np.array(layer["weight"]), np.array(layer["delta"])[samples]
    other_in = np.setdiff1d(np.arange(weight.shape[0]), inputs)
    other_out = np.setdiff1d(np.arange(weight.shape[1]), outputs)
    found: dict[str, Any] = {
        name: None
        if layer[name] is None
        else _plain(np.array(layer[name])[samples[:, None], outputs])
        for name in ("z", "a", "derivative", "delta")
    }
    for name in ("weight", "weight_gradient", "weight_step", "weight_after"):
        found[name] = _plain(np.array(layer[name])[np.array(inputs)[:, None], outputs])
    for name in ("bias", "bias_gradient", "bias_step", "bias_after"):
        found[name] = None if layer[name] is None else _plain(np.array(layer[name])[outputs])
    found["blame"] = _plain(np.array(blame["weights"][k])[np.array(inputs)[:, None], outputs])
    found["bias_blame"] = (
        None if layer["bias"] is None else _plain(np.array(blame["biases"][k])[outputs])
    )
    found["rest_in"] = _plain((a_prev[samples][:, other_in] @ weight[other_in])[:, outputs])
    found["rest_out"] = _plain((delta[:, other_out] @ weight[:, other_out].T)[:, inputs])
    return found


def _plain(value: Any) -> Any:
    """For JSON, which knows no NaN and no infinity: null."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list):
        return [_plain(x) for x in value]
    return value if isinstance(value, bool | str) or np.isfinite(value) else None
