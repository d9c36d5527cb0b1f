"""What users bring: masked arrays, frames with columns of many kinds, text, sparse matrices."""

import numpy as np
import pytest

import fastbackprop as fb

N = 6
NUMBERS = np.arange(N * 3, dtype=np.float64).reshape(N, 3) / 4


def network(n_in=3, n_out=1):
    return fb.mlp([n_in, 4, n_out], activation="tanh", seed=0)


def masked(array, *place):
    result = np.ma.masked_array(array, mask=np.zeros(np.shape(array), bool))
    result[place] = np.ma.masked
    return result


def entries():
    """Every way by which an array enters: name -> (how the complaint calls it, call)."""
    model = network()
    trainer = fb.Trainer(model, "half_squared_error", seed=0)
    y, labels = np.ones(N), np.array([0, 1, 2, 0, 1, 2])
    classifier = fb.mlp([3, 3], output_activation="softmax", seed=0)

    def backward(d):
        model.forward(NUMBERS)
        return model.backward(d)

    def fit_labels(y):
        return fb.Trainer(classifier, "cross_entropy").fit(NUMBERS, y)

    weight = np.ones((3, 4))
    return {
        "predict": ("X", NUMBERS, model.predict),
        "predict one": ("X", NUMBERS[0], model.predict),
        "forward": ("X", NUMBERS, model.forward),
        "backward": ("d_y_hat", np.ones((N, 1)), backward),
        "fit": ("X", NUMBERS, lambda X: trainer.fit(X, y)),
        "fit y": ("y", y, lambda y: trainer.fit(NUMBERS, y)),
        "fit labels": ("y", labels, fit_labels),
        "step": ("X", NUMBERS, lambda X: trainer.step(X, y)),
        "evaluate": ("X", NUMBERS, lambda X: trainer.evaluate(X, y)),
        "validation": (
            "validation y",
            y,
            lambda y: trainer.fit(NUMBERS, np.ones(N), validation_data=(NUMBERS, y)),
        ),
        "weight": ("weight", weight, lambda w: setattr(model.layers[0], "weight", w)),
        "bias": ("bias", np.ones(4), lambda b: setattr(model.layers[0], "bias", b)),
        "weight_init": ("weight_init", weight, lambda w: fb.Dense(3, 4, weight_init=w)),
        "bias_init": ("bias_init", np.ones(4), lambda b: fb.Dense(3, 4, bias_init=b)),
        "flat": ("flat", np.ones(model.n_parameters), model.set_parameters),
        "loss": ("y_hat", y[:, None], lambda y_hat: fb.HalfSquaredError()(y_hat, y[:, None])),
        "jacobian": ("X", NUMBERS, model.jacobian),
        "explain": ("X", NUMBERS, lambda X: fb.explain(model, X, y, loss="half_squared_error")),
        "diagnose": ("X", NUMBERS, lambda X: fb.diagnose(model, X, y, loss="half_squared_error")),
    }


@pytest.mark.parametrize("entry", entries())
def test_masked_elements_are_refused_and_a_mask_without_any_is_not(entry):
    what, array, call = entries()[entry]
    place = (1,) * array.ndim
    where = "index 1" if array.ndim == 1 else "row 1, column 1"
    if array.shape[1:] == (1,):
        place, where = (1, 0), "row 1, column 0"
    name = "x" if entry in ("explain", "diagnose") else what
    with pytest.raises(
        ValueError, match=rf"(?i)^{name} must have no masked elements, got one at {where}; fill"
    ):
        call(masked(array, *place))
    call(np.ma.masked_array(array, mask=np.zeros(array.shape, bool)))
    call(np.ma.masked_array(array))


def test_masked_rows_in_a_list_and_masked_constants_are_refused():
    model = network()
    with pytest.raises(ValueError, match="masked elements, got one at row 1;"):
        model.predict([np.ma.masked_array([1.0, 2, 3]), masked(np.ones(3), 2)])
    with pytest.raises(ValueError, match="masked elements, got one at index 2;"):
        model.predict([1.0, 2.0, np.ma.masked])
    assert model.predict([np.ma.masked_array([1.0, 2, 3])]).shape == (1, 1)


def test_results_cannot_be_written_below_a_mask():
    model = network()
    with pytest.raises(ValueError, match="out must have no masked elements"):
        model.predict(NUMBERS, out=masked(np.zeros((N, 1), "f4"), 2, 0))
    with pytest.raises(ValueError, match="out must have no masked elements"):
        model.predict(NUMBERS[0], out=masked(np.zeros(1, "f4"), 0))


def test_sparse_matrices_are_refused_where_they_are_no_rows_of_inputs():
    sparse = pytest.importorskip("scipy.sparse").csr_matrix(np.ones((N, 1)))
    trainer = fb.Trainer(network(), "half_squared_error")
    words = r"^y must be an array of real numbers, got the sparse csr_matrix of shape \(6, 1\);"
    with pytest.raises(TypeError, match=words):
        trainer.fit(NUMBERS, sparse)
    with pytest.raises(TypeError, match=r"^sample_weight must be .* got the sparse"):
        trainer.fit(NUMBERS, np.ones(N), sample_weight=sparse)


@pytest.mark.parametrize("text", [["b", "a"] * 3, np.array(["b", "a"] * 3, object)], ids=repr)
def test_text_labels_get_the_way_out(text):
    trainer = fb.Trainer(fb.mlp([3, 2], seed=0), "half_squared_error")
    with pytest.raises(
        TypeError, match=r"^y must .*; labels of classes .* such as 'cross_entropy'\.$"
    ):
        trainer.fit(NUMBERS, text)
    loss, y_hat = fb.CrossEntropy(), np.full((N, 2), 0.5)
    with pytest.raises(TypeError, match=r"^y must .*numpy\.unique\(labels, return_inverse=True\)"):
        loss(y_hat, text)
    classes, y = np.unique(text, return_inverse=True)  # what the sentence says
    loss(y_hat, y)
    assert classes.tolist() == ["a", "b"]


class TestPandas:
    """Frames and columns of pandas, and complaints that name their columns."""

    @pytest.fixture(autouse=True)
    def pandas(self):
        self.pd = pytest.importorskip("pandas")

    def frame(self, **changes):
        columns = {
            "flag": np.array([True, False] * 3),
            "count": np.arange(N),
            "size": np.linspace(0, 1, N),
        }
        return self.pd.DataFrame({**columns, **changes})

    def expected(self):
        frame = self.frame()
        return np.column_stack([np.asarray(frame[name], float) for name in frame])

    @pytest.mark.parametrize(
        "dtypes",
        [
            {},
            {"flag": "boolean"},
            {"count": "Int64", "size": "Float64"},
            {"flag": "boolean", "count": "UInt8", "size": "Float32"},
            {"flag": "int8", "count": "float32", "size": "float16"},
            {"count": "category"},
            {"flag": "Int64", "count": "Int64", "size": "Float64"},
        ],
        ids=str,
    )
    def test_columns_of_numbers_are_numbers(self, dtypes):
        model, frame = network(), self.frame().astype(dtypes)
        expected = self.expected()
        if "size" in dtypes and dtypes["size"] in ("Float32", "float16"):
            expected[:, 2] = np.asarray(frame["size"].to_numpy(dtype=float))
        assert model.predict(frame).tobytes() == model.predict(expected).tobytes()
        assert model.forward(frame).tobytes() == model.predict(expected).tobytes()

    @pytest.mark.parametrize("dtype", ["Int64", "boolean", "Float64", "bool", "int8"])
    def test_a_column_is_a_target(self, dtype):
        y = self.pd.Series([0, 1, 1, 0, 1, 0]).astype(dtype)
        losses = {
            "half_squared_error": fb.mlp([3, 1], seed=0),
            "binary_cross_entropy": fb.mlp([3, 1], output_activation="sigmoid", seed=0),
            "cross_entropy": fb.mlp([3, 2], output_activation="softmax", seed=0),
        }
        for loss, model in losses.items():
            trainer = fb.Trainer(model, loss)
            expected = trainer.evaluate(NUMBERS, [0, 1, 1, 0, 1, 0])
            for target in (y, y.to_frame(), y.array, self.pd.Index(y)):
                assert trainer.evaluate(NUMBERS, target) == expected

    def missing(self, dtype):
        column = self.pd.Series([1, 0, 1, 1, 0, 1]).astype(dtype)
        column[3] = None
        return column

    @pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean"])
    def test_a_missing_value_is_refused_by_column_and_row(self, dtype):
        column = self.missing(dtype)
        words = r"^X must have no missing values, got one at row 3, column 'count'; fill it"
        for call in (network().predict, lambda X: network().predict(X, check_finite=False)):
            with pytest.raises(ValueError, match=words):
                call(self.frame(count=column))
        with pytest.raises(
            ValueError, match=r"^y must have no missing values, got one at index 3;"
        ):
            fb.Trainer(network(), "half_squared_error").fit(NUMBERS, column)

    @pytest.mark.parametrize("entry", ["predict", "forward", "fit", "step", "evaluate"])
    @pytest.mark.parametrize("kind", ["one dtype", "many dtypes"])
    def test_nan_is_refused_by_the_name_of_its_column(self, entry, kind):
        frame = self.frame(size=[0, 1, 2, np.nan, 4, 5])
        frame = frame.astype(float) if kind == "one dtype" else frame
        model = network()
        trainer = fb.Trainer(model, "half_squared_error")
        y = np.ones(N)
        calls = {
            "predict": lambda: model.predict(frame),
            "forward": lambda: model.forward(frame),
            "fit": lambda: trainer.fit(frame, y),
            "step": lambda: trainer.step(frame, y),
            "evaluate": lambda: trainer.evaluate(frame, y),
        }
        with pytest.raises(
            ValueError, match=r"^X must be finite, got nan at row 3, column 'size'\.$"
        ):
            calls[entry]()

    def test_text_is_refused_by_the_name_of_its_column(self):
        colours = ["red", "blue"] * 3
        words = r"^X must be an array of real numbers, got the text 'red' at row 0, column 'count'"
        for kind in (object, "string", "category"):
            frame = self.frame(count=self.pd.Series(colours).astype(kind))
            with pytest.raises(TypeError, match=words):
                network().predict(frame)

    def test_dates_are_refused_by_the_name_of_their_column(self):
        frame = self.frame(count=self.pd.date_range("2026-01-01", periods=N))
        words = r"^X must be an array of real numbers, got dtype datetime64\[.s\] in column 'count'"
        with pytest.raises(TypeError, match=words):
            network().predict(frame)

    def test_text_labels_of_a_column_get_the_way_out(self):
        trainer = fb.Trainer(fb.mlp([3, 1]), "half_squared_error")
        for kind in (object, "string", "category"):
            labels = self.pd.Series(["setosa", "other"] * 3).astype(kind)
            with pytest.raises(
                TypeError, match=r"got the text 'setosa' at index 0; labels of classes"
            ):
                trainer.fit(NUMBERS, labels)

    def test_frames_without_rows_or_columns_are_no_accident(self):
        assert network().predict(self.frame().iloc[:0]).shape == (0, 1)
        with pytest.raises(ValueError, match=r"X must have 3 columns .*got 0"):
            network().predict(self.frame()[[]])
        twice = self.pd.concat([self.frame(), self.frame(count=self.missing("Int64"))], axis=1)
        with pytest.raises(ValueError, match=r"row 3, column 'count'"):
            network(6).predict(twice)


def test_frames_of_polars_and_tables_of_pyarrow_are_taken_by_what_they_convert_to():
    class Frame:
        columns = ("age", "colour", "size")

        def __init__(self, array):
            self.array = array

        def __array__(self, dtype=None, copy=None):
            return self.array

    model = network()
    assert model.predict(Frame(NUMBERS)).tobytes() == model.predict(NUMBERS).tobytes()
    with_text = NUMBERS.astype(object)
    with_text[2, 1] = "red"
    with pytest.raises(TypeError, match=r"got the text 'red' at row 2, column 'colour'"):
        model.predict(Frame(with_text))
    with_none = NUMBERS.astype(object)
    with_none[2, 0] = None
    with pytest.raises(ValueError, match=r"missing values, got one at row 2, column 'age'"):
        model.predict(Frame(with_none))
    with_nan = NUMBERS.copy()
    with_nan[4, 2] = np.nan
    with pytest.raises(ValueError, match=r"got nan at row 4, column 'size'"):
        model.predict(Frame(with_nan))


def test_polars_and_pyarrow_themselves():
    columns = {"flag": [True, False], "count": [1, 2], "size": [0.5, 1.5]}
    expected = network().predict([[1, 1, 0.5], [0, 2, 1.5]])
    polars = pytest.importorskip("polars")
    assert network().predict(polars.DataFrame(columns)).tobytes() == expected.tobytes()
    pyarrow = pytest.importorskip("pyarrow")
    assert network().predict(pyarrow.table(columns)).tobytes() == expected.tobytes()
    with pytest.raises(TypeError, match="column 'flag'"):
        network().predict(polars.DataFrame({**columns, "flag": ["a", "b"]}))


@pytest.mark.parametrize(
    "entry", ["predict", "forward", "jacobian", "input_gradient", "explain", "diagnose", "y"]
)
def test_every_entry_calls_a_column_by_its_name(entry):
    pandas = pytest.importorskip("pandas")
    model = fb.mlp([2, 3, 2], seed=0)
    bad = pandas.DataFrame({"v": [1.0, 2.0], "w": [3.0, np.nan]})
    good = np.ones((2, 2))
    calls = {
        "predict": lambda: model.predict(bad),
        "forward": lambda: model.forward(bad),
        "jacobian": lambda: model.jacobian(bad),
        "input_gradient": lambda: model.input_gradient(bad, output=0),
        "explain": lambda: fb.explain(model, bad, good, loss="half_squared_error"),
        "diagnose": lambda: fb.diagnose(model, bad, good, loss="half_squared_error"),
        "y": lambda: fb.Trainer(model, "half_squared_error").fit(good, bad),
    }
    with pytest.raises(ValueError, match="got nan at row 1, column 'w'"):
        calls[entry]()


def test_a_table_whose_columns_are_data_is_asked_for_their_names():
    class Table:
        columns = (np.ones(2), np.array([1.0, np.nan]))
        column_names = ("v", "w")

        def __array__(self, dtype=None, copy=None):
            return np.array(self.columns).T

    with pytest.raises(ValueError, match="got nan at row 1, column 'w'"):
        fb.mlp([2, 1], seed=0).predict(Table())


def test_a_lazy_frame_is_asked_to_be_collected_and_a_column_may_have_any_name():
    class LazyFrame:
        @property
        def columns(self):
            raise AssertionError("this would compute")

        def collect(self):
            """Never called."""

    model = fb.mlp([2, 1], seed=0)
    with pytest.raises(TypeError, match=r"got a LazyFrame; collect\(\) it first"):
        model.predict(LazyFrame())
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"column_names": [1.0, 2.0], "w": [3.0, np.nan]})
    with pytest.raises(ValueError, match="got nan at row 1, column 'w'"):
        model.predict(frame)
