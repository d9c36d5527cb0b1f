"""Single calls that return numbers, by several libraries: each is checked, then all are measured.

A suite (``interactive``, ``gradients``) is a module with ``KIND``, ``NETS`` (rows by name),
``CALLS`` (names, and how many calls come before results are compared), ``Problem``, ``ours``, and
``PEERS``: for each library its label, and its ways, each a function of the problem that returns
calls by name. ``SAME`` says which of a peer's calls stands beside one that only we have.
"""

from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import Any

from checks import check_call
from contest import in_rounds, repeated
from peers import OURS, reason
from rounds import Entry


def names(suite: ModuleType) -> dict[str, tuple[str, str]]:
    """Return all lines of a suite by name: network and call."""
    return {
        f"{suite.KIND} {net}{_rows(suite.NETS[net])} {call}": (net, call)
        for net in suite.NETS
        for call in suite.CALLS
    }


def _rows(n: int) -> str:
    return f" {n} rows" if n > 1 else ""


def selected(suite: ModuleType, words: list[str], quick: bool) -> list[str]:
    """Return the lines with one of the words in their name; without words all, or the quick."""
    every = names(suite)
    if words:
        return [name for name in every if any(word in name for word in words)]
    return [name for name, (net, _) in every.items() if net in suite.QUICK or not quick]


def measured(
    suite: ModuleType, lines: list[str], peers: list[str], seconds: float
) -> Iterator[dict[str, Any]]:
    """Measure some lines of a suite against some peers, on one thread.

    Yields
    ------
    dict
        The results of a line as they go into the JSON.
    """
    every = names(suite)
    for name in lines:
        net, call = every[name]
        problem = suite.Problem(net)
        entries = [Entry(OURS, call, partial(repeated, suite.ours(problem)[call]))]
        checks, unsupported = [(OURS, {"right": True})], {}
        theirs, times = suite.SAME.get(call, call), suite.CALLS[call]
        for label, ways in (suite.PEERS[peer] for peer in peers if peer in suite.PEERS):
            for way, make in ways.items():
                try:
                    other = make(problem).get(theirs)
                    if other is None:
                        continue
                    check = check_call(suite.ours(problem)[call], other, times)
                except Exception as error:  # whatever a library does, it only leaves itself out
                    unsupported[label] = f"it is {reason(error)}"
                    continue
                entries.append(Entry(label, way, partial(repeated, other)))
                checks.append((label, check))
        described = {"name": name, "kind": suite.KIND, "rows": suite.NETS[net]}
        yield (described | {"unsupported": unsupported} | in_rounds(entries, checks, seconds, 1))
