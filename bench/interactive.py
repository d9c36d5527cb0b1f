"""One sample a call, as control and online learning do: ``python bench/run.py --only call``.

A step of SGD and of Adam, the loop by hand, an evaluation and derivatives for one row that has just
come as a NumPy array, against NumPy by hand, PyTorch and JAX (what is compiled is compiled before);
float32, one thread. ``calls.py`` compares and measures them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from interactive_peers import RATE, jax_jit, numpy_by_hand, torch_functions, torch_module

import fastbackprop as fb

KIND = "call"
NETS = {"4-8-3": 1, "17-64-64-6": 1}
QUICK = ("4-8-3",)
# Steps go on for a while before what they return is compared.
CALLS = {
    "step": 20,
    "step Adam": 20,
    "step by hand": 20,
    "fit of one row": 20,
    "forward": 1,
    "evaluate": 1,
    "input_gradient": 1,
    "jacobian": 1,
}
# Of ours what a peer does in one way only.
SAME = {"step by hand": "step", "fit of one row": "step"}
Call = Callable[[], Any]


class Problem:
    """A network of tanh layers with a softmax, and one sample."""

    def __init__(self, name: str) -> None:
        widths = [int(x) for x in name.split("-")]
        rng = np.random.default_rng(0)
        self.n_out = widths[-1]
        self.x = rng.normal(size=(1, widths[0])).astype("f4")
        self.y = rng.integers(0, self.n_out, 1)
        self.make = lambda: fb.mlp(widths, activation="tanh", output_activation="softmax", seed=0)
        self.weights = [(x.weight.copy(), x.bias.copy()) for x in self.make().layers]


def ours(p: Problem) -> dict[str, Call]:
    """What is measured; steps return the cost."""
    sgd, adam = (
        fb.Trainer(p.make(), "cross_entropy", optimizer)
        for optimizer in (fb.SGD(RATE), fb.Adam(RATE))
    )
    model, by_hand, loss, optimizer = p.make(), p.make(), fb.CrossEntropy(), fb.SGD(RATE)
    still, online = (
        fb.Trainer(model, "cross_entropy"),
        fb.Trainer(p.make(), "cross_entropy", fb.SGD(RATE)),
    )

    def hand() -> float:
        cost, d_y_hat = loss(by_hand.forward(p.x), p.y)
        by_hand.backward(d_y_hat)
        optimizer.step(by_hand)
        return cost

    return {
        "step": lambda: sgd.step(p.x, p.y),
        "step Adam": lambda: adam.step(p.x, p.y),
        "step by hand": hand,
        "fit of one row": lambda: online.fit(p.x, p.y, progress_bar=False).loss[-1],
        "forward": lambda: model.forward(p.x, training=False),
        "evaluate": lambda: still.evaluate(p.x, p.y)["loss"],
        "input_gradient": lambda: model.input_gradient(p.x, output=0),
        "jacobian": lambda: model.jacobian(p.x),
    }


PEERS = {
    "numpy": ("NumPy", {"by hand": numpy_by_hand}),
    "torch": (
        "PyTorch",
        {"module, fused optimizer": torch_module, "functions, autograd.grad": torch_functions},
    ),
    "jax": ("JAX", {"jit": jax_jit}),
}
