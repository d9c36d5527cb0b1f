"""What the page computes by itself: the library's arithmetic, and what the reader moves."""

import json

import numpy as np
import pytest
from browser import start_browser
from loss_cases import NAMES, last_activation, n_targets, targets_of
from privates import ACTIVATIONS, LOSSES, TABLE, loss_table

import fastbackprop as fb

N_NETS, N_STEPS = 200, 100
TABLE_OF_LOSSES = loss_table.TABLE
HIDDEN = [name for name in ACTIVATIONS if name != "softmax"]
OPTIMIZERS = {
    "sgd": (lambda rate: fb.SGD(rate), {"momentum": 0.0}),
    "momentum": (lambda rate: fb.SGD(rate / 5, momentum=0.8), {"momentum": 0.8}),
    "nesterov": (
        lambda rate: fb.SGD(rate / 5, momentum=0.8, nesterov=True, weight_decay=0.01),
        {"momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
    ),
    "adam": (lambda rate: fb.Adam(rate / 5), {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}),
}


@pytest.fixture(scope="module")
def browser():
    with start_browser() as started:
        yield started


def random_net(seed):
    """A net in float64 with its data, loss and optimizer: over the seeds, every one of each."""
    rng = np.random.default_rng(seed)
    loss = NAMES[seed % len(NAMES)]
    n_out = 4 if loss == "gaussian_nll" else int(rng.integers(2, 5))
    widths = [int(rng.integers(1, 5)), *rng.integers(2, 6, int(rng.integers(1, 3))).tolist(), n_out]
    hidden = [HIDDEN[(seed + k) % len(HIDDEN)] for k in range(len(widths) - 2)]
    # exp of exp grows beyond all numbers at any rate that learns.
    hidden = [x if x != "exp" or k == 0 else "tanh" for k, x in enumerate(hidden)]
    last = last_activation(loss)
    if last == "identity" and loss.endswith("squared_error"):
        last = [*HIDDEN, "softmax"][(seed // len(NAMES)) % (len(HIDDEN) + 1)]
    names = [*hidden, last]
    layers = [
        fb.Dense(widths[k], widths[k + 1], names[k], bias=bool((seed + k) % 4))
        for k in range(len(names))
    ]
    model = fb.Sequential(layers, seed=seed, dtype="float64")
    for layer in model.layers:
        layer.weight = 0.5 * layer.weight
    n = int(rng.integers(1, 9))
    X, y = rng.normal(size=(n, widths[0])), targets_of(loss, rng, n, n_out)
    return model, X, y, loss, list(OPTIMIZERS)[seed // 3 % len(OPTIMIZERS)]


def trained(seed):
    """What the page is given, and what the library's weights are at the end."""
    model, X, y, loss, kind = random_net(seed)
    make, settings = OPTIMIZERS[kind]
    optimizer = make(0.02)
    net = {
        "widths": [model.n_in, *(x.n_out for x in model.layers)],
        "activations": [x.activation for x in model.layers],
        "slopes": [TABLE[x.activation].default for x in model.layers],
        "weights": [x.weight.ravel().tolist() for x in model.layers],
        "biases": [None if x.bias is None else x.bias.tolist() for x in model.layers],
        "loss": loss,
        "optimizer": {
            "kind": "adam" if kind == "adam" else "sgd",
            "learning_rate": optimizer.learning_rate,
            **settings,
        },
        "n": len(X),
        "n_targets": n_targets(loss, model.n_out),
        "x": X.ravel().tolist(),
        "y": np.asarray(y, float).ravel().tolist(),
    }
    trainer = fb.Trainer(model, loss, optimizer, batch_size=len(X), seed=0)
    costs = [trainer.step(X, y) for _ in range(N_STEPS)]
    tensors = [x for layer in model.layers for x in (layer.weight, layer.bias) if x is not None]
    return net, costs, tensors


TRAIN = """
const {net: given, steps} = arguments[0], array = (x) => x && Float64Array.from(x);
const net = {...given, weights: given.weights.map(array), biases: given.biases.map(array),
  loss: lossOf(given.loss, given.widths.at(-1))};
const batch = {n: given.n, nTargets: given.n_targets, x: array(given.x), y: array(given.y)};
const costs = [], state = {};
for (let s = 0; s < steps; s++) {
  const done = whole(net, batch);
  costs.push(done.cost);
  correct(net, done.layers, state);
}
const tensors = [];
net.weights.forEach((w, k) => { tensors.push([...w]);
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


def test_the_seeds_meet_every_activation_loss_and_optimizer():
    nets = [random_net(seed) for seed in range(N_NETS)]
    assert {layer.activation for net in nets for layer in net[0].layers} == set(ACTIVATIONS)
    assert {net[3] for net in nets} == set(LOSSES)
    assert {net[4] for net in nets} == set(OPTIMIZERS)


@pytest.mark.parametrize("first", range(0, N_NETS, 50))
def test_the_page_trains_as_the_library_does(browser, page, first):
    for seed in range(first, first + 50):
        net, costs, tensors = trained(seed)
        own_costs, own_tensors = browser.execute_script(TRAIN, {"net": net, "steps": N_STEPS})
        what = (seed, net["loss"], net["activations"], net["optimizer"])
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
