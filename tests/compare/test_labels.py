"""Labels of the user's own: text, booleans, any integers, categories; predict_classes."""

import copy
import pickle

import numpy as np
import pytest
from privates import read_model_file, write_model_file

import fastbackprop as fb

X = np.random.default_rng(0).normal(size=(60, 4))
INDICES = X[:, :3].argmax(axis=1)
NAMES = np.array(["ant", "bee", "cat"])
TEXT = NAMES[INDICES]
CODES = np.array([-5, 2, 7])[INDICES]
SOFTMAX = {"output_activation": "softmax", "seed": 0}


def classifier(n_out=3, **options):
    model = fb.mlp([4, 8, n_out], **SOFTMAX)
    return fb.Trainer(model, "cross_entropy", fb.SGD(0.5), seed=0, **options)


def binary(loss="binary_cross_entropy", **options):
    activation = "sigmoid" if loss == "binary_cross_entropy" else "identity"
    model = fb.mlp([4, 8, 1], output_activation=activation, seed=0)
    return fb.Trainer(model, loss, fb.SGD(0.5), seed=0, **options)


def pandas_of(labels, kind=None):
    pandas = pytest.importorskip("pandas")
    return pandas.Series(labels) if kind is None else pandas.Series(labels).astype(kind)


def polars_of(labels, kind=None):
    polars = pytest.importorskip("polars")
    series = polars.Series(labels.tolist())
    return series if kind is None else series.cast(getattr(polars, kind))


def pyarrow_of(labels):
    return pytest.importorskip("pyarrow").array(labels.tolist())


FORMS = {
    "list": lambda labels: labels.tolist(),
    "array": lambda labels: labels,
    "column": lambda labels: labels[:, None],
    "objects": lambda labels: labels.astype(object),
    "NumPy's objects": lambda labels: np.array([*labels, None], object)[:-1],
    "pandas": pandas_of,
    "pandas frame": lambda labels: pandas_of(labels).to_frame(),
    "pandas categories": lambda labels: pandas_of(labels, "category"),
    "polars": polars_of,
    "pyarrow": pyarrow_of,
    "pyarrow chunks": lambda labels: pytest.importorskip("pyarrow").chunked_array([labels]),
    "pyarrow categories": lambda labels: pyarrow_of(labels).dictionary_encode(),
}
OF_TEXT = {
    "pandas string": lambda labels: pandas_of(labels, "string"),
    "polars categories": lambda labels: polars_of(labels, "Categorical"),
}
OF_INTEGERS = {
    "pandas Int64": lambda labels: pandas_of(labels, "Int64"),
    "int8": lambda labels: labels.astype(np.int8),
}


@pytest.mark.parametrize(
    ("labels", "form"),
    [(TEXT, x) for x in {**FORMS, **OF_TEXT}] + [(CODES, x) for x in {**FORMS, **OF_INTEGERS}],
    ids=lambda x: x if isinstance(x, str) else x.dtype.kind,
)
def test_fit_learns_the_classes_and_gives_labels_back(labels, form):
    y = {**FORMS, **OF_TEXT, **OF_INTEGERS}[form](labels)
    trainer, twin = classifier(), classifier()
    history = trainer.fit(X, y, epochs=30, validation_data=(X, y))
    expected = twin.fit(X, INDICES, epochs=30, validation_data=(X, INDICES))
    assert history.loss == expected.loss
    assert history.validation_accuracy == expected.validation_accuracy
    assert trainer.model.classes.tolist() == sorted(set(labels.tolist()))
    assert twin.model.classes is None
    assert trainer.evaluate(X, y) == twin.evaluate(X, INDICES)
    predicted = trainer.model.predict_classes(X)
    assert (predicted == labels).mean() > 0.9
    assert predicted.dtype.kind == ("U" if labels is TEXT else "i")
    np.testing.assert_array_equal(predicted == labels, twin.model.predict_classes(X) == INDICES)


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "hinge"])
@pytest.mark.parametrize(
    "labels", [["no", "yes"], [False, True], [-1, 1], [1, 2], [2**63, 2**64 - 1]], ids=repr
)
def test_one_output_tells_two_classes_apart(loss, labels):
    is_yes = (X[:, 0] > 0).astype(int)
    y = np.array(labels)[is_yes]
    trainer, twin = binary(loss), binary(loss)
    assert trainer.fit(X, y, epochs=20).loss == twin.fit(X, is_yes, epochs=20).loss
    assert trainer.model.classes.tolist() == labels
    assert trainer.evaluate(X, y) == twin.evaluate(X, is_yes)
    predicted = trainer.model.predict_classes(X)
    assert (predicted == y).mean() == trainer.evaluate(X, y)["accuracy"] > 0.9
    assert trainer.model.predict_classes(X[0]) == predicted[0]
    assert trainer.model.predict_classes(X[:0]).shape == (0,)
    assert trainer.fit(X[:8], [labels[1]] * 8)  # not all classes are there


def test_a_threshold_says_from_where_on_it_is_a_yes():
    model = fb.Sequential([fb.Dense(1, 1, "sigmoid", weight_init=[[1]], bias=False)])
    x = np.log([[0.2 / 0.8], [0.5 / 0.5], [0.9 / 0.1]])
    assert model.predict_classes(x).tolist() == [0, 0, 1]
    assert model.predict_classes(x, 0.1).tolist() == [1, 1, 1]
    assert model.predict_classes(x, threshold=0.95).tolist() == [0, 0, 0]
    margin = fb.Sequential([fb.Dense(1, 1, weight_init=[[1]], bias=False)])
    assert margin.predict_classes(x, threshold=0.1).tolist() == [1, 1, 1]
    for wrong in (0, 1, -0.1, np.nan, "a"):
        with pytest.raises((ValueError, TypeError), match="threshold must be a finite number"):
            model.predict_classes(x, threshold=wrong)


def test_several_sigmoids_are_questions_of_their_own():
    model = fb.Sequential([fb.Dense(1, 2, "sigmoid", weight_init=[[1, -1]], bias=False)])
    assert model.predict_classes([[3.0], [-3.0]]).tolist() == [[1, 0], [0, 1]]
    assert model.predict_classes([3.0]).tolist() == [1, 0]
    trainer = fb.Trainer(model, "binary_cross_entropy")
    trainer.fit([[1.0], [2.0]], np.array([[True, False], [False, True]]))
    assert model.classes is None


def test_one_output_that_is_no_probability_is_refused():
    with pytest.raises(ValueError, match=r"got one behind 'tanh'"):
        fb.mlp([2, 1], output_activation="tanh").predict_classes([[1, 2]])


def test_integers_in_range_stay_indices_until_classes_are_known():
    trainer = classifier()
    trainer.fit(X, np.where(INDICES == 0, 1, 2))  # 0 is a class that isn't there
    assert trainer.model.classes is None
    assert set(trainer.model.predict_classes(X).tolist()) <= {0, 1, 2}
    trainer.fit(X, TEXT)
    assert trainer.model.classes.tolist() == NAMES.tolist()
    assert trainer.evaluate(X, INDICES) == trainer.evaluate(X, TEXT)
    shifted = classifier()
    shifted.fit(X, INDICES + 1)  # 1, 2, 3 are labels
    assert shifted.model.classes.tolist() == [1, 2, 3]
    some = INDICES < 2  # of 1 and 2 only, which could be indices as well
    expected = shifted.evaluate(X[some], np.eye(3)[INDICES[some]])
    assert shifted.evaluate(X[some], INDICES[some] + 1) == pytest.approx(expected)
    assert shifted.evaluate(X[some], INDICES[some] + 1.0) == pytest.approx(expected)
    with pytest.raises(ValueError, match="model's classes, 1, 2, 3, got 0 at index 0"):
        shifted.evaluate(X[:1], [0])


def test_classes_named_beforehand_serve_single_steps():
    order = ["cat", "ant", "bee"]
    trainer, twin = classifier(classes=order), classifier()
    assert trainer.model.classes.tolist() == order
    y = np.array([1, 2, 0])[INDICES]
    assert trainer.step(X, TEXT) == twin.step(X, y)
    assert trainer.step(X[0], TEXT[0]) == twin.step(X[0], y[0])
    assert trainer.step(X, y) == twin.step(X, y)
    assert trainer.fit(X, TEXT).loss == twin.fit(X, y).loss
    assert trainer.model.classes.tolist() == order


def test_classes_are_kept_by_files_pickles_and_copies(tmp_path):
    for labels in (TEXT, CODES, np.array(["ä\0", "b\n", ""], object)[INDICES]):
        trainer = classifier()
        model = trainer.model
        trainer.fit(X, labels)
        model.save(tmp_path / "model.safetensors")
        for other in (
            fb.load(tmp_path / "model.safetensors"),
            pickle.loads(pickle.dumps(model)),
            copy.copy(model),
            copy.deepcopy(model),
            pickle.loads(pickle.dumps(trainer)).model,
        ):
            assert other.classes.tolist() == model.classes.tolist() == sorted(set(labels.tolist()))
            assert other.predict_classes(X).tolist() == model.predict_classes(X).tolist()
    with pytest.raises(ValueError, match="read-only"):
        model.classes[0] = "dog"


@pytest.mark.parametrize(
    "learned",
    [
        {"classes": ["a", "b"]},
        {"classes": ["a", "b", "a"]},
        {"classes": ["a", 1, 2]},
        {"classes": [1.5, 2, 3]},
        {"classes": "abc"},
        {"classes": 7},
        {"classes": [[1], [2], [3]]},
        {"classes": {"a": 1, "b": 2}},
        {"feature_names": ["a", "b"]},
        {"feature_names": [1, 2, 3, 4]},
        {"feature_names": "abcd"},
        {"feature_names": ["a", "a", "b", "c"]},
    ],
    ids=repr,
)
def test_a_file_with_wrong_names_is_damaged(learned, tmp_path):
    model, path = classifier().model, tmp_path / "model.safetensors"
    model.save(path)
    tensors, description = read_model_file(path)
    write_model_file(path, tensors, {**description, **learned})
    with pytest.raises(fb.ModelFileError, match="is damaged: its description and its weights"):
        fb.load(path)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (TEXT[INDICES != 2], "y must hold 3 different labels, one for each output, got 2: 'ant'"),
        (["a", 1] * 30, r"y must hold labels of one kind, .* got 1 at index 1\."),
        (["a", None] * 30, "y must have no missing values, got one at index 1; fill it"),
        ([float("nan"), "a"] * 30, "y must have no missing values, got one at index 0; fill it"),
        ([b"a", b"b", b"c"] * 20, r"y must hold labels of one kind, .* got b'a' at index 0\."),
        (X[:, 0] > 0, "y must hold 3 different labels, one for each output, got 2: False, True"),
        (INDICES + 0.5, r"y must hold integer labels, got \d\.5 at index 0\."),
        (np.ma.masked_equal(CODES, 2), "y must have no masked elements"),
        (np.arange(60), r"y must hold labels from 0 to 2 \(n_out - 1\), got 3 at index 3\."),
    ],
)
def test_wrong_labels_change_nothing(y, words):
    trainer = classifier()
    before = trainer.model.get_parameters().tobytes()
    with pytest.raises((ValueError, TypeError), match=f"^{words}"):
        trainer.fit(X[: len(y)], y)
    assert trainer.model.classes is None
    assert trainer.model.get_parameters().tobytes() == before


def test_unknown_labels_are_refused_everywhere():
    unlearned, trainer = classifier(), classifier()
    words = r"y must hold integer labels from 0 to 2, or probabilities, got '\w+' at index 0; other"
    for call in (unlearned.step, unlearned.evaluate):
        with pytest.raises(TypeError, match=f"^{words}"):
            call(X, TEXT)
    with pytest.raises(TypeError, match=f"^validation {words}"):
        unlearned.fit(X, INDICES, validation_data=(X, TEXT))
    unknown = "y must hold labels of the model's classes, 'ant', 'bee', 'cat', got 'dog' at index 1"
    with pytest.raises(ValueError, match=f"^validation {unknown}"):
        trainer.fit(X, TEXT, validation_data=(X[:2], ["ant", "dog"]))
    assert trainer.model.classes is None
    trainer.fit(X, TEXT)
    for call in (trainer.fit, trainer.step, trainer.evaluate):
        with pytest.raises(ValueError, match=f"^{unknown}"):
            call(X[:2], ["ant", "dog"])


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ("abc", "classes must be a sequence of 3 labels, got 'abc'"),
        (3, "classes must be a sequence of 3 labels, got 3"),
        (["a", "b"], "classes must be 3 different labels, got 'a', 'b'"),
        (["a", "b", "a"], "classes must be 3 different labels, got 'a', 'b', 'a'"),
        (["a", 1, 2], "classes must be labels of one kind, text, True and False, or integers, got"),
        ([1.5, 2.5, 3.5], "classes must be labels of one kind"),
        ([], "classes must be labels of one kind, .* got none"),
    ],
)
def test_wrong_classes_are_refused_at_once(classes, words):
    with pytest.raises((ValueError, TypeError), match=f"^{words}"):
        classifier(classes=classes)
    with pytest.raises(ValueError, match="classes must be None for loss 'mean_squared_error'"):
        fb.Trainer(fb.mlp([4, 3]), "mean_squared_error", classes=["a", "b", "c"])


def test_weights_of_classes_are_by_label():
    by_label = classifier(class_weight={"bee": 3.0, "cat": 0.5})
    by_index = classifier(class_weight={1: 3.0, 2: 0.5})
    assert by_label.fit(X, TEXT).loss == by_index.fit(X, INDICES).loss
    balanced, twin = (classifier(class_weight="balanced") for _ in "ab")
    assert balanced.fit(X, TEXT).loss == twin.fit(X, INDICES).loss
    codes = classifier(class_weight={-5: 1.0, 2: 3.0, 7: 0.5})
    twin = classifier(class_weight={1: 3.0, 2: 0.5})
    assert codes.fit(X, CODES).loss == twin.fit(X, INDICES).loss
    with pytest.raises(ValueError, match="class_weight must name classes of ant, bee, cat, got 'd"):
        classifier(class_weight={"dog": 3.0}).fit(X, TEXT)
    with pytest.raises(ValueError, match="class_weight must name classes of ant, bee, cat, got 'd"):
        classifier(class_weight={"dog": 3.0}, classes=NAMES)


def test_diagnose_explain_and_the_gradients_take_labels():
    trainer = classifier()
    fb.diagnose(trainer.model, X, TEXT, loss="cross_entropy")
    assert trainer.model.classes is None
    trainer.fit(X, TEXT)
    model = trainer.model
    assert fb.gradient_check(model, X[:4], TEXT[:4], loss="cross_entropy")
    assert fb.explain(model, X[0], "bee", loss="cross_entropy").y.tolist() == [[0, 1, 0]]
    of_text = model.sample_gradients(X, TEXT, "cross_entropy")
    of_indices = model.sample_gradients(X, INDICES, "cross_entropy")
    assert all(
        a.tobytes() == b.tobytes()
        for pair, other in zip(of_text, of_indices, strict=True)
        for a, b in zip(pair, other, strict=True)
        if a is not None
    )
