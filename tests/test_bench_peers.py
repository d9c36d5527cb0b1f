"""A peer that can't work, for whatever reason, is left out by name; the others are measured."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"
pytestmark = pytest.mark.skipif(
    not (BENCH / "run.py").exists(), reason="bench/ is in the repository only"
)

FAILS_ON_IMPORT = "raise AttributeError('numpy has no bool')"
LACKS_A_PART = "from _a_part_of_torch_that_is_not_there import x"
NO_LIBRARY = "raise OSError('libxla.so: cannot open')"
ONNX_RUNTIME = """
class SessionOptions:
    def add_session_config_entry(self, *_): pass
class InferenceSession: pass
"""
NO_ONNX = "raise ModuleNotFoundError(\"No module named 'onnx'\")"
FAILS_WHEN_CALLED = """
class MLPRegressor:
    def __init__(self, **_): raise RuntimeError("no BLAS\\nhere")
MLPClassifier = MLPRegressor
"""
FAILS_WITH_EIGHT_UNITS = """
import numpy as np
class MLPRegressor:
    def __init__(self, hidden_layer_sizes, **_):
        if hidden_layer_sizes == (8,):
            raise MemoryError("no room for 8")
        self.coefs_, self.intercepts_ = [np.zeros((2, 3)), np.zeros((3, 3))], np.zeros((2, 3))
    def partial_fit(self, X, y, classes=None): pass
    def predict_proba(self, X): return X
MLPClassifier = MLPRegressor
"""


def measured(folder, modules, *arguments):
    """Run the benchmark with these modules in the place of the installed ones."""
    for name, source in modules.items():
        path = folder.joinpath(*name.split(".")) / "__init__.py"
        path.parent.mkdir(parents=True)
        path.write_text(source)
        if not (package := path.parent.parent / "__init__.py").exists():
            package.write_text("")
    command = [sys.executable, BENCH / "run.py", "--quick", "--seconds", "0.1", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("peer", "modules", "line"),
    [
        ("torch", {"torch": FAILS_ON_IMPORT}, "working here (AttributeError: numpy has no bool)"),
        (
            "torch",
            {"torch": LACKS_A_PART},
            "installed (No module named '_a_part_of_torch_that_is_not_there')",
        ),
        ("jax", {"jax": NO_LIBRARY}, "installed (libxla.so: cannot open)"),
        (
            "onnxruntime",
            {"onnxruntime": ONNX_RUNTIME, "onnx": NO_ONNX},
            "installed (No module named 'onnx')",
        ),
        (
            "sklearn",
            {"sklearn.neural_network": FAILS_WHEN_CALLED},
            "working here (RuntimeError: no BLAS here)",
        ),
    ],
)
def test_it_is_left_out_with_the_reason(peer, modules, line, tmp_path):
    arguments = ("--workloads", "predict 64-64-10 1 row", "--peers", f"numpy,{peer}")
    text = measured(tmp_path, modules, *arguments)
    assert f"- {peer}: not {line}." in text
    assert "- NumPy: " in text


def test_one_workload_that_fails_is_a_dash(tmp_path):
    modules = {"sklearn.neural_network": FAILS_WITH_EIGHT_UNITS}
    text = measured(tmp_path, modules, "--workloads", "train 4-8-3", "--peers", "numpy,sklearn")
    reason = "not working here (MemoryError: no room for 8)"
    assert f"- scikit-learn: - where it is {reason}." in text
    assert "- NumPy: " in text


def test_a_peer_without_metadata_has_no_version_and_no_size(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    for name in ("peers", "peers.with_numpy", "peers.base", "workloads", "judge", "footprint"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import footprint
    import peers

    module = peers.find("numpy")
    monkeypatch.setattr(module, "DISTRIBUTION", "installed-by-hand")
    assert peers.version(module) == "of unknown version"
    monkeypatch.setattr(footprint, "import_seconds", lambda _: [0.1, 0.2])
    monkeypatch.setattr(footprint, "memory", lambda *_: 1.0)
    sizes = footprint.measure("numpy")
    assert sizes["size"] is None
    assert sizes["size_with_dependencies"] is None
