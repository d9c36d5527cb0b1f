"""The command line, as a user would call it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from privates import load_digits, main, threads

import fastbackprop as fb


def run(*arguments):
    command = [sys.executable, "-P", "-m", "fastbackprop", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def demo():
    return run("demo")


def test_demo_reaches_97_percent_on_digits_it_never_saw(demo):
    assert demo.returncode == 0
    assert demo.stderr == ""  # no progress bar where there is no terminal
    accuracy = float(re.search(r"Test accuracy: ([\d.]+)%", demo.stdout)[1])
    assert accuracy >= 97.0


def test_demo_shows_every_epoch_and_says_what_ran(demo):
    epochs = re.findall(
        r"^ +\d+ +\d\.\d{4} +\d\.\d{4} +\d\.\d{4} +\d\.\d{4}$", demo.stdout, re.MULTILINE
    )
    assert len(epochs) == 30
    assert re.search(r"[\d,]+ samples per second", demo.stdout)
    assert f"Kernels: {fb.kernel_info()['variant']}" in demo.stdout
    assert "Most frequent confusion" in demo.stdout
    assert "What to try next" in demo.stdout


def test_demo_gives_the_same_figures_again(demo):
    def without_speed(text):
        return [line for line in text.splitlines() if not line.startswith("Speed:")]

    assert without_speed(run("demo").stdout) == without_speed(demo.stdout)


def test_digits_are_whole_and_their_parts_apart():
    parts = load_digits()
    assert sum(len(y) for _, y in parts.values()) == 1797
    for X, y in parts.values():
        assert X.dtype == np.float32
        assert X.shape == (len(y), 64)
        assert X.min() >= 0
        assert X.max() <= 1
        assert set(y) == set(range(10))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "required"),
        (["nonsense"], "invalid choice"),
        (["demo", "--epochs", "0"], "at least 1"),
        (["demo", "--epochs", "many"], "must be an integer of at least 1, got 'many'"),
        (["demo", "--seed", "-1"], "at least 0"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_why(arguments, complaint, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert complaint in capsys.readouterr().err


def test_version_and_help(capsys):
    for option in ("--version", "--help"):
        with pytest.raises(SystemExit) as stop:
            main([option])
        assert stop.value.code == 0
    text = capsys.readouterr().out
    assert fb.__version__ in text
    assert "demo" in text


def test_info_tells_what_runs(capsys):
    assert main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    kernels = fb.kernel_info()
    assert facts["fastbackprop"] == fb.__version__
    assert facts["numpy"] == np.__version__
    assert facts["kernels"] == kernels["variant"]
    assert [facts[x] for x in ("supported", "built", "cpu_features")] == [
        kernels[x] for x in ("supported", "built", "features")
    ]
    assert facts["threads"] >= 1
    assert main(["info"]) == 0
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert lines["kernels"] == kernels["variant"]
    assert lines["fma"] == ("yes" if kernels["fma"] else "no")
    assert lines["built"].split() == kernels["built"]


def test_the_command_is_installed():
    command = Path(sys.executable).parent / (
        "fastbackprop.exe" if sys.platform == "win32" else "fastbackprop"
    )
    done = subprocess.run(
        [command, "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == f"fastbackprop {fb.__version__}"


def test_kernels_that_do_not_exist_are_an_error_in_one_sentence():
    environment = {**os.environ, "FASTBACKPROP_KERNELS": "foo"}
    command = [sys.executable, "-P", "-m", "fastbackprop", "demo"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert re.fullmatch(
        r"fastbackprop: error: FASTBACKPROP_KERNELS must be one of .*, got 'foo'\.\n", done.stderr
    )


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break differently there")
def test_a_reader_that_has_enough_is_no_error():
    # The first print fills the pipe's buffer only when flushed: unbuffered, it breaks at once.
    command = [sys.executable, "-P", "-u", "-m", "fastbackprop", "demo", "--epochs", "2"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="There is no /dev/full here.")
@pytest.mark.parametrize("arguments", [["info"], ["demo", "--epochs", "1"]])
def test_a_disk_that_is_full_is_an_error_in_one_sentence(arguments):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-P", "-m", "fastbackprop", *arguments]
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 2
    assert re.fullmatch(r"fastbackprop: error: .*\n", done.stderr)


def test_info_shows_the_threads_that_would_be_used(capsys, monkeypatch):
    for said, used in [("3", 3), ("16", 8)]:
        monkeypatch.setattr(threads, "available_cpus", lambda: 8)
        monkeypatch.setenv("FASTBACKPROP_NUM_THREADS", said)
        assert main(["info", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["threads"] == used
    monkeypatch.setenv("FASTBACKPROP_NUM_THREADS", "many")
    assert main(["info"]) == 2
    assert "FASTBACKPROP_NUM_THREADS must be" in capsys.readouterr().err
