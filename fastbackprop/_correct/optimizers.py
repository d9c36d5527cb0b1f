"""All optimizers by name; the formulas stand in _kernels/correct/."""

from fastbackprop._core.validation import check_choice
from fastbackprop._correct.adaptive import Adagrad, Adam, AdamW, NAdam, RMSprop
from fastbackprop._correct.optimizer import Optimizer
from fastbackprop._correct.sgd import SGD
from fastbackprop._correct.signs import Lion, Rprop

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Lion",
    "NAdam",
    "RMSprop",
    "Rprop",
    "as_optimizer",
]

# By name; tests and documentation read it, too. Which planes each keeps: planes_of in the kernels.
OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "nadam": NAdam,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "lion": Lion,
    "rprop": Rprop,
}


def as_optimizer(optimizer: object) -> Optimizer:
    """Return the optimizer for an object or a name."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    return OPTIMIZERS[check_choice("optimizer", optimizer, OPTIMIZERS)]()  # type: ignore[call-arg]
