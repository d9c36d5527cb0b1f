"""Model files of earlier versions are read, and predict what they predicted then."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import fastbackprop as fb

CORPUS = Path(__file__).parent / "corpus"
MODELS = sorted(CORPUS.glob("*/*.safetensors"))
CHECKPOINTS = sorted(CORPUS.glob("*/*.checkpoint"))


@pytest.fixture(scope="module")
def corpus_write():
    """The script that writes the corpus, and knows the fits."""
    spec = importlib.util.spec_from_file_location("corpus_write", CORPUS / "write.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_corpus_is_there():
    versions = {path.parent.name for path in MODELS}
    assert "0.1.0" in versions
    assert len(MODELS) >= 20
    dtypes, activations = set(), set()
    for path in MODELS:
        model = fb.load(path)
        dtypes.add(model.dtype.name)
        activations |= {layer.activation for layer in model.layers}
    assert dtypes == {"float32", "float64"}
    assert activations >= {"identity", "relu", "leaky_relu", "sigmoid", "tanh", "softmax"}


@pytest.mark.parametrize("path", MODELS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_model_of_an_earlier_version_predicts_the_same_bits(path):
    model = fb.load(path)
    with np.load(path.with_suffix(".npz")) as file:
        X, y_hat = file["X"], file["y_hat"]
    assert y_hat.dtype == model.dtype
    # The corpus was written with FMA. Since then tanh may differ in its last bit.
    has_tanh = any(layer.activation == "tanh" for layer in model.layers)
    if fb.kernel_info()["fma"] and not has_tanh:
        assert model.predict(X).tobytes() == y_hat.tobytes()
    else:
        tolerance = 1e-5 if model.dtype == np.float32 else 1e-13
        np.testing.assert_allclose(model.predict(X), y_hat, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("path", CHECKPOINTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_checkpoint_of_an_earlier_version_is_gone_on_with(path, corpus_write):
    trainer = fb.Trainer.resume(path)
    stored = trainer.history.loss.copy()
    with np.load(path.with_suffix(".npz")) as file:
        loss = file["loss"]
    assert 0 < len(stored) < len(loss) == corpus_write.N_EPOCHS
    assert stored == loss[: len(stored)].tolist()
    # Not to the bit: releases may train more exactly than others.
    np.testing.assert_allclose(corpus_write.fit_of(trainer).loss, loss, rtol=1e-4)
    name = path.stem.removeprefix("in-a-fit-")
    assert repr(trainer.optimizer) == repr(corpus_write.CHECKPOINTED[name]())


def test_there_are_checkpoints():
    assert len(CHECKPOINTS) >= 4
