"""fastbackprop lab: what is bundled, tables of one's own, models of one's own."""

import base64
import json
import re

import numpy as np
import pytest
from privates import cli_lab, main

import fastbackprop as fb


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("webbrowser.open", lambda url: pytest.fail("opened a browser"))

    def run_lab(*arguments):
        page = tmp_path / "page.html"
        code = main(["lab", *map(str, arguments), "--no-open", "-o", str(page)])
        said = capsys.readouterr()
        text = page.read_text() if page.exists() else ""
        data = re.search(r'id="data" type="application/json">(.*?)</script>', text)
        return code, said.out + said.err, data and json.loads(data[1])

    return run_lab


@pytest.mark.parametrize(
    ("what", "widths"),
    [
        ((), [1, 1, 1]),
        (("example",), [1, 1, 1]),
        (("xor",), [2, 4, 1]),
        (("spiral",), [2, 8, 8, 2]),
        (("digits",), [64, 16, 10]),
    ],
)
def test_what_is_bundled(run, what, widths):
    code, _, data = run(*what)
    assert code == 0
    assert data["widths"] == widths
    if what == ("digits",):
        assert data["image"] == [8, 8]


def test_a_table_of_ones_own_with_numbers_text_and_a_target(run, tmp_path):
    rng = np.random.default_rng(0)
    rows = ["area,town,price,age"]
    for _ in range(60):
        area, town, age = rng.uniform(30, 200), rng.choice(["A", "B"]), rng.integers(0, 90)
        rows.append(f"{area:.2f},{town},{3000 * area + 9000 * (town == 'A'):.1f},{age}")
    path = tmp_path / "houses.csv"
    path.write_text("\n".join(rows))
    code, said, data = run(path, "--target", "price")
    assert code == 0, said
    assert data["widths"] == [4, 8, 1]
    assert data["inputNames"] == ["area", "town=A", "town=B", "age"]
    assert data["outputNames"] == ["price"]
    assert "price: a number.\nTrained on 60 rows" in said
    assert "standardised" in said
    assert data["steps"][0]["cost"] < 0.3  # it was trained
    code, said, data = run(path, "--target", "town")
    assert data["widths"] == [3, 8, 2]
    assert data["outputNames"] == ["A", "B"]
    assert data["loss"] == "cross_entropy"


def test_a_table_sorted_by_class_is_taken_from_at_random(run, tmp_path, monkeypatch):
    monkeypatch.setattr(cli_lab, "MOST_ROWS", 1_000)
    rows = "\n".join(f"{k + i / 400},{'abc'[k]}" for k in range(3) for i in range(400))
    path = tmp_path / "sorted.csv"
    path.write_text(f"size,kind\n{rows}\n")
    code, said, data = run(path)
    assert code == 0, said
    assert "kind: 3 classes.\nTrained on 1,000 of 1,200 rows for" in said
    play = re.search(
        r'id="play-data" type="application/json">(.*?)</script>',
        (tmp_path / "page.html").read_text(),
    )
    targets = np.frombuffer(base64.b64decode(json.loads(play[1])["y"]), "<f4").reshape(-1, 3)
    assert (targets.sum(axis=0) > 300).all()  # the third class is among them, as often
    assert run(path)[1:] == (said, data)


HOUSES = [310_000 + 7_000 * i for i in range(12)]


@pytest.mark.parametrize(
    ("target", "outputs", "told"),
    [
        (HOUSES, ["y"], "a number"),  # whole numbers, but each another
        ([1_234_567, 7_654_321] * 6, ["1234567", "7654321"], "2 classes"),
        ([1, 2, 3, 4, 5, 6] * 2, list("123456"), "6 classes"),
        ([1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5], ["y"], "a number"),
        ([0.5, 1.5] * 6, ["y"], "a number"),
    ],
)
def test_whole_numbers_are_classes_only_where_they_come_again(run, tmp_path, target, outputs, told):
    path = tmp_path / "small.csv"
    path.write_text("a,y\n" + "\n".join(f"{i % 5},{y}" for i, y in enumerate(target)))
    code, said, data = run(path)
    assert code == 0, said
    assert data["outputNames"] == outputs
    assert said.startswith(f"y: {told}.\n")


def test_a_model_with_norms_and_dropout(run, tmp_path):
    fb.mlp([2, 3, 1], seed=0, dropout=0.5, normalization="batch").save(tmp_path / "m.safetensors")
    (tmp_path / "d.csv").write_text("1,2,3\n4,5,6\n7,8,9\n")
    code, _, data = run(tmp_path / "m.safetensors", tmp_path / "d.csv")
    assert code == 0
    assert data["kinds"] == ["Dense", "BatchNorm", "Activation", "Dropout", "Dense"]


def test_a_model_of_ones_own(run, tmp_path):
    fb.mlp([2, 3, 1], seed=0).save(tmp_path / "m.safetensors")
    (tmp_path / "d.csv").write_text("1,2,3\n4,5,6\n7,8,9\n")
    code, _, data = run(tmp_path / "m.safetensors", tmp_path / "d.csv")
    assert code == 0
    assert (data["widths"], data["n_samples"]) == ([2, 3, 1], 3)
    code, said, _ = run(tmp_path / "d.csv", tmp_path / "m.safetensors")
    assert code == 2
    assert "the other way round: type 'fastbackprop lab " in said


@pytest.mark.parametrize(
    ("text", "target", "complaint"),
    [
        ("a,b\n1,2\n3,4\n", "c", "--target must be one of a, b, got c."),
        ("a\n1\n2\n", None, "DATA must have an input and a target, got 1 column."),
        ("a,b\n", None, "DATA must have at least one row"),
        ("a,b\n1,2\n,4\n", None, "column a must have a value in each row, got 1 without one"),
        ("a,b\nx,1\nx,1\n", "b", "target b must have two different values, got one."),
        (
            "a,b\n" + "\n".join(f"t{i},{i / 7}" for i in range(30)),
            "b",
            "column a must hold numbers, or at most 20 different texts, got 30, among them 't0'; "
            "leave it out.",
        ),
        (
            "# made\n\na,b\n1,2\n\n,4\n",
            None,
            "column a must have a value in each row, got 1 without one, the first in line 6.",
        ),
        (
            "a,a,b\n1,2,3\n4,5,6\n",
            "b",
            "columns of DATA must have names of their own, got 'a' twice.",
        ),
        ("a,,\n1,2,3\n4,5,6\n", "a", "columns of DATA must have names of their own, got '' twice."),
        ("a,b\n1,2,3\n", None, "DATA must be a .csv file that can be read"),
    ],
)
def test_tables_that_cannot_be_shown_are_refused_in_one_sentence(
    run, tmp_path, text, target, complaint
):
    (tmp_path / "t.csv").write_text(text)
    code, said, data = run(tmp_path / "t.csv", *(["--target", target] if target else []))
    assert (code, data) == (2, None)
    assert complaint in said


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("nothing",), "WHAT must be example, xor, spiral, digits, a .csv file, or a model"),
        (("xor", "data.csv"), "lab xor takes no DATA, got data.csv."),
        (("xor", "--target", "y"), "--target must come with a .csv file, got WHAT xor."),
        (("nowhere.csv",), "DATA must be a file"),
        (("--learning-rate", "0"), "learning_rate must be"),
        (("nowhere.csv", "--learning-rate", "-1"), "learning_rate must be a finite number above 0"),
    ],
)
def test_what_cannot_be_shown_is_refused(run, arguments, complaint):
    code, said, data = run(*arguments)
    assert (code, data) == (2, None)
    assert complaint in said


def test_the_output_must_be_a_page(capsys):
    assert main(["lab", "--no-open", "-o", "page.txt"]) == 2
    assert "--output must be a file that ends in .html" in capsys.readouterr().err
