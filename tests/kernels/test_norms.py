"""Normalisation in the kernels: against the slow twin, by differences, and in chunks of threads."""

import numpy as np
import pytest
from privates import (
    OpSpec,
    OptimizerState,
    Parameters,
    aligned_empty,
    aligned_zeros,
    row_length,
    run,
)
from reference import DTYPES, VARIANTS, kernels, loss_spec

EPSILON, MOMENTUM = 1e-5, 0.1
PLAIN = (0.1, 0.0, False, 0.0)  # learning rate, momentum, nesterov, weight decay

# Each layer: (op, width, activation). Widths hit tails; norms stand first, last, side by side.
NETS = {
    "layer norm": [
        ("product", 5, "identity"),
        ("layer_norm", 5, "tanh"),
        ("product", 3, "identity"),
    ],
    "batch norm": [
        ("product", 19, "identity"),
        ("batch_norm", 19, "relu"),
        ("product", 2, "identity"),
    ],
    "both": [
        ("batch_norm", 7, "identity"),
        ("product", 33, "identity"),
        ("layer_norm", 33, "sigmoid"),
        ("product", 70, "identity"),
        ("batch_norm", 70, "identity"),
        ("activation", 70, "tanh"),
        ("product", 4, "identity"),
    ],
    "first and last": [
        ("layer_norm", 7, "identity"),
        ("product", 3, "tanh"),
        ("layer_norm", 3, "identity"),
    ],
    "side by side": [
        ("product", 6, "tanh"),
        ("batch_norm", 6, "identity"),
        ("batch_norm", 6, "identity"),
    ],
}
N_IN = 7


class Twin:
    """The formulas in NumPy, in float64."""

    def __init__(self, name, seed=0):
        rng, width = np.random.default_rng(seed), N_IN
        self.ops = []
        for op, n_out, activation in NETS[name]:
            if op == "product":
                pair = rng.normal(size=(width, n_out)) / np.sqrt(width), rng.normal(size=n_out) / 3
            else:
                pair = 1 + rng.normal(size=(1, n_out)) / 3, rng.normal(size=n_out) / 3
            running = np.array([np.zeros(n_out), np.ones(n_out)])
            self.ops.append([op, activation, *pair, running])
            width = n_out
        self.widths = [N_IN, *(n for _, n, _ in NETS[name])]

    def forward(self, X, training=True):
        self.kept, a, n = [], X, len(X)
        for op, activation, weight, bias, running in self.ops:
            x, statistics = a, None
            if op == "product":
                z = a @ weight + bias
            elif op == "activation":
                z = a
            else:
                axis = 1 if op == "layer_norm" else 0
                mean, variance = a.mean(axis, keepdims=True), a.var(axis, keepdims=True)
                if op == "batch_norm" and (not training or n == 1):
                    mean, variance = running[:1].copy(), running[1:].copy()
                elif op == "batch_norm":
                    running[0] += MOMENTUM * (mean[0] - running[0])
                    running[1] += MOMENTUM * (variance[0] * n / (n - 1) - running[1])
                x_hat = (a - mean) / np.sqrt(variance + EPSILON)
                z, statistics = x_hat * weight + bias, (x_hat, variance)
            a = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "identity": lambda z: z,
                 "sigmoid": lambda z: 1 / (1 + np.exp(-z))}[activation](z)  # fmt: skip
            self.kept.append((x, statistics, a))
        return a

    def backward(self, d, training=True):
        gradients, n = [], len(d)
        for (op, activation, weight, _, _), (x, statistics, a) in zip(
            self.ops[::-1], self.kept[::-1], strict=True
        ):
            d = (
                d
                * {"relu": a > 0, "tanh": 1 - a**2, "identity": 1, "sigmoid": a * (1 - a)}[
                    activation
                ]
            )
            if op == "product":
                gradients.append((x.T @ d, d.sum(0)))
                d = d @ weight.T
            elif op == "activation":
                gradients.append((np.zeros_like(weight), np.zeros(d.shape[1])))
            else:
                x_hat, variance = statistics
                gradients.append(((d * x_hat).sum(0)[None], d.sum(0)))
                g, axis = d * weight, 1 if op == "layer_norm" else 0
                if op == "layer_norm" or (training and n > 1):
                    g = g - g.mean(axis, keepdims=True)
                    g = g - x_hat * (d * weight * x_hat).mean(axis, keepdims=True)
                d = g / np.sqrt(variance + EPSILON)
        return gradients[::-1], d


class Compiled:
    """The same network in the kernels; scratch is NaN until it is written."""

    def __init__(self, twin, variant, dtype):
        self.module, self.dtype = kernels(variant, dtype), np.dtype(dtype)
        shapes = [(*weight.shape, True) for _, _, weight, _, _ in twin.ops]
        self.parameters = Parameters(shapes, self.dtype)
        layers, rows = [], 0
        for i, (op, activation, weight, bias, _) in enumerate(twin.ops):
            place = self.parameters.places[i]
            place.weight(self.parameters.values)[...] = weight
            place.bias(self.parameters.values)[...] = bias
            offset = rows
            rows += 2 * place.row if op == "batch_norm" else 0
            layers.append(
                OpSpec(
                    op,
                    twin.widths[i],
                    twin.widths[i + 1],
                    place.offset,
                    has_bias=True,
                    activation=activation,
                    epsilon=EPSILON,
                    momentum=MOMENTUM,
                    running_offset=offset,
                )
            )
        self.running = aligned_empty(max(rows, 16), self.dtype)
        self.running.fill(0)
        self.running_places = []
        for i, layer in enumerate(layers):
            if layer.kind == "batch_norm":
                row, n_out = self.parameters.places[i].row, layer.n_out
                both = self.running[layer.running_offset :][: 2 * row].reshape(2, row)
                both[1, :n_out] = 1
                self.running_places.append(both[:, :n_out])
        self.layers, self.widths = layers, twin.widths
        self.network = self.module.Network(layers, self.parameters.values, self.running)

    def workspace(self, n):
        size = self.module.workspace_size(self.network, n, True)
        self.memory = aligned_empty(size + 64, self.dtype)
        self.memory.fill(np.nan)
        return self.module.Workspace(self.network, n, True, self.memory[:size])

    def forward_backward(self, X, d, training=True):
        workspace, n_out = self.workspace(len(X)), self.parameters.places[-1].n_out
        self.last_workspace = workspace
        self.X = X.astype(self.dtype)
        y_hat, z = np.full((2, len(X), n_out), np.nan, self.dtype)
        self.module.forward(workspace, self.X, y_hat, z, training)
        gradients = aligned_empty(self.parameters.values.size, self.dtype)
        gradients.fill(0)
        d_x = np.full(X.shape, np.nan, self.dtype)
        self.module.backward(workspace, d.astype(self.dtype), False, gradients, d_x)
        assert np.isnan(self.memory[-64:]).all()
        places = self.parameters.places
        return y_hat, [(p.weight(gradients), p.bias(gradients)) for p in places], d_x

    def predict(self, X, n_threads=1):
        out = np.full((len(X), self.parameters.places[-1].n_out), np.nan, self.dtype)
        scratch = aligned_empty(n_threads * self.network.predict_scratch_size, self.dtype)
        scratch.fill(np.nan)
        X = X.astype(self.dtype)
        run(
            self.module.PredictionWork(self.network, X, out, scratch, n_threads=n_threads),
            n_threads,
        )
        return out

    def train(self, X, y, batch_size, n_threads=1, update=PLAIN, state=None):
        workspace = self.workspace(batch_size)
        spec = loss_spec(self.module, "half_squared_error", self.parameters.places[-1].n_out)
        if state is None:
            state = OptimizerState(0, self.parameters.values.size, self.dtype).buffer
        work = self.module.TrainingWork(
            workspace, X.astype(self.dtype), y.astype(self.dtype), None, None, 0, len(X),
            batch_size, spec, self.module.UpdateSpec("sgd", *update), state, 0.0, 0, n_threads,
            n_threads > 2,
        )  # fmt: skip
        outcome = run(work, n_threads)
        assert np.isnan(self.memory[-64:]).all()
        return outcome

    def hessian(self, X, y, spec, direction, n_threads):
        out = aligned_zeros(self.parameters.values.size, self.dtype)
        workspace, memory, n = self.workspace(len(X)), self.memory, len(X)
        moved = self.module.Network(self.layers, direction, self.running)
        size = self.module.workspace_size(moved, n, False)
        moved_workspace = self.module.Workspace(moved, n, False, aligned_zeros(size, self.dtype))
        rows = max(row_length(width, self.dtype) for width in self.widths)
        scratch = aligned_zeros(2 * n * rows + out.size, self.dtype)
        rows_of_chunk = self.module.hessian_rows(self.network, n, n_threads)
        for of_weights, end, unit in (
            (False, n, rows_of_chunk),
            (True, self.module.hessian_chunks(self.network), 1),
        ):
            middle = end // 2 // unit * unit
            for first, last in ((0, middle), (middle, end)):
                work = self.module.HessianWork(
                    workspace, moved_workspace, X, y, None, spec, out, scratch, of_weights, first,
                    last, n_threads,
                )  # fmt: skip
                run(work, n_threads)
        assert np.isnan(memory[-64:]).all()
        return out


def data(twin, n, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, N_IN)) * 3 + 1, rng.normal(size=(n, twin.widths[-1]))


def close(got, true, dtype):
    scale = max(1.0, np.abs(true).max()) if np.size(true) else 1.0
    np.testing.assert_allclose(
        got, true, rtol=0, atol=(2e-4 if dtype == "float32" else 1e-11) * scale
    )


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(("n", "training"), [(23, True), (23, False), (1, True), (2, True)])
def test_forward_and_backward_are_the_twins(variant, dtype, name, n, training):
    twin = Twin(name)
    for op in twin.ops:  # not 0 and 1: what is left alone must be seen
        op[4] += np.linspace(0.1, 0.5, op[4].shape[1])
    net = Compiled(twin, variant, dtype)
    for place, op in zip(
        net.running_places, [x for x in twin.ops if x[0] == "batch_norm"], strict=True
    ):
        place[...] = op[4]
    X, d = data(twin, n)
    if n == 2:  # a deviation of two numbers may be tiny: dC/dx is then huge and loses digits
        X[1] = X[0] + 1
    expected = twin.forward(X, training)
    y_hat, gradients, d_x = net.forward_backward(X, d, training)
    close(y_hat, expected, dtype)
    true_gradients, true_d_x = twin.backward(d, training)
    if n == 2 and dtype == "float32":
        return
    for (weight, bias), (true_weight, true_bias), op in zip(
        gradients, true_gradients, twin.ops, strict=True
    ):
        if op[0] != "activation":
            close(weight, true_weight, dtype)
            close(bias, true_bias, dtype)
    close(d_x, true_d_x, dtype)
    for place, op in zip(
        net.running_places, [x for x in twin.ops if x[0] == "batch_norm"], strict=True
    ):
        close(place, op[4], dtype)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", NETS)
def test_gradients_agree_with_finite_differences(variant, name):
    twin = Twin(name)
    X, d = data(twin, 11)
    net = Compiled(twin, variant, "float64")
    _, gradients, d_x = net.forward_backward(X, d)

    def cost():
        y_hat, _, _ = net.forward_backward(X, d)
        return float((y_hat * d).sum())

    for k, place in enumerate(net.parameters.places):
        if twin.ops[k][0] == "activation":
            continue
        weight = place.weight(net.parameters.values)
        for index in [(0, 0), (weight.shape[0] - 1, weight.shape[1] - 1)]:
            before, slopes = weight[index], []
            for h in (1e-5, -1e-5):
                weight[index] = before + h
                slopes.append(cost())
            weight[index] = before
            assert abs((slopes[0] - slopes[1]) / 2e-5 - gradients[k][0][index]) < 1e-6
    slopes = []
    for h in (1e-5, -1e-5):
        X[3, 2] += h
        slopes.append(cost())
        X[3, 2] -= h
    assert abs((slopes[0] - slopes[1]) / 2e-5 - d_x[3, 2]) < 1e-6


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("batch_size", [40, 64, 129])
def test_threads_and_variants_train_to_the_same_bits(dtype, name, batch_size):
    twin, results = Twin(name), {}
    X, y = data(twin, 300)
    for variant in VARIANTS:
        for n_threads in (1, 2, 3, 7):
            net = Compiled(twin, variant, dtype)
            state = OptimizerState(1, net.parameters.values.size, net.dtype).buffer
            net.train(X, y, batch_size, n_threads, (0.02, 0.9, True, 1e-4), state)
            assert np.isfinite(net.parameters.values).all()
            key = "baseline" if not net.module.has_fma else "fma"
            bits = net.parameters.values.tobytes() + net.running.tobytes() + state.tobytes()
            results.setdefault(key, set()).add(bits)
    assert all(len(x) == 1 for x in results.values())


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETS)
def test_a_training_step_is_forward_compare_backward_update(variant, dtype, name):
    """The steps of fit are those of the loop by hand, with a last batch of one row too."""
    twin = Twin(name)
    X, y = data(twin, 21)
    by_fit, by_hand = Compiled(twin, variant, dtype), Compiled(twin, variant, dtype)
    by_fit.train(X, y, 20)
    for rows in (slice(0, 20), slice(20, 21)):
        running = by_hand.running.copy()
        y_hat, _, _ = by_hand.forward_backward(X[rows], y[rows])
        by_hand.running[:] = running  # the next forward of the same batch takes part, not this one
        d = (y_hat - y[rows].astype(dtype)) / len(y_hat)
        _, gradients, _ = by_hand.forward_backward(X[rows], d)
        values = by_hand.parameters.values
        for place, (weight, bias) in zip(by_hand.parameters.places, gradients, strict=True):
            place.weight(values)[...] -= 0.1 * weight
            place.bias(values)[...] -= 0.1 * bias
    close(by_fit.parameters.values, by_hand.parameters.values, dtype)
    close(by_fit.running, by_hand.running, dtype)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETS)
def test_prediction_of_a_row_has_the_same_bits_alone_and_in_a_batch(variant, dtype, name):
    twin = Twin(name)
    net = Compiled(twin, variant, dtype)
    X, y = data(twin, 150)
    net.train(X, y, 32)
    together = net.predict(X, n_threads=2)
    alone = np.concatenate([net.predict(X[i : i + 1]) for i in range(len(X))])
    assert np.array_equal(together, alone)
    by_hand, _, _ = net.forward_backward(X, y, training=False)
    assert np.array_equal(together, by_hand)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_batch_norm_of_one_to_four(variant, dtype):
    """The numbers that PyTorch's BatchNorm1d gives."""
    twin = Twin("batch norm")
    twin.ops, twin.widths = [["batch_norm", "identity", np.ones((1, 1)), np.zeros(1), None]], [1, 1]
    net = Compiled(twin, variant, dtype)
    X = np.array([[1.0], [2.0], [3.0], [4.0]])
    y_hat, _, _ = net.forward_backward(X, np.ones((4, 1)))
    assert np.allclose(y_hat[:, 0], [-1.341635, -0.447212, 0.447212, 1.341635], atol=2e-6)
    mean, variance = net.running_places[0][:, 0]
    assert abs(mean - 0.25) < 1e-6
    assert abs(variance - 1.0666667) < 1e-6
    constant, _, d_x = net.forward_backward(np.full((4, 1), 5.0), np.ones((4, 1)))
    assert np.array_equal(constant, np.zeros((4, 1)))
    assert np.isfinite(d_x).all()
    before = net.running.copy()
    one, _, _ = net.forward_backward(np.array([[2.0]]), np.ones((1, 1)))
    assert np.isfinite(one).all()
    assert np.array_equal(net.running, before)


def warmed_up(name, variant, dtype):
    """A net whose running statistics aren't 0 and 1, with a batch, targets and its loss's spec."""
    twin = Twin(name)
    net = Compiled(twin, variant, dtype)
    X, y = data(twin, 45)
    net.train(X, y, 9)
    spec = loss_spec(net.module, "half_squared_error", y.shape[1])
    return net, X.astype(dtype), y.astype(dtype), spec


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETS)
def test_sample_gradients_are_those_of_each_row_alone(variant, dtype, name):
    net, X, y, spec = warmed_up(name, variant, dtype)
    n, places, results = len(X), net.parameters.places, []
    for n_threads in (1, 2, 3, 7):
        out = [
            (np.full((n, p.n_in, p.n_out), np.nan, dtype), np.full((n, p.n_out), np.nan, dtype))
            for p in places
        ]
        workspace = net.workspace(n)
        work = net.module.SampleGradientsWork(workspace, X, y, None, spec, out, n_threads)
        run(work, n_threads)
        results.append(b"".join(x.tobytes() for pair in out for x in pair))
        assert np.isnan(net.memory[-64:]).all()
    assert len(set(results)) == 1
    for i in (0, 30, 44):
        y_hat, _, _ = net.forward_backward(X[i : i + 1], y[i : i + 1], training=False)
        _, gradients, _ = net.forward_backward(X[i : i + 1], y_hat - y[i : i + 1], training=False)
        for op, (weight, bias), (true_weight, true_bias) in zip(
            NETS[name], out, gradients, strict=True
        ):
            if op[0] != "activation":
                close(weight[i], true_weight, dtype)
                close(bias[i], true_bias, dtype)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", NETS)
def test_hessian_products_are_differences_of_gradients(variant, name):
    net, X, y, spec = warmed_up(name, variant, "float64")
    if any(activation == "relu" for *_, activation in NETS[name]):
        X = X[:20]  # no unit may cross its corner
        y = y[:20]
    rng, values, places = np.random.default_rng(5), net.parameters.values, net.parameters.places
    direction = aligned_zeros(values.size, net.dtype)
    for place in places:
        place.weight(direction)[...] = rng.normal(size=(place.n_in, place.n_out))
        place.bias(direction)[...] = rng.normal(size=place.n_out)

    def gradients():
        y_hat, _, _ = net.forward_backward(X, y, training=False)
        return net.forward_backward(X, (y_hat - y) / len(X), training=False)[1]

    start, moved = values.copy(), []
    for h in (1e-6, -1e-6):
        values[...] = start + h * direction
        moved.append(gradients())
    values[...] = start
    results = []
    for n_threads in (1, 2, 3, 7):
        out = net.hessian(X, y, spec, direction, n_threads)
        results.append(b"".join(p.weight(out).tobytes() + p.bias(out).tobytes() for p in places))
    assert len(set(results)) == 1
    for k, place in enumerate(places):
        if NETS[name][k][0] != "activation":
            for index, array in enumerate((place.weight(out), place.bias(out))):
                slope = (moved[0][k][index] - moved[1][k][index]) / 2e-6
                np.testing.assert_allclose(
                    array, slope, rtol=1e-5, atol=1e-5 * max(1, np.abs(slope).max())
                )


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETS)
def test_inspect_sees_what_the_twin_had(variant, dtype, name):
    twin = Twin(name)
    net = Compiled(twin, variant, dtype)
    X, d = data(twin, 23)
    twin.forward(X)
    net.forward_backward(X, d)
    for k, (place, (_, _, a)) in enumerate(zip(net.parameters.places, twin.kept, strict=True)):
        arrays = [
            aligned_zeros(len(X) * place.row, net.dtype).reshape(len(X), place.row)
            for _ in range(5)
        ]
        net.module.inspect(net.last_workspace, k, *arrays)
        z, seen, derivative, d_a, delta = (array[:, : place.n_out] for array in arrays)
        close(seen, a, dtype)
        if NETS[name][k][2] == "identity":
            assert np.array_equal(z, seen)
        if k < len(NETS[name]) - 1:
            close(delta, d_a * derivative, dtype)
