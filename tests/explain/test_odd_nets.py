"""The page of nets and names that a hostile reader brings: nothing breaks, nothing overlaps."""

import json
import re

import numpy as np
import pytest
from browser import start_browser

import fastbackprop as fb

ODD_NAMES = ["@PLAY@", "<b>x</b>", "W" * 60, "\N{GRINNING FACE}" * 40, ""]


def data(n_in, n_out, n=4):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, n_in)), rng.normal(size=(n, n_out))


def chain():
    model = fb.Sequential([fb.Dense(1, 1), fb.Dense(1, 1)], seed=0, dtype="float64")
    return fb.explain(model, [[0.1257]], [[-0.1321]], loss="half_squared_error")


def curved_chain():
    model = fb.Sequential([fb.Dense(1, 1, "tanh"), fb.Dense(1, 1, "sigmoid")], seed=0)
    return fb.explain(model, [[-0.5357]], [[0.1049]], loss="half_squared_error")


def deep():
    model = fb.mlp([2] + [3] * 11 + [1], activation="tanh", seed=0)
    return fb.explain(model, *data(2, 1), loss="half_squared_error")


def norm_last():
    model = fb.Sequential([fb.Dense(2, 3, "tanh"), fb.LayerNorm()], seed=0)
    return fb.explain(model, data(2, 1)[0], np.eye(4)[:, :3], loss="half_squared_error")


def named():
    model = fb.mlp([5, 3, 5], seed=0)
    names = {"feature_names": ODD_NAMES, "class_names": ODD_NAMES[::-1]}
    return fb.explain(model, *data(5, 5), loss="half_squared_error", **names)


def missing():
    X, y = data(2, 2)
    y[:, 1] = np.nan
    loss = fb.HalfSquaredError(mask_missing=True)
    return fb.explain(fb.mlp([2, 3, 2], seed=0), X, y, loss=loss)


def norm_first():
    model = fb.Sequential([fb.BatchNorm(), fb.Dense(2, 3, "tanh"), fb.Dense(3, 1)], seed=0)
    return fb.explain(model, *data(2, 1), loss="half_squared_error")


NETS = {
    "chain": chain,
    "curved chain": curved_chain,
    "deep": deep,
    "named": named,
    "missing": missing,
    "norm first": norm_first,
    "norm last": norm_last,
}
# Walks through all places, each with a weight chosen and without, and returns what is wrong.
WRONG = r"""
const wrong = [];
const look = (where) => {
  const inside = document.querySelector("#drawing svg").getBoundingClientRect();
  const texts = [...document.querySelectorAll("#drawing text")].filter((e) => e.textContent)
    .map((e) => [e.textContent, e.getBoundingClientRect()]);
  for (const x of [...texts.map(([text]) => text), document.querySelector("main").innerText])
    if (/NaN|undefined|null|Infinity|∞|not finite/.test(x)) wrong.push([where, "says", x]);
  if (document.documentElement.scrollWidth > innerWidth) wrong.push([where, "too wide"]);
  texts.forEach(([text, p], n) => {
    if (p.left < inside.left - 1 || p.right > inside.right + 1) wrong.push([where, "cut", text]);
    for (const [other, q] of texts.slice(n + 1)) {
      const w = Math.min(p.right, q.right) - Math.max(p.left, q.left);
      const h = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
      if (w > 2 && h > 5) wrong.push([where, "overlap", text, other]);
    }
  });
};
for (let p = 0; p <= last; p++) {
  letGo(); go(p); look(p);
  const [id] = [...document.querySelectorAll(".weight")].map((e) => e.dataset.id);
  const [k, i, j] = id.slice(1).split(".").map(Number);
  choose({ kind: "weight", k, i, j }); look(`${p} ${id}`);
}
return wrong;
"""


@pytest.fixture(scope="module")
def browser():
    with start_browser() as started:
        yield started


@pytest.fixture
def opened(browser, tmp_path):
    def open_page(name, width):
        path = tmp_path / "page.html"
        NETS[name]().to_html(path)
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        browser.get("about:blank")
        browser.get(path.as_uri())
        return browser

    yield open_page
    logged = [x["message"] for x in browser.get_log("browser")]
    assert not logged


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("name", NETS)
def test_nothing_on_the_page_is_wrong(opened, name, width):
    assert opened(name, width).execute_script(WRONG) == []


def test_names_that_look_like_places_of_the_page_are_names(tmp_path):
    named().to_html(tmp_path / "page.html")
    blocks = re.findall(
        r'type="application/json">(.*?)</script>', (tmp_path / "page.html").read_text(), re.DOTALL
    )
    shown, played = map(json.loads, blocks)
    assert shown["inputNames"][0] == "@PLAY@"
    assert played["n"] == 4


def test_a_missing_target_is_called_so(opened):
    browser = opened("missing", 1280)
    browser.execute_script("go(L + 1)")
    assert "y[1] is missing" in browser.find_element("id", "sentence").text
    assert "y missing" in browser.find_element("id", "drawing").text


def test_softmax_is_no_choice_for_a_hidden_layer(opened):
    choices = opened("named", 1280).execute_script(
        "return [...document.querySelectorAll('#knobs label')]"
        ".filter((x) => x.textContent.startsWith('activation'))"
        ".map((x) => [...x.querySelectorAll('option')].some((o) => o.value === 'softmax'))"
    )
    assert choices == [False, True]


def test_each_weight_of_a_long_chain_says_its_blame_on_a_phone(opened):
    browser = opened("curved chain", 400)
    browser.execute_script("go(last - 1)")
    labels = browser.find_elements("css selector", "#drawing .blamed")
    gradients = browser.execute_script("return step().layers.map((x) => x.weight_gradient[0][0])")
    ends = [float(x.text.split()[-1]) for x in labels]
    assert ends == pytest.approx(gradients, rel=1e-3)


def test_a_deep_net_is_followed_where_it_is_wider_than_the_screen(opened):
    browser = opened("deep", 400)
    outside = browser.execute_script("""
        const outside = [], box = $("drawing").getBoundingClientRect();
        for (let p = 0; p < last; p++) {
          go(p);
          const k = p <= L + 1 ? forwardLayer(p) : backLayer(p);
          const neuron = document.querySelector(`[data-id="n${k}.0"]`);
          const circle = neuron.querySelector("circle").getBoundingClientRect();
          if (circle.left < box.left || circle.right > box.right) outside.push(p);
        }
        return outside;
    """)
    assert outside == []


def test_a_norm_at_the_end_has_no_losses_that_need_an_activation(opened):
    losses = opened("norm last", 1280).execute_script("return lossesThatFit()")
    assert {"half_squared_error", "huber", "hinge"} <= set(losses)
    assert not {"binary_cross_entropy", "poisson"} & set(losses)
