"""Every block of the README runs as it stands, and says what the README says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from privates import load_digits

import fastbackprop as fb

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^```console\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def run(block, folder):
    done = subprocess.run(
        [sys.executable, "-P", "-c", block], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_has_its_examples():
    assert len(BLOCKS) == 3
    assert TEXT.index("pip install -e . && fastbackprop demo") < 60


@pytest.mark.skipif(not (ROOT / ".ci/run").exists(), reason=".ci/run is in the repository only")
def test_every_command_is_tried_by_ci():
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").replace(" -q ", " ").splitlines()
    assert len(COMMANDS) == 2
    for command in COMMANDS:
        for part in command.strip().split(" && "):
            assert part in lines


def test_it_says_how_many_digits_train_and_how_many_test():
    parts = load_digits()
    text = " ".join(TEXT.split())
    assert f"trains a network on {len(parts['train'][1]):,} handwritten digits" in text
    assert f"{len(parts['test'][1])} that it never saw" in text


def test_the_chain_that_it_shows_is_not_of_zeros(tmp_path):
    chain = re.search(r"^dC/dw1\[1, 2\] = .*$", run(BLOCKS[2], tmp_path), re.MULTILINE)[0]
    assert all(
        float(x) != 0
        for x in re.findall(r"-?\d[\d.]*", chain.partition(" = ")[2].split(" = ", 1)[1])
    )


def test_the_whole_step_is_in_the_dict_that_it_shows():
    """The text folds wide layers, so the README calls only the dict whole."""
    model = fb.mlp([20, 30, 2], seed=0)
    e = fb.explain(model, [[1.0] * 20], [[1.0, 2.0]], loss="half_squared_error")
    assert "more" in str(e)
    assert len(e.to_dict()["layers"][0]["z"][0]) == 30


@pytest.mark.parametrize("page", ["README.md", "bench/README.md"])
def test_import_has_one_time(page):
    """That of the table of footprints; three runs had left three."""
    path = ROOT / page
    if not path.exists():
        pytest.skip(f"{page} is in the repository only")
    row = re.search(r"^\| fastbackprop \| \d+ ms \| (\d+) ms \|", TEXT, re.MULTILINE)
    text = path.read_text(encoding="utf-8").replace(",", "")
    said = re.findall(r"(\d+) ms (?:over|after) NumPy", text)
    assert set(said) <= {row[1]}


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_every_block_runs(index, tmp_path):
    assert run(BLOCKS[index], tmp_path).strip() != ""


def test_the_worked_example_prints_what_its_comment_says(tmp_path):
    printed, comment = run(BLOCKS[1], tmp_path).strip(), re.search(r"print\(.*# (.*)", BLOCKS[1])[1]
    assert printed == comment
