"""Diagnosis: the findings of ``diagnose``, as text, dict and HTML."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from fastbackprop._core.naming import layer_in_words
from fastbackprop._explain.html_page import HtmlPage

__all__ = ["Diagnosis", "Finding"]

STYLE = """:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 1rem auto; padding: 0 1rem;
overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; vertical-align: top;
padding: .5rem; border-bottom: 1px solid #8886 }
td { font-variant-numeric: tabular-nums }
.wide { overflow-x: auto; overflow-wrap: normal } .wide td { white-space: nowrap }
@media (max-width: 640px) { body > table thead { position: absolute; clip-path: inset(50%) }
body > table tr { display: block; padding: .75rem 0; border-bottom: 1px solid #8886 }
body > table td { display: block; padding: .1rem 0; border: 0 }
body > table td:first-child { font-weight: 600 } }"""


class Finding(NamedTuple):
    """What is wrong: its name, where, the number that shows it, a sentence of advice."""

    name: str
    where: str
    value: float
    advice: str

    def __str__(self) -> str:
        return f"{self.name}, {self.where}: {self.value:.3g}. {self.advice}"


class Diagnosis(HtmlPage):
    """What ``diagnose`` found; true if that is nothing.

    Parameters
    ----------
    findings : list of Finding
        What was found: of inputs first, then of targets, weights, units, gradients, steps.
    n_rows, of_rows : int
        Number of rows that were looked at, and of all rows.
    layers : list of dict
        Sizes of each layer, first to last: ``weight_norm``; ``gradient_norm``, of its weights;
        ``delta``, the root mean square of its dC/dz; ``delta_ratio``, that by the last layer's;
        ``update_ratio``, how much of its weights one step changes (None without a learning rate).
        Where numbers are not finite, so that no step can be done, all but ``weight_norm`` are None.

    Attributes
    ----------
    healthy : bool
        Whether there are no findings.
    """

    def __init__(
        self,
        findings: list[Finding],
        n_rows: int,
        of_rows: int,
        layers: list[dict[str, float | None]],
    ) -> None:
        self.findings = findings
        self.n_rows = n_rows
        self.of_rows = of_rows
        self.layers = layers

    @property
    def healthy(self) -> bool:
        """Whether there are no findings."""
        return not self.findings

    def __bool__(self) -> bool:
        return self.healthy

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data.

        Returns
        -------
        dict
            ``healthy``, ``n_rows``, ``of_rows``, ``findings``: each with name, where, value,
            advice; ``layers``: what was measured of each.
        """
        return {
            "healthy": self.healthy,
            "n_rows": self.n_rows,
            "of_rows": self.of_rows,
            "findings": [x._asdict() for x in self.findings],
            "layers": [dict(x) for x in self.layers],
        }

    def __str__(self) -> str:
        return (
            "\n".join(map(str, self.findings))
            or f"Nothing wrong was found in {self.n_rows:,} row{'s' if self.n_rows > 1 else ''}."
        )

    def __repr__(self) -> str:
        return f"Diagnosis({', '.join(x.name for x in self.findings) or 'healthy'})"

    def _repr_html_(self) -> str:
        """Return a table, for notebooks and for ``to_html``."""
        if not self.findings:
            return f"<p>{self}</p>"
        rows = [(x.name, x.where, f"{x.value:.3g}", x.advice) for x in self.findings]
        return _table(("what", "where", "number", "advice"), rows)

    def _layers_html(self) -> str:
        """Return the sizes as a table."""
        rows = [
            (layer_in_words(k), *("-" if value is None else f"{value:.3g}" for value in x.values()))
            for k, x in enumerate(self.layers)
        ]
        return _table(
            (
                "layer",
                "weights",
                "their gradient",
                "dC/dz",
                "by the last layer's",
                "update by weights",
            ),
            rows,
        )

    def _page(self) -> str:
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>Diagnosis</title>"
            f"<style>{STYLE}</style></head><body><h1>Diagnosis</h1>{self._repr_html_()}"
            f'<h2>Layers</h2><div class="wide" tabindex="0" role="region" '
            f'aria-label="Layers">{self._layers_html()}</div>'
            f"<p>{self.n_rows:,} of {self.of_rows:,} rows were looked at.</p></body></html>\n"
        )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    import html  # not before it is needed

    shown = "".join(
        "<tr>" + "".join(f"<td>{html.escape(x)}</td>" for x in row) + "</tr>" for row in rows
    )
    names = "".join(f'<th scope="col">{html.escape(x)}</th>' for x in head)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{shown}</tbody></table>"
