"""Every block of the README runs as it stands, and says what the README says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from privates import load_digits

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
    assert len(BLOCKS) == 4
    assert TEXT.index("pip install -e . && fastbackprop demo") < 700


def test_its_first_screen_says_what_it_is_and_shows_it():
    assert TEXT.count("\n") <= 160
    first = TEXT[: TEXT.index("## Four words")]
    for words in ("It is for", "Take something else", "about a minute", "fastbackprop lab"):
        assert words in " ".join(first.split())
    for picture in re.findall(r"\]\((\S+\.png)\)", TEXT):
        if (ROOT / "docs").exists():
            assert (ROOT / picture).read_bytes().startswith(b"\x89PNG")
    for name in ("scikit-learn", "Keras", "PyTorch"):
        assert re.search(rf"^\| {name} \|", TEXT, re.MULTILINE)


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


def test_its_explanation_leaves_nothing_out_and_its_chain_is_not_of_zeros(tmp_path):
    said = run(BLOCKS[3], tmp_path)
    assert not re.search(r"and [\d,]+ more", said)
    chain = re.search(r"^dC/dw1\[1, 1\] = .*$", said, re.MULTILINE)[0]
    factors = re.findall(r"-?\d[\d.]*(?:e-?\d+)?", chain.partition(" = ")[2].split(" = ", 1)[1])
    assert len(factors) == 6
    assert all(float(x) != 0 for x in factors)


@pytest.mark.parametrize("page", ["README.md", "bench/README.md"])
def test_import_has_one_time(page):
    """That of the run whose tables the README names; three runs had left three."""
    tables = re.search(r"\((bench/results/[\w-]+)\.md\)", TEXT)[1]
    path = ROOT / f"{tables}.json"
    if not path.exists():
        pytest.skip(f"{page} is in the repository only")
    figures = json.loads(path.read_text(encoding="utf-8"))["footprint"]["fastbackprop"]
    text = (ROOT / page).read_text(encoding="utf-8").replace(",", "")
    said = re.findall(r"(\d+) ms (?:over|after) NumPy", text)
    assert {int(x) for x in said} <= {round(1000 * figures["import_seconds_after_numpy"])}


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_every_block_runs(index, tmp_path):
    if "pandas" in BLOCKS[index]:
        pytest.importorskip("pandas", reason="pandas is not installed")
    assert run(BLOCKS[index], tmp_path).strip() != ""


def test_the_worked_example_prints_what_its_comment_says(tmp_path):
    printed, comment = run(BLOCKS[0], tmp_path).strip(), re.search(r"print\(.*# (.*)", BLOCKS[0])[1]
    assert printed == comment
