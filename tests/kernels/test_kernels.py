"""Every kernel of every variant against the NumPy twin, in scratch full of NaN.

The grid crosses all sizes around the widths of vectors and tiles, since SIMD bugs
live in the tails. Its numbers lie in [-1, 1], so that a sum over k products is at
most k, and its rounding error at most about k * k * eps: hence the tolerances.
"""

from itertools import product

import numpy as np
import pytest
import reference as twin
from privates import ACTIVATIONS, TABLE
from reference import DTYPES, HIDDEN, KEEPS_Z, SGD, VARIANTS, Kernels, Layer, kernels, mildness

SIZES = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 48, 49, 100)
RNG = np.random.default_rng(0)
# Rounded to float32, so that both dtypes start from the same numbers.
X, W, D, Y = RNG.uniform(-1, 1, (4, 100, 100)).astype(np.float32).astype(np.float64)
B = D[50]

on_every_kernel = pytest.mark.parametrize(("variant", "dtype"), list(product(VARIANTS, DTYPES)))


def one_layer_nets():
    """All pairs of widths; each width meets every activation, and no bias too."""
    for (i, n_in), (j, n_out) in product(enumerate(SIZES), enumerate(SIZES)):
        bias = B[:n_out] if (i + 3 * j) % 4 else None
        yield Layer(W[:n_in, :n_out], bias, ACTIVATIONS[(5 * i + j) % len(ACTIVATIONS)])


def assert_near(got, true, tolerance, *case):
    """Also refuses NaN: what was read before it was written."""
    worst = np.max(np.abs(got - true) - tolerance, initial=-np.inf)
    assert worst <= 0, f"{case} is off by {worst} more than allowed"


def z_of(layer, x, z, a):
    """The kernels' z, where it is kept; of a kink a says on which side of it the kernel was."""
    if layer.activation in KEEPS_Z:
        return z
    if TABLE[layer.activation].is_straight:
        return 6 * a - 3 if layer.activation == "hard_sigmoid" else a
    return x @ layer.weight + (0 if layer.bias is None else layer.bias)


def steepness(layer, z):
    """The largest derivative, or 1."""
    row = TABLE[layer.activation]
    return max(1, row.derivative(z, layer.alpha).max()) if row.derivative else 1


@on_every_kernel
def test_predict_and_forward_agree_with_the_twin_for_all_sizes(variant, dtype):
    eps = float(np.finfo(dtype).eps)
    for layer in one_layer_nets():
        n_in, n_out = layer.weight.shape
        net = Kernels(variant, dtype, [layer])
        true_z = X[:, :n_in] @ layer.weight + (0 if layer.bias is None else layer.bias)
        true_a = twin.activate(layer, true_z)
        error_z = (n_in + 2) * (n_in + 1) * eps
        # Hardly any activation is steeper than 1; softmax adds a sum over the row.
        error_a = 2 * error_z * steepness(layer, true_z) + (n_out + 8) * eps * np.maximum(
            1, abs(true_a)
        )
        for n in SIZES:
            fence = net.spoil_scratch(n)
            z, a = net.forward(X[:n, :n_in])
            if layer.activation in KEEPS_Z:
                assert_near(z, true_z[:n], error_z, "z", layer.activation, n_in, n_out, n)
            assert_near(a, true_a[:n], error_a[:n], "a", layer.activation, n_in, n_out, n)
            assert np.isnan(fence).all(), (
                f"forward writes behind its scratch for {n_in}, {n_out}, {n}"
            )
            assert np.array_equal(net.predict(X[:n, :n_in]), a), (
                f"predict isn't forward for {n_in}, {n_out}, {n}"
            )


@on_every_kernel
def test_backward_agrees_with_the_twin_for_all_sizes(variant, dtype):
    eps = float(np.finfo(dtype).eps)
    for layer in one_layer_nets():
        n_in, n_out = layer.weight.shape
        net = Kernels(variant, dtype, [layer])
        place = net.places[0]
        for n in SIZES:
            x, d_a, case = X[:n, :n_in], D[:n, :n_out], (layer.activation, n_in, n_out, n)
            fence = net.spoil_scratch(n)
            z, a = (v.astype(np.float64) for v in net.forward(x))
            gradients, d_x = net.backward(d_a)
            d_z = twin.derive(layer, z_of(layer, x, z, a), a, d_a)
            error_d_z = 2 * (n_out + n_in + 8) * eps * max(1, abs(d_z).max())
            error = n * error_d_z + (n + 2) * n * eps
            assert_near(place.weight(gradients), x.T @ d_z, error, "dW", *case)
            if place.has_bias:
                assert_near(place.bias(gradients), d_z.sum(axis=0), error, "db", *case)
            assert_near(
                d_x,
                d_z @ layer.weight.T,
                n_out * error_d_z + (n_out + 2) * n_out * eps,
                "dx",
                *case,
            )
            assert not net.padding(gradients).any(), case
            assert np.isnan(fence).all(), case


def fitting_loss(layer, n_in, n):
    """A loss for the layer and targets for it: the fused ones about every second time."""
    n_out = layer.weight.shape[1]
    if layer.activation == "softmax" and n_out > 1 and n_in % 2:
        labels = np.arange(n) * 7 % n_out
        return "cross_entropy", labels if n % 2 else np.eye(n_out)[labels]
    if layer.activation == "sigmoid" and n_in % 2:
        return "binary_cross_entropy", abs(Y[:n, :n_out])
    return ("half_squared_error", "mean_squared_error")[n % 2], Y[:n, :n_out]


@on_every_kernel
def test_fused_step_agrees_with_the_twin_for_all_sizes(variant, dtype):
    """One step: the cost, what was right, the new weights; and padding stays zero."""
    eps, rate = float(np.finfo(dtype).eps), 0.125
    for layer in one_layer_nets():
        n_in, n_out = layer.weight.shape
        net = Kernels(variant, dtype, [layer])
        place, start = net.places[0], net.parameters.values.copy()
        for n in SIZES:
            x, case = X[:n, :n_in], (layer.activation, n_in, n_out, n)
            net.parameters.values[:] = start
            fence = net.spoil_scratch(n)
            # From the kernels' own z and a, which the tests above compare with the twin's.
            z, a = (v.astype(np.float64) for v in net.forward(x))
            loss, y = fitting_loss(layer, n_in, n)
            outcome, cost, right, *_ = net.train(loss, (rate, 0.0, False, 0.0), x, y)
            z = z_of(layer, x, z, a)
            true_cost, d_z = twin.compare(loss, layer, z, a, y)
            largest = (1 + abs(a).max() + abs(z).max()) * steepness(layer, z)
            assert (outcome, right) == (0, twin.n_right(loss, z, a, y)), (loss, *case)
            assert_near(
                cost / n, true_cost, (n_out + 16) * eps * (true_cost + largest), "cost", loss, *case
            )
            factor = twin.loss_spec(net.kernels, loss, n_out).gradient_factor
            error = rate * factor * largest * (2 * n_out + n_in + n + 20) * eps + 4 * eps
            error += rate * 2 * eps * abs(d_z).sum()
            assert_near(
                place.weight(net.parameters.values),
                layer.weight - rate * x.T @ d_z,
                error,
                loss,
                *case,
            )
            if place.has_bias:
                d_b = d_z.sum(axis=0)
                assert_near(
                    place.bias(net.parameters.values), layer.bias - rate * d_b, error, loss, *case
                )
            assert not net.padding(net.parameters.values).any(), case
            assert np.isnan(fence).all(), case


CORRECTED, UNSURE = -1, -2  # what ``correct`` says, if not where a weight isn't finite
OPTIMIZERS = {
    "sgd": (0.1, 0.0, False, 0.0),
    "decay": (0.1, 0.0, False, 0.01),
    "momentum": (0.05, 0.9, False, 0.0),
    "nesterov": (0.05, 0.9, True, 0.01),
}


@on_every_kernel
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_updates_agree_with_the_twin_over_several_steps(variant, dtype, optimizer):
    net = Kernels(variant, dtype, [Layer(W[:7, :19], B[:19])])
    w, state = net.parameters.values, net.state(1 if OPTIMIZERS[optimizer][1] else 0)
    sgd, true = SGD(*OPTIMIZERS[optimizer]), w.astype(np.float64)
    snapshot = np.full(w.size + state.buffer.size, np.nan, dtype)
    for step in range(10):
        gradient = net.zeros()
        gradient[:] = np.resize(X[step], gradient.size)
        room = snapshot if step % 2 else None
        assert net.correct(gradient, OPTIMIZERS[optimizer], state.buffer, room) == CORRECTED
        assert state.n_steps == step + 1
        sgd.correct("w", true, gradient.astype(np.float64))
        # Velocities stay below 10, weights below 10: a few roundings a step.
        assert_near(w, true, 40 * (step + 1) * np.finfo(dtype).eps, optimizer, step)
    gradient[37] = np.nan
    before = w.tobytes(), state.buffer.tobytes()
    assert net.correct(gradient, OPTIMIZERS[optimizer], state.buffer) == UNSURE
    assert before == (w.tobytes(), state.buffer.tobytes())
    assert net.correct(gradient, OPTIMIZERS[optimizer], state.buffer, snapshot) == 37
    assert before == (w.tobytes(), state.buffer.tobytes())  # nothing has changed


def deep_net(hidden, last, bias=True, widths=(5, 17, 33, 16, 4)):
    """Four layers with weights small enough that activations stay in their lively range."""
    ends = [hidden] * (len(widths) - 2) + [last]
    return [
        Layer(
            2 * mildness(end) * W[i : i + n_in, i : i + n_out] / n_in**0.5,
            B[i : i + n_out] / 4 if bias else None,
            end,
            0.1 if end == "leaky_relu" else None,
        )
        for i, (n_in, n_out, end) in enumerate(zip(widths[:-1], widths[1:], ends, strict=True))
    ]


LOSSES = {
    # activation of the last layer: what can come behind it
    **{
        name: [("half_squared_error", "mean_squared_error")[i % 2]] for i, name in enumerate(HIDDEN)
    },
    "sigmoid": ["binary_cross_entropy", "half_squared_error"],
    "softmax": ["cross_entropy", "labels", "mean_squared_error"],
}
PAIRS = [(last, loss) for last, losses in LOSSES.items() for loss in losses]


def targets_for(loss, n, n_out=4):
    """(the loss, targets), where "labels" is cross entropy with integers."""
    labels = np.arange(n) * 7 % 5 % n_out
    if loss in ("labels", "cross_entropy"):
        return "cross_entropy", labels if loss == "labels" else np.eye(n_out)[
            labels
        ] * 0.75 + 0.25 / n_out
    return loss, abs(np.resize(Y, (n, n_out))) if loss.startswith("b") else np.resize(Y, (n, n_out))


@on_every_kernel
@pytest.mark.parametrize("bias", [True, False])
def test_blame_goes_through_deep_nets_of_every_activation(variant, dtype, bias):
    tolerance = 400 * np.finfo(dtype).eps  # 71 products deep, numbers up to about 4
    for hidden, (last, loss) in product(HIDDEN, PAIRS):
        layers = deep_net(hidden, last, bias)
        net = Kernels(variant, dtype, layers)
        fence, x = net.spoil_scratch(30), X[:23, :5]
        loss, y = targets_for(loss, 23)
        pairs = twin.forward(layers, x)
        z, a = net.forward(x)
        if last in KEEPS_Z:
            assert_near(z, pairs[-1][0], tolerance, "z", hidden, last)
        assert_near(a, pairs[-1][1], tolerance, "a", hidden, last)
        _, d_z = twin.compare(loss, layers[-1], *pairs[-1], y)
        true, true_d_x = twin.backward(layers, x, pairs, d_z)
        gradients, d_x = net.backward(d_z, is_d_z=True)
        assert_near(d_x, true_d_x, tolerance, "dx", hidden, last, loss)
        for place, (d_w, d_b) in zip(net.places, true, strict=True):
            assert_near(place.weight(gradients), d_w, tolerance, "dW", hidden, last, loss)
            assert not bias or abs(place.bias(gradients) - d_b).max() <= tolerance, (
                hidden,
                last,
                loss,
            )
        assert not net.padding(gradients).any(), (hidden, last, loss)
        assert np.isnan(fence).all(), (hidden, last, loss)


@on_every_kernel
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_shuffled_with_a_short_last_batch_follows_the_twin(variant, dtype, optimizer):
    n, size, eps = 37, 8, np.finfo(dtype).eps
    x = X[:n, :5]
    for hidden, (last, loss) in zip(HIDDEN * 2, PAIRS * 2, strict=False):
        layers = deep_net(hidden, last)
        net, sgd = Kernels(variant, dtype, layers), SGD(*OPTIMIZERS[optimizer])
        layers = [Layer(v.weight.copy(), v.bias.copy(), v.activation, v.alpha) for v in layers]
        fence, state = net.spoil_scratch(size), net.state().buffer
        loss, y = targets_for(loss, n)
        for epoch in range(2):
            order = np.random.default_rng(epoch).permutation(n)
            outcome, cost, *_ = net.train(loss, OPTIMIZERS[optimizer], x, y, state, order, size)
            rows = [order[i : i + size] for i in range(0, n, size)]
            true = sum(len(r) * twin.train_step(layers, loss, sgd, x[r], y[r]) for r in rows)
            assert outcome == 0
            assert_near(cost / n, true / n, 2000 * eps, "cost", hidden, last, loss, epoch)
        for place, layer in zip(net.places, layers, strict=True):
            assert_near(
                place.weight(net.parameters.values), layer.weight, 2000 * eps, hidden, last, loss
            )
            assert_near(
                place.bias(net.parameters.values), layer.bias, 2000 * eps, hidden, last, loss
            )
        assert not net.padding(net.parameters.values).any(), (hidden, last, loss)
        assert np.isnan(fence).all(), (hidden, last, loss)


@on_every_kernel
def test_evaluate_and_predict_agree_with_the_twin_across_blocks_of_rows(variant, dtype):
    eps = np.finfo(dtype).eps
    for last, loss in PAIRS:
        layers = deep_net("tanh", last)
        net = Kernels(variant, dtype, layers)
        for n in (0, 1, 63, 64, 65, 150):
            x = np.resize(X, (n, 5))
            name, y = targets_for(loss, n)
            z, a = twin.forward(layers, x)[-1]
            cost, right = net.evaluate(name, x, y)
            true = n * twin.compare(name, layers[-1], z, a, y)[0] if n else 0
            assert_near(net.predict(x), a, 400 * eps, last, n)
            assert_near(cost, true, 400 * eps * (n + true), loss, n)
            assert right == twin.n_right(name, z, a, y), (loss, n)


@on_every_kernel
def test_first_nonfinite_finds_every_place_in_every_size(variant, dtype):
    find = kernels(variant, dtype).first_nonfinite
    for n in range(71):
        x = np.full(n + 1, np.finfo(dtype).max, dtype)[1:]  # off the alignment
        assert find(x) == -1, n
        for at in range(n):
            for wrong in (np.nan, np.inf, -np.inf):
                x[at] = wrong
                assert find(x) == at, (n, at, wrong)
            x[-1] = np.inf  # a second one, later, changes nothing
            assert find(x) == at, (n, at)
            x[[at, -1]] = -1


@on_every_kernel
def test_shuffle_is_fisher_yates_with_one_word_a_place(variant, dtype):
    for n in (0, 1, 2, 3, 10, 1000):
        words = np.random.PCG64(n).random_raw(n).astype(np.uint64)
        order, true = np.arange(n), list(range(n))
        kernels(variant, dtype).shuffle(order, words)
        for i in range(n - 1, 0, -1):
            j = int(words[i]) % (i + 1)
            true[i], true[j] = true[j], true[i]
        assert order.tolist() == true
        assert sorted(true) == list(range(n))


@on_every_kernel
def test_rows_are_shuffled_in_parts_as_at_once(variant, dtype):
    shuffle = kernels(variant, dtype).shuffle
    for n in (0, 1, 7, 100):
        words = np.random.PCG64(n).random_raw(n).astype(np.uint64)
        whole, parts = np.arange(n), np.arange(n)
        shuffle(whole, words)
        for first in reversed(range(0, n, 13)):
            shuffle(parts, words[first : first + 13], first)
        np.testing.assert_array_equal(parts, whole)
