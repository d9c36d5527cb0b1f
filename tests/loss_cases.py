"""What tests of all losses try: each with a last layer that it can come behind, and targets."""

import numpy as np
from privates import LOSSES, activations, loss_table

TABLE = loss_table.TABLE
# Those whose activation is there.
NAMES = tuple(name for name in TABLE if TABLE[name].activation in (None, *activations.ACTIVATIONS))
TAKES_LABELS = ("cross_entropy", "focal_cross_entropy")


def last_activation(name):
    """An activation that the loss can come behind."""
    return TABLE[name].activation or "identity"


def loss_of(name):
    """The loss with its usual parameters."""
    return LOSSES[name]()


def n_targets(name, n_out):
    """How many targets belong to so many outputs."""
    return n_out // 2 if name == "gaussian_nll" else n_out


def targets_of(name, rng, n, n_out, labels=False):
    """Targets that the loss takes; with ``labels`` integers where it takes both."""
    if name in TAKES_LABELS:
        return rng.integers(0, n_out, n) if labels else rng.dirichlet(np.ones(n_out), n)
    if name == "binary_cross_entropy":
        return rng.uniform(size=(n, n_out))
    if name == "hinge":
        return rng.integers(0, 2, (n, n_out)).astype(float)
    if name == "poisson":
        return rng.poisson(2, (n, n_out)).astype(float)
    return rng.normal(size=(n, n_targets(name, n_out)))


def outputs_of(name, rng, n, n_out):
    """Outputs as the last activation gives them, none of them at a kink."""
    if TABLE[name].activation == "softmax":
        return rng.dirichlet(np.ones(n_out), n)
    return rng.uniform(0.05, 0.95, (n, n_out))
