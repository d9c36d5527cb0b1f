"""History: what a fit measured, epoch by epoch."""

from collections import deque
from dataclasses import asdict, dataclass, field

__all__ = ["History"]


@dataclass
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

    Examples
    --------
    >>> import fastbackprop as fb
    >>> print(fb.History(loss=[0.5, 0.25], seconds=[0.1, 0.1]))
    epoch      loss  seconds
        1    0.5000    0.100
        2    0.2500    0.100
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.loss)

    def _note(self, **figures: float) -> None:
        """Append an epoch's figures: all of them, or none where Ctrl-C comes."""
        lists = [getattr(self, name) for name in figures]
        # One call of C, which nothing can interrupt.
        deque(map(list.append, lists, figures.values()), maxlen=0)

    def __getstate__(self) -> dict[str, list[float]]:
        """Return copies of equal length, although a fit may append to them meanwhile."""
        figures = {name: list(values) for name, values in vars(self).items()}
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
        return {name: values for name, values in asdict(self).items() if values}

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
        titles = {
            "loss": ("loss", 8, ".4f"),
            "accuracy": ("accuracy", 8, ".4f"),
            "validation_loss": ("val. loss", 9, ".4f"),
            "validation_accuracy": ("val. accuracy", 13, ".4f"),
            "seconds": ("seconds", 7, ".3f"),
        }
        return [(values, titles[name]) for name, values in vars(self).items() if values]

    def __str__(self) -> str:
        return "\n".join([self.header(), *(self.row(epoch) for epoch in range(len(self)))])
