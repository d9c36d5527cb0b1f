"""Each loss is PyTorch's of the same name, where there is one."""

import numpy as np
import pytest

import fastbackprop as fb

torch = pytest.importorskip("torch", exc_type=ImportError)
nn = torch.nn
RNG = np.random.default_rng(0)
N, K = 7, 5
Z, Y = RNG.normal(size=(N, K)) * 2, RNG.normal(size=(N, K))
BITS, LABELS = (Y > 0).astype(float), RNG.integers(0, K, N)
P = RNG.dirichlet(np.ones(K), N)
COUNTS = RNG.poisson(2, (N, K)).astype(float)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def focal(z, y):
    p = torch.softmax(z, 1)[torch.arange(N), y]
    return (-((1 - p) ** 1.5) * torch.log(p)).mean()


def gaussian(z, y):
    return nn.functional.gaussian_nll_loss(z[:, :2], y[:, :2], torch.exp(z[:, 2:4]), eps=0)


# name: our loss, what makes y_hat of z, targets for us, PyTorch's loss of z and targets, targets
# for it, and dy_hat/dz is wanted (None for y_hat = z).
CASES = {
    "mean_squared_error": (fb.MeanSquaredError(), None, Y, nn.MSELoss(), Y),
    "mean_absolute_error": (fb.MeanAbsoluteError(), None, Y, nn.L1Loss(), Y),
    "huber": (fb.Huber(0.7), None, Y, nn.HuberLoss(delta=0.7), Y),
    "poisson": (fb.Poisson(), np.exp, COUNTS, nn.PoissonNLLLoss(), COUNTS),
    "gaussian": (fb.GaussianNLL(), "gaussian", Y[:, :2], gaussian, Y),
    "hinge": (
        fb.Hinge(), None, BITS,
        lambda z, y: torch.clamp(1 - (2 * y - 1) * z, min=0).mean(), BITS,
    ),
    "cross_entropy": (fb.CrossEntropy(), softmax, LABELS, nn.CrossEntropyLoss(), LABELS),
    "soft targets": (fb.CrossEntropy(), softmax, P, nn.CrossEntropyLoss(), P),
    "smooth labels": (
        fb.CrossEntropy(label_smoothing=0.2), softmax, LABELS,
        nn.CrossEntropyLoss(label_smoothing=0.2), LABELS,
    ),
    "smooth soft targets": (
        fb.CrossEntropy(label_smoothing=0.2), softmax, P,
        nn.CrossEntropyLoss(label_smoothing=0.2), P,
    ),
    "focal": (fb.FocalCrossEntropy(1.5), softmax, LABELS, focal, LABELS),
    "binary": (fb.BinaryCrossEntropy(), sigmoid, BITS, nn.BCEWithLogitsLoss(), BITS),
    "binary, summed": (
        fb.BinaryCrossEntropy(sum_outputs=True), sigmoid, BITS,
        lambda z, y: nn.BCEWithLogitsLoss(reduction="sum")(z, y) / N, BITS,
    ),
    "binary, smooth": (
        fb.BinaryCrossEntropy(label_smoothing=0.2), sigmoid, BITS,
        lambda z, y: nn.BCEWithLogitsLoss()(z, y * 0.8 + 0.1), BITS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_cost_and_gradient_are_those_of_pytorch(name):
    loss, activation, y, peer, peer_y = CASES[name]
    start = Z[:, :4] if activation == "gaussian" else Z
    z = torch.tensor(start, requires_grad=True)
    expected = peer(z, torch.tensor(peer_y))
    expected.backward()
    y_hat = activation(start) if callable(activation) else start
    cost, d_y_hat = loss(y_hat, y)
    assert cost == pytest.approx(float(expected.detach()), rel=1e-10)
    d_z = getattr(d_y_hat, "z", None)  # behind an activation the gradient knows dC/dz
    found = d_y_hat if d_z is None else d_z
    np.testing.assert_allclose(found, z.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_weights_of_classes_divide_by_their_sum_as_in_pytorch():
    weights = RNG.uniform(0.1, 3, K)
    expected = nn.CrossEntropyLoss(weight=torch.tensor(weights))(
        torch.tensor(Z), torch.tensor(LABELS)
    )
    cost, _ = fb.CrossEntropy()(softmax(Z), LABELS, weights[LABELS])
    assert cost == pytest.approx(float(expected), rel=1e-12)
