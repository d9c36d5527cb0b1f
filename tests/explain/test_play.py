"""What the page computes by itself: the library's arithmetic, and what the reader moves."""

import copy
import json
import re

import numpy as np
import pytest
from browser import start_browser
from loss_cases import NAMES, last_activation, targets_of
from privates import ACTIVATIONS, LOSSES, TABLE, loss_table

import fastbackprop as fb

N_NETS, N_STEPS = 200, 100
TABLE_OF_LOSSES = loss_table.TABLE
HIDDEN = [name for name in ACTIVATIONS if name != "softmax"]
KINDS = (None, "activation", "dropout", "batch", "layer")
OPTIMIZERS = {
    "sgd": fb.SGD,
    "momentum": lambda rate: fb.SGD(rate / 5, momentum=0.8),
    "nesterov": lambda rate: fb.SGD(rate / 5, momentum=0.8, nesterov=True, weight_decay=0.01),
    "adam": lambda rate: fb.Adam(rate / 5),
}


@pytest.fixture(scope="module")
def browser():
    with start_browser() as started:
        yield started


def activation_of(name, rng):
    """By name, or with another parameter than the usual one."""
    own = {"leaky_relu": fb.LeakyReLU, "elu": fb.ELU}
    return own[name](float(rng.uniform(0.05, 0.8))) if name in own else name


def loss_with_parameters(name, seed, rng, n_out):
    """Every other loss of each kind with other parameters than the usual ones."""
    if seed // len(NAMES) % 2:
        return LOSSES[name]()
    if name == "huber":
        return fb.Huber(delta=0.4)
    if name == "quantile":
        return fb.Quantile(sorted(rng.uniform(0.1, 0.9, n_out).tolist()))
    if name == "focal_cross_entropy":
        return fb.FocalCrossEntropy(gamma=1.5)
    if name == "cross_entropy":
        return fb.CrossEntropy(label_smoothing=0.1)
    if name == "binary_cross_entropy":
        return fb.BinaryCrossEntropy(label_smoothing=0.2, sum_outputs=True)
    return LOSSES[name]()


def between(kind, name, rng):
    """What follows a Dense: (its activation, the layers behind it)."""
    activation = activation_of(name, rng)
    if kind == "activation":
        return "identity", [fb.Activation(activation)]
    if kind == "dropout":
        return activation, [fb.Dropout(0.3)]
    if kind in ("batch", "layer"):
        norm = fb.BatchNorm(epsilon=0.01) if kind == "batch" else fb.LayerNorm(epsilon=0.02)
        return "identity", [norm, fb.Activation(activation), fb.Dropout(0.2)]
    return activation, []


def random_net(seed):
    """A net in float64 with its data, loss and optimizer: over the seeds, every one of each."""
    rng = np.random.default_rng(seed)
    name = NAMES[seed % len(NAMES)]
    n_out = 4 if name == "gaussian_nll" else int(rng.integers(2, 5))
    widths = [int(rng.integers(1, 5)), *rng.integers(2, 6, int(rng.integers(1, 3))).tolist(), n_out]
    hidden = [HIDDEN[(seed + k) % len(HIDDEN)] for k in range(len(widths) - 2)]
    # exp of exp grows beyond all numbers at any rate that learns.
    hidden = [x if x != "exp" or k == 0 else "tanh" for k, x in enumerate(hidden)]
    last = last_activation(name)
    if last == "identity" and name.endswith("squared_error"):
        last = [*HIDDEN, "softmax"][(seed // len(NAMES)) % (len(HIDDEN) + 1)]
    layers = []
    for k, activation in enumerate([*hidden, last]):
        is_last = k == len(hidden)
        kind = None if is_last else KINDS[(seed + k) % len(KINDS)]
        own, behind = (activation, []) if is_last else between(kind, activation, rng)
        layers += [fb.Dense(widths[k], widths[k + 1], own, bias=bool((seed + k) % 4)), *behind]
    if seed % 7 == 0:
        layers.insert(0, fb.LayerNorm() if widths[0] > 1 else fb.Dropout(0.1))
    model = fb.Sequential(layers, seed=seed, dtype="float64")
    for layer in model.layers:
        if isinstance(layer, fb.Dense):
            layer.weight = 0.5 * layer.weight
        elif isinstance(layer, fb.BatchNorm | fb.LayerNorm):
            layer.gamma, layer.beta = 1 + 0.3 * rng.normal(size=(2, layer.n_out))
        if isinstance(layer, fb.BatchNorm):
            layer.running_mean = 0.2 * rng.normal(size=layer.n_out)
            layer.running_variance = rng.uniform(0.5, 2, layer.n_out)
    n = int(rng.integers(1, 9))
    loss = loss_with_parameters(name, seed, rng, n_out)
    X, y = rng.normal(size=(n, widths[0])), targets_of(name, rng, n, n_out)
    if name == "quantile" and isinstance(loss.q, tuple):
        y = rng.normal(size=n)
    return model, X, y, loss, list(OPTIMIZERS)[seed // 3 % len(OPTIMIZERS)]


def steps_of_the_library(model, X, y, loss, optimizer):
    """Costs of so many steps: by hand where dropout and norms are to be as in predict."""
    infers = any(isinstance(x, fb.Dropout | fb.BatchNorm) for x in model.layers)
    if not infers:
        trainer = fb.Trainer(model, loss, optimizer, batch_size=len(X), seed=0)
        return [trainer.step(X, y) for _ in range(N_STEPS)]
    costs = []
    for _ in range(N_STEPS):
        cost, d_y_hat = loss(model.forward(X, training=False), y)
        model.backward(d_y_hat)
        optimizer.step(model)
        costs.append(cost)
    return costs


def trained(seed, path):
    """What the page is given, the library's costs, and its weights at the end."""
    model, X, y, loss, kind = random_net(seed)
    optimizer = OPTIMIZERS[kind](0.02)
    trainer = fb.Trainer(copy.deepcopy(model), loss, copy.deepcopy(optimizer), batch_size=len(X))
    fb.explain_training(trainer, X, y).to_html(path)
    data, play = (
        json.loads(re.search(rf'id="{name}".*?>(.*?)</script>', path.read_text())[1])
        for name in ("data", "play-data")
    )
    costs = steps_of_the_library(model, X, y, loss, optimizer)
    tensors = []
    for layer in model.layers:
        is_norm = isinstance(layer, fb.BatchNorm | fb.LayerNorm)
        pair = (layer.gamma, layer.beta) if is_norm else (
            getattr(layer, "weight", None), getattr(layer, "bias", None)
        )  # fmt: skip
        tensors += [x for x in pair if x is not None]
    return {**data, "play": play}, costs, tensors


# The page's own way from what it is given to its net, with what another page was given.
TRAIN = """
const {given, steps} = arguments[0], before = {...D};
Object.assign(D, given);
const net = librarysNet(), batch = librarysBatch();
Object.assign(D, before);
const costs = [], state = {};
for (let s = 0; s < steps; s++) {
  const done = whole(net, batch);
  costs.push(done.cost);
  correct(net, done.layers, state);
}
const tensors = [];
net.weights.forEach((w, k) => { if (w.length) tensors.push([...w]);
  if (net.biases[k]) tensors.push([...net.biases[k]]); });
return [costs, tensors];
"""


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    path = tmp_path_factory.mktemp("play") / "page.html"
    model = fb.mlp([2, 3, 1], activation="tanh", seed=0)
    X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    e = fb.explain(model, X, y, loss="half_squared_error", learning_rate=0.1)
    e.to_html(path)
    browser.get(path.as_uri())
    return e


def test_the_seeds_meet_every_activation_layer_loss_and_optimizer():
    nets = [random_net(seed) for seed in range(N_NETS)]
    assert {layer.activation for net in nets for layer in net[0].layers} == set(ACTIVATIONS)
    assert {type(layer) for net in nets for layer in net[0].layers} == {
        fb.Dense, fb.Activation, fb.Dropout, fb.LayerNorm, fb.BatchNorm,
    }  # fmt: skip
    assert {net[3].name for net in nets} == set(LOSSES)
    assert {net[4] for net in nets} == set(OPTIMIZERS)


@pytest.mark.parametrize("first", range(0, N_NETS, 50))
def test_the_page_trains_as_the_library_does(browser, page, tmp_path, first):
    """With dropout and batch norms as in predict, which is what the page computes."""
    for seed in range(first, first + 50):
        given, costs, tensors = trained(seed, tmp_path / "page.html")
        own_costs, own_tensors = browser.execute_script(TRAIN, {"given": given, "steps": N_STEPS})
        what = (seed, given["loss"], given["kinds"], given["activations"], given["optimizer"])
        assert len(own_tensors) == len(tensors), what
        for own, tensor in zip(own_tensors, tensors, strict=True):
            error = np.abs(np.array(own) - tensor.ravel()).max()
            assert error <= 1e-10 * np.abs(tensor).max(), (error, *what)
        # Costs can be 0 or near it, so by the largest of them.
        error = np.abs(np.array(own_costs) - costs).max() / np.abs(costs).max()
        assert error <= 1e-10, (error, *what)


def test_the_page_has_every_activation_and_loss_of_the_tables(browser, page):
    names = browser.execute_script("return [Object.keys(ACTIVATIONS), Object.keys(LOSSES)]")
    assert set(names[0]) == set(TABLE)
    assert set(names[1]) == set(LOSSES)


@pytest.mark.parametrize("name", [x for x in ACTIVATIONS if x != "softmax"])
def test_activations_are_those_of_the_table_from_end_to_end(browser, page, name):
    z = np.linspace(-30, 30, 601)
    alpha = TABLE[name].default
    a, slope = browser.execute_script(
        "const [f, d] = ACTIVATIONS[arguments[0]], [z, alpha] = [arguments[1], arguments[2]];"
        "return [z.map((x) => f(x, alpha)), z.map((x) => d(x, alpha))]",
        name, z.tolist(), alpha,
    )  # fmt: skip
    np.testing.assert_allclose(a, TABLE[name].value(z, alpha), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(slope, TABLE[name].derivative(z, alpha), rtol=1e-12, atol=1e-13)


# ---- what the reader moves --------------------------------------------------------------------


@pytest.fixture
def fresh(browser, page):
    browser.execute_script("halt(); reset(); stop(); go(0);")
    yield browser
    logged = [x["message"] for x in browser.get_log("browser")]
    assert logged == []


def keys_of(browser):
    return browser.execute_script("return document.querySelectorAll('data[data-key]').length")


def test_a_number_that_the_reader_moves_is_not_called_the_librarys(fresh, page):
    fresh.execute_script("choose({kind: 'weight', k: 1, i: 0, j: 1})")
    before = keys_of(fresh)
    assert before > 5
    assert not fresh.find_element("id", "played").is_displayed()
    box = fresh.find_element("css selector", "#own input[type=number]")
    box.clear()
    box.send_keys("0.75")
    assert fresh.find_element("id", "played").is_displayed()
    assert keys_of(fresh) == 0
    model = fb.mlp([2, 3, 1], activation="tanh", seed=0)
    weight = model.layers[0].weight.astype(np.float64)
    weight[0, 1] = 0.75
    model.layers[0].weight = weight
    own = fb.explain(model, page.x, page.y, loss="half_squared_error", learning_rate=0.1)
    step = json.loads(fresh.execute_script("return JSON.stringify(step())"))
    assert step["cost"] == pytest.approx(own.cost, rel=1e-5)
    assert step["after"]["cost"] == pytest.approx(own.after.cost, rel=1e-5)
    for k, layer in enumerate(own.layers):
        for name in ("weight", "weight_gradient", "weight_after"):
            np.testing.assert_allclose(step["layers"][k][name], getattr(layer, name), atol=1e-6)
    fresh.find_element("id", "reset").click()
    assert keys_of(fresh) == before
    assert not fresh.find_element("id", "played").is_displayed()


@pytest.mark.parametrize(
    ("what", "place"),
    [
        ({"kind": "neuron", "k": 0, "i": 1}, "P.batch.x[2 * S() + 1]"),
        ({"kind": "neuron", "k": 2, "i": 0}, "P.batch.y[S()]"),
        ({"kind": "neuron", "k": 1, "i": 2}, "P.net.biases[0][2]"),
        ({"kind": "weight", "k": 2, "i": 1, "j": 0}, "P.net.weights[1][1]"),
    ],
)
def test_inputs_targets_biases_and_weights_have_sliders(fresh, what, place):
    fresh.execute_script("choose(arguments[0])", what)
    cost = fresh.execute_script(
        "const range = document.querySelector('#own input[type=range]'); const before = "
        "step().cost; range.value = 1.5; range.dispatchEvent(new Event('input')); return before"
    )
    assert fresh.execute_script(f"return {place}") == 1.5
    assert fresh.execute_script("return step().cost") != cost


def test_step_and_run_train_on_all_samples(fresh):
    for n in (1, 2, 3):
        fresh.find_element("id", "step").click()
        assert fresh.execute_script("return P.costs.length") == n + 1
    model = fb.mlp([2, 3, 1], activation="tanh", seed=0)
    X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    trainer = fb.Trainer(model, "half_squared_error", fb.SGD(0.1), batch_size=4, seed=0)
    costs = [trainer.step(X, y) for _ in range(3)]
    assert fresh.execute_script("return P.costs.slice(0, 3)") == pytest.approx(costs, rel=1e-5)
    fresh.find_element("id", "run").click()
    fresh.execute_async_script("setTimeout(arguments[0], 300)")
    fresh.find_element("id", "run").click()
    assert fresh.execute_script("return P.costs.length") > 5
    assert fresh.execute_script("return running") is None
    assert fresh.execute_script("return P.costs.at(-1) < P.costs[0]")


def test_learning_rates_that_are_too_small_right_and_too_large_are_felt(fresh):
    said = []
    for rate in ("0.0001", "0.1", "60"):
        fresh.execute_script(
            "const x = document.getElementById('rate'); x.value = arguments[0]; "
            "x.dispatchEvent(new Event('input'))",
            rate,
        )
        said.append(fresh.find_element("id", "feel").text)
    assert "is small" in said[0]
    assert "suits" in said[1]
    assert "too large" in said[2]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_and_optimizer_can_be_chosen(fresh, activation):
    if activation == "softmax":
        assert not fresh.execute_script(
            "return [...document.querySelectorAll('#knobs option')].some((x) => x.value === "
            "'softmax' && x.parentElement.parentElement.textContent.startsWith('activation of "
            "layer 2'))"
        )
        return
    for k in (1, 2):
        fresh.execute_script(
            "change((P) => setActivation(P, arguments[0], arguments[1]))", k, activation
        )
    fresh.execute_script("change((P) => setOptimizer(P, 'Adam'))")
    for _ in range(3):
        fresh.find_element("id", "step").click()
    assert all(np.isfinite(fresh.execute_script("return P.costs")))


def test_only_losses_that_the_targets_fit_can_be_chosen(fresh):
    names = fresh.execute_script("return lossesThatFit()")
    assert set(names) == set(LOSSES) - {"gaussian_nll", "cross_entropy", "focal_cross_entropy"}
    for name in names:
        fresh.execute_script("change((P) => setLoss(P, arguments[0]))", name)
        needed = TABLE_OF_LOSSES[name].activation
        if needed is not None:
            assert fresh.execute_script("return P.net.activations.at(-1)") == needed
        fresh.find_element("id", "step").click()
        assert np.isfinite(fresh.execute_script("return P.costs.at(-1)")), name


def test_the_surface_is_what_the_net_answers(fresh):
    assert fresh.find_element("id", "surface").is_displayed()
    assert len(fresh.find_elements("css selector", "#pictures canvas")) == 1 + 3
    before = fresh.execute_script("return document.getElementById('surface').toDataURL()")
    fresh.execute_script("for (let n = 0; n < 200; n++) trainStep(); refresh();")
    after = fresh.execute_script("return document.getElementById('surface').toDataURL()")
    assert before != after


def test_a_training_that_has_diverged_says_so(fresh):
    """No NaN, no error from the script, at any place of the walk; and there is a way back."""
    fresh.execute_script(
        "change((P) => { P.net.activations[0] = 'identity'; P.net.optimizer.learning_rate = 1e3; })"
    )
    for _ in range(40):
        fresh.find_element("id", "step").click()
    assert fresh.execute_script("return step().cost") is None
    assert "too large" in fresh.find_element("id", "feel").text
    for place in range(fresh.execute_script("return last") + 1):
        fresh.execute_script(
            "choose(arguments[0] % 2 ? {kind: 'neuron', k: 1, i: 0} "
            ": {kind: 'weight', k: 1, i: 0, j: 0}); go(arguments[0])",
            place,
        )
        assert "NaN" not in fresh.find_element("tag name", "body").text
    fresh.find_element("id", "reset").click()
    assert fresh.execute_script("return step().cost") > 0


def test_the_valley_is_the_cost_along_the_step(fresh, page):
    costs = fresh.execute_script(
        "change((P) => { P.net.optimizer.learning_rate = 0.1; }); return valleyCosts(4)"
    )
    model = fb.mlp([2, 3, 1], activation="tanh", seed=0)
    for t, cost in costs:
        moved = fb.explain(
            model, page.x, page.y, loss="half_squared_error", learning_rate=max(1e-9, 0.1 * t)
        )
        assert cost == pytest.approx(moved.after.cost, rel=1e-5)
    assert fresh.find_element("id", "valley").is_displayed()
