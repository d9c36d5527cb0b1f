"""docs/calling_from_c.md and examples/nogil_loop: SciPy, ctypes, Numba and Cython call a model."""

import importlib.machinery
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastbackprop as fb

ROOT = Path(__file__).resolve().parent.parent
PAGE, EXAMPLE = ROOT / "docs/calling_from_c.md", ROOT / "examples/nogil_loop"
TEXT = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
needs_docs = pytest.mark.skipif(not BLOCKS, reason="docs/ is in the sources only")


@pytest.fixture
def names():
    """What the first block has defined."""
    names = {}
    exec(BLOCKS[0], names)
    return names


@needs_docs
def test_scipy_integrates_a_model_and_filters_by_one(names):
    pytest.importorskip("scipy", reason="scipy isn't installed")
    for block in BLOCKS[1:3]:
        exec(block, names)
    centers = (np.arange(200) + 0.5) / 200
    grid = np.stack(np.meshgrid(centers, centers, indexing="ij"), axis=-1).reshape(-1, 2)
    mean = names["model"].predict(grid).mean(dtype="f8")  # of the unit square: the integral
    assert names["integral"] == pytest.approx(mean, abs=1e-5)
    assert names["error"] < 1e-4
    i, j = 17, 30
    window = names["image"][i - 1 : i + 2, j - 1 : j + 2].reshape(9)
    assert names["filtered"][i, j] == float(names["window"].predict(window)[0])


@needs_docs
def test_a_filter_says_what_is_not_finite(names):
    pytest.importorskip("scipy", reason="scipy isn't installed")
    for block in BLOCKS[1:3]:
        exec(block, names)
    names["image"][3, 3] = np.nan
    with pytest.raises(RuntimeError):
        exec("generic_filter(image, LowLevelCallable(function), size=(3, 3))", names)


@needs_docs
def test_ctypes_calls_it(names):
    exec(BLOCKS[3], names)
    assert names["y"] == float(names["model"].predict(names["x"])[0])


@needs_docs
def test_numba_calls_it_in_a_loop(names, capsys):
    pytest.importorskip("numba", reason="Numba isn't installed")
    exec(BLOCKS[3], names)
    exec(BLOCKS[4], names)
    t = np.arange(1000) / 1000
    expected = names["model"].predict(np.stack([t, 1 - t], axis=1)).sum(dtype="f8")
    assert float(capsys.readouterr().out) == pytest.approx(expected, rel=1e-9)


def built(arguments, folder):
    """Run a script that compiles, or skip where that can't be done."""
    for module in ("Cython", "setuptools"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} isn't installed")
    done = subprocess.run(
        [sys.executable, "-P", *arguments],
        capture_output=True, text=True, timeout=300, check=False, cwd=folder,
    )  # fmt: skip
    if done.returncode and re.search(
        r"Python\.h|gcc' failed: No such|command .* failed: No such"
        r"|Unable to find vcvarsall|Microsoft Visual C",
        done.stderr,
    ):
        pytest.skip("there is no C compiler, or no header of Python")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not EXAMPLE.exists(), reason="examples/ is in the repository only")
def test_a_loop_of_ones_own_calls_it_without_the_gil(tmp_path):
    built([EXAMPLE / "build.py", tmp_path / "here"], tmp_path)
    printed = subprocess.run(
        [sys.executable, "-P", EXAMPLE / "run.py", tmp_path / "here"],
        capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.splitlines()[0] == "the same bits: True, 0 not finite"


USER = """
cimport fastbackprop

def predict(capsule, const double[:, ::1] X, double[:, ::1] Y):
    cdef const fastbackprop.Float64Net* net = fastbackprop.float64_net(capsule)
    cdef int status
    with nogil:
        status = net.predict(net, &X[0, 0], &Y[0, 0], X.shape[0])
    return status, net.form, net.real_size, net.n_in, net.n_out
"""
BUILD = """
from setuptools import Extension, setup
from Cython.Build import cythonize
setup(script_args=["-q", "build_ext", "--inplace"],
      ext_modules=cythonize([Extension("user", ["user.pyx"])], language_level=3, quiet=True))
"""


def test_cimport_gives_the_net_of_a_capsule_and_refuses_others(tmp_path):
    (tmp_path / "user.pyx").write_text(USER)
    (tmp_path / "build.py").write_text(BUILD)
    built(["build.py"], tmp_path)
    (path,) = [x for x in tmp_path.glob("user.*") if x.suffix in (".so", ".pyd")]
    loader = importlib.machinery.ExtensionFileLoader("user", str(path))
    user = importlib.util.module_from_spec(importlib.util.spec_from_loader("user", loader))
    loader.exec_module(user)
    model = fb.mlp([4, 9, 2], dtype="float64", normalization="batch", seed=0)
    X, Y = np.random.default_rng(0).normal(size=(50, 4)), np.empty((50, 2))
    assert user.predict(model.low_level_callable(), X, Y) == (0, 1, 8, 4, 2)
    np.testing.assert_array_equal(Y, model.predict(X))
    of_floats = fb.mlp([4, 2]).low_level_callable()
    for wrong in (of_floats, fb.mlp([4, 1]).low_level_callable(), model, None):
        with pytest.raises(ValueError, match=r"^capsule must be what model.low_level_callable\("):
            user.predict(wrong, X, Y)
