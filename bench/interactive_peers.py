"""One sample a call by the peers, each as its experts would write it; see ``interactive.py``.

Each function takes the problem (``x``, ``y``, ``n_out``, ``weights``) and returns calls by name.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

RATE = 1e-3
Call = Callable[[], Any]


def numpy_by_hand(p: Any) -> dict[str, Call]:
    """The formulas of this very network, in place where that is faster."""
    n_layers = len(p.weights)

    def forward(weights: list[Any]) -> list[np.ndarray]:
        outputs = [p.x]
        for k, (w, b) in enumerate(weights):
            z = outputs[-1] @ w
            z += b
            if k < n_layers - 1:
                np.tanh(z, out=z)
            else:
                z -= z.max()
                np.exp(z, out=z)
                z /= z.sum()
            outputs.append(z)
        return outputs

    def blame(delta: np.ndarray, outputs: list[np.ndarray], weights: list[Any]) -> list[Any]:
        gradients = []
        for k in range(n_layers - 1, -1, -1):
            gradients.append((outputs[k].T @ delta, delta[0]))
            if k:
                delta = (delta @ weights[k][0].T) * (1 - outputs[k] ** 2)
        return gradients[::-1]

    def stepper(correct: Callable[[int, int, np.ndarray, np.ndarray], None]) -> Call:
        weights = [(w.copy(), b.copy()) for w, b in p.weights]

        def step() -> float:
            outputs = forward(weights)
            delta = outputs[-1].copy()
            cost = -np.log(delta[0, p.y[0]])
            delta[0, p.y[0]] -= 1
            for k, pair in enumerate(blame(delta, outputs, weights)):
                for i in (0, 1):
                    correct(k, i, weights[k][i], pair[i])
            return float(cost)

        return step

    def sgd(k: int, i: int, w: np.ndarray, g: np.ndarray) -> None:
        w -= RATE * g

    moments: dict[tuple[int, int], list[Any]] = {}

    def adam(k: int, i: int, w: np.ndarray, g: np.ndarray) -> None:
        state = moments.setdefault((k, i), [0, np.zeros_like(w), np.zeros_like(w)])
        state[0] += 1
        t, m, v = state
        m *= 0.9
        m += 0.1 * g
        v *= 0.999
        v += 0.001 * g * g
        root = np.sqrt(v / (1 - 0.999**t))
        root += 1e-8
        w -= RATE / (1 - 0.9**t) * m / root

    def evaluate() -> float:
        y_hat = forward(p.weights)[-1]
        _ = y_hat.argmax() == p.y[0]
        return -float(np.log(y_hat[0, p.y[0]]))

    def slopes(rows: np.ndarray) -> np.ndarray:
        outputs = forward(p.weights)
        a = outputs[-1]
        delta = a * (rows - (rows @ a.T))
        for k in range(n_layers - 1, 0, -1):
            delta = (delta @ p.weights[k][0].T) * (1 - outputs[k] ** 2)
        return delta @ p.weights[0][0].T

    rows = np.eye(p.n_out, dtype="f4")
    step = stepper(sgd)
    return {
        "step": step,
        "step Adam": stepper(adam),
        "forward": lambda: forward(p.weights)[-1],
        "evaluate": evaluate,
        "input_gradient": lambda: slopes(rows[:1]),
        "jacobian": lambda: slopes(rows)[None],
    }


def torch_module(p: Any) -> dict[str, Call]:
    """A module as its users write it; gradients by autograd, fused optimizers."""
    import torch
    from torch import nn

    torch.set_num_threads(1)

    def module() -> Any:
        layers: list[Any] = []
        for w, b in p.weights:
            layer = nn.Linear(*w.shape)
            with torch.no_grad():
                layer.weight.copy_(torch.tensor(w.T))
                layer.bias.copy_(torch.tensor(b))
            layers += [layer, nn.Tanh()]
        return nn.Sequential(*layers[:-1])

    def stepper(make: Callable[[Any], Any]) -> Call:
        net = module()
        optimizer = make(net.parameters())

        def step() -> float:
            cost = nn.functional.cross_entropy(net(torch.from_numpy(p.x)), torch.from_numpy(p.y))
            optimizer.zero_grad()
            cost.backward()
            optimizer.step()
            return cost.item()

        return step

    net = module().requires_grad_(False)

    @torch.inference_mode()
    def forward() -> np.ndarray:
        return torch.softmax(net(torch.from_numpy(p.x)), -1).numpy()

    @torch.inference_mode()
    def evaluate() -> float:
        z, y = net(torch.from_numpy(p.x)), torch.from_numpy(p.y)
        _ = (z.argmax(-1) == y).sum().item()
        return nn.functional.cross_entropy(z, y).item()

    def input_gradient() -> np.ndarray:
        x = torch.from_numpy(p.x).requires_grad_()
        (gradient,) = torch.autograd.grad(torch.softmax(net(x), -1)[0, 0], x)
        return gradient.numpy()

    jacobian = torch.func.jacrev(lambda x: torch.softmax(net(x), -1))
    step = stepper(lambda x: torch.optim.SGD(x, RATE, fused=True))
    return {
        "step": step,
        "step Adam": stepper(lambda x: torch.optim.Adam(x, RATE, fused=True)),
        "forward": forward,
        "evaluate": evaluate,
        "input_gradient": input_gradient,
        "jacobian": lambda: jacobian(torch.from_numpy(p.x[0])).numpy()[None],
    }


def torch_functions(p: Any) -> dict[str, Call]:
    """The same without modules and optimizers, whose calls cost time."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)
    layers = [[torch.tensor(w), torch.tensor(b)] for w, b in p.weights]
    fixed = [tuple(x.clone() for x in layer) for layer in layers]
    parameters = [x.requires_grad_() for layer in layers for x in layer]

    def logits(layers: Any) -> Any:
        a = torch.from_numpy(p.x)
        for w, b in layers[:-1]:
            a = torch.tanh(torch.addmm(b, a, w))
        w, b = layers[-1]
        return torch.addmm(b, a, w)

    def step() -> float:
        cost = functional.cross_entropy(logits(layers), torch.from_numpy(p.y))
        gradients = torch.autograd.grad(cost, parameters)
        with torch.no_grad():
            torch._foreach_add_(parameters, gradients, alpha=-RATE)
        return cost.item()

    @torch.inference_mode()
    def forward() -> np.ndarray:
        return torch.softmax(logits(fixed), -1).numpy()

    @torch.inference_mode()
    def evaluate() -> float:
        z, y = logits(fixed), torch.from_numpy(p.y)
        _ = (z.argmax(-1) == y).sum().item()
        return functional.cross_entropy(z, y).item()

    return {"step": step, "forward": forward, "evaluate": evaluate}


def jax_jit(p: Any) -> dict[str, Call]:
    """One compiled function a call, which takes the NumPy arrays; weights are donated."""
    import jax
    import jax.numpy as jnp
    import optax

    def logits(weights: Any, x: Any) -> Any:
        for w, b in weights[:-1]:
            x = jnp.tanh(x @ w + b)
        return x @ weights[-1][0] + weights[-1][1]

    def cost(weights: Any, x: Any, y: Any) -> Any:
        z = logits(weights, x)
        return -jax.nn.log_softmax(z)[0, y[0]], z.argmax() == y[0]

    def output(weights: Any, x: Any) -> Any:
        return jax.nn.softmax(logits(weights, x))

    def stepper(optimizer: Any) -> Call:
        weights = jax.tree.map(jnp.array, p.weights)
        state = [weights, optimizer.init(weights)]

        def update(weights: Any, moments: Any, x: Any, y: Any) -> Any:
            (value, _), gradient = jax.value_and_grad(cost, has_aux=True)(weights, x, y)
            updates, moments = optimizer.update(gradient, moments)
            return optax.apply_updates(weights, updates), moments, value

        compiled = jax.jit(update, donate_argnums=(0, 1))

        def step() -> float:
            *state[:], value = compiled(*state, p.x, p.y)
            return float(value)

        return step

    weights = jax.tree.map(jnp.array, p.weights)
    predict, compare = jax.jit(output), jax.jit(cost)
    slope = jax.jit(jax.grad(lambda w, x: output(w, x)[0, 0], argnums=1))
    jacobian = jax.jit(jax.jacrev(lambda w, x: output(w, x), argnums=1))

    def evaluate() -> float:
        value, is_right = compare(weights, p.x, p.y)
        _ = bool(is_right)
        return float(value)

    step = stepper(optax.sgd(RATE))
    return {
        "step": step,
        "step Adam": stepper(optax.adam(RATE)),
        "forward": lambda: np.asarray(predict(weights, p.x)),
        "evaluate": evaluate,
        "input_gradient": lambda: np.asarray(slope(weights, p.x)),
        "jacobian": lambda: np.asarray(jacobian(weights, p.x[0]))[None],
    }
