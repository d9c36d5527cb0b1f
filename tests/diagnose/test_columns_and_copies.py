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


def test_columns_of_a_frame_are_called_by_their_names():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X = np.random.default_rng(0).normal(size=(50, 3))
    X[:, 1] *= 700
    frame = pandas.DataFrame(X, columns=["alcohol", "proline", "hue"])
    model = fb.mlp([3, 4, 1], seed=0)
    (found,) = fb.diagnose(model, frame, X[:, 0], loss="half_squared_error").findings
    assert (found.name, found.where) == ("unscaled inputs", "x[1] 'proline'")
    assert found.value == pytest.approx(np.sqrt((X[:, 1] ** 2).mean()))
    frame["hue"] = frame["alcohol"]
    names = [
        x.where for x in fb.diagnose(model, frame, X[:, 0], loss="half_squared_error").findings
    ]
    assert "x[0] 'alcohol' and x[2] 'hue'" in names


def test_targets_are_named_where_they_are_the_cause():
    X = np.random.default_rng(0).normal(size=(200, 5))
    model = fb.mlp([5, 8, 1], seed=0)

    def advice(y):
        found = fb.diagnose(model, X, y, loss="half_squared_error", learning_rate=0.1).findings
        return {x.name: x.advice for x in found}

    large = advice(9000 + 500 * X.sum(axis=1))
    assert "unscaled targets" in large
    for name in ("large updates", "learning rate too high"):
        assert "The targets are the cause" in large.get(name, large["large updates"])
    boston = advice(22 + X.sum(axis=1))
    assert "unscaled targets" not in boston
    assert "about 21.9 in size" in boston["large updates"]
    assert "targets" not in " ".join(advice(X.sum(axis=1)).values())


def test_its_page_fits_a_phone(tmp_path):
    X = np.ones((20, 3)) * [1, 700, 1]
    model = fb.mlp([3, 4, 1], seed=0)
    fb.diagnose(model, X, X[:, 0], loss="half_squared_error").to_html(tmp_path / "d.html")
    page = (tmp_path / "d.html").read_text()
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    assert "@media (max-width: 640px)" in page
