"""MNIST to 97.5 % of the test set: fastbackprop, PyTorch and scikit-learn with the same net.

``--data`` names the file. 784-128-10, batches of 128, SGD with learning rate 0.1 and momentum 0.9,
pixels from 0 to 1, the same initial weights and number of epochs; each library shuffles by itself.
"""

import argparse
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import machine
from peers import reason

WIDTHS, BATCH, LEARNING_RATE, MOMENTUM = (784, 128, 10), 128, 0.1, 0.9
GOAL = 0.975


class Learner(NamedTuple):
    """A library with the net."""

    epoch: Callable[[], object]  # trains on all samples once
    labels: Callable[[Any], Any]  # the most probable label of each row


def with_fastbackprop(X: Any, y: Any, weights: Any, n_threads: int) -> Learner:
    """Trainer.fit."""
    from peers.with_fastbackprop import load, threads_argument

    import fastbackprop as fb

    model = fb.mlp(WIDTHS, output_activation="softmax", seed=0)
    load(model, weights)
    optimizer = fb.SGD(LEARNING_RATE, momentum=MOMENTUM)
    threads = threads_argument(fb.Trainer, n_threads)
    trainer = fb.Trainer(model, "cross_entropy", optimizer, batch_size=BATCH, seed=0, **threads)
    return Learner(
        lambda: trainer.fit(X, y, progress_bar=False), lambda X: model.predict(X).argmax(axis=1)
    )


def with_torch(X: Any, y: Any, weights: Any, n_threads: int) -> Learner:
    """The usual loop, over tensors in memory instead of a DataLoader, which would be slower."""
    import torch
    from peers.with_torch import load
    from torch import nn

    torch.set_num_threads(n_threads)
    torch.manual_seed(0)
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    network = nn.Sequential(nn.Linear(*WIDTHS[:2]), nn.ReLU(), nn.Linear(*WIDTHS[1:]))
    load(network, weights)
    optimizer = torch.optim.SGD(network.parameters(), LEARNING_RATE, MOMENTUM, foreach=True)

    def epoch() -> None:
        for rows in torch.randperm(len(X)).split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(
                network(X.index_select(0, rows)), y.index_select(0, rows)
            )
            loss.backward()
            optimizer.step()

    @torch.inference_mode()
    def labels(X: Any) -> Any:
        return network(torch.from_numpy(X)).argmax(dim=1).numpy()

    return Learner(epoch, labels)


def with_sklearn(X: Any, y: Any, weights: Any, n_threads: int) -> Learner:
    """partial_fit, which is an epoch; its number of threads is that of the cores."""
    from peers.with_sklearn import load
    from sklearn.neural_network import MLPClassifier

    classifier = MLPClassifier(
        hidden_layer_sizes=WIDTHS[1:-1], solver="sgd", alpha=0.0, batch_size=BATCH,
        learning_rate_init=LEARNING_RATE, momentum=MOMENTUM, nesterovs_momentum=False,
        random_state=0,
    )  # fmt: skip
    # A first batch makes weights, to be replaced, and a velocity, to be forgotten.
    classifier.partial_fit(X[:BATCH], y[:BATCH], classes=range(WIDTHS[-1]))
    load(classifier, weights)
    del classifier._optimizer
    return Learner(lambda: classifier.partial_fit(X, y), classifier.predict)


LEARNERS = {"fastbackprop": with_fastbackprop, "torch": with_torch, "sklearn": with_sklearn}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Train on MNIST until 97.5 % of the test set are right."
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="npz with x_train, y_train, x_test, y_test"
    )
    parser.add_argument("--epochs", type=int, default=8, help="default: 8")
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="for every library (default: 1)"
    )
    options = parser.parse_args()
    if not options.data.is_file():
        needs = "an npz file with x_train, y_train, x_test and y_test"
        parser.error(f"--data must be {needs}, got {options.data}, where there is no file.")
    if options.epochs < 1:
        parser.error(f"--epochs must be at least 1, got {options.epochs}.")
    return options


def read(path: Path) -> tuple[Any, ...]:
    """Return rows and labels, to train and to test: pixels from 0 to 1, labels in int64."""
    import numpy as np

    with np.load(path) as data:
        images = [
            data[name].reshape(-1, WIDTHS[0]).astype(np.float32) / np.float32(255)
            for name in ("x_train", "x_test")
        ]
        labels = [data[name].astype(np.int64) for name in ("y_train", "y_test")]
    return images[0], labels[0], images[1], labels[1]


def initial_weights() -> list[tuple[Any, Any]]:
    """He-normal weights and zero biases."""
    import numpy as np

    draw = np.random.default_rng(0).standard_normal
    shapes = list(pairwise(WIDTHS))
    return [
        (draw(s, np.float32) * np.float32((2 / s[0]) ** 0.5), np.zeros(s[1], np.float32))
        for s in shapes
    ]


def main() -> int:
    """Train them epoch by epoch in turns; 1 if fastbackprop doesn't get there."""
    options = arguments()
    try:
        machine.pin(options.threads)
    except ValueError as error:
        sys.exit(f"mnist.py: error: {error}")
    X, y, X_test, y_test = read(options.data)
    learners: dict[str, Learner] = {}
    for name, make in LEARNERS.items():
        try:
            learner = make(X, y, initial_weights(), options.threads)
            learner.labels(X_test[:1])
        except Exception as error:
            if name == "fastbackprop":
                raise
            print(f"{name}: {reason(error)}")
        else:
            learners[name] = learner
    seconds: dict[str, list[float]] = {name: [] for name in learners}
    accuracy: dict[str, list[float]] = {name: [] for name in learners}
    print("Accuracy on the test set after each epoch, and the seconds the epoch took.\n")
    print("epoch" + "".join(name.rjust(22) for name in learners))
    for epoch in range(1, options.epochs + 1):
        for name, learner in learners.items():
            start = time.perf_counter()
            learner.epoch()
            seconds[name].append(time.perf_counter() - start)
            accuracy[name].append(float((learner.labels(X_test) == y_test).mean()))
        print(
            f"{epoch:5}"
            + "".join(f"{accuracy[x][-1]:>12.2%} {seconds[x][-1]:7.2f} s" for x in learners)
        )
    print()
    for name, reached in accuracy.items():
        epochs = next((i for i, part in enumerate(reached, 1) if part >= GOAL), None)
        spent = (
            "never"
            if epochs is None
            else f"after {sum(seconds[name][:epochs]):.2f} s (epoch {epochs})"
        )
        mean = sum(seconds[name]) / options.epochs
        print(f"{name}: {GOAL:.1%} {spent}; {mean:.2f} s an epoch; at best {max(reached):.2%}.")
    return 0 if max(accuracy["fastbackprop"]) >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
