"""Parameters as one vector, as views, and what becomes of what is written through them."""

import numpy as np
import pytest

import fastbackprop as fb

DTYPES = ["float32", "float64"]


def network(dtype="float32"):
    layers = [
        fb.Dense(3, 10, "tanh", bias_init="uniform"),
        fb.Dense(10, 16, "relu", bias=False),
        fb.Dense(16, 1, bias_init="uniform"),
    ]
    return fb.Sequential(layers, seed=0, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_vector_is_layer_by_layer_weight_row_by_row_then_bias(dtype):
    model = network(dtype)
    flat = model.get_parameters()
    one, two, three = model.layers
    expected = [*one.weight.flat, *one.bias, *two.weight.flat, *three.weight.flat, *three.bias]
    assert flat.dtype == model.dtype
    assert flat.shape == (model.n_parameters,)
    assert flat.tolist() == expected


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_vector_is_a_copy_and_sets_the_parameters(dtype):
    model, other = network(dtype), fb.mlp([3, 10, 16, 1], seed=5, dtype=dtype)
    flat = model.get_parameters()
    flat[:] = 7
    assert (model.get_parameters() != 7).all()
    numbers = np.arange(model.n_parameters)  # integers of any dtype are taken too
    model.set_parameters(numbers)
    assert model.get_parameters().tolist() == numbers.tolist()
    assert model.layers[0].weight[1, 0] == 10
    assert model.layers[0].bias[0] == 30
    assert model.layers[1].weight[0, 1] == 41
    x = np.linspace(0, 1, 9).reshape(3, 3)
    other.set_parameters(np.linspace(-1, 1, other.n_parameters).tolist())
    copied = fb.mlp([3, 10, 16, 1], dtype=dtype)
    copied.set_parameters(other.get_parameters())
    assert copied.predict(x).tobytes() == other.predict(x).tobytes()


BAD = {
    "short": (lambda n: np.ones(n - 1), ValueError, r"flat must have shape \(217,\), got \(216,\)"),
    "matrix": (lambda n: np.ones((1, n)), ValueError, r"flat must have shape \(217,\)"),
    "NaN": (
        lambda n: np.r_[np.ones(n - 1), np.nan],
        ValueError,
        "flat must be finite, got nan at index 216",
    ),
    "too large": (
        lambda n: np.r_[np.ones(n - 1), 1e39],
        ValueError,
        r"flat must fit float32, got 1e\+39 at index 216",
    ),
    "complex": (lambda n: np.ones(n, complex), TypeError, "flat must be an array of real numbers"),
    "text": (lambda n: ["a"] * n, TypeError, "flat must be an array of real numbers"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_vector_changes_nothing(case):
    make, error, words = BAD[case]
    model = network()
    before = model.get_parameters().tobytes()
    with pytest.raises(error, match=words):
        model.set_parameters(make(model.n_parameters))
    assert model.get_parameters().tobytes() == before


@pytest.mark.parametrize("name", ["weight", "bias", "weight_gradient", "bias_gradient"])
def test_what_is_written_through_a_view_is_not_refused_after_it_is_done(name):
    layer = network().layers[0]
    view = getattr(layer, name)
    view[...] = 1
    exec(f"layer.{name} *= 3", {"layer": layer})
    assert (getattr(layer, name) == 3).all()
    exec(f"layer.{name} *= nan", {"layer": layer, "nan": np.nan})  # no check, as for view[...] = x
    assert np.isnan(getattr(layer, name)).all()
    # What isn't the view itself is checked before anything is done.
    view[...] = 2
    for wrong in (view * np.nan, np.full_like(view, np.inf)):
        with pytest.raises(ValueError, match=f"^{name} must be finite"):
            setattr(layer, name, wrong)
    assert (getattr(layer, name) == 2).all()
    setattr(layer, name, view[::-1] + np.arange(view.shape[-1]))
    assert (getattr(layer, name) == 2 + np.arange(view.shape[-1])).all()


def test_a_view_of_another_layer_or_order_is_copied_in():
    model = fb.mlp([3, 3, 3], seed=0)
    one, two = model.layers
    one.weight = two.weight
    assert (one.weight == two.weight).all()
    expected = one.weight.T.copy()
    one.weight = one.weight.T
    assert (one.weight == expected).all()


@pytest.mark.parametrize(("n_out", "is_view"), [(10, False), (16, True), (256, False)])
def test_ravel_is_a_copy_at_the_widths_that_the_docstring_says(n_out, is_view):
    weight = fb.mlp([3, n_out], weight_init="zeros").layers[0].weight
    weight.ravel()[:] = 1
    assert weight.any() == is_view
    weight.flat[:] = 2
    assert (weight == 2).all()


SIZES = {
    "Dense": lambda: fb.Sequential([fb.Dense(2**62, 2**10)]),
    "a width beyond int64": lambda: fb.Sequential([fb.Dense(2**70, 1)]),
    "mlp": lambda: fb.mlp([2**40, 2**40, 1]),
    "float64": lambda: fb.mlp([2**62, 1], dtype="float64"),
    "what wraps to a small number": lambda: fb.mlp([2**32, 2**32], bias=False),
    "what can be addressed but isn't there": lambda: fb.mlp([2**26, 2**26]),
}


@pytest.mark.parametrize("case", SIZES)
def test_absurd_sizes_are_one_sentence_that_says_how_large(case):
    with pytest.raises(
        MemoryError, match=r"^The model's parameters must fit into memory, got [\d,.]+ .iB\.$"
    ):
        SIZES[case]()


def test_predictions_too_many_for_memory_are_one_sentence():
    model = fb.mlp([1, 2**10], seed=0)
    X = np.broadcast_to(np.float32(1), (2**40, 1))
    with pytest.raises(MemoryError, match=r"^The predictions must fit into memory, got 4.0 PiB\.$"):
        model.predict(X)
    X = np.broadcast_to(np.float32(1), (2**60, 1))
    with pytest.raises(MemoryError, match=r"^The predictions must fit into memory, got 4,096.0 E"):
        model.predict(X)
