"""The progress bar of a fit: tqdm on a terminal, nothing elsewhere."""

import sys
from typing import Any

from fastbackprop._core.validation import check_true_false
from fastbackprop._train.history import History

__all__ = ["NoBar", "figures_of", "show_progress", "wants_bar"]


class NoBar:
    """What stands in for a progress bar where none is wanted: costs nothing, imports nothing."""

    def __enter__(self) -> "NoBar":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def update(self, n: int) -> None:
        """Show nothing."""

    def set_description_str(self, text: str, refresh: bool) -> None:
        """Show nothing."""

    def set_postfix_str(self, text: str, refresh: bool) -> None:
        """Show nothing."""


# No percentage and no rate: at 80 columns the figures of a classifier with validation data leave
# room for a bar of ten characters.
FORMAT = "{desc} |{bar}| {remaining}{postfix}"


def wants_bar(progress_bar: bool | None) -> bool:
    """Return whether to show a bar; None asks whether standard error is a terminal."""
    if progress_bar is None:
        return sys.stderr is not None and sys.stderr.isatty()
    return check_true_false("progress_bar", progress_bar)


def show_progress(is_wanted: bool, total: int) -> Any:
    """Return a tqdm bar of ``total`` samples, or what stands in for one."""
    if not is_wanted:
        return NoBar()
    from fastbackprop._train.bar import Bar

    return Bar(total=total, miniters=1, desc="training", dynamic_ncols=True, bar_format=FORMAT)


def figures_of(history: History) -> str:
    """Return the figures of the last epoch; the accuracy is that of validation where there is one.

    Four digits each, so that a loss of 1e25 takes no more room than one of 0.1.
    """
    figures = {
        "loss": history.loss,
        "val. loss": history.validation_loss,
        "val. acc.": history.validation_accuracy,
        "accuracy": [] if history.validation_accuracy else history.accuracy,
    }
    return ", ".join(f"{name} {values[-1]:.4g}" for name, values in figures.items() if values)
