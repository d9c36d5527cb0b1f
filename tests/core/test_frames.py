"""Arrays and frames of other libraries, which are never imported; names of their columns."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import fastbackprop as fb

N = 6
NAMES = ["age", "flag", "size"]
COLUMNS = {
    "age": np.arange(N),
    "flag": np.array([True, False] * 3),
    "size": np.linspace(0, 1, N),
}
NUMBERS = np.column_stack([COLUMNS[name] for name in NAMES]).astype(float)
TARGETS = np.array([1.0, 2, 3, 0, 1, 1])


class OnlyDLPack:
    """What offers nothing but DLPack."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class OnlyToNumPy:
    """What offers nothing but to_numpy."""

    def __init__(self, array):
        self.array = array

    def to_numpy(self):
        return self.array


def need(name):
    return pytest.importorskip(name)


def in_coordinates(array):
    return need("xarray").DataArray(array, dims=("row", "column"), coords={"column": NAMES})


FRAMES = {
    "pandas": lambda: need("pandas").DataFrame(COLUMNS),
    "pandas nullable": lambda: need("pandas").DataFrame(COLUMNS).convert_dtypes(),
    "polars": lambda: need("polars").DataFrame(COLUMNS),
    "pyarrow": lambda: need("pyarrow").table(COLUMNS),
    "pyarrow batch": lambda: need("pyarrow").RecordBatch.from_pydict(COLUMNS),
    "xarray": lambda: in_coordinates(NUMBERS),
}
ARRAYS = {
    "xarray without names": lambda x: need("xarray").DataArray(x),
    "torch": lambda x: need("torch").tensor(x),
    "torch bfloat16": lambda x: need("torch").tensor(x).bfloat16(),
    "jax": lambda x: need("jax.numpy").array(x),
    "jax bfloat16": lambda x: need("jax.numpy").array(x).astype("bfloat16"),
    "dlpack": OnlyDLPack,
    "to_numpy": OnlyToNumPy,
    "polars series": lambda x: need("polars").Series(x),
    "pyarrow array": lambda x: need("pyarrow").array(x),
    "pyarrow chunks": lambda x: need("pyarrow").chunked_array([x[:2], x[2:]]),
}
# In bfloat16 these are the same numbers.
EXACT = np.array([[1, 0, 0.5], [2, 1, 0.25], [3, 0, -4], [4, 1, 2], [5, 0, 1], [6, 1, 0]])


def regressor():
    model = fb.mlp([3, 4, 1], activation="tanh", seed=0)
    return fb.Trainer(model, "mean_squared_error", fb.SGD(0.01), seed=0)


def training_of(X, y):
    trainer = regressor()
    trainer.fit(X, y, epochs=2)
    trainer.step(X, y)
    figures = trainer.evaluate(X, y)
    return trainer.model.get_parameters().tobytes(), figures, trainer.model.predict(X).tobytes()


@pytest.mark.parametrize("form", FRAMES)
def test_frames_are_numbers_with_names(form):
    frame = FRAMES[form]()
    assert training_of(frame, TARGETS) == training_of(NUMBERS, TARGETS)
    trainer = regressor()
    trainer.step(frame, TARGETS)
    assert trainer.model.feature_names is None
    trainer.fit(frame, TARGETS)
    assert trainer.model.feature_names == tuple(NAMES)


@pytest.mark.parametrize("form", ARRAYS)
def test_arrays_of_others_are_numbers(form):
    make = ARRAYS[form]
    if form not in ("polars series", "pyarrow array", "pyarrow chunks"):
        assert training_of(make(EXACT), TARGETS) == training_of(EXACT, TARGETS)
    assert training_of(EXACT, make(TARGETS)) == training_of(EXACT, TARGETS)


@pytest.mark.parametrize("kind", ["float", "int"])
@pytest.mark.parametrize("library", ["polars", "pyarrow", "pandas"])
def test_a_missing_value_is_told_by_row_and_column(library, kind):
    module = need(library)
    values = [1, 2, None, 4, 5, 6] if kind == "int" else [1.0, 2.0, None, 4.0, 5.0, 6.0]
    column = {
        "polars": lambda: module.Series("age", values),
        "pyarrow": lambda: module.array(values),
        "pandas": lambda: module.array(values, dtype="Int64" if kind == "int" else "Float64"),
    }[library]()
    changed = {**COLUMNS, "age": column}
    frame = module.table(changed) if library == "pyarrow" else module.DataFrame(changed)
    trainer = regressor()
    for call in (
        trainer.model.predict,
        lambda X: trainer.model.predict(X, check_finite=False),
        lambda X: trainer.fit(X, TARGETS, check_finite=False),
    ):
        with pytest.raises(
            ValueError, match=r"^X must have no missing values, got one at row 2, column 'age'; f"
        ):
            call(frame)
    with pytest.raises(ValueError, match=r"^y must have no missing values, got one at index 2; f"):
        trainer.fit(NUMBERS, column)


def test_columns_that_are_no_numbers_are_told_by_name():
    pyarrow, pandas = need("pyarrow"), need("pandas")
    dates = pandas.date_range("2026-01-01", periods=N)
    with pytest.raises(TypeError, match=r"^X must be .* got dtype timestamp\[.s\] in column 'age'"):
        regressor().model.predict(pyarrow.table({**COLUMNS, "age": dates}))
    polars = need("polars")
    frame = polars.DataFrame({**COLUMNS, "age": dates.to_list()})
    with pytest.raises(TypeError, match=r"^X must be .* got dtype Datetime.* in column 'age'\.$"):
        regressor().model.predict(frame)


@pytest.mark.parametrize("dtype", ["Date", "Datetime", "Duration", "Time"])
def test_dates_beside_numbers_are_not_numbers_of_nanoseconds(dtype):
    polars = need("polars")
    times = polars.Series("when", [20_000] * N).cast(getattr(polars, dtype))
    frame = polars.DataFrame({"age": COLUMNS["size"]}).with_columns(times)
    with pytest.raises(TypeError, match=rf"^X must .*, got dtype {dtype}.* in column 'when'\.$"):
        fb.mlp([2, 1]).predict(frame)


def test_numbers_among_objects_are_advised_of_how_to_become_some():
    frame = need("pandas").DataFrame({**COLUMNS, "flag": COLUMNS["flag"].astype(object)})
    words = r"got dtype object( in column 'flag')?; pass the numbers in it as X\.astype\(float\)\."
    for X in (frame, frame.to_numpy()):
        with pytest.raises(TypeError, match=words):
            fb.mlp([3, 1]).predict(X)
        assert fb.mlp([3, 1]).predict(X.astype(float)).shape == (N, 1)


def test_what_numpy_cannot_take_is_refused_in_one_sentence():
    torch, xarray = need("torch"), need("xarray")
    for value in (
        torch.zeros(2, 3, requires_grad=True),
        torch.zeros(2, 3).to_sparse(),
        torch.zeros(2, 3, device="meta"),
        xarray.Dataset({"a": ("row", np.ones(2))}),
    ):
        with pytest.raises(TypeError, match=r"^X must be an array of real numbers, got a \w+ that"):
            regressor().model.predict(value)


ENTRIES = {
    "predict": lambda t, X: t.model.predict(X),
    "predict_classes": lambda t, X: t.model.predict_classes(X),
    "forward": lambda t, X: t.model.forward(X),
    "jacobian": lambda t, X: t.model.jacobian(X),
    "fit": lambda t, X: t.fit(X, TARGETS),
    "validation": lambda t, X: t.fit(NUMBERS, TARGETS, validation_data=(X, TARGETS)),
    "step": lambda t, X: t.step(X, TARGETS),
    "evaluate": lambda t, X: t.evaluate(X, TARGETS),
    "find_learning_rate": lambda t, X: t.find_learning_rate(X, TARGETS),
    "explain": lambda t, X: fb.explain(t.model, X, TARGETS, loss="mean_squared_error"),
    "diagnose": lambda t, X: fb.diagnose(t.model, X, TARGETS, loss="mean_squared_error"),
    "gradient_check": lambda t, X: fb.gradient_check(t.model, X, TARGETS, "mean_squared_error"),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_other_columns_are_refused_by_order_and_name(entry):
    pandas = need("pandas")
    frame = pandas.DataFrame(COLUMNS)
    trainer = regressor()
    trainer.fit(frame, TARGETS)
    before = trainer.model.get_parameters().tobytes()
    call = ENTRIES[entry]
    with pytest.raises(
        ValueError,
        match=r"X must have the columns of the model's feature_names, got column 0 'size' in "
        r"place of 'age': the same columns in another order\.$|^x must",
    ):
        call(trainer, frame[["size", "age", "flag"]])
    with pytest.raises(ValueError, match=r"got column 1 'flags' in place of 'flag'\.$"):
        call(trainer, frame.rename(columns={"flag": "flags"}))
    assert trainer.model.get_parameters().tobytes() == before
    call(trainer, frame)
    call(trainer, NUMBERS)
    call(trainer, frame.set_axis([0, 1, 2], axis=1))  # names that are no text are none


def test_the_first_fit_holds_its_validation_data_to_the_same_columns():
    pandas = need("pandas")
    frame, trainer = pandas.DataFrame(COLUMNS), regressor()
    with pytest.raises(ValueError, match=r"^validation X must .* in another order\.$"):
        trainer.fit(frame, TARGETS, validation_data=(frame[["flag", "age", "size"]], TARGETS))
    assert trainer.model.feature_names is None


def test_names_are_kept_by_files_pickles_and_copies_and_can_be_assigned(tmp_path):
    model = regressor().model
    model.feature_names = NAMES
    model.save(tmp_path / "model.safetensors")
    for other in (
        fb.load(tmp_path / "model.safetensors"),
        pickle.loads(pickle.dumps(model)),
        copy.copy(model),
        copy.deepcopy(model),
    ):
        assert other.feature_names == tuple(NAMES)
    for names, words in [
        ("abc", "feature_names must be a sequence of 3 names, got 'abc'"),
        (["a", "b"], "feature_names must be 3 different names, got 2"),
        (["a", "b", "a"], "feature_names must be 3 different names, got 2"),
        (["a", "b", 3], r"feature_names\[2\] must be text, got 3"),
    ]:
        with pytest.raises((ValueError, TypeError), match=f"^{words}"):
            model.feature_names = names
    assert model.feature_names == tuple(NAMES)
    model.feature_names = None
    assert model.feature_names is None


def test_explanations_and_diagnoses_say_the_names():
    pandas = need("pandas")
    frame = pandas.DataFrame({**COLUMNS, "size": COLUMNS["size"] * 1000 + 5000})
    model = regressor().model
    explanation = fb.explain(model, frame, TARGETS, loss="mean_squared_error")
    assert "\nx[0] is 'age', x[1] is 'flag', x[2] is 'size'.\n" in str(explanation)
    assert explanation.to_dict()["model"]["feature_names"] == NAMES
    assert (
        "feature_names"
        not in fb.explain(model, NUMBERS, TARGETS, loss="mean_squared_error").to_dict()["model"]
    )
    findings = fb.diagnose(model, frame, TARGETS, loss="mean_squared_error")
    assert "x[2] 'size'" in str(findings)
    model.feature_names = ["a", "b", "c"]
    findings = fb.diagnose(model, frame.to_numpy(float), TARGETS, loss="mean_squared_error")
    assert "x[2] 'c'" in str(findings)


def test_no_library_of_frames_is_imported_by_us():
    script = (
        "import sys, fastbackprop as fb, numpy as np\n"
        "fb.Trainer(fb.mlp([1, 1]), 'mean_squared_error').fit([[1.0]], [1.0])\n"
        "others = {'pandas', 'polars', 'pyarrow', 'xarray', 'torch', 'jax', 'scipy'}\n"
        "print(*sorted(others & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
