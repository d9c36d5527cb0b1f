"""Gradients as results, against torch.func and JAX: ``python bench/run.py --only derivative``.

Jacobian, gradient of one output by the inputs, gradient of each sample, Hessian times vector; the
same networks and numbers, float32, one thread. ``calls.py`` compares and measures them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import fastbackprop as fb

KIND = "derivative"
# Those of bench/workloads.py, the largest with few rows (its gradients of each are 13 MB), and two
# of odd sizes.
NETS = {
    "4-8-3": 32,
    "4-16-16-3": 32,
    "64-64-10": 32,
    "17-64-64-6": 64,
    "784-128-10": 128,
    "784-512-512-10": 256,
    "1024-1024-1024-1024-10": 32,
    "13-37-5": 17,
    "30-200-200-2": 100,
}
QUICK = ("4-8-3",)
CALLS = dict.fromkeys(
    ("input_gradient", "jacobian", "sample_gradients", "hessian_vector_product"), 1
)
SAME: dict[str, str] = {}
Call = Callable[[], Any]


class Problem:
    """One network of tanh layers and a softmax, and a batch."""

    def __init__(self, name: str) -> None:
        n = NETS[name]
        widths = [int(x) for x in name.split("-")]
        rng = np.random.default_rng(0)
        self.model = fb.mlp(widths, activation="tanh", output_activation="softmax", seed=0)
        self.X = rng.normal(size=(n, widths[0])).astype("f4")
        self.y = rng.integers(0, widths[-1], n)
        self.weights = [(x.weight.copy(), x.bias.copy()) for x in self.model.layers]
        self.v = [
            (rng.normal(size=w.shape).astype("f4"), rng.normal(size=b.shape).astype("f4"))
            for w, b in self.weights
        ]


def ours(p: Problem) -> dict[str, Call]:
    """What is measured."""
    return {
        "input_gradient": lambda: p.model.input_gradient(p.X, output=0),
        "jacobian": lambda: p.model.jacobian(p.X),
        "sample_gradients": lambda: [
            x for pair in p.model.sample_gradients(p.X, p.y, "cross_entropy") for x in pair
        ],
        "hessian_vector_product": lambda: [
            x
            for pair in p.model.hessian_vector_product(p.X, p.y, "cross_entropy", p.v)
            for x in pair
        ],
    }


def torch_func(p: Problem) -> dict[str, Call]:
    """As its documentation writes them; the Jacobian by rows, vectorised over the batch."""
    import torch
    from torch.func import grad, jacrev, jvp, vmap

    torch.set_num_threads(1)
    weights = [(torch.tensor(w), torch.tensor(b)) for w, b in p.weights]
    v = [(torch.tensor(w), torch.tensor(b)) for w, b in p.v]
    X, y = torch.tensor(p.X), torch.tensor(p.y)

    def logits(ws: Any, x: Any) -> Any:
        for w, b in ws[:-1]:
            x = torch.tanh(x @ w + b)
        return x @ ws[-1][0] + ws[-1][1]

    def net(ws: Any, x: Any) -> Any:
        return torch.softmax(logits(ws, x), -1)

    def cost(ws: Any, x: Any, t: Any) -> Any:
        return torch.nn.functional.cross_entropy(logits(ws, x), t)

    flat = torch.utils._pytree.tree_leaves
    slopes = vmap(grad(lambda ws, x: net(ws, x)[0], argnums=1), (None, 0))
    jacobian = vmap(jacrev(net, argnums=1), (None, 0))
    each = vmap(grad(cost), (None, 0, 0))
    return {
        "input_gradient": lambda: slopes(weights, X),
        "jacobian": lambda: jacobian(weights, X),
        "sample_gradients": lambda: flat(each(weights, X, y)),
        "hessian_vector_product": lambda: flat(
            jvp(lambda ws: grad(cost)(ws, X, y), (weights,), (v,))[1]
        ),
    }


def jax_jit(p: Problem) -> dict[str, Call]:
    """The same, compiled."""
    import jax
    import jax.numpy as jnp

    weights, v = (jax.tree.map(jnp.asarray, x) for x in (p.weights, p.v))
    X, y = jnp.asarray(p.X), jnp.asarray(p.y)

    def logits(ws: Any, x: Any) -> Any:
        for w, b in ws[:-1]:
            x = jnp.tanh(x @ w + b)
        return x @ ws[-1][0] + ws[-1][1]

    def net(ws: Any, x: Any) -> Any:
        return jax.nn.softmax(logits(ws, x))

    def cost(ws: Any, x: Any, t: Any) -> Any:
        return -jnp.take_along_axis(jax.nn.log_softmax(logits(ws, x)), t[..., None], -1).mean()

    slopes = jax.jit(jax.vmap(jax.grad(lambda ws, x: net(ws, x)[0], argnums=1), (None, 0)))
    jacobian = jax.jit(jax.vmap(jax.jacrev(net, argnums=1), (None, 0)))
    each = jax.jit(jax.vmap(jax.grad(cost), (None, 0, 0)))
    product = jax.jit(lambda ws, u: jax.jvp(lambda w: jax.grad(cost)(w, X, y), (ws,), (u,))[1])
    ready = jax.block_until_ready
    return {
        "input_gradient": lambda: ready(slopes(weights, X)),
        "jacobian": lambda: ready(jacobian(weights, X)),
        "sample_gradients": lambda: ready(jax.tree.leaves(each(weights, X, y))),
        "hessian_vector_product": lambda: ready(jax.tree.leaves(product(weights, v))),
    }


PEERS = {
    "torch": ("PyTorch", {"torch.func": torch_func}),
    "jax": ("JAX", {"jit": jax_jit}),
}
