"""Nets whose weights don't stay near a core: threads meet behind each layer, to the same bits."""

from itertools import pairwise, product

import numpy as np
import pytest
from privates import dispatch as _dispatch
from privates import loop as _loop
from privates import network_of
from privates import sharing as _sharing
from privates import structure as _structure
from privates import visits as _visits
from reference import DTYPES, VARIANTS, Kernels, Layer
from threads_shared import sha256

import fastbackprop as fb

# More than 4 MB of weights in either dtype; columns that end in the middle of a panel and of a
# cache line, one layer that is a single panel, and one of a few outputs.
WIDTHS = (700, 1301, 201, 40, 11)
ROWS = (1, 7, 65, 300, 520)  # few go back by W as it is stored; 257 and more are two blocks
on_every_kernel = pytest.mark.parametrize(("variant", "dtype"), list(product(VARIANTS, DTYPES)))


@pytest.fixture(autouse=True)
def second_cache(monkeypatch):
    """Of 1 MB, whatever this CPU has."""
    monkeypatch.setattr(_structure, "near_weights", lambda: 4 << 20)


def data_for(n, widths=WIDTHS):
    rng = np.random.default_rng(5)
    return rng.normal(size=(n, widths[0])), rng.normal(size=(n, widths[-1]))


@on_every_kernel
def test_any_number_of_threads_trains_to_the_same_bits(variant, dtype):
    rng = np.random.default_rng(3)
    layers = [
        Layer(rng.normal(size=(a, b)) / a**0.5, rng.normal(size=b) / 9, activation)
        for a, b, activation in zip(
            WIDTHS, WIDTHS[1:], ["relu", "tanh", "gelu", "identity"], strict=False
        )
    ]
    for n in ROWS:
        X, y = data_for(2 * n)
        results = []
        for n_threads in (1, 2, 3):
            net = Kernels(variant, dtype, layers)
            fence = net.spoil_scratch(n)
            state = net.state().buffer
            net.train(
                loss="half_squared_error", optimizer=(1e-3, 0.0, False, 0.0), X=X, y=y,
                order=None, batch_size=n, state=state, n_threads=n_threads,
                crowded=n_threads > 2,
            )  # fmt: skip
            assert np.isnan(fence).all(), "wrote behind the scratch"
            results.append(sha256(net.parameters.values))
        assert len(set(results)) == 1, n


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("how", "options", "layer_options"),
    [
        ({"activation": "selu"}, {}, {}),
        ({"dropout": 0.3}, {"clip_norm": 0.5}, {}),
        ({"normalization": "layer"}, {}, {}),
        ({"normalization": "batch"}, {"clip_norm": 0.5}, {}),
        ({}, {}, {"max_norm": 0.7}),
        ({}, {"clip_value": 1e-3}, {"l1": 1e-4}),
        ({}, {}, {"trainable": False}),
    ],
)
def test_all_kinds_of_layers_learn_the_same_by_any_number_of_threads(
    dtype, how, options, layer_options
):
    widths = (600, 1801, 40, 3)
    X, y = data_for(270, widths)
    results = []
    for n_threads in (1, 2, 3):
        model = fb.mlp(widths, seed=0, dtype=dtype, **how)
        if layer_options:
            layers = [fb.Dense(a, b, activation="relu") for a, b in pairwise(widths[1:])]
            first = fb.Dense(*widths[:2], activation="relu", **layer_options)
            model = fb.Sequential([first, *layers], seed=0, dtype=dtype)
        optimizer = fb.Adam(1e-3, weight_decay=1e-3)
        trainer = fb.Trainer(
            model, "half_squared_error", optimizer, batch_size=130, seed=1, n_threads=n_threads,
            **options,
        )  # fmt: skip
        trainer.fit(X, y, epochs=2, progress_bar=False)
        results.append(sha256(model.get_parameters()))
    assert len(set(results)) == 1


def test_threads_share_out_columns_where_weights_are_many():
    kernel = _dispatch.kernels("float32")
    small, large = (fb.mlp(widths) for widths in ([784, 128, 10], [1024, 1024, 1024, 10]))
    assert kernel.chunks_of_rows(network_of(small), 100) == 7, "16 rows each"
    one, two = (kernel.chunks_of_rows(network_of(large), n) for n in (16, 300))
    assert one > 16, "panels of a layer"
    assert two == 2 * one, "blocks of rows"


@on_every_kernel
def test_no_two_chunks_of_columns_are_in_the_same_cache_line(variant, dtype):
    layers = [Layer(np.zeros(shape), None, "identity") for shape in ((2000, 1301), (1301, 1))]
    net = Kernels(variant, dtype, layers)
    chunks = net.kernels.chunks_of_rows(net.network, 16)
    assert 16 < chunks <= -(-1301 * net.dtype.itemsize // 64)


@pytest.mark.parametrize("widths", [(300, 261, 200, 7), (700, 1301, 201, 40, 3)])
def test_calls_go_on_with_the_weights_that_the_last_one_packed(monkeypatch, widths):
    """However many steps are in a call, and by however many threads it is."""
    X, y = data_for(150, widths)

    def trained(operations, n_threads):
        monkeypatch.setattr(_visits, "OPERATIONS_PER_CALL", operations)
        turns = iter(n_threads * 1000)
        monkeypatch.setattr(_loop, "share_of_work", lambda *_: (next(turns), False))
        model = fb.mlp(widths, seed=0)
        trainer = fb.Trainer(model, "half_squared_error", fb.SGD(1e-3), batch_size=24, seed=1)
        trainer.fit(X, y, epochs=2, progress_bar=False)
        return sha256(model.get_parameters())

    expected = trained(1e15, [1])
    for n_threads in ([1], [2], [1, 2], [2, 1, 5]):
        assert trained(1.0, n_threads) == expected


def test_what_stays_near_a_core_depends_on_its_second_cache(monkeypatch):
    monkeypatch.setattr(_sharing.cpu, "second_cache", lambda: 0)
    _sharing.near_weights.cache_clear()
    assert _sharing.near_weights() == 4 << 20, "usual"
    monkeypatch.undo()
    _sharing.near_weights.cache_clear()
    assert 1 << 18 <= _sharing.near_weights() <= 1 << 30
    monkeypatch.setattr(_structure, "near_weights", lambda: 1 << 40)
    model = fb.mlp([1024, 1024, 1024, 10])
    assert _dispatch.kernels("float32").chunks_of_rows(network_of(model), 100) == 7
