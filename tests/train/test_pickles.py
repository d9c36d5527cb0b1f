"""pickle, copy and deepcopy of all that isn't a model: what users added is kept, damage refused."""

import copy
import pickle

import numpy as np
import pytest
from loss_cases import NAMES, loss_of
from privates import OPTIMIZERS, optimizer_bytes

import fastbackprop as fb

X = np.linspace(-1, 1, 30).reshape(10, 3)
Y = np.sin(X[:, :2])

VALUES = {
    **{name: lambda name=name: OPTIMIZERS[name]() for name in OPTIMIZERS},
    **{name: lambda name=name: loss_of(name) for name in NAMES},
    "momentum": lambda: fb.SGD(0.1, momentum=0.9, nesterov=True, decay_biases=False),
    "scheduled": lambda: fb.SGD(fb.Warmup(fb.Cosine(0.1), 3), weight_decay=fb.OneCycle(0.1)),
    "settings": lambda: fb.Adam(0.5, beta_1=0.8, epsilon=1e-5, amsgrad=True),
    "quantiles": lambda: fb.Quantile([0.1, 0.9]),
    "smoothed": lambda: fb.CrossEntropy(label_smoothing=0.25),
    "constant": lambda: fb.schedules.Constant(0.5),
    "cosine": lambda: fb.Cosine(0.5, 0.25, n_steps=7),
    "linear": lambda: fb.schedules.Linear(0.5),
    "polynomial": lambda: fb.schedules.Polynomial(0.5, exponent=2),
    "exponential": lambda: fb.schedules.Exponential(0.5, 0.9, 3),
    "steps": lambda: fb.schedules.Steps(0.5, 0.5, 3),
    "inverse": lambda: fb.schedules.InverseScaling(0.5, 0.25),
    "restarts": lambda: fb.schedules.CosineRestarts(0.5, 3, 1),
    "cycle": lambda: fb.OneCycle(0.5, n_steps=9),
    "pieces": lambda: fb.schedules.Piecewise([0.5, fb.Cosine(0.5, n_steps=3)], [4]),
    "plateau": lambda: fb.schedules.ReduceOnPlateau(0.5, patience=3),
    "uniform": lambda: fb.Uniform(-1, 2),
    "constant init": lambda: fb.Constant(3),
    "slope": lambda: fb.LeakyReLU(0.25),
    "alpha": lambda: fb.ELU(0.5),
}
COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
    "pickle 2": lambda x: pickle.loads(pickle.dumps(x, 2)),
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("case", VALUES)
def test_a_copy_is_equal_and_keeps_what_was_added(case, how):
    value = VALUES[case]()
    object.__setattr__(value, "note", ["mine"])
    other = COPIES[how](value)
    assert type(other) is type(value)
    assert repr(other) == repr(value)
    assert other.note == ["mine"]
    assert (other.note is value.note) == (how == "copy")
    if not isinstance(value, fb.SGD | fb.Adam) and case not in OPTIMIZERS:
        assert other == value


class OwnAdam(fb.Adam):
    __slots__ = ("tag",)

    def __init__(self, factor):
        super().__init__(0.1 * factor)
        self.factor = factor
        self.tag = "slot"


class OwnCosine(fb.Cosine):
    def _largest(self):
        return 7.0


class OwnHuber(fb.Huber):
    pass


class OwnTrainer(fb.Trainer):
    __slots__ = ("tag",)

    def __init__(self, model, note):
        super().__init__(model, OwnHuber(0.5), OwnAdam(2), seed=0)
        self.note, self.tag = note, "slot"


@pytest.mark.parametrize("how", COPIES)
def test_subclasses_stay_what_they_are(how):
    optimizer = COPIES[how](OwnAdam(3))
    assert (type(optimizer), optimizer.factor, optimizer.tag) == (OwnAdam, 3, "slot")
    assert optimizer.learning_rate == OwnAdam(3).learning_rate
    assert type(COPIES[how](OwnCosine(0.5))) is OwnCosine
    assert COPIES[how](OwnHuber(0.25)) == OwnHuber(0.25)
    trainer = OwnTrainer(fb.mlp([3, 4, 2], seed=0), ["note"])
    trainer.fit(X, Y, epochs=2)
    other = COPIES[how](trainer)
    assert (type(other), other.note, other.tag) == (OwnTrainer, ["note"], "slot")
    assert (type(other.loss), type(other.optimizer)) == (OwnHuber, OwnAdam)
    assert optimizer_bytes(other) == optimizer_bytes(trainer)
    if how != "copy":  # which shares the model
        assert other.fit(X, Y, epochs=2).loss == trainer.fit(X, Y, epochs=2).loss


def test_a_copied_optimizer_has_settings_of_its_own():
    sgd = fb.SGD(0.1)
    other = copy.copy(sgd)
    other.learning_rate = 0.5
    assert sgd.learning_rate == 0.1


def damaged(thing, **changes):
    """A copy of a thing by a state with these changes; None leaves a part out."""
    state = thing.__getstate__()
    for name, value in changes.items():
        inner = state["_numbers"] if name in state.get("_numbers", {}) else state
        inner = state["_flags"] if name in state.get("_flags", {}) else inner
        if value is None:
            inner.pop(name)
        else:
            inner[name] = value
    other = type(thing).__new__(type(thing))
    other.__setstate__(state)
    return other


def new_trainer():
    return fb.Trainer(fb.mlp([3, 2], seed=0), "huber", "adam", seed=0)


DAMAGES = {
    "rate": (lambda: damaged(fb.SGD(), learning_rate=-1), "^learning_rate must be"),
    "beta": (lambda: damaged(fb.Adam(), beta_1=1.5), "^beta_1 must be"),
    "flag": (lambda: damaged(fb.Adam(), amsgrad="yes"), "^amsgrad must be"),
    "unknown": (lambda: damaged(fb.SGD(), _numbers={"learning_rate": 1, "x": 2}), "argument 'x'"),
    "nesterov": (lambda: damaged(fb.SGD(0.1, momentum=0.5), _flags={"nesterov": 3}), "^nesterov"),
    "delta": (lambda: damaged(fb.Huber(), delta=-1), "^delta must be"),
    "no delta": (lambda: damaged(fb.Huber(), delta=None), "^A copied Huber must have delta"),
    "smoothing": (lambda: damaged(fb.CrossEntropy(), label_smoothing=2), "^label_smoothing must"),
    "initial": (lambda: damaged(fb.Cosine(1.0), initial=float("nan")), "^initial must be"),
    "steps": (lambda: damaged(fb.Cosine(1.0, n_steps=3), n_steps=-3), "^n_steps must be"),
    "slope": (lambda: damaged(fb.LeakyReLU(), alpha=-3), "^slope must be"),
    "name": (lambda: damaged(fb.ELU(), name="nonsense"), "^activation must be one of"),
    "uniform": (lambda: damaged(fb.Uniform(-1, 1), low=5.0), "low"),
    "model": (lambda: damaged(new_trainer(), _model=3), "^model of a copied Trainer must be a Seq"),
    "no loss": (lambda: damaged(new_trainer(), _loss=None), "^loss of a copied Trainer must be a"),
    "wrong loss": (
        lambda: damaged(new_trainer(), _loss=fb.CrossEntropy()),
        "must come behind a last layer",
    ),
    "no state": (lambda: damaged(new_trainer(), arrays=None), "^optimizer state of a copied"),
    "short state": (
        lambda: damaged(new_trainer(), arrays=[np.zeros(3, np.float32)]),
        r"^optimizer state of a copied Trainer must be float32 of shape \(.*, got float32 \(3,\)",
    ),
    "strange state": (
        lambda: damaged(new_trainer(), arrays=["text"]),
        "^optimizer state of a copied Trainer must be float32",
    ),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_damage_is_refused_as_constructors_refuse_it(case):
    make, words = DAMAGES[case]
    with pytest.raises((ValueError, TypeError), match=words):
        make()
