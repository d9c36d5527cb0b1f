"""A History as a picture, by matplotlib."""

from functools import partial
from io import BytesIO
from typing import Any

__all__ = ["draw"]

WIDTH, HEIGHT, MOST_COLUMNS = 5.2, 3.4, 2  # of a curve's axes, in inches; side by side
TRAINING, VALIDATION = "teal", "tab:orange"
MANY = 30  # epochs that are points, not lines only
SPAN = 50.0  # a loss whose values are so many times apart is drawn so too


def draw(figures: dict[str, list[float]], n_epochs: int) -> Any:
    """Draw each figure over the epochs, training and validation together; return the Figure."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise ImportError(
            "plot needs matplotlib, which is not installed: pip install 'fastbackprop[plot]'."
        ) from None
    names = [name for name in figures if name != "seconds" and not _is_second(name, figures)]
    n_columns = max(1, min(MOST_COLUMNS, len(names)))
    n_rows = max(1, -(-len(names) // n_columns))
    picture: Any = Figure((WIDTH * n_columns, HEIGHT * n_rows), layout="constrained")
    for place, name in enumerate(names, start=1):
        axes = picture.add_subplot(n_rows, n_columns, place)
        other = f"validation_{name}"
        curves = {"training": figures[name]} | (
            {"validation": figures[other]} if other in figures else {}
        )
        _draw_curves(axes, name, curves, n_epochs)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    # Notebooks draw figures by themselves only once pyplot was imported.
    picture._repr_png_ = partial(_as_png, picture)
    return picture


def _as_png(picture: Any) -> bytes:
    file = BytesIO()
    picture.savefig(file, format="png")
    return file.getvalue()


def _is_second(name: str, figures: dict[str, list[float]]) -> bool:
    """Whether a figure is drawn with that of training."""
    return name.startswith("validation_") and name.removeprefix("validation_") in figures


def _draw_curves(axes: Any, name: str, curves: dict[str, list[float]], n_epochs: int) -> None:
    """Draw one figure, with a legend where there are two curves."""
    epochs = range(1, n_epochs + 1)
    marker = "o" if n_epochs <= MANY else None
    colors = {"training": TRAINING, "validation": VALIDATION}
    for label, values in curves.items():
        axes.plot(epochs, values, label=label, color=colors[label], marker=marker, markersize=3)
    numbers = [value for values in curves.values() for value in values if value > 0]
    are_all = len(numbers) == sum(map(len, curves.values()))
    if numbers and are_all and _spans(name, numbers):
        axes.set_yscale("log")
    axes.set(xlabel="epoch", ylabel=name.replace("_", " "))
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        axes.legend()


def _spans(name: str, numbers: list[float]) -> bool:
    return name == "loss" and max(numbers) > SPAN * min(numbers)
