"""Initial weights: the right distribution, and the same bits for the same seed for ever."""

from statistics import NormalDist

import numpy as np
import pytest
from privates import TABLE, normal, uniform

import fastbackprop as fb


def draw(init, n_in=400, n_out=300, seed=0, activation="identity"):
    layer = fb.Dense(n_in, n_out, activation, weight_init=init)
    return fb.Sequential([layer], seed=seed, dtype="float64").layers[0].weight


# Variances from the papers, for 400 inputs and 300 outputs.
VARIANCES = {
    "he_normal": 2 / 400,
    "he_uniform": 2 / 400,
    "glorot_normal": 2 / 700,
    "glorot_uniform": 2 / 700,
    "lecun_normal": 1 / 400,
    "uniform": 0.1**2 / 12,
}
OBJECTS = {
    "he_normal": fb.HeNormal(),
    "he_uniform": fb.HeUniform(),
    "glorot_normal": fb.GlorotNormal(),
    "glorot_uniform": fb.GlorotUniform(),
    "lecun_normal": fb.LecunNormal(),
    "uniform": fb.Uniform(),
    "zeros": fb.Zeros(),
}


@pytest.mark.parametrize("name", VARIANCES)
def test_mean_variance_and_shape_of_the_distribution(name):
    w = draw(name)
    variance = VARIANCES[name]
    n = w.size
    # Five standard errors each.
    assert abs(w.mean()) < 5 * (variance / n) ** 0.5
    assert abs(w.var() / variance - 1) < 5 * (2 / n) ** 0.5
    kurtosis = (w**4).mean() / w.var() ** 2
    assert kurtosis == pytest.approx(3 if "normal" in name else 1.8, abs=0.1)
    if "uniform" in name:
        bound = (3 * variance) ** 0.5
        assert 0.999 * bound < abs(w).max() <= bound
    # No two weights by the same word, and no pattern from row to row.
    assert len(np.unique(w)) == n
    assert abs(np.corrcoef(w[:-1].ravel(), w[1:].ravel())[0, 1]) < 5 * n**-0.5


@pytest.mark.parametrize("name", OBJECTS)
def test_a_name_is_the_object_and_the_seed_decides(name):
    one = draw(name, seed=7)
    assert one.tobytes() == draw(OBJECTS[name], seed=7).tobytes()
    if name == "zeros":
        assert not one.any()
    else:
        assert not (one == draw(name, seed=8)).any()


@pytest.mark.parametrize(
    ("activation", "name"),
    [*((name, row.initializer) for name, row in TABLE.items()), (fb.LeakyReLU(0.3), "he_normal")],
)
def test_auto_fits_the_activation_and_is_the_default(activation, name):
    expected = draw(name, activation=activation).tobytes()
    assert draw("auto", activation=activation).tobytes() == expected
    assert (
        fb.Sequential([fb.Dense(400, 300, activation)], seed=0, dtype="f8")
        .layers[0]
        .weight.tobytes()
        == expected
    )


def test_bounds_constants_and_arrays_are_taken_as_they_are():
    w = draw(fb.Uniform(-1.5, 4))
    assert -1.5 < w.min() < -1.4
    assert 3.9 < w.max() < 4
    for constant in (fb.Constant(0.3), 0.3):
        assert (draw(constant) == 0.3).all()
    given = np.arange(6).reshape(2, 3)
    layer = fb.Dense(2, 3, weight_init=given, bias_init=[7, 8, 9])
    given[:] = 0  # the layer has its own copy
    fb.Sequential([layer])
    assert layer.weight.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert layer.bias.tolist() == [7, 8, 9]


@pytest.mark.parametrize(
    "number", [1, 0.5, np.float64(0.5), np.float32(0.5), np.int64(1)], ids=repr
)
def test_a_number_of_any_type_is_a_constant(number):
    assert (draw(number, 2, 2) == number).all()


def test_biases_are_zero_unless_asked_for():
    assert not fb.mlp([3, 4], seed=0).layers[0].bias.any()
    layer = fb.Dense(3, 1000, bias_init=fb.Uniform(1, 2))
    fb.Sequential([layer], seed=0)
    assert layer.bias.min() >= 1
    assert layer.bias.std() > 0.2


def test_one_generator_fills_all_layers_in_order():
    # A second layer of the same shape must not repeat the first.
    model = fb.mlp([50, 50, 50], activation="tanh", seed=0)
    assert not (model.layers[0].weight == model.layers[1].weight).any()


GOLDEN_UNIFORM = [
    "0x1.461fd79fb3850p-1",
    "0x1.1442f7e20b675p-2",
    "0x1.4fa7b529d9bd8p-5",
    "0x1.0ec9ed84d0bd0p-6",
    "0x1.a064f4f059bcap-1",
]
GOLDEN_NORMAL = [
    "0x1.66c1f2a4fbb69p-2",
    "-0x1.3a1730bdfda1ep-1",
    "-0x1.bd4fcc8e168d1p+0",
    "-0x1.10d2160e350fdp+1",
    "0x1.c7afa2331b042p-1",
]


def test_golden_numbers_of_seed_0():
    # Exact for ever: a model made with a seed today must come out the same with any NumPy, on any
    # machine.
    got = [x.hex() for x in draw(fb.Uniform(0, 1), 1, 5).ravel().tolist()]
    assert got == GOLDEN_UNIFORM
    # One input: LeCun's variance 1 / n_in is 1, so these are the standard normal numbers.
    got = [x.hex() for x in draw("lecun_normal", 1, 5).ravel().tolist()]
    assert got == GOLDEN_NORMAL
    # Independent of the mapping: NumPy's own first number, less its half step.
    u = float.fromhex(GOLDEN_UNIFORM[0])
    assert u == pytest.approx(np.random.Generator(np.random.PCG64(0)).random(), abs=2e-16)
    assert float.fromhex(GOLDEN_NORMAL[0]) == pytest.approx(NormalDist().inv_cdf(u))


class Words:
    """Stands in for the bit generator: gives the words that it was made with."""

    def __init__(self, words):
        self.words = np.array(words, np.uint64)

    def random_raw(self, size):
        return self.words[:size]


def test_uniform_reaches_neither_0_nor_1():
    u = uniform(Words([0, 2**64 - 1, 2**63]), 3)
    assert 0 < u[0] < 1e-15
    assert u[2] == pytest.approx(0.5)
    assert 1 - 1e-15 < u[1] < 1


def test_normal_is_the_quantile_of_the_normal_distribution():
    # Every part of the formula: the centre, both tails, and the far tails beyond 1 in e^25.
    spread = np.linspace(1, 2**64 - 2**12, 4001).astype(np.uint64)
    tails = [2**i for i in range(11, 64)]
    words = Words([*spread.tolist(), *tails, *(2**64 - word for word in tails)])
    u, got = uniform(words, len(words.words)), normal(words, len(words.words))
    expected = np.array([NormalDist().inv_cdf(p) for p in u.tolist()])
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-15)
    assert u.min() < np.exp(-25)
    assert got.min() < -8
    assert got.max() > 8
