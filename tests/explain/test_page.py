"""The page: all numbers are the library's, everything can be pressed, and it needs only itself."""

import json
import re
from itertools import pairwise

import numpy as np
import pytest
from browser import start_browser

import fastbackprop as fb


def explained(
    widths, n=1, hidden="tanh", last="identity", loss="half_squared_error", seed=0, rate=0.1
):
    rng = np.random.default_rng(seed)
    model = fb.mlp(widths, activation=hidden, output_activation=last, seed=seed)
    y = (
        rng.integers(0, widths[-1], n)
        if loss == "cross_entropy"
        else rng.uniform(size=(n, widths[-1]))
    )
    return fb.explain(model, rng.normal(size=(n, widths[0])), y, loss=loss, learning_rate=rate)


def with_layers(normalization):
    rng = np.random.default_rng(0)
    norm = {"batch": [fb.BatchNorm()], "layer": [fb.LayerNorm()], None: []}[normalization]
    layers = [fb.Dense(3, 5), *norm, fb.Activation("tanh"), fb.Dropout(0.4)]
    model = fb.Sequential([*layers, fb.Dense(5, 2, "softmax")], seed=0)
    return fb.explain(model, rng.normal(size=(6, 3)), [0, 1, 1, 0, 1, 0], loss="cross_entropy")


CAR = fb.Sequential(
    [fb.Dense(1, 1, bias=False, weight_init=3.0), fb.Dense(1, 1, bias=False, weight_init=4.0)]
)
PAGES = {
    "car": lambda: fb.explain(CAR, 2, 30, loss="half_squared_error", learning_rate=0.01),
    "small": lambda: explained([2, 3, 1]),
    "batch": lambda: explained(
        [3, 4, 2], n=5, hidden="relu", last="sigmoid", loss="binary_cross_entropy"
    ),
    "wide": lambda: explained(
        [20, 124, 12, 10], n=20, hidden="relu", last="softmax", loss="cross_entropy"
    ),
    "dropout": lambda: with_layers(None),
    "batch norm": lambda: with_layers("batch"),
    "layer norm": lambda: with_layers("layer"),
}


def embedded(path):
    return json.loads(
        re.search(r'type="application/json">(.*?)</script>', path.read_text(), re.DOTALL)[1]
    )


@pytest.mark.parametrize("name", PAGES)
def test_it_is_one_small_file_that_asks_for_nothing(name, tmp_path):
    PAGES[name]().to_html(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert len(text.encode()) < 500_000
    assert set(re.findall(r"https?://[^\s\"']+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=\"(?!data:,)", text)
    assert list(tmp_path.iterdir()) == [tmp_path / "page.html"]


def test_the_largest_nets_and_batches_stay_small(tmp_path):
    e = explained([784, 128, 10], n=200, hidden="relu", last="softmax", loss="cross_entropy")
    e.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 500_000
    data = embedded(tmp_path / "page.html")
    assert data["widths"] == [784, 128, 10]
    assert [len(x) for x in data["shown"]] == [8, 8, 8]
    assert "most costly of 200 samples" in data["note"]


def test_those_most_to_blame_are_shown_and_the_rest_is_summed(tmp_path):
    e = PAGES["wide"]()
    e.to_html(tmp_path / "page.html")
    data = embedded(tmp_path / "page.html")
    assert all(len(x) == 8 for x in data["shown"])
    assert set(np.argsort(-e.blame.neurons[1])[:4]) <= set(data["shown"][2])
    named = [
        (x["k"] - 1, *([] if x["i"] is None else [x["i"]]), x["j"])
        for x in data["steps"][0]["worst"]
    ]
    assert named == [x.where for x in e.top(6)]
    step, k = data["steps"][0], 1
    s, j = step["samples"][0], data["shown"][2][0]
    layer = step["layers"][k]
    shown = sum(layer["weight"][i][0] * step["layers"][0]["a"][0][i] for i in range(8))
    total = shown + layer["rest_in"][0][0] + layer["bias"][0]
    assert total == pytest.approx(e.layers[k].z[s, j], rel=1e-4)


def test_nothing_in_the_data_ends_the_script():
    def evil(y_hat, y):
        return 1.0, np.ones_like(y_hat)

    evil.__name__ = "</script><b>"
    page = fb.explain(fb.mlp([2, 1], seed=0), [1, 2], [1], loss=evil)._repr_html_()
    assert page.startswith("<iframe")
    assert "</script><b>" not in page
    assert "u003c/script&gt;" in page


def test_a_page_that_cannot_be_written_changes_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match="in a folder that is there"):
        PAGES["car"]().to_html(tmp_path / "nowhere" / "page.html")
    with pytest.raises(IsADirectoryError):
        PAGES["car"]().to_html(tmp_path)


# ---- in a browser -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    with start_browser() as started:
        yield started


@pytest.fixture
def opened(browser, tmp_path, request):
    def open_page(name, width=1280):
        e = PAGES[name]()
        e.to_html(tmp_path / "page.html")
        browser.set_window_size(width, 1000)
        browser.get_log("performance")
        browser.get((tmp_path / "page.html").as_uri())
        return e.to_dict()

    yield open_page
    assert [x["message"] for x in browser.get_log("browser")] == []
    events = [json.loads(x["message"])["message"] for x in browser.get_log("performance")]
    asked = {
        x["params"]["request"]["url"] for x in events if x["method"] == "Network.requestWillBeSent"
    }
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}


def look_up(data, key):
    for part in key.split("/"):
        data = data[int(part) if isinstance(data, list) else part]
    return data


def check_numbers(browser, data):
    """Every number that says where it comes from is exactly the library's; returns where from."""
    numbers = browser.execute_script(
        "return [...document.querySelectorAll('data[data-key]')].map(x => [x.dataset.key, "
        "x.value, x.textContent])"
    )
    for key, value, shown in numbers:
        assert float(value) == look_up(data, key), key
        is_share = shown.endswith(" %")  # which has three digits
        shown = float(shown.removesuffix(" %")) / (100 if is_share else 1)
        assert shown == pytest.approx(float(value), rel=6e-3 if is_share else 6e-4, abs=1e-30)
    return {key for key, _, _ in numbers}


def walk_to(browser, position):
    browser.execute_script(
        "const w = document.getElementById('walk'); w.value = arguments[0]; w.dispatchEvent(new "
        "Event('input'))",
        position,
    )


def click(browser, selector):
    browser.execute_script(
        "document.querySelector(arguments[0]).dispatchEvent(new MouseEvent('click', {bubbles: "
        "true}))",
        selector,
    )


def ids(browser, kind):
    return browser.execute_script(
        "return [...document.querySelectorAll('#drawing [data-id]')].map(x => x.dataset.id)"
        ".filter(x => x[0] === arguments[0])", kind,
    )  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_every_neuron_and_weight_opens_with_the_numbers_of_the_library(opened, browser, name):
    data = opened(name)
    shown = json.loads(browser.execute_script("return JSON.stringify(D.shown)"))
    kinds = [layer["kind"] for layer in data["layers"]]
    n_weights = sum(
        len(a) * len(b) for (a, b), kind in zip(pairwise(shown), kinds, strict=True)
        if kind == "Dense"
    )  # fmt: skip
    assert len(ids(browser, "n")) == sum(map(len, shown))
    assert len(ids(browser, "w")) == n_weights
    seen = set()
    for place in [*ids(browser, "n"), *ids(browser, "w")]:
        click(browser, f"#drawing [data-id='{place}']")
        seen |= check_numbers(browser, data)
    sample = browser.execute_script("return S()")
    for k in range(len(data["layers"])):
        for j in shown[k + 1]:
            values = ("z", "a", "delta") if kinds[k] in ("Dense", "Activation") else ("a", "delta")
            assert {f"layers/{k}/{what}/{sample}/{j}" for what in values} <= seen
            if kinds[k] == "Dropout":
                assert f"layers/{k}/derivative/{sample}/{j}" in seen
            if kinds[k].endswith("Norm"):
                assert {f"blame/weights/{k}/0/{j}", f"layers/{k}/weight_gradient/0/{j}"} <= seen
                assert {f"layers/{k}/weight/0/{j}", f"layers/{k}/weight_after/0/{j}"} <= seen
            for i in shown[k] if kinds[k] == "Dense" else ():
                assert {
                    f"layers/{k}/{what}/{i}/{j}"
                    for what in ("weight", "weight_gradient", "weight_after")
                } <= seen
            if data["layers"][k]["bias"] is not None:
                assert {f"blame/biases/{k}/{j}", f"layers/{k}/bias_after/{j}"} <= seen


def numbers_of(browser, where):
    """(place in the dict or None, value) of each number there, in order."""
    found = browser.execute_script(
        "return [...document.querySelectorAll(arguments[0] + ' data')]"
        ".map(x => [x.dataset.key || null, Number(x.value)])",
        where,
    )
    return [tuple(x) for x in found]


@pytest.mark.parametrize("name", [name for name in PAGES if not name.endswith("norm")])
def test_each_weight_shows_its_strongest_path_to_the_cost(opened, browser, name):
    data = opened(name)
    e, sample = PAGES[name](), browser.execute_script("return S()")
    shown, widths = (
        json.loads(browser.execute_script("return JSON.stringify(D.shown)")),
        data["model"]["widths"],
    )
    is_softmax = data["model"]["activations"][-1] == "softmax"
    for place in ids(browser, "w"):
        click(browser, f"[data-id='{place}']")
        k, n, m = map(int, place[1:].split("."))
        i, j = shown[k - 1][n], shown[k][m]
        lines = [x.text for x in browser.find_elements("css selector", "#detail .formula")]
        kinds = [layer["kind"] for layer in data["layers"]]
        ways = [w for w, x in zip(widths[1:], kinds, strict=True) if x == "Dense"]
        n_paths = int(np.prod(ways[sum(x == "Dense" for x in kinds[:k]) :]))
        is_whole = [len(x) for x in shown[k + 1 :]] == widths[k + 1 :]
        if n_paths > 1:
            how = "" if is_whole else " that is shown"
            assert lines.pop(0) == f"Of {n_paths:,} paths to the cost the strongest{how}:"
        names = tuple(lines[0].split(" = ")[-1].split(" * "))
        factors = [value for _, value in numbers_of(browser, "#detail [data-chain]")]
        assert len(names) == len(factors)
        assert [float(x) for x in lines[1].removeprefix("= ").split(" * ")] == pytest.approx(
            factors, rel=6e-4
        )
        chain = e.chain(k - 1, i, j, sample=sample, most=10**5)
        if is_softmax:  # the page begins at dC/dz: all ways there from dC/dy_hat are one
            products = {}
            for path in chain.paths:
                products[path.names[2:]] = products.get(path.names[2:], 0) + path.product
            assert names[1:] in products
            assert np.prod(factors) == pytest.approx(products[names[1:]], rel=1e-3, abs=1e-9)
            assert not is_whole or abs(np.prod(factors)) == pytest.approx(
                max(map(abs, products.values())), rel=1e-3
            )
        else:
            assert names == chain.paths[0].names
            assert factors == pytest.approx(chain.paths[0].factors)


def test_what_is_folded_away_is_summed_right(opened, browser):
    data = opened("wide")
    e, shown = PAGES["wide"](), json.loads(browser.execute_script("return JSON.stringify(D.shown)"))
    s = browser.execute_script("return S()")
    for k in range(1, len(shown)):
        layer, a_prev = e.layers[k - 1], e.x[s] if k == 1 else e.layers[k - 2].a[s]
        others = np.setdiff1d(np.arange(len(a_prev)), shown[k - 1])
        for n, j in enumerate(shown[k]):
            click(browser, f"[data-id='n{k}.{n}']")
            (rest,) = (value for key, value in numbers_of(browser, "#detail") if key is None)
            assert rest == pytest.approx(
                float(a_prev[others] @ layer.weight[others, j]), rel=1e-4, abs=1e-6
            )
            text = browser.find_element("id", "detail").text
            assert f"and {len(others)} more: " in text
    for k in range(1, len(shown) - 1):
        above = e.layers[k]
        others = np.setdiff1d(np.arange(above.weight.shape[1]), shown[k + 1])
        for n, j in enumerate(shown[k]):
            click(browser, f"[data-id='w{k}.0.{n}']")
            (rest,) = (value for key, value in numbers_of(browser, "#detail") if key is None)
            assert rest == pytest.approx(
                float(above.weight[j, others] @ above.delta[s, others]), rel=1e-4, abs=1e-9
            )
            assert f"and {len(others)} more: " in browser.find_element("id", "detail").text
    browser.find_element("id", "correct").click()
    assert all(key for part in ("#sentence", "#worst") for key, _ in numbers_of(browser, part))
    check_numbers(browser, data)


@pytest.mark.parametrize("name", ["small", "batch"])
def test_the_drawing_says_and_shows_the_same_numbers(opened, browser, name):
    from selenium.webdriver.support.ui import Select

    data = opened(name)
    layers, sample = data["layers"], browser.execute_script("return S()")
    browser.find_element("id", "blame").click()
    for place in ids(browser, "n"):
        k, j = map(int, place[1:].split("."))
        neuron = browser.find_element("css selector", f"[data-id='{place}']")
        said = browser.find_elements("css selector", f"[data-says='{place}'] text")
        texts = [x.text for x in said]
        a = data["x"][sample][j] if k == 0 else layers[k - 1]["a"][sample][j]
        label = neuron.get_attribute("aria-label")
        assert float(texts[0]) == pytest.approx(a, rel=0.05)
        assert float(re.search(r"= (\S+?)(,|$)", label)[1]) == pytest.approx(a, rel=6e-4)
        if k:
            assert float(texts[1]) == pytest.approx(layers[k - 1]["delta"][sample][j], rel=0.05)
            assert float(label.rpartition("delta = ")[2]) == pytest.approx(
                layers[k - 1]["delta"][sample][j], rel=6e-4
            )
        width = data["model"]["widths"][k]
        name_of = "x" if k == 0 else "y_hat" if k == len(layers) else f"a{k}"
        assert texts[-1] == (name_of if width == 1 else f"{name_of}[{j}]")
    for look in ("value", "blame"):
        Select(browser.find_element("id", "lines")).select_by_value(look)
        for k, layer in enumerate(layers):
            sizes = np.abs(layer["weight"] if look == "value" else data["blame"]["weights"][k])
            for (i, j), size in np.ndenumerate(sizes / sizes.max()):
                g = browser.find_element("css selector", f"[data-id='w{k + 1}.{i}.{j}']")
                line = g.find_element("css selector", ".line")
                assert float(line.get_attribute("stroke-width")) == pytest.approx(0.6 + 5 * size)
                assert float(line.get_attribute("stroke-opacity")) == pytest.approx(
                    0.25 + 0.75 * size
                )
                classes = g.get_attribute("class").split()
                assert ("blame" in classes) == (look == "blame")
                if look == "value":
                    assert ("minus" if layer["weight"][i][j] < 0 else "plus") in classes
                weight, share = re.search(
                    r"\] (\S+), share of the blame (\S+) %$", g.get_attribute("aria-label")
                ).groups()
                assert float(weight) == pytest.approx(layer["weight"][i][j], rel=6e-4)
                share_of = data["blame"]["weights"][k][i][j]
                assert float(share) / 100 == pytest.approx(share_of, rel=6e-3)


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("name", PAGES)
def test_labels_say_the_weight_its_blame_its_step_and_lie_on_nothing(opened, browser, name, width):
    data = opened(name, width)
    shown, last = browser.execute_script("return D.shown"), 2 * len(data["layers"]) + 2
    for position in (0, last - 1, last):
        walk_to(browser, position)
        labels = browser.execute_script(
            "return [...document.querySelectorAll('#drawing .on-line')].map(x => [x.dataset.of, "
            "x.textContent])"
        )
        what = {0: "weight", last - 1: "weight_gradient", last: "weight_after"}[position]
        for place, text in labels:
            k, n, *m = map(int, place[1:].split("."))
            layer = data["layers"][k - 1]
            if not m:  # of a line on which a number goes straight through
                through = layer["derivative" if layer["kind"] == "Dropout" else "through"]
                sample = browser.execute_script("return S()")
                assert float(text[2:]) == pytest.approx(through[sample][shown[k][n]], rel=6e-4)
                continue
            value = layer[what][shown[k - 1][n]][shown[k][m[0]]]
            said = re.split(" = | → ", text)[-1]
            assert float(said) == pytest.approx(value, rel=6e-4), text
        assert not browser.execute_script(COLLISIONS)
        if name in ("car", "small") and width == 1280:
            assert len(labels) == sum(len(a) * len(b) for a, b in pairwise(shown))


# Every label against every circle, line and other label, as they are drawn.
COLLISIONS = """
const inside = (box, x, y) => x > box.left && x < box.right && y > box.top && y < box.bottom;
const found = [], labels = [...document.querySelectorAll('#drawing .on-line')];
const boxes = labels.map((x) => x.getBoundingClientRect());
boxes.forEach((box, n) => {
  for (const line of document.querySelectorAll('#drawing .weight .line')) {
    const matrix = line.getScreenCTM(), length = line.getTotalLength();
    for (let t = 0; t <= length; t += 1) {
      const p = line.getPointAtLength(t).matrixTransform(matrix);
      if (inside(box, p.x, p.y)) { found.push([labels[n].textContent, 'line']); break; }
    }
  }
  for (const circle of document.querySelectorAll('#drawing circle')) {
    const c = circle.getBoundingClientRect(), r = c.width / 2;
    const x = Math.max(box.left, Math.min(c.left + r, box.right));
    const y = Math.max(box.top, Math.min(c.top + r, box.bottom));
    const away = Math.hypot(x - c.left - r, y - c.top - r);
    if (away < r) found.push([labels[n].textContent, 'circle']);
  }
  boxes.forEach((other, m) => {
    if (m < n && box.left < other.right && other.left < box.right && box.top < other.bottom
      && other.top < box.bottom) found.push([labels[n].textContent, labels[m].textContent]);
  });
});
return found;
"""


def test_buttons_play_their_steps_where_motion_is_welcome(opened, browser):
    from selenium.webdriver.support.ui import WebDriverWait

    def wish(value):
        feature = {"name": "prefers-reduced-motion", "value": value}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    opened("small")
    wish("no-preference")
    try:
        for name, first, last in (("predict", 0, 2), ("blame", 4, 5), ("correct", 6, 6)):
            seen = browser.execute_script(
                "document.getElementById(arguments[0]).click(); return "
                "document.getElementById('walk').value",
                name,
            )
            assert seen == str(first)
            WebDriverWait(browser, 10).until(
                lambda b, last=last: b.execute_script("return walk") == last
            )
        browser.find_element("id", "predict").click()  # who takes the slider has it
        walk_to(browser, 1)
        assert browser.execute_script("return playing") is None
        browser.find_element("id", "predict").click()
        browser.find_element("id", "compare").click()
        assert browser.execute_script("return walk") == 3
        WebDriverWait(browser, 10).until(lambda b: b.execute_script("return playing") is None)
        assert browser.execute_script("return walk") == 3
    finally:
        wish("reduce")


@pytest.mark.parametrize("name", ["car", "batch"])
def test_the_slider_walks_the_numbers_forward_and_back(opened, browser, name):
    data = opened(name)
    n_layers, last = len(data["layers"]), 2 * len(data["layers"]) + 2
    sample = browser.execute_script("return S()")
    sentences = []
    for position in range(last + 1):
        walk_to(browser, position)
        check_numbers(browser, data)
        sentences.append(browser.find_element("id", "sentence").text)
        for k in range(1, n_layers + 1):
            for j in range(data["model"]["widths"][k]):
                neuron = browser.find_element("css selector", f"#drawing [data-id='n{k}.{j}']")
                a, delta = neuron.get_attribute("data-a"), neuron.get_attribute("data-delta")
                known, blamed = (
                    k <= position,
                    position > n_layers + 1 and k >= 2 * n_layers + 2 - position,
                )
                assert (a is not None, delta is not None) == (known, blamed)
                assert a is None or float(a) == data["layers"][k - 1]["a"][sample][j]
                assert delta is None or float(delta) == data["layers"][k - 1]["delta"][sample][j]
    assert len(set(sentences)) == last + 1
    assert [x.split()[0].strip(":") for x in sentences] == (
        ["Predict"] * (n_layers + 1) + ["Compare"] + ["Blame"] * n_layers + ["Correct"]
    )
    weights = browser.execute_script(
        "return Object.fromEntries([...document.querySelectorAll('.weight')].map(x => "
        "[x.dataset.id, x.dataset.value]))"
    )
    for place, value in weights.items():  # the lines show what they are after the step
        k, i, j = map(int, place[1:].split("."))
        assert float(value) == data["layers"][k - 1]["weight_after"][i][j]


def test_every_button_goes_to_its_step(opened, browser):
    data = opened("small")
    for name, position in (("predict", 2), ("compare", 3), ("blame", 5), ("correct", 6)):
        browser.find_element("id", name).click()
        assert browser.find_element("id", "walk").get_attribute("value") == str(position)
        pressed = browser.find_elements("css selector", "button[aria-pressed=true]")
        assert [x.get_attribute("id") for x in pressed] == [name]
    assert {"cost", "after/cost", "after/predicted_cost"} <= check_numbers(browser, data)


def test_keys_do_what_buttons_do(opened, browser):
    from selenium.webdriver.common.keys import Keys

    opened("small")
    body = browser.find_element("css selector", "body")
    for key, position in (
        ("1", 2),
        (Keys.ARROW_RIGHT, 3),
        (Keys.ARROW_LEFT, 2),
        ("4", 6),
        ("3", 5),
        ("2", 3),
    ):
        body.send_keys(key)
        assert browser.find_element("id", "walk").get_attribute("value") == str(position)
    for place in ids(browser, "n"):
        neuron = browser.find_element("css selector", f"[data-id='{place}']")
        assert neuron.get_attribute("tabindex") == "0"
        assert neuron.get_attribute("aria-label")
        neuron.send_keys(Keys.ENTER)
        assert "chosen" in browser.find_element(
            "css selector", f"[data-id='{place}']"
        ).get_attribute("class")
        assert browser.switch_to.active_element.get_attribute("data-id") == place  # the focus stays
    terms = browser.find_elements("css selector", "#detail .terms button")
    terms[0].send_keys(Keys.ENTER)
    assert browser.find_element("id", "head").text.startswith("weight w")


def test_the_chain_of_the_worked_example_stands_on_the_page(opened, browser):
    data = opened("car")
    click(browser, "[data-id='w1.0.0']")
    check_numbers(browser, data)
    text = browser.find_element("id", "detail").text
    assert "dC/dw1 = dC/dy_hat * dy_hat/dz2 * dz2/da1 * da1/dz1 * dz1/dw1" in text
    assert "= -6 * 1 * 4 * 1 * 2" in text
    assert "w1: 3 - 0.01 * -48 = 3.48" in text
    assert browser.find_element("id", "sample-label").is_displayed() is False


def test_another_sample_and_another_look(opened, browser):
    from selenium.webdriver.support.ui import Select

    data = opened("batch")
    click(browser, "[data-id='n1.0']")
    samples = browser.execute_script("return step().samples")
    assert sorted(samples) == list(range(5))
    for n, sample in enumerate(samples):
        Select(browser.find_element("id", "sample")).select_by_index(n)
        assert f"layers/0/z/{sample}/0" in check_numbers(browser, data)
    widths = []
    for look in ("value", "blame"):
        Select(browser.find_element("id", "lines")).select_by_value(look)
        lines = browser.find_elements("css selector", ".weight .line")
        widths.append([float(x.get_attribute("stroke-width")) for x in lines])
    assert widths[0] != widths[1]
    blame = [share for layer in data["blame"]["weights"] for row in layer for share in row]
    first = len(data["blame"]["weights"][0]) * len(data["blame"]["weights"][0][0])
    assert np.argmax(widths[1][:first]) == np.argmax(blame[:first])


def test_what_is_folded_is_counted(opened, browser):
    opened("wide")
    counted = [x.text for x in browser.find_elements("css selector", "#drawing .more")]
    assert counted == ["and 12 more", "and 116 more", "and 4 more", "and 2 more"]
    assert "most to blame" in browser.find_element("id", "folded").text


@pytest.mark.parametrize("name", ["small", "wide"])
@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_cut_off(opened, browser, name, width):
    opened(name, width)
    click(browser, "[data-id='w1.0.0']")
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_the_outputs_that_matter_and_those_most_to_blame_are_named(opened, browser):
    data = opened("wide")
    browser.find_element("id", "compare").click()
    keys = check_numbers(browser, data)
    sample = browser.execute_script("return S()")
    d = np.abs(data["d_y_hat"][sample])
    assert f"d_y_hat/{sample}/{d.argmax()}" in keys
    assert "and 7 more outputs" in browser.find_element("id", "sentence").text
    worst = browser.execute_script(
        "return [...document.querySelectorAll('#worst li')].map(x => x.textContent)"
    )
    assert [x.split("  ")[0] for x in worst] == [x.name for x in PAGES["wide"]().top(6)]


def test_labels_of_a_loss_of_ones_own_are_no_error(opened, browser, monkeypatch):
    def labels(y_hat, y):
        n, d = len(y), np.zeros_like(y_hat)
        p = y_hat[np.arange(n), y.reshape(-1)]
        d[np.arange(n), y.reshape(-1)] = -1 / p / n
        return float(-np.log(p).mean()), d

    model = fb.mlp([2, 3, 3], output_activation="softmax", seed=0)
    monkeypatch.setitem(
        PAGES, "labels", lambda: fb.explain(model, [[0, 1], [1, 1], [1, 0]], [0, 2, 1], loss=labels)
    )
    data = opened("labels")
    browser.find_element("id", "compare").click()
    assert any(key.startswith("d_y_hat/") for key in check_numbers(browser, data))
    assert "C of this sample" in browser.find_element("id", "sentence").text
    for place in [*ids(browser, "n"), *ids(browser, "w")]:
        click(browser, f"#drawing [data-id='{place}']")
        check_numbers(browser, data)


def test_the_focus_stays_when_a_button_of_the_list_goes(opened, browser):
    from selenium.webdriver.common.keys import Keys

    opened("small")
    click(browser, "[data-id='n1.0']")
    browser.find_element("css selector", "#detail .terms button").send_keys(Keys.ENTER)
    assert browser.switch_to.active_element.get_attribute("id") == "head"


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    rng = np.random.default_rng(0)
    model = fb.mlp([2, 3, 1], activation="tanh", seed=0)
    trainer = fb.Trainer(model, "half_squared_error", fb.SGD(0.3, momentum=0.5), seed=0)
    e = fb.explain_training(trainer, rng.normal(size=(6, 2)), rng.normal(size=6), steps=50)
    path = tmp_path_factory.mktemp("training") / "page.html"
    e.to_html(path)
    return e, path


def test_fifty_steps_stay_small(training):
    assert training[1].stat().st_size < 500_000
    assert len(embedded(training[1])["steps"]) == 50


def test_a_training_of_a_wide_net_stays_small(tmp_path):
    rng = np.random.default_rng(0)
    model = fb.mlp([100, 128, 128, 10], output_activation="softmax", seed=0)
    trainer = fb.Trainer(model, "cross_entropy", seed=0)
    e = fb.explain_training(trainer, rng.normal(size=(32, 100)), rng.integers(0, 10, 32), steps=50)
    e.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 500_000
    assert "of wide layers the neurons most to blame" in embedded(tmp_path / "page.html")["note"]


def test_the_slider_moves_through_time(training, browser):
    e, path = training
    browser.get(path.as_uri())
    for step in (0, 17, 49):
        browser.execute_script(
            "const t = document.getElementById('time'); t.value = arguments[0]; "
            "t.dispatchEvent(new Event('input'))",
            step,
        )
        browser.find_element("id", "correct").click()
        for place in ("n1.2", "w2.1.0"):
            click(browser, f"[data-id='{place}']")
            keys = check_numbers(browser, e[step].to_dict())
        assert {
            "layers/1/weight_after/1/0",
            "layers/1/weight_step/1/0",
        } <= keys  # by momentum: no learning rate times
        assert f"step {step}, C = " in browser.find_element("id", "when").text
    assert [x["message"] for x in browser.get_log("browser")] == []
