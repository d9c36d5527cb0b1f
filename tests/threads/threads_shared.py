"""What the tests of threads share: networks, fits, and scripts in a process of their own."""

import hashlib
import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
from privates import FOR_SCRIPTS, values_of
from reference import Layer
from test_bits import bits, targets

import fastbackprop as fb

THREADS = (1, 2, 3, 4, 7)
MANY = 20  # more than there are queues of chunks, and cores on most machines


def sha256(*arrays):
    return hashlib.sha256(b"".join(map(bits, arrays))).hexdigest()


def weights(trainer):
    return values_of(trainer.model).tobytes()


def random_layers(rng, widths, activations, has_bias=None):
    shapes, has_bias = pairwise(widths), has_bias or [True] * len(activations)
    return [
        Layer(
            rng.normal(size=shape) / shape[0] ** 0.5,
            rng.normal(size=shape[1]) if bias else None,
            activation,
        )
        for shape, activation, bias in zip(shapes, activations, has_bias, strict=True)
    ]


def random_targets(rng, name, n, n_out):
    return targets(name, rng.uniform(size=(n, n_out)))


def fit_with_threads(n_threads=2, seed=0, n=200, **options):
    """A trainer after two epochs."""
    X = np.random.default_rng(0).normal(size=(n, 60)).astype("f4")
    model = fb.mlp([60, 100, 1], activation="tanh", seed=seed)
    trainer = fb.Trainer(
        model, "half_squared_error", fb.SGD(0.01), batch_size=50, seed=0, n_threads=n_threads
    )
    trainer.fit(X, X[:, :1], **{"epochs": 2, **options})
    return trainer


START = (
    FOR_SCRIPTS
    + """
import os, signal, sys, threading, time, warnings
import numpy as np
import fastbackprop as fb
X = np.random.default_rng(0).normal(size=(200, 60)).astype("f4")

def new(n_threads):
    model = fb.mlp([60, 100, 1], activation="tanh", seed=0)
    return fb.Trainer(model, "half_squared_error", fb.SGD(0.01), batch_size=50, seed=0,
                      n_threads=n_threads)

def fit(n_threads, **options):
    trainer = new(n_threads)
    trainer.fit(X, X[:, :1], **{"epochs": 2, **options})
    return values_of(trainer.model).tobytes()

def busy():
    time.sleep(0.01)  # the last to leave may be on its way
    before = time.process_time()
    time.sleep(1)
    return time.process_time() - before
"""
)


def run_script(code, *arguments, returncode=0, timeout=60, **environment):
    process = subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip
    assert process.returncode == returncode, process.stderr
    return process
