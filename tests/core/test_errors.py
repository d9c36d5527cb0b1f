"""Bad input gets one clear sentence, and never changes the model."""

import re
import threading

import numpy as np
import pytest
from privates import NAMES_ELSEWHERE

import fastbackprop as fb

GOOD_X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
GOOD_Y = np.array([0, 1, 1, 0])
RAGGED = [[1.0, 2.0, 3.0], [1.0, 2.0]]


def with_number(number, row=2, column=1, dtype=np.float64):
    X = GOOD_X.astype(dtype)
    X[row, column] = number
    return X


class Bench:
    """A model that has been trained a little, its trainer, and all its bytes."""

    def __init__(self, output="softmax", loss="cross_entropy", n_out=2, dtype="float32"):
        self.model = fb.mlp(
            [3, 4, n_out], activation="tanh", output_activation=output, seed=0, dtype=dtype
        )
        self.trainer = fb.Trainer(self.model, loss, fb.SGD(0.1, momentum=0.9), seed=0)

    def bytes(self):
        return b"".join(
            layer.weight.tobytes() + layer.bias.tobytes() for layer in self.model.layers
        )


def check_sentence(message):
    """One sentence or two that say what was got."""
    assert re.search(r"\bgot\b", message), message
    assert re.search(r"[^.]\.$|\?$", message), message
    assert len(re.findall(r"[.?](?=\s|$)", message)) <= 2, message


def check_refused(error, words, call, *arguments):
    with pytest.raises(error, match=re.escape(words)) as caught:
        call(*arguments)
    assert type(caught.value) is error
    check_sentence(str(caught.value))


ENTRIES = {
    "predict": lambda b, X: b.model.predict(X),
    "forward": lambda b, X: b.model.forward(X),
    "fit": lambda b, X: b.trainer.fit(X, GOOD_Y),
    "step": lambda b, X: b.trainer.step(X, GOOD_Y),
    "evaluate": lambda b, X: b.trainer.evaluate(X, GOOD_Y),
    "validation": lambda b, X: b.trainer.fit(GOOD_X, GOOD_Y, validation_data=(X, GOOD_Y)),
}
BAD_X = {
    "columns": (np.ones((4, 5)), ValueError, "X must have 3 columns (the model's n_in), got 5."),
    "3-D": (np.ones((4, 3, 1)), ValueError, "X must have shape (n, 3)"),
    "scalar": (1.0, ValueError, "X must have shape (n, 3)"),
    "object": (
        np.array([[None, 1, 2]] * 4),
        TypeError,
        "X must be an array of real numbers, got dtype object.",
    ),
    "complex": (
        GOOD_X.astype("c16"),
        TypeError,
        "X must be an array of real numbers, got dtype complex128.",
    ),
    "text": (
        [["a", "b", "c"]] * 4,
        TypeError,
        "X must be an array of real numbers, got dtype <U1.",
    ),
    "None": (None, TypeError, "X must be an array of real numbers, got dtype object."),
    "ragged": (RAGGED, ValueError, "X must be an array with rows"),
    "NaN": (with_number(np.nan), ValueError, "X must be finite, got nan at row 2, column 1."),
    "inf": (
        with_number(-np.inf, 3, 0),
        ValueError,
        "X must be finite, got -inf at row 3, column 0.",
    ),
    "NaN float32": (
        with_number(np.nan, dtype="f4"),
        ValueError,
        "X must be finite, got nan at row 2, column 1.",
    ),
    "too large": (
        with_number(1e39),
        ValueError,
        "X must fit float32, got 1e+39 at row 2, column 1",
    ),
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("case", BAD_X)
def test_bad_inputs_are_refused_everywhere(case, entry):
    bench = Bench()
    before = bench.bytes()
    X, error, words = BAD_X[case]
    check_refused(error, words, ENTRIES[entry], bench, X)
    assert bench.bytes() == before


def test_float64_model_takes_what_is_too_large_for_float32():
    assert np.isfinite(Bench(dtype="float64").model.predict(with_number(1e39))).all()


@pytest.mark.parametrize("entry", ["forward", "fit", "step", "evaluate", "validation"])
def test_no_rows_are_refused_where_something_is_learned(entry):
    bench = Bench()
    before = bench.bytes()
    check_refused(
        ValueError, "X must have at least one row, got 0.", ENTRIES[entry], bench, np.ones((0, 3))
    )
    assert bench.bytes() == before


BAD_Y = {
    "length": (
        "cross_entropy",
        GOOD_Y[:3],
        ValueError,
        "X and y must have the same number of rows, got 4 and 3.",
    ),
    "label large": (
        "cross_entropy",
        [0, 1, 2, 0],
        ValueError,
        "from 0 to 1 (n_out - 1), got 2 at index 2.",
    ),
    "label negative": (
        "cross_entropy",
        [0, -1, 1, 0],
        ValueError,
        "from 0 to 1 (n_out - 1), got -1 at index 1.",
    ),
    "label 0.5": (
        "cross_entropy",
        [0, 1, 0.5, 0],
        ValueError,
        "y must hold integer labels, got 0.5 at index 2.",
    ),
    "label NaN": (
        "cross_entropy",
        [0, 1, np.nan, 0],
        ValueError,
        "y must hold integer labels, got nan at index 2.",
    ),
    "label ragged": (
        "cross_entropy",
        [[0], [0, 1], [1], [1]],
        ValueError,
        "y must be an array with rows",
    ),
    "one-hot columns": (
        "cross_entropy",
        np.eye(4)[:, :3],
        ValueError,
        "y must have 2 columns (the model's n_out)",
    ),
    "not one-hot": (
        "cross_entropy",
        np.ones((4, 2)),
        ValueError,
        "one-hot or sum to 1, got [1. 1.] at row 0.",
    ),
    "one-hot NaN": (
        "cross_entropy",
        np.full((4, 2), np.nan),
        ValueError,
        "y must be finite, got nan at row 0",
    ),
    "bce range": (
        "binary_cross_entropy",
        np.eye(4)[:, :2] * 2,
        ValueError,
        "from 0 to 1, got 2.0 at row 0, column 0.",
    ),
    "bce labels": (
        "binary_cross_entropy",
        GOOD_Y,
        ValueError,
        "got (4,); integer labels (n,) go with loss",
    ),
    "mse columns": (
        "half_squared_error",
        np.ones((4, 3)),
        ValueError,
        "y must have 2 columns (the model's n_out), got",
    ),
    "mse labels": (
        "mean_squared_error",
        GOOD_Y,
        ValueError,
        "got (4,); integer labels (n,) go with loss",
    ),
    "mse inf": (
        "half_squared_error",
        [[0, np.inf]] * 4,
        ValueError,
        "y must be finite, got inf at row 0, column 1.",
    ),
    "mse large": (
        "half_squared_error",
        [[0, 1e39]] * 4,
        ValueError,
        "y must fit float32, got 1e+39 at row 0",
    ),
    "mse complex": (
        "half_squared_error",
        [[0, 1j]] * 4,
        TypeError,
        "y must be an array of real numbers",
    ),
    "mse ragged": (
        "mean_squared_error",
        [[0, 1], [1]] * 2,
        ValueError,
        "y must be an array with rows",
    ),
}
FITTING = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}


@pytest.mark.parametrize("entry", ["fit", "step", "evaluate"])
@pytest.mark.parametrize("case", BAD_Y)
def test_bad_targets_are_refused_everywhere(case, entry):
    loss, y, error, words = BAD_Y[case]
    bench = Bench(FITTING.get(loss, "identity"), loss)
    before = bench.bytes()
    check_refused(error, words, getattr(bench.trainer, entry), GOOD_X, y)
    assert bench.bytes() == before


@pytest.mark.parametrize(
    "case", ["label large", "label 0.5", "label ragged", "mse columns", "mse ragged", "length"]
)
def test_a_loss_called_by_hand_refuses_the_same(case):
    loss, y, error, words = BAD_Y[case]
    by_hand = {"cross_entropy": fb.CrossEntropy, "half_squared_error": fb.HalfSquaredError}
    call = by_hand.get(loss, fb.MeanSquaredError)()
    check_refused(error, words.replace("X and", "y_hat and"), call, np.full((4, 2), 0.5), y)


def test_check_finite_off_lets_nan_through_to_the_result():
    bench = Bench()
    y_hat = bench.model.predict(with_number(np.nan), check_finite=False)
    assert np.isnan(y_hat[2]).all()
    assert np.isfinite(y_hat[[0, 1, 3]]).all()
    assert np.isnan(bench.model.forward(with_number(np.nan), check_finite=False)[2]).all()
    before = bench.bytes()
    with pytest.raises(fb.DivergenceError, match="loss stopped being finite"):
        bench.trainer.fit(with_number(np.nan), GOOD_Y, check_finite=False)
    assert bench.bytes() == before


POSITIVE_INTEGERS = [
    (0, ValueError),
    (-1, ValueError),
    (3.0, TypeError),
    (True, TypeError),
    ("3", TypeError),
]
POSITIVE_INTEGERS += [(None, TypeError), (np.nan, TypeError), (np.inf, TypeError), ([3], TypeError)]


@pytest.mark.parametrize(("value", "error"), POSITIVE_INTEGERS)
def test_widths_epochs_and_batch_size_must_be_positive_integers(value, error):
    bench = Bench()
    before = bench.bytes()
    what = "must be an integer of at least 1, got " + repr(value) + "."
    check_refused(error, "n_in " + what, fb.Dense, value, 3)
    check_refused(error, "n_out " + what, fb.Dense, 3, value)
    check_refused(error, what, fb.mlp, [3, value, 1])
    check_refused(error, "epochs " + what, lambda: bench.trainer.fit(GOOD_X, GOOD_Y, epochs=value))
    check_refused(
        error,
        "batch_size " + what,
        lambda: fb.Trainer(bench.model, "cross_entropy", batch_size=value),
    )
    assert bench.bytes() == before


@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (-0.1, ValueError), (np.nan, ValueError), (np.inf, ValueError),
     (True, TypeError), ("0.1", TypeError), (None, TypeError), (1j, TypeError)],
)  # fmt: skip
def test_learning_rate_must_be_a_positive_number(value, error):
    words = f"learning_rate must be a finite number above 0, got {value!r}."
    check_refused(error, words, fb.SGD, value)
    sgd = fb.SGD(0.25)
    check_refused(error, words, setattr, sgd, "learning_rate", value)
    assert sgd.learning_rate == 0.25


OTHER_ARGUMENTS = {
    "momentum": (lambda: fb.SGD(momentum=1.0), ValueError, "momentum must be a finite number of "
        "at least 0 and below"),
    "nesterov": (lambda: fb.SGD(nesterov=True), ValueError, "momentum must be above 0 for "
        "nesterov=True, got 0."),
    "decay": (lambda: fb.SGD(weight_decay=-1), ValueError, "weight_decay must be a finite number "
        "of at least 0, got"),
    "seed": (lambda: fb.mlp([1, 1], seed=-1), ValueError, "seed must be an integer of at least 0, "
        "got -1."),
    "seed 1.5": (lambda: fb.mlp([1, 1], seed=1.5), TypeError, "seed must be an integer of at "
        "least 0, got 1.5."),
    "bias": (lambda: fb.Dense(1, 1, bias=1), TypeError, "bias must be True or False, got 1."),
    "slope": (lambda: fb.LeakyReLU(-1), ValueError, "slope must be a finite number of at least 0, "
        "got -1."),
    "low": (lambda: fb.Uniform(1, -1), ValueError, "low must be below high (-1), got 1."),
    "mlp text": (lambda: fb.mlp("34"), TypeError, "widths must be a sequence of at least 2 "
        "integers, got '34'."),
    "mlp short": (lambda: fb.mlp([3]), ValueError, "widths must be a sequence of at least 2 "
        "integers, got [3]."),
    "activation": (lambda: fb.Dense(1, 1, "rellu"), ValueError, "got 'rellu'. Did you mean "
        "'relu'?"),
    "no activation": (lambda: fb.Dense(1, 1, None), TypeError, "'identity', 'relu', 'leaky_relu', "
        "'sigmoid', 'tanh'"),
    "weight_init": (lambda: fb.Dense(1, 1, weight_init="he-normal"), ValueError, "Did you mean "
        "'he_normal'?"),
    "bias_init": (lambda: fb.Dense(1, 1, bias_init="zero"), ValueError, "bias_init must be one of "
        "'auto', 'he_normal'"),
    "init shape": (lambda: fb.Dense(2, 1, weight_init=np.ones((3, 1))), ValueError, "must have "
        "shape (2, 1), got (3,"),
    "init NaN": (lambda: fb.Dense(1, 1, bias_init=[np.nan]), ValueError, "bias_init must be "
        "finite, got nan at index"),
    "init ragged": (lambda: fb.Dense(2, 2, weight_init=RAGGED), ValueError, "weight_init must be "
        "an array with rows"),
    "dtype": (lambda: fb.mlp([1, 1], dtype="flaot64"), ValueError, "one of 'float32', 'float64', "
        "got 'flaot64'."),
    "dtype near": (lambda: fb.mlp([1, 1], dtype="flaot64"), ValueError, "Did you mean 'float64'?"),
    "float16": (lambda: fb.mlp([1, 1], dtype=np.float16), ValueError, "'float32', 'float64', got "
        "'float16'."),
    "loss": (lambda: fb.Trainer(fb.mlp([1, 1]), "crossentropy"), ValueError, "Did you mean "
        "'cross_entropy'?"),
    "losses": (lambda: fb.Trainer(fb.mlp([1, 1]), 3), TypeError, "'half_squared_error', "
        "'mean_squared_error', 'mean"),
    "optimizer": (lambda: fb.Trainer(fb.mlp([1, 1]), "mean_squared_error", "sdg"), ValueError,
        "Did you mean 'sgd'?"),
    "model": (lambda: fb.Trainer("model", "cross_entropy"), TypeError, "model must be a "
        "Sequential, got str."),
    "no layers": (lambda: fb.Sequential([]), ValueError, "layers must have at least one Dense, "
        "got none."),
    "not a layer": (lambda: fb.Sequential([3]), TypeError,
        "layers[0] must be a Dense or another layer, got 3."),
    "not a list": (lambda: fb.Sequential(3), TypeError, "layers must be a sequence of layers, got "
        "3."),
    "widths": (
        lambda: fb.Sequential([fb.Dense(2, 3), fb.Dense(4, 1)]),
        ValueError, "layers[1] must have n_in 3, the n_out of layers[0] Dense(2, 3), got Dense(4, "
            "1).",
    ),
    "softmax first": (
        lambda: fb.Sequential([fb.Dense(2, 3, "softmax"), fb.Dense(3, 1)]),
        ValueError, "Only the last layer may have activation 'softmax', got layers[0] Dense(2, 3, "
            "activation='softm",
    ),
    "reused": (
        lambda: fb.Sequential(fb.mlp([2, 2]).layers),
        ValueError, "layers[0] must be a new layer, got Dense(2, 2), which is part of a model "
            "already.",
    ),
    "twice": (lambda: fb.Sequential([fb.Dense(2, 2)] * 2), ValueError, "must be a layer of its "
        "own, got Dense(2, 2)"),
    "alone": (lambda: fb.Dense(2, 2).weight, RuntimeError, "must be part of a Sequential to have "
        "weights"),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHER_ARGUMENTS)
def test_a_bad_argument_is_named_with_what_it_must_be(case):
    call, error, words = OTHER_ARGUMENTS[case]
    check_refused(error, words, call)


def complaint(call, name):
    """What a call says of a name; nothing where it takes it ("mae" is a metric)."""
    try:
        call(name)
    except ValueError as error:
        return str(error)
    return ""


def test_names_of_other_libraries_are_understood():
    assert NAMES_ELSEWHERE["bce"] == "binary_cross_entropy"  # by its letters near to "huber"
    assert NAMES_ELSEWHERE["swish"] == "silu"  # not "mish"
    trainer = fb.Trainer(fb.mlp([3, 1], output_activation="sigmoid"), "binary_cross_entropy")
    calls = [
        lambda name: fb.Trainer(fb.mlp([1, 1]), name),
        lambda name: fb.mlp([1, 1, 1], activation=name),
        lambda name: fb.Dense(1, 1, weight_init=name),
        lambda name: trainer.evaluate(GOOD_X, GOOD_Y, metrics=[name]),
        lambda name: trainer.fit(GOOD_X, GOOD_Y, callbacks=[fb.EarlyStopping(name)]),
    ]
    for name, meant in NAMES_ELSEWHERE.items():
        messages = [complaint(call, name) for call in calls]
        assert any(text.endswith(f"Did you mean {meant!r}?") for text in messages), name


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("val_loss", "validation_loss"),
        ("val_acc", "validation_accuracy"),
        ("validation_los", "validation_loss"),
        ("Train_Loss", "loss"),
    ],
)
def test_figures_of_the_history_are_understood_as_keras_calls_them(name, meant):
    model = fb.mlp([3, 1], output_activation="sigmoid")
    rate = fb.schedules.ReduceOnPlateau(0.1, monitor=name, mode="min")
    fits = [
        lambda: fb.Trainer(model, "binary_cross_entropy", fb.SGD(rate)).fit(GOOD_X, GOOD_Y),
        lambda: fb.Trainer(model, "binary_cross_entropy").fit(
            GOOD_X, GOOD_Y, callbacks=[fb.EarlyStopping(name, mode="min")]
        ),
    ]
    for fit in fits:
        check_refused(ValueError, f"got {name!r}. Did you mean {meant!r}?", fit)


@pytest.mark.parametrize(
    "call",
    [
        lambda: fb.SGD(fb.Cosine),
        lambda: fb.SGD(0.1, momentum=fb.Cosine),
        lambda: fb.mlp([1, 1, 1], dropout=fb.Cosine),
        lambda: fb.Warmup(fb.Cosine, 3),
    ],
)
def test_a_class_in_place_of_a_schedule_is_called_one(call):
    check_refused(TypeError, "fastbackprop.Cosine'>. Did you mean Cosine(...)?", call)


@pytest.mark.parametrize("y", [["a", "b"], np.array(["a", "b"], object)])
def test_labels_behind_a_loss_of_numbers_are_advised_of_losses_of_classes(y):
    trainer = fb.Trainer(fb.mlp([1, 1]), "half_squared_error")
    for call in (trainer.fit, trainer.step, trainer.evaluate):
        words = "; labels of classes go with a loss of classes, such as 'cross_entropy'."
        check_refused(TypeError, words, lambda call=call: call([[1.0], [2.0]], y))


UNFIT = [
    (
        "cross_entropy",
        "identity",
        2,
        "got 'identity'; make it 'softmax', or take loss 'half_squared_error' or",
    ),
    (
        "cross_entropy",
        "sigmoid",
        2,
        "got 'sigmoid'; make it 'softmax', or take loss 'binary_cross_entropy',",
    ),
    (
        "binary_cross_entropy",
        "softmax",
        2,
        "got 'softmax'; make it 'sigmoid', or take loss 'cross_entropy',",
    ),
    ("cross_entropy", "softmax", 1, "at least 2 outputs, got 1; for two classes in one output use"),
]


@pytest.mark.parametrize(("loss", "activation", "n_out", "words"), UNFIT)
def test_a_loss_that_does_not_fit_the_last_layer_is_told_what_would(loss, activation, n_out, words):
    model = fb.mlp([3, n_out], output_activation=activation)
    check_refused(ValueError, words, fb.Trainer, model, loss)
    if activation != "identity":
        by_hand = fb.CrossEntropy() if loss == "cross_entropy" else fb.BinaryCrossEntropy()
        check_refused(ValueError, words, by_hand, model.forward(GOOD_X), np.zeros((4, n_out)))


READ_ONLY = np.zeros((4, 2), np.float32)
READ_ONLY.flags.writeable = False
BAD_OUT = {
    "list": ([[0.0] * 2] * 4, TypeError, "out must be a numpy array, got list."),
    "shape": (
        np.zeros((4, 3), "f4"),
        ValueError,
        "array of shape (4, 2), got float32 of shape (4, 3).",
    ),
    "dtype": (
        np.zeros((4, 2)),
        ValueError,
        "C-contiguous float32 array of shape (4, 2), got float64",
    ),
    "order": (np.zeros((4, 2), "f4", "F"), ValueError, "of shape (4, 2), not C-contiguous."),
    "read-only": (READ_ONLY, ValueError, "of shape (4, 2), read-only."),
    "alignment": (
        np.zeros(33, "u1")[1:].view("f4").reshape(4, 2),
        ValueError,
        "of shape (4, 2), not aligned.",
    ),
    "byte order": (np.zeros((4, 2), ">f4"), ValueError, "got >f4 of shape (4, 2)."),
}


@pytest.mark.parametrize("case", BAD_OUT)
def test_an_out_that_cannot_take_the_result_is_refused(case):
    out, error, words = BAD_OUT[case]
    check_refused(error, words, lambda: Bench().model.predict(GOOD_X, out=out))
    assert not np.any(out)


BAD_WEIGHTS = {
    "columns": (
        "weight",
        np.ones((3, 5)),
        ValueError,
        "weight must have 4 columns (the layer's n_out), got 5.",
    ),
    "rows": ("weight", np.ones((2, 4)), ValueError, "weight must have shape (3, 4), got (2, 4)."),
    "scalar": ("weight", 1.0, ValueError, "weight must have shape"),
    "bias": ("bias", np.ones(3), ValueError, "bias must have shape (4,), got (3,)."),
    "NaN": (
        "weight",
        np.full((3, 4), np.nan),
        ValueError,
        "weight must be finite, got nan at row 0, column 0.",
    ),
    "inf": ("bias", [0, 0, 0, np.inf], ValueError, "bias must be finite, got inf at index 3."),
    "large": ("bias", [1e39, 0, 0, 0], ValueError, "bias must fit float32, got 1e+39 at index 0"),
    "text": (
        "weight",
        [["a"] * 4] * 3,
        TypeError,
        "weight must be an array of real numbers, got dtype <U1.",
    ),
    "gradient": (
        "weight_gradient",
        np.ones((4, 3)),
        ValueError,
        "weight_gradient must have 4 columns",
    ),
    "bias gradient": (
        "bias_gradient",
        3,
        ValueError,
        "bias_gradient must have shape (4,), got ().",
    ),
}


@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_a_wrong_assignment_is_refused_and_changes_nothing(case):
    name, value, error, words = BAD_WEIGHTS[case]
    bench = Bench()
    before = bench.bytes()
    check_refused(error, words, setattr, bench.model.layers[0], name, value)
    assert bench.bytes() == before


def test_a_bias_that_is_not_there_cannot_be_assigned():
    layer = fb.mlp([2, 2], bias=False).layers[0]
    check_refused(ValueError, "bias=False", setattr, layer, "bias", [0, 0])
    assert layer.bias is None


@pytest.mark.parametrize(
    "init", [np.full((1, 1), 1e39), fb.Constant(1e39), 1e39], ids=["array", "object", "number"]
)
def test_initial_weights_too_large_for_float32_are_refused(init):
    check_refused(
        ValueError,
        "must fit float32, got 1e+39",
        lambda: fb.Sequential([fb.Dense(1, 1, weight_init=init)]),
    )


def test_a_forward_inside_of_backwards_argument_is_noticed():
    model = fb.mlp([3, 4, 2], seed=0)

    class Disturbing:
        def __array__(self, dtype=None, copy=None):
            model.forward(np.ones((1, 3)))
            return np.ones((500, 2), "f4")

    model.forward(np.ones((500, 3)))
    with pytest.raises(
        ValueError,
        match=r"^d_y_hat must have shape \(1, 2\), as forward returned, got \(500, 2\).$",
    ):
        model.backward(Disturbing())
    assert not model.layers[0].weight_gradient.any()


def test_a_batch_size_beyond_every_number_of_rows_is_one_batch():
    models = [fb.mlp([3, 4, 2], seed=0) for _ in range(2)]
    for model, size in zip(models, [7, 2**70], strict=True):
        fb.Trainer(model, "half_squared_error", batch_size=size, seed=0).fit(
            np.ones((7, 3)), np.ones((7, 2))
        )
    assert np.array_equal(models[0].layers[0].weight, models[1].layers[0].weight)


def test_the_four_words_out_of_order_are_refused():
    bench = Bench()
    before = bench.bytes()
    d = np.ones((4, 2), np.float32)
    check_refused(RuntimeError, "backward must follow forward", bench.model.backward, d)
    check_refused(
        RuntimeError, "optimizer.step must follow model.backward", fb.SGD().step, bench.model
    )
    bench.model.forward(GOOD_X)
    check_refused(ValueError, "d_y_hat must have shape (4, 2)", bench.model.backward, d[:3])
    check_refused(
        ValueError, "d_y_hat must be finite, got nan at row 0", bench.model.backward, d * np.nan
    )
    check_refused(
        ValueError,
        "d_y_hat must be an array with rows",
        bench.model.backward,
        [[1, 2], [1], [2], [3]],
    )
    check_refused(
        RuntimeError, "optimizer.step must follow model.backward", fb.SGD().step, bench.model
    )
    assert bench.bytes() == before
    bench.trainer.step(GOOD_X, GOOD_Y)  # overwrites what forward had kept
    check_refused(RuntimeError, "backward must follow forward", bench.model.backward, d)


FIT_ARGUMENTS = {
    "shuffle": (1, TypeError, "shuffle must be True or False, got 1."),
    "progress_bar": ("yes", TypeError, "progress_bar must be True or False, got 'yes'."),
    "validation_data": (
        GOOD_X,
        TypeError,
        "validation_data must be a tuple (X, y) or (X, y, weights), got ndarray.",
    ),
    "on_epoch_end": (3, TypeError, "got 3"),
}


@pytest.mark.parametrize("name", FIT_ARGUMENTS)
def test_a_bad_argument_of_fit_changes_neither_model_nor_history(name):
    bench = Bench()
    value, error, words = FIT_ARGUMENTS[name]
    history = bench.trainer.fit(GOOD_X, GOOD_Y)
    before = bench.bytes()
    check_refused(error, words, lambda: bench.trainer.fit(GOOD_X, GOOD_Y, **{name: value}))
    assert bench.bytes() == before
    assert bench.trainer.history is history
    assert len(history) == 1


@pytest.mark.parametrize("second", ["fit", "step"])
def test_a_second_training_at_the_same_time_is_refused_and_the_first_goes_on(second):
    # The first fit waits in on_epoch_end: it is under way, whatever the kernels do just then.
    bench, twin = Bench(), Bench()
    inside, go_on, errors = threading.Event(), threading.Event(), []

    def wait(history):
        inside.set()
        go_on.wait(10)

    def first():
        try:
            bench.trainer.fit(GOOD_X, GOOD_Y, epochs=2, on_epoch_end=wait)
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(10)
    try:
        # Reading is always allowed.
        assert bench.model.predict(GOOD_X).shape == bench.model.forward(GOOD_X).shape == (4, 2)
        assert bench.model.jacobian(GOOD_X).shape == (4, 2, bench.model.n_in)
        check_refused(
            RuntimeError, "one thread at a time, got a second one", ENTRIES[second], bench, GOOD_X
        )
    finally:
        go_on.set()
        thread.join()
    twin.trainer.fit(GOOD_X, GOOD_Y, epochs=2)
    assert not errors
    assert bench.bytes() == twin.bytes()
    assert len(bench.trainer.history) == 2  # of the first, not of the refused one
