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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tau", [0, 0.005, 0.25, 1])
def test_a_soft_update_is_its_formula_to_the_bit(dtype, tau):
    target, online = (fb.mlp([3, 200, 100, 2], seed=s, dtype=dtype) for s in (0, 1))
    before, other = target.get_parameters(), online.get_parameters()
    target.soft_update(online, tau)
    number = np.dtype(dtype).type
    expected = before * number(1 - tau) + other * number(tau)
    assert target.get_parameters().tobytes() == expected.tobytes()
    assert online.get_parameters().tobytes() == other.tobytes()
    # The padding is what it was: predictions are those of a model made of the vector.
    twin = fb.mlp([3, 200, 100, 2], dtype=dtype)
    twin.set_parameters(expected)
    assert twin.predict(np.eye(3)).tobytes() == target.predict(np.eye(3)).tobytes()


def test_copied_weights_are_the_same_bits_whatever_was_there():
    target, online = network(), network()
    online.layers[0].weight[0, 0] = -0.0
    target.layers[0].weight[...] = np.nan
    target.copy_weights_from(online)
    assert target.get_parameters().tobytes() == online.get_parameters().tobytes()
    target.copy_weights_from(target)
    assert target.get_parameters().tobytes() == online.get_parameters().tobytes()


@pytest.mark.parametrize("tau", [0.25, 1])
def test_running_statistics_go_along(tau):
    def make(seed):
        layers = [fb.Dense(3, 5), fb.BatchNorm(), fb.Activation("tanh"), fb.Dense(5, 1)]
        model = fb.Sequential(layers, seed=seed)
        trainer = fb.Trainer(model, "half_squared_error", seed=0)
        trainer.fit(np.random.default_rng(seed).normal(size=(50, 3)), np.ones(50))
        return model

    target, online = make(0), make(1)
    norms = [model.layers[1] for model in (target, online)]
    before = [(norm.running_mean.copy(), norm.running_variance.copy()) for norm in norms]
    target.soft_update(online, tau)
    for now, own, other in zip(
        (norms[0].running_mean, norms[0].running_variance), *before, strict=True
    ):
        expected = own * np.float32(1 - tau) + other * np.float32(tau)
        assert now.tobytes() == expected.tobytes()
    with pytest.raises(ValueError, match=r"^online must have layers"):
        target.soft_update(fb.mlp([3, 5, 5, 1], seed=0), tau)


def test_a_subclass_and_other_activations_are_taken():
    class Own(fb.Sequential):
        pass

    online = Own([fb.Dense(3, 4, "tanh"), fb.Dense(4, 1)], seed=1)
    target = fb.mlp([3, 4, 1], seed=0)
    target.copy_weights_from(online)
    assert (target.get_parameters() == online.get_parameters()).all()


UNLIKE = {
    "shape": (lambda: fb.mlp([3, 5, 1]), ValueError, r"^online must have layers of .*\(3, 4, True"),
    "bias": (lambda: fb.mlp([3, 4, 1], bias=False), ValueError, "^online must have layers of"),
    "dtype": (lambda: fb.mlp([3, 4, 1], dtype="float64"), ValueError, "in float32.* in float64"),
    "no model": (lambda: np.ones(21), TypeError, "^online must be a Sequential, got ndarray"),
}


@pytest.mark.parametrize("case", UNLIKE)
def test_another_kind_of_model_changes_nothing(case):
    make, error, words = UNLIKE[case]
    target, online = fb.mlp([3, 4, 1], seed=0), make()
    before = target.get_parameters().tobytes()
    with pytest.raises(error, match=words):
        target.soft_update(online, 0.5)
    with pytest.raises(error, match=words):
        target.copy_weights_from(online)
    assert target.get_parameters().tobytes() == before


def test_a_wrong_tau_and_weights_that_are_not_finite_change_nothing():
    target, online = network(), network()
    before = target.get_parameters().tobytes()
    for tau, error in (
        (-0.1, ValueError),
        (1.1, ValueError),
        (np.nan, ValueError),
        ("1", TypeError),
    ):
        with pytest.raises(error, match=r"^tau must be"):
            target.soft_update(online, tau)
    online.layers[2].bias[0] = np.inf
    words = r"^online must have finite weights, got inf in layers\[2\].bias\[0\]"
    with pytest.raises(ValueError, match=words):
        target.soft_update(online, 0.5)
    with pytest.raises(ValueError, match=words):
        target.copy_weights_from(online)
    assert target.get_parameters().tobytes() == before
