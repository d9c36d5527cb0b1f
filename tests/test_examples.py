"""The scripts of examples/, run as a reader runs them, outside of the project; results in bounds.

That of the cluster is in tests/estimators/test_machines.py.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="examples/ is in the repository only")


def printed(name, tmp_path, *arguments, needs=()):
    """What a script prints."""
    for module in needs:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} isn't installed")
    done = subprocess.run(
        [sys.executable, "-P", EXAMPLES / f"{name}.py", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(text):
    return [float(x.replace(",", "")) for x in re.findall(r"\d[\d,]*\.?\d*", text)]


def test_digits(tmp_path):
    lines = printed("digits", tmp_path, needs=["sklearn"]).splitlines()
    n_epochs, best = numbers(lines[0])
    assert best < n_epochs <= 100
    assert numbers(lines[1])[0] > 96.5
    assert len(lines) == 5


def test_regression_with_uncertainty(tmp_path):
    has_matplotlib = importlib.util.find_spec("matplotlib") is not None
    picture = ["picture.png"] if has_matplotlib else []
    lines = printed("regression_with_uncertainty", tmp_path, *picture).splitlines()
    for line in lines[:2]:
        assert 87 < numbers(line)[0] < 93
    for line in lines[2:]:
        _, deviation, true = numbers(line)
        assert abs(deviation / true - 1) < 0.25
    if has_matplotlib:
        assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_imbalanced_classes(tmp_path):
    plain, balanced, chosen = (
        numbers(line.rpartition("found")[2])
        for line in printed("imbalanced_classes", tmp_path).splitlines()
    )
    assert balanced[0] > 80 > plain[0], "the weights find the rare rows"
    assert balanced[1] < plain[1], "at the price of false alarms"
    assert chosen[3] > balanced[3] + 0.1, "F1 by the chosen threshold (after the 1 of F1)"


def test_online_learning(tmp_path):
    lines = printed("online_learning", tmp_path).splitlines()
    before, after, last = (numbers(line)[-2:] for line in lines[1:4])
    assert max(before) < 0.07
    assert after[1] < after[0]
    assert last[1] < 0.1 < 0.5 < last[0]


def test_policy_gradient(tmp_path):
    lines = printed("policy_gradient", tmp_path, needs=["gymnasium"]).splitlines()
    first, best, _ = numbers(lines[-1])
    assert first < 60
    assert best > 400
    assert len(lines) == 11


def test_out_of_core(tmp_path):
    lines = printed("out_of_core", tmp_path).splitlines()
    assert numbers(lines[0]) == [120, 480, 32]
    assert numbers(lines[1])[0] > 99
    assert numbers(lines[2])[0] < 20, "MB"


def test_checkpoint_and_resume(tmp_path):
    lines = printed("checkpoint_and_resume", tmp_path).splitlines()
    assert lines[0] == "killed"
    n_epochs = numbers(lines[1])[0]
    assert 0 < n_epochs <= 40
    assert n_epochs % 2 == 0
    assert lines[-1] == "the same bits"


def test_hyperparameter_search(tmp_path):
    lines = printed("hyperparameter_search", tmp_path, needs=["optuna", "sklearn"]).splitlines()
    n_trials, n_pruned = numbers(lines[0])
    assert n_trials == 40
    assert 5 < n_pruned < 40
    loss, test = numbers(lines[-1])
    assert loss < 0.1
    assert test > 90


def test_the_readme_names_every_script():
    names = {path.name for path in EXAMPLES.glob("*.py")}
    linked = set(re.findall(r"\]\((\w+\.py)\)", (EXAMPLES / "README.md").read_text("utf-8")))
    assert linked == names
