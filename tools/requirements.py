"""Print what pyproject.toml asks for, as pip takes it.

    pip install $(python tools/requirements.py lint)

``lint``, ``test`` ... are the extras of that name; ``oldest`` is what the package needs to run and
``oldest-build`` what builds it, each in the oldest version that is declared.
"""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def oldest(requirement: str) -> str:
    """Return ``numpy==2.0`` for ``numpy>=2.0``; pip takes that for 2.0.0, too."""
    match = re.fullmatch(r"([\w.-]+)>=([\w.]+)(,<[\w.]+)?", requirement)
    if match is None:
        raise ValueError(f"a requirement must be like numpy>=2.0, got {requirement!r}.")
    return f"{match[1]}=={match[2]}"


def requirements(what: str) -> list[str]:
    """Return the requirements of an extra, or the oldest that are declared."""
    declared = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    if what == "oldest":
        return [oldest(x) for x in declared["project"]["dependencies"]]
    if what == "oldest-build":
        return [oldest(x) for x in declared["build-system"]["requires"]]
    extras: dict[str, list[str]] = declared["project"]["optional-dependencies"]
    if what not in extras:
        raise ValueError(f"it must be oldest, oldest-build or one of {[*extras]}, got {what!r}.")
    return extras[what]


if __name__ == "__main__":
    print(*(x for what in sys.argv[1:] for x in requirements(what)), sep="\n")
