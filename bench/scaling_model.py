"""What more cores than this machine has would bring: ``python bench/scaling_model.py``.

Costs are measured here, on two cores: the steps of a thread alone, a meeting of two threads, and
how fast a core reads what lies in its own second cache, in the third, and in another core's. A
model of the phases of a step makes of them the time of a step by any number of threads. Where the
machine has two cores, its forecast for two is held beside what two take.
"""

import argparse
import math
import os
import threading
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from machine import description

import fastbackprop as fb
from fastbackprop._core import sharing, threads

MOST_CORES = 64
SHOWN = (2, 4, 8, 16, 64)
NETS = (
    ("64-64-10", 32),
    ("17-64-64-6", 64),
    ("50-256-256-256-1", 256),
    ("784-128-10", 128),
    ("784-512-512-10", 256),
    ("1024-1024-1024-1024-10", 512),
    ("4096-4096-4096-10", 1024),
)
MEETS_OFTEN = ("17-64-64-6", 64)  # and is long enough for a helper to be worth it
MEETINGS = 2  # of a step, where rows go through all layers between two
ROWS_OF_BLOCK, PANEL = 256, 48  # where they meet behind each: see _kernels/run/blocks.pxi
ROUNDS = 5
GUESSED_MEETING = 1e-6  # where one core is all there is
SECOND_CACHE = 1 << 20  # bytes of weights that a core keeps there


@dataclass(frozen=True)
class Costs:
    """What was measured: seconds of a meeting of two, and of a byte."""

    meeting: float
    near: float  # in a core's own second cache
    far: float  # in the third, or written by another core

    def meeting_of(self, n_threads: int) -> float:
        """Seconds: so many cache lines go from core to core, one after the other.

        Each thread counts its last chunk in one, whoever closes the phase opens a queue for each,
        at most 16, and the last to look reads one.
        """
        lines = [n + min(n, 16) + 1 for n in (2, n_threads)]
        return 0.0 if n_threads == 1 else self.meeting * lines[1] / lines[0]


@dataclass(frozen=True)
class Step:
    """A training step of one thread, and what it consists of."""

    name: str
    batch: int
    seconds: float

    @property
    def widths(self) -> list[int]:
        """Of the inputs, and of each layer."""
        return [int(x) for x in self.name.split("-")]

    @property
    def n_weights(self) -> int:
        """Of all layers."""
        return sum(a * b for a, b in zip(self.widths, self.widths[1:], strict=False))

    @property
    def meets_by_layers(self) -> bool:
        """Whether threads share out columns, too, and meet behind each layer."""
        return 4.0 * self.n_weights > sharing.near_weights()

    @property
    def row_chunks(self) -> int:
        """Into how many pieces the package can cut what the rows do."""
        if not self.meets_by_layers:
            return -(-self.batch // 16)
        return -(-self.batch // ROWS_OF_BLOCK) * -(-max(self.widths[1:]) // PANEL)

    def by(self, n_threads: int, costs: Costs) -> float:
        """Seconds by so many threads."""
        if n_threads == 1:
            return self.seconds
        # Forward and blame read W and its transpose for each chunk of rows, or block of them.
        read = 8.0 * self.n_weights
        stream = read * (costs.far if read > SECOND_CACHE else costs.near)
        meetings = MEETINGS
        if self.meets_by_layers:
            meetings = 3 * len(self.widths)
            n_blocks = -(-self.batch // ROWS_OF_BLOCK)
            groups = min(-(-max(self.widths[1:]) // PANEL), -(-4 * n_threads // n_blocks))
            stream /= groups
            n_chunks = n_blocks * groups
        else:
            n_chunks = -(-self.batch // max(16, -(-self.batch // (32 * n_threads)) * 16))
        chunks = -(-n_chunks // n_threads)  # of the thread with the most
        rows = sharing.ROWS_SHARE * self.seconds * chunks / n_chunks
        of_rows = max(rows, chunks * stream)  # caches are read ahead
        n_pieces = sum(-(-n // 48) for n in self.widths[:-1])
        of_weights = (1 - sharing.ROWS_SHARE) * self.seconds * -(-n_pieces // n_threads) / n_pieces
        # What others have written: weights, then activations and deltas.
        numbers = 2 * self.n_weights + self.batch * 2 * sum(self.widths)
        foreign = 4.0 * numbers * (costs.far - costs.near) * (1 - 1 / n_threads)
        return of_rows + of_weights + foreign + meetings * costs.meeting_of(n_threads)

    def best(self, costs: Costs) -> int:
        """The fewest threads within 3 % of the shortest time: from there on more don't help."""
        times = [self.by(n, costs) for n in range(1, MOST_CORES + 1)]
        return 1 + next(i for i, t in enumerate(times) if t <= 1.03 * min(times))


def seconds_of_step(name: str, batch: int, n_threads: int, seconds: float) -> float:
    """The shortest time of a step in a fit."""
    widths = [int(x) for x in name.split("-")]
    rng = np.random.default_rng(0)
    model = fb.mlp(widths, output_activation="softmax" if widths[-1] > 1 else "identity", seed=0)
    n_weights = sum(layer.weight.size for layer in model.layers)
    n_steps = max(2, int(2e9 / (6.0 * batch * n_weights + 1e5)))
    X = rng.normal(size=(min(n_steps, max(2, 200_000_000 // (widths[0] * batch * 4))) * batch,
                         widths[0])).astype("f4")  # fmt: skip
    labels = rng.integers(0, widths[-1], len(X)) if widths[-1] > 1 else rng.normal(size=len(X))
    loss = "cross_entropy" if widths[-1] > 1 else "half_squared_error"
    trainer = fb.Trainer(model, loss, fb.SGD(1e-4), batch_size=batch, n_threads=n_threads, seed=0)
    best, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end or best == math.inf:
        begin = time.perf_counter()
        trainer.fit(X, labels, progress_bar=False, shuffle=False)
        best = min(best, (time.perf_counter() - begin) * batch / len(X))
    return best


def seconds_per_byte(n_bytes: int, is_foreign: bool) -> float:
    """How long a core takes to read a byte of so many; what another core wrote last, or itself."""
    array, out = np.ones(n_bytes // 4, "f4"), np.empty(n_bytes // 4, "f4")
    best = math.inf
    for _ in range(60):
        if is_foreign:
            writer = threading.Thread(target=array.fill, args=(1.0,))
            writer.start()
            writer.join()
        else:
            array.fill(1.0)
        begin = time.perf_counter()
        np.copyto(out, array)
        best = min(best, time.perf_counter() - begin)
    return best / n_bytes


def alone_and_by_two(name: str, batch: int, seconds: float) -> tuple[Step, float]:
    """The step of one thread, and the time of two, measured in turn: others come and go."""
    step, pair = Step(name, batch, math.inf), math.inf
    for _ in range(ROUNDS):
        alone = seconds_of_step(name, batch, 1, seconds / ROUNDS)
        step = replace(step, seconds=min(step.seconds, alone))
        if threads.available_cpus() > 1:
            pair = min(pair, seconds_of_step(name, batch, 2, seconds / ROUNDS))
    return step, pair


def measured(seconds: float) -> Costs:
    """Measure on this machine; a meeting is what two threads need more than a half."""
    near = seconds_per_byte(1 << 17, False)
    far = max(near, seconds_per_byte(8 << 20, False), seconds_per_byte(1 << 17, True))
    step, pair = alone_and_by_two(*MEETS_OFTEN, 4 * seconds)
    rest = pair - step.by(2, Costs(0.0, near, far))
    return Costs(max(0.0, rest) / MEETINGS if rest < math.inf else GUESSED_MEETING, near, far)


def default_of(step: Step, cpus: int) -> int:
    """How many threads the package takes by itself where it may use so many CPUs."""
    pieces = sum(-(-n // 48) for n in step.widths[:-1])
    operations = 6.0 * step.batch * step.n_weights
    return sharing.worth(sharing.phases_of_step(operations, step.row_chunks, pieces), cpus)


def table(steps: list[Step], pairs: list[float], costs: Costs) -> str:
    """Markdown: a line for each net."""
    head = ["net", "batch", "one (us)", "two, measured", *map(str, SHOWN), "best", "by default"]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    for step, pair in zip(steps, pairs, strict=True):
        default = default_of(step, MOST_CORES)
        cells: list[Any] = [step.name, step.batch, f"{step.seconds * 1e6:,.1f}"]
        cells.append(f"{step.seconds / pair:.2f}x" if pair else "-")
        cells += [f"{step.seconds / step.by(n, costs):.2f}x" for n in SHOWN]
        best = step.best(costs)
        cells += [f"{n} ({step.seconds / step.by(n, costs):.2f}x)" for n in (best, default)]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.3, help="of measuring each")
    parser.add_argument("--nets", type=int, default=len(NETS), help="how many of the nets")
    options = parser.parse_args()
    costs = measured(options.seconds)
    cpu = description([])["cpu"]
    print(
        f"{cpu}, {os.cpu_count()} cores. A meeting of two: {costs.meeting * 1e6:.2f} us; reading "
        f"{1e-9 / costs.near:.0f} GB/s near, {1e-9 / costs.far:.0f} GB/s far.\n"
    )
    steps, pairs = [], []
    for name, batch in NETS[: options.nets]:
        step, pair = alone_and_by_two(name, batch, options.seconds)
        steps.append(step)
        pairs.append(pair if pair < math.inf else 0.0)
    print(table(steps, pairs, costs))


if __name__ == "__main__":
    main()
