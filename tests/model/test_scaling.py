"""Scaling inside of the model: every path sees the same scaled rows, as scikit-learn has them."""

import copy
import pickle

import numpy as np
import pytest
from privates import described_in_file, files, quick_prediction, statistics, write_model_file

import fastbackprop as fb

SECONDS = 1.7e9 + np.arange(64.0)  # float32 has one value for all of them
METHODS = {"standard": fb.Standardize, "robust": fb.RobustScale}


def data(n=192):
    """Seconds that collapse in float32, a wide column, a switch, and a constant."""
    rng = np.random.default_rng(0)
    X = np.column_stack([
        np.resize(SECONDS, n), rng.normal(5, 300, n), rng.integers(0, 2, n), np.full(n, 7.0)
    ])  # fmt: skip
    return X, 1000 + 50 * np.sin((X[:, 0] - SECONDS[0]) / 10) + X[:, 1] / 30


def network(method=True, targets=True, **options):
    options = {"activation": "tanh", "seed": 0, **options}
    return fb.mlp([4, 8, 1], scale_inputs=method, scale_targets=targets, **options)


def fitted(method=True, targets=True, **options):
    X, y = data()
    model = network(method, targets, **options)
    model.fit_scaling(X, y if targets else None)
    return model, X, y


def unscaled_twin(model):
    """The same network without scaling, which sees what scaled rows are."""
    twin = fb.mlp([4, 8, 1], activation="tanh", seed=0, dtype=model.dtype)
    twin.set_parameters(model.get_parameters())
    return twin


def scaled(model, X):
    layer = model.layers[0]
    return ((X - layer.center) / layer.scale).astype(model.dtype)


@pytest.mark.parametrize("method", METHODS)
def test_the_numbers_are_scikit_learns(method):
    preprocessing = pytest.importorskip(
        "sklearn.preprocessing", reason="scikit-learn is not installed"
    )
    rng = np.random.default_rng(1)
    X = np.column_stack([
        data(500)[0], rng.exponential(1e-9, 500), rng.normal(0, 1e12, 500), rng.integers(0, 5, 500)
    ])  # fmt: skip
    model = fb.mlp([7, 1], scale_inputs=method, seed=0)
    model.fit_scaling(X)
    theirs = {
        "standard": preprocessing.StandardScaler, "robust": preprocessing.RobustScaler
    }[method]().fit(X)  # fmt: skip
    center = theirs.mean_ if method == "standard" else theirs.center_
    np.testing.assert_allclose(model.layers[0].center, center, rtol=1e-13)
    np.testing.assert_allclose(model.layers[0].scale, theirs.scale_, rtol=1e-11)
    np.testing.assert_allclose(scaled(model, X), theirs.transform(X), rtol=1e-4, atol=1e-4)


PATHS = {
    "predict": lambda model, X, y: model.predict(X),
    "one row": lambda model, X, y: model.predict(X[0]),
    "forward": lambda model, X, y: model.forward(X),
    "jacobian": lambda model, X, y: model.jacobian(X),
    "input_gradient": lambda model, X, y: model.input_gradient(X),
    "sample_gradients": lambda model, X, y: model.sample_gradients(X, y, "half_squared_error"),
    "evaluate": lambda model, X, y: fb.Trainer(model, "half_squared_error").evaluate(X, y),
    "step": lambda model, X, y: fb.Trainer(model, "half_squared_error").step(X, y),
    "fit_batches": lambda model, X, y: fb.Trainer(model, "half_squared_error").fit_batches(
        [(X, y)]
    ),
    "explain": lambda model, X, y: fb.explain(model, X, y, "half_squared_error"),
    "explain_training": lambda model, X, y: fb.explain_training(
        fb.Trainer(model, "half_squared_error"), X, y
    ),
    "gradient_check": lambda model, X, y: fb.gradient_check(model, X, y, "half_squared_error"),
    "lab": lambda model, X, y: fb.lab(model, X, y, open_browser=False),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("method", "targets"), [(True, False), (False, True), ("robust", True)])
def test_what_is_not_fitted_is_one_sentence(path, method, targets):
    model, (X, y) = network(method, targets), data()
    if path in ("input_gradient", "jacobian") and not method:
        pass  # outputs' units are missing there too
    before = model.get_parameters()
    with pytest.raises(RuntimeError, match=r"^The scaling of .* must be fitted first, .*\.$"):
        PATHS[path](model, X, y)
    np.testing.assert_array_equal(model.get_parameters(), before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("method", METHODS)
def test_each_path_sees_the_rows_that_are_scaled_in_double(method, dtype):
    model, X, _ = fitted(method, targets=False, dtype=dtype)
    twin, Z = unscaled_twin(model), scaled(model, X)
    outputs = twin.predict(Z)
    assert len(np.unique(Z[:64, 0])) == 64
    for rows in (X, np.asfortranarray(X), X.tolist(), X[::1], X.astype(np.longdouble)):
        np.testing.assert_array_equal(model.predict(rows), outputs)
    for i in range(0, len(X), 7):
        np.testing.assert_array_equal(model.predict(X[i : i + 1])[0], outputs[i])
        np.testing.assert_array_equal(model.predict(X[i]), outputs[i])
        assert quick_prediction(model, X[i]) is not None
    np.testing.assert_array_equal(model.predict(X, n_threads=2), outputs)
    out = np.empty_like(outputs)
    assert model.predict(X, out=out) is out
    np.testing.assert_array_equal(out, outputs)
    np.testing.assert_array_equal(model.forward(X), twin.forward(Z))
    d = np.ones_like(outputs)
    d_x, d_z = model.backward(d), twin.backward(d)
    np.testing.assert_array_equal(d_x, (d_z / model.layers[0].scale).astype(dtype))
    np.testing.assert_array_equal(
        model.jacobian(X), (twin.jacobian(Z) / model.layers[0].scale).astype(dtype)
    )


def test_the_quick_way_is_for_rows_of_either_dtype_and_complains_as_the_long_one():
    model, X, _ = fitted()
    narrow = X.astype(np.float32)
    assert quick_prediction(model, narrow[:3]) is not None
    np.testing.assert_array_equal(
        quick_prediction(model, narrow[:3]), model.predict(narrow[:3].astype(np.float64).tolist())
    )
    assert quick_prediction(model, X[:3].astype(np.longdouble)) is None
    X[1, 2] = np.nan
    assert quick_prediction(model, X[:3]) is None
    with pytest.raises(ValueError, match="X must be finite, got nan at row 1, column 2"):
        model.predict(X[:3])
    assert np.isnan(model.predict(X[:3], check_finite=False)[1]).all()
    X[1, 2] = 1e300
    with pytest.raises(ValueError, match=r"X must fit float32, got 1e\+300 at row 1"):
        model.predict(X[:3])


def test_predictions_and_derivatives_are_in_the_users_units():
    model, X, y = fitted(dtype="float64")
    twin, Z = unscaled_twin(model), scaled(model, X)
    center, scale = y.mean(), y.std()
    np.testing.assert_allclose(model.target_center, [center], rtol=1e-14)
    np.testing.assert_allclose(model.target_scale, [scale], rtol=1e-13)
    np.testing.assert_allclose(model.predict(X), twin.predict(Z) * scale + center, rtol=1e-13)
    np.testing.assert_array_equal(model.forward(X), twin.forward(Z))
    slopes = model.jacobian(X[:5])
    np.testing.assert_array_equal(slopes[:, 0], model.input_gradient(X[:5]))
    for j, step in enumerate(1e-3 * model.layers[0].scale):
        moved = np.zeros(4)
        moved[j] = step
        difference = (model.predict(X[:5] + moved) - model.predict(X[:5] - moved)) / (2 * step)
        np.testing.assert_allclose(slopes[:, 0, j], difference[:, 0], rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(
        model.scaled_targets(y), (y[:, np.newaxis] - center) / scale, atol=1e-12
    )


def test_gradients_by_weights_are_those_of_scaled_numbers():
    model, X, y = fitted()
    twin, Z, t = unscaled_twin(model), scaled(model, X), model.scaled_targets(y)
    for mine, others in zip(
        model.sample_gradients(X[:9], y[:9], "huber")[1:],
        twin.sample_gradients(Z[:9], t[:9], "huber"),
        strict=True,
    ):
        for gradient, other in zip(mine, others, strict=True):
            np.testing.assert_array_equal(gradient, other)
    v = [(layer.weight, layer.bias) for layer in twin.layers]
    mine = model.hessian_vector_product(X, y, "log_cosh", [(None, None), *v])
    others = twin.hessian_vector_product(Z, t, "log_cosh", v)
    assert mine[0] == (None, None)
    for pair, other in zip(mine[1:], others, strict=True):
        np.testing.assert_array_equal(pair[0], other[0])
        np.testing.assert_array_equal(pair[1], other[1])


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
@pytest.mark.parametrize("is_fitted", [True, False])
def test_copies_and_files_keep_it(copied, is_fitted, tmp_path):
    model, X, _ = fitted("robust") if is_fitted else (network("robust"), *data())
    path = tmp_path / "m.safetensors"
    model.save(path)
    for other in (copied(model), fb.load(path), copied(fb.load(path))):
        assert repr(other) == repr(model)
        assert other.scale_targets
        if is_fitted:
            np.testing.assert_array_equal(other.predict(X), model.predict(X))
            np.testing.assert_array_equal(other.layers[0].scale, model.layers[0].scale)
        else:
            assert not other.layers[0].is_fitted
            with pytest.raises(RuntimeError, match="must be fitted first"):
                other.predict(X)


def test_a_copy_has_scaling_of_its_own():
    model, X, y = fitted()
    other = copy.deepcopy(model)
    before = model.predict(X)
    other.fit_scaling(2 * X, 3 * y)
    np.testing.assert_array_equal(model.predict(X), before)
    assert (other.predict(X) != before).all()
    with pytest.raises(ValueError, match="read-only"):
        model.layers[0].scale[0] = 1


def test_a_copied_layer_keeps_its_statistics_for_as_many_columns():
    model, X, _ = fitted(targets=False)
    again = fb.Sequential([copy.copy(model.layers[0]), fb.Dense(4, 1)], seed=0)
    np.testing.assert_array_equal(again.layers[0].center, model.layers[0].center)
    again.predict(X)
    with pytest.raises(ValueError, match=r"layers\[0\] must be fitted to 3 columns, got Standar"):
        fb.Sequential([copy.copy(model.layers[0]), fb.Dense(3, 1)])


HOSTILE = {
    "a scale of 0": ("layers.0.scale", lambda x: x * 0),
    "a negative scale": ("layers.0.scale", lambda x: -x),
    "a scale that is NaN": ("layers.0.scale", lambda x: x * np.nan),
    "an infinite center": ("layers.0.center", lambda x: x + np.inf),
    "too few columns": ("layers.0.center", lambda x: x[:3]),
    "float32": ("layers.0.center", lambda x: x.astype(np.float32)),
    "a matrix": ("layers.0.center", lambda x: x.reshape(2, 2)),
    "a target scale of 0": ("targets.scale", lambda x: x * 0),
    "a target scale that is NaN": ("targets.scale", lambda x: x * np.nan),
    "targets of too many columns": ("targets.scale", lambda x: np.ones(3)),
    "no scale": ("layers.0.scale", None),
    "no center of targets": ("targets.center", None),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_files_are_refused(what, tmp_path, monkeypatch):
    model, *_ = fitted()
    path = tmp_path / "m.safetensors"
    tensors, text, version = described_in_file(model)
    assert version == 3
    name, change = HOSTILE[what]
    array = tensors.pop(name)
    if change is not None:
        tensors[name] = change(array)
    monkeypatch.setattr(files, "_not_finite", lambda tensors: None)
    write_model_file(path, tensors, text, version)
    with pytest.raises(fb.ModelFileError, match="is damaged"):
        fb.load(path)
    monkeypatch.undo()
    with pytest.raises(fb.ModelFileError):
        fb.load(path)


@pytest.mark.parametrize("targets", [[], {}, {"has_variances": 3}, {"has_variances": "yes"}, None])
def test_hostile_descriptions_of_targets_are_refused(targets, tmp_path):
    model, *_ = fitted()
    tensors, text, version = described_in_file(model)
    write_model_file(tmp_path / "m", tensors, {**text, "targets": targets}, version)
    with pytest.raises(fb.ModelFileError):
        fb.load(tmp_path / "m")


def test_hostile_pickles_are_refused():
    model, *_ = fitted()
    layer_state = model.layers[0].__getstate__()
    with pytest.raises(TypeError, match="must be a ColumnScale"):
        fb.Standardize.__new__(fb.Standardize).__setstate__({**layer_state, "_columns": 3})
    state = model.__getstate__()
    with pytest.raises(TypeError, match="must be a TargetScaling"):
        fb.Sequential.__new__(fb.Sequential).__setstate__(
            {**copy.deepcopy(model).__getstate__(), "_target_scaling": [1], "_layers": fresh(state)}
        )


def fresh(state):
    """Copies of the layers of a model's state, as unpickling has them."""
    return tuple(copy.copy(layer) for layer in state["_layers"])


def test_models_without_scaling_are_written_as_ever(tmp_path):
    for layers, version in (([fb.Dense(2, 1)], None), ([fb.BatchNorm(), fb.Dense(2, 1)], 2)):
        model = fb.Sequential(layers, seed=0)
        tensors, text, written = described_in_file(model)
        assert written == version
        assert "targets" not in text
        assert not [name for name in tensors if "scale" in name]


def test_scaling_is_no_parameter():
    model, *_ = fitted()
    twin = unscaled_twin(model)
    assert model.n_parameters == twin.n_parameters == len(model.get_parameters())
    before = model.layers[0].center.copy()
    model.set_parameters(np.zeros(model.n_parameters))
    np.testing.assert_array_equal(model.layers[0].center, before)


def test_weights_that_are_copied_bring_their_scaling():
    online, X, y = fitted()
    target = network()
    target.copy_weights_from(online)
    np.testing.assert_array_equal(target.predict(X), online.predict(X))
    target.soft_update(online, 0.5)
    target.fit_scaling(2 * X, y)
    before = target.get_parameters()
    with pytest.raises(ValueError, match="inputs that are scaled by the same numbers"):
        target.soft_update(online, 0.5)
    target.fit_scaling(X, 2 * y)
    with pytest.raises(ValueError, match="targets that are scaled by the same numbers"):
        target.soft_update(online, 0.5)
    np.testing.assert_array_equal(target.get_parameters(), before)
    target.copy_weights_from(online)
    np.testing.assert_array_equal(target.predict(X), online.predict(X))
    late = network()
    late.soft_update(online, 0.5)
    np.testing.assert_array_equal(late.layers[0].center, online.layers[0].center)
    for other in (network("robust"), network(targets=False)):
        with pytest.raises(ValueError, match="online must scale inputs and targets as the model"):
            target.copy_weights_from(other)


def test_it_goes_first_and_says_what_it_is():
    model, *_ = fitted("robust")
    assert repr(model) == (
        "Sequential(4-8-1, RobustScale tanh identity scaled back, float32, 49 parameters)"
    )
    summary = model.summary()
    assert "layers[0] RobustScale  4 -> 4  fitted" in summary
    assert "targets are scaled, fitted" in summary
    assert "not fitted yet" in network().summary()
    assert [repr(layer) for layer in (fb.Standardize(), fb.RobustScale())] == [
        "Standardize()", "RobustScale()"
    ]  # fmt: skip
    for layers in (
        [fb.Dense(2, 2), fb.Standardize(), fb.Dense(2, 1)],
        [fb.Standardize(), fb.RobustScale(), fb.Dense(2, 1)],
    ):
        with pytest.raises(ValueError, match=r"Only the first layer may scale inputs, got layers"):
            fb.Sequential(layers)
    with pytest.raises(ValueError, match="layers must have at least one Dense"):
        fb.Sequential([fb.Standardize()])


def test_mlp_makes_the_layer_that_is_asked_for():
    for value, kind in ((True, fb.Standardize), (np.True_, fb.Standardize), *METHODS.items()):
        assert type(fb.mlp([2, 1], scale_inputs=value).layers[0]) is kind
    assert type(fb.mlp([2, 1], scale_inputs=False).layers[0]) is fb.Dense
    for value, error in (("minmax", ValueError), (1, TypeError), (None, TypeError)):
        with pytest.raises(error, match="scale_inputs must be True, False, 'standard' or 'robust'"):
            fb.mlp([2, 1], scale_inputs=value)
    with pytest.raises(TypeError, match="scale_targets must be True or False, got 1"):
        fb.mlp([2, 1], scale_targets=1)
    for activation in ("softmax", "sigmoid", "exp"):
        with pytest.raises(ValueError, match="scale_targets must be False behind a last layer"):
            fb.mlp([2, 2], output_activation=activation, scale_targets=True)


BAD = {
    "nothing to scale": (lambda: fb.mlp([4, 1]), {}, "got one that scales nothing"),
    "no y": (network, {"y": None}, "y must be given where the model scales its targets"),
    "no rows": (network, {"X": np.empty((0, 4))}, "X must have at least one row, got 0"),
    "columns": (network, {"X": np.ones((5, 3))}, "X must have 4 columns"),
    "lengths": (network, {"y": np.ones(5)}, "the same number of rows, got 192 and 5"),
    "y's columns": (network, {"y": np.ones((192, 3))}, "y must have 1 column"),
    "infinite": (network, {"X": np.full((192, 4), np.inf)}, "X must be finite, got inf at row 0"),
    "infinite y": (network, {"y": np.full(192, np.inf)}, "y must be finite or NaN, got inf"),
    "nothing in y": (network, {"y": np.full(192, np.nan)}, "got nothing but NaN"),
    "classes": (network, {"loss": "hinge"}, "scale_targets must be False for loss 'hinge'"),
    "a loss": (network, {"loss": "cross_entropy"}, "must come behind a last layer with"),
    "text": (network, {"X": [["a"] * 4]}, "X must be an array of real numbers"),
}


@pytest.mark.parametrize("what", BAD)
def test_fit_scaling_refuses_what_does_not_fit(what):
    make, arguments, words = BAD[what]
    model, (X, y) = make(), data()
    with pytest.raises((ValueError, TypeError), match=words):
        model.fit_scaling(**{"X": X, "y": y, **arguments})
    if model.scale_targets:
        assert not model.layers[0].is_fitted
        assert model.target_center is model.target_scale is None


def test_scaled_targets_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="scaled_targets must be of a model with scale_targets"):
        fb.mlp([2, 1]).scaled_targets([1.0])
    with pytest.raises(RuntimeError, match="must be fitted first"):
        network().scaled_targets([1.0])
    model, *_ = fitted()
    with pytest.raises(ValueError, match="y must have 1 column"):
        model.scaled_targets(np.ones((2, 2)))
    assert np.isnan(model.scaled_targets([np.nan, 1.0])).tolist() == [[True], [False]]


def test_columns_that_are_constant_huge_tiny_or_integers_beyond_doubles():
    n = 40
    step = np.arange(n)
    largest = np.finfo(np.float64).max
    X = np.column_stack([
        np.full(n, 0.1), np.resize([largest, -largest], n), step * 1e-300, step * 1e300,
        np.resize([largest, -largest, largest], n), np.where(step % 2, 0.3, 0.1 + 0.2),
        step * 5e-324,
    ])  # fmt: skip
    for method in METHODS:
        model = fb.mlp([7, 1], scale_inputs=method, seed=0)
        with np.errstate(all="raise", under="ignore"):
            model.fit_scaling(X)
            outputs = model.predict(X)
        layer = model.layers[0]
        assert np.isfinite(outputs).all()
        assert np.isfinite(layer.scale).all()
        assert (layer.scale > 0).all()
        assert layer.scale[0] == layer.scale[5] == 1  # constant, but for rounding
        np.testing.assert_array_equal(model.predict(X[3]), outputs[3])
    whole = 2**60 + np.arange(64, dtype=np.int64)[:, np.newaxis] * 1024
    for numbers in (whole, whole.astype(np.uint64)):
        model = fb.mlp([1, 1], scale_inputs=True, seed=0)
        model.fit_scaling(numbers)
        assert len(np.unique(model.predict(numbers))) == 64
        np.testing.assert_allclose(model.layers[0].scale, [1024 * np.arange(64).std()], rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_statistics_are_the_same_bits_of_any_source(method, monkeypatch):
    sparse = pytest.importorskip("scipy.sparse", reason="scipy is not installed")
    X = np.random.default_rng(0).integers(0, 200, (700, 4)).astype(np.uint8)
    monkeypatch.setattr(statistics, "PART", 64 * 4 * 8)  # eleven parts
    monkeypatch.setattr(statistics, "MOST_BYTES", 700 * 2 * 8)  # two columns at a time
    model = fb.mlp([4, 1], scale_inputs=method, seed=0)
    model.fit_scaling(X)
    center, scale, outputs = model.layers[0].center, model.layers[0].scale, model.predict(X)
    ranges = np.ptp(np.percentile(X, [25, 75], axis=0), axis=0)
    np.testing.assert_allclose(scale, X.std(axis=0) if method == "standard" else ranges)
    for source in (
        X.astype(np.float64), np.asfortranarray(X), X.astype(np.float32), sparse.csr_array(X),
        np.repeat(X, 2, axis=0)[::2], X.tolist(), X.astype(">i4"),
    ):  # fmt: skip
        model.fit_scaling(source)
        np.testing.assert_array_equal(model.layers[0].center, center)
        np.testing.assert_array_equal(model.layers[0].scale, scale)
        np.testing.assert_array_equal(model.predict(source), outputs)


def test_a_file_mapped_into_memory_is_never_copied_whole(tmp_path):
    import tracemalloc

    X = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, (500_000, 60))
    X[:] = np.random.default_rng(0).integers(0, 255, (1000, 60)).astype(np.uint8).repeat(500, 0)
    model = fb.mlp([60, 1], scale_inputs=True, seed=0)
    tracemalloc.start()
    model.fit_scaling(X)
    model.predict(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 90e6  # in float32 they are 120 MB, in float64 240


def test_frames_keep_their_names_and_nullable_columns(tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X, y = data()
    frame = pandas.DataFrame({
        "time": X[:, 0].astype(np.int64), "width": X[:, 1],
        "is_on": pandas.array(X[:, 2].astype(bool), dtype="boolean"),
        "n": pandas.array([7] * len(X), dtype="Int64"),
    })  # fmt: skip
    model = network()
    fb.Trainer(model, "half_squared_error", seed=0).fit(frame, y)
    assert model.feature_names == ("time", "width", "is_on", "n")
    np.testing.assert_array_equal(model.predict(frame), model.predict(X))
    with pytest.raises(ValueError, match="in another order"):
        model.fit_scaling(frame[frame.columns[::-1]], y)


def test_scale_multiplies_before():
    X, y = data()
    plain, multiplied = network(), network()
    fb.Trainer(plain, "half_squared_error", seed=0).fit(X, y)
    fb.Trainer(multiplied, "half_squared_error", seed=0).fit(X, y, scale=0.25)
    np.testing.assert_array_equal(multiplied.layers[0].center, plain.layers[0].center / 4)
    np.testing.assert_array_equal(multiplied.predict(X, scale=0.25), plain.predict(X))
