"""The same bits whatever mode of arithmetic the caller is in, and the caller's mode stays."""

import threading
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from calls_from_c import rows_function_of
from modes import CONTROL, IS_X86, MODES, control_register, mode, set_control_register
from privates import (
    OpSpec,
    TrainingLock,
    aligned_empty,
    aligned_zeros,
    new_counts,
    padded_rows,
    row_length,
    run,
)
from reference import DTYPES, HIDDEN, VARIANTS, Kernels, Layer, kernels, loss_spec
from test_golden import digest

import fastbackprop as fb

UPDATE = (0.01, 0.9, True, 0.001)
WITHOUT_ARITHMETIC = {
    "Quick",
    "Room",
    "SpanWork",
    "Version",
    "Work",
    "Workspace",
    "chunks_of_rows",
    "chunks_of_weights",
    "count_fork",
    "first_outside",
    "hessian_chunks",
    "hessian_rows",
    "shuffle",
    "workspace_size",
}


def net_of(variant, dtype, seed=0):
    """A net and data, some of it so small that sums and products are subnormal."""
    rng = np.random.default_rng(seed)
    tiny = float(np.finfo(dtype).tiny)
    layers = [
        Layer(rng.normal(size=(5, 9)), rng.normal(size=9), "tanh"),
        Layer(rng.normal(size=(9, 21)), None, "leaky_relu", 0.01),
        Layer(rng.normal(size=(21, 3)), rng.normal(size=3), "identity"),
    ]
    layers[0].weight[0] *= 0.3 * tiny
    layers[0].bias[:4] = 0
    net = Kernels(variant, dtype, layers)
    X, y = rng.normal(size=(150, 5)), rng.normal(size=(150, 3))
    X[:20, 1:] = 0
    return net, net.cast(X), net.cast(y)


class Calls:
    """Each public callable of a kernel module, on arrays that are ready: nothing else computes."""

    def __init__(self, variant, dtype, n_threads):
        self.n_threads = n_threads
        self.module = kernels(variant, dtype)
        self.net, self.X, self.y = net_of(variant, dtype)
        self.other, *_ = net_of(variant, dtype, seed=1)
        self.start = self.net.parameters.values.copy()
        self.spec = loss_spec(self.module, "mean_squared_error", 3)
        self.spec_5 = loss_spec(self.module, "mean_squared_error", 5)
        self.dtype = np.dtype(dtype)
        self.net.spoil_scratch(150)
        self.other.spoil_scratch(150)
        self.scratch = aligned_zeros(1 << 18, self.dtype)
        self.doubles = [x.astype("f8") / 3 for x in (self.X, self.y)]  # in the mode of all days

    def empty(self, *shape):
        array = aligned_empty(int(np.prod(shape)), self.dtype).reshape(shape)
        array.fill(7)
        return array

    def LossSpec(self):  # noqa: N802
        self.spec_5 = self.module.LossSpec("squared_error", False, 2 / 3, 1 / 3, 5)
        return self.compare()

    def Network(self):  # noqa: N802
        places = zip(self.net.places, ("tanh", "leaky_relu", "identity"), strict=True)
        layers = [
            OpSpec("product", p.n_in, p.n_out, p.offset, p.has_bias, kind, 0.01)
            for p, kind in places
        ]
        network = self.module.Network(layers, self.net.parameters.values)
        return [self.module.QuickPredictor(network).predict(self.X[:3], True)]

    def QuickPredictor(self):  # noqa: N802
        quick = self.module.QuickPredictor(self.net.network)
        n_in, n_out = self.X.shape[1], quick.predict(self.X[2], False).shape[0]
        scaled = self.module.QuickPredictor(
            self.net.network, np.full(n_in, 0.1), np.full(n_in, 0.3), np.full(n_out, 0.7),
            np.full(n_out, 0.9),
        )  # fmt: skip
        return [
            quick.predict(self.X[:64], True),
            quick.predict(self.X[2], False),
            *(scaled.predict(rows[:64], True) for rows in self._rows_of_either_dtype()),
        ]

    def CompiledNet(self):  # noqa: N802
        n_in, n_out = self.X.shape[1], self.y.shape[1]
        numbers = [np.full(n, x) for n, x in ((n_in, 1.0), (n_in, 0.1), (n_in, 0.3))]
        outputs = [np.full(n_out, 0.7), np.full(n_out, 0.9)]
        results = []
        for scales in ((), (*numbers, *outputs)):
            net = self.module.CompiledNet(self.net.network, 1, *scales)
            predict, context = rows_function_of(net.capsule(self.module.ROW))
            results.append(self.empty(20, n_out))
            predict(context, self.X.ctypes.data, results[-1].ctypes.data, 20)
        return results

    def _rows_of_either_dtype(self):
        with self.module.ExactMode():
            return [self.X.astype(dtype) for dtype in DTYPES]

    def version(self, counts=None):
        """What quick paths of a model begin with."""
        return self.module.Version(new_counts() if counts is None else counts, TrainingLock(), True)

    def QuickTargets(self):  # noqa: N802
        return self.QuickLoss()

    def QuickStep(self):  # noqa: N802
        self.net.parameters.values[:] = self.start
        state, specs = self.net.state().buffer, {}
        optimizer = SimpleNamespace(_specs=specs)
        room = self.empty(self.start.size + state.size)
        work = self.module.TrainingWork(
            self.net.workspace, self.X, self.y, None, None, 0, 40, 40, self.spec,
            self.net.update(UPDATE), state, 0.0, 0, 1, False, room, None, False,
        )  # fmt: skip
        targets = self.module.QuickTargets(self.spec, 3, 40)
        quick = self.module.QuickStep(self.version(), optimizer, specs, work, targets, 0)
        weights = np.abs(self.X[:40, 1]).copy()
        costs = [quick.step(self.X[:n], self.y[:n], weights[:n], True) for n in (40, 1)]
        costs.append(quick.fit_row(self.X[:1], self.y[:1])[0])
        results = [*(x.hex() for x in costs), self.net.parameters.values.copy(), state]
        self.net.parameters.values[:] = self.start
        return results

    def QuickEvaluation(self):  # noqa: N802
        targets = self.module.QuickTargets(self.spec, 3, 40)
        quick = self.module.QuickEvaluation(self.version(), self.net.network, targets, 7)
        figures = quick.evaluate(self.X[:40], self.doubles[1][:40], None, True)
        return [figures["loss"].hex(), figures["accuracy"].hex()]

    def Pass(self):  # noqa: N802
        self.net.parameters.values[:] = self.start
        gradients = self.net.zeros()
        quick = self.module.Pass(
            self.version(), self.net.workspace, None, self.X[:1], False, 0, (None, None, "identity")
        )
        quick.begin_backward(gradients)
        y_hat = quick.forward(self.X[:40], True, True)
        return [y_hat, quick.backward(y_hat), gradients]

    def QuickUpdate(self):  # noqa: N802
        values, gradients, state = self.net.parameters.values, self.net.zeros(), self.net.state()
        values[:] = gradients[:] = self.start
        counts, specs = new_counts(), {}
        counts[2] = 1  # there was a backward
        version, update = self.version(counts), self.net.update(UPDATE)
        quick = self.module.QuickUpdate(
            version, self.net.network, specs, update, state.buffer, gradients
        )
        assert quick.correct(specs)
        results = [values.copy(), state.buffer]
        values[:] = self.start
        return results

    def QuickLoss(self):  # noqa: N802
        targets = self.module.QuickTargets(self.spec_5, 5, 40)
        quick = self.module.QuickLoss(targets, (None, None, None), 0.1)
        cost, gradient = quick.compare(self.X[:40], self.doubles[0][40:80], None)
        return [cost.hex(), gradient]

    def QuickDerivatives(self):  # noqa: N802
        quick = self.module.QuickDerivatives(self.version(), self.net.workspace)
        return [quick.input_gradient(self.X[:40], 1), quick.jacobian(self.X[:40])]

    def QuickSamples(self):  # noqa: N802
        out = aligned_zeros(self.start.size, self.dtype)
        scratch = aligned_zeros(out.size + 2 * 40 * row_length(21, self.dtype), self.dtype)
        quick = self.module.QuickSamples(
            self.version(), self.net.workspace, self.other.workspace,
            self.module.QuickTargets(self.spec, 3, 40), "a loss", out, scratch,
        )  # fmt: skip
        X, y = self.X[:40], self.y[:40]
        gradients = quick.sample_gradients(X, y, "a loss")
        v = [(w[0], None if b is None else b[0]) for w, b in gradients]
        product = quick.hessian_vector_product(X, y, "a loss", v)
        return [x for pair in (*gradients, *product) for x in pair if x is not None]

    def PredictionWork(self):  # noqa: N802
        out, costs = self.empty(150, 3), self.empty(150)
        scratch = self.scratch[: self.n_threads * self.net.network.predict_scratch_size]
        network, n = self.net.network, self.n_threads
        run(self.module.PredictionWork(network, self.X, out, scratch, n_threads=n), n)
        work = self.module.PredictionWork(
            network, self.X, None, scratch, self.y, None, self.spec, costs, n
        )
        run(work, n)
        return [out, costs]

    def TrainingWork(self):  # noqa: N802
        results = []
        for update, batch_size in (
            (UPDATE, 64),
            ((0.01, 0.0, False, 0.0), 40),
            ((0.01,) + (0,) * 3, 1),
        ):
            self.net.parameters.values[:] = self.start
            state = self.net.state().buffer
            work = self.module.TrainingWork(
                self.net.workspace, self.X, self.y, None, None, 0, 150, batch_size, self.spec,
                self.net.update(update), state, 0.0, 0, self.n_threads, False,
            )  # fmt: skip
            outcome, cost, *_ = run(work, self.n_threads)
            assert outcome == 0
            results += [self.net.parameters.values.copy(), state, cost.hex()]
        self.net.parameters.values[:] = self.start
        return results

    def forward(self):
        y_hat, z = self.empty(150, 3), self.empty(150, 3)
        self.module.forward(self.net.workspace, self.X, y_hat, z)
        return [y_hat, z]

    def backward(self):
        self.forward()
        gradients, d_x = self.empty(self.start.size), self.empty(150, 5)
        self.module.backward(self.net.workspace, self.y, False, gradients, d_x)
        return [gradients, d_x]

    def inspect(self):
        self.backward()
        row = self.net.places[1].row
        arrays = [self.empty(150, row) for _ in range(5)]
        self.module.inspect(self.net.workspace, 1, *arrays)
        return [array[:, :21].copy() for array in arrays]

    def OutputDerivativesWork(self):  # noqa: N802
        out = self.empty(50, 3, 5)
        combinations = self.empty(3, 3)
        combinations.fill(0)
        combinations[range(3), range(3)] = 1
        work = self.module.OutputDerivativesWork(
            self.net.workspace, self.X[:50], combinations, out, False, self.n_threads
        )
        run(work, self.n_threads)
        return [out]

    def SampleGradientsWork(self):  # noqa: N802
        shapes = ((5, 9, True), (9, 21, False), (21, 3, True))
        out = [
            (self.empty(150, n_in, n_out), self.empty(150, n_out) if bias else None)
            for n_in, n_out, bias in shapes
        ]
        work = self.module.SampleGradientsWork(
            self.net.workspace, self.X, self.y, None, self.spec, out, self.n_threads
        )
        run(work, self.n_threads)
        return [x for pair in out for x in pair if x is not None]

    def HessianWork(self):  # noqa: N802
        out = aligned_zeros(self.start.size, self.dtype)
        scratch = self.scratch[: out.size + 2 * 150 * row_length(21, self.dtype)]
        scratch.fill(0)
        for of_weights, end in (
            (False, 150),
            (True, self.module.hessian_chunks(self.net.network)),
        ):
            work = self.module.HessianWork(
                self.net.workspace, self.other.workspace, self.X, self.y, None, self.spec, out,
                scratch, of_weights, 0, end, self.n_threads,
            )  # fmt: skip
            run(work, self.n_threads)
        return [out]

    def compare(self):
        z, delta, costs = padded_rows(self.X), padded_rows(self.X), self.empty(150 + 64)
        total = self.module.compare(self.spec_5, z, z, self.X[::-1].copy(), None, delta, 5, costs)
        return [total.hex(), delta[:, :5].copy(), costs[:150]]

    def correct(self):
        results, values, gradients = [], self.net.parameters.values, self.net.zeros()
        gradients[:] = self.start
        for with_snapshot in (False, True):
            values[:] = self.start
            state = self.net.state().buffer
            room = self.empty(values.size + state.size) if with_snapshot else None
            assert self.net.correct(gradients, UPDATE, state, room) == -1
            results += [values.copy(), state]
        values[:] = self.start
        return results

    def clip(self):
        results = []
        for limits in ((0.1, 0.0), (0.0, 0.1), (0.3, 0.7)):
            gradients = self.net.zeros()
            gradients[:] = self.start
            scratch = self.empty(self.net.network.clipping_scratch_size)
            results += [self.module.clip(self.net.network, gradients, *limits, scratch).hex()]
            results += [gradients]
        return results

    def UpdateSpec(self):  # noqa: N802
        # 0.1 is no float32: it is rounded here, and shows in the weights.
        return self.correct()

    def sum_costs(self):
        return [self.module.sum_costs(self.X[:, 0].copy(), 0.1).hex()]

    def first_nonfinite(self):
        rows = self.X.reshape(-1).copy()
        rows[77] = np.inf
        return [bytes([self.module.first_nonfinite(x) + 1 for x in (self.X.reshape(-1), rows)])]

    def scale_columns(self):
        center, scale = np.full(self.X.shape[1], 0.1), np.full(self.X.shape[1], 0.3)
        results = []
        for rows in self._rows_of_either_dtype():
            out = np.empty_like(self.X)
            self.module.scale_columns(rows, center, scale, out)
            results.append(out)
        return results

    def apply(self):
        results = []
        for name in ("exp", "log", "log1p_small", "tanh", "sigmoid"):
            out = self.empty(self.X.size)
            self.module.apply(name, np.abs(self.X.reshape(-1)), out)
            results.append(out)
        return results

    def activate(self):
        results = []
        for name in HIDDEN:
            z, a, derivative, second = (self.empty(128) for _ in range(4))
            z[:] = self.X.reshape(-1)[:128]
            self.module.activate(name, 0.3, z, a, derivative, second)
            results += [a, derivative, second]
        return results

    def multiply_adds(self):
        return [bytes([self.module.multiply_adds(3) > 0])]

    def ExactMode(self):  # noqa: N802
        with self.module.ExactMode():
            return [self.X * self.X, (self.X[:, :1] / 3).sum(axis=0)]


NAMES = [name for name in vars(Calls) if name[0] != "_" and name not in {"empty", "version"}]


def bits(results):
    return [x if isinstance(x, str | bytes) else np.ascontiguousarray(x).tobytes() for x in results]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_public_callable_is_in_this_list(variant):
    """A new one belongs there, unless it computes nothing in floating point."""
    module = kernels(variant, "float32")
    public = {
        name
        for name, value in vars(module).items()
        if callable(value) and not name.startswith("_") and value.__module__ == module.__name__
    }
    assert public == {*NAMES, *WITHOUT_ARITHMETIC}


@pytest.mark.parametrize(("variant", "dtype"), list(product(VARIANTS, DTYPES)))
@pytest.mark.parametrize("name", NAMES)
def test_the_mode_of_the_caller_changes_no_bit_and_stays(name, variant, dtype):
    for n_threads in (1, 3) if name.endswith("Work") else (1,):
        call = getattr(Calls(variant, dtype, n_threads), name)
        expected = bits(call())  # helpers are there from now on, in the mode of all days
        for kind in MODES:
            with mode(kind):
                results = call()
            assert bits(results) == expected, f"{kind}, {n_threads} threads"


@pytest.mark.parametrize("flags", [0, 0x3F])
def test_the_flags_of_the_caller_stay(flags):
    """What was inexact or overflowed inside of the kernels is nobody's business."""
    if not IS_X86:
        pytest.skip("Flags are read from MXCSR, which this CPU has not.")
    calls = Calls(VARIANTS[0], "float32", 1)
    quick = calls.module.QuickPredictor(calls.net.network).predict
    rows, out, costs = calls.X[:3].copy(), calls.empty(15), calls.X[:, 0].copy()
    x, before = rows.reshape(-1), control_register()
    for call in (
        lambda: quick(rows, True),
        lambda: calls.module.apply("exp", x, out),
        lambda: calls.module.sum_costs(costs, 0.1),
        lambda: calls.module.first_nonfinite(x),
    ):
        left = set()
        for _ in range(5):  # Python, too, may do some arithmetic in a call, but not in each
            set_control_register(before & CONTROL | flags)
            call()
            left.add(control_register() & 0x3F)
            set_control_register(before)
        assert flags in left


@pytest.mark.parametrize("kind", MODES)
def test_helpers_in_another_mode_than_the_leader_change_no_bit(kind):
    net, X, y = net_of(VARIANTS[0], "float32")
    net.spoil_scratch(150)
    expected = net.train("mean_squared_error", UPDATE, X, y, net.state().buffer, batch_size=50)
    weights = net.parameters.values.copy()
    for _ in range(5):
        again, *_ = net_of(VARIANTS[0], "float32")
        again.spoil_scratch(150)
        workspace, state = again.workspace, again.state().buffer
        work = again.kernels.TrainingWork(
            workspace, X, y, None, None, 0, 150, 50,
            loss_spec(again.kernels, "mean_squared_error", 3), again.update(UPDATE), state,
            0.0, 0, 3, True,
        )  # fmt: skip
        left = []

        def help_out(work=work, left=left):
            with mode(kind):
                work.help()
            left.append(True)

        helpers = []

        def call(work, helpers=helpers, help_out=help_out):
            helpers.append(threading.Thread(target=help_out))
            helpers[-1].start()

        result = work.run(call)
        for helper in helpers:
            helper.join()
        assert left == [True] * len(helpers)
        assert result[:3] == expected[:3]
        assert np.array_equal(again.parameters.values, weights)


@pytest.mark.parametrize("kind", MODES)
@pytest.mark.parametrize("n_threads", [1, 2])
def test_fit_predict_and_the_loop_by_hand_in_another_mode(kind, n_threads):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(64, 4)), rng.normal(size=(64, 1))  # float64: they are converted

    def results():
        model = fb.mlp([4, 8, 1], seed=0)
        trainer = fb.Trainer(
            model, "mean_squared_error", fb.SGD(0.01, momentum=0.9), batch_size=7, seed=0,
            n_threads=n_threads,
        )  # fmt: skip
        history = trainer.fit(X, y, epochs=3)
        cost = trainer.step(X[:3], y[:3])
        loss, sgd = fb.MeanSquaredError(), fb.SGD(0.01)
        by_hand, d_y_hat = loss(model.forward(X), y)
        model.backward(d_y_hat)
        sgd.step(model)
        scores = trainer.evaluate(X, y)
        return digest(model), history.loss, cost, by_hand, scores, model.predict(X).tobytes()

    expected = results()
    with mode(kind):
        got = results()
    assert got == expected


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("n_threads", [1, 2])
def test_weights_become_subnormal_where_the_caller_flushes_to_zero(variant, n_threads):
    tiny = 1e-20

    def train():
        net = Kernels(variant, "float32", [Layer(np.zeros((960, 1)), None)])
        X, y = net.cast(np.full((512, 960), tiny)), net.cast(np.full((512, 1), tiny))
        net.spoil_scratch(512)
        for _ in range(50):
            work = net.kernels.TrainingWork(
                net.workspace, X, y, None, None, 0, 512, 512,
                loss_spec(net.kernels, "half_squared_error", 1),
                net.update((1.0, 0.0, False, 0.0)), net.state().buffer, 0.0, 0, n_threads, False,
            )  # fmt: skip
            assert run(work, n_threads)[0] == 0
        return net.places[0].weight(net.parameters.values).copy()

    expected = train()
    assert np.allclose(expected, 5e-39, rtol=0.01, atol=0)
    with mode("flush"):
        got = train()
    assert got.tobytes() == expected.tobytes()
