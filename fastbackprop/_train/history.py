"""History: what a fit measured, epoch by epoch."""

import csv
import io
from collections import deque
from importlib import import_module
from typing import Any

from fastbackprop._core.hints import did_you_mean
from fastbackprop._model.beside import write_beside

__all__ = ["OF_STEPS", "History"]

# Those that every fit may have, in the order of the table.
FIRST = ("loss", "accuracy", "validation_loss", "validation_accuracy", "seconds")
# Of an epoch's last step.
OF_STEPS = ("learning_rate", "gradient_norm")
TITLES = {
    "loss": ("loss", 8, ".4f"),
    "accuracy": ("accuracy", 8, ".4f"),
    "validation_loss": ("val. loss", 9, ".4f"),
    "validation_accuracy": ("val. accuracy", 13, ".4f"),
    "seconds": ("seconds", 7, ".3f"),
}


class History:
    """Figures of a fit, one number for each epoch that was finished.

    Parameters
    ----------
    loss : list of float
        Mean cost of the training samples, each measured before its step.
    accuracy : list of float
        Share of training samples classified right, likewise; empty for regression.
    validation_loss : list of float
        Mean cost of the validation data after the epoch; empty without such data.
    validation_accuracy : list of float
        Share of the validation data classified right, likewise.
    seconds : list of float
        Wall time of the epoch, without validation.
    **figures : list of float
        Metrics of the training samples after the epoch, by name, and those of the validation data
        as "validation_" and the name; ``learning_rate`` of the epoch's last step, where it is a
        schedule; ``gradient_norm`` of that step before clipping, where there is a ``clip_norm``.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> print(fb.History(loss=[0.5, 0.25], seconds=[0.1, 0.1]))
    epoch      loss  seconds
        1    0.5000    0.100
        2    0.2500    0.100
    """

    loss: list[float]
    accuracy: list[float]
    validation_loss: list[float]
    validation_accuracy: list[float]
    seconds: list[float]

    def __init__(
        self,
        loss: list[float] | None = None,
        accuracy: list[float] | None = None,
        validation_loss: list[float] | None = None,
        validation_accuracy: list[float] | None = None,
        seconds: list[float] | None = None,
        **figures: list[float],
    ) -> None:
        given = (loss, accuracy, validation_loss, validation_accuracy, seconds)
        for name, values in zip(FIRST, given, strict=True):
            setattr(self, name, [] if values is None else values)
        self.__dict__.update(figures)

    def __len__(self) -> int:
        return len(self.loss)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # its figures change

    def __getattr__(self, name: str) -> Any:
        """Say which figures there are, where one isn't."""
        if name.startswith("_"):
            raise AttributeError(name)
        figures = self.to_dict()
        known = ", ".join(map(repr, figures)) or "none yet"
        raise AttributeError(
            f"figure must be one of the history ({known}), got {name!r}."
            f"{did_you_mean(name, figures)}"
        )

    def _note(self, **figures: float) -> None:
        """Append an epoch's figures: all of them, or none where Ctrl-C comes."""
        lists = [self.__dict__.setdefault(name, []) for name in figures]
        # One call of C, which nothing can interrupt.
        deque(map(list.append, lists, figures.values()), maxlen=0)

    def __getstate__(self) -> dict[str, list[float]]:
        """Return copies of equal length, although a fit may append to them meanwhile."""
        figures = {name: list(values) for name, values in [*vars(self).items()]}
        n_epochs = min((len(values) for values in figures.values() if values), default=0)
        return {name: values[:n_epochs] for name, values in figures.items()}

    def to_dict(self) -> dict[str, list[float]]:
        """Return the figures as plain lists, without those that weren't measured.

        Returns
        -------
        dict
            The figures, for instance ``{"loss": [...], "validation_loss": [...], "seconds":
            [...]}``.
        """
        return {name: list(values) for name, values in self._named() if values}

    def _named(self) -> list[tuple[str, list[float]]]:
        """Return the figures by name: the seconds last."""
        last = "seconds"
        named = [(name, values) for name, values in [*vars(self).items()] if name != last]
        return [*named, (last, self.seconds)]

    def to_csv(self, path: Any) -> None:
        """Write the figures as a table of comma-separated values, a line for each epoch.

        Parameters
        ----------
        path : str or path
            File to write; one that is there is replaced.

        Raises
        ------
        OSError
            If it can't be written; a file that was there is as it was.
        """
        figures, table = self.to_dict(), io.StringIO(newline="")
        writer = csv.writer(table)
        writer.writerow(["epoch", *figures])
        writer.writerows(zip(range(1, len(self) + 1), *figures.values(), strict=False))
        write_beside(path, table.getvalue().encode())

    def to_frame(self) -> Any:
        """Return the figures as a frame of pandas, whose index is the epoch, from 1.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            pd = import_module("pandas")
        except ImportError:
            raise ImportError(
                "to_frame needs pandas, which is not installed: pip install pandas."
            ) from None
        index = pd.RangeIndex(1, len(self) + 1, name="epoch")
        return pd.DataFrame(self.to_dict(), index=index)

    def plot(self) -> Any:
        """Draw the curves: losses, each metric, the learning rate and what else was recorded.

        Returns
        -------
        matplotlib Figure
            An axes for each; ``savefig(path)`` stores it, and notebooks show it.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        from fastbackprop._train.history_plot import draw

        return draw(self.to_dict(), len(self))

    def row(self, epoch: int) -> str:
        """Return the line of the table for one epoch, counted from 0.

        Parameters
        ----------
        epoch : int
            Number of the epoch; -1 is the last.

        Returns
        -------
        str

        Raises
        ------
        IndexError
            If there is no such epoch.
        """
        if not -len(self) <= epoch < len(self):
            raise IndexError(f"epoch must be one of the {len(self)} in the history, got {epoch}.")
        number = epoch % len(self) + 1
        cells = [f"{values[epoch]:{width}{form}}" for values, (_, width, form) in self._columns()]
        return "  ".join([f"{number:5d}", *cells])

    def header(self) -> str:
        """Return the first line of the table.

        Returns
        -------
        str
        """
        return "  ".join(
            ["epoch", *(f"{title:>{width}}" for _, (title, width, _) in self._columns())]
        )

    def _columns(self) -> list[tuple[list[float], tuple[str, int, str]]]:
        """The lists that have figures, with their title, width and format."""
        return [
            (values, TITLES.get(name) or _title(name)) for name, values in self._named() if values
        ]

    def __str__(self) -> str:
        return "\n".join([self.header(), *(self.row(epoch) for epoch in range(len(self)))])

    def __repr__(self) -> str:
        figures = ", ".join(f"{name}={values!r}" for name, values in self.to_dict().items())
        return f"History({figures})"


def _title(name: str) -> tuple[str, int, str]:
    """Return title, width and format of a metric's column."""
    title = name.replace("validation_", "val. ")
    return title, max(8, len(title)), ".4g" if name in OF_STEPS else ".4f"
