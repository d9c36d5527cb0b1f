"""The keyboard alone: what has the focus keeps it when what it is part of is drawn anew."""

import numpy as np
import pytest
from browser import start_browser

import fastbackprop as fb

WEIGHT = "choose({ kind: 'weight', k: 1, i: 0, j: 0 });"
# What gets the focus, how, which keys are pressed there, and what has the focus afterwards.
CASES = {
    "choice": (
        "$('knobs').querySelectorAll('select')[1].focus()",
        ["ARROW_DOWN", "ARROW_DOWN"],
        "return document.activeElement === $('knobs').querySelectorAll('select')[1]"
        " && P.net.activations[0] === Object.keys(ACTIVATIONS)[2]",
    ),
    "slider": (
        WEIGHT + "document.querySelector('#own input[type=range]').focus()",
        ["ARROW_RIGHT", "ARROW_RIGHT"],
        "return document.activeElement === document.querySelector('#own input[type=range]')"
        " && walk === 0",
    ),
    "path": (
        WEIGHT + "$('walk-path').focus()",
        ["ENTER", "ENTER"],
        "return document.activeElement === $('walk-path') && walked === 2",
    ),
    "escape": (
        WEIGHT + "document.querySelector('#own input').focus()",
        ["ESCAPE"],
        "return document.activeElement.dataset.id === 'w1.0.0' && chosen === null",
    ),
    "reset": (
        "trainStep(); refresh(); $('reset').focus()",
        ["ENTER"],
        "return document.activeElement === $('step') && P === null",
    ),
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    path = tmp_path_factory.mktemp("focus") / "page.html"
    X = np.random.default_rng(0).normal(size=(4, 2))
    model = fb.mlp([2, 3, 1], activation="identity", seed=0)
    fb.lab(model, X, X[:, :1], path=path, open_browser=False)
    with start_browser() as started:
        started.get(path.as_uri())
        yield started


@pytest.mark.parametrize("name", CASES)
def test_the_focus_stays(browser, name):
    from selenium.webdriver.common.keys import Keys

    begin, keys, stays = CASES[name]
    browser.execute_script("halt(); reset(); letGo(); go(0);" + begin)
    for key in keys:
        browser.switch_to.active_element.send_keys(getattr(Keys, key))
    assert browser.execute_script(stays)
