"""Initial weights are drawn in parts: little memory, and the bits of drawing all at once."""

import hashlib
import tracemalloc

import numpy as np
import pytest

import fastbackprop as fb

# Of version 0.1, which drew all numbers of a layer at once. The layers are wider, and longer, than
# a part; float32 and float64.
GOLDEN = {
    "he_normal": "3e3deee2055a9e40",
    "he_uniform": "d548316ebc3e7c30",
    "glorot_normal": "459ab68f3bb6d176",
    "glorot_uniform": "77440d5db52dd9b2",
    "lecun_normal": "1abee437dc885e1f",
    "uniform": "6503e9eba15e3416",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_parts_have_the_bits_of_the_whole(name):
    digest = hashlib.sha256()
    for dtype in ("float32", "float64"):
        wide = fb.Dense(3, 20000, weight_init=name, bias_init=name)
        model = fb.Sequential(
            [wide, fb.Dense(20000, 2, weight_init=name), fb.Dense(2, 1)], seed=5, dtype=dtype
        )
        for layer in model.layers:
            digest.update(layer.weight.tobytes() + layer.bias.tobytes())
    assert digest.hexdigest()[:16] == GOLDEN[name]


@pytest.mark.parametrize("init", [*GOLDEN, "zeros", 0.5], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_drawing_takes_little_more_memory_than_the_weights(init, dtype):
    fb.mlp([2, 2], weight_init=init, dtype=dtype)
    tracemalloc.start()
    try:
        model = fb.mlp([1000, 1500, 10], weight_init=init, dtype=dtype, seed=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 6 or 12 MB, the padding of rows, and some 3 MB for the part that is being drawn.
    assert peak < 1.1 * model.n_parameters * model.dtype.itemsize + 4e6


@pytest.mark.parametrize("shape", [(3, 20000), (2, 2)])
def test_what_the_dtype_cannot_hold_is_refused_before_it_is_drawn(shape):
    with pytest.raises(ValueError, match="weight_init must fit float32, got 1e\\+39, which is not"):
        fb.Sequential([fb.Dense(*shape, weight_init=1e39)])


def test_a_place_beyond_the_first_part_is_that_of_the_whole():
    class Late(fb.Constant):
        def _draw(self, generator, size, n_in, n_out):
            Late.drawn += size
            numbers = np.zeros(size)
            if Late.drawn > 50_000:
                numbers[7] = 1e39
            return numbers

    for shape, words in {
        (3, 20000): "at row 2, column 7;",  # a row is drawn as 16,384 numbers and 3,616
        (100, 1000): "at row 48, column 7;",  # 16 rows at a time
    }.items():
        Late.drawn = 0
        with pytest.raises(ValueError, match=words):
            fb.Sequential([fb.Dense(*shape, weight_init=Late(0.0))])
    Late.drawn = 0
    with pytest.raises(ValueError, match=r"bias_init must fit float32, got .* at index 49159;"):
        fb.Sequential([fb.Dense(1, 100_000, weight_init="zeros", bias_init=Late(0.0))])


def test_a_constructor_that_fails_leaves_its_layers_for_another_model():
    layers = [fb.Dense(2, 2, weight_init="uniform"), fb.Dense(2, 1, weight_init=1e39)]
    with pytest.raises(ValueError, match="must fit float32"):
        fb.Sequential(layers)
    assert fb.Sequential(layers, dtype="float64").layers[1].weight[0, 0] == 1e39
