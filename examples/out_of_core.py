"""Training from a file that need not fit into memory.

The rows lie in a file of bytes that is mapped into memory. ``Batches`` takes blocks of rows in a
random order, some at a time, and shuffles the rows of those: the file is read in large pieces, not
row by row all over the disk. Rows become floats batch by batch (``scale=1 / 255``), and what was
read can be dropped again by the system: nothing holds a copy of the whole.
"""

import os
import tempfile
import tracemalloc

import numpy as np

import fastbackprop as fb

N, N_IN = 300_000, 400


def write(path: str) -> np.ndarray:
    """Write a file of bytes, block by block; return the labels."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (10, N_IN))  # one for each class
    labels = rng.integers(0, 10, N)
    file = np.memmap(path, np.uint8, "w+", shape=(N, N_IN))
    for first in range(0, N, 10_000):
        rows = pictures[labels[first : first + 10_000]] + rng.normal(0, 120, (10_000, N_IN))
        file[first : first + 10_000] = np.clip(rows, 0, 255)
    file.flush()
    return labels


def main() -> None:
    """Write the file, then train from it."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "images.bin")
        labels = write(path)
        X = np.memmap(path, np.uint8, "r", shape=(N, N_IN))
        print(f"{os.path.getsize(path) / 1e6:.0f} MB of bytes, {4 * X.size / 1e6:.0f} as float32")
        model = fb.mlp([N_IN, 32, 10], output_activation="softmax", seed=0)
        trainer = fb.Trainer(model, "cross_entropy", fb.SGD(0.05, momentum=0.9), seed=0)
        n = N - 10_000
        batches = fb.Batches(
            X[:n], labels[:n], batch_size=128, block_size=5000, scale=1 / 255, seed=0
        )
        tracemalloc.start()
        trainer.fit_batches(batches)
        peak = tracemalloc.get_traced_memory()[1]
        right = np.mean(model.predict_classes(X[n:], scale=1 / 255) == labels[n:])
        print(f"{right:.1%} of 10,000 further rows are right")
        print(f"training took {peak / 1e6:.1f} MB of memory")


if __name__ == "__main__":
    main()
