"""forward, loss, backward, step by hand, and derivatives: quick, with the bits of the long way."""

import copy
import pickle
import threading

import numpy as np
import pytest
from loss_cases import NAMES, TAKES_LABELS, last_activation, loss_of, targets_of
from privates import (
    OPTIMIZERS,
    LongWayError,
    leave_quick_paths,
    n_forwards_of,
    only_quick_paths,
    state_of,
    store_of,
)

import fastbackprop as fb

DTYPES = ("float32", "float64")


class Hand:
    """A model, a loss and an optimizer; with ``is_long`` each call takes the long way."""

    def __init__(
        self, name, dtype="float32", optimizer="sgd", layers=None, is_long=False, loss=None
    ):
        last = fb.Dense(9, 4, last_activation(name))
        layers = [fb.Dense(4, 9, "tanh"), *(layers or ()), last]
        self.model = fb.Sequential(layers, seed=3, dtype=dtype)
        self.loss, self.optimizer = loss or loss_of(name), OPTIMIZERS[optimizer]()
        self.is_long = is_long

    def leave(self):
        if self.is_long:
            leave_quick_paths(self.model, self.loss)

    def step(self, X, y, weights=None, training=True):
        """Return all that the four calls give."""
        self.leave()
        y_hat = self.model.forward(X, training=training)
        self.leave()
        cost, d_y_hat = self.loss(y_hat, y, weights)
        self.leave()
        d_x = self.model.backward(d_y_hat)
        self.leave()
        self.optimizer.step(self.model)
        return cost, y_hat, d_y_hat, d_x

    def state(self):
        """All that they change."""
        return (
            store_of(self.model).tobytes(),
            state_of(self.optimizer, self.model).buffer.tobytes(),
            n_forwards_of(self.model),
            *(x.weight_gradient.tobytes() for x in self.model.layers if hasattr(x, "weight")),
        )


def assert_same(results, others):
    """All of two calls is equal: bits, shapes, classes, and what comes with them."""
    assert results[0] == others[0]
    for array, other in zip(results[1:], others[1:], strict=True):
        assert type(array) is type(other)
        assert (array.shape, array.dtype) == (other.shape, other.dtype)
        assert array.tobytes() == other.tobytes()
        assert array.flags.writeable == other.flags.writeable
        if hasattr(array, "z"):
            assert array.activation == other.activation
            assert array.z.tobytes() == other.z.tobytes()


def batches_of(name, dtype, labels=False):
    """Batches of 5, 1 and 3 rows and a row by itself; its targets as numbers and labels may be."""
    rng = np.random.default_rng(0)
    for shape in ((5, 4), (1, 4), (3, 4), (4,)):
        X = rng.normal(size=shape).astype(dtype)
        y = targets_of(name, rng, 1 if len(shape) == 1 else shape[0], 4, labels)
        y = y[0] if len(shape) == 1 else y
        yield X, y if labels else y.astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("name", "labels"), [(x, False) for x in NAMES] + [(x, True) for x in TAKES_LABELS]
)
def test_each_loss(name, labels, weighted, dtype):
    quick, long = Hand(name, dtype), Hand(name, dtype, is_long=True)
    for k in range(3):
        for X, y in batches_of(name, dtype, labels):
            n = 1 if X.ndim == 1 else len(X)
            weights = np.arange(k, k + n).astype(dtype) + 1 if weighted else None
            assert_same(quick.step(X, y, weights), long.step(X, y, weights))
    assert quick.state() == long.state()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("loss", [fb.CrossEntropy, fb.BinaryCrossEntropy])
def test_label_smoothing(loss, labels, dtype, monkeypatch):
    name = loss.name
    quick, long = (
        Hand(name, dtype, loss=loss(label_smoothing=0.1), is_long=x) for x in (False, True)
    )
    batches = list(batches_of(name, dtype, labels and name in TAKES_LABELS))
    for k, (X, y) in enumerate(batches * 2):
        weights = np.full(1 if X.ndim == 1 else len(X), 0.3, dtype) if k % 2 else None
        assert_same(quick.step(X, y, weights), long.step(X, y, weights))
    assert quick.state() == long.state()
    only_quick_paths(monkeypatch)
    quick.step(*batches[0])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "layers",
    [
        lambda: [fb.Dropout(0.4)],
        lambda: [fb.BatchNorm(), fb.Activation("relu")],
        lambda: [fb.LayerNorm(), fb.Dropout(0.2)],
    ],
)
def test_each_layer_and_optimizer(layers, optimizer):
    quick, long = (
        Hand("cross_entropy", optimizer=optimizer, layers=layers(), is_long=x)
        for x in (False, True)
    )
    for k in range(3):
        for X, y in batches_of("cross_entropy", "float32", labels=True):
            results = quick.step(X, y, training=k != 1)
            assert_same(results, long.step(X, y, training=k != 1))
    assert quick.state() == long.state()


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy", "poisson", "huber"])
def test_the_quick_paths_are_taken(name, monkeypatch):
    hand = Hand(name, optimizer="adam")
    batches = list(batches_of(name, "float32"))
    for X, y in batches:
        hand.step(X, y)
    calls = (
        lambda X: hand.model.input_gradient(X, output=2),
        lambda X: hand.model.jacobian(X),
    )
    for call in calls:
        call(batches[0][0])
    only_quick_paths(monkeypatch)
    for X, y in batches:
        hand.step(X, y)
        for call in calls:
            call(X)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("last", ["softmax", "identity", "sigmoid"])
@pytest.mark.parametrize("layers", [list, lambda: [fb.LayerNorm(), fb.Dropout(0.2)]])
def test_derivatives(layers, last, dtype):
    layers = [fb.Dense(4, 9, "gelu"), *layers(), fb.Dense(9, 4, last)]
    model = fb.Sequential(layers, seed=0, dtype=dtype)
    rng = np.random.default_rng(0)
    for shape in ((5, 4), (1, 4), (40, 4), (7, 4), (4,)):
        X = rng.normal(size=shape).astype(dtype)
        leave_quick_paths(model)
        slopes = [model.input_gradient(X, output=k) for k in range(4)]
        leave_quick_paths(model)
        jacobian = model.jacobian(X)
        for _ in range(2):
            for k in range(4):
                again = model.input_gradient(X, output=k)
                assert (again.shape, again.tobytes()) == (slopes[k].shape, slopes[k].tobytes())
            again = model.jacobian(X)
            assert (again.shape, again.tobytes()) == (jacobian.shape, jacobian.tobytes())


def test_the_only_output_needs_no_number():
    model, X = fb.mlp([4, 8, 1], seed=0), np.ones((2, 4), "f4")
    first = model.input_gradient(X)
    assert (model.input_gradient(X) == first).all()
    other = fb.mlp([4, 8, 2], seed=0)
    for _ in range(2):
        other.jacobian(X)
        with pytest.raises(ValueError, match=r"^output must be"):
            other.input_gradient(X)
        with pytest.raises(ValueError, match=r"^output must be"):
            other.input_gradient(X, output=2)


def test_what_comes_between_is_heard_of(monkeypatch):
    """Frozen layers, settings, other optimizers and training by a trainer."""
    hand, twin = Hand("huber"), Hand("huber", is_long=True)
    X, y = np.ones((2, 4), "f4"), np.zeros((2, 4), "f4")
    other = [fb.Adam(0.1) for _ in range(2)]

    def change(k, one):
        if k == 1:
            one.model.layers[0].trainable = False
        elif k == 2:
            one.optimizer.learning_rate = 0.3
        elif k == 3:
            one.leave()
            other[one.is_long].step(one.model)
        elif k == 4:
            one.model.layers[0].trainable = True
            one.model.set_parameters(np.linspace(-1, 1, one.model.n_parameters))
        elif k == 5:
            one.optimizer.learning_rate = lambda step: 0.1 / (step + 1)

    for k in range(6):
        for one in (hand, twin):
            change(k, one)
        for _ in range(3):
            assert_same(hand.step(X, y), twin.step(X, y))
    assert hand.state() == twin.state()
    y_hat = hand.model.forward(X)
    fb.Trainer(hand.model, "huber").step(X, y)
    with pytest.raises(RuntimeError, match="backward must follow forward"):
        hand.model.backward(y_hat)


def test_gradients_that_were_cut_short_are_those_that_correct():
    hand, twin = Hand("huber"), Hand("huber", is_long=True)
    X, y = np.ones((2, 4), "f4"), np.full((2, 4), 9, "f4")
    for one in (hand, twin):
        for _ in range(3):
            one.leave()
            y_hat = one.model.forward(X)
            one.model.backward(one.loss(y_hat, y)[1])
            fb.clip_gradients(one.model, norm=0.01)
            one.leave()
            one.optimizer.step(one.model)
    assert hand.state() == twin.state()


def test_x_may_be_changed_before_backward():
    hand, twin = Hand("huber"), Hand("huber", is_long=True)
    gradients = []
    for one in (hand, twin):
        for _ in range(2):
            one.leave()
            X = np.ones((1, 4), "f4")
            y_hat = one.model.forward(X)
            X[:] = 7
            one.model.backward(np.ones_like(y_hat))
        gradients.append(one.model.layers[0].weight_gradient.copy())
    assert (gradients[0] == gradients[1]).all()


def test_each_thread_has_a_forward_of_its_own():
    model = fb.mlp([4, 8, 2], seed=0)
    X = np.arange(8, dtype="f4").reshape(2, 4)
    for _ in range(2):
        model.forward(X)
        y_hat = model.forward(X)
        other = threading.Thread(target=lambda: [model.forward(-X) for _ in range(3)])
        other.start()
        other.join()
        d_x = model.backward(np.ones_like(y_hat))
        leave_quick_paths(model)
        y_hat = model.forward(X)
        assert (model.backward(np.ones_like(y_hat)) == d_x).all()


def errors_of(hand, call):
    """The sentence of what a call raises."""
    hand.leave()
    with pytest.raises((ValueError, TypeError, RuntimeError)) as error:
        call(hand)
    return str(error.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.model.forward(np.full((1, 4), np.nan, "f4")),
        lambda x: x.model.forward(np.ones((1, 5), "f4")),
        lambda x: x.model.forward(np.ones((1, 4), "f4"), training=1),
        lambda x: x.model.backward(np.ones((2, 4), "f4")),
        lambda x: x.model.backward(np.full((1, 4), np.inf, "f4")),
        lambda x: x.loss(np.ones((1, 4), "f4"), np.array([1])),
        lambda x: x.loss(x.model.forward(np.ones((1, 4), "f4")), np.array([4])),
        lambda x: x.loss(x.model.forward(np.ones((1, 4), "f4")), np.array([1]), np.zeros(1, "f4")),
        lambda x: x.optimizer.step(fb.mlp([2, 2])),
        lambda x: x.optimizer.step(None),
        lambda x: x.model.jacobian(np.full((1, 4), np.nan, "f4")),
        lambda x: x.model.input_gradient(np.ones((1, 4), "f4"), output=9),
    ],
)
def test_errors_are_those_of_the_long_way(call):
    hand, twin = Hand("cross_entropy"), Hand("cross_entropy", is_long=True)
    X = np.ones((1, 4), "f4")
    for one in (hand, twin):
        for _ in range(2):
            one.step(X, np.array([1]))
            one.model.jacobian(X)
    assert errors_of(hand, call) == errors_of(twin, call)
    assert_same(hand.step(X, np.array([1])), twin.step(X, np.array([1])))


def test_a_step_that_would_overflow_changes_nothing():
    hand, twin = Hand("huber", optimizer="adam"), Hand("huber", optimizer="adam", is_long=True)
    X, y = np.ones((1, 4), "f4"), np.ones((1, 4), "f4")
    for one in (hand, twin):
        for _ in range(2):
            one.step(X, y)
        one.model.layers[1].weight_gradient = np.full((9, 4), 3e38)
    before = hand.state()
    sentences = []
    for one in (hand, twin):
        one.leave()
        with pytest.raises(fb.DivergenceError) as error:
            one.optimizer.step(one.model)
        sentences.append(str(error.value))
    assert sentences[0] == sentences[1]
    assert hand.state() == before == twin.state()


def test_weights_that_are_not_finite_are_refused_by_derivatives():
    model, X = fb.mlp([4, 8, 1], seed=0), np.ones((1, 4), "f4")
    for _ in range(2):
        model.jacobian(X)
        model.input_gradient(X)
    model.layers[0].weight[0, 0] = np.nan
    for call in (model.jacobian, model.input_gradient):
        with pytest.raises(ValueError, match="finite weights"):
            call(X)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_losses_that_were_called_are_values_still(copied):
    loss, y = fb.Huber(delta=2.0), np.ones((1, 4), "f4")
    for _ in range(2):
        loss(y, 3 * y)
    twin = copied(loss)
    twin = pickle.loads(twin) if isinstance(twin, bytes) else twin
    assert twin == loss == fb.Huber(delta=2.0)
    assert hash(twin) == hash(loss)
    assert twin(y, 3 * y)[0] == loss(y, 3 * y)[0]
    assert repr(loss) == "Huber(delta=2.0)"


def test_one_loss_serves_outputs_and_dtypes_of_many_kinds(monkeypatch):
    loss = fb.HalfSquaredError()
    kinds = [(n, dtype) for n in (1, 2) for dtype in DTYPES]
    costs = [loss(np.ones((3, n), dtype), np.zeros((3, n), dtype))[0] for n, dtype in kinds]
    assert costs == [0.5, 0.5, 1.0, 1.0]
    only_quick_paths(monkeypatch)
    costs = [loss(np.ones((3, n), dtype), np.zeros((3, n), dtype))[0] for n, dtype in kinds]
    assert costs == [0.5, 0.5, 1.0, 1.0]
    with pytest.raises(LongWayError):
        loss(np.ones((3, 3)), np.zeros((3, 3)))
