"""``fastbackprop lab``: the page to watch and play with, from the command line."""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastbackprop as fb
from fastbackprop._cli.explain import read_model_and_data
from fastbackprop._cli.table import Table, read_table
from fastbackprop._core.validation import check_real
from fastbackprop._data.digits import load_digits

__all__ = ["add_lab", "lab"]

EXAMPLES = """
examples:
  fastbackprop lab                              the worked example: two gears
  fastbackprop lab xor                          or spiral, or digits
  fastbackprop lab houses.csv --target price    a net of 8 hidden neurons is trained on it
  fastbackprop lab model.safetensors data.csv   your own net

a target of text is one of classes, and so is one of at most 20 different whole numbers that occur
at least twice on average; any other is a number; of more than 20,000 rows so many are taken at
random
"""
HIDDEN, EPOCHS, MOST_ROWS = 8, 60, 20_000


class Shown(NamedTuple):
    """What the page shows: a model, its data, and what it begins with."""

    model: fb.Sequential
    X: np.ndarray
    y: Any
    loss: str | None
    learning_rate: float
    names: dict[str, Any]


def add_lab(commands: Any) -> None:
    """Add the command to the parser's."""
    what = "open a page on which backpropagation can be watched and played with"
    parser = commands.add_parser(
        "lab",
        help=what,
        description=f"Lab: {what}.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what",
        nargs="?",
        default="example",
        metavar="WHAT",
        help="example, xor, spiral, digits, a .csv file, or a model with DATA (default: example)",
    )
    parser.add_argument("data", nargs="?", metavar="DATA", help="X and y for a model, .npz or .csv")
    parser.add_argument(
        "--target", metavar="COLUMN", help="what a .csv file is about (default: the last column)"
    )
    parser.add_argument(
        "--learning-rate", type=float, metavar="RATE", help="with which the page begins"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write the page there (.html)")
    parser.add_argument(
        "--no-open", action="store_true", help="write the page without opening the browser"
    )


def lab(options: argparse.Namespace) -> None:
    """Do what the command line asks for."""
    if options.output is not None and Path(options.output).suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--output must be a file that ends in .html, got {options.output}.")
    rate = options.learning_rate
    if rate is not None:
        rate = check_real("learning_rate", rate, above=0.0)
    shown = _shown(options)
    path = fb.lab(
        shown.model,
        shown.X,
        shown.y,
        shown.loss,
        learning_rate=shown.learning_rate if rate is None else rate,
        **shown.names,
        path=options.output,
        open_browser=not options.no_open,
    )
    print(f"{shown.model!r}\nWrote {path}" + ("" if options.no_open else "; opening it") + ".")


def _shown(options: argparse.Namespace) -> Shown:
    """Return what is asked for, or complain."""
    what = str(options.what)
    is_table = Path(what).suffix.lower() == ".csv"
    if options.target is not None and not is_table:
        raise ValueError(f"--target must come with a .csv file, got WHAT {what}.")
    if what in BUNDLED:
        if options.data is not None:
            raise ValueError(f"lab {what} takes no DATA, got {options.data}.")
        return BUNDLED[what]()
    if is_table and options.data is None:
        return _trained(read_table(Path(what), options.target))
    if options.data is None:
        raise ValueError(
            f"WHAT must be {', '.join(BUNDLED)}, a .csv file, or a model with DATA, got {what}."
        )
    model, X, y = read_model_and_data(what, str(options.data), "lab")
    return Shown(model, X, y, None, 0.01, {})


def _example() -> Shown:
    gears = [fb.Dense(1, 1, bias=False, weight_init=w) for w in (3.0, 4.0)]
    model = fb.Sequential(gears, dtype="float64")
    return Shown(model, np.array([[2.0]]), [[30.0]], "half_squared_error", 0.01, {})


def _xor() -> Shown:
    model = fb.mlp([2, 4, 1], activation="tanh", seed=0, dtype="float64")
    X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    return Shown(model, X, [0, 1, 1, 0], "half_squared_error", 0.3, {})


def _spiral() -> Shown:
    """Two arms that wind around each other."""
    rng, n = np.random.default_rng(0), 80
    t = np.linspace(0.25, 1, n)
    arms = [
        t[:, None] * np.stack([np.cos(9 * t + turn), np.sin(9 * t + turn)], axis=1)
        for turn in (0, np.pi)
    ]
    X = np.concatenate(arms) + rng.normal(0, 0.02, (2 * n, 2))
    model = fb.mlp(
        [2, 8, 8, 2], activation="tanh", output_activation="softmax", seed=0, dtype="float64"
    )
    names = {"class_names": ["first arm", "second arm"]}
    return Shown(model, X, np.repeat([0, 1], n), None, 0.3, names)


def _digits() -> Shown:
    """Return a small net in the middle of its training, and digits it never saw."""
    parts = load_digits()
    model = fb.mlp([64, 16, 10], activation="relu", output_activation="softmax", seed=0)
    fb.Trainer(model, "cross_entropy", fb.SGD(0.1), seed=0).fit(
        *parts["train"], epochs=3, progress_bar=False
    )
    X, y = (x[:200] for x in parts["test"])
    names = {"class_names": [f"a {k}" for k in range(10)], "image_shape": (8, 8)}
    return Shown(model, X, y, None, 0.1, names)


BUNDLED = {"example": _example, "xor": _xor, "spiral": _spiral, "digits": _digits}


def _trained(table: Table) -> Shown:
    """Train a net of one hidden layer on the columns of a table, each of them standardised."""
    X, y, n = table.X, table.y, len(table.X)
    if n > MOST_ROWS:  # not the first: tables are sorted, often enough by what they are about
        rows = np.sort(np.random.default_rng(0).choice(n, MOST_ROWS, replace=False))
        X, y = X[rows], y[rows]
    what = f"{len(table.classes)} classes" if table.classes else "a number"
    print(f"{table.target}: {what}.")
    said = f"{table.target} of {X.shape[1]} columns, all standardised"
    n_out, last, loss = len(table.classes), "softmax", "cross_entropy"
    if not table.classes:
        n_out, last, loss = 1, "identity", "half_squared_error"
        said += f", {table.target} too"
    model = fb.mlp(
        [X.shape[1], HIDDEN, n_out],
        activation="tanh",
        output_activation=last,
        scale_inputs=True,
        scale_targets=not table.classes,
        seed=0,
    )
    trainer = fb.Trainer(model, loss, fb.Adam(0.01), batch_size=min(32, len(X)), seed=0)
    history = trainer.fit(X, y, epochs=EPOCHS, progress_bar=False)
    of = f"{len(X):,} of {n:,}" if n > len(X) else f"{n:,}"
    print(f"Trained on {of} rows for {EPOCHS} epochs: {said}; loss {history.loss[-1]:.4g}.")
    names = {"feature_names": table.names, "class_names": table.classes or [table.target]}
    return Shown(model, X, y, loss, 0.05, names)
