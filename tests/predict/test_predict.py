"""predict: any array-like, any layout, any number of rows and threads; always the same bits."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastbackprop as fb

N_IN, N_OUT = 19, 5  # no whole number of vectors


@pytest.fixture(params=["float32", "float64"])
def model(request):
    return fb.mlp(
        [N_IN, 33, N_OUT],
        activation="tanh",
        output_activation="softmax",
        seed=0,
        dtype=request.param,
    )


def clean(model, n=23):
    # Small integers over 4: exact in every dtype below, float16 too.
    return (np.random.default_rng(0).integers(-20, 20, (n, N_IN)) / 4).astype(model.dtype)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 64, 65, 1000])
def test_each_row_is_predicted_as_if_it_were_alone(model, n):
    X = clean(model, n)
    y_hat = model.predict(X)
    assert y_hat.shape == (n, N_OUT)
    assert y_hat.dtype == model.dtype
    assert y_hat.flags.c_contiguous
    for i in range(0, n, max(1, n // 9)):
        assert model.predict(X[i : i + 1])[0].tobytes() == y_hat[i].tobytes()
        one = model.predict(X[i])
        assert one.shape == (N_OUT,)
        assert one.tobytes() == y_hat[i].tobytes()


def test_predictions_agree_with_numpy(model):
    X = clean(model).astype(np.float64)
    one, two = model.layers
    z = np.tanh(X @ one.weight + one.bias) @ two.weight + two.bias
    expected = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        model.predict(X), expected, rtol=1e-4 if model.dtype == np.float32 else 1e-12
    )


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def strided(X):
    wide = np.full((2 * len(X), 3 * N_IN), np.nan, X.dtype)
    wide[::2, ::3] = X
    return wide[::2, ::3]


def backwards(X):
    return X[::-1, ::-1].copy()[::-1, ::-1]


def not_aligned(X):
    raw = np.empty(X.nbytes + 1, np.uint8)
    view = raw[1:].view(X.dtype).reshape(X.shape)
    view[...] = X
    assert not view.flags.aligned
    return view


LAYOUTS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": strided,
    "negative strides": backwards,
    "transposed": lambda X: X.T.copy().T,
    "read-only": read_only,
    "not aligned": not_aligned,
    "broadcast row": lambda X: np.broadcast_to(X[3], X.shape),
    "list": np.ndarray.tolist,
    "tuple of arrays": tuple,
    "float64": lambda X: X.astype("f8"),
    "float16": lambda X: X.astype("f2"),
    "long double": lambda X: X.astype("g"),
    "big-endian": lambda X: X.astype(X.dtype.newbyteorder(">")),
    "big-endian integers": lambda X: X.astype(">i4"),
    "int8": lambda X: X.astype("i1"),
    "uint64": lambda X: abs(X).astype("u8"),
    "bool": lambda X: X > 0,
    "matrix": lambda X: np.matrix(X),
    "masked": lambda X: np.ma.masked_array(X, mask=False),
    "record field": lambda X: np.rec.fromarrays([X, X], names="a,b")["a"],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_and_dtype_gives_the_bits_of_the_clean_copy(model, layout):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # of np.matrix
        X = LAYOUTS[layout](clean(model))
    same = np.array(X, dtype=model.dtype, order="C", subok=False)
    expected = model.predict(same)
    got = model.predict(X)
    assert type(got) is np.ndarray
    assert got.tobytes() == expected.tobytes()
    assert model.forward(X).tobytes() == expected.tobytes()
    assert model.predict(X[4]).reshape(-1).tobytes() == expected[4].tobytes()


def test_a_memory_mapped_file_is_predicted_from(model, tmp_path):
    X = clean(model)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert model.predict(mapped).tobytes() == model.predict(X).tobytes()
    assert model.predict(mapped[::-2]).tobytes() == model.predict(X[::-2].copy()).tobytes()
    del mapped  # Windows can't delete a file that is mapped


def test_the_input_is_never_written(model):
    X = clean(model)
    before = X.copy()
    model.predict(X)
    model.forward(X)
    assert X.tobytes() == before.tobytes()


@pytest.mark.parametrize("n", [0, 1, 23])
def test_out_gets_the_result_and_is_returned(model, n):
    X = clean(model, n)
    out = np.full((n, N_OUT), np.nan, model.dtype)
    assert model.predict(X, out=out) is out
    assert out.tobytes() == model.predict(X).tobytes()


def test_out_for_one_row(model):
    X = clean(model)
    out = np.empty(N_OUT, model.dtype)
    assert model.predict(X[2], out=out) is out
    assert out.tobytes() == model.predict(X)[2].tobytes()


@pytest.mark.parametrize("shift", [-7, -1, 0, 1, 7, 40])
def test_out_may_overlap_the_input(shift):
    # As many outputs as inputs: written straight, late rows would be read after they were
    # overwritten.
    model = fb.mlp([4, 4], seed=0)
    buffer = np.random.default_rng(1).normal(size=400).astype(np.float32)
    X = buffer[100:300].reshape(50, 4)
    expected = model.predict(X.copy())
    out = buffer[100 + shift : 300 + shift].reshape(50, 4)
    model.predict(X, out=out)
    assert out.tobytes() == expected.tobytes()


def test_eight_threads_predict_on_one_model_at_once(model):
    parts = [clean(model, n) for n in (1, 3, 50, 200, 64, 65, 2, 129)]
    expected = [model.predict(part).tobytes() for part in parts]

    def predict_many(i):
        return {model.predict(parts[i]).tobytes() for _ in range(50)}

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(predict_many, range(8))) == [{bits} for bits in expected]


def test_predict_does_not_disturb_a_forward_by_hand(model):
    X = clean(model)
    d = np.ones((23, N_OUT), model.dtype)
    model.forward(X)
    expected = model.backward(d)
    model.forward(X)
    model.predict(X[::-1])
    assert model.backward(d).tobytes() == expected.tobytes()
