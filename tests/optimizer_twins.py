"""Optimizers in plain NumPy, from the published formulas: the oracle of the kernels' own.

Each is a function of (weights, gradients of the steps, settings) that returns the weights behind
each step. They follow PyTorch's documentation (Lion: optax's), and share nothing with the kernels:
powers of beta are powers here.
"""

import numpy as np


def steps(w, gradients, rate, decay, decoupled, one_step):
    """Call one_step(t, g, rate) -> what is taken from w, with decay before it."""
    w, history = np.array(w, np.float64), []
    for t, g in enumerate(np.asarray(gradients, np.float64), 1):
        now = rate(t - 1) if callable(rate) else rate
        if decoupled:
            w = w - now * decay * w
        else:
            g = g + decay * w
        w = w - one_step(t, g, now)
        history.append(w)
    return np.array(history)


def sgd(w, gradients, learning_rate=0.01, momentum=0.0, nesterov=False, weight_decay=0.0):
    v = np.zeros_like(w, np.float64)

    def one_step(t, g, rate):
        nonlocal v
        v = momentum * v + g
        return rate * (g + momentum * v if nesterov else v)

    return steps(w, gradients, learning_rate, weight_decay, False, one_step)


def adam(
    w, gradients, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.0,
    amsgrad=False, decoupled=False,
):  # fmt: skip
    m, v, largest = np.zeros((3, *np.shape(w)))

    def one_step(t, g, rate):
        nonlocal m, v, largest
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        largest = np.maximum(largest, v)
        second = (largest if amsgrad else v) / (1 - beta_2**t)
        return rate * (m / (1 - beta_1**t)) / (np.sqrt(second) + epsilon)

    return steps(w, gradients, learning_rate, weight_decay, decoupled, one_step)


def adamw(w, gradients, weight_decay=0.01, **settings):
    return adam(w, gradients, weight_decay=weight_decay, decoupled=True, **settings)


def nadam(
    w, gradients, learning_rate=0.002, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.0,
    momentum_decay=0.004,
):  # fmt: skip
    m, v = np.zeros((2, *np.shape(w)))

    def mu(t):
        return beta_1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))

    def one_step(t, g, rate):
        nonlocal m, v
        product = np.prod([mu(k) for k in range(1, t + 1)])
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        ahead = mu(t + 1) * m / (1 - product * mu(t + 1)) + (1 - mu(t)) * g / (1 - product)
        return rate * ahead / (np.sqrt(v / (1 - beta_2**t)) + epsilon)

    return steps(w, gradients, learning_rate, weight_decay, False, one_step)


def rmsprop(
    w, gradients, learning_rate=0.01, rho=0.99, momentum=0.0, centered=False, epsilon=1e-8,
    weight_decay=0.0,
):  # fmt: skip
    v, mean, b = np.zeros((3, *np.shape(w)))

    def one_step(t, g, rate):
        nonlocal v, mean, b
        v = rho * v + (1 - rho) * g**2
        mean = rho * mean + (1 - rho) * g
        b = momentum * b + g / (np.sqrt(v - mean**2 if centered else v) + epsilon)
        return rate * b

    return steps(w, gradients, learning_rate, weight_decay, False, one_step)


def adagrad(w, gradients, learning_rate=0.01, epsilon=1e-10, weight_decay=0.0):
    s = np.zeros_like(w, np.float64)

    def one_step(t, g, rate):
        nonlocal s
        s = s + g**2
        return rate * g / (np.sqrt(s) + epsilon)

    return steps(w, gradients, learning_rate, weight_decay, False, one_step)


def lion(w, gradients, learning_rate=0.0001, beta_1=0.9, beta_2=0.99, weight_decay=0.001):
    m = np.zeros_like(w, np.float64)

    def one_step(t, g, rate):
        nonlocal m
        step = rate * np.sign(beta_1 * m + (1 - beta_1) * g)
        m = beta_2 * m + (1 - beta_2) * g
        return step

    return steps(w, gradients, learning_rate, weight_decay, True, one_step)


def rprop(w, gradients, learning_rate=0.01, shorten=0.5, lengthen=1.2, shortest=1e-6, longest=50.0):
    before, length = np.zeros_like(w, np.float64), np.full(np.shape(w), learning_rate)

    def one_step(t, g, rate):
        nonlocal before, length
        agreement = np.sign(g) * np.sign(before)
        factor = np.where(agreement > 0, lengthen, np.where(agreement < 0, shorten, 1))
        length = np.clip(length * factor, shortest, longest)
        before = np.where(agreement < 0, 0, g)
        return np.sign(before) * length

    return steps(w, gradients, learning_rate, 0.0, False, one_step)


TWINS = {
    "sgd": sgd,
    "adam": adam,
    "adamw": adamw,
    "nadam": nadam,
    "rmsprop": rmsprop,
    "adagrad": adagrad,
    "lion": lion,
    "rprop": rprop,
}


def falling(step):
    """A learning rate that changes with each step."""
    return 0.02 / (1 + 0.05 * step)


# What is tried of each, beside its defaults.
SETTINGS = {
    "sgd": [
        {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        {"learning_rate": falling, "momentum": 0.5},
        {"learning_rate": falling, "weight_decay": 0.1},
    ],
    "adam": [
        {"weight_decay": 0.1}, {"amsgrad": True}, {"learning_rate": falling, "weight_decay": 0.01},
        {"beta_1": 0.0, "beta_2": 0.5, "epsilon": 0.1},
    ],
    "adamw": [
        {"weight_decay": 0.1, "amsgrad": True}, {"learning_rate": falling}, {"weight_decay": 0.0},
    ],
    "nadam": [
        {"weight_decay": 0.1, "momentum_decay": 0.1}, {"learning_rate": falling},
        {"learning_rate": falling, "weight_decay": 0.1},
    ],
    "rmsprop": [
        {"weight_decay": 0.1, "momentum": 0.9}, {"centered": True, "learning_rate": falling},
        {"centered": True, "momentum": 0.5, "rho": 0.9},
        {"learning_rate": falling, "weight_decay": 0.1},
    ],
    "adagrad": [
        {"weight_decay": 0.1}, {"learning_rate": falling},
        {"learning_rate": falling, "weight_decay": 0.1},
    ],
    "lion": [
        {"weight_decay": 0.1, "learning_rate": falling},
        {"weight_decay": 0.0, "learning_rate": falling}, {"weight_decay": 0.0},
    ],
    "rprop": [{"shorten": 0.3, "lengthen": 1.5, "shortest": 1e-3, "longest": 0.05}],
}  # fmt: skip
CASES = [(name, chosen) for name in TWINS for chosen in ({}, *SETTINGS[name])]
