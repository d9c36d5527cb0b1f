"""Run the code of docs/backpropagation.md, write down what it prints, and draw its pictures.

    python docs/lesson.py                # needs matplotlib, and selenium for the picture of the lab

The blocks of Python run one behind the other, as in one session; what each prints stands
in the block of text behind it.
"""

import contextlib
import io
import os
import re
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
PAGE = FOLDER / "backpropagation.md"
BLOCKS = re.compile(r"^```python\n(.*?)^```\n(?:^```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def run(page: str) -> tuple[str, dict[str, Any]]:
    """Return the page with what its blocks print now, and the names that they define."""
    names: dict[str, Any] = {}
    os.environ["COLUMNS"] = "80"  # whatever the terminal is

    def with_output(block: re.Match[str]) -> str:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block[1], PAGE.name, "exec"), names)
        return f"```python\n{block[1]}```\n```text\n{printed.getvalue()}```\n"

    return BLOCKS.sub(with_output, page), names


def draw(names: dict[str, Any], folder: Path) -> None:
    """Draw the pictures from what the blocks have computed."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure((8, 3.6), layout="constrained")
    axis = np.linspace(-0.25, 1.25, 61)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    for i, (name, title) in enumerate({"straight": "identity", "bent": "tanh"}.items()):
        axes = figure.add_subplot(1, 2, i + 1)
        answers = names[name].predict(grid.reshape(-1, 2)).reshape(61, 61)
        picture = axes.contourf(
            axis, axis, answers, np.linspace(-0.65, 1.65, 24), cmap="RdBu", extend="both"
        )
        for (x1, x2), y in zip(names["X"], names["y"], strict=True):
            axes.text(
                x1, x2, str(y), ha="center", va="center", bbox={"boxstyle": "circle", "fc": "white"}
            )
        axes.set(title=title, xlabel="first input", ylabel="second input", aspect="equal")
    figure.colorbar(picture, ax=figure.axes, label="answer", ticks=[-0.5, 0, 0.5, 1, 1.5])
    figure.savefig(folder / "lesson-bend.png", dpi=110)

    model = names["fb"].mlp([2, 8, 8, 1], activation="tanh", seed=0)
    blamed = names["fb"].explain(model, [0, 1], [1], loss="half_squared_error", learning_rate=0.1)
    blamed.plot(by="blame").figure.savefig(folder / "lesson-blame.png", dpi=90)

    figure = Figure((8, 3.4), layout="constrained")
    axes = figure.add_subplot()
    words = ("too small", "right", "too large")
    for (rate, costs), word, line in zip(
        names["runs"].items(), words, ("--", "-", ":"), strict=True
    ):
        axes.semilogy(np.arange(len(costs)), costs, line, label=f"{rate:g}, {word}")
    axes.set(xlabel="step", ylabel="cost C", ylim=(1e-4, 1e4), xlim=(0, 150))
    axes.legend(title="learning rate")
    figure.savefig(folder / "lesson-rates.png", dpi=110)


def draw_lab(folder: Path) -> None:
    """Write the lab of the worked example, and a picture of the lab in a browser's window."""
    import shutil
    import tempfile

    from selenium import webdriver

    import fastbackprop as fb

    gears = [fb.Dense(1, 1, bias=False, weight_init=w) for w in (3.0, 4.0)]
    car = fb.Sequential(gears, dtype="float64")
    fb.lab(car, [2.0], [30.0], path=folder / "lab.html", open_browser=False)
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars"):
        options.add_argument(argument)
    X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    model = fb.mlp([2, 4, 1], activation="tanh", seed=0)
    service = webdriver.ChromeService(shutil.which("chromedriver") or "")
    with tempfile.TemporaryDirectory() as other, webdriver.Chrome(options, service) as browser:
        page = fb.lab(
            model, X, y, learning_rate=0.3, path=Path(other) / "lab.html", open_browser=False
        )
        browser.set_window_size(1280, 1760)
        wish = [{"name": "prefers-reduced-motion", "value": "reduce"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wish})
        browser.get(page.as_uri())
        browser.execute_script("for (let n = 0; n < 40; n++) trainStep(); refresh();")
        browser.execute_script("choose({kind: 'weight', k: 1, i: 0, j: 1}); go(5); scrollTo(0, 0);")
        browser.save_screenshot(str(folder / "lab.png"))


def main() -> int:
    """Write the page and its pictures again."""
    page, names = run(PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(page, encoding="utf-8")
    draw(names, FOLDER)
    draw_lab(FOLDER)
    return 0


if __name__ == "__main__":
    sys.exit(main())
