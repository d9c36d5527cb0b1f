"""Plant an error of 1 % in each derivative of the kernels, compile them, and see each found.

    python tools/check_planted.py

Each line of PLANTS multiplies one derivative where it is written in the kernels' sources by a
number that is 1 until the environment says which shall be 1.01: so one build has them all.
Derivatives that backward is made of must be found by ``fb.gradient_check``, those of training alone
and those of second order by the tests that are named. Without a plant nothing may be found. Of the
instruction sets only ``baseline`` is built, since all are compiled from the same lines.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
DTYPES = ("float64", "float32")
SWITCH = "FASTBACKPROP_PLANTED"  # "3 float64"

# What, in which file, the expression, what it becomes, and who must find it.
CHECK, TESTS, BITS, IN_REGISTERS = (
    "gradient_check",
    "tests/blame/test_derivatives.py",
    "tests/kernels/test_bits.py",
    "tests/kernels/test_in_registers.py",
)
ACTIVATIONS, MATH = "predict/activations.pxi", "simd/math.pxi"
SOFTMAX = "predict/softmax.pxi"
SQUARED, ENTROPY = "compare/squared_error.pxi", "compare/cross_entropy.pxi"
BINARY, FOCAL = "compare/binary_cross_entropy.pxi", "compare/focal_cross_entropy.pxi"
ROBUST, HINGE, GAUSSIAN = "compare/robust.pxi", "compare/hinge.pxi", "compare/gaussian_nll.pxi"
NORMS, GAMMA = "blame/norms.pxi", "correct/norms.pxi"
BACKWARD, GRADIENT = "blame/backward.pxi", "correct/gradient.pxi"
REGISTERS = "run/in_registers.pxi"
SINGLE, FIRST, SECOND = "run/single.pxi", "run/derivatives.pxi", "run/hessian.pxi"
PLANTS = [
    ("relu", ACTIVATIONS, "v_select(v_less(v_zero(), a), d, v_zero())\n\n\ncdef inline vec leaky",
     "v_select(v_less(v_zero(), a), v_mul(d, {p}), v_zero())\n\n\ncdef inline vec leaky", CHECK),
    ("leaky_relu above 0", ACTIVATIONS, "a), d, v_mul(d", "a), v_mul(d, {p}), v_mul(d", CHECK),
    ("leaky_relu below 0", ACTIVATIONS, "v_mul(d, alpha)", "v_mul(v_mul(d, {p}), alpha)", CHECK),
    ("sigmoid", MATH, "v_mul(v_mul(e, s), s)", "v_mul(v_mul(v_mul(e, {p}), s), s)", CHECK),
    ("tanh", MATH, "v_mul(v_mul(v_fma(power, q, power), c), c)",
     "v_mul(v_mul(v_mul({p}, v_fma(power, q, power)), c), c)", CHECK),
    ("act' that was kept", BACKWARD, "v_mul(sums[i * vectors + v], a)\n",
     "v_mul(v_mul({p}, sums[i * vectors + v]), a)\n", CHECK),
    ("softplus", ACTIVATIONS, "v_mul(d, v_sub(v_zero(), v_expm1", "v_mul(v_mul(d, {p}), v_sub("
        "v_zero(), v_expm1", CHECK),
    ("elu above 0", ACTIVATIONS, "z), d, v_mul(d, v_mul(alpha", "z), v_mul(d, {p}), v_mul(d, v_mul("
        "alpha", CHECK),
    ("elu below 0", ACTIVATIONS, "v_mul(d, v_mul(alpha, v_exp(", "v_mul(v_mul(d, {p}), v_mul("
        "alpha, v_exp(", CHECK),
    ("selu", ACTIVATIONS, "v_mul(d, v_select(v_less(v_zero(), z)", "v_mul(v_mul(d, {p}), v_select("
        "v_less(v_zero(), z)", CHECK),
    ("gelu", ACTIVATIONS, "v_mul(d, v_fma(v_mul(z, v_set1(0.39894", "v_mul(v_mul(d, {p}), v_fma("
        "v_mul(z, v_set1(0.39894", CHECK),
    ("gelu_tanh", ACTIVATIONS, "v_mul(d, v_fma(v_mul(z, slope)", "v_mul(v_mul(d, {p}), v_fma("
        "v_mul(z, slope)", CHECK),
    ("silu", ACTIVATIONS, "v_mul(d, v_fma(z, sigmoid_slope(z)", "v_mul(v_mul(d, {p}), v_fma(z, "
        "sigmoid_slope(z)", CHECK),
    ("mish", ACTIVATIONS, "v_mul(d, v_fma(z, mish_slope(", "v_mul(v_mul(d, {p}), v_fma(z, "
        "mish_slope(", CHECK),
    ("softsign", ACTIVATIONS, "v_mul(d, v_mul(r, r))", "v_mul(v_mul(d, {p}), v_mul(r, r))", CHECK),
    ("hard_sigmoid", ACTIVATIONS, "v_mul(d, v_set1(0.1666", "v_mul(v_mul(d, {p}), v_set1(0.1666",
     CHECK),
    ("hard_tanh", ACTIVATIONS, "v_less(v_abs(a), v_set1(1)), d,", "v_less(v_abs(a), v_set1(1)), "
        "v_mul(d, {p}),", CHECK),
    ("exp", ACTIVATIONS, "return v_mul(d, a)", "return v_mul(v_mul(d, {p}), a)", CHECK),
    ("softmax", SOFTMAX, "v_mul(v_load(p + j), v_sub(", "v_mul(v_mul(v_load(p + j), {p}), "
        "v_sub(", CHECK),
    ("softmax's mean", SOFTMAX, "(delta + j), mean)", "(delta + j), v_mul(mean, {p}))", CHECK),
    ("squared error", SQUARED, "gradient[0] = error", "gradient[0] = v_mul(error, {p})", CHECK),
    ("cross entropy of labels", ENTROPY, "v_mul(d, scale)", "v_mul(d, v_mul(scale, {p}))", CHECK),
    ("cross entropy, the label", ENTROPY, "(p[label] - target) *",
     "(p[label] - target) * {r} *", CHECK),
    ("cross entropy of rows", ENTROPY, "v_sub(v_load(p + j), smoothed(loss, load_target(y, j, n)))",
     "v_mul({p}, v_sub(v_load(p + j), smoothed(loss, load_target(y, j, n))))", CHECK),
    ("focal cross entropy", FOCAL, "delta[j] = t * h", "delta[j] = t * h * {r}", CHECK),
    ("binary cross entropy", BINARY, "v_sub(p, t)", "v_mul(v_sub(p, t), {p})", CHECK),
    ("absolute error", ROBUST, "sign_of(error, v_set1(-1), v_set1(1))",
     "v_mul({p}, sign_of(error, v_set1(-1), v_set1(1)))", CHECK),
    ("huber", ROBUST, "v_copysign(most, error)", "v_mul({p}, v_copysign(most, error))", CHECK),
    ("log cosh", ROBUST, "v_div(v_add(t, t)", "v_div(v_mul({p}, v_add(t, t))", CHECK),
    ("quantile, from above", ROBUST, "v_sub(v_set1(1), q))", "v_mul({p}, v_sub(v_set1(1), q)))",
     CHECK),
    ("hinge", HINGE, "margin), v_sub(v_zero(), t)", "margin), v_mul({p}, v_sub(v_zero(), t))",
     CHECK),
    ("Gaussian, means", GAUSSIAN, "distance * loss.gradient_scale", "distance * {r} * "
        "loss.gradient_scale", CHECK),
    ("Gaussian, variances", GAUSSIAN, "(<real>0.5 - <real>0.5 * square)",
     "{r} * (<real>0.5 - <real>0.5 * square)", CHECK),
    ("dC/da through W", BACKWARD, "layer.transposed + j, layer.row_in, sums)\n",
     "layer.transposed + j, layer.row_in, sums)\n"
     "    for i in range(rows * vectors):\n        sums[i] = v_mul(sums[i], {p})\n", CHECK),
    ("dC/dW", GRADIENT, "    finish_gradient(rows, vectors, layer, c, sums, i",
     "    for k in range(rows * vectors):\n        sums[k] = v_mul(sums[k], {p})\n"
     "    finish_gradient(rows, vectors, layer, c, sums, i", CHECK),
    ("dC/db", GRADIENT, "v_add(sums[v], v_load(delta + v * LANES))",
     "v_fma({p}, v_load(delta + v * LANES), sums[v])", CHECK),
    ("dC/dx through LayerNorm", NORMS, "v_sub(g, mean_g)), scale)",
     "v_sub(g, mean_g)), v_mul(scale, {p}))", CHECK),
    ("LayerNorm's mean", NORMS, "mean_g = v_set1(", "mean_g = v_set1({r} * ", CHECK),
    ("LayerNorm's dot product", NORMS, "mean_dot = v_set1(", "mean_dot = v_set1({r} * ", CHECK),
    ("BatchNorm's mean", NORMS, "v_sub(v_load(d + i * layer.row + j), mean_d)",
     "v_sub(v_load(d + i * layer.row + j), v_mul(mean_d, {p}))", CHECK),
    ("BatchNorm's dot product", NORMS, "mean, scale), mean_dot, g)",
     "mean, scale), v_mul(mean_dot, {p}), g)", CHECK),
    ("LayerNorm's dC/dgamma", GAMMA, "dots[0] = v_fma(d,",
     "dots[0] = v_fma(v_mul(d, {p}),", CHECK),
    ("through Dropout", BACKWARD, "v_mul(v_load(d + j * LANES), v_load(mask",
     "v_mul(v_mul({p}, v_load(d + j * LANES)), v_load(mask", CHECK),
    ("one sample: dC/da through W", SINGLE, "v_fma(d, v_load(w + k * LANES)",
     "v_fma(v_mul(d, {p}), v_load(w + k * LANES)", BITS),
    ("in registers: dC/da through W", REGISTERS, "v_fma(v_lane(delta, j), v_load(w), sums)",
     "v_fma(v_mul(v_lane(delta, j), {p}), v_load(w), sums)", IN_REGISTERS),
    ("in registers: dC/dW of the first layer", REGISTERS, "j + i]), delta, v_zero())",
     "j + i]), v_mul(delta, {p}), v_zero())", IN_REGISTERS),
    ("in registers: dC/dW of the others", REGISTERS, "v_fma(v_lane(left, i), right, v_zero())",
     "v_fma(v_lane(left, i), v_mul(right, {p}), v_zero())", IN_REGISTERS),
    ("one sample: dC/dW", SINGLE, "v_fma(v_set1(left[i]), right", "v_fma(v_mul(v_set1(left[i]), "
        "{p}), right", BITS),
    ("one sample: dC/db", SINGLE, "v_add(v_zero(), v_load(layer.delta + j * LANES))",
     "v_mul(v_add(v_zero(), v_load(layer.delta + j * LANES)), {p})", BITS),
    ("sample_gradients", FIRST, "x[i] * delta[j]", "x[i] * delta[j] * {r}", TESTS),
    ("jacobian", FIRST, "plan.layers[0].row_in, n_in * sizeof(real))\n",
     "plan.layers[0].row_in, n_in * sizeof(real))\n"
     "            (job.out + i * job.out_row + j * n_in)[0] *= {r}\n",
     TESTS),
    ("sigmoid''", ACTIVATIONS, "v_fnma(v_set1(2), a, v_set1(1))",
     "v_mul({p}, v_fnma(v_set1(2), a, v_set1(1)))", TESTS),
    ("tanh''", ACTIVATIONS, "v_mul(v_set1(-2), a)", "v_mul(v_mul(v_set1(-2), {p}), a)", TESTS),
    ("softplus''", ACTIVATIONS, "return v_exp(v_sub(v_zero(), a))",
     "return v_mul({p}, v_exp(v_sub(v_zero(), a)))", TESTS),
    ("softmax'', first", SECOND, "rp[j] * (d[j] - mean)", "rp[j] * {r} * (d[j] - mean)", TESTS),
    ("softmax'', second", SECOND, "p[j] * (delta[j] - r_mean)", "p[j] * {r} * (delta[j] - r_mean)",
     TESTS),
    ("softmax'', mean", SECOND, "+ d[j] * rp[j]", "+ {r} * d[j] * rp[j]", TESTS),
    ("squared error''", SQUARED, "return v_set1(1)", "return {p}", TESTS),
    ("cross entropy''", ENTROPY, "r_a[j] * loss.gradient_scale", "{r} * r_a[j] * "
        "loss.gradient_scale", TESTS),
    ("binary cross entropy''", BINARY, "return v_set1(1)", "return {p}", TESTS),
]  # fmt: skip
PRELUDE = f"""
import os as _os

cdef real planted[{len(PLANTS)}]
for _i in range({len(PLANTS)}):
    planted[_i] = 1
_asked = _os.environ.get("{SWITCH}", "").split()
if _asked and _asked[1] == ("float32" if sizeof(real) == 4 else "float64"):
    planted[int(_asked[0])] = <real>1.01
"""

# What has to do with the plant comes first, since the first that is found is enough.
JUDGE = """
import itertools, sys
import numpy as np
import fastbackprop as fb
from fastbackprop._core.activations import TABLE

rng = np.random.default_rng(0)
X, labels, rows = rng.normal(size=(6, 4)), rng.integers(0, 3, 6), rng.dirichlet(np.ones(3), 6)
errors = ("mean_absolute_error", "huber", "log_cosh", "quantile")
what, asked = sys.argv[1], sys.argv[2].split()[1:]
trials = itertools.product(
    [*itertools.product([name for name, row in TABLE.items() if row.derivative],
        (("identity", "half_squared_error", rows), ("softmax", "half_squared_error", rows),
         ("softmax", "cross_entropy", labels), ("softmax", "cross_entropy", rows),
         ("sigmoid", "binary_cross_entropy", rows))),
     *itertools.product(["tanh"],
        (*(("identity", name, 3 * rows) for name in errors), ("identity", "hinge", rows > 0.3),
         ("softmax", "focal_cross_entropy", labels), ("identity", "gaussian_nll", rows[:, :1])))],
    ("float32", "float64"),
)
def distance(trial):
    (hidden, (last, loss, y)), dtype = trial
    names = {*(x.replace("_", " ") for x in (hidden, last, loss)), hidden}
    return dtype not in asked, -sum(x in what for x in names)
for (hidden, (last, loss, y)), dtype in sorted(trials, key=distance) if asked else trials:
    n_out = 2 if loss == "gaussian_nll" else 3
    layers = [fb.Dense(4, 9, hidden), fb.Dense(9, 5, hidden), fb.Dense(5, n_out, last)]
    check = fb.gradient_check(fb.Sequential(layers, seed=1, dtype=dtype), X, y, loss=loss)
    if not check:
        sys.exit(str(check).splitlines()[-1])
for norm, dtype in itertools.product(("batch", "layer"), ("float32", "float64")):
    model = fb.mlp([4, 9, 5, 3], activation="tanh", output_activation="softmax", dropout=0.2,
                   normalization=norm, seed=1, dtype=dtype)
    check = fb.gradient_check(model, X, labels, loss="cross_entropy")
    if not check:
        sys.exit(str(check).splitlines()[-1])
"""


def planted_sources(folder: Path) -> None:
    """Copy what is built, with every plant in it, switched off."""
    for name in ("fastbackprop", "tests"):
        shutil.copytree(HERE / name, folder / name)
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(HERE / name, folder)
    setup = folder / "setup.py"
    variants = 'VARIANTS = ["baseline", "x86_64_v3", "x86_64_v4"]'
    setup.write_text(replaced(setup.read_text(), variants, 'VARIANTS = ["baseline"]'))
    kernels = folder / "fastbackprop/_kernels"
    sources = {name: (kernels / name).read_text() for name in {file for _, file, *_ in PLANTS}}
    for i, (_, file, old, new, _) in enumerate(PLANTS):
        sources[file] = replaced(
            sources[file], old, new.format(p=f"v_set1(planted[{i}])", r=f"planted[{i}]")
        )
    for name, source in sources.items():
        (kernels / name).write_text(source)
    lanes = kernels / "simd/lanes.pxi"
    lanes.write_text(PRELUDE + lanes.read_text())


def replaced(source: str, old: str, new: str) -> str:
    """Return the source with one expression replaced; it must be there once."""
    if source.count(old) != 1:
        sys.exit(
            f"{old!r} must be in the sources once, is there {source.count(old)} times: mend PLANTS."
        )
    return source.replace(old, new)


def says(python: Path, folder: Path, what: str, who: str, plant: str) -> str:
    """Return what the judge found, in a line; nothing if nothing."""
    command = (
        ["-c", JUDGE, what, plant]
        if who == CHECK
        else ["-m", "pytest", "-qx", "--no-header", "--tb=no", "-k", "not variant", who]
    )
    environment = {
        **os.environ,
        SWITCH: plant,
        "FASTBACKPROP_KERNELS": "baseline",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [python, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return ""
    lines = (done.stderr if who == CHECK else done.stdout).strip().splitlines()
    failed = [x for x in lines if x.startswith("FAILED")]
    if not failed:
        sys.exit(f"{who} ended without a verdict:\n" + "\n".join(lines[-20:]))
    return failed[0].removeprefix("FAILED").strip(": ")


def verdicts(python: Path, folder: Path) -> Iterator[bool]:
    """Yield for nothing and for each plant whether what was found is right; on all cores."""
    trials = [("nothing, " + who, who, "") for who in (CHECK, TESTS, BITS)]
    trials += [
        (f"{what}, {dtype}", who, f"{i} {dtype}")
        for i, (what, _, _, _, who) in enumerate(PLANTS)
        for dtype in DTYPES
    ]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        words = pool.map(lambda trial: says(python, folder, *trial), trials)
        for (what, who, plant), found in zip(trials, words, strict=True):
            missed = f"NOT FOUND by {who}" if plant else "nothing found"
            print(f"  {what:<44} {found or missed}", flush=True)
            yield bool(found) == bool(plant)


def main() -> None:
    """Build and judge; exit with 1 if anything was missed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "source"
        folder.mkdir()
        planted_sources(folder)
        subprocess.run([sys.executable, "-m", "venv", Path(name) / "venv"], check=True)
        python = Path(name) / "venv/bin/python"
        environment = {
            **os.environ,
            "FASTBACKPROP_DEBUG": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        subprocess.run(
            [python, "-m", "pip", "install", "-q", f"{folder}[test]"], check=True, env=environment
        )
        shutil.rmtree(folder / "fastbackprop")
        right = list(verdicts(python, folder))
    print(f"{sum(right)} of {len(right)} as they must be.")
    sys.exit(not all(right))


if __name__ == "__main__":
    main()
