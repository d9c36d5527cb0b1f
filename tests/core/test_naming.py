"""Layers count from 1 in words and from 0 in code, and code looks like code."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from privates import layer_in_code, layer_in_words

import fastbackprop as fb

PACKAGE = Path(fb.__file__).parent
# Its sentences about divergence are written anew elsewhere.
FILES = [x for x in PACKAGE.rglob("*.py") if x.name not in ("naming.py", "trainer.py")]


@pytest.fixture
def model():
    return fb.mlp([2, 3, 4, 1], activation="tanh", seed=0, dtype="float64")


X, Y = np.random.default_rng(0).normal(size=(8, 2)), np.ones((8, 1))


def test_the_code_in_a_name_finds_the_layer(model):
    for index, layer in enumerate(model.layers):
        assert eval(f"model.{layer_in_code(index)}") is layer
        words, code = re.fullmatch(r"layer (\d) \((.*)\)", layer_in_words(index)).groups()
        assert int(words) == index + 1
        assert code == layer_in_code(index)


def formatted_behind_the_word_layer(path):
    """Each expression that an f-string puts behind the word: f"layer {k + 1}" gives k + 1."""
    for string in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(string, ast.JoinedStr):
            for word, value in zip(string.values, string.values[1:], strict=False):
                is_word = isinstance(word, ast.Constant) and re.search(r"\blayer $", word.value)
                if is_word and isinstance(value, ast.FormattedValue):
                    yield ast.unparse(value)


@pytest.mark.parametrize("path", FILES, ids=lambda x: str(x.relative_to(PACKAGE)))
def test_only_naming_writes_a_number_behind_the_word_layer(path):
    assert list(formatted_behind_the_word_layer(path)) == []


def test_the_search_for_such_words_finds_them(tmp_path):
    (tmp_path / "file.py").write_text('f"layer {k} is odd"; f"layers[{k}]"; f"the layer {k + 1}"')
    assert len(list(formatted_behind_the_word_layer(tmp_path / "file.py"))) == 2


def test_gradient_check_names_what_can_be_typed(model):
    parts = fb.gradient_check(model, X, Y, loss="half_squared_error").parts
    assert [x.name for x in parts[:2]] == ["layers[0].weight", "layers[0].bias"]
    for part in parts[:-1]:
        assert eval(f"model.{part.name}").size == part.size


def test_an_explanation_has_both(model):
    e = fb.explain(model, X, Y, loss="half_squared_error", learning_rate=0.1)
    assert "  layer 1 (layers[0]): 2 -> 3, tanh\n" in str(e)
    assert "  layer 3 (layers[2])\n" in str(e).partition("\nblame\n")[2]
    for blamed in e.top(3, kind="layers"):
        assert blamed.name == layer_in_words(blamed.where[0])


def test_a_diagnosis_has_both(model, tmp_path):
    model.layers[1].weight *= 1000
    diagnosis = fb.diagnose(model, X, Y, loss="half_squared_error")
    assert "saturated units, layer 2 (layers[1]), 4 of 4 units: 1." in str(diagnosis)
    diagnosis.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    for index in range(3):
        assert f"<tr><td>{layer_in_words(index)}</td>" in page


def test_a_summary_names_layers_as_code(model):
    lines = model.summary().splitlines()[2:5]
    assert [x.split()[:2] for x in lines] == [[f"layers[{i}]", "Dense"] for i in range(3)]


def test_a_vector_that_does_not_fit_names_the_layer_as_code(model):
    model = fb.Sequential([fb.Dense(2, 2), fb.Dense(2, 1, bias=False)])
    v = [(np.zeros((2, 2)), np.zeros(2)), (np.zeros((2, 1)), np.zeros(1))]
    with pytest.raises(ValueError, match=r"must be None, since layers\[1\] has no bias, got"):
        model.hessian_vector_product(X, Y, "half_squared_error", v)
    v = [(np.zeros((2, 2)), np.zeros(2)), (np.zeros((2, 3)), None)]
    with pytest.raises(ValueError, match=r"must have 1 columns? \(n_out of layers\[1\]\), got 3"):
        model.hessian_vector_product(X, Y, "half_squared_error", v)
