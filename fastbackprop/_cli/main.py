"""The command line: ``fastbackprop demo``, ``explain``, ``lab`` and ``info``."""

import argparse
import json
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

import fastbackprop as fb
from fastbackprop._cli.explain import add_explain, explain
from fastbackprop._cli.lab import add_lab, lab
from fastbackprop._core.threads import most_threads
from fastbackprop._data.digits import load_digits

__all__ = ["main"]

SHADES = " .:-=+*#%@"
EXPECTED = (fb.FastbackpropError, ImportError, MemoryError, OSError, TypeError, ValueError)

NEXT = """
What to try next
  the same from Python         fb.mlp([64, 512, 512, 10], activation="relu",
                                      output_activation="softmax", seed=0)
  another seed, more epochs    fastbackprop demo --seed 1 --epochs 60
  your own data                trainer = fb.Trainer(model, loss="cross_entropy",
                                                    optimizer=fb.SGD(0.05, momentum=0.9))
                               trainer.fit(X, y, epochs=10, validation_data=(X_val, y_val))
  one step by hand             y_hat = model.forward(x); cost, d = loss(y_hat, y)
                               model.backward(d); sgd.step(model)
  who is to blame              fastbackprop explain --demo -o blame.html
  watch it, and play with it   fastbackprop lab digits
  keep it                      model.save("digits.safetensors")
                               model = fb.load("digits.safetensors")
  another kernel module        FASTBACKPROP_KERNELS={other} fastbackprop demo"""


def _picture(image: np.ndarray) -> str:
    """Return an 8 x 8 image as text, two characters a pixel."""
    rows = (image.reshape(8, 8) * (len(SHADES) - 1)).round().astype(int)
    return "\n".join("    " + "".join(SHADES[pixel] * 2 for pixel in row) for row in rows)


def _confusion(y: np.ndarray, predicted: np.ndarray, X: np.ndarray) -> str:
    """Return the confusion that is made most often, with one example."""
    wrong = np.flatnonzero(y != predicted)
    if len(wrong) == 0:
        return "Most frequent confusion: none, every test digit was read right."
    pairs = Counter(zip(y[wrong].tolist(), predicted[wrong].tolist(), strict=True))
    (true, read), count = min(pairs.items(), key=lambda item: (-item[1], item[0]))
    example = next(i for i in wrong if (y[i], predicted[i]) == (true, read))
    article = {8: "an"}
    names = f"{article.get(true, 'a')} {true} read as {article.get(read, 'a')} {read}"
    times = {1: "once", 2: "twice"}.get(count, f"{count} times")
    return (
        f"Most frequent confusion: {names}, {times}. For instance this {true}:\n"
        f"{_picture(X[example])}"
    )


def _print_line(text: str) -> None:
    """Print above a progress bar, if there is one."""
    from tqdm import tqdm

    tqdm.write(text, file=sys.stdout)


def _show_epoch(history: fb.History) -> None:
    # Without the seconds: the table is the same on every run.
    table = fb.History(**{**vars(history), "seconds": []})
    if len(history) == 1:
        _print_line(table.header())
    _print_line(table.row(-1))


def demo(epochs: int, seed: int) -> None:
    """Train on the bundled digits and say how it went."""
    parts = load_digits()
    X, y = parts["train"]
    X_test, y_test = parts["test"]
    print(
        f"{sum(len(labels) for _, labels in parts.values()):,} handwritten digits of 8 x 8 "
        f"pixels: ",
        end="",
    )
    print(", ".join(f"{len(labels):,} {name}" for name, (_, labels) in parts.items()))
    model = fb.mlp([64, 512, 512, 10], activation="relu", output_activation="softmax", seed=seed)
    trainer = fb.Trainer(
        model, loss="cross_entropy", optimizer=fb.SGD(0.05, momentum=0.9), batch_size=32, seed=seed
    )
    print(f"{model!r}\n")
    start = time.perf_counter()
    history = trainer.fit(
        X, y, epochs=epochs, validation_data=parts["validation"], on_epoch_end=_show_epoch
    )
    wall = time.perf_counter() - start
    accuracy = trainer.evaluate(X_test, y_test)["accuracy"]
    info = fb.kernel_info()
    rate = len(X) * epochs / sum(history.seconds)
    print(f"\nTest accuracy: {accuracy:.2%} of {len(y_test)} digits never seen in training")
    print(f"Speed: {rate:,.0f} samples per second, {wall:.2f} s in all, validation included")
    print(f"Kernels: {info['variant']}, float32 (this machine runs {', '.join(info['supported'])})")
    print(_confusion(y_test, model.predict(X_test).argmax(axis=1), X_test))
    print(NEXT.format(other=info["supported"][-1]))


def info(as_json: bool) -> None:
    """Print the version, which kernels run and why, and what they run on."""
    kernels = fb.kernel_info()
    facts = {
        "fastbackprop": fb.__version__,
        "kernels": kernels["variant"],
        "fma": kernels["fma"],
        "supported": kernels["supported"],
        "built": kernels["built"],
        "debug": kernels["debug"],
        "cpu_features": kernels["features"],
        "threads": most_threads(),
        "numpy": np.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
    }
    if as_json:
        print(json.dumps(facts, indent=1))
        return
    for name, value in facts.items():
        text = " ".join(value) if isinstance(value, list) else str(value)
        print(f"{name.replace('_', ' '):<14}{ {'True': 'yes', 'False': 'no'}.get(text, text) }")


def _at_least(least: int) -> Callable[[str], int]:
    """Return a type for argparse: whole numbers of at least this."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"must be an integer of at least {least}, got {text!r}"
            )
        return int(text)

    return number


def _parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    parser = argparse.ArgumentParser(
        prog="fastbackprop",
        description="Trains, runs and explains dense neural networks on the CPU.",
    )
    parser.add_argument("--version", action="version", version=f"fastbackprop {fb.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    help_demo = "train on 1,197 bundled handwritten digits: about a second"
    parser_demo = commands.add_parser("demo", help=help_demo, description=f"Demo: {help_demo}.")
    parser_demo.add_argument(
        "--epochs", type=_at_least(1), default=30, help="passes over the data (default: 30)"
    )
    parser_demo.add_argument(
        "--seed", type=_at_least(0), default=0, help="seed of weights and shuffling (default: 0)"
    )
    add_explain(commands)
    add_lab(commands)
    help_info = "tell the version, the kernels in use and what they run on"
    parser_info = commands.add_parser("info", help=help_info, description=f"Info: {help_info}.")
    parser_info.add_argument("--json", action="store_true", help="as JSON")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Arguments instead of those of the process.

    Returns
    -------
    int
        The exit code: 0; 2 for an error, said in one sentence on stderr; 130 after Ctrl-C; 1 if
        nobody reads the output to its end.
    """
    options = _parser().parse_args(arguments)
    try:
        if options.command == "info":
            info(options.json)
        elif options.command == "explain":
            explain(options)
        elif options.command == "lab":
            lab(options)
        else:
            demo(options.epochs, options.seed)
        sys.stdout.flush()  # here, where a disk that is full can still be told
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read the output (head, say) has enough; nothing more may be flushed to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except EXPECTED as error:
        what = str(error) or "there is not enough memory."  # Python's own MemoryError says nothing
        print(f"fastbackprop: error: {what}", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:  # it is the output that can't be written
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    return 0
