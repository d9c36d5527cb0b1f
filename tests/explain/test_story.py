"""The page tells its story: it moves, says each step, keeps its place, and is there for all."""
# ruff: noqa: RUF001  the page multiplies by a true sign of multiplication

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from browser import start_browser

import fastbackprop as fb

CAR = [fb.Dense(1, 1, bias=False, weight_init=w) for w in (3.0, 4.0)]


@pytest.fixture(scope="module")
def browser():
    with start_browser() as started:
        yield started


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("story")
    rng = np.random.default_rng(0)
    car = fb.explain(fb.Sequential(CAR, dtype="float64"), 2, 30, loss="half_squared_error")
    car.to_html(folder / "car.html")
    model = fb.mlp([3, 4, 2], activation="tanh", output_activation="softmax", seed=0)
    names = {"feature_names": ["age", "height", "weight"], "class_names": ["cat", "dog"]}
    fb.explain(
        model, rng.normal(size=(6, 3)), [0, 1, 1, 0, 1, 0], loss="cross_entropy", **names
    ).to_html(folder / "pets.html")
    line = fb.mlp([1, 5, 1], activation="tanh", seed=0)
    x = np.linspace(-2, 2, 20)[:, None]
    fb.lab(line, x, np.sin(x), path=folder / "line.html", open_browser=False)
    image = fb.mlp([6, 4, 3], output_activation="softmax", seed=0)
    fb.lab(
        image, rng.uniform(size=(9, 6)), rng.integers(0, 3, 9), image_shape=(2, 3),
        path=folder / "image.html", open_browser=False,
    )  # fmt: skip
    return folder


def open_page(browser, pages, name, place="", width=1280):
    browser.set_window_size(width, 1000)
    browser.get("about:blank")
    browser.get((pages / f"{name}.html").as_uri() + place)
    return browser


def moving(browser, value):
    feature = {"name": "prefers-reduced-motion", "value": value}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def test_it_opens_playing_and_can_be_paused_and_is_still_where_motion_is_unwelcome(browser, pages):
    open_page(browser, pages, "car")
    assert browser.execute_script("return [playing, walk]") == [None, 0]
    moving(browser, "no-preference")
    try:
        open_page(browser, pages, "car")
        button = browser.find_element("id", "play")
        assert browser.execute_script("return playing") is not None
        assert button.text == "pause"
        button.click()
        assert browser.execute_script("return playing") is None
        assert button.text == "play"
        # Played to its end, faster than it is by itself, with every place seen.
        seen = browser.execute_async_script(
            "const done = arguments[0], seen = []; const go0 = go; play(0, last, 60);"
            "const look = setInterval(() => { seen.push(walk);"
            "if (playing === null) { clearInterval(look); done(seen); } }, 5);"
        )
        assert sorted(set(seen)) == list(range(7))
        travellers = browser.execute_script(
            "go(1, 5000); return [...document.querySelectorAll('.travellers text')].length"
        )
        assert travellers == 1
    finally:
        moving(browser, "reduce")


def test_numbers_travel_with_their_weight_forward_and_back(browser, pages):
    open_page(browser, pages, "car")

    def travellers(position):
        return browser.execute_script(
            "walk = arguments[0]; return travellersOf(placesIn(700)).map((x) => [x.kind, x.before, "
            "x.after, x.ends.x1 < x.ends.x2])",
            position,
        )

    assert travellers(1) == [["forward", "2 × 3", "6", True]]
    assert travellers(2) == [["forward", "6 × 4", "24", True]]
    assert travellers(3) == travellers(4) == []  # compare; and the output's own blame
    assert travellers(5) == [["back", "-6 × 4", "-24", False]]


def test_the_lines_that_light_in_blame_are_those_that_it_passes_through(browser, pages):
    open_page(browser, pages, "car")
    for position, lit in ((4, []), (5, ["w2.0.0"]), (6, [])):
        browser.execute_script("go(arguments[0])", position)
        found = browser.execute_script(
            "return [...document.querySelectorAll('.weight.back')].map((x) => x.dataset.id)"
        )
        assert found == lit


def test_the_worked_example_is_told_in_its_numbers(browser, pages):
    open_page(browser, pages, "car")
    told, labels = [], []
    for position in range(7):
        browser.execute_script("go(arguments[0])", position)
        told.append(browser.find_element("id", "sentence").text)
        found = browser.find_elements("css selector", "#drawing .on-line")
        labels.append({x.get_attribute("data-of"): x.text for x in found})
    assert "2 × 3 = 6" in told[1]
    assert "6 × 4 = 24" in told[2]
    assert "C = 18" in told[3]
    assert "-6 × 6 = -36" in told[4]
    assert "-6 × 4 × 2 = -48" in told[5]
    assert "w1 3 → 3.48, w2 4 → 4.36" in told[6]
    assert "y_hat was 24, is now 30.35, should be 30" in told[6]
    assert "C was 18, is now 0.05972: it falls" in told[6]
    assert told[6].endswith("foretold a C of -18, but on the way the slope changes.")
    assert labels[4]["w2.0.0"] == "w2: -6 × 6 = -36"
    assert labels[5] == {"w2.0.0": "w2: -6 × 6 = -36", "w1.0.0": "-6 × 4 × 2 = -48"}
    assert labels[6] == {"w1.0.0": "w1: 3 → 3.48", "w2.0.0": "w2: 4 → 4.36"}
    for neuron, numbers in (("n1.0", ["6", "→ 6.96"]), ("n2.0", ["24", "→ 30.35"])):
        texts = browser.find_elements("css selector", f"[data-says='{neuron}'] text")
        assert [x.text for x in texts][:2] == numbers


def test_each_factor_has_one_color_on_line_formula_and_sentence(browser, pages):
    open_page(browser, pages, "car", "#walk=5&at=w1.0.0")
    color = "return getComputedStyle(document.querySelector(arguments[0])).color"
    formula = browser.find_elements("css selector", "#detail [data-chain] .factor")
    assert [x.text for x in formula] == ["-6", "1", "4", "1", "2"]
    sentence = browser.find_elements("css selector", "#sentence .factor")
    assert [x.text for x in sentence] == ["-6", "4", "2", "2", "4", "-6"]
    by_text = {x.text: x.value_of_css_property("color") for x in formula}
    for x in sentence:
        assert x.value_of_css_property("color") == by_text[x.text]
    line = browser.find_element("css selector", "[data-id='w2.0.0'] .line")
    assert line.value_of_css_property("stroke") == browser.execute_script(
        color, "#detail [data-chain] .factor:nth-of-type(3)"
    ).replace("rgba", "rgb")
    spans = browser.find_elements("css selector", "[data-of='w1.0.0'] tspan[class]")
    assert [x.text for x in spans] == ["-6", "4", "2"]
    for x in spans:
        assert x.value_of_css_property("fill") == by_text[x.text].replace("rgba", "rgb").replace(
            ", 1)", ")"
        )


def test_the_path_of_a_weight_is_walked_factor_by_factor(browser, pages):
    open_page(browser, pages, "car", "#walk=5&at=w1.0.0")
    products = []
    for _ in range(5):
        browser.find_element("id", "walk-path").click()
        products.append(browser.find_element("id", "walk-path").find_element("xpath", "..").text)
    assert [float(x.split()[-1]) for x in products] == [-6, -6, -24, -24, -48]
    browser.find_element("id", "walk-path").click()
    assert browser.execute_script("return walked") is None


def test_its_place_is_kept_in_the_address(browser, pages):
    open_page(browser, pages, "pets")
    browser.execute_script(
        "choose({kind: 'weight', k: 1, i: 2, j: 1}); go(4); sample = 3; moved();"
    )
    address = browser.current_url
    assert "walk=4" in address
    browser.get("about:blank")
    browser.get(address)
    assert browser.execute_script("return [walk, sample, chosen]") == [
        4, 3, {"kind": "weight", "k": 1, "i": 2, "j": 1},
    ]  # fmt: skip
    assert browser.find_element("id", "head").text == "weight w1[2, 1]: weight to a1[1]"
    for nonsense in (
        "#walk=99&at=w7.0.0", "#walk=x&sample=-3&at=n0.9", "#at=w1.0.0", "#walk=1.5",
        "#walk=2&sample=0.7&time=0.5",
    ):  # fmt: skip
        open_page(browser, pages, "pets", nonsense)
        assert browser.execute_script(
            "return [walk, sample, time].every(Number.isInteger) && walk >= 0 && walk <= last"
        )
        assert browser.execute_script("return chosen") is None
    assert [x["message"] for x in browser.get_log("browser")] == []


def test_features_and_classes_are_called_by_their_names(browser, pages):
    open_page(browser, pages, "pets", "#walk=3&at=n0.1")
    names = [x.text for x in browser.find_elements("css selector", "#drawing .name")]
    assert names == ["age", "height", "weight", "a1[0]", "a1[1]", "a1[2]", "a1[3]", "cat", "dog"]
    assert "height" in browser.find_element("id", "head").text
    sentence = browser.find_element("id", "sentence").text
    assert re.search(r"(cat|dog): y_hat\[\d\] = ", sentence)
    assert "1/6 of the blame" in sentence  # the 1/n of a batch
    label = browser.find_element("css selector", "[data-id='n2.1']").get_attribute("aria-label")
    assert label.startswith("neuron y_hat[1] dog = ")


@pytest.mark.parametrize("width", [400, 1280])
def test_names_lie_on_no_line(browser, pages, width):
    open_page(browser, pages, "pets", "#walk=5", width)
    assert not browser.execute_script("""
        const found = [];
        for (const name of document.querySelectorAll('#drawing .name')) {
          const box = name.getBoundingClientRect();
          for (const line of document.querySelectorAll('#drawing .weight .line')) {
            const matrix = line.getScreenCTM(), length = line.getTotalLength();
            for (let t = 0; t <= length; t += 1) {
              const p = line.getPointAtLength(t).matrixTransform(matrix);
              if (p.x > box.left && p.x < box.right && p.y > box.top && p.y < box.bottom) {
                found.push(name.textContent); break;
              }
            }
          }
        }
        return found;""")


def test_every_letter_is_explained_in_a_list_and_on_hover(browser, pages):
    open_page(browser, pages, "pets", "#walk=5")
    terms = [x.text for x in browser.find_elements("css selector", "#glossary dt")]
    browser.execute_script("choose({kind: 'weight', k: 1, i: 0, j: 0})")
    assert terms == ["x", "w", "b", "z", "a", "y_hat", "y", "C", "dC/dw", "delta", "sigma'", "n"]
    hovered = browser.execute_script(
        "return [...document.querySelectorAll('#detail abbr')].map((x) => [x.textContent, x.title])"
    )
    assert {"w1", "delta1"} <= {re.sub(r"\[.*", "", x) for x, _ in hovered}
    assert all(title for _, title in hovered)


def test_one_input_has_its_curve_and_an_image_its_pixels(browser, pages):
    open_page(browser, pages, "line")
    assert browser.find_element("id", "fitted").is_displayed()
    open_page(browser, pages, "image")
    for canvas in ("pixels", "pixel-blame"):
        assert browser.find_element("id", canvas).is_displayed()
    assert re.match(r"Sample \d is \d, and the net says \d", browser.find_element(
        "id", "pictures-note").text)  # fmt: skip
    assert [x["message"] for x in browser.get_log("browser")] == []


def test_keys_work_wherever_the_focus_is(browser, pages):
    from selenium.webdriver.common.keys import Keys

    open_page(browser, pages, "pets", "#walk=0&at=n1.0")
    for place in ("#walk", "#blame", "#head", "[data-id='n0.0']", "#detail .terms button"):
        for key, position in (("2", 3), ("1", 2), ("4", 6), ("3", 5)):
            browser.execute_script("document.querySelector(arguments[0]).focus()", place)
            browser.switch_to.active_element.send_keys(key)
            assert browser.execute_script("return walk") == position, place
    browser.find_element("css selector", "[data-id='n0.0']").send_keys(Keys.ARROW_LEFT)
    assert browser.execute_script("return walk") == 4
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert browser.execute_script("return chosen") is None
    browser.find_element("css selector", "body").send_keys(" ")
    assert browser.execute_script("return walk") == 6  # played; without motion, to its end


def test_details_open_where_they_can_be_seen_on_a_phone(browser, pages):
    open_page(browser, pages, "pets", width=400)
    top = (
        "const box = document.getElementById('head').getBoundingClientRect();"
        "return box.top >= 0 && box.bottom <= innerHeight"
    )
    browser.execute_script("scrollTo(0, 0)")
    assert not browser.execute_script(top)
    browser.execute_script("choose({kind: 'weight', k: 1, i: 0, j: 0})")
    assert browser.execute_script(top)


def test_a_training_is_played_from_its_first_step(browser, pages):
    model = fb.mlp([2, 3, 1], activation="tanh", seed=0)
    trainer = fb.Trainer(model, "half_squared_error", fb.SGD(0.3), seed=0)
    e = fb.explain_training(trainer, [[0, 1], [1, 0]], [1, 0], steps=5)
    e.to_html(pages / "training.html")
    open_page(browser, pages, "training", "#walk=0&time=3")
    assert browser.execute_script("return [time, step().cost]") == [3, e[3].cost]
    browser.find_element("id", "step").click()
    time, costs = browser.execute_script("return [time, P.costs]")
    assert time == 0
    assert costs == pytest.approx([e[0].cost, e[1].cost], rel=1e-5)


@pytest.mark.parametrize("width", [400, 1280])
def test_text_is_large_enough_and_nothing_is_cut_off(browser, pages, width):
    for name in ("car", "pets", "line", "image"):
        open_page(browser, pages, name, "#walk=5&at=w1.0.0", width)
        small = browser.execute_script(
            "const isText = (n) => n.nodeType === 3 && n.data.trim();"
            "const hasText = (x) => [...x.childNodes].some(isText);"
            "return [...document.querySelectorAll('body *')].filter((x) => hasText(x)"
            " && x.getClientRects().length && parseFloat(getComputedStyle(x).fontSize) < 14)"
            ".map((x) => x.outerHTML.slice(0, 80))"
        )
        assert small == [], name
        assert browser.execute_script(
            "return document.documentElement.scrollWidth <= innerWidth"
        ), name


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["car", "pets", "line", "image"])
def test_axe_finds_nothing(browser, pages, name, scheme):
    """Where axe-core is: npm install axe-core, in the clone or where AXE_CORE says."""
    place = os.environ.get("AXE_CORE", "node_modules/axe-core")
    script = Path(__file__).resolve().parents[2] / place / "axe.min.js"
    if not script.exists():
        pytest.skip("axe-core is not installed")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]})  # fmt: skip
    open_page(browser, pages, name, "#walk=5&at=w1.0.0")
    browser.execute_script(script.read_text(encoding="utf-8"))
    for how in ("", "trainStep(); refresh(); choose({kind: 'neuron', k: L, i: 0}); go(last);"):
        browser.execute_script(how)
        violations = browser.execute_async_script(
            "axe.run().then((x) => arguments[0](x.violations.map((v) => [v.id, v.nodes.length])))"
        )
        assert violations == []


# ---- fb.lab -----------------------------------------------------------------------------------


def test_lab_writes_one_file_and_opens_it(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    model = fb.mlp([2, 3, 1], seed=0)
    before = [layer.weight.copy() for layer in model.layers]
    path = fb.lab(model, [[0, 1], [1, 0]], [1, 0], path=tmp_path / "lab.html")
    assert path == tmp_path / "lab.html"
    assert opened == [path.as_uri()]
    assert all(np.array_equal(a, b.weight) for a, b in zip(before, model.layers, strict=True))
    temporary = fb.lab(model, [[0, 1], [1, 0]], [1, 0], open_browser=False)
    assert temporary.read_text().startswith("<!doctype html>")
    assert len(opened) == 1


def test_the_largest_page_is_small_enough_to_be_mailed(tmp_path):
    rng = np.random.default_rng(0)
    model = fb.mlp([64, 128, 128, 10], output_activation="softmax", seed=0)
    X, y = rng.uniform(size=(50_000, 64)), rng.integers(0, 10, 50_000)
    path = fb.lab(model, X, y, path=tmp_path / "lab.html", open_browser=False)
    assert path.stat().st_size < 800_000
    play = json.loads(re.search(r'id="play-data".*?>(.*?)</script>', path.read_text())[1])
    assert 64 <= play["n"] < 50_000  # as many as there is room for
    text = path.read_text()
    assert set(re.findall(r"https?://[^\s\"']+", text)) == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in text


def test_what_the_page_cannot_compute_is_shown_and_not_played(browser, tmp_path):
    def own(y_hat, y):
        return float(((y_hat - y) ** 2).mean()), 2 * (y_hat - y) / y_hat.size

    model = fb.mlp([2, 3, 1], seed=0)

    def reason(path):
        return json.loads(re.search(r'id="play-data".*?>(.*?)</script>', path.read_text())[1])

    page, X, y = tmp_path / "p.html", [[0, 1]], [[1.0]]
    for loss, why in (
        (own, "the loss is a function of your own"),
        (fb.HalfSquaredError(mask_missing=True), "targets may be missing"),
    ):
        fb.lab(model, X, y, loss, path=page, open_browser=False)
        assert reason(page) == {"why": why}
    open_page(browser, tmp_path, "p")
    assert not browser.find_element("id", "lab").is_displayed()
    assert browser.find_element("id", "why").text == (
        "This net can be looked at here, not played with: targets may be missing."
    )
    frozen = fb.mlp([2, 3, 1], seed=0)
    frozen.layers[1].trainable = False
    fb.lab(frozen, X, y, path=page, open_browser=False)
    assert reason(page) == {"why": "layer 2 (layers[1]) is frozen"}
    for optimizer, why in (
        (fb.Lion(), "the optimizer is Lion"),
        (fb.Adam(amsgrad=True), "the optimizer is Adam with amsgrad"),
        (fb.SGD(fb.Cosine(0.1)), "the optimizer's learning_rate has a schedule"),
    ):
        trainer = fb.Trainer(model, "half_squared_error", optimizer)
        fb.explain_training(trainer, X, y).to_html(page)
        assert reason(page) == {"why": why}
    trainer = fb.Trainer(model, "half_squared_error", clip_norm=1.0)
    fb.explain_training(trainer, X, y).to_html(page)
    assert reason(page) == {"why": "gradients are clipped"}
    wide = fb.mlp([400, 400, 1], seed=0)
    fb.lab(wide, np.ones((2, 400)), [1, 0], path=page, open_browser=False)
    assert reason(page) == {"why": "weights and samples have more than 260 kB"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"model": 3}, "model must be a Sequential, got int."),
        ({"learning_rate": 0}, "learning_rate must be a finite number above 0"),
        ({"open_browser": "no"}, "open_browser must be"),
        ({"image_shape": (3, 3)}, "image_shape must have 2 pixels"),
        ({"X": [[1, 2, 3]]}, "X must have 2 columns"),
    ],
)
def test_a_lab_that_cannot_be_is_refused(change, complaint):
    arguments = {"model": fb.mlp([2, 3, 1], seed=0), "X": [[1, 2]], "y": [1], **change}
    with pytest.raises((ValueError, TypeError), match=re.escape(complaint)):
        fb.lab(arguments.pop("model"), arguments.pop("X"), arguments.pop("y"), **arguments)
