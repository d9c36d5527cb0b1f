"""What stands at a path is replaced whole or left alone; whatever a file holds, load says so."""

import errno
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from privates import write_beside, write_model_file

import fastbackprop as fb

needs_posix = pytest.mark.skipif(os.name != "posix", reason="only POSIX has these")
WRITERS = {
    "save": lambda path: fb.mlp([2, 1], seed=0).save(path),
    "Explanation.to_html": lambda path: fb.explain(
        fb.mlp([2, 1], seed=0), [[1, 2]], [[1]], loss="half_squared_error"
    ).to_html(path),
    "Diagnosis.to_html": lambda path: fb.diagnose(
        fb.mlp([2, 1], seed=0), [[1, 2], [3, 4]], [[1], [2]], loss="half_squared_error"
    ).to_html(path),
    "TrainingExplanation.to_html": lambda path: fb.explain_training(
        fb.Trainer(fb.mlp([2, 1], seed=0), "half_squared_error"),
        [[1, 2], [3, 4]],
        [[1], [2]],
        steps=2,
    ).to_html(path),
}
all_writers = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@needs_posix
@all_writers
def test_a_pipe_and_a_link_to_it_are_refused_and_stay(write, tmp_path):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(OSError, match=r"path must be a file, got .*a device, a pipe"):
            write(path)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


@needs_posix
def test_devices_and_sockets_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    device = os.devnull
    if os.geteuid() == 0:  # who could replace it for the whole machine: a device to lose
        try:
            os.mknod("device", stat.S_IFCHR | 0o666, os.stat(os.devnull).st_rdev)
        except OSError:
            pytest.skip("no devices can be made here")
        device = "device"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        for path in ("socket", device):
            with pytest.raises(OSError, match="path must be a file, got"):
                write_beside(path, b"content")
            with pytest.raises(OSError, match=r"path must be a model file, got .*a device"):
                fb.load(path)
        assert stat.S_ISSOCK(os.stat("socket").st_mode)
    assert stat.S_ISCHR(os.stat(device).st_mode)
    reader, writer = os.pipe()
    try:
        with pytest.raises(OSError, match="path must be a file, got"):
            write_beside(f"/dev/fd/{writer}", b"content")
    finally:
        os.close(reader)
        os.close(writer)


@needs_posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_permissions_of_a_replaced_file_stay(tmp_path, mode):
    path = tmp_path / "m"
    path.write_bytes(b"old")
    path.chmod(mode)
    fb.mlp([2, 1], seed=0).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert fb.load(path).n_in == 2


@needs_posix
def test_what_few_may_read_is_never_open_to_many(tmp_path, monkeypatch):
    path = tmp_path / "m"
    path.write_bytes(b"old")
    path.chmod(0o600)
    modes = []
    os_open = os.open

    def open_and_look(name, *arguments, **more):
        descriptor = os_open(name, *arguments, **more)
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", open_and_look)
        write_beside(path, b"new")
    assert modes[0] == 0o600


@needs_posix
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_permissions_of_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        fb.mlp([2, 1], seed=0).save(tmp_path / "m")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == mode


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root gives files away")
def test_the_owner_of_a_replaced_file_stays(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(b"old")
    os.chown(path, 1234, 2345)
    fb.mlp([2, 1], seed=0).save(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)


@all_writers
@pytest.mark.parametrize("name", ["m" * 255, "\u00e4" * 120])
def test_the_longest_names_are_taken(write, tmp_path, name):
    try:
        (tmp_path / name).write_bytes(b"old")
    except OSError:
        pytest.skip("this file system takes no such name")
    write(tmp_path / name)
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).stat().st_size > 3


@needs_posix
def test_a_link_to_nothing_yet_and_a_link_in_a_circle(tmp_path):
    link, circle = tmp_path / "link", tmp_path / "circle"
    link.symlink_to(tmp_path / "target")
    fb.mlp([2, 1], seed=0).save(link)
    assert link.is_symlink()
    assert fb.load(tmp_path / "target").n_in == 2
    circle.symlink_to(circle)
    with pytest.raises(OSError, match="circle"):
        fb.mlp([2, 1], seed=0).save(circle)
    assert circle.is_symlink()


@needs_posix
def test_file_and_folder_are_synced_in_this_order(tmp_path, monkeypatch):
    synced = []
    fsync, replace = os.fsync, os.replace

    def note_sync(descriptor):
        synced.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def note_replace(*paths):
        synced.append("renamed")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    write_beside(tmp_path / "m", b"content")
    assert synced == ["file", "renamed", "folder"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("broken", ["open", "chmod", "fsync", "replace"])
def test_a_failing_disk_leaves_the_old_file_and_names_the_path(
    tmp_path, monkeypatch, broken, number
):
    path = tmp_path / "m"
    path.write_bytes(b"old")

    def fail(*arguments, **more):
        raise OSError(number, os.strerror(number), "some other name")

    with monkeypatch.context() as patch:
        patch.setattr(os, broken, fail)
        with pytest.raises(OSError, match=os.strerror(number)) as caught:
            fb.mlp([2, 1], seed=0).save(path)
    assert caught.value.errno == number
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["m"]


@needs_posix
def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path, monkeypatch):
    fsync = os.fsync

    def fail_for_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "no folders here")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_for_folders)
    write_beside(tmp_path / "m", b"content")
    assert (tmp_path / "m").read_bytes() == b"content"


CHILD = """
import resource, signal, sys
import fastbackprop as fb
kind, path, extra = sys.argv[1], sys.argv[2], int(sys.argv[3])
model = fb.mlp([2000, 2000, 1], seed=0)  # 16 MB
fb.mlp([2, 1], seed=0).save(path + ".small")
fb.load(path + ".small")  # imports everything
if kind == "disk":
    resource.setrlimit(resource.RLIMIT_FSIZE, (extra, extra))
else:
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + extra, used + extra))
try:
    fb.load(path) if kind == "load" else model.save(path)
except BaseException as error:
    print(type(error).__name__, error)
else:
    print("ok")
"""


def child(*arguments):
    command = [sys.executable, "-P", "-c", CHILD, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits are Linux's here")
def test_a_disk_that_ends_in_the_middle_of_a_file(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(b"old")
    assert child("disk", path, 1_000_000).startswith("OSError [Errno 27]")
    assert path.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["m", "m.small"]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits are Linux's here")
@pytest.mark.parametrize("kind", ["save", "load"])
def test_where_memory_ends_is_a_memory_error(tmp_path, kind):
    path = tmp_path / "m"
    fb.mlp([2000, 2000, 1], seed=0).save(path)
    before = path.read_bytes()
    said = [child(kind, path, extra * 1_000_000) for extra in (1, 5, 10, 20)]
    assert said[0].startswith("MemoryError ")
    assert all(x.startswith("MemoryError ") or x == "ok\n" for x in said), said
    assert path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["m", "m.small"]


def safetensors_file(header, data=b""):
    """A file of any header, as text or as what JSON makes of it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def one_tensor(dtype, n_bytes, shape=(2,)):
    entry = {"dtype": dtype, "shape": list(shape), "data_offsets": [0, n_bytes]}
    metadata = {"format": "fastbackprop", "version": "1", "model": "{}", "sha256": ""}
    header = {"__metadata__": metadata, "layers.0.weight": entry}
    return safetensors_file(header, bytes(n_bytes))


STRANGE = {
    **{f"type {x}": one_tensor(x, 2) for x in ("F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL")},
    **{f"type {x}": one_tensor(x, 4) for x in ("BF16", "F16", "I16", "U16")},
    **{f"type {x}": one_tensor(x, 16) for x in ("I64", "U64", "F64", "C64")},
    "type F4": one_tensor("F4", 1),
    "no such type": one_tensor("X", 4),
    "wrong size": one_tensor("F32", 4),
    "a scalar": one_tensor("F32", 4, ()),
    "no elements": one_tensor("F32", 0, (0, 3)),
    "huge shape": one_tensor("F32", 8, (2**63, 2**63)),
    "negative shape": one_tensor("F32", 8, (-2,)),
    "huge header": (2**63).to_bytes(8, "little") + b"{}",
    "header longer than the file": (10_000).to_bytes(8, "little") + b"{}",
    "metadata in metadata": safetensors_file({"__metadata__": {"format": {"a": [1]}}}),
    "metadata of numbers": safetensors_file({"__metadata__": {"format": 3}}),
    "metadata is a list": safetensors_file({"__metadata__": []}),
    "deep": safetensors_file(b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
    "not UTF-8": safetensors_file(b'{"\xff":1}'),
    "no object": safetensors_file(b"[]"),
    "empty": b"",
    "short": b"\x01",
}


@pytest.mark.parametrize("case", STRANGE)
def test_strange_files_are_refused(case, tmp_path):
    path = tmp_path / "m"
    path.write_bytes(STRANGE[case])
    with pytest.raises(fb.ModelFileError) as caught:
        fb.load(path)
    assert len(str(caught.value)) < len(str(path)) + 400
    assert "\n" not in str(caught.value)


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("key", ["n_in", "n_out", "activation", "slope", "bias"])
@pytest.mark.parametrize(
    "value", [nested(900), "x" * 100_000, {"a": 1}, None, 1e308, 10**400, -1, True, [], "relu"]
)
def test_any_description_loads_or_is_refused(tmp_path, key, value):
    path = tmp_path / "m"
    arrays = {
        "layers.0.weight": np.ones((1, 1), np.float32),
        "layers.0.bias": np.ones(1, np.float32),
    }
    layer = {"n_in": 1, "n_out": 1, "activation": "leaky_relu", "slope": 0.5, "bias": True}
    write_model_file(path, arrays, {"dtype": "float32", "layers": [{**layer, key: value}]})
    said = ""
    try:
        fb.load(path)
    except fb.ModelFileError as error:
        said = str(error)
    assert len(said) < len(str(path)) + 400


def test_mutated_files_load_or_are_refused(tmp_path):
    """Cut, repeated, swapped and overwritten anywhere, most often in the header."""
    path = tmp_path / "m"
    fb.mlp([3, 4, 2], output_activation="softmax", seed=0).save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    words = [b"BF16", b"I64", b"F8_E5M2", b"null", b"{}", b"[]", b"-1", b"1e999", b"9" * 30, b"\0"]
    n_refused = 0
    for _ in range(600):
        content = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            start, end = sorted(rng.integers(0, len(content) + 1, 2))
            match rng.integers(5):
                case 0:
                    content = content[:end]
                case 1:
                    content[start:start] = content[start:end]
                case 2:
                    content[start:end] = rng.bytes(end - start)
                case 3:
                    content[start : start + 4] = words[rng.integers(len(words))]
                case 4:
                    content = content.replace(b"F32", words[rng.integers(len(words))], 1)
        path.write_bytes(content)
        try:
            fb.load(path)
        except fb.ModelFileError:
            n_refused += 1
    assert n_refused > 500
