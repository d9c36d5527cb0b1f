"""Many steps of one sample each in a net of narrow layers: the bits of steps that are called alone.

A call of a single step goes another way (run/single.pxi), whose numbers other tests hold.
"""

from itertools import pairwise, product

import numpy as np
import pytest
from privates import ACTIVATIONS, LOSSES
from reference import DTYPES, VARIANTS, Kernels, Layer
from threads_shared import sha256

on_every_kernel = pytest.mark.parametrize(("variant", "dtype"), list(product(VARIANTS, DTYPES)))
LAST = {
    "half_squared_error": ["identity", "sigmoid", "tanh"],
    "mean_squared_error": ["identity", "relu"],
    "huber": ["identity"],
    "log_cosh": ["identity"],
    "poisson": ["exp"],
    "hinge": ["identity"],
    "binary_cross_entropy": ["sigmoid"],
    "cross_entropy": ["softmax"],
}
HIDDEN = sorted(set(ACTIVATIONS) - {"softmax"})
SGD = 0.0, False, 0.0  # no momentum, no decay


def layers_and_data(rng, loss, last, n, widest):
    widths = [*rng.integers(1, widest + 1, size=rng.integers(2, 6))]
    if loss == "cross_entropy":
        widths[-1] = max(2, widths[-1])
    hidden = [str(x) for x in rng.choice(HIDDEN, size=len(widths) - 2)]
    layers = [
        Layer(rng.normal(size=(a, b)) / a**0.5, rng.normal(size=b) if k % 3 else None, activation)
        for k, ((a, b), activation) in enumerate(
            zip(pairwise(widths), [*hidden, last], strict=True), rng.integers(3)
        )
    ]
    shape = n, widths[-1]
    y = rng.normal(size=shape)
    if loss == "cross_entropy":
        y = rng.integers(0, widths[-1], n)
    elif loss in ("hinge", "binary_cross_entropy", "poisson"):
        y = rng.integers(0, 2, shape).astype(float)
    return layers, rng.normal(size=(n, widths[0])), y


def trained(variant, dtype, layers, loss, rate, data, spans):
    """Digest of the weights and the optimizer's state; cost, what was right, and the end."""
    net = Kernels(variant, dtype, layers)
    fence = net.spoil_scratch(1)
    state, cost, n_right = net.state().buffer, 0.0, 0
    for span in spans:
        outcome, more, right, start, layer = net.train(
            loss, (rate, *SGD), *data, state=state, batch_size=1, span=span
        )
        cost, n_right = cost + more, n_right + right
        if outcome != 0:
            break
    assert np.isnan(fence).all(), "wrote behind the scratch"
    if outcome != 0:  # a fit puts the weights back: what is left of them doesn't matter
        return "", repr(cost), n_right, outcome, start, layer
    return sha256(net.parameters.values, state), repr(cost), n_right, outcome, start, layer


@on_every_kernel
@pytest.mark.parametrize("loss", LAST)
def test_many_steps_in_a_call_have_the_bits_of_a_call_for_each(variant, dtype, loss):
    assert loss in LOSSES
    rng, n_fine = np.random.default_rng(0), 0
    for k in range(24):
        n, last = int(rng.integers(2, 40)), LAST[loss][k % len(LAST[loss])]
        # A vector has 16 numbers, or 8, 4, 2; wider nets go the other way.
        layers, *data = layers_and_data(rng, loss, last, n, (17, 8, 4, 2)[k // 2 % 4])
        one_by_one = [(i, i + 1) for i in range(n)]
        # Now and then a rate at which it diverges: at the same step, in the same layer.
        rate = 1e30 if k % 6 == 5 else 0.003
        alone = trained(variant, dtype, layers, loss, rate, data, one_by_one)
        together = trained(variant, dtype, layers, loss, rate, data, [(0, n)])
        in_three = [(0, 1), (1, n - 1), (n - 1, n)] if n > 3 else one_by_one
        assert together == alone, (k, last)
        digest, _, *rest = trained(variant, dtype, layers, loss, rate, data, in_three)
        assert (digest, *rest) == (alone[0], *alone[2:]), "costs are added up in another order"
        n_fine += together[3] == 0
    assert n_fine >= 12
