"""The benchmark runs, says what it must, and sees a wrong result. No test here fails on a time."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"
pytestmark = pytest.mark.skipif(
    not (BENCH / "run.py").exists(), reason="bench/ is in the repository only"
)
TINY = ("--quick", "--seconds", "0.1", "--workloads", "train 4-8-3,predict 64-64-10 1 row")


def run(program, *arguments):
    command = [sys.executable, BENCH / program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def with_numpy(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "results.json"
    done = run("run.py", *TINY, "--peers", "numpy", "--json", path)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(path.read_text())


def test_the_json_has_machine_peers_and_figures(with_numpy):
    _, results = with_numpy
    assert {"machine", "settings", "tolerances", "peers", "workloads"} <= set(results)
    assert {"cpu", "cores", "caches", "os", "python", "kernels"} <= set(results["machine"])
    assert set(results["peers"]) == {"fastbackprop", "numpy"}
    assert [workload["kind"] for workload in results["workloads"]] == ["train", "predict"]
    for workload in results["workloads"]:
        assert {"fastbackprop", "NumPy"} <= set(workload["runners"])
        assert workload["runners"]["fastbackprop"]["ratio"] == 1
        for runner in workload["runners"].values():
            assert runner["microseconds"] > 0
            assert runner["gflops"] > 0
            assert runner["rounds"] >= 5
            assert runner["check"]["right"]


def test_the_useful_operations_are_those_of_the_products(with_numpy):
    _, results = with_numpy
    forward = 2 * (4 * 8 + 8 * 3)
    assert (
        results["workloads"][0]["flops"] == 2 * forward + 2 * 8 * 3
    )  # delta isn't needed for the inputs
    assert results["workloads"][1]["flops"] == 2 * (64 * 64 + 64 * 10)


def test_the_table_has_a_line_for_each_workload(with_numpy):
    text, _ = with_numpy
    assert "| 4-8-3 batch 1 " in text
    assert "| 64-64-10 1 row " in text
    assert "WRONG" not in text


def test_nobody_wins_by_doing_less(tmp_path):
    path = tmp_path / "results.json"
    done = run("run.py", *TINY, "--peers", "broken", "--json", path)
    assert done.returncode == 1, done.stderr
    for workload in json.loads(path.read_text())["workloads"]:
        assert not workload["runners"]["broken"]["check"]["right"]
        assert f"WRONG: broken in {workload['name']}" in done.stdout


def test_an_absent_peer_is_reported_with_the_reason(tmp_path):
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnx"):
        pytest.skip("onnxruntime is installed here")
    done = run("run.py", *TINY, "--peers", "onnxruntime")
    assert done.returncode == 0, done.stderr
    assert "onnxruntime: not installed (No module named" in done.stdout


@pytest.mark.parametrize("peer", ["torch", "jax", "sklearn", "onnxruntime"])
def test_a_peer_that_is_installed_agrees_with_us(peer, tmp_path):
    if importlib.util.find_spec(peer) is None or (
        peer == "onnxruntime" and importlib.util.find_spec("onnx") is None
    ):
        pytest.skip(f"{peer} is not installed")
    path = tmp_path / "results.json"
    done = run("run.py", *TINY, "--peers", peer, "--json", path)
    assert done.returncode == 0, done.stdout + done.stderr
    runners = [len(workload["runners"]) for workload in json.loads(path.read_text())["workloads"]]
    assert runners[0 if peer != "onnxruntime" else 1] > 1  # it took part, and no result was wrong


def test_the_picture_is_drawn(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    path = tmp_path / "ratios.png"
    done = run("run.py", *TINY, "--peers", "numpy", "--plot", path)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("program", "arguments", "complaint"),
    [
        ("run.py", ["--peers", "nonsense"], "--peers must be some of numpy, torch"),
        ("run.py", ["--threads", "0"], "--threads must be at least 1, got 0."),
        (
            "run.py",
            ["--workloads", "nonsense", "--peers", ""],
            "--workloads must be parts of names",
        ),
        (
            "run.py",
            ["--workloads", "train, nonsense", "--peers", ""],
            "--workloads must be parts of names",
        ),
        ("run.py", ["--seconds", "nan"], "--seconds must be a number above 0, got nan."),
        ("run.py", ["--seconds", "-5"], "--seconds must be a number above 0, got -5.0."),
        (
            "run.py",
            ["--json", "nowhere/x.json"],
            "--json must be a path in a folder that is there, got nowhere",
        ),
        ("run.py", ["--plot", "x.txt"], "--plot must be a path that ends in .png, got x.txt."),
        ("mnist.py", [], "--data"),
        ("mnist.py", ["--data", "nowhere.npz"], "got nowhere.npz, where there is no file."),
    ],
)
def test_wrong_usage_ends_with_one_sentence(program, arguments, complaint):
    done = run(program, *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_one_sample_a_call_agrees_with_numpy():
    done = run("interactive.py", "--rounds", 1, "--peers", "NumPy by hand")
    assert done.returncode == 0, done.stderr
    assert "WRONG" not in done.stderr
    lines = [line.split(" | ") for line in done.stdout.splitlines()[2:]]
    assert {line[0].removeprefix("| ") for line in lines} >= {"step, 4-8-3", "jacobian, 17-64-64-6"}
    assert all(float(line[1].replace(",", "")) > 0 and "x)" in line[2] for line in lines)


def test_the_scaling_model_measures_and_says_what_more_cores_would_bring():
    done = run("scaling_model.py", "--seconds", "0.05", "--nets", "2")
    assert done.returncode == 0, done.stderr
    head, _, *lines = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in head.split("|")][5:10] == ["2", "4", "8", "16", "64"]
    assert [line.split("|")[1].strip() for line in lines] == ["64-64-10", "17-64-64-6"]
    for line in lines:
        gains = [float(cell.strip().rstrip("x")) for cell in line.split("|")[5:10]]
        assert all(0 < gain <= n for gain, n in zip(gains, (2, 4, 8, 16, 64), strict=True))
        assert gains[-1] < max(gains), "such small steps gain nothing from 64"
