"""The page of an explanation: one HTML file with everything in it.

The folder ``web`` has its markup, its style, and its script along the script's ideas.
"""

import html
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from fastbackprop._explain.fold import AMOUNTS, folded, prepared
from fastbackprop._explain.inside import inside
from fastbackprop._explain.names import names_on_page
from fastbackprop._explain.playable import playable

__all__ = ["frame", "render"]

MOST_CHARACTERS = 480_000
LEAST_CHARACTERS = 300_000  # for what is shown, however much there is to be played with
# In the order in which they are read: each uses what stands before it, and functions of all.
SCRIPTS = (
    "state",
    "activations",
    "losses",
    "norms",
    "net",
    "play",
    "numbers",
    "names",
    "straight",
    "symbols",
    "path",
    "places",
    "labels",
    "drawing",
    "travel",
    "compare",
    "sentence",
    "neuron",
    "weight",
    "pictures",
    "valley",
    "controls",
    "sliders",
    "training",
    "story",
)


def render(explanations: Sequence[Any]) -> str:
    """Return the page of the Explanation of a step, or of those of a training."""
    notes = _notes(explanations[0])
    explanations = [inside(e) for e in explanations]
    steps, first = [prepared(e) for e in explanations], explanations[0]
    play, page = playable(first), ""
    embedded_play = _embedded({"why": play} if isinstance(play, str) else play)
    # Before what is shown, in which names of the user's own may look like one of our places.
    template = _template().replace("@PLAY@", embedded_play)
    most = max(MOST_CHARACTERS, LEAST_CHARACTERS + len(embedded_play))
    for amount in AMOUNTS:
        shown = folded(steps, *amount)
        shown["note"] = " ".join([*notes, *([shown["note"]] if shown["note"] else [])])
        page = template.replace("@DATA@", _embedded({**shown, **names_on_page(first, shown)}))
        if len(page) <= most:
            break
    return page


def _notes(e: Any) -> list[str]:
    """Return what is scaled, and that the page shows it so and begins behind it."""
    if e.layers[0].scale is not None:
        return [*e.notes, "All are shown scaled; layer 1 is model.layers[1]."]
    return [*e.notes, "All are shown scaled."] if e.notes else []


def _embedded(data: Any) -> str:
    """Return data as JSON in which nothing can end the script that holds it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def frame(explanations: Sequence[Any]) -> str:
    """Return the page in a frame, for notebooks: there its styles and scripts meet nobody's."""
    page = html.escape(render(explanations), quote=True)
    return (
        f'<iframe srcdoc="{page}" style="width: 100%; height: 800px; border: 0" '
        'title="explanation"></iframe>'
    )


def _template() -> str:
    """Put the files of the page together; only the data is missing."""
    folder = files("fastbackprop._explain") / "web"

    def text_of(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8")

    script = "\n".join(text_of(f"{name}.js") for name in SCRIPTS)
    page = text_of("page.html").replace("@STYLE@", text_of("page.css"))
    return page.replace("@SCRIPT@", script)
