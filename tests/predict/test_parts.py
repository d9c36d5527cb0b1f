"""Rows that must be converted are converted part by part: less memory, the same bits and errors."""

import tracemalloc

import numpy as np
import pytest
from privates import rows

import fastbackprop as fb

MB = 2**20
N, N_IN = 300, 5


def network(dtype="float32", n_in=N_IN):
    return fb.mlp([n_in, 7, 2], activation="tanh", output_activation="sigmoid", seed=0, dtype=dtype)


@pytest.fixture(params=[1, 20, 1300, 5000])
def part(request, monkeypatch):
    """Parts of one row, of a few, of one group of 64, and of several."""
    monkeypatch.setattr(rows, "PART", request.param)


LAYOUTS = {
    "uint8": lambda X: X.astype(np.uint8),
    "float64": lambda X: X.astype(np.float64),
    "float16": lambda X: X.astype(np.float16),
    "big-endian": lambda X: X.astype(">f4"),
    "Fortran": lambda X: np.asfortranarray(X.astype(np.float32)),
    "every other": lambda X: np.repeat(X, 2, axis=0).astype(np.float32)[::2],
    "ready": lambda X: X.astype(np.float32),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_do_not_depend_on_parts(part, layout, dtype):
    numbers = np.random.default_rng(0).integers(0, 200, (N, N_IN))
    model, X = network(dtype), LAYOUTS[layout](numbers)
    expected = model.predict(numbers.astype(dtype))
    assert model.predict(X).tobytes() == expected.tobytes()
    out = np.empty_like(expected)
    assert model.predict(X, out=out) is out
    assert out.tobytes() == expected.tobytes()
    trainer, y = fb.Trainer(model, "binary_cross_entropy"), numbers[:, :2] > 99
    assert trainer.evaluate(X, y) == trainer.evaluate(numbers.astype(dtype), y)
    history = trainer.fit(X, y, validation_data=(X, y), epochs=2)
    assert history.validation_loss[-1] == trainer.evaluate(X, y)["loss"]


@pytest.mark.parametrize("bad", [(np.nan, "be finite, got nan"), (1e39, "fit float32, got 1e+39")])
def test_errors_say_the_row_of_the_whole_and_change_nothing(part, bad):
    number, words = bad
    X = np.zeros((N, N_IN))
    X[271, 3] = number
    model = network()
    out = np.full((N, 2), 7, np.float32)
    trainer, y = fb.Trainer(model, "binary_cross_entropy"), np.zeros((N, 2))
    before = model.get_parameters().tobytes()
    calls = {
        "X": (
            lambda: model.predict(X),
            lambda: model.predict(X, out=out),
            lambda: trainer.evaluate(X, y),
        ),
        "validation X": (lambda: trainer.fit(np.zeros_like(X), y, validation_data=(X, y)),),
    }
    with np.errstate(invalid="ignore"):
        for name, these in calls.items():
            for call in these:
                with pytest.raises(ValueError) as caught:
                    call()
                message = str(caught.value)
                assert message.startswith(f"{name} must {words} at row 271, column 3")
    assert (out == 7).all()
    assert model.get_parameters().tobytes() == before
    assert np.isfinite(model.predict(np.nan_to_num(X, nan=0, posinf=0) % 100)).all()
    model.predict(X, check_finite=False)


def test_out_may_overlap_numbers_of_another_dtype(part):
    model = fb.mlp([2, 2], seed=0)
    memory = np.random.default_rng(0).integers(0, 100, 4 * 2 * N).astype(np.uint8)
    X = memory[N : 3 * N].reshape(N, 2)
    expected = model.predict(X.copy())
    out = memory[: 8 * N].view(np.float32).reshape(N, 2)
    assert model.predict(X, out=out).tobytes() == expected.tobytes()


def peak_of(call):
    """Bytes that a call has at most, beyond what was there."""
    call()  # scratch and threads are made once
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_predict_and_evaluate_of_a_mapped_file_take_little_memory(tmp_path, dtype):
    # 60 MB in float32.
    shape = (20_000, 784)
    np.memmap(tmp_path / "X", dtype, "w+", shape=shape).flush()
    model = fb.mlp([784, 1], seed=0)
    trainer, y = fb.Trainer(model, "half_squared_error"), np.zeros(shape[0], np.float32)

    def mapped():  # anew each time: Windows can't delete a file that is mapped
        return np.memmap(tmp_path / "X", dtype, "r", shape=shape)

    assert peak_of(lambda: model.predict(mapped())) < 20 * MB
    assert peak_of(lambda: trainer.evaluate(mapped(), y)) < 20 * MB


def test_rows_larger_than_a_part_are_taken_one_by_one():
    X = np.broadcast_to(np.uint8(1), (3, 2**22 + 1))
    model = fb.Sequential([fb.Dense(X.shape[1], 1, weight_init=0.0, bias_init=3.0)])
    assert peak_of(lambda: model.predict(X)) < 18 * MB
    assert model.predict(X).tolist() == [[3], [3], [3]]
