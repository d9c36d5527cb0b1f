"""The number of a finding is that of the column it names first; units that are copies are named."""

import numpy as np
import pytest

import fastbackprop as fb


def data(n_in=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(300, n_in)), rng.integers(0, 3, 300)


def network(n_in=6, **options):
    options = {"activation": "tanh", "output_activation": "softmax", "seed": 0, **options}
    return fb.mlp([n_in, 10, 3], **options)


def finding(name, X, y, model=None, loss="cross_entropy"):
    found = fb.diagnose(model or network(X.shape[1]), X, y, loss=loss).findings
    return next(x for x in found if x.name == name)


def test_unscaled_inputs_are_sorted_by_size_with_their_numbers():
    X, y = data(14)
    X[:, [0, 3, 4, 12]] *= [20, 50, 30, 800]
    found = finding("unscaled inputs", X, y)
    sizes = np.sqrt((X**2).mean(axis=0))
    assert found.value == pytest.approx(sizes[12])
    assert found.where == (
        f"x[12] ({sizes[12]:.3g}), x[3] ({sizes[3]:.3g}), x[4] ({sizes[4]:.3g}) and 1 more"
    )
    assert str(found).startswith(f"unscaled inputs, {found.where}: {sizes[12]:.3g}. ")


def test_constant_inputs():
    X, y = data(20)
    X[:, [1, 4, 5]] = [1, -7, 0]
    found = finding("constant inputs", X, y)
    assert (found.where, found.value) == ("x[4] (-7), x[1] (1), x[5] (0)", -7)


def test_inputs_that_hardly_vary_begin_with_the_one_that_varies_least():
    X, y = data()
    X[:, 1] = 1 + X[:, 1] * 1e-2
    X[:, 4] = 1 + X[:, 4] * 1e-4
    found = finding("inputs that hardly vary", X, y)
    ratios = abs(X.mean(axis=0)) / X.std(axis=0)
    assert found.where == f"x[4] ({ratios[4]:.3g}), x[1] ({ratios[1]:.3g})"
    assert found.value == pytest.approx(ratios[4], rel=1e-4)  # X becomes float32


def test_inputs_of_different_scale_begin_with_the_narrowest():
    X, y = data()
    X[:, [0, 5]] /= [200, 5000]
    found = finding("inputs of different scale", X, y)
    parts = X.std(axis=0) / X.std(axis=0).max()
    assert found.where == f"x[5] ({parts[5]:.3g}), x[0] ({parts[0]:.3g})"
    assert found.value == pytest.approx(parts[5])


def test_targets_name_their_column_where_there_are_several():
    X, _ = data()
    y = np.random.default_rng(1).normal(size=(300, 3)) * [1, 500, 900]
    model = fb.mlp([6, 10, 3], activation="tanh", seed=0)
    sizes = np.sqrt((y**2).mean(axis=0))
    found = finding("unscaled targets", X, y, model, "half_squared_error")
    assert found.where == f"y[2] ({sizes[2]:.3g}), y[1] ({sizes[1]:.3g})"
    assert found.value == pytest.approx(sizes[2])
    behind_tanh = fb.mlp([6, 10, 3], activation="tanh", output_activation="tanh", seed=0)
    y = np.full((300, 3), 0.5)
    y[7, 1] = 4
    found = finding("unreachable targets", X, y, behind_tanh, "half_squared_error")
    assert (found.where, found.value) == ("y[1]", 4)


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_equal_initial_weights_are_a_finding_and_stay_one(activation):
    X, y = data()
    model = network(activation=activation, weight_init=0.5)
    for _ in range(2):
        found = finding("equal units", X, y, model)
        assert found.where == "layer 1 (layers[0]), 10 of 10 units"
        assert found.value == 1
        assert "weight_init='auto'" in found.advice
        fb.Trainer(model, "cross_entropy", fb.SGD(0.01), seed=0).fit(X, y, epochs=2)
    with pytest.warns(fb.DiagnosisWarning, match="equal units"):
        fb.Trainer(model, "cross_entropy", diagnose=True).fit(X, y)


def test_only_units_that_stay_copies_are_counted():
    X, y = data()
    model = network()
    hidden, last = model.layers
    hidden.weight[:, [2, 3, 7]] = hidden.weight[:, [2]]
    assert "equal units" not in str(fb.diagnose(model, X, y, loss="cross_entropy"))
    last.weight[[2, 3]] = last.weight[[2]]
    hidden.weight[0, :] = 0.25  # equal first weights alone are nothing
    found = finding("equal units", X, y, model)
    assert (found.where, found.value) == ("layer 1 (layers[0]), 2 of 10 units", 0.2)
    hidden.bias[3] = 0.1
    assert "equal units" not in str(fb.diagnose(model, X, y, loss="cross_entropy"))


def test_zeros_of_either_sign_are_equal():
    model = network(weight_init="zeros")
    model.layers[0].weight[0, 3] = -0.0
    assert finding("equal units", *data(), model).value == 1
