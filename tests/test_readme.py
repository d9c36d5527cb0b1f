"""Every Python block of the README runs as it stands, and says what the README says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCKS = re.findall(
    r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)


def run(block, folder):
    done = subprocess.run(
        [sys.executable, "-P", "-c", block], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_has_its_examples():
    assert len(BLOCKS) == 3
    assert README.read_text(encoding="utf-8").index("pip install -e . && fastbackprop demo") < 60


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_every_block_runs(index, tmp_path):
    assert run(BLOCKS[index], tmp_path).strip() != ""


def test_the_worked_example_prints_what_its_comment_says(tmp_path):
    printed, comment = run(BLOCKS[1], tmp_path).strip(), re.search(r"print\(.*# (.*)", BLOCKS[1])[1]
    assert printed == comment
