"""fastbackprop explain: text, a page, and complaints in one sentence."""

import re

import numpy as np
import pytest
from privates import main

import fastbackprop as fb


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(70, 3)), rng.integers(0, 4, 70)
    fb.mlp([3, 5, 4], output_activation="softmax", seed=0).save(tmp_path / "model.safetensors")
    np.savez(tmp_path / "data.npz", X=X, y=y)
    np.savez(tmp_path / "no_y.npz", X=X)
    np.savetxt(
        tmp_path / "data.csv", np.column_stack([X, y]), delimiter=",", header="a,b,c,y", comments=""
    )
    np.savetxt(tmp_path / "wide.csv", np.zeros((2, 9)), delimiter=",")
    (tmp_path / "data.txt").write_text("1")
    np.savez(tmp_path / "uneven.npz", X=X, y=y[:64])
    np.save(tmp_path / "one.npy", X)
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    whole = (tmp_path / "data.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "flipped.npz").write_bytes(whole[:300] + bytes([whole[300] ^ 255]) + whole[301:])
    for name in ("empty.npz", "empty.csv"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "ragged.csv").write_text("1,2,3,0\n1,2\n")
    (tmp_path / "UP.CSV").write_bytes((tmp_path / "wide.csv").read_bytes())
    return tmp_path


@pytest.mark.parametrize("data", ["data.npz", "data.csv"])
def test_text_of_one_row(files, data, capsys):
    assert main(["explain", str(files / "model.safetensors"), str(files / data), "--row", "3"]) == 0
    with np.load(files / "data.npz") as file:
        x, y = file["X"][3], file["y"][3]
    expected = fb.explain(
        fb.load(files / "model.safetensors"), x, y, loss="cross_entropy", learning_rate=0.01
    )
    assert capsys.readouterr().out == f"{expected}\n"


def test_a_page_of_the_first_rows(files, capsys):
    page = files / "blame.html"
    options = ["--loss", "half_squared_error", "--learning-rate", "0.5", "-o", str(page)]
    assert (
        main(["explain", str(files / "model.safetensors"), str(files / "data.npz"), *options]) == 2
    )
    assert "y must have shape" in capsys.readouterr().err
    assert not page.exists()
    assert (
        main(
            ["explain", str(files / "model.safetensors"), str(files / "data.npz"), "-o", str(page)]
        )
        == 0
    )
    assert "The first 64 of 70 rows" in capsys.readouterr().out
    assert '"n_samples":64' in page.read_text()


def test_the_demo(tmp_path, capsys):
    assert main(["explain", "--demo", "-o", str(tmp_path / "blame.html")]) == 0
    said = capsys.readouterr().out
    assert re.match(r"Test digit \d+ is a \d; the network gives that \d\.\d%\.\n", said)
    assert "Most to blame: " in said
    assert '"widths":[64,24,10]' in (tmp_path / "blame.html").read_text()


@pytest.mark.parametrize(
    ("last", "loss"),
    [
        ("identity", "half_squared_error"),
        ("sigmoid", "binary_cross_entropy"),
        ("softmax", "cross_entropy"),
    ],
)
def test_the_loss_is_the_one_that_goes_with_the_last_activation(last, loss, files, capsys):
    fb.mlp([3, 2], output_activation=last, seed=0).save(files / "own.safetensors")
    np.savez(files / "own.npz", X=np.eye(3), y=np.array([[0, 1], [1, 0], [1, 0]]))
    assert main(["explain", str(files / "own.safetensors"), str(files / "own.npz")]) == 0
    assert f"\nloss {loss}, learning rate 0.01\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "explain needs MODEL and DATA, or --demo"),
        (["model.safetensors"], "explain needs MODEL and DATA"),
        (["--demo", "model.safetensors"], "--demo takes no MODEL"),
        (["nowhere.safetensors", "data.npz"], "path must be a model file"),
        (["data.npz", "data.npz"], "is not a safetensors file"),
        (
            ["data.npz", "model.safetensors"],
            "MODEL must come before DATA, got them the other way round: type 'fastbackprop explain "
            "model.safetensors data.npz'.",
        ),
        (["data.csv", "model.safetensors", "--row", "3"], "MODEL must come before DATA"),
        (["model.safetensors", "nowhere.npz"], "DATA must be a file"),
        (["model.safetensors", "no_y.npz"], "DATA must have arrays X and y, got X: no y."),
        (["model.safetensors", "data.txt"], "DATA must be a .npz or a .csv file"),
        (["model.safetensors", "wide.csv"], "DATA must have 3 columns"),
        (["model.safetensors", "UP.CSV"], "DATA must have 3 columns"),
        (
            ["model.safetensors", "uneven.npz"],
            "DATA must have as many rows of y as of X, got 64 and 70.",
        ),
        (
            ["model.safetensors", "one.npz"],
            "DATA must be a .npz file that can be read, got one.npz: a single array",
        ),
        *(
            (["model.safetensors", name], f"got {name}")
            for name in (
                "cut.npz",
                "flipped.npz",
                "empty.npz",
                "text.npz",
                "ragged.csv",
            )
        ),
        (["model.safetensors", "empty.csv"], "empty.csv"),
        (["model.safetensors", "data.npz", "--row", "70"], "--row must be from 0 to 69, got 70."),
        (["model.safetensors", "data.npz", "--loss", "binary_cross_entropy"], "must come behind"),
        (["model.safetensors", "data.npz", "--learning-rate", "0"], "learning_rate must be"),
        (["--demo", "--learning-rate", "-1"], "learning_rate must be a finite number above 0"),
        (
            ["model.safetensors", "data.npz", "-o", "blame.txt"],
            "--output must be a file that ends in .html",
        ),
        (
            ["model.safetensors", "data.npz", "-o", "nowhere/blame.html"],
            "path must be in a folder that is there",
        ),
    ],
)
def test_errors_are_one_sentence_and_exit_with_2(files, arguments, complaint, capsys, monkeypatch):
    monkeypatch.chdir(files)
    assert main(["explain", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("fastbackprop: error: ")
    assert said.count("\n") == 1
    assert complaint in said
