"""Labels of many classes cost what their outputs cost, never a table of classes by classes."""

import tracemalloc
import warnings

import numpy as np
import pytest
from privates import through_softmax

import fastbackprop as fb

MANY = 20_000
OUTPUTS = MANY * 4  # bytes of one row of outputs; a table of classes by classes has 1.6e9


def peak_of(call):
    """The most memory that a call holds beyond what was there, in bytes."""
    tracemalloc.start()
    try:
        result = call()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def model():
    return fb.mlp([2, MANY], output_activation="softmax", seed=0)


def test_the_loss_by_hand_takes_labels_as_they_are(model):
    y_hat = model.forward([[1.0, 2.0]])
    peak, (cost, d_y_hat) = peak_of(lambda: fb.CrossEntropy()(y_hat, [7]))
    assert peak < 20 * OUTPUTS
    one_hot = np.zeros((1, MANY))
    one_hot[0, 7] = 1
    with_rows = fb.CrossEntropy()(y_hat, one_hot)
    assert cost == with_rows[0]
    assert np.array_equal(d_y_hat, with_rows[1])
    assert np.array_equal(d_y_hat.z, with_rows[1].z)
    assert np.count_nonzero(d_y_hat) == 1


@pytest.mark.parametrize(
    "use",
    [
        lambda m: str(fb.explain(m, [1, 2], 7, loss="cross_entropy")),
        lambda m: fb.explain(m, [1, 2], 7, loss="cross_entropy").chain(0, 1, 7),
        lambda m: fb.gradient_check(m, [1, 2], 7, loss="cross_entropy", most=1),
        lambda m: fb.diagnose(m, [1, 2], 7, loss="cross_entropy", learning_rate=0.1),
        lambda m: fb.Trainer(m, "cross_entropy", diagnose=True).fit([[1, 2]], [7]),
        lambda m: fb.explain_training(fb.Trainer(m, "cross_entropy"), [[1, 2]], [7], steps=2),
    ],
    ids=["explain", "chain", "gradient_check", "diagnose", "fit", "explain_training"],
)
def test_one_row_of_many_classes_takes_little(use):
    peak, _ = peak_of(lambda: use(fb.mlp([2, MANY], output_activation="softmax", seed=0)))
    assert peak < 60e6


@pytest.mark.parametrize("use", ["diagnose", "explain_training"])
def test_rows_are_chosen_before_labels_become_rows_of_numbers(use):
    n, n_classes = 60_000, 1000
    X, y = np.ones((n, 2), np.float32), np.arange(n) % n_classes
    model = fb.mlp([2, n_classes], output_activation="softmax", seed=0)
    trainer = fb.Trainer(model, "cross_entropy", fb.SGD(1e-3), batch_size=1000, diagnose=True)
    calls = {
        "diagnose": lambda: trainer.fit(X, y),
        "explain_training": lambda: fb.explain_training(trainer, X, y, steps=1),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fb.DiagnosisWarning)  # of X, which is all the same
        peak, _ = peak_of(calls[use])
    assert peak < 0.5 * n * n_classes * 4  # float32's one-hot rows of all samples


@pytest.mark.parametrize("most", [1, 2, 4, 8, 40])
@pytest.mark.parametrize("n_out", [2, 3, 9, 30])
def test_the_strongest_ways_through_softmax_are_those_of_the_whole_table(n_out, most):
    rng = np.random.default_rng(n_out)
    model = fb.mlp([3, 5, n_out], activation="tanh", output_activation="softmax", seed=1)
    y = rng.dirichlet(np.ones(n_out), 1)
    e = fb.explain(model, rng.normal(size=(1, 3)), y, loss="half_squared_error")
    p, d = e.y_hat[0].astype(float), e.d_y_hat[0].astype(float)
    table = d[:, None] * (np.diag(p) - np.outer(p, p))  # [o, m]
    products, units = through_softmax(e, 0, most)
    assert products.shape == (n_out, min(most, n_out))
    for m in range(n_out):
        order = np.argsort(-abs(table[:, m]), kind="stable")[:most]
        assert np.array_equal(products[m], table[order, m])
        assert units[m].tolist() == [[o, m] for o in order.tolist()]
