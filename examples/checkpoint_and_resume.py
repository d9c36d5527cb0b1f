"""A fit that is killed, and finished by the same command: with the bits it would have had.

The script starts itself as a process of its own, kills it in the middle of its work, and starts it
again. What a training script of yours needs for that stands in ``train``: resume if there is a
checkpoint, make a trainer otherwise, and call the same ``fit`` in both cases.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

import fastbackprop as fb


def train(path: str) -> str:
    """Train, going on from a checkpoint if there is one; return a digest of the weights."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20_000, 20))
    y = np.sin(X[:, :1]) * X[:, 1:2]

    if os.path.exists(path):
        trainer = fb.Trainer.resume(path)
        print(f"goes on after {len(trainer.history)} epochs", flush=True)
    else:
        model = fb.mlp([20, 64, 64, 1], activation="silu", dropout=0.1, seed=0)
        trainer = fb.Trainer(model, "mean_squared_error", fb.Adam(fb.Cosine(0.003)), seed=0)
    trainer.fit(X, y, epochs=40, callbacks=[fb.Checkpoint(path, every_epochs=2)])
    return hashlib.sha256(trainer.model.get_parameters().tobytes()).hexdigest()[:16]


def main() -> None:
    """Be killed, go on, and compare with a fit that was left alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "fit.checkpoint")
        command = [sys.executable, __file__, path]
        process = subprocess.Popen(command)
        while not os.path.exists(path) and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.3)
        process.kill()
        process.wait()
        print("killed")
        resumed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        print(resumed, end="")
        alone = train(os.path.join(folder, "another.checkpoint"))
        print("the same bits" if resumed.split()[-1] == alone else "OTHER BITS")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(train(sys.argv[1]))
    else:
        main()
