"""Ten losses and a digest that must never change: a change of arithmetic shows here first.

Who changes the arithmetic on purpose prints the new ones with
``trainings_on`` and says so in the changelog.
"""

import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from reference import DTYPES, VARIANTS, kernels, parameters

import fastbackprop as fb


def integer_data(n, n_columns, dtype):
    """Numbers in [0, 1] by a formula in whole numbers: the same everywhere."""
    i, j = np.ogrid[:n, :n_columns]
    return ((i * 37 + j * 17 + i * j) % 101 / 101).astype(dtype)


def digest(model):
    return hashlib.sha256(b"".join(p.tobytes() for p in parameters(model))).hexdigest()


def train(dtype, widths, activation, output, loss, sgd, epochs=10, n=50, n_threads=None):
    """A little training by the public names: its losses, digest and some predictions."""
    model = fb.mlp(widths, activation=activation, output_activation=output, seed=0, dtype=dtype)
    X, y = integer_data(n, widths[0], dtype), integer_data(n, widths[-1], dtype)
    if loss == "cross_entropy":
        y = y.argmax(axis=1)
    trainer = fb.Trainer(model, loss, fb.SGD(**sgd), batch_size=8, seed=0, n_threads=n_threads)
    losses = trainer.fit(X, y, epochs=epochs).loss
    return {
        "losses": losses,
        "digest": digest(model),
        "predictions": model.predict(X[:3]).ravel().tolist(),
    }


MOMENTUM = {"learning_rate": 0.05, "momentum": 0.9}
TRAININGS = {
    "softmax": ((5, 17, 33, 4), "relu", "softmax", "cross_entropy", MOMENTUM),
    "sigmoid": (
        (7, 20, 3),
        "tanh",
        "sigmoid",
        "binary_cross_entropy",
        {**MOMENTUM, "nesterov": True},
    ),
    "identity": (
        (3, 9, 2),
        "leaky_relu",
        "identity",
        "half_squared_error",
        {"learning_rate": 0.05},
    ),
    "tanh": (
        (60, 100, 5),
        "sigmoid",
        "tanh",
        "mean_squared_error",
        {**MOMENTUM, "weight_decay": 1e-3},
    ),
}


def run_python(code, variant, *, check=True):
    """A fresh interpreter with these kernels forced."""
    here = Path(__file__).parent
    folders = os.pathsep.join([str(here), str(here.parent)])
    environment = {**os.environ, "FASTBACKPROP_KERNELS": variant, "PYTHONPATH": folders}
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=check,
    )


@cache
def trainings_on(variant):
    """{(dtype, name): what train returned}, from a process that uses this variant."""
    names = [(dtype, name) for dtype in DTYPES for name in TRAININGS]
    results = f"[r.train(d, *r.TRAININGS[n]) for d, n in {names}]"
    code = f"import json, test_golden as r; print(json.dumps({results}))"
    return dict(zip(names, json.loads(run_python(code, variant).stdout), strict=True))


GOLDEN = {
    "float32": (
        [
            "0x1.6d68faf70a3d7p+0",
            "0x1.8c404e6cccccdp+0",
            "0x1.e3d9504c28f5cp-1",
            "0x1.9b72c6bca3d71p-1",
            "0x1.5c5ba71cccccdp-1",
            "0x1.df51f9ee147aep-2",
            "0x1.6146f907e147bp-2",
            "0x1.43b48cdf970a4p-2",
            "0x1.efb270a90a3d7p-3",
            "0x1.ee41c2106c28fp-2",
        ],
        "c0d5b81cb5dd6a80a85a46b420e89f24c3eca0ebf83695712ac4a9af940d01a3",
    ),
    "float64": (
        [
            "0x1.6d68fb2217848p+0",
            "0x1.8c40502627cc4p+0",
            "0x1.e3d94f690d076p-1",
            "0x1.9b72c8f5130c6p-1",
            "0x1.5c5ba89cad780p-1",
            "0x1.df51fe5da90e3p-2",
            "0x1.6146fafe9ddf6p-2",
            "0x1.43b48dd3627ffp-2",
            "0x1.efb27a8579a52p-3",
            "0x1.ee41cd295a44cp-2",
        ],
        "720caf4bf107d62fbd51875cad82ae381b14faf5bb3d14828892f499501f828a",
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_ten_losses_and_the_weights_are_what_they_always_were(variant, dtype):
    """To the last bit with FMA; without it the losses agree to 1e-5 relative (float64: 1e-12)."""
    losses, digest = GOLDEN[dtype]
    got = trainings_on(variant)[dtype, "softmax"]
    if kernels(variant, dtype).has_fma:
        assert [x.hex() for x in got["losses"]] == losses
        assert got["digest"] == digest
    else:
        expected = [float.fromhex(x) for x in losses]
        assert got["losses"] == pytest.approx(
            expected, rel=1e-5 if dtype == "float32" else 1e-12, abs=0
        )
