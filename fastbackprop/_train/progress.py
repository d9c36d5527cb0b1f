"""The progress bar of a fit: tqdm on a terminal, nothing elsewhere."""

import sys
from typing import Any

from fastbackprop._core.validation import check_true_false

__all__ = ["NoBar", "show_progress"]


class NoBar:
    """What stands in for a progress bar where none is wanted: costs nothing, imports nothing."""

    def __enter__(self) -> "NoBar":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def update(self, n: int) -> None:
        """Show nothing."""

    def set_postfix_str(self, text: str, refresh: bool) -> None:
        """Show nothing."""


def show_progress(wanted: bool | None, total: int) -> Any:
    """Return a tqdm bar of ``total`` samples, or what stands in for one; None asks the terminal."""
    if wanted is None:
        wanted = sys.stderr is not None and sys.stderr.isatty()
    if not check_true_false("progress_bar", wanted):
        return NoBar()
    from tqdm import tqdm

    return tqdm(total=total, unit=" samples", unit_scale=True, desc="training", dynamic_ncols=True)
