"""One sample a call, as control and online learning do: ``python bench/interactive.py``.

A step of SGD and of Adam, the loop by hand, an evaluation and derivatives for one row that has just
come as a NumPy array, against NumPy by hand, PyTorch and JAX (what is compiled is compiled before);
float32, one thread, interleaved in one run, and every result compared before it is timed.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Callable
from typing import Any

from machine import pin

pin(1)
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import numpy as np  # noqa: E402 - the cores come first
from gradients import microseconds  # noqa: E402
from peers import reason  # noqa: E402

import fastbackprop as fb  # noqa: E402

NETS = ("4-8-3", "17-64-64-6")
RATE = 1e-3
CHECKED = 20  # steps before weights are compared
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
    still, online = fb.Trainer(model, "cross_entropy"), fb.Trainer(p.make(), "cross_entropy")

    def hand() -> float:
        cost, d_y_hat = loss(by_hand.forward(p.x), p.y)
        by_hand.backward(d_y_hat)
        optimizer.step(by_hand)
        return cost

    return {
        "step": lambda: sgd.step(p.x, p.y),
        "step, Adam": lambda: adam.step(p.x, p.y),
        "step by hand": hand,
        "fit of one row": lambda: online.fit(p.x, p.y, progress_bar=False),
        "forward": lambda: model.forward(p.x, training=False),
        "evaluate": lambda: still.evaluate(p.x, p.y)["loss"],
        "input_gradient": lambda: model.input_gradient(p.x, output=0),
        "jacobian": lambda: model.jacobian(p.x),
    }


def numpy_by_hand(p: Problem) -> dict[str, Call]:
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
        "step, Adam": stepper(adam),
        "forward": lambda: forward(p.weights)[-1],
        "evaluate": evaluate,
        "input_gradient": lambda: slopes(rows[:1]),
        "jacobian": lambda: slopes(rows)[None],
    }


def torch_eager(p: Problem) -> dict[str, Call]:
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
        "step, Adam": stepper(lambda x: torch.optim.Adam(x, RATE, fused=True)),
        "forward": forward,
        "evaluate": evaluate,
        "input_gradient": input_gradient,
        "jacobian": lambda: jacobian(torch.from_numpy(p.x[0])).numpy()[None],
    }


def jax_jit(p: Problem) -> dict[str, Call]:
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
        "step, Adam": stepper(optax.adam(RATE)),
        "forward": lambda: np.asarray(predict(weights, p.x)),
        "evaluate": evaluate,
        "input_gradient": lambda: np.asarray(slope(weights, p.x)),
        "jacobian": lambda: np.asarray(jacobian(weights, p.x[0]))[None],
    }


PEERS = {"NumPy by hand": numpy_by_hand, "PyTorch": torch_eager, "JAX jit": jax_jit}
# Of ours what a peer does in one way only.
SAME = {"step by hand": "step", "fit of one row": "step"}


def agree(mine: Call, other: Call, is_step: bool) -> bool:
    """Return whether two calls, or the last of some steps, give the same to float32's rounding."""
    for _ in range(CHECKED if is_step else 1):
        results = mine(), other()
    return all(np.shape(x) == np.shape(results[0]) for x in results) and np.allclose(
        *results, rtol=1e-3, atol=1e-5
    )


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="One sample a call, against the peers.")
    parser.add_argument("--rounds", type=int, default=40, help="of each measurement (default: 40)")
    parser.add_argument("--peers", help="names of some, with commas: NumPy by hand, PyTorch ...")
    options = parser.parse_args()
    wanted = PEERS if options.peers is None else options.peers.split(",")
    print("| " + " | ".join(["microseconds a call", "fastbackprop", *wanted]) + " |")
    print("| --- |" + " ---: |" * (1 + len(wanted)))
    n_wrong = 0
    for name in NETS:
        problem = Problem(name)
        our_calls, others = ours(problem), {}
        for peer in wanted:
            try:
                others[peer] = PEERS[peer](problem)
                for call in others[peer].values():
                    call()
                # Anew: compiled, but before the first step.
                others[peer] = PEERS[peer](problem)
            except Exception as error:  # whatever a library does, it only leaves itself out
                print(f"{peer}: {reason(error)}", file=sys.stderr)
                others.pop(peer, None)
        for what, call in our_calls.items():
            theirs = {peer: calls[SAME.get(what, what)] for peer, calls in others.items()}
            for peer, other in theirs.items():
                is_compared = what not in SAME  # their step has gone on in the meantime
                is_step = what.startswith("step")
                if is_compared and not agree(ours(problem)[what], other, is_step):
                    n_wrong += 1
                    print(f"WRONG: {peer} differs in {what} of {name}", file=sys.stderr)
            rounds = [
                [microseconds(x) for x in (call, *theirs.values())] for _ in range(options.rounds)
            ]
            columns = list(zip(*rounds, strict=True))
            cells = dict.fromkeys(wanted, "-")
            for peer, column in zip(theirs, columns[1:], strict=True):
                ratio = statistics.median(b / a for a, b in zip(columns[0], column, strict=True))
                cells[peer] = f"{statistics.median(column):,.1f} ({ratio:.0f}x)"
            first = f"| {what}, {name} | {statistics.median(columns[0]):,.2f} | "
            print(first + " | ".join(cells.values()) + " |", flush=True)
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
