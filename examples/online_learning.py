"""Learning one sample at a time, while the world changes.

A pump's pressure depends on two settings. After half of the samples a valve is exchanged, and the
pressure depends on them in another way. One net was trained on the first samples and then left as
it is; another goes on learning, a step for each sample, after it has predicted it. How wrong they
are is measured before each learns the sample, so that nothing is known beforehand.
"""

import time

import numpy as np

import fastbackprop as fb

N, CHANGE, TRAINED = 20_000, 10_000, 2000


def pressure(X: np.ndarray, after: bool) -> np.ndarray:
    """Return what the pump does, before or after the change."""
    return X[:, 0] * X[:, 1] if not after else 0.5 * X[:, 0] - np.sin(2 * X[:, 1])


def main() -> None:
    """Predict, compare, learn: sample by sample."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (N, 2)).astype(np.float32)
    y = np.concatenate([pressure(X[:CHANGE], False), pressure(X[CHANGE:], True)])
    y = (y + 0.05 * rng.standard_normal(N)).astype(np.float32)[:, None]

    model = fb.mlp([2, 16, 1], activation="tanh", seed=0)
    trainer = fb.Trainer(model, "half_squared_error", fb.SGD(0.05), seed=0)
    trainer.fit(X[:TRAINED], y[:TRAINED], epochs=50, batch_size=1)
    frozen = fb.mlp([2, 16, 1], activation="tanh", seed=0)
    frozen.copy_weights_from(model)

    errors = np.zeros((N, 2))
    start = time.perf_counter()
    for i in range(TRAINED, N):
        x = X[i : i + 1]
        errors[i] = frozen.predict(x)[0, 0] - y[i, 0], model.predict(x)[0, 0] - y[i, 0]
        trainer.step(x, y[i : i + 1])
    seconds = time.perf_counter() - start

    print("root mean square error   left as it was   goes on learning")
    parts = {
        "before the change": slice(TRAINED, CHANGE),
        "500 samples after it": slice(CHANGE, CHANGE + 500),
        "the last 2,000": slice(N - 2000, N),
    }
    for name, part in parts.items():
        left, learning = np.sqrt(np.mean(errors[part] ** 2, axis=0))
        print(f"{name:<24} {left:14.3f}   {learning:16.3f}")
    print(f"{1e6 * seconds / (N - TRAINED):.0f} microseconds a sample: two predictions and a step")


if __name__ == "__main__":
    main()
