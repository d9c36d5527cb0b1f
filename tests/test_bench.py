"""The benchmark runs, says what it must, and sees a wrong result. No test here fails on a time."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
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
        ("run.py", ["--only", "nonsense"], "--only must be some of train, predict, call"),
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


@pytest.fixture(scope="module")
def single_calls(tmp_path_factory):
    """Single calls and derivatives of a small net, against who is here."""
    path = tmp_path_factory.mktemp("calls") / "results.json"
    done = run("run.py", "--quick", "--seconds", "0.1", "--only", "call,derivative", "--json", path)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(path.read_text()), path.with_suffix(".md").read_text()


def test_one_sample_a_call_agrees_with_numpy(single_calls):
    results, text = single_calls
    lines = {x["name"]: x for x in results["workloads"] if x["kind"] == "call"}
    assert len(lines) == 8
    for name in ("call 4-8-3 step", "call 4-8-3 fit of one row", "call 4-8-3 jacobian"):
        numpy = lines[name]["runners"]["NumPy"]
        assert numpy["check"]["right"]
        assert numpy["ratio"] > 0
    assert "| 4-8-3 step by hand " in text
    assert "best peer" in text


@pytest.mark.parametrize(("peer", "label"), [("torch", "PyTorch"), ("jax", "JAX")])
def test_single_calls_and_derivatives_agree_with_a_peer(single_calls, peer, label):
    if importlib.util.find_spec(peer) is None:
        pytest.skip(f"{peer} is not installed")
    if peer == "jax" and importlib.util.find_spec("optax") is None:
        pytest.skip("optax is not installed")
    for line in single_calls[0]["workloads"]:
        assert line["runners"][label]["check"]["right"], line["name"]


def test_a_call_that_is_wrong_is_seen(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    for name in ("peers", "peers.base", "workloads", "judge", "checks"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    from checks import check_call

    numbers = np.arange(3.0)
    assert check_call(lambda: numbers, lambda: numbers * (1 + 1e-6), 1)["right"]
    assert not check_call(lambda: numbers, lambda: numbers * 1.01, 1)["right"]
    assert not check_call(lambda: numbers, lambda: numbers[None], 1)["right"]
    assert not check_call(lambda: [numbers], lambda: [numbers, numbers], 1)["right"]


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="there is one core",
)
def test_two_threads_are_measured_alone_and_beside_a_peer(tmp_path):
    path = tmp_path / "results.json"
    words = ("--workloads", "predict 64-64-10 1024 rows", "--peers", "numpy")
    done = run("run.py", "--seconds", "0.1", "--only", "threads", *words, "--json", path)
    assert done.returncode == 0, done.stderr
    parts = json.loads(path.read_text())["threads"]
    assert set(parts["alone"][0]["runners"]) == {
        "fastbackprop",
        "fastbackprop, 1 thread",
        "fastbackprop, default",
    }
    assert "NumPy" in parts["beside_peers"][0]["runners"]
    assert "| predict 64-64-10 1024 rows " in done.stdout


def test_float64_stands_beside_float32(tmp_path):
    path = tmp_path / "results.json"
    words = ("--workloads", "train 64-64-10 batch 32", "--peers", "", "--only", "train")
    done = run("run.py", "--quick", "--seconds", "0.1", *words, "--json", path)
    assert done.returncode == 0, done.stdout + done.stderr
    first = json.loads(path.read_text())["workloads"][0]
    assert first["runners"]["fastbackprop, float64"]["check"]["right"]


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
