"""Whatever a checkpoint holds, resume raises ModelFileError, or what it returns can be used."""

import contextlib
import copy
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from privates import FOR_SCRIPTS, at_pauses, read_checkpoint_file, step_by_step, write_model_file

import fastbackprop as fb

X = np.linspace(-1, 1, 30).reshape(10, 3)
Y = np.sin(X[:, :2])
NAN = float("nan")
ODD = [
    None, True, -1, 0, 1, 2**40, 2**63, 10**30, 10**400, 0.5, -1e308, 1e400, NAN, "", "x" * 1000,
    "zz", [], [1], [[]], {}, {"a": 1}, {"own": "f"}, {"kind": "Cosine", "initial": "x"},
    {"tensor": "trainer.start.parameters"}, [0.0] * 8, [NAN] * 8,
]  # fmt: skip


def new_trainer():
    rate = fb.Warmup(fb.Cosine(0.01), 3)
    model = fb.mlp([3, 4, 2], seed=0)
    optimizer = fb.Adam(rate, amsgrad=True)
    return fb.Trainer(model, fb.Huber(0.5), optimizer, batch_size=4, seed=0, clip_norm=1.0)


def checkpoint(path):
    """Write one in the middle of the third epoch, after a better one; return what it holds."""
    trainer, n = new_trainer(), 0

    def look():
        nonlocal n
        n += 1
        if n == 8:
            trainer.save_checkpoint(path)

    at_pauses(trainer, look)
    trainer.fit(X, Y, epochs=4, validation_data=(X, Y))
    return read_checkpoint_file(path)


def places(value, at=()):
    """The way to each value inside of JSON, the outer ones first."""
    yield at
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*at, key))
    elif isinstance(value, list):
        for i in range(len(value)):
            yield from places(value[i], (*at, i))


def changed(value, at, new):
    """JSON with another value in one place."""
    value = copy.deepcopy(value)
    if not at:
        return new
    inner = value
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = new
    return value


def use(path):
    """Resume, and go on; returns whether the file was refused."""
    said, trainer = "", None
    try:
        trainer = fb.Trainer.resume(path)
    except fb.ModelFileError as error:
        said = str(error)
    except ValueError as error:  # it says that there was a callable
        said = str(error)
        assert "which a file can't hold" in said
    assert len(said) < len(str(path)) + 600
    assert "\n" not in said
    if trainer is not None:
        allowed = (ValueError, OverflowError, fb.DivergenceError)
        with warnings.catch_warnings(action="ignore"), contextlib.suppress(*allowed):
            trainer.fit(X, Y, epochs=4, validation_data=(X, Y))
        assert np.isfinite(trainer.model.get_parameters()).all()
    return trainer is None


def test_every_value_of_the_description_may_be_anything(tmp_path, monkeypatch):
    step_by_step(monkeypatch)
    path = tmp_path / "c"
    tensors, model, trainer = checkpoint(path)
    write_model_file(path, tensors, model, trainer=trainer)
    assert not use(path)
    n = n_refused = 0
    for i, at in enumerate(places(trainer)):
        for new in ODD[i % 3 :: 3]:
            write_model_file(path, tensors, model, trainer=changed(trainer, at, new))
            n_refused += use(path)
            n += 1
    assert n > 500
    assert n_refused > n / 2


def test_every_part_of_the_description_may_be_missing(tmp_path, monkeypatch):
    step_by_step(monkeypatch)
    path = tmp_path / "c"
    tensors, model, trainer = checkpoint(path)
    for at in places(trainer):
        if at:
            without = copy.deepcopy(trainer)
            inner = without
            for key in at[:-1]:
                inner = inner[key]
            del inner[at[-1]]
            write_model_file(path, tensors, model, trainer=without)
            use(path)


@pytest.mark.parametrize("kind", ["missing", "short", "matrix", "another dtype", "twice"])
def test_tensors_that_do_not_fit_are_refused(kind, tmp_path, monkeypatch):
    step_by_step(monkeypatch)
    path = tmp_path / "c"
    tensors, model, trainer = checkpoint(path)
    names = [name for name in tensors if name.startswith("trainer.")]
    assert {x.split(".")[1] for x in names} == {"now", "start", "best"}
    for name in names:
        array = tensors[name]
        others = {
            "missing": {k: v for k, v in tensors.items() if k != name},
            "short": {**tensors, name: array[..., :-1]},
            "matrix": {**tensors, name: array[np.newaxis]},
            "another dtype": {**tensors, name: array.astype(np.float64)},
            "twice": {**tensors, name + "x": array},
        }
        write_model_file(path, others[kind], model, trainer=trainer)
        if kind == "missing" and name.endswith("planes"):
            assert not use(path), name  # as of an optimizer that has done nothing
        else:
            assert use(path), name


SCRIPT = """
from test_hostile_checkpoints import *
import difflib, resource

step_by_step(__import__("pytest").MonkeyPatch())
folder = Path(sys.argv[1])
whole, seen = {}, []
checkpoint(folder / "c")
fb.mlp([3, 4, 2], output_activation="softmax", seed=0).save(folder / "m")
for name in "mc":
    whole[name] = (folder / name).read_bytes()
read = {"m": fb.load, "c": fb.Trainer.resume}
for name in "mc":
    read[name](folder / name)
    for content in (b"", whole[name][:-1], b"x" * 100):
        (folder / "damaged").write_bytes(content)
        try:
            read[name](folder / "damaged")
        except fb.ModelFileError:
            pass
page = resource.getpagesize()
used = int(open("/proc/self/statm").read().split()[0]) * page
resource.setrlimit(resource.RLIMIT_AS, (used + 2**24, used + 2**24))
WATCHED = ("open", "import", "exec", "compile", "os.", "subprocess", "socket", "pickle", "ctypes")
active = False

def watch(event, arguments):
    if active and event.startswith(WATCHED):
        if event != "open" or str(arguments[0]) != str(folder / "damaged"):
            seen.append((event, str(arguments)[:200]))

sys.addaudithook(watch)
rng = np.random.default_rng(0)
words = [b"BF16", b"I64", b"null", b"{}", b"[]", b"-1", b"1e999", b"9" * 30, b"\\0", b"own"]
refused = 0
for i in range(800):
    name = "mc"[i % 2]
    content = bytearray(whole[name])
    for _ in range(rng.integers(1, 4)):
        start, end = sorted(rng.integers(0, len(content) + 1, 2))
        match rng.integers(6):
            case 0:
                content = content[:end]
            case 1:
                content[start:start] = content[start:end]
            case 2:
                content[start:end] = rng.bytes(end - start)
            case 3:
                content[start : start + 4] = words[rng.integers(len(words))]
            case 4:
                content += bytes(int(rng.integers(2**20)))
            case 5 if len(content):
                content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    (folder / "damaged").write_bytes(content)
    active = True
    try:
        read[name](folder / "damaged")
    except fb.ModelFileError:
        refused += 1
    finally:
        active = False
print(json.dumps([refused, seen]))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits are Linux's here")
def test_damaged_files_open_import_and_run_nothing_and_take_no_memory(tmp_path):
    """800 models and checkpoints, watched by an audit hook, with 16 MB to spare."""
    path = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-P", "-c", FOR_SCRIPTS + SCRIPT, str(tmp_path)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    refused, seen = json.loads(done.stdout)
    assert seen == []
    assert refused > 700
