"""The progress bar of a fit: tqdm on a terminal or in a notebook, nothing elsewhere."""

import sys
from typing import Any

from fastbackprop._core.validation import check_true_false
from fastbackprop._train.callback import Callback
from fastbackprop._train.history import OF_STEPS, History

__all__ = ["ProgressBar", "figures_of", "show_progress", "wants_bar"]

# No percentage: at 80 columns the figures of a classifier with validation data leave room for a bar
# of ten characters.
FORMAT = "{desc} |{bar}| {remaining} {rate_noinv_fmt}{postfix}"


def wants_bar(progress_bar: bool | None) -> bool:
    """Return whether to show a bar; None asks whether somebody sees it."""
    if progress_bar is None:
        return (sys.stderr is not None and sys.stderr.isatty()) or _is_notebook()
    return check_true_false("progress_bar", progress_bar)


def _is_notebook() -> bool:
    """Whether this is the kernel of a notebook, without importing anything for it."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", {})


def show_progress(total: int) -> Any:
    """Return a tqdm bar of ``total`` samples."""
    from fastbackprop._train.bar import Bar

    return Bar(
        total=total,
        miniters=1,
        desc="training",
        dynamic_ncols=True,
        bar_format=FORMAT,
        unit="",
        unit_scale=True,
    )


def figures_of(history: History) -> str:
    """Return the figures of the last epoch; the accuracy is that of validation where there is one.

    Four digits each, so that a loss of 1e25 takes no more room than one of 0.1.
    """
    left_out = ("seconds", *OF_STEPS)
    figures = {name: values for name, values in vars(history).items() if name not in left_out}
    shown = {
        name.replace("validation_", "val. ").replace("val. accuracy", "val. acc."): values[-1]
        for name, values in figures.items()
        if values and (name == "loss" or not figures.get(f"validation_{name}"))
    }
    return ", ".join(f"{name} {value:.4g}" for name, value in shown.items())


class ProgressBar(Callback):
    """Shows where a fit is, how fast, its figures and the time that is left."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._epoch = 0

    def on_fit_begin(self, trainer: Any) -> None:
        """Show it."""
        self._bar, self._epoch = show_progress(trainer._state.n_rows), 0

    def _after_steps(self, trainer: Any, n_rows: int) -> None:
        state = trainer._state
        if state.epoch != self._epoch:
            self._epoch = state.epoch
            text = f"epoch {state.epoch}/{state.epochs}"
            self._bar.set_description_str(text, refresh=False)
        self._bar.update(n_rows)

    def on_epoch_end(self, trainer: Any, history: Any) -> None:
        """Show the figures."""
        self._bar.set_postfix_str(figures_of(history), refresh=False)

    def on_fit_end(self, trainer: Any) -> None:
        """Leave it as it is."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
