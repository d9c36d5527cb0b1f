"""``fastbackprop explain``: who is to blame, from the command line."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import fastbackprop as fb
from fastbackprop._cli.data import read_data
from fastbackprop._compare.losses import LOSSES
from fastbackprop._core.activations import TABLE
from fastbackprop._core.validation import check_real
from fastbackprop._data.digits import load_digits

__all__ = ["add_explain", "explain", "read_model_and_data"]

MOST_ROWS = 64
EXAMPLES = """
examples:
  fastbackprop explain --demo -o blame.html
  fastbackprop explain digits.safetensors test.npz --row 3

a .csv file has a sample in each line, separated by commas, semicolons or tabs (with decimal
commas too, if commas don't separate), or by what a first line sep=; says; its first line is a
header if it holds no numbers, or, with at least three columns, numbers that only count the
columns: 0,1,2,3; its names must be those that the model knows its inputs by, if it knows some
"""


def add_explain(commands: Any) -> None:
    """Add the command to the parser's."""
    what = "show how a step of backpropagation comes about, as text or as a page"
    parser = commands.add_parser(
        "explain",
        help=what,
        description=f"Explain: {what}.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="a model that was saved: model.safetensors"
    )
    parser.add_argument(
        "data", nargs="?", metavar="DATA",
        help="X and y in a .npz file, or a .csv file whose last columns (one, for labels) are y; "
        "- reads standard input",
    )  # fmt: skip
    parser.add_argument(
        "--demo",
        action="store_true",
        help="a small network on the bundled handwritten digits instead",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write a page there (.html); without it: text"
    )
    parser.add_argument(
        "--row",
        type=int,
        metavar="N",
        help=f"explain one row of DATA (default: the first {MOST_ROWS})",
    )
    parser.add_argument(
        "--loss", choices=sorted(LOSSES), help="default: what goes with the last activation"
    )
    parser.add_argument(
        "--learning-rate",
        type=float,
        default=0.01,
        metavar="RATE",
        help="learning rate of the step (default: 0.01)",
    )


def explain(options: argparse.Namespace) -> None:
    """Do what the command line asks for."""
    if options.output is not None and Path(options.output).suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--output must be a file that ends in .html, got {options.output}.")
    rate = check_real("learning_rate", options.learning_rate, above=0.0)
    if options.demo and options.model is not None:
        raise ValueError(f"--demo takes no MODEL and no DATA, got {options.model}.")
    if not options.demo and (options.model is None or options.data is None):
        raise ValueError(
            "explain needs MODEL and DATA, or --demo; see fastbackprop explain --help."
        )
    model, X, y = (
        _demo() if options.demo else read_model_and_data(str(options.model), str(options.data))
    )
    loss = options.loss or TABLE[model.layers[-1].activation].loss or "half_squared_error"
    if len(X) != len(y):
        raise ValueError(
            f"DATA must have as many rows of y as of X, got {len(y):,} and {len(X):,}."
        )
    if options.row is not None:
        if not 0 <= options.row < len(X):
            raise ValueError(f"--row must be from 0 to {len(X) - 1}, got {options.row}.")
        X, y = X[options.row : options.row + 1], y[options.row : options.row + 1]
    elif len(X) > MOST_ROWS:
        print(f"The first {MOST_ROWS} of {len(X):,} rows; --row N explains one.")
        X, y = X[:MOST_ROWS], y[:MOST_ROWS]
    names: dict[str, Any] = {}
    if options.demo:
        names = {"image_shape": (8, 8), "class_names": list("0123456789")}
    explanation = fb.explain(model, X, y, loss=loss, learning_rate=rate, **names)
    if options.output is None:
        print(explanation)
        return
    explanation.to_html(options.output)
    print(
        f"{explanation!r}\nMost to blame: "
        f"{', '.join(f'{x.name} {x.share:.1%}' for x in explanation.top(3))}"
    )
    print(f"Wrote {options.output}; open it in a browser.")


def _demo() -> tuple[fb.Sequential, np.ndarray, np.ndarray]:
    """Return a network in the middle of its training, and the digit that it gets most wrong."""
    parts = load_digits()
    model = fb.mlp([64, 24, 10], activation="relu", output_activation="softmax", seed=0)
    fb.Trainer(model, "cross_entropy", fb.SGD(0.1), seed=0).fit(
        *parts["train"], epochs=3, progress_bar=False
    )
    X, y = parts["test"]
    probabilities = model.predict(X)[np.arange(len(y)), y]
    worst = int(np.argmin(probabilities))
    print(f"Test digit {worst} is a {y[worst]}; the network gives that {probabilities[worst]:.1%}.")
    return model, X[worst : worst + 1], y[worst : worst + 1]


def read_model_and_data(
    model_path: str, data_path: str, command: str = "explain"
) -> tuple[fb.Sequential, np.ndarray, np.ndarray]:
    """Return the model and its data, or complain."""
    try:
        model = fb.load(model_path)
    except fb.ModelFileError:
        if _is_model(data_path):
            raise ValueError(
                f"MODEL must come before DATA, got them the other way round: type 'fastbackprop "
                f"{command} {data_path} {model_path}'."
            ) from None
        raise
    path = None if data_path == "-" else Path(data_path)
    classes = frozenset(() if model.classes is None else model.classes.tolist())
    if not all(isinstance(x, str) for x in classes):
        classes = frozenset()
    features = model.feature_names
    return model, *read_data(path, model.n_in, model.n_out, features=features, classes=classes)


def _is_model(path: str) -> bool:
    """Return whether a file is a model that can be loaded."""
    try:
        fb.load(path)
    except OSError:
        return False
    return True
