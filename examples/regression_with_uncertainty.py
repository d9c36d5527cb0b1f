"""How sure is a prediction? Two answers: a normal distribution, and quantiles.

The data are a curve whose noise grows to the right. One net predicts mean and log-variance of a
normal distribution (``GaussianNLL``), the other the quantiles 0.05, 0.5 and 0.95 (``Quantile``).
Nine tenths of new points should lie within what each calls its interval of 90 %.
``python regression_with_uncertainty.py picture.png`` draws them, where matplotlib is installed.
"""

import sys

import numpy as np

import fastbackprop as fb

NINETY_PERCENT = 1.645  # standard deviations of a normal distribution to each side


def sample(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n points of the curve, with noise."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 4, (n, 1))
    noise = (0.05 + 0.15 * x[:, 0]) * rng.standard_normal(n)
    return x, np.sin(2 * x[:, 0]) + noise


def fitted(loss: fb.GaussianNLL | fb.Quantile, n_out: int) -> fb.Sequential:
    """Return a net trained by a loss."""
    X, y = sample(2000, seed=0)
    model = fb.mlp([1, 32, 32, n_out], activation="tanh", seed=0)
    trainer = fb.Trainer(model, loss, fb.Adam(fb.Cosine(0.01)), seed=0)
    trainer.fit(X, y, epochs=150, batch_size=100)
    return model


def main() -> None:
    """Train both nets, and count what lies within their intervals."""
    X_test, y_test = sample(5000, seed=1)
    normal = fitted(fb.GaussianNLL(), n_out=2)
    quantiles = fitted(fb.Quantile([0.05, 0.5, 0.95]), n_out=3)

    mean, log_variance = normal.predict(X_test).T
    reach = NINETY_PERCENT * np.exp(log_variance / 2)
    within = np.mean(abs(y_test - mean) <= reach)
    print(f"normal distribution: {within:.1%} within its interval of 90 %")

    low, _, high = quantiles.predict(X_test).T
    within = np.mean((low <= y_test) & (y_test <= high))
    print(f"quantiles: {within:.1%} within")

    at = np.array([[0.5], [3.5]])
    deviations = np.exp(normal.predict(at)[:, 1] / 2)
    print(f"deviation at x = 0.5: {deviations[0]:.3f} (true: 0.125)")
    print(f"deviation at x = 3.5: {deviations[1]:.3f} (true: 0.575)")
    if len(sys.argv) > 1:
        draw(normal, quantiles, sys.argv[1])


def draw(normal: fb.Sequential, quantiles: fb.Sequential, path: str) -> None:
    """Draw the points and both intervals."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    x = np.linspace(0, 4, 200)[:, None]
    mean, log_variance = normal.predict(x).T
    reach = NINETY_PERCENT * np.exp(log_variance / 2)
    low, median, high = quantiles.predict(x).T
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    panels = [
        ("Mean and log-variance", mean - reach, mean, mean + reach),
        ("Quantiles 0.05, 0.5, 0.95", low, median, high),
    ]
    for ax, (title, bottom, middle, top) in zip(axes, panels, strict=True):
        ax.scatter(*sample(400, seed=2), s=5, color="#888888", label="data")
        ax.fill_between(x[:, 0], bottom, top, alpha=0.3, label="90 %")
        ax.plot(x[:, 0], middle, label="middle")
        ax.set(title=title, xlabel="x")
        ax.legend()
    axes[0].set_ylabel("y")
    figure.savefig(path)


if __name__ == "__main__":
    main()
