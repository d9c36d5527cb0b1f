"""Writes the model files of the fastbackprop that is installed, for later versions to read.

Run once for each release, by a Python that has exactly that release:
``python tests/model/corpus/write.py`` makes the folder of its version beside this file.
Each model is a ``.safetensors`` file, and a ``.npz`` of inputs X and predictions y_hat. Releases
that have checkpoints write them as ``.checkpoint``, each of the middle of a fit that ``fit_of``
does, and the loss of each of its epochs.
A folder that was committed is never written again, but for ``unreleased``, which is written by
``python tests/model/corpus/write.py unreleased`` where a format changes that no release has had.
"""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

import fastbackprop as fb

N_ROWS = 37
HIDDEN = ("identity", "relu", "leaky_relu", "sigmoid", "tanh")


def dense_layers(widths, activations, bias=True):
    """Layers with biases that aren't zero, so that a lost bias is seen."""
    bias_init = fb.Uniform(-1, 1) if bias else "zeros"
    return [
        fb.Dense(n_in, n_out, activation, bias=bias, bias_init=bias_init)
        for (n_in, n_out), activation in zip(pairwise(widths), activations, strict=True)
    ]


def trained(dtype):
    """A classifier after some epochs: weights that no initializer draws."""
    model = fb.mlp([5, 19, 3], activation="tanh", output_activation="softmax", seed=3, dtype=dtype)
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(90, 5)), rng.integers(0, 3, 90)
    optimizer = fb.SGD(0.1, momentum=0.9, weight_decay=1e-3)
    fb.Trainer(model, "cross_entropy", optimizer, batch_size=8, seed=3).fit(
        X, y, epochs=5, progress_bar=False
    )
    return model


def models(dtype):
    """Name and model: every activation hidden and last, both kinds of slope, odd widths."""
    for output in (*HIDDEN, "softmax"):
        hidden = (fb.LeakyReLU(0.12345), *HIDDEN)
        layers = dense_layers([3, 4, 7, 5, 9, 3, 8, 2], [*hidden, output])
        yield f"ends-in-{output}", fb.Sequential(layers, seed=1, dtype=dtype)
    layers = dense_layers([6, 11, 1], ["tanh", "sigmoid"], bias=False)
    yield "without-bias", fb.Sequential(layers, seed=2, dtype=dtype)
    layers = dense_layers([1, 1], [fb.LeakyReLU(0.0)])
    yield "one-weight", fb.Sequential(layers, seed=4, dtype=dtype)
    layers = dense_layers([17, 49, 1, 33], ["relu", fb.LeakyReLU(1.0), "identity"])
    yield "odd-widths", fb.Sequential(layers, seed=5, dtype=dtype)
    yield "trained", trained(dtype)


N_EPOCHS = 6
CHECKPOINTED = {
    "sgd": lambda: fb.SGD(fb.Cosine(0.1), momentum=0.9, nesterov=True),
    "adam": lambda: fb.Adam(fb.Warmup(fb.OneCycle(0.02, n_steps=40), 5), amsgrad=True),
    "rmsprop": lambda: fb.RMSprop(0.01, momentum=0.5, centered=True),
    "lion": lambda: fb.Lion(0.001, weight_decay=0.1),
}


def fit_of(trainer, *callbacks):
    """The fit that a checkpoint is written in; the same call goes on with it."""
    rng = np.random.default_rng(7)
    X, y = rng.normal(size=(60, 4)), rng.integers(0, 3, 60)
    validation = rng.normal(size=(20, 4)), rng.integers(0, 3, 20)
    stopping = fb.EarlyStopping(patience=20)
    return trainer.fit(
        X, y, epochs=N_EPOCHS, validation_data=validation, callbacks=[*callbacks, stopping]
    )


def write_checkpoint(path, optimizer):
    """Write a checkpoint of the middle of an epoch, and the losses of the whole fit."""

    class Save(fb.Callback):
        def on_batch_end(self, trainer, step, loss):
            if step == 20:
                trainer.save_checkpoint(path)

    layers = [fb.Dense(4, 9), fb.BatchNorm(), fb.Activation("elu"), fb.Dropout(0.2)]
    model = fb.Sequential([*layers, fb.Dense(9, 3, "softmax")], seed=1)
    loss = fb.CrossEntropy(label_smoothing=0.1)
    trainer = fb.Trainer(model, loss, optimizer, batch_size=8, seed=2, clip_norm=2.0)
    np.savez(path.with_suffix(".npz"), loss=fit_of(trainer, Save()).loss)


def write(folder):
    """Write every model with what it predicts."""
    folder.mkdir()
    for dtype in ("float32", "float64"):
        for name, model in models(dtype):
            rng = np.random.default_rng(0)
            X = rng.normal(size=(N_ROWS, model.layers[0].n_in)).astype(dtype)
            model.save(folder / f"{name}-{dtype}.safetensors")
            np.savez(folder / f"{name}-{dtype}.npz", X=X, y_hat=model.predict(X))
    for name, make in CHECKPOINTED.items():
        write_checkpoint(folder / f"in-a-fit-{name}.checkpoint", make())


if __name__ == "__main__":
    if not fb.kernel_info()["fma"]:
        raise SystemExit("The corpus must be written with FMA, got kernels without it.")
    write(Path(__file__).parent / (sys.argv[1] if len(sys.argv) > 1 else fb.__version__))
