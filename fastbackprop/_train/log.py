"""A line in a log of Python's ``logging`` after each epoch."""

import logging
from typing import Any

from fastbackprop._train.callback import Callback

__all__ = ["EpochLog", "as_logger"]


def as_logger(log: Any) -> logging.Logger | logging.LoggerAdapter | None:
    """Return the logger that a user means: one, its name, or True for that of fastbackprop."""
    if log is None or log is False:
        return None
    if log is True:
        return logging.getLogger("fastbackprop")
    if isinstance(log, str):
        return logging.getLogger(log)
    if not isinstance(log, logging.Logger | logging.LoggerAdapter):
        raise TypeError(f"log must be True, a logging.Logger or the name of one, got {log!r}.")
    return log


class EpochLog(Callback):
    """Writes the figures of each epoch, at level INFO.

    Parameters
    ----------
    logger : Logger
        Where they go.
    """

    def __init__(self, logger: logging.Logger | logging.LoggerAdapter) -> None:
        self._logger = logger

    def on_epoch_end(self, trainer: Any, history: Any) -> None:
        """Write a line."""
        figures = {name: values[-1] for name, values in history.to_dict().items()}
        seconds = figures.pop("seconds")
        text = ", ".join(f"{name} {value:.6g}" for name, value in figures.items())
        state = trainer._state
        self._logger.info("epoch %d/%d: %s (%.3f s)", state.epoch, state.epochs, text, seconds)
