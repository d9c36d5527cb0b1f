"""Data files of the command line: the right numbers, or one sentence that helps."""

import os
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from privates import cli_data, main, read_data

import fastbackprop as fb

X = [[5.1, 3.5, -1.0], [0.25, 4.0, 2e3]]
y = [0.0, 1.0]
READ = {
    "plain": "5.1,3.5,-1,0\n0.25,4,2e3,1\n",
    "names": "a,b,c,y\n5.1,3.5,-1,0\n0.25,4,2e3,1\n",
    "names in quotes": '"a, b","b",c,y\n"5.1","3.5",-1,0\n0.25,4,2e3,1\n',
    "columns counted": "0,1,2,3\n5.1,3.5,-1,0\n0.25,4,2e3,1\n",
    "columns counted but one": "0,1,2,y\n5.1,3.5,-1,0\n0.25,4,2e3,1\n",
    "semicolons and decimal commas": "5,1;3,5;-1;0\n0,25;4,0;2e3;1\n",
    "names, semicolons and decimal commas": "a;b;c;y\n5,1;3,5;-1;0\n0,25;4,0;2e3;1\n",
    "semicolons and decimal points": "5.1;3.5;-1;0\n0.25;4.0;2e3;1\n",
    "tabs": "a\tb\tc\ty\n5.1\t3.5\t-1\t0\n0.25\t4\t2e3\t1\n",
    "tabs and decimal commas": "5,1\t3,5\t-1\t0\n0,25\t4\t2e3\t1\n",
    "spaces": " 5.1, 3.5 ,-1,0\n0.25,4,2e3,1  \n",
    "lines of Windows": "a,b,c,y\r\n5.1,3.5,-1,0\r\n0.25,4,2e3,1\r\n",
    "lines of old Macs": "a,b,c,y\r5.1,3.5,-1,0\r0.25,4,2e3,1",
    "a separator for Excel": "sep=;\na;b;c;y\n5,1;3,5;-1;0\n0,25;4,0;2e3;1\n",
    "another separator for Excel": "SEP=|\r\n5.1|3.5|-1|0\r\n0.25|4|2e3|1\r\n",
    "a separator for Excel, filled up": '"sep=,",,,\n5.1,3.5,-1,0\n0.25,4,2e3,1\n',
    "empty lines and comments": "# made by hand\n\na,b,c,y\n5.1,3.5,-1,0\n\n0.25,4,2e3,1\n,,,\n\n",
}


@pytest.mark.parametrize("text", READ.values(), ids=READ)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_programs_write_is_read(tmp_path, text, encoding):
    path = tmp_path / "data.csv"
    path.write_bytes(text.encode(encoding))
    X_read, y_read = read_data(path, 3, 4)
    np.testing.assert_array_equal(X_read, X)
    np.testing.assert_array_equal(y_read, y)


def test_names_in_any_encoding(tmp_path):
    path = tmp_path / "data.csv"
    for encoding in ("latin-1", "utf-8"):
        path.write_bytes("gr\xf6\xdfe,b,c,y\n1,2,3,0\n".encode(encoding))
        assert read_data(path, 3, 4)[0].tolist() == [[1, 2, 3]]


def test_numbers_that_do_not_count_the_columns_are_a_sample(tmp_path):
    path = tmp_path / "data.csv"
    for text in ("1,2,3,4\n5,6,7,8\n", "0,1,2,2\n5,6,7,8\n", "0.0,1.0,2.0,3.0\n5,6,7,8\n"):
        path.write_text(text)
        assert len(read_data(path, 3, 4)[0]) == 2
    path.write_text("0,1\n1,0\n")  # two columns: too few to tell
    assert len(read_data(path, 1, 1)[0]) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0,1,2,3\n5,6,7,2\n", "fastbackprop: the first line, 0,1,2,3, was taken for a header.\n"),
        ("0;1;2;3\n5;6;7;2\n", "fastbackprop: the first line, 0;1;2;3, was taken for a header.\n"),
        ("0,1,2,y\n5,6,7,2\n", ""),
        ("a,b,c,y\n5,6,7,2\n", ""),
        ("0,1,2,2\n5,6,7,2\n", ""),
    ],
)
def test_numbers_that_are_taken_for_a_header_are_told(tmp_path, capsys, text, told):
    path = tmp_path / "data.csv"
    path.write_text(text)
    read_data(path, 3, 4)
    assert capsys.readouterr().err == told


def test_a_long_header_of_numbers_is_told_in_short(tmp_path, capsys):
    path = tmp_path / "data.csv"
    path.write_text(",".join(str(i) for i in range(65)) + "\n" + "1," * 64 + "1\n")
    read_data(path, 64, 10)
    assert "the first line, 0,1,2,...,64, was taken" in capsys.readouterr().err


def test_targets_of_all_outputs(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("1;2,5;0;1\n3;4;1;0\n")
    X_read, y_read = read_data(path, 2, 2)
    assert X_read.tolist() == [[1, 2.5], [3, 4]]
    assert y_read.tolist() == [[0, 1], [1, 0]]


@pytest.fixture
def named(tmp_path, monkeypatch):
    """A model that knows its inputs and classes by name; runs the command on a .csv file."""
    monkeypatch.chdir(tmp_path)
    model = fb.mlp([2, 3, 3], output_activation="softmax", seed=0)
    X_in = [[0.5, 1], [2, 0], [1, 3], [1, 1]]
    trainer = fb.Trainer(model, "cross_entropy", classes=["no", "a, b", "yes"])
    trainer.step(X_in, ["no", "yes", "a, b", "no"])
    model.feature_names = ["height", "width"]
    model.save("named.safetensors")

    def run(text, *arguments, command="explain"):
        (tmp_path / "data.csv").write_text(text)
        return main([command, "named.safetensors", "data.csv", *arguments])

    return run


@pytest.mark.parametrize("command", [["explain"], ["lab", "--no-open", "-o", "page.html"]])
@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        (
            "width,height,y",
            "got column 0 'width' in place of 'height': the same columns in another order.",
        ),
        ("height,weight,y", "got column 1 'weight' in place of 'width'."),
        ("height,1,y", "got column 1 '1' in place of 'width'."),
        ("height,height,y", "got column 1 'height' in place of 'width'."),
    ],
)
def test_other_columns_than_those_the_model_knows(named, capsys, command, header, complaint):
    assert named(f"{header}\n0.5,1,0\n", *command[1:], command=command[0]) == 2
    said = capsys.readouterr().err
    sentence = f"DATA must have the columns of the model's feature_names, {complaint}"
    assert said == f"fastbackprop: error: {sentence}\n"


def test_columns_that_the_model_knows_or_nobody_names(named):
    for header in ("height,width,y\n", "height,width,anything\n", "", "0,1,2\n", "0,1,y\n"):
        assert named(f"{header}0.5,1,0\n2,1,1\n") == 0


@pytest.mark.parametrize(
    "text",
    [
        'height,width,y\n0.5,1,no\n2,0,yes\n1,3,"a, b"\n',
        "height;width;y\n0,5;1;no\n2;0;yes\n1;3;a, b\n",  # a label's comma is no decimal one
        "height,width,y\n0.5,1,0\n2,0,2\n1,3,1\n",  # indices of the classes
        '0.5,1,no\n2,0,yes\n1,3,"a, b"\n',
    ],
)
def test_labels_of_the_models_classes_are_text(named, capsys, text):
    assert named(text) == 0
    model = fb.load("named.safetensors")
    X_in, labels = [[0.5, 1], [2, 0], [1, 3]], ["no", "yes", "a, b"]
    expected = fb.explain(model, X_in, labels, loss="cross_entropy", learning_rate=0.01)
    assert capsys.readouterr().out == f"{expected}\n"
    assert named(text, "--no-open", "-o", "page.html", command="lab") == 0


def test_a_label_ends_a_sample_not_a_header(tmp_path):
    (tmp_path / "data.csv").write_text("0,1,no\n2,0,yes\n")
    X_read, labels = read_data(tmp_path / "data.csv", 2, 2, classes=["no", "yes"])
    assert X_read.tolist() == [[0, 1], [2, 0]]
    assert labels.tolist() == ["no", "yes"]


@pytest.mark.parametrize(("cell", "got"), [("maybe", "'maybe'"), ("", "nothing"), ("1", "'1'")])
def test_a_label_of_no_class_is_refused_by_its_line(named, capsys, cell, got):
    assert named(f"height,width,y\n0.5,1,no\n2,0,{cell}\n") == 2
    assert (
        f"line 3, column 3 (y) must be one of the model's classes, got {got}."
        in capsys.readouterr().err
    )


REFUSED = {
    "a text cell": (
        "a,b,c,y\n1,2,3,0\n1,abc,3,0\n",
        "line 3, column 2 (b) must be a finite number, got 'abc'.",
    ),
    "a text cell without names": ("1,2,3,0\n1,abc,3,0\n", "line 2, column 2 must be a finite"),
    "a text cell in the first line": ("1,abc,3,0\n1,2,3,0\n", "line 1, column 2 must be a finite"),
    "a text label": ("a,b,c,y\n1,2,3,setosa\n", "column 4 (y) must be a finite number, got 'set"),
    "an empty cell": ("1,2,3,0\n\n1,,3,0\n", "line 3, column 2 must be a finite number, got noth"),
    "nan": ("1,2,3,0\n1,nan,3,0\n", "line 2, column 2 must be a finite number, got 'nan'."),
    "infinite": ("1,2,3,0\n1,2,-inf,0\n", "line 2, column 3 must be a finite number, got '-inf'."),
    "too large": ("1,2,3,0\n1,2,1e999,0\n", "line 2, column 3 must be a finite number"),
    "a missing column": ("1,2,3,0\n1,2\n", "line 2 has 2 columns, line 1 has 4."),
    "too many columns": ("# x\na,b,c,y\n1,2,3,0,9\n", "line 3 has 5 columns, line 2 has 4."),
    "names alone": ("a,b,c,y\n", "DATA must have at least one row, got none in data.csv."),
    "counted columns alone": (
        "0,1,2,3\n",
        "got none in data.csv: the first line, 0,1,2,3, was taken for a header.",
    ),
    "an underscore": ("1,2,3,0\n1,1_0,3,0\n", "line 2, column 2 must be a finite number, got '1_0"),
    "a line behind a separator for Excel": ("sep=;\n1;2;3;0\n1;x;3;0\n", "line 3, column 2 must"),
    "a separator for Excel alone": ("sep=;\n", "DATA must have at least one row, got none in"),
    "nothing": ("", "DATA must have at least one row, got none in data.csv."),
    "numbered rows": (",a,b,c,y\n0,1,2,3,0\n", "the first column has no name"),
    "both decimals": ("1,5;2;3;0\n1;2.5;3;0\n", "decimal points and decimal commas, 2.5 and 1,5."),
    "blanks": ("a b c y\n1 2 3 0\n", "line 2, column 1 (a b c y) must be a finite number, got"),
    "a binary file": ("PK\x03\x04\0\0\0,\n1\n", "DATA must be a .csv file that can be read"),
    "columns": ("1,2\n3,4\n", "DATA must have 3 columns (the model's n_in) and behind them 1 or 4"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fb.mlp([3, 5, 4], output_activation="softmax", seed=0).save("model.safetensors")
    return tmp_path


def complaint(capsys, *arguments):
    """What the command says when it refuses: one sentence."""
    assert main(["explain", "model.safetensors", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("fastbackprop: error: DATA must ")
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_said_in_one_sentence(folder, capsys, case):
    text, sentence = REFUSED[case]
    (folder / "data.csv").write_text(text, newline="")
    assert sentence in complaint(capsys, "data.csv")


def encrypted(content):
    """Set the flag of encryption in every entry of a zip."""
    content = bytearray(content)
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.find(signature)
        while start >= 0:
            content[start + place] |= 1
            start = content.find(signature, start + 4)
    return bytes(content)


@pytest.fixture
def archive(folder):
    np.savez(folder / "whole.npz", X=np.ones((5, 3)), y=np.arange(5) % 4)
    return (folder / "whole.npz").read_bytes()


def test_encrypted_and_strangely_packed_archives(folder, archive, capsys):
    (folder / "data.npz").write_bytes(encrypted(archive))
    assert "got data.npz: File 'X.npy' is encrypted" in complaint(capsys, "data.npz")
    content = bytearray(archive)
    for signature, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        start = content.find(signature)
        content[start + place : start + place + 2] = struct.pack("<H", 99)
    (folder / "data.npz").write_bytes(content)
    assert "got data.npz: That compression method" in complaint(capsys, "data.npz")
    np.savez(folder / "data.npz", X=np.array([{}], object), y=[1])
    assert "got data.npz: Object arrays cannot be loaded" in complaint(capsys, "data.npz")


def test_an_archive_with_other_things_than_arrays(folder, capsys):
    with zipfile.ZipFile(folder / "data.npz", "w") as file:
        file.writestr("X.npy", b"\x93NUMPY\x09\x09 nonsense")
        file.writestr("y.npy", b"")
    complaint(capsys, "data.npz")
    with zipfile.ZipFile(folder / "data.npz", "w") as file:
        file.writestr("X", b"hello")
        file.writestr("y", b"hello")
    assert main(["explain", "model.safetensors", "data.npz"]) == 2
    assert "must be an array of real numbers" in capsys.readouterr().err


def test_mutated_archives_never_end_in_a_traceback(folder, archive, capsys):
    rng = np.random.default_rng(0)
    for _ in range(300):
        content = bytearray(archive)
        for _ in range(rng.integers(1, 4)):
            start = rng.integers(len(content))
            content[start] = rng.integers(256)
        (folder / "data.npz").write_bytes(content[: rng.integers(1, 2 * len(content))])
        assert main(["explain", "model.safetensors", "data.npz"]) in (0, 2)
        assert capsys.readouterr().err.count("\n") <= 1


def test_memory_that_ends_is_no_damage(folder, archive, capsys, monkeypatch):
    def no_memory(*arguments, **more):
        raise MemoryError

    monkeypatch.setattr(cli_data.np, "load", no_memory)
    assert main(["explain", "model.safetensors", "whole.npz"]) == 2
    assert "whole.npz needs more memory than there is." in capsys.readouterr().err
    monkeypatch.setattr(fb, "explain", no_memory)
    (folder / "data.csv").write_text("1,2,3,0\n")
    assert main(["explain", "model.safetensors", "data.csv"]) == 2
    assert capsys.readouterr().err == "fastbackprop: error: there is not enough memory.\n"


def test_a_folder_and_nothing(folder, capsys):
    (folder / "data.csv").mkdir()
    assert "got data.csv, a directory." in complaint(capsys, "data.csv")
    assert "got none.csv, where there is none." in complaint(capsys, "none.csv")


@pytest.mark.parametrize(
    "name",
    [
        "-",
        pytest.param(
            "/dev/stdin",
            marks=pytest.mark.skipif(not os.path.exists("/dev/stdin"), reason="it is not there"),
        ),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "npz"])
@pytest.mark.parametrize("how", ["pipe", "file"])
def test_data_from_standard_input(folder, kind, how, name):
    rng = np.random.default_rng(0)
    X_in, labels = rng.normal(size=(4, 3)), np.array([0, 1, 2, 3])
    np.savez(folder / "data.npz", X=X_in, y=labels)
    np.savetxt(folder / "data.csv", np.column_stack([X_in, labels]), delimiter=",")
    path = folder / f"data.{kind}"
    command = [sys.executable, "-P", "-m", "fastbackprop", "explain", "model.safetensors"]
    with path.open("rb") as file:
        source = {"stdin": file} if how == "file" else {"input": file.read()}
        done = subprocess.run(
            [*command, name, "--row", "2"],
            capture_output=True,
            timeout=60,
            check=True,
            **source,
        )
    expected = fb.explain(
        fb.load("model.safetensors"), X_in[2], labels[2], loss="cross_entropy", learning_rate=0.01
    )
    assert done.stdout.decode().splitlines() == str(expected).splitlines()


def test_what_is_wrong_with_standard_input_is_said(folder):
    done = subprocess.run(
        [sys.executable, "-P", "-m", "fastbackprop", "explain", "model.safetensors", "-"],
        input=b"1,2,x,0\n",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert b"got standard input: line 1, column 3 must be a finite number" in done.stderr
