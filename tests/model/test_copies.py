"""pickle, copy and deepcopy keep what users add to models and layers, once, and check it."""

import copy
import pickle

import numpy as np
import pytest
from privates import copy_of

import fastbackprop as fb

X = np.linspace(-1, 1, 15).reshape(5, 3)


class Block(fb.Dense):
    """A layer of a user's: other arguments, attributes, a method."""

    def __init__(self, width):
        super().__init__(3, width, "tanh", weight_init=np.full((3, width), 0.25))
        self.note = ["block", width]

    def double(self):
        return 2 * self.n_out


class Slotted(fb.Dense):
    """A layer of a user's with a slot."""

    __slots__ = ("tag",)


class Network(fb.Sequential):
    """A model of a user's, which refers to its own layers and itself."""

    def __init__(self, width):
        self.before = width
        slotted = Slotted(width, 2, "sigmoid")
        slotted.tag = "out"
        super().__init__([Block(width), slotted], seed=1)
        self.head = self.layers[-1]
        self.parts = {"body": [self.layers[0]]}
        self.me = self
        self.layers[0].model = self


COPIES = {
    f"pickle {protocol}": lambda x, protocol=protocol: pickle.loads(pickle.dumps(x, protocol))
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
}
COPIES["deepcopy"] = copy.deepcopy


@pytest.mark.parametrize("how", COPIES)
def test_copies_keep_classes_attributes_and_who_is_who(how):
    model = Network(4)
    model.names = ["a", "b"]
    other = COPIES[how](model)
    assert type(other) is Network
    assert other.predict(X).tobytes() == model.predict(X).tobytes()
    assert (other.before, other.names) == (4, ["a", "b"])
    assert other.names is not model.names
    block, slotted = other.layers
    assert (type(block), type(slotted)) == (Block, Slotted)
    assert (block.note, block.double(), slotted.tag) == (["block", 4], 8, "out")
    assert other.head is slotted
    assert other.parts["body"][0] is block
    assert other.me is other
    assert block.model is other
    # Independent of the original, and as alive.
    block.weight[:] = 0
    assert model.layers[0].weight.all()
    fb.Trainer(other, "half_squared_error").step(X, np.ones((5, 2)))
    again = COPIES[how](other)
    assert again.predict(X).tobytes() == other.predict(X).tobytes()


def test_a_shallow_copy_has_weights_of_its_own_and_shares_the_rest():
    model = Network(4)
    model.names = ["a"]
    other = copy.copy(model)
    assert type(other) is Network
    assert other.names is model.names
    assert other.head is other.layers[-1]
    assert other.head is not model.head
    other.layers[0].weight[:] = 0
    assert model.layers[0].weight.all()


@pytest.mark.parametrize("how", [*COPIES, "copy"])
def test_a_copy_of_a_layer_keeps_its_class_attributes_and_weights(how):
    layers = [Block(4), Slotted(4, 2)]
    layers[1].tag = {"deep": 1}
    call = COPIES.get(how, copy.copy)
    alone = [call(x) for x in layers]  # not part of a model yet
    fb.Sequential(alone, seed=0)
    assert (alone[0].weight == 0.25).all()
    attached = [call(x) for x in alone]
    model = fb.Sequential(attached, seed=9)
    assert [type(x) for x in attached] == [Block, Slotted]
    assert attached[0].note == ["block", 4]
    assert attached[1].tag == {"deep": 1}
    for one, two in zip(alone, attached, strict=True):
        assert one.weight.tobytes() == two.weight.tobytes()
    alone[0].weight[:] = 0
    assert model.layers[0].weight.all()


def test_a_layer_that_refers_to_its_model_is_copied_with_it_or_refused_in_a_sentence():
    model = Network(4)
    assert copy.deepcopy(model).layers[0].model is not model
    with pytest.raises((TypeError, ValueError), match=r"^layers\[0\] must .*copy the model"):
        copy.deepcopy(model.layers[0])


def test_initial_arrays_are_not_kept_beside_the_weights():
    weight = np.ones((1000, 1000))  # 4 MB in float32
    layer = fb.Dense(1000, 1000, weight_init=weight, bias_init=np.ones(1000))
    model = fb.Sequential([layer])
    for thing in (model, layer, copy.deepcopy(model), fb.Trainer(model, "half_squared_error")):
        assert 4.0e6 < len(pickle.dumps(thing)) < 4.1e6
    assert not any(
        isinstance(value, np.ndarray) and value.size > 1000 for value in vars(layer).values()
    )


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_weights_are_copied_as_they_are(number):
    model = fb.mlp([3, 2], seed=0)
    model.layers[0].weight[1, 1] = number
    for how in COPIES.values():
        assert how(model).get_parameters().tobytes() == model.get_parameters().tobytes()


def state_of(model):
    """The state of a model, and of its layers, to damage."""
    state = model.__getstate__()
    return state, [layer.__getstate__() for layer in state["_layers"]]


DAMAGES = {
    "no layers": (
        lambda model, layers: model.pop("_layers"),
        "layers must be a sequence of layers",
    ),
    "layers of another kind": (
        lambda model, layers: model.update(_layers=[1]),
        r"layers\[0\] must be a Dense",
    ),
    "dtype": (lambda model, layers: model.update(_dtype="float16"), "dtype must be one of"),
    "n_in": (
        lambda model, layers: layers[0].update(_n_in=5),
        r"weight_init of a copied layer must",
    ),
    "negative": (lambda model, layers: layers[0].update(_n_in=-1), "n_in must be an integer"),
    "missing": (lambda model, layers: layers[0].pop("_n_out"), "n_out must be an integer"),
    "activation": (lambda model, layers: layers[0].update(_activation="x"), "activation must be"),
    "softmax": (
        lambda model, layers: layers[0].update(_activation="softmax"),
        "Only the last layer may",
    ),
    "no weights": (
        lambda model, layers: layers[0].update(_weight_init=fb.Zeros()),
        r"layers\[0\] of a copied model must have weights",
    ),
    "weights of a kind": (
        lambda model, layers: layers[0].update(_weight_init=np.ones((3, 4), object)),
        "weight_init of a copied layer must",
    ),
    "no bias": (
        lambda model, layers: layers[0].update(_bias_init=None),
        "bias_init of a copied layer must",
    ),
    "bias": (
        lambda model, layers: layers[0].update(_bias_init=np.ones(7, "f4")),
        "bias_init of a copied layer must",
    ),
    "layers that don't fit": (
        lambda model, layers: layers.reverse(),
        r"layers\[1\] must have n_in",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_copies_are_refused_as_damaged_files_are(damage):
    change, words = DAMAGES[damage]
    state, layers = state_of(fb.mlp([3, 4, 2], seed=0))
    change(state, layers)

    def build():
        rebuilt = []
        for layer_state in layers:
            rebuilt.append(fb.Dense.__new__(fb.Dense))
            rebuilt[-1].__setstate__(layer_state)
        if state.get("_layers") and isinstance(state["_layers"][0], fb.Dense):
            state["_layers"] = rebuilt
        fb.Sequential.__new__(fb.Sequential).__setstate__(state)

    with pytest.raises((ValueError, TypeError), match=words):
        build()


def test_a_model_can_be_made_anew_in_place():
    model = fb.mlp([3, 2], seed=0)
    model.note = "kept"
    model.__init__([fb.Dense(3, 1)], seed=0)
    other = copy.deepcopy(model)
    assert (other.n_out, other.note) == (1, "kept")


def test_copies_in_another_dtype_keep_the_weights():
    model = Network(4)
    other = copy_of(model, "float64")
    assert other.dtype == np.float64
    assert other.get_parameters().tolist() == model.get_parameters().tolist()
    assert type(other.layers[0]) is Block
