"""explain: every number is the kernels', and the printed factors multiply to the gradient."""

import copy
import json
import re
from itertools import pairwise

import numpy as np
import pytest

import fastbackprop as fb

DTYPES = ("float32", "float64")
NETS = {
    "line": ([1, 1, 1], "identity", "identity", "half_squared_error"),
    "tanh": ([2, 3, 1], "tanh", "identity", "mean_squared_error"),
    "deep": ([3, 4, 3, 2], "sigmoid", "tanh", "half_squared_error"),
    "leaky": ([3, 5, 2], "leaky_relu", "relu", "mean_squared_error"),
    "binary": ([4, 6, 3], "relu", "sigmoid", "binary_cross_entropy"),
    "classes": ([4, 5, 3], "tanh", "softmax", "cross_entropy"),
    "softmax of squares": ([4, 5, 3], "tanh", "softmax", "half_squared_error"),
    "wide": ([20, 40, 17], "relu", "softmax", "cross_entropy"),
}


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    """Equations in one line each, so that they can be read back."""
    monkeypatch.setenv("COLUMNS", "1000")


def example(name, dtype, n):
    widths, hidden, last, loss = NETS[name]
    rng = np.random.default_rng(3)
    model = fb.mlp(widths, activation=hidden, output_activation=last, seed=5, dtype=dtype)
    for layer in model.layers:
        layer.bias = rng.normal(size=layer.n_out) / 3
    X = rng.normal(size=(n, widths[0]))
    y = (
        rng.integers(0, widths[-1], n)
        if loss == "cross_entropy"
        else rng.uniform(size=(n, widths[-1]))
    )
    return model, X, y, loss


def by_hand(model, X, y, loss):
    """The gradients of backward()."""
    compare = {
        "half_squared_error": fb.HalfSquaredError,
        "mean_squared_error": fb.MeanSquaredError,
        "cross_entropy": fb.CrossEntropy,
        "binary_cross_entropy": fb.BinaryCrossEntropy,
    }[loss]()
    cost, d = compare(model.forward(X), y)
    return cost, model.backward(d)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETS)
def test_the_factors_of_each_weight_multiply_to_the_gradient_of_backward(name, dtype):
    model, X, y, loss = example(name, dtype, 3)
    e = fb.explain(model, X, y, loss=loss, learning_rate=0.1)
    by_hand(model, X, y, loss)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    rng = np.random.default_rng(0)
    for k, layer in enumerate(model.layers):
        places = [*np.ndindex(layer.n_in, layer.n_out), *((None, j) for j in range(layer.n_out))]
        scale = abs(layer.weight_gradient).max()
        for i, j in (places[p] for p in rng.permutation(len(places))[:12]):
            chains = [e.chain(k, i, j, sample=s, most=10**6) for s in range(3)]
            assert all(len(chain.paths) == chain.n_paths for chain in chains)
            products = sum(np.prod(path.factors) for chain in chains for path in chain.paths)
            gradient = layer.bias_gradient[j] if i is None else layer.weight_gradient[i, j]
            np.testing.assert_allclose(products, gradient, rtol=tolerance, atol=tolerance * scale)


def test_the_strongest_paths_are_those_of_all_paths():
    model, X, y, loss = example("deep", "float64", 1)
    e = fb.explain(model, X, y, loss=loss)
    every = e.chain(0, 1, 2, most=1000)
    assert every.n_paths == 3 * 2
    few = e.chain(0, 1, 2, most=2)
    assert [p.names for p in few.paths] == [p.names for p in every.paths[:2]]
    assert few.rest == pytest.approx(sum(p.product for p in every.paths[2:]))
    assert "and 4 more paths" in str(few)


@pytest.mark.parametrize("name", NETS)
def test_every_printed_equation_holds_and_its_letters_stand_for_its_numbers(name):
    model, X, y, loss = example(name, "float64", 3)
    e = fb.explain(model, X, y, loss=loss, learning_rate=0.1)
    s = int(e.costs.argmax())
    n_out = e.y_hat.shape[1]
    values = {"sigma'": {}}

    def note(what, array, index=None):
        for j, value in enumerate(array):
            values[what if len(array) == 1 else f"{what}[{j}]"] = value

    note("x", e.x[s])
    note("y_hat", e.y_hat[s])
    note("dC/dy_hat", e.d_y_hat[s])
    for k, layer in enumerate(e.layers, 1):
        for what, array in (
            (f"z{k}", layer.z[s]),
            (f"a{k}", layer.a[s]),
            (f"delta{k}", layer.delta[s]),
            (f"b{k}", layer.bias),
        ):
            note(what, array)
        for (i, j), value in np.ndenumerate(layer.weight):
            values[f"w{k}" if layer.weight.size == 1 else f"w{k}[{i}, {j}]"] = value
        if layer.derivative is not None:
            for j, value in enumerate(layer.derivative[s]):
                values[f"sigma'(z{k}{'' if layer.weight.shape[1] == 1 else f'[{j}]'})"] = value
    p = e.y_hat[s]
    if e.layers[-1].derivative is None:
        for o, j in np.ndindex(n_out, n_out):
            values[f"dy_hat[{o}]/dz{len(e.layers)}[{j}]"] = p[o] * ((o == j) - p[j])
    name_pattern = (
        r"sigma'\(z\d+(?:\[\d+\])?\)|dy_hat\[\d+\]/dz\d+\[\d+\]|"
        r"(?:dC/dy_hat|delta\d+|[wzabx]\d*)(?:\[\d+(?:, \d+)?\])?"
    )
    n_sums = 0
    for line in str(e).splitlines():
        match = re.match(r" +(z\d+|delta\d+)(\[\d+\])? = (.+?) +(?:= (.+) )?= (\S+)(?: .*)?$", line)
        if not match or match[4] is None:
            continue
        letters, numbers, result = match[3], match[4].partition("   ")[0], float(match[5])
        if match[1][0] == "z":  # z = ... = ... = z   a = sigma(z) = a
            numbers, result = re.search(r"= ([^=]+) = (\S+)   ", line).groups()
            letters, result = re.split(r"\s{2,}= ", letters)[0], float(result)
        assert re.fullmatch(r"[-+*()\d.e ]+", numbers), line
        scale = sum(
            abs(np.prod([float(x) for x in re.findall(r"-?[\d.]+(?:e[-+]\d+)?", t)]))
            for t in numbers.split(" + ")
        )
        assert eval(numbers) == pytest.approx(result, rel=1e-3, abs=2e-3 * scale), line
        assert values[match[1] + (match[2] or "")] == pytest.approx(result, rel=1e-3, abs=1e-9)
        named = [
            values[x] for x in re.findall(name_pattern, re.sub(r" \+ [\d,]+ more", "", letters))
        ]
        printed = [float(x) for x in re.findall(r"-?\d[\d.]*(?:e[-+]\d+)?", numbers)]
        if "more" in letters:  # the sum of the others stands before a bias, or at the end
            del printed[-2 if match[1][0] == "z" else -1]
        assert printed == pytest.approx(named, rel=1e-3, abs=1e-9), line
        n_sums += 1
    hidden = sum(
        min(6, x.weight.shape[1]) if x.weight.shape[1] > 8 else x.weight.shape[1] for x in e.layers
    )
    assert n_sums == 2 * hidden  # each z and each delta that is shown


@pytest.mark.parametrize("name", NETS)
def test_what_is_left_out_is_counted(name):
    model, X, y, loss = example(name, "float64", 3)
    text = str(fb.explain(model, X, y, loss=loss))
    blame, correct = text.split("\nblame\n")[1].split("\ncorrect\n")
    for k, layer in enumerate(model.layers, 1):
        own = blame.split(f"  layer {k} (layers[{k - 1}])\n")[1].split("  layer ")[0]
        n = layer.weight.size + layer.bias.size
        more = re.search(r"and ([\d,]+) more weights", own)
        shown = len(re.findall(rf"^ +dC/d[wb]{k}(?:\[\S+(?: \d+\])?)? = ", own, re.MULTILINE))
        assert shown + (int(more[1].replace(",", "")) if more else 0) == n
        more = re.search(rf"and ([\d,]+) more weights of layer {k}\b", correct)
        shown = len(re.findall(rf"^ +[wb]{k}(?:\[[\d, ]+\])? <- ", correct, re.MULTILINE))
        assert shown + (int(more[1].replace(",", "")) if more else 0) == n


@pytest.mark.parametrize("name", NETS)
def test_the_printed_factors_multiply_to_the_printed_product(name):
    model, X, y, loss = example(name, "float64", 1)
    found = 0
    for line in str(fb.explain(model, X, y, loss=loss)).splitlines():
        match = re.fullmatch(
            r" +=((?: [-\d.e+]+ \*)+ [-\d.e+]+)(?: \+ (\S+) of [\d,]+ more paths?)? = (\S+)", line
        )
        if match:
            product = np.prod([float(x) for x in match[1].split("*")]) + float(match[2] or 0)
            assert product == pytest.approx(float(match[3]), rel=0.01, abs=1e-3)
            found += 1
    assert found >= 2


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETS)
def test_every_number_is_the_one_of_the_model(name, dtype):
    model, X, y, loss = example(name, dtype, 4)
    e = fb.explain(model, X, y, loss=loss, learning_rate=0.1)
    cost, d_x = by_hand(model, X, y, loss)
    assert e.cost == cost
    assert np.array_equal(e.d_x, d_x)
    assert np.array_equal(e.y_hat, model.predict(X))
    assert np.array_equal(e.layers[-1].a, e.y_hat)
    a = X.astype(dtype)
    for mine, layer in zip(e.layers, model.layers, strict=True):
        weights = {"weight_init": layer.weight, "bias_init": layer.bias}
        linear = fb.Sequential([fb.Dense(layer.n_in, layer.n_out, **weights)], dtype=dtype)
        assert np.array_equal(mine.z, linear.predict(a))  # to the last bit
        assert np.array_equal(mine.weight_gradient, layer.weight_gradient)
        assert np.array_equal(mine.bias_gradient, layer.bias_gradient)
        np.testing.assert_allclose(
            mine.delta.sum(axis=0), layer.bias_gradient, rtol=1e-4, atol=1e-7
        )
        if mine.derivative is not None:
            np.testing.assert_allclose(mine.delta, mine.d_a * mine.derivative, rtol=1e-4, atol=1e-6)
        a = mine.a
    fb.SGD(0.1).step(model)
    for mine, layer in zip(e.layers, model.layers, strict=True):
        assert np.array_equal(mine.weight_after, layer.weight)
        assert np.array_equal(mine.bias_after, layer.bias)
        np.testing.assert_allclose(
            mine.weight + mine.weight_step, layer.weight, rtol=1e-5, atol=1e-6
        )
    assert e.after.cost == by_hand(model, X, y, loss)[0]
    assert np.array_equal(e.after.y_hat, model.predict(X))
    assert e.after.falls == (e.after.cost < e.cost)


@pytest.mark.parametrize("name", NETS)
def test_the_prediction_of_the_gradient_holds_for_a_small_step(name):
    model, X, y, loss = example(name, "float64", 4)
    e = fb.explain(model, X, y, loss=loss, learning_rate=1e-6)
    assert e.after.falls
    assert e.cost - e.after.cost == pytest.approx(e.cost - e.after.predicted_cost, rel=1e-3)


@pytest.mark.parametrize("name", NETS)
def test_shares_sum_to_1_and_are_ranked(name):
    model, X, y, loss = example(name, "float32", 4)
    e = fb.explain(model, X, y, loss=loss)
    for kind, size in (("inputs", model.n_in), ("neurons", sum(x.n_out for x in model.layers)),
                       ("layers", len(model.layers)), ("weights", model.n_parameters)):  # fmt: skip
        found = e.top(10**6, kind=kind)
        assert len(found) == size
        assert sum(x.share for x in found) == pytest.approx(1)
        assert [x.share for x in found] == sorted((x.share for x in found), reverse=True)
        assert e.top(3, kind=kind) == found[:3]
    k, *where = e.top(1)[0].where
    own = e.layers[k].weight_gradient if len(where) == 2 else e.layers[k].bias_gradient
    assert e.top(1)[0].gradient == own[tuple(where)]


@pytest.mark.parametrize("name", NETS)
def test_shares_are_those_of_the_sizes_and_each_name_is_its_own(name):
    model, X, y, loss = example(name, "float64", 4)
    e = fb.explain(model, X, y, loss=loss)

    def check(kind, sizes, gradients, names):
        found = {x.name: x for x in e.top(10**6, kind=kind)}
        total = sum(sizes)
        assert set(found) == set(names)
        for size, gradient, own in zip(sizes, gradients, names, strict=True):
            assert found[own].share == pytest.approx(size / total)
            assert found[own].gradient == pytest.approx(gradient)

    def named(what, n):
        return [what] if n == 1 else [f"{what}[{j}]" for j in range(n)]

    def ravel(arrays):
        return np.concatenate([np.ravel(x) for x in arrays])

    check("inputs", abs(e.d_x).sum(axis=0), e.d_x.sum(axis=0), named("x", model.n_in))
    check(
        "neurons",
        ravel(abs(x.delta).sum(axis=0) for x in e.layers),
        ravel(x.delta.sum(axis=0) for x in e.layers),
        [own for k, x in enumerate(e.layers, 1) for own in named(f"a{k}", x.delta.shape[1])],
    )
    parts = [(x.weight_gradient, x.bias_gradient) for x in e.layers]
    sums = [abs(w).sum() + abs(b).sum() for w, b in parts]
    norms = [np.hypot(np.linalg.norm(w), np.linalg.norm(b)) for w, b in parts]
    check("layers", sums, norms, [f"layer {k + 1} (layers[{k}])" for k in range(len(parts))])
    flat = ravel(x for pair in parts for x in pair)
    names = []
    for k, (w, b) in enumerate(parts, 1):
        names += [f"w{k}"] if w.size == 1 else [f"w{k}[{i}, {j}]" for i, j in np.ndindex(w.shape)]
        names += named(f"b{k}", len(b))
    check("weights", abs(flat), flat, names)


def test_nobody_is_to_blame_where_all_is_right():
    model = fb.Sequential([fb.Dense(2, 1)], seed=0, dtype="float64")
    e = fb.explain(model, [1, 2], model.predict([1, 2]), loss="half_squared_error")
    assert {
        x.share for kind in ("inputs", "neurons", "layers", "weights") for x in e.top(kind=kind)
    } == {0.0}
    assert e.cost == 0
    assert not e.after.falls


def test_the_worked_example_prints_what_one_would_write_by_hand():
    model = fb.Sequential(
        [fb.Dense(1, 1, bias=False, weight_init=3.0), fb.Dense(1, 1, bias=False, weight_init=4.0)]
    )
    lines = [
        " ".join(x.split())
        for x in str(fb.explain(model, 2, 30, loss="half_squared_error")).splitlines()
    ]
    for line in (
        "z1 = w1 x = 3 * 2 = 6 a1 = z1 = 6",
        "z2 = w2 a1 = 4 * 6 = 24 y_hat = a2 = z2 = 24",
        "y_hat = 24 y = 30 dC/dy_hat = -6",
        "C = 1/2 (y_hat - y)^2 = 18",
        "dC/dw2 = dC/dy_hat * dy_hat/dz2 * dz2/dw2",
        "= -6 * 1 * 6 = -36",
        "dC/dw1 = dC/dy_hat * dy_hat/dz2 * dz2/da1 * da1/dz1 * dz1/dw1",
        "= -6 * 1 * 4 * 1 * 2 = -48",
        "w2 <- w2 - 0.01 dC/dw2 = 4 - 0.01 * -36 = 4.36",
        "w1 <- w1 - 0.01 dC/dw1 = 3 - 0.01 * -48 = 3.48",
    ):
        assert line in lines


def test_the_dict_is_plain_data_with_every_number():
    model, X, y, loss = example("classes", "float32", 3)
    e = fb.explain(model, X, y, loss=loss)
    data = e.to_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["model"] == {
        "widths": [4, 5, 3],
        "activations": ["tanh", "softmax"],
        "slopes": [0.0, 0.0],
        "dtype": "float32",
        "n_parameters": 43,
    }
    assert data["y"] == np.eye(3)[y].tolist()
    assert data["layers"][0]["weight_gradient"] == e.layers[0].weight_gradient.tolist()
    assert data["layers"][1]["derivative"] is None
    assert data["blame"]["biases"][1] == e.blame.biases[1].tolist()
    assert data["after"]["cost"] == e.after.cost


def test_a_batch_is_the_mean_of_its_samples():
    model, X, y, loss = example("tanh", "float64", 5)
    e = fb.explain(model, X, y, loss=loss)
    alone = [fb.explain(model, X[i], y[i], loss=loss) for i in range(5)]
    np.testing.assert_allclose(e.costs, [x.cost for x in alone])
    np.testing.assert_allclose(
        e.layers[0].weight_gradient, np.mean([x.layers[0].weight_gradient for x in alone], axis=0)
    )
    assert f"Predict, compare and blame show sample {e.costs.argmax()}" in str(e)


def test_nothing_of_the_users_changes():
    model, X, y, loss = example("classes", "float32", 3)
    y_hat = model.forward(X)
    _, d = fb.CrossEntropy()(y_hat, y)
    before = copy.deepcopy(model)
    fb.explain(model, X[:1], y[:1], loss=loss)
    model.backward(d)  # the forward of before is still there
    for mine, other in zip(model.layers, before.layers, strict=True):
        assert np.array_equal(mine.weight, other.weight)


def test_a_loss_of_ones_own():
    def hubert(y_hat, y):
        return float(abs(y_hat - y).mean()), np.sign(y_hat - y) / y_hat.size

    model, X, y, _ = example("tanh", "float64", 3)
    e = fb.explain(model, X, y, loss=hubert, learning_rate=1e-4)
    assert e.loss == "hubert"
    assert "hubert(y_hat, y)" in str(e)
    assert e.after.falls


def test_wide_layers_are_folded_and_all_is_counted():
    model, X, y, loss = example("wide", "float32", 2)
    text = str(fb.explain(model, X, y, loss=loss))
    assert "and 34 more neurons" in text  # 40
    assert "and 11 more neurons" in text  # 17
    assert f"and {20 * 40 + 40 - 6:,} more weights of layer 1 (layers[0])" in text
    assert max(map(len, text.splitlines())) < 250


@pytest.mark.parametrize("columns", [40, 80, 132])
@pytest.mark.parametrize("name", NETS)
def test_the_text_keeps_to_the_terminals_width_and_loses_nothing(name, columns, monkeypatch):
    model, X, y, loss = example(name, "float64", 3)
    e = fb.explain(model, X, y, loss=loss, learning_rate=0.1)
    whole = str(e)
    monkeypatch.setenv("COLUMNS", str(columns))
    text = str(e)
    words = [x for x in text.split("\n") if len(x) > columns]
    assert not [x for x in words if len(x.split()) > 1]  # a word alone may be longer
    assert text.split() == whole.split()
    for index in re.findall(r"\w\[\d+, \d+\]", whole):
        assert index in text  # no break inside of a name


def test_a_chain_is_that_of_the_most_costly_sample_unless_another_is_asked_for():
    model, X, y, loss = example("deep", "float64", 5)
    e = fb.explain(model, X, y, loss=loss)
    worst = int(e.costs.argmax())
    assert worst != 0
    assert e.chain(0, 1, 2) == e.chain(0, 1, 2, sample=worst)
    assert e.chain(0, 1, 2) != e.chain(0, 1, 2, sample=0)


def test_who_is_to_blame_is_said_in_percent():
    car = fb.Sequential([fb.Dense(1, 1, bias=False, weight_init=w) for w in (3.0, 4.0)])
    first = fb.explain(car, 2, 30, loss="half_squared_error").top(1)[0]
    assert str(first) == "w1: 57.1 % of the blame, gradient -48"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"feature_names": ["a"]}, "feature_names must have 2 names (the model's n_in), got 1."),
        ({"class_names": ["a", "b"]}, "class_names must have 1 names (the model's n_out), got 2."),
        ({"feature_names": "ab"}, "feature_names must be a list of names, got str."),
        ({"image_shape": (2, 2)}, "image_shape must have 2 pixels (the model's n_in), got 2 x 2."),
        ({"image_shape": 2}, "image_shape must be (rows, columns), got 2."),
    ],
)
def test_names_that_do_not_fit_are_refused(change, complaint):
    with pytest.raises((ValueError, TypeError), match=re.escape(complaint)):
        fb.explain(fb.mlp([2, 3, 1], seed=0), [1, 2], [1], loss="half_squared_error", **change)


def test_names_of_a_frame_are_those_of_the_explanation():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame({"left": [0.0, 1.0], 7: [1.0, 2.0]})
    model = fb.mlp([2, 3, 1], seed=0)
    e = fb.explain(model, frame, [1, 0], loss="half_squared_error")
    assert e.feature_names == ["left", "7"]
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    table = pyarrow.table({"left": [0.0, 1.0], "right": [1.0, 2.0]})
    of_table = fb.explain(model, table, [1, 0], loss="half_squared_error")
    assert of_table.feature_names == ["left", "right"]
    own = fb.explain(model, frame, [1, 0], loss="half_squared_error", feature_names=["l", "r"])
    assert own.feature_names == ["l", "r"]


def test_it_says_when_the_step_was_too_long():
    model, X, y, loss = example("line", "float64", 4)
    e = fb.explain(model, X, y, loss=loss, learning_rate=50.0)
    assert not e.after.falls
    assert "it does not fall" in str(e)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"model": "model"}, "model must be a Sequential, got str"),
        ({"learning_rate": 0}, "learning_rate must be a finite number above 0"),
        ({"loss": "cross_entropy"}, "must come behind"),
        ({"loss": "nonsense"}, "loss must be"),
        ({"loss": fb.HalfSquaredError}, "loss must be"),
        ({"loss": lambda y_hat, y: 1.0}, "loss must return a tuple (cost, d_y_hat), got float."),
        ({"x": [[1, 2, 3]]}, "x must have 2 columns"),
        ({"x": [[1, np.nan]]}, "x must be finite"),
        ({"x": np.zeros((0, 2)), "y": np.zeros((0, 1))}, "at least one row"),
        ({"y": [[1], [2]]}, "same number of rows"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(change, complaint):
    arguments = {
        "model": fb.mlp([2, 3, 1], seed=0),
        "x": [[1, 2]],
        "y": [[1]],
        "loss": "half_squared_error",
    }
    arguments |= change
    with pytest.raises((ValueError, TypeError), match=re.escape(complaint)):
        fb.explain(arguments.pop("model"), arguments.pop("x"), arguments.pop("y"), **arguments)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((2, 0, 0), "layer must be from 0 to 1, got 2"),
        ((0, 2, 0), "i must be from 0 to 1"),
        ((0, 0, 3), "j must be from 0 to 2, got 3"),
        ((0, 0, 0, 1), "sample must be from 0 to 0, got 1"),
        ((0, 0, 0, 0, 0), "most must be an integer of at least 1, got 0"),
    ],
)
def test_chains_that_are_not_there(arguments, complaint):
    e = fb.explain(fb.mlp([2, 3, 1], seed=0), [1, 2], [1], loss="half_squared_error")
    names = dict(zip(("layer", "i", "j", "sample", "most"), arguments, strict=False))
    with pytest.raises(ValueError, match=re.escape(complaint)):
        e.chain(names.pop("layer"), names.pop("i"), names.pop("j"), **names)
    with pytest.raises(ValueError, match="kind must be"):
        e.top(kind="nobody")


@pytest.mark.parametrize("value", ["a", 1.0, None, True, np.array([0, 1])])
def test_places_of_chains_are_integers(value):
    e = fb.explain(fb.mlp([2, 3, 1], seed=0), [1, 2], [1], loss="half_squared_error")
    with pytest.raises(TypeError, match=r"^layer must be an integer from 0 to 1, got "):
        e.chain(value, 0, 1)
    assert e.chain(np.int64(0), np.uint8(1), 2).n_paths == 1


# ---- a training, a picture ----------------------------------------------------------------


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_training_that_is_explained_comes_out_the_same(momentum):
    def trainer():
        model, _, _, loss = example("classes", "float32", 1)
        return fb.Trainer(model, loss, fb.SGD(0.1, momentum=momentum), batch_size=4, seed=0)

    _, X, y, _ = example("classes", "float32", 10)
    plain, explained = trainer(), trainer()
    found = fb.explain_training(explained, X, y, steps=5)
    assert len(found) == 5
    for e, first in zip(found, (0, 4, 0, 4, 0), strict=True):
        before = [layer.weight.copy() for layer in plain.model.layers]
        assert e.cost == plain.step(X[first : first + 4], y[first : first + 4])
        for mine, old, layer in zip(e.layers, before, plain.model.layers, strict=True):
            assert np.array_equal(mine.weight, old)
            assert np.array_equal(mine.weight_after, layer.weight)
    for mine, other in zip(explained.model.layers, plain.model.layers, strict=True):
        assert np.array_equal(mine.weight, other.weight)
    data = found.to_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["kind"] == "training"
    assert str(found).count("\n") == 6
    assert found[-1].after.cost < found[0].cost
    assert (
        {x["learning_rate"] for x in data["steps"]} == {explained.optimizer.learning_rate} == {0.1}
    )


def test_a_training_that_cannot_be_explained_is_refused_before_it_begins():
    trainer = fb.Trainer(fb.mlp([2, 1], seed=0), "half_squared_error")
    weight = trainer.model.layers[0].weight.copy()
    with pytest.raises(ValueError, match="steps must be an integer of at least 1, got 0"):
        fb.explain_training(trainer, [[1, 2]], [1], steps=0)
    with pytest.raises(ValueError, match="same number of rows"):
        fb.explain_training(trainer, [[1, 2]], [1, 2])
    with pytest.raises(TypeError, match="trainer must be a Trainer, got Sequential"):
        fb.explain_training(trainer.model, [[1, 2]], [1])
    assert np.array_equal(trainer.model.layers[0].weight, weight)


@pytest.mark.parametrize("name", NETS)
def test_it_can_be_drawn(name, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    model, X, y, loss = example(name, "float32", 3)
    e = fb.explain(model, X, y, loss=loss)
    for by in ("value", "blame"):
        axes = e.plot(by=by)
        shown = [min(8, n) for n in (model.n_in, *(x.n_out for x in model.layers))]
        assert len(axes.lines) == sum(a * b for a, b in pairwise(shown))
        assert len({tuple(x.get_sizes()) for x in axes.collections}) == 1  # circles of one size
        assert len(axes.collections) == sum(shown)
        sample = int(e.costs.argmax())
        drawn = [np.argsort(-x, kind="stable")[:8] for x in (e.blame.inputs, *e.blame.neurons)]
        drawn = [np.sort(x) for x in drawn]
        widths, numbers, labels = [], [], []
        for k, layer in enumerate(e.layers):
            values = (layer.weight if by == "value" else e.blame.weights[k])[
                drawn[k][:, None], drawn[k + 1]
            ]
            widths += (0.4 + 4 * abs(values) / abs(values).max()).ravel().tolist()
            labels += values.ravel().tolist() if values.size <= 12 else []
        assert [x.get_linewidth() for x in axes.lines] == pytest.approx(widths)
        names = []
        for k, neurons in enumerate(drawn):
            a = e.x if k == 0 else e.layers[k - 1].a
            letter = "x" if k == 0 else "y_hat" if k == len(e.layers) else f"a{k}"
            names += [letter if a.shape[1] == 1 else f"{letter}[{j}]" for j in neurons]
            for j in neurons:
                numbers.append([a[sample, j]])
                if by == "blame" and k:
                    numbers[-1].append(e.layers[k - 1].delta[sample, j])
        texts = [x.get_text() for x in axes.texts]
        printed = [
            [float(x) for x in t.split()] for t in texts if re.match(r"-?\d", t) and "%" not in t
        ]
        if by == "value":  # labels of weights are numbers too, and come first
            assert [x[0] for x in printed[: len(labels)]] == pytest.approx(labels, rel=1e-3)
            del printed[: len(labels)]
        else:
            shares = [float(t.removesuffix(" %")) / 100 for t in texts if "%" in t]
            assert shares == pytest.approx(labels, rel=6e-3)
        assert [len(x) for x in printed] == [len(x) for x in numbers]
        assert [x for t in printed for x in t] == pytest.approx(
            [x for t in numbers for x in t], rel=1e-3, abs=1e-9
        )
        assert [t for t in texts if t[0] in "xay"] == names
        columns = [t for t in texts if t.startswith(("inputs", "hidden", "outputs"))]
        assert len(columns) == len(shown)
        for text, n, few in zip(
            columns, (model.n_in, *(x.n_out for x in model.layers)), shown, strict=True
        ):
            assert text.endswith(f"\nand {n - few} more" if n > few else text)
        legend = [x.get_text() for x in axes.get_legend().get_texts()]
        assert legend == (
            ["weight above 0", "weight below 0"] if by == "value" else ["share of the blame"]
        )
        assert axes.figure is e.plot(by=by, ax=axes).figure
    axes.figure.savefig(tmp_path / "e.png")
    with pytest.raises(ValueError, match="by must be"):
        e.plot(by="nothing")


@pytest.mark.parametrize(
    ("last", "loss", "n_out", "y"),
    [("sigmoid", "binary_cross_entropy", 1, [[0.0]]), ("softmax", "cross_entropy", 2, [1])],
)
def test_the_chain_of_a_saturated_output_begins_at_z(last, loss, n_out, y):
    weight = [[100.0]] if n_out == 1 else [[100.0, -100.0]]
    model = fb.Sequential(
        [fb.Dense(1, 1, weight_init=1.0), fb.Dense(1, n_out, last, weight_init=weight)]
    )
    e = fb.explain(model, [[1.0]], y, loss=loss)
    for layer in range(2):
        for j in range(e.layers[layer].weight.shape[1]):
            chain = e.chain(layer, 0, j)
            assert chain.total == e.layers[layer].weight_gradient[0, j] != 0
            assert sum(np.prod(path.factors) for path in chain.paths) == pytest.approx(chain.total)
            assert len(chain.paths) == chain.n_paths
            assert chain.paths[0].names[0].startswith("dC/dz2")
    assert f"{loss} and {last} taken together, since y_hat is at its end" in str(e)


@pytest.mark.parametrize("options", [{"momentum": 0.9}, {"weight_decay": 5.0}])
def test_corrections_by_momentum_and_decay_are_true_equations(options):
    model = fb.Sequential([fb.Dense(1, 1, bias=False, weight_init=w) for w in (3.0, 4.0)])
    trainer = fb.Trainer(model, "half_squared_error", fb.SGD(0.001, **options))
    e = fb.explain_training(trainer, [[2.0]], [30.0], steps=4)[3]
    found = re.findall(r"w\d <- w\d \+ step of (SGD\(.*\)) += (\S+) \+ (\S+) = (\S+)", str(e))
    assert len(found) == 2
    for optimizer, before, step, after in found:
        assert optimizer == repr(trainer.optimizer) == e.to_dict()["optimizer"]
        assert float(before) + float(step) == pytest.approx(float(after), rel=1e-3)


def test_what_became_of_the_cost_is_told_in_words():
    model = fb.mlp([2, 3, 1], activation="tanh", seed=0)

    def verdict(y, rate):
        e = fb.explain(model, [1, 2], y, loss="half_squared_error", learning_rate=rate)
        assert f"({e.after.verdict})" in str(e)
        return e.after.verdict

    assert verdict([3], 0.01) == "it falls"
    assert verdict([3], 10.0) == "it does not fall: the step is too long"
    assert verdict([3], 1e-12) == "it stays: the step is too short to be seen"
    assert verdict(model.predict([1, 2]), 0.01) == "nobody is to blame: there is nothing to correct"
    car = fb.Sequential([fb.Dense(1, 1, bias=False, weight_init=w) for w in (3.0, 4.0)])
    e = fb.explain(car, 2, 30, loss="half_squared_error", learning_rate=1e25)
    assert e.after.verdict == "it is not finite any more: the step is too long"
    assert e.after.cost == np.inf


def test_a_training_that_diverges_shows_the_way_there(tmp_path):
    model = fb.Sequential([fb.Dense(1, 1, bias=False, weight_init=w) for w in (3.0, 4.0)])
    trainer = fb.Trainer(model, "half_squared_error", fb.SGD(5.0))
    e = fb.explain_training(trainer, [[2.0]], [30.0], steps=20)
    assert 1 < len(e) < 20
    assert e[len(e) - 1].cost > 1e6 * e[0].cost
    e.to_html(tmp_path / "page.html")


def test_what_is_explained_stays_when_the_users_arrays_change():
    model = fb.mlp([2, 3, 1], activation="tanh", seed=0)
    x, y = np.array([[1, 2], [3, 4]], np.float32), np.array([[1.0], [2.0]], np.float32)

    def in_place(y_hat, y):
        y_hat -= y
        return float((y_hat**2).sum() / 2), y_hat

    e, own = (
        fb.explain(model, x, y, loss="half_squared_error"),
        fb.explain(model, x, y, loss=in_place),
    )
    assert np.array_equal(own.y_hat, model.predict(x))
    before = str(e)
    x[:], y[:] = 0, 0
    assert str(e) == before


def test_targets_of_a_loss_of_ones_own():
    model = fb.mlp([2, 3, 1], activation="tanh", seed=0)
    softmax = fb.mlp([2, 3, 3], output_activation="softmax", seed=0)

    def half(y_hat, y):
        return float(((y_hat - y) ** 2).sum() / 2 / len(y)), (y_hat - y) / len(y)

    def labels(y_hat, y):
        n, d = len(y), np.zeros_like(y_hat)
        p = y_hat[np.arange(n), y.reshape(-1)]
        d[np.arange(n), y.reshape(-1)] = -1 / p / n
        return float(-np.log(p).mean()), d

    X = [[0, 1], [1, 1], [1, 0]]
    own, built_in = (fb.explain(model, X, [1, 0, 1], loss=x) for x in (half, "half_squared_error"))
    assert own.cost == pytest.approx(built_in.cost)
    assert fb.explain(model, [0, 1], [[1]], loss=half).y.shape == (1, 1)
    text = str(fb.explain(softmax, X, [0, 2, 1], loss=labels))
    assert re.search(r"y_hat\[0\] = \S+ +dC/dy_hat\[0\] = ", text)
    assert re.search(r"^ +y = \d$", text, re.MULTILINE)


def test_a_schedule_goes_over_the_explained_steps():
    """With the bits of the same schedule whose length is given."""
    models = [fb.mlp([2, 4, 1], activation="tanh", seed=0) for _ in range(2)]
    X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    for model, n_steps in zip(models, (None, 4), strict=True):
        trainer = fb.Trainer(model, "half_squared_error", fb.SGD(fb.Cosine(1.0, n_steps=n_steps)))
        e = fb.explain_training(trainer, X, y, steps=4)
        rates = [step.learning_rate for step in e.steps]
        assert rates == pytest.approx([1, 0.853553, 0.5, 0.146447], rel=1e-5)
    np.testing.assert_array_equal(*(model.get_parameters() for model in models))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"clip_norm": 0.01}, "gradients are clipped"),
        ({"clip_value": 0.01}, "gradients are clipped"),
        ({"class_weight": {0: 2.0}}, "classes have weights"),
    ],
)
def test_a_page_does_not_go_on_with_steps_that_are_not_the_optimizers_alone(options, why):
    def settings(**options):
        model = fb.mlp([2, 4, 1], output_activation="sigmoid", seed=0)
        trainer = fb.Trainer(model, "binary_cross_entropy", fb.SGD(0.1), **options)
        e = fb.explain_training(trainer, [[0, 1], [1, 1]], [0, 1], steps=2)
        return [step.settings for step in e.steps]

    assert [x["loss"]["name"] for x in settings()] == ["binary_cross_entropy"] * 2
    assert settings(**options) == [why, why]


def test_a_plot_writes_names_as_they_are_and_shortens_those_that_are_too_long():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    names = [r"$\frac{$", "price ($) in US$", "n" * 60]
    model = fb.mlp([3, 2, 1], seed=0)
    e = fb.explain(model, [1, 2, 3], 1, "half_squared_error", feature_names=names)
    axes = e.plot()
    axes.figure.canvas.draw()
    texts = [x.get_text() for x in axes.texts]
    assert [*names[:2], "n" * 23 + "…"] == [x for x in texts if x[0] in "$n" or "US" in x]


@pytest.mark.parametrize("library", ["pandas", "numpy"])
def test_names_may_come_in_an_array_or_index_and_classes_from_labels(library):
    np_or_pd = pytest.importorskip(library, reason=f"{library} is not installed")
    names = (np_or_pd.Index if library == "pandas" else np_or_pd.array)(["age", "height"])
    model = fb.mlp([2, 3, 3], output_activation="softmax", seed=0)
    X, y = [[1, 2], [2, 1], [0, 1]], ["dog", "cat", "cow"]
    e = fb.explain(model, X, y, "cross_entropy", feature_names=names)
    assert e.feature_names == ["age", "height"]
    assert e.class_names == ["cat", "cow", "dog"]
    assert model.classes is None
    training = fb.explain_training(
        fb.Trainer(copy.deepcopy(model), "cross_entropy", seed=0), X, y, steps=1
    )
    assert training[0].class_names == e.class_names
    e = fb.explain(model, X, [2, 0, 1], "cross_entropy")
    assert e.class_names is None
    with pytest.raises(ValueError, match="feature_names must have 2 names"):
        fb.explain(model, X, y, "cross_entropy", feature_names=[])
