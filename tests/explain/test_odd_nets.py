"""The page of nets and names that a hostile reader brings: nothing breaks, nothing overlaps."""

import json
import re

import numpy as np

import fastbackprop as fb

ODD_NAMES = ["@PLAY@", "<b>x</b>", "W" * 60, "\N{GRINNING FACE}" * 40, ""]


def data(n_in, n_out, n=4):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, n_in)), rng.normal(size=(n, n_out))


def named():
    model = fb.mlp([5, 3, 5], seed=0)
    names = {"feature_names": ODD_NAMES, "class_names": ODD_NAMES[::-1]}
    return fb.explain(model, *data(5, 5), loss="half_squared_error", **names)


def test_names_that_look_like_places_of_the_page_are_names(tmp_path):
    named().to_html(tmp_path / "page.html")
    blocks = re.findall(
        r'type="application/json">(.*?)</script>', (tmp_path / "page.html").read_text(), re.DOTALL
    )
    shown, played = map(json.loads, blocks)
    assert shown["inputNames"][0] == "@PLAY@"
    assert played["n"] == 4
