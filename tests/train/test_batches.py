"""Batches as they come: of arrays and files, shuffled in two levels; generators and loaders."""

import itertools
import tracemalloc

import numpy as np
import pytest

import fastbackprop as fb

N = 1000
X = np.random.default_rng(0).normal(size=(N, 5)).astype(np.float32)
Y = X[:, :3].argmax(axis=1)
WEIGHTS = np.random.default_rng(1).uniform(0, 2, N).astype(np.float32)
NAMES = np.array(["a", "b", "c"])[Y]


def trainer_of(**options):
    model = fb.mlp([5, 8, 3], output_activation="softmax", seed=0)
    return fb.Trainer(model, "cross_entropy", fb.Adam(0.01), seed=1, batch_size=32, **options)


def outcome(trainer, history):
    return history.loss, history.accuracy, trainer.model.get_parameters().tobytes()


def fitted(**options):
    trainer = trainer_of()
    return outcome(trainer, trainer.fit(X, Y, epochs=3, **options))


def in_order(*arrays):
    return [tuple(array[k : k + 32] for array in arrays) for k in range(0, N, 32)]


def trained(batches, epochs=3, **options):
    trainer = trainer_of()
    return outcome(trainer, trainer.fit_batches(batches, epochs=epochs, **options))


@pytest.mark.parametrize("kind", ["float32", "float64", "uint8", "Fortran", "sparse", "pandas"])
def test_batches_in_the_order_of_fit_have_its_bits(kind):
    pixels = (X * 40 + 128).clip(0, 255).astype(np.uint8)
    rows = {
        "float32": lambda: X,
        "float64": lambda: X.astype(float),
        "uint8": lambda: pixels,
        "Fortran": lambda: np.asfortranarray(X),
        "sparse": lambda: pytest.importorskip("scipy.sparse").csc_matrix(X),
        "pandas": lambda: pytest.importorskip("pandas").DataFrame(X, columns=list("abcde")),
    }[kind]()
    scale = 1 / 255 if kind == "uint8" else 1.0
    trainer, twin = trainer_of(), trainer_of()
    batches = fb.Batches(rows, Y, batch_size=32, seed=1, scale=scale)
    assert len(batches) == 32
    assert repr(batches) == "Batches(1,000 rows, 32 batches of 32)"
    expected = twin.fit(rows, Y, epochs=3, scale=scale)
    assert outcome(trainer, trainer.fit_batches(batches, epochs=3)) == outcome(twin, expected)
    assert trainer.model.feature_names == (tuple("abcde") if kind == "pandas" else None)


def test_drop_last_and_no_shuffle_are_those_of_fit():
    batches = fb.Batches(X, Y, shuffle=False)
    assert trained(batches) == fitted(shuffle=False)
    batches = fb.Batches(X, Y, seed=1, drop_last=True)
    assert len(batches) == 31 == len([*batches])
    trainer, twin = trainer_of(), trainer_of()
    twin.fit(X, Y, epochs=3, drop_last=True)
    batches = fb.Batches(X, Y, seed=1, drop_last=True)
    history = trainer.fit_batches(batches, epochs=3)
    assert trainer.model.get_parameters().tobytes() == twin.model.get_parameters().tobytes()
    assert history.loss == pytest.approx(twin.history.loss)


def test_weights_are_those_of_fit():
    trainer, twin = trainer_of(), trainer_of()
    batches = fb.Batches(X, Y, sample_weight=WEIGHTS, seed=1)
    history, expected = (
        trainer.fit_batches(batches, epochs=2),
        twin.fit(X, Y, sample_weight=WEIGHTS, epochs=2),
    )
    assert trainer.model.get_parameters().tobytes() == twin.model.get_parameters().tobytes()
    assert history.loss == pytest.approx(expected.loss)
    rows, targets, weights = next(iter(batches))
    assert rows.shape == (32, 5)
    assert len(targets) == len(weights) == 32


class Sequence:
    """What has a length and items, as some loaders do."""

    def __len__(self):
        return 32

    def __getitem__(self, k):
        if k >= 32:
            raise IndexError
        return in_order(X, Y)[k]


def loader():
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    return torch.utils.data.DataLoader(data, batch_size=32)


@pytest.mark.parametrize(
    "make",
    [
        lambda: in_order(X, Y),
        lambda: tuple([x.tolist(), y.tolist()] for x, y in in_order(X, Y)),
        lambda: lambda: iter(in_order(X, Y)),
        lambda: lambda: (pair for pair in in_order(X, Y)),
        Sequence,
        loader,
    ],
    ids=["list", "of lists", "function", "generator function", "sequence", "DataLoader"],
)
def test_any_iterable_trains_as_fit_does(make):
    assert trained(make()) == fitted(shuffle=False)


def test_a_generator_is_for_one_epoch():
    assert trained(iter(in_order(X, Y)), epochs=1)[0] == fitted(shuffle=False)[0][:1]
    for once in (iter(in_order(X, Y)), zip(X, Y, strict=True), map(tuple, in_order(X, Y))):
        trainer = trainer_of()
        before = trainer.model.get_parameters().tobytes()
        with pytest.raises(ValueError, match=r"can be gone through 2 times, got a .*used up after"):
            trainer.fit_batches(once, epochs=2)
        assert trainer.model.get_parameters().tobytes() == before
        next(once)  # nothing was taken


def test_each_pass_has_each_row_once_in_another_order():
    rows = np.arange(103)[:, None]
    for options in (
        {"seed": 0},
        {"seed": 0, "block_size": 10, "blocks_in_memory": 3},
        {"seed": 0, "block_size": 1, "blocks_in_memory": 1},
        {"seed": 0, "block_size": 1000},
        {"shuffle": False, "block_size": 10, "blocks_in_memory": 3},
    ):
        batches = fb.Batches(rows, rows[:, 0], batch_size=8, **options)
        passes = []
        for _ in range(3):
            parts = [*batches]
            assert [len(y) for _, y in parts] == [8] * 12 + [7]
            assert all((x[:, 0] == y).all() for x, y in parts)
            passes.append(np.concatenate([y for _, y in parts]).tolist())
        assert all(sorted(x) == list(range(103)) for x in passes)
        if options.get("shuffle", True):
            assert passes[0] != passes[1] != passes[2]
            again = fb.Batches(rows, rows[:, 0], batch_size=8, **options)
            assert np.concatenate([y for _, y in again]).tolist() == passes[0]
        else:
            assert passes == [list(range(103))] * 3


def test_two_levels_mix_the_rows_of_so_many_blocks():
    rows = np.arange(120)[:, None]
    batches = fb.Batches(rows, rows[:, 0], seed=0, block_size=10, blocks_in_memory=3)
    order = np.concatenate([y for _, y in batches])
    for first in range(0, 120, 30):  # three whole blocks, whichever, in any order of rows
        group = order[first : first + 30]
        blocks = sorted(set(group // 10))
        assert len(blocks) == 3
        assert sorted(group) == [10 * k + i for k in blocks for i in range(10)]
        assert len(set(np.diff(group))) > 5
    assert len(set(np.diff(order[::30] // 10))) > 1


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_files_are_read_block_by_block(kind, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    columns = {f"x{k}": X[:, k] for k in range(5)}
    table = pyarrow.table({"w": WEIGHTS, **columns, "label": NAMES, "index": Y})
    path = tmp_path / f"data.{kind}"
    if kind == "parquet":
        from pyarrow import parquet

        parquet.write_table(table, path, row_group_size=130)
        read = fb.Batches.from_parquet
    else:
        from pyarrow import feather

        feather.write_feather(table, path, chunksize=130)
        read = fb.Batches.from_arrow
    features = list(columns)
    batches = read(path, "label", features=features, sample_weight="w", shuffle=False)
    assert (batches.n_rows, len(batches)) == (N, 32)
    trainer, twin = trainer_of(classes=["a", "b", "c"]), trainer_of()
    history = trainer.fit_batches(batches, epochs=2)
    expected = twin.fit(X, Y, sample_weight=WEIGHTS, epochs=2, shuffle=False)
    assert trainer.model.get_parameters().tobytes() == twin.model.get_parameters().tobytes()
    assert history.loss == pytest.approx(expected.loss)
    assert trainer.model.feature_names == tuple(features)
    shuffled = read(path, "index", features=features, seed=0, blocks_in_memory=2)
    assert sum(len(y) for _, y in shuffled) == N
    assert trained(shuffled)[0][-1] < 0.4
    of_two = read(path, ["x0", "x1"], features=["x2", "x3", "x4"], batch_size=500, shuffle=False)
    np.testing.assert_array_equal(next(iter(of_two))[1], X[:500, :2])
    others = read(path, "index")
    with pytest.raises(TypeError, match=r"X must be .* got the text '.' at row 0, column 'label'"):
        next(iter(others))
    with pytest.raises(ValueError, match=r"columns must be of 'w', 'x0', .*, got 'lab'"):
        read(path, "lab")


def test_a_missing_value_of_a_file_is_told_by_its_column(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"a": [1.0, None], "y": [0, 1]}), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="X must have no missing values, got one at row 1, column"):
        next(iter(fb.Batches.from_parquet(tmp_path / "x.parquet", "y")))


def test_what_is_heard_and_recorded_is_that_of_fit():
    class Listener(fb.Callback):
        def __init__(self):
            self.heard = []

        def on_batch_end(self, trainer, step, loss):
            self.heard.append((step, loss))

        def on_epoch_end(self, trainer, history):
            self.heard.append(len(history))

    schedule = fb.Cosine(0.1)
    results = []
    for fit in (
        lambda t, **kw: t.fit_batches(fb.Batches(X, Y, seed=1), **kw),
        lambda t, **kw: t.fit(X, Y, **kw),
    ):
        model = fb.mlp([5, 3], output_activation="softmax", seed=0)
        trainer = fb.Trainer(model, "cross_entropy", fb.SGD(schedule), seed=1, batch_size=32)
        listener = Listener()
        history = fit(
            trainer, epochs=3, validation_data=(X, Y), callbacks=[listener], progress_bar=False
        )
        figures = {k: v for k, v in history.to_dict().items() if k != "seconds"}
        results.append((figures, listener.heard, model.get_parameters().tobytes()))
    assert results[0] == results[1]


def test_early_stopping_and_the_end_by_a_callback():
    trainer = trainer_of()
    stopping = fb.EarlyStopping("loss", patience=1, min_delta=10.0)
    assert len(trainer.fit_batches(fb.Batches(X, Y, seed=1), epochs=9, callbacks=stopping)) == 2

    class Stop(fb.Callback):
        def on_batch_end(self, trainer, step, loss):
            trainer.stop_training = step == 40

    history = trainer.fit_batches(itertools.repeat((X[:8], Y[:8])), callbacks=[Stop()])
    assert len(history) == 0
    with pytest.raises(ValueError, match="must be given for monitor 'validation_loss'"):
        trainer.fit_batches(fb.Batches(X, Y), callbacks=[fb.EarlyStopping()])


def test_a_loss_of_ones_own_takes_batches():
    def loss(y_hat, y):
        return float(((y_hat - y) ** 2).mean()), 2 * (y_hat - y) / y_hat.size

    weights = []
    for fit in (
        lambda t: t.fit_batches(fb.Batches(X, X[:, :2], seed=1), epochs=2),
        lambda t: t.fit(X, X[:, :2], epochs=2),
    ):
        trainer = fb.Trainer(fb.mlp([5, 2], seed=0), loss, fb.SGD(0.1), seed=1)
        weights.append((fit(trainer).loss, trainer.model.get_parameters().tobytes()))
    assert weights[0] == weights[1]


def test_a_divergence_names_the_batch_and_goes_back():
    trainer = trainer_of()
    start = trainer.model.get_parameters().tobytes()
    batches = in_order(X, Y)
    batches[20] = (np.full((32, 5), 1e38, np.float32), Y[:32])
    trainer.optimizer.learning_rate = 1e20
    with pytest.raises(fb.DivergenceError) as caught:
        trainer.fit_batches(batches)
    assert caught.value.epoch == 1
    assert 1 < caught.value.batch <= 21
    assert trainer.model.get_parameters().tobytes() == start


@pytest.mark.parametrize(
    ("batches", "error", "words"),
    [
        (
            X,
            TypeError,
            "batches must be an iterable of batches .*, got a ndarray; for arrays",
        ),
        ({"X": X}, TypeError, "batches must be an iterable of batches .*, got a dict;"),
        (3, TypeError, "batches must be an iterable .* or a function that returns one, got 3"),
        ([X], TypeError, r"batches must be tuples \(X, y\) .*, got ndarray for batch 1"),
        ([(X,)], TypeError, "batches must be tuples .*, got 1 items for batch 1"),
        ([], ValueError, "batches must yield at least one batch .*, got none in epoch 1"),
        ([(X[:, :4], Y)], ValueError, "X of batch 1 must have 5 columns .*, got 4"),
        ([(X, NAMES)], TypeError, r"y of batch 1 must hold integer labels .*classes=\[\.\.\.\]"),
        ([(X * np.nan, Y)], ValueError, "X of batch 1 must be finite, got nan at row 0, column 0"),
        ([(X, Y, -WEIGHTS)], ValueError, "sample_weight must be finite and at least 0"),
    ],
)
def test_what_is_no_batch_is_refused(batches, error, words):
    trainer = trainer_of()
    before = trainer.model.get_parameters().tobytes()
    with pytest.raises(error, match=f"^{words}"):
        trainer.fit_batches(batches)
    assert trainer.model.get_parameters().tobytes() == before
    trainer.fit_batches(in_order(X, Y))  # the trainer can go on


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        ({"block_size": 0}, "block_size must be an integer of at least 1"),
        ({"blocks_in_memory": 1.5}, "blocks_in_memory must be an integer of at least 1"),
        ({"shuffle": 1}, "shuffle must be True or False, got 1"),
        ({"scale": np.nan}, "scale must be a finite number"),
        ({"batch_size": 2000, "drop_last": True}, "batches must have at least 2000 rows, got 1000"),
        ({"sample_weight": WEIGHTS[:5]}, "X and sample_weight must have the same number of rows"),
    ],
)
def test_wrong_settings_of_batches_are_refused_at_once(options, words):
    with pytest.raises((ValueError, TypeError), match=f"^{words}"):
        fb.Batches(X, Y, **options)
    with pytest.raises(ValueError, match="X and y must have the same number of rows, got 1000 and"):
        fb.Batches(X, Y[:5])
    with pytest.raises(ValueError, match="X must have at least one row, got 0"):
        fb.Batches(X[:0], Y[:0])


def test_memory_is_that_of_some_blocks(tmp_path):
    n, columns = 40_000, 500  # 20 MB, and 80 MB as float32
    path = tmp_path / "pixels.bin"
    np.memmap(path, np.uint8, "w+", shape=(n, columns))[:] = 3
    pixels = np.memmap(path, np.uint8, "r", shape=(n, columns))
    model = fb.mlp([columns, 3], output_activation="softmax", seed=0)
    trainer = fb.Trainer(model, "cross_entropy", fb.SGD(1e-6), seed=0)
    batches = fb.Batches(pixels, np.arange(n) % 3, batch_size=100, block_size=1000)
    tracemalloc.start()
    try:
        trainer.fit_batches(batches)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 30e6, most


def test_a_fit_that_waits_is_not_forgotten_by_a_wrong_batch(tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 2))
    y = X.sum(axis=1)
    trainer = fb.Trainer(fb.mlp([2, 3, 1], seed=0), "half_squared_error", "adam", seed=0)
    whole = trainer.fit(X, y, epochs=3, callbacks=[fb.Checkpoint(tmp_path / "c", every_epochs=2)])
    heard = []

    class Hears(fb.Callback):
        def on_epoch_end(self, trainer, history):
            heard.append(len(history))

    again = fb.Trainer.resume(tmp_path / "c", callbacks=[Hears()])
    with pytest.raises(ValueError, match=r"batch 1.* must have 2 columns|must have 2 columns"):
        again.fit_batches([(X[:, :1], y)])
    assert again.fit(X, y, epochs=3).loss == whole.loss
    assert heard == [3]

    again = fb.Trainer.resume(tmp_path / "c", callbacks=[Hears()])
    again.fit_batches([(X, y)])  # another fit, which the callbacks of resume hear, too
    assert heard == [3, 1]
    assert len(again.fit(X, y, epochs=1)) == 1
