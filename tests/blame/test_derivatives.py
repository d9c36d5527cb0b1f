"""Gradients as results: against finite differences, backward, and torch.func if installed."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from reference import HIDDEN

import fastbackprop as fb

DTYPES = ("float32", "float64")
NETS = {
    "one": ([1, 1], "identity", "identity", "half_squared_error"),
    "tanh": ([3, 7, 2], "tanh", "identity", "mean_squared_error"),
    "deep": ([5, 17, 16, 9, 3], "sigmoid", "tanh", "half_squared_error"),
    "relu": ([8, 15, 4], "relu", "leaky_relu", "half_squared_error"),
    "leaky": ([2, 9, 5], "leaky_relu", "sigmoid", "mean_squared_error"),
    "binary": ([4, 33, 3], "tanh", "sigmoid", "binary_cross_entropy"),
    "classes": ([4, 13, 11], "sigmoid", "softmax", "cross_entropy"),
    "softmax of squares": ([4, 6, 5], "tanh", "softmax", "half_squared_error"),
    "wide": ([31, 128, 17], "relu", "softmax", "cross_entropy"),
    **{f"all {name}": ([4, 11, 9, 3], name, name, "half_squared_error") for name in HIDDEN},
}
LOSSES = {
    x.name: x()
    for x in (fb.HalfSquaredError, fb.MeanSquaredError, fb.CrossEntropy, fb.BinaryCrossEntropy)
}


def example(name, dtype, n, bias=True):
    widths, hidden, last, loss = NETS[name]
    rng = np.random.default_rng(7)
    activations = [hidden] * (len(widths) - 2) + [last]
    layers = [
        fb.Dense(a, b, act, bias=bias)
        for a, b, act in zip(widths, widths[1:], activations, strict=False)
    ]
    model = fb.Sequential(layers, seed=3, dtype=dtype)
    for layer in model.layers if bias else []:
        layer.bias = rng.normal(size=layer.n_out) / 3
    X = rng.normal(size=(n, widths[0]))
    y = (
        rng.integers(0, widths[-1], n)
        if loss == "cross_entropy"
        else rng.uniform(size=(n, widths[-1]))
    )
    return model, X, y, loss


def close(x, y, dtype, factor=1.0):
    tolerance = factor * (2e-5 if dtype == "float32" else 1e-12)
    np.testing.assert_allclose(
        x, y, rtol=tolerance, atol=tolerance * max(1e-30, np.abs(y).max(initial=0))
    )


def gradient(model, X, y, loss):
    """What backward gives for the batch."""
    model.backward(LOSSES[loss](model.forward(X), y)[1])
    return [
        (x.weight_gradient.copy(), None if x.bias is None else x.bias_gradient.copy())
        for x in model.layers
    ]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETS)
def test_the_jacobian_is_that_of_backward_and_of_finite_differences(name, dtype):
    model, X, _, _ = example(name, dtype, 5)
    J = model.jacobian(X)
    assert J.shape == (5, model.n_out, model.n_in)
    assert J.dtype == model.dtype
    for j in range(model.n_out):
        y_hat = model.forward(X)
        one = np.zeros(y_hat.shape)
        one[:, j] = 1
        assert np.array_equal(J[:, j], model.backward(one))
        assert np.array_equal(model.input_gradient(X, output=j), J[:, j])
    if dtype == "float64":
        h = 1e-6
        for k in range(model.n_in):
            e = h * np.eye(model.n_in)[k]
            slope = (model.predict(X + e) - model.predict(X - e)) / (2 * h)
            np.testing.assert_allclose(J[:, :, k], slope, rtol=1e-5, atol=1e-7)
    weights = np.random.default_rng(0).normal(size=model.n_out)
    close(
        model.input_gradient(X, output=weights),
        np.einsum("j,ijk->ik", weights, J.astype(float)),
        dtype,
        10,
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 16, 17, 600])
def test_a_row_has_the_same_bits_among_any_others(dtype, n):
    model, X, y, loss = example("wide", dtype, n)
    J, gradients, slope = (
        model.jacobian(X),
        model.sample_gradients(X, y, loss),
        model.input_gradient(X, output=3),
    )
    for i in {0, n // 2, n - 1}:
        assert np.array_equal(J[i], model.jacobian(X[i]))
        assert np.array_equal(slope[i], model.input_gradient(X[i], output=3))
        alone = model.sample_gradients(X[i : i + 1], y[i : i + 1], loss)
        for mine, other in zip(gradients, alone, strict=True):
            assert all(np.array_equal(a[i], b[0]) for a, b in zip(mine, other, strict=True))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETS)
def test_sample_gradients_are_those_of_backward_for_each_sample(name, dtype, bias):
    model, X, y, loss = example(name, dtype, 6, bias)
    found = model.sample_gradients(X, y, loss)
    for i in range(6):
        for (weight, b), (own, own_bias) in zip(
            found, gradient(model, X[i : i + 1], y[i : i + 1], loss), strict=True
        ):
            assert np.array_equal(weight[i], own)
            assert (b is None) == (own_bias is None) == (not bias)
            assert b is None or np.array_equal(b[i], own_bias)
    for (weight, _), (own, _) in zip(found, gradient(model, X, y, loss), strict=True):
        close(weight.mean(axis=0, dtype=float), own, dtype, 10)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", NETS)
def test_hessian_times_vector_is_the_difference_of_gradients(name, bias):
    model, X, y, loss = example(name, "float64", 5, bias)
    rng = np.random.default_rng(1)
    v = [
        (rng.normal(size=x.weight.shape), rng.normal(size=x.n_out) if bias else None)
        for x in model.layers
    ]
    found = model.hessian_vector_product(X, y, loss, v)
    h = 1e-6

    def at(r):
        for layer, (weight, b) in zip(model.layers, v, strict=True):
            layer.weight = layer.weight + r * weight
            if bias:
                layer.bias = layer.bias + r * b
        return gradient(model, X, y, loss)

    ahead, behind = at(h), at(-2 * h)
    at(h)
    for pairs in zip(found, ahead, behind, strict=True):
        for mine, a, b in zip(*pairs, strict=True):
            assert (mine is None) == (a is None)
            if mine is not None:
                slope = (a - b) / (2 * h)
                np.testing.assert_allclose(
                    mine, slope, rtol=1e-4, atol=1e-6 * max(1, abs(slope).max())
                )
    single, _, _, _ = example(name, "float32", 5, bias)
    for mine, other in zip(single.hessian_vector_product(X, y, loss, v), found, strict=True):
        for a, b in zip(mine, other, strict=True):
            assert a is None or a.dtype == np.float32
            if a is not None:
                close(a, b, "float32", 30)


@pytest.mark.parametrize("name", NETS)
def test_the_hessian_is_symmetric(name):
    model, X, y, loss = example(name, "float64", 4)
    rng = np.random.default_rng(2)
    u, v = (
        [(rng.normal(size=x.weight.shape), rng.normal(size=x.n_out)) for x in model.layers]
        for _ in range(2)
    )

    def dot(a, b):
        return sum(
            (x * y).sum() for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True)
        )

    u_Hv = dot(u, model.hessian_vector_product(X, y, loss, v))
    assert u_Hv == pytest.approx(
        dot(v, model.hessian_vector_product(X, y, loss, u)), rel=1e-9, abs=1e-9
    )


@pytest.mark.parametrize("name", NETS)
def test_torch_func_agrees(name):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from torch.func import grad, jacrev, jvp, vmap

    model, X, y, loss = example(name, "float64", 4)
    parameters = {}
    for k, layer in enumerate(model.layers):
        parameters[f"w{k}"], parameters[f"b{k}"] = (
            torch.tensor(layer.weight),
            torch.tensor(layer.bias),
        )
    slope = model.layers[-1].slope or 0.01
    F = torch.nn.functional
    functions = {
        "identity": lambda z: z,
        "relu": torch.relu,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "leaky_relu": lambda z: torch.nn.functional.leaky_relu(z, slope),
        "softmax": lambda z: torch.softmax(z, -1),
        "softplus": F.softplus,
        "elu": F.elu,
        "selu": F.selu,
        "gelu": F.gelu,
        "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
        "silu": F.silu,
        "mish": F.mish,
        "softsign": F.softsign,
        # F.hardsigmoid multiplies by 1/6 rounded to float32, in float64 too.
        "hard_sigmoid": lambda z: torch.clamp(z + 3, 0, 6) / 6,
        "hard_tanh": F.hardtanh,
        "exp": torch.exp,
    }

    def net(p, x):
        for k, layer in enumerate(model.layers):
            x = functions[layer.activation](x @ p[f"w{k}"] + p[f"b{k}"])
        return x

    def cost(p, x, t):
        y_hat = net(p, x)
        if loss == "cross_entropy":
            return -torch.log(y_hat.gather(-1, t[..., None])).mean()
        if loss == "binary_cross_entropy":
            return torch.nn.functional.binary_cross_entropy(y_hat, t)
        factor = model.n_out / 2 if loss == "half_squared_error" else 1
        return ((y_hat - t) ** 2).mean() * factor

    x, t = torch.tensor(X), torch.tensor(y)
    close(
        model.jacobian(X),
        vmap(jacrev(net, argnums=1), (None, 0))(parameters, x).numpy(),
        "float64",
        100,
    )
    theirs = vmap(grad(cost), (None, 0, 0))(parameters, x, t)
    v = {name: torch.randn_like(p) for name, p in parameters.items()}
    _, products = jvp(lambda p: grad(cost)(p, x, t), (parameters,), (v,))
    own = model.hessian_vector_product(
        X, y, loss, [(v[f"w{k}"].numpy(), v[f"b{k}"].numpy()) for k in range(len(v) // 2)]
    )
    for k, (weight, bias) in enumerate(model.sample_gradients(X, y, loss)):
        close(weight, theirs[f"w{k}"].numpy(), "float64", 100)
        close(bias, theirs[f"b{k}"].numpy(), "float64", 100)
        close(own[k][0], products[f"w{k}"].numpy(), "float64", 1e4)
        close(own[k][1], products[f"b{k}"].numpy(), "float64", 1e4)


DIGEST = """
import hashlib, sys
import numpy as np
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/.."]
import test_derivatives as t
digest = hashlib.sha256()
for dtype in t.DTYPES:
    for name in t.NETS:
        model, X, y, loss = t.example(name, dtype, 19)
        v = [(np.ones_like(x.weight), np.ones_like(x.bias)) for x in model.layers]
        pairs = model.sample_gradients(X, y, loss) + model.hessian_vector_product(X, y, loss, v)
        parts = [a for pair in pairs for a in pair]
        for x in [model.jacobian(X), model.input_gradient(X, output=0), *parts]:
            digest.update(np.ascontiguousarray(x).tobytes())
print(digest.hexdigest())
"""


def test_every_variant_with_fma_gives_the_same_bits_and_passes_these_tests():
    here = str(Path(__file__).parent)
    found = {}
    for variant in set(fb.kernel_info()["supported"]) & set(fb.kernel_info()["built"]):
        environment = {**os.environ, "FASTBACKPROP_KERNELS": variant}
        run = {
            "env": environment,
            "capture_output": True,
            "text": True,
            "timeout": 300,
            "check": False,
        }
        done = subprocess.run([sys.executable, "-P", "-c", DIGEST, here], **run)
        assert done.returncode == 0, done.stderr
        found[variant] = done.stdout
        if (
            "FASTBACKPROP_DERIVATIVES_INSIDE" not in os.environ
            and variant != fb.kernel_info()["variant"]
        ):
            run["env"] = {**environment, "FASTBACKPROP_DERIVATIVES_INSIDE": "1"}
            options = ["-q", "-p", "no:cacheprovider", "-k", "not variant", __file__]
            command = [sys.executable, "-P", "-m", "pytest", *options]
            done = subprocess.run(command, cwd=Path(here).parents[1], **run)
            assert done.returncode == 0, done.stdout
    if platform.machine() in ("x86_64", "AMD64"):
        found.pop("baseline", None)  # no FMA: the tests above say how near it is
    assert len(set(found.values())) <= 1


def test_no_rows_and_one_row():
    model, X, y, loss = example("classes", "float32", 3)
    assert model.jacobian(X[:0]).shape == (0, 11, 4)
    assert model.input_gradient(X[:0], output=0).shape == (0, 4)
    assert model.jacobian(X[0]).shape == (11, 4)
    assert model.input_gradient(X[0], output=0).shape == (4,)
    assert [w.shape for w, _ in model.sample_gradients(X[:0], y[:0], loss)] == [
        (0, 4, 13),
        (0, 13, 11),
    ]


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (
            lambda m, X, y, v: m.input_gradient(X),
            "output must be an integer from 0 to 1, or 2 numbers, got None.",
        ),
        (lambda m, X, y, v: m.input_gradient(X, output=2), "output must be from 0 to 1, got 2."),
        (
            lambda m, X, y, v: m.input_gradient(X, output=-1),
            "output must be an integer of at least 0",
        ),
        (
            lambda m, X, y, v: m.input_gradient(X, output=[1]),
            "output must have shape (2,), got (1,).",
        ),
        (lambda m, X, y, v: m.jacobian(X[:, :2]), "X must have 3 columns"),
        (lambda m, X, y, v: m.jacobian(X * np.nan), "X must be finite"),
        (
            lambda m, X, y, v: m.sample_gradients(X, y[:2], "mean_squared_error"),
            "same number of rows",
        ),
        (lambda m, X, y, v: m.sample_gradients(X, y, "cross_entropy"), "must come behind"),
        (
            lambda m, X, y, v: m.hessian_vector_product(X[:0], y[:0], "mean_squared_error", v),
            "at least one row",
        ),
        (
            lambda m, X, y, v: m.hessian_vector_product(X, y, "mean_squared_error", v[:1]),
            "v must be a list of 2",
        ),
        (
            lambda m, X, y, v: m.hessian_vector_product(X, y, "mean_squared_error", [1, 2]),
            "v[0] must be a tuple",
        ),
        (
            lambda m, X, y, v: m.hessian_vector_product(X, y, "mean_squared_error", [v[1], v[0]]),
            "v[0][0] must have",
        ),
        (
            lambda m, X, y, v: m.hessian_vector_product(
                X, y, "mean_squared_error", [(v[0][0], None), v[1]]
            ),
            "v[0][1]",
        ),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, complaint):
    model, X, y, _ = example("tanh", "float32", 4)
    v = [(x.weight, x.bias) for x in model.layers]
    with pytest.raises((ValueError, TypeError), match=re.escape(complaint)):
        call(model, X, y, v)
    y_hat = model.forward(X)
    with pytest.raises((ValueError, TypeError)):
        call(model, X, y, v)
    model.backward(np.ones_like(y_hat))  # nothing was done: the forward is still there


def test_what_a_forward_kept_stays():
    """Derivatives work in a workspace of their own."""
    gradients = []
    for between in (False, True):
        model, X, y, loss = example("tanh", "float32", 4)
        d_y_hat = model.forward(X) - 1
        if between:
            model.jacobian(X)
            model.sample_gradients(X, y, loss)
            model.input_gradient(X[:2], output=0)
        gradients.append([model.backward(d_y_hat), *(x.weight_gradient for x in model.layers)])
    assert all(np.array_equal(a, b) for a, b in zip(*gradients, strict=True))


def test_a_jacobian_of_many_outputs_keeps_little():
    model = fb.mlp([2, 3000], seed=0)
    X = np.random.default_rng(0).normal(size=(2, 2))
    found = model.jacobian(X)
    assert np.array_equal(found, np.broadcast_to(model.layers[0].weight.T, (2, 3000, 2)))
    for j in (0, 511, 512, 2999):
        assert np.array_equal(found[:, j], model.input_gradient(X, output=j))
