"""Rows of any dtype and layout, converted batch by batch: the bits of the whole array converted."""

import tracemalloc

import numpy as np
import pytest
from privates import data_of_training, planning, rows

import fastbackprop as fb

N, COLUMNS = 700, 9
GENERATOR = np.random.default_rng(0)
PIXELS = GENERATOR.integers(0, 256, size=(N, COLUMNS), dtype=np.uint8)
LABELS = GENERATOR.integers(0, 3, size=N)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Let a part be some rows, so that all of them are many parts."""
    monkeypatch.setattr(rows, "PART", 64 * COLUMNS * 4)
    monkeypatch.setattr(data_of_training, "GATHERED", 64 * COLUMNS * 4)


def trainer_of(dtype="float32", **options):
    model = fb.mlp([COLUMNS, 8, 3], output_activation="softmax", seed=0, dtype=dtype)
    return fb.Trainer(
        model, "cross_entropy", fb.Adam(0.01), **{"batch_size": 10, "seed": 1, **options}
    )


def outcome(trainer, X, **options):
    y = LABELS
    history = trainer.fit(X, y, epochs=2, validation_data=(X, y), **options)
    scale = {"scale": options["scale"]} if "scale" in options else {}
    return (
        history.loss,
        history.accuracy,
        history.validation_loss,
        trainer.model.get_parameters().tobytes(),
        trainer.evaluate(X, y, **scale),
        trainer.model.predict(X, **scale).tobytes(),
    )


def memory_map(tmp_path, array, order="C"):
    path = tmp_path / f"{array.dtype.name}{order}.bin"
    mapped = np.memmap(path, array.dtype, "w+", shape=array.shape, order=order)
    mapped[:] = array
    mapped.flush()
    return np.memmap(path, array.dtype, "r", shape=array.shape, order=order)


LAYOUTS = {
    "bool": lambda path: PIXELS > 127,
    "uint8": lambda path: PIXELS,
    "int16": lambda path: PIXELS.astype(np.int16) - 300,
    "uint64": lambda path: PIXELS.astype(np.uint64) << np.uint64(50),
    "float16": lambda path: (PIXELS / 7).astype(np.float16),
    "float32": lambda path: (PIXELS / 7).astype(np.float32),
    "float64": lambda path: PIXELS / 7,
    "longdouble": lambda path: (PIXELS / 7).astype(np.longdouble),
    "big-endian": lambda path: (PIXELS / 7).astype(">f4"),
    "Fortran": lambda path: np.asfortranarray((PIXELS / 7).astype(np.float32)),
    "strided": lambda path: np.repeat(PIXELS / 7, 2, axis=0)[::2],
    "reversed": lambda path: (PIXELS / 7).astype(np.float32)[::-1],
    "mapped uint8": lambda path: memory_map(path, PIXELS),
    "mapped float32": lambda path: memory_map(path, (PIXELS / 7).astype(np.float32)),
    "mapped float64": lambda path: memory_map(path, PIXELS / 7),
    "mapped Fortran": lambda path: memory_map(path, PIXELS / 7, "F"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bits_are_those_of_the_array_converted_beforehand(layout, dtype, tmp_path):
    X = LAYOUTS[layout](tmp_path)
    if layout == "uint64":
        X = X >> np.uint64(52)
    before = np.array(X)
    converted = np.ascontiguousarray(X, dtype)
    assert outcome(trainer_of(dtype), X) == outcome(trainer_of(dtype), converted)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize(
    "options",
    [
        {"shuffle": False},
        {"drop_last": True, "batch_size": 64},
        {"batch_size": 699},
        {"batch_size": 65},
        {"batch_size": 1},
        {"sample_weight": np.linspace(0, 2, N)},
    ],
    ids=lambda x: ", ".join(x),
)
def test_the_bits_are_the_same_for_any_batches(options):
    assert outcome(trainer_of(), PIXELS, **options) == outcome(
        trainer_of(), PIXELS.astype(np.float32), **options
    )


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_array", "coo_matrix", "lil_matrix"])
@pytest.mark.parametrize("of", ["f4", "f8", "i4", "?"])
def test_sparse_rows_are_the_same_as_dense_ones(kind, of):
    scipy = pytest.importorskip("scipy.sparse")
    dense = np.where(PIXELS > 200, PIXELS / 100, 0).astype(of)
    sparse = getattr(scipy, kind)(dense)
    assert outcome(trainer_of(), sparse) == outcome(trainer_of(), dense)
    assert outcome(trainer_of(), sparse, scale=0.5) == outcome(trainer_of(), dense, scale=0.5)
    model = trainer_of().model
    assert model.forward(sparse).tobytes() == model.forward(dense).tobytes()
    out = np.empty((N, 3), np.float32)
    assert model.predict(sparse, out=out) is out
    assert model.predict(sparse, n_threads=2).tobytes() == out.tobytes()
    assert fb.diagnose(model, sparse, LABELS, loss="cross_entropy").n_rows == N


def test_sparse_rows_are_checked_as_dense_ones():
    scipy = pytest.importorskip("scipy.sparse")
    dense = np.zeros((N, COLUMNS))
    dense[500, 3] = np.nan
    trainer = trainer_of()
    for call in (trainer.model.predict, lambda X: trainer.fit(X, LABELS)):
        with pytest.raises(ValueError, match=r"^X must be finite, got nan at row 500, column 3\.$"):
            call(scipy.csr_matrix(dense))
        with pytest.raises(ValueError, match=r"^X must have 9 columns .*, got 8\.$"):
            call(scipy.csr_matrix(dense[:, :8]))
        with pytest.raises(TypeError, match=r"^X must be an array of real numbers, got the dtype"):
            call(scipy.csr_matrix(dense.astype(complex)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_scale_multiplies_in_double_and_rounds_once(dtype):
    for X in (PIXELS, PIXELS.astype(np.float32), PIXELS / 7):
        converted = (X.astype(float) * (1 / 255)).astype(dtype)
        scaled = outcome(trainer_of(dtype), X, scale=1 / 255)
        assert scaled == outcome(trainer_of(dtype), converted)
    model = trainer_of(dtype).model
    assert model.predict(PIXELS[0], scale=2).tobytes() == model.predict(PIXELS[0] * 2.0).tobytes()
    classes = model.predict_classes(PIXELS, scale=1 / 255)
    assert classes.tolist() == model.predict(PIXELS / 255).argmax(axis=1).tolist()
    with pytest.raises(ValueError, match=r"^X must fit float32, got .* at row 0, column 0; use"):
        trainer_of().model.predict(np.full((N, COLUMNS), 1e30), scale=1e30)
    for call in (
        lambda scale: model.predict(PIXELS, scale=scale),
        lambda scale: trainer_of().fit(PIXELS, LABELS, scale=scale),
        lambda scale: trainer_of().evaluate(PIXELS, LABELS, scale=scale),
    ):
        for wrong in (np.nan, "a", None):
            with pytest.raises((ValueError, TypeError), match=r"^scale must be a finite number"):
                call(wrong)


def test_numbers_that_are_not_finite_are_found_before_training():
    X = PIXELS / 7
    X[600, 2] = np.inf
    trainer = trainer_of()
    before = trainer.model.get_parameters().tobytes()
    with pytest.raises(ValueError, match=r"^X must be finite, got inf at row 600, column 2\.$"):
        trainer.fit(X, LABELS)
    assert trainer.model.get_parameters().tobytes() == before


def test_a_divergence_names_the_batch_and_goes_back():
    X = PIXELS.astype(np.float64)
    messages = []
    for rows_of_x in (X, X.astype(np.float32)):
        model = fb.mlp([COLUMNS, 8, 3], output_activation="softmax", seed=0)
        trainer = fb.Trainer(model, "cross_entropy", fb.SGD(1e-3), batch_size=7, seed=1)
        trainer.fit(rows_of_x, LABELS)
        trainer.optimizer.learning_rate = fb.schedules.Steps(1e-3, 1e30, 150)
        with pytest.raises(fb.DivergenceError) as caught:
            trainer.fit(rows_of_x, LABELS, epochs=3)
        error = caught.value
        messages.append((str(error), error.epoch, error.batch, error.layer))
        messages.append(trainer.model.get_parameters().tobytes())
    assert messages[:2] == messages[2:]


def test_a_loss_of_ones_own_and_searches_take_them_too():
    def loss(y_hat, y):
        return float(((y_hat - y) ** 2).mean()), 2 * (y_hat - y) / y_hat.size

    weights = []
    for X in (PIXELS, PIXELS.astype(np.float32)):
        trainer = fb.Trainer(fb.mlp([COLUMNS, 3], seed=0), loss, fb.SGD(1e-6), seed=0)
        trainer.fit(X, np.eye(3)[LABELS])
        weights.append(trainer.model.get_parameters().tobytes())
        search = trainer_of().find_learning_rate(X, LABELS)
        weights.append((search.rates, search.losses))
    assert weights[:2] == weights[2:]


def test_a_long_fit_that_is_useless_is_still_found(recwarn):
    model = fb.mlp([COLUMNS, 4, 3], output_activation="softmax", seed=0)
    model.layers[0].bias[...] = -1e6  # relus that are all dead
    fb.Trainer(model, "cross_entropy", seed=0).fit(PIXELS, LABELS, epochs=11)
    assert "get the same outputs" in str(recwarn.pop(fb.TrainingWarning).message)


@pytest.mark.parametrize("kind", ["uint8", "float32", "sparse"])
def test_rows_that_are_held_out_are_chosen_and_not_copied(kind, monkeypatch):
    X = {
        "uint8": lambda: PIXELS,
        "float32": lambda: PIXELS.astype(np.float32),
        "sparse": lambda: pytest.importorskip("scipy.sparse").csr_matrix(PIXELS),
    }[kind]()
    figures = []
    for most in (0, 10**9):
        monkeypatch.setattr(planning, "COPIED", most)
        for rows_of_x in (X, PIXELS.astype(np.float32)):
            trainer = trainer_of()
            history = trainer.fit(
                rows_of_x, LABELS, epochs=3, validation_split=0.2, metrics=["top_k", "f1"]
            )
            kept = {k: v for k, v in history.to_dict().items() if k != "seconds"}
            figures.append((kept, trainer.model.get_parameters().tobytes()))
    assert figures[0] == figures[1] == figures[2] == figures[3]


def test_no_copy_of_the_whole_is_made(tmp_path, monkeypatch):
    monkeypatch.undo()
    n, columns = 40_000, 500  # 20 MB, and 80 MB as float32
    path = tmp_path / "pixels.bin"
    np.memmap(path, np.uint8, "w+", shape=(n, columns))[:] = 3
    X, y = np.memmap(path, np.uint8, "r", shape=(n, columns)), np.arange(n) % 3
    model = fb.mlp([columns, 3], output_activation="softmax", seed=0)
    trainer = fb.Trainer(model, "cross_entropy", fb.SGD(1e-6), batch_size=100, seed=0)
    for call in (
        lambda: model.predict(X),
        lambda: trainer.fit(X, y, scale=1 / 255),
        lambda: trainer.fit(X, y),
        lambda: trainer.evaluate(X, y),
        lambda: fb.diagnose(model, X, y, loss="cross_entropy"),
    ):
        tracemalloc.start()
        try:
            call()
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert most < 22e6, most
