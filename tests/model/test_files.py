"""Model files hold the same bits or are refused; copies go on where the original was."""

import copy
import errno
import json
import os
import pickle
import re
import sys

import numpy as np
import pytest
from privates import ACTIVATIONS, digest_of_file, files
from reference import HIDDEN
from safetensors import safe_open
from safetensors.numpy import save_file

import fastbackprop as fb

X = np.linspace(-2, 2, 15).reshape(5, 3)


def make(dtype="float32", bias=True, output="softmax"):
    """Three layers of every hidden kind in turn, with biases that aren't zero."""
    activations = [fb.LeakyReLU(0.12345), fb.ELU(0.25), *HIDDEN, output]
    widths = [3, *([4, 7, 5, 1, 3] * len(activations))[: len(activations) - 1], 2]
    layers = [
        fb.Dense(n_in, n_out, activation, bias=bias, bias_init=fb.Uniform(-1, 2))
        for n_in, n_out, activation in zip(widths, widths[1:], activations, strict=False)
    ]
    return fb.Sequential(layers, seed=2, dtype=dtype)


@pytest.mark.parametrize("output", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loaded_model_predicts_the_same_bits(tmp_path, dtype, bias, output):
    model = make(dtype, bias, output)
    path = tmp_path / "m.safetensors"
    model.save(str(path))
    loaded = fb.load(path)
    assert loaded.predict(X).tobytes() == model.predict(X).tobytes()
    assert repr(loaded) == repr(model)
    assert loaded.summary() == model.summary()
    assert loaded.layers[0].slope == 0.12345
    assert repr(loaded.layers[1]).endswith("alpha=0.25)" if bias else "alpha=0.25, bias=False)")
    fb.Trainer(loaded, "half_squared_error").step(X, np.zeros((5, 2)))
    if output == "identity":  # it is trained like any other
        assert loaded.predict(X).tobytes() != model.predict(X).tobytes()


def test_the_file_is_plain_safetensors_with_names_and_a_description(tmp_path):
    model = make(bias=False)
    model.save(tmp_path / "m.safetensors")
    with safe_open(tmp_path / "m.safetensors", "numpy") as file:
        assert set(file.keys()) == {f"layers.{i}.weight" for i in range(len(model.layers))}
        assert (file.get_tensor("layers.1.weight") == model.layers[1].weight).all()
        metadata = file.metadata()
    assert (metadata["format"], metadata["version"]) == ("fastbackprop", "1")
    description = json.loads(metadata["model"])
    assert description["dtype"] == "float32"
    expected = {"n_in": 3, "n_out": 4, "activation": "leaky_relu", "slope": 0.12345, "bias": False}
    assert description["layers"][0] == expected


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_failing_write_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch, broken):
    path = tmp_path / "m.safetensors"
    make().save(path)
    before = path.read_bytes()

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(OSError, match="No space left"):
        make("float64").save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.safetensors"]


def test_saving_replaces_the_file_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "m.safetensors"
    make().save(path)
    make("float64").save(path)
    assert fb.load(path).dtype == np.float64
    assert os.listdir(tmp_path) == ["m.safetensors"]


def test_a_path_without_a_model_file_is_said_plainly(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.safetensors"):
        fb.load(tmp_path / "none.safetensors")
    with pytest.raises(OSError, match="directory"):
        fb.load(tmp_path)
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OSError, match="directory"):
        make().save(folder)
    with pytest.raises(FileNotFoundError):
        make().save(tmp_path / "nowhere" / "m.safetensors")
    assert os.listdir(tmp_path) == ["folder"]
    assert os.listdir(folder) == []


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """A small file whose every number can be told from a neighbour's by the outputs."""
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    fb.mlp([2, 2, 1], activation=fb.LeakyReLU(0.25), weight_init=fb.Uniform(-1, 1), seed=0).save(
        path
    )
    return path.read_bytes()


def test_a_truncated_file_is_refused(content, tmp_path):
    path = tmp_path / "m.safetensors"
    for length in [*range(0, len(content), 7), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(fb.ModelFileError, match="damaged"):
            fb.load(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(fb.ModelFileError, match="damaged"):
        fb.load(path)


def test_no_flipped_bit_loads_as_another_model(content, tmp_path):
    path = tmp_path / "m.safetensors"

    def what_it_is(model):
        layers = model.layers
        return repr(model), [
            (repr(x), x.slope, x.weight.tobytes(), x.bias.tobytes()) for x in layers
        ]

    path.write_bytes(content)
    original = what_it_is(fb.load(path))
    n_refused, others = 0, []
    flips = [
        (i, 1 << bit) for i in range(len(content)) for bit in {0, i % 8}
    ]  # bit 0 makes one digit another
    for i, flip in flips:
        damaged = bytearray(content)
        damaged[i] ^= flip
        path.write_bytes(damaged)
        try:
            if what_it_is(fb.load(path)) != original:
                others.append(bytes(damaged[i - 20 : i + 20]))
        except fb.ModelFileError:
            n_refused += 1
    assert not others
    assert n_refused > 0.95 * len(flips)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    save_file({"weight": np.ones(3, np.float32)}, path)
    with pytest.raises(fb.ModelFileError, match="not a model of fastbackprop"):
        fb.load(path)
    header = (
        b'{"w":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'  # a type that NumPy doesn't have
    )
    for other in (
        b"PK\x03\x04 a zip",
        b"{}",
        b"\xff" * 64,
        len(header).to_bytes(8, "little") + header + b"\0\0",
    ):
        path.write_bytes(other)
        with pytest.raises(fb.ModelFileError):
            fb.load(path)
    assert issubclass(fb.ModelFileError, OSError)


LAYER = {"n_in": 2, "n_out": 1, "activation": "leaky_relu", "slope": 0.5, "bias": True}
ARRAYS = {"layers.0.weight": np.ones((2, 1), np.float32), "layers.0.bias": np.ones(1, np.float32)}


def layer(**changes):
    return {"dtype": "float32", "layers": [{**LAYER, **changes}]}


FORGED = {
    "missing tensor": ({"layers.0.weight": ARRAYS["layers.0.weight"]}, layer()),
    "extra tensor": ({**ARRAYS, "layers.1.weight": np.ones((1, 1), np.float32)}, layer()),
    "extra bias": (ARRAYS, layer(bias=False)),
    "weight's shape": (ARRAYS, layer(n_in=3)),
    "bias's shape": ({**ARRAYS, "layers.0.bias": np.ones(2, np.float32)}, layer()),
    "weight's dtype": ({name: array.astype("f8") for name, array in ARRAYS.items()}, layer()),
    "bias's dtype": ({**ARRAYS, "layers.0.bias": np.ones(1)}, layer()),
    "width": (ARRAYS, layer(n_in="2")),
    "huge width": (ARRAYS, layer(n_in=10**30)),
    "activation": (ARRAYS, layer(activation="swoosh")),
    "slope NaN": (ARRAYS, layer(slope=float("nan"))),
    "slope negative": (ARRAYS, layer(slope=-1.0)),
    "slope huge": (ARRAYS, layer(slope=10**400)),
    "bias": (ARRAYS, layer(bias="yes")),
    "dtype": (ARRAYS, {**layer(), "dtype": "float16"}),
    "no layers": ({}, {"dtype": "float32", "layers": []}),
    "layers unfit": (
        {
            **ARRAYS,
            "layers.1.weight": np.ones((2, 1), np.float32),
            "layers.1.bias": np.ones(1, np.float32),
        },
        {"dtype": "float32", "layers": [LAYER, LAYER]},
    ),
    "a list": (ARRAYS, []),
    "a number": (ARRAYS, 3),
    "nothing": (ARRAYS, None),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_whole_file_that_makes_no_sense_is_refused(case, tmp_path):
    path = tmp_path / "m.safetensors"
    files.write_model_file(path, *FORGED[case])
    with pytest.raises(fb.ModelFileError, match="damaged"):
        fb.load(path)
    files.write_model_file(
        path, ARRAYS, layer()
    )  # the same way of writing makes a good file of good parts
    assert fb.load(path).layers[0].slope == 0.5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_slope_that_the_dtype_makes_infinite_is_refused(dtype, tmp_path):
    path = tmp_path / "m.safetensors"
    arrays = {name: array.astype(dtype) for name, array in ARRAYS.items()}
    files.write_model_file(path, arrays, {**layer(slope=1e39), "dtype": dtype})
    if dtype == "float64":
        assert fb.load(path).layers[0].slope == 1e39
    else:
        with pytest.raises(fb.ModelFileError, match=r"slope of layers\[0\] must fit float32, got"):
            fb.load(path)
    for slope in (0.0, 1e-40, 1e-60, 3e38):  # some can't be built with, but 0.1 wrote them
        files.write_model_file(path, arrays, {**layer(slope=slope), "dtype": dtype})
        assert fb.load(path).layers[0].slope == slope


@pytest.mark.parametrize("version", ["4", "", "x", "-1", "\u00b2", "9" * 5000])
def test_a_newer_version_is_refused(tmp_path, monkeypatch, version):
    path = tmp_path / "m.safetensors"
    with monkeypatch.context() as patch:
        patch.setattr(files, "FORMAT_VERSION", version)
        make().save(path)
    with pytest.raises(fb.ModelFileError, match="version"):
        fb.load(path)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\x00", '{"dtype": "float32"}', "NaN"])
def test_a_description_that_is_no_json_is_refused(tmp_path, monkeypatch, text):
    path = tmp_path / "m.safetensors"
    with monkeypatch.context() as patch:
        patch.setattr(json, "dumps", lambda description: text)
        make().save(path)
    with pytest.raises(fb.ModelFileError, match="damaged"):
        fb.load(path)


COPIES = {
    f"pickle {p}": lambda x, p=p: pickle.loads(pickle.dumps(x, p))
    for p in range(pickle.HIGHEST_PROTOCOL + 1)
}
COPIES["deepcopy"] = copy.deepcopy


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_of_a_model_is_the_same_and_independent(how):
    model = make("float64")
    y_hat = model.predict(X)
    other = COPIES[how](model)
    assert other.predict(X).tobytes() == y_hat.tobytes()
    assert other.summary() == model.summary()
    other.layers[0].weight[:] = 7
    assert model.predict(X).tobytes() == y_hat.tobytes()


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_training_goes_on_with_the_same_bits_from_a_copy(how, momentum):
    trainer = fb.Trainer(
        make(), "cross_entropy", fb.SGD(0.1, momentum=momentum), batch_size=2, seed=3
    )
    y = np.array([0, 1, 1, 0, 1])
    trainer.fit(X, y, epochs=3)
    other = COPIES[how](trainer)
    assert other.history == trainer.history
    assert trainer.fit(X, y, epochs=3).loss == other.fit(X, y, epochs=3).loss
    assert trainer.model is not other.model
    for one, two in zip(trainer.model.layers, other.model.layers, strict=True):
        assert one.weight.tobytes() == two.weight.tobytes()
        assert one.bias.tobytes() == two.bias.tobytes()


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need rights there")
def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    fb.mlp([2, 1], seed=0).save(link)
    assert link.is_symlink()
    assert fb.load(target).n_in == 2


def test_paths_that_cannot_be_written_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"folder that is there, got .*nowhere"):
        fb.mlp([2, 1]).save(tmp_path / "nowhere" / "m")
    with pytest.raises(IsADirectoryError, match="got the directory"):
        fb.mlp([2, 1]).save(tmp_path)


def test_what_is_not_there_is_told_from_a_link_in_a_circle(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for nowhere in (tmp_path / "none", tmp_path / "file" / "below", "a\0b"):
        with pytest.raises(FileNotFoundError, match="which is not there"):
            fb.load(nowhere)
    if os.name == "posix":
        circle = tmp_path / "circle"
        circle.symlink_to(circle)
        with pytest.raises(OSError, match=re.escape(os.strerror(errno.ELOOP))):
            fb.load(circle)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_not_saved(tmp_path, number):
    path = tmp_path / "m"
    model = fb.mlp([2, 3, 1], seed=0)
    model.save(path)
    before = path.read_bytes()
    model.layers[1].weight[2, 0] = number
    with pytest.raises(ValueError, match=rf"got {number} in layers\[1\]\.weight\[2, 0\]"):
        model.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m"]
    # Whoever wants to look into such a model has a copy.
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(other.layers[1].weight[2, 0], number, equal_nan=True)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_file_with_weights_that_are_not_finite_is_refused(tmp_path, monkeypatch, number):
    path = tmp_path / "m"
    arrays = {**ARRAYS, "layers.0.bias": np.full(1, number, np.float32)}
    with monkeypatch.context() as patch:  # as version 0.1 wrote it
        patch.setattr(files, "_not_finite", lambda tensors: None)
        files.write_model_file(path, arrays, layer())
    with pytest.raises(fb.ModelFileError, match=rf"got {number} in layers\[0\]\.bias\[0\]"):
        fb.load(path)


def test_saving_twice_writes_the_same_bytes(tmp_path):
    model = make()
    model.save(tmp_path / "one")
    model.save(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_weights_that_change_while_they_are_written_are_written_as_they_were(tmp_path, monkeypatch):
    model = make()
    before = model.predict(X)
    digest = digest_of_file

    def digest_and_train(tensors, *texts):
        model.layers[0].weight[:] += 1
        return digest(tensors, *texts)

    with monkeypatch.context() as patch:
        patch.setattr(files, "_digest", digest_and_train)
        model.save(tmp_path / "m")
    assert fb.load(tmp_path / "m").predict(X).tobytes() == before.tobytes()
