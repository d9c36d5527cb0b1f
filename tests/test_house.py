"""The house: who may import whom, what is public, and that all of it is documented."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from numpydoc.validate import validate

import fastbackprop as fb

PACKAGE = Path(fb.__file__).parent

# From the ground up: a room may import from rooms further up in this list only.
FLOORS = [
    "_cpu",
    "_dispatch",
    "_errors",
    "_validation",
    "_threads",
    "_buffers",
    "_output",
    "_digits",
    "_storage",
    "_activations",
    "_initializers",
    "_losses",
    "_optimizers",
    "_layers",
    "_derivatives",
    "_model",
    "_builders",
    "_history",
    "_progress",
    "_chain",
    "_explanation_text",
    "_explanation_plot",
    "_page",
    "_explanation",
    "_explain",
    "_diagnosis",
    "_diagnose_data",
    "_diagnose",
    "_trainer",
    "_explain_training",
    "_gradient_check",
    "__init__",
    "_cli_explain",
    "_cli",
    "__main__",
]


def imports_of(path):
    """Names of the rooms that a module imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            names = [node.module, *(f"{node.module}.{x.name}" for x in node.names if node.module == "fastbackprop")]
        elif isinstance(node, ast.Import):
            names = [x.name for x in node.names]
        for name in names:
            head, _, room = name.partition(".")
            if head == "fastbackprop":
                room = room.split(".")[0]
                # `import fastbackprop` and its public names are the top floor.
                yield room if room in FLOORS else "__init__"


def test_every_room_has_a_floor():
    rooms = {path.stem for path in PACKAGE.glob("*.py")} | {"_cpu"}
    assert rooms == set(FLOORS)


@pytest.mark.parametrize("room", [x for x in FLOORS if x != "_cpu"])
def test_imports_go_downwards(room):
    for imported in imports_of(PACKAGE / f"{room}.py"):
        if room == "_dispatch" and imported == "__init__":  # from fastbackprop import _cpu
            continue
        assert FLOORS.index(imported) < FLOORS.index(room), f"{room} imports {imported}, which is above it"


def test_all_is_what_is_public():
    public = {name for name, value in vars(fb).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert public == set(fb.__all__)
    assert sorted(fb.__all__) == sorted(set(fb.__all__))


@pytest.mark.parametrize("room", [x for x in FLOORS if x not in ("_cpu", "__main__")])
def test_rooms_keep_their_all(room):
    module = importlib.import_module("fastbackprop" if room == "__init__" else f"fastbackprop.{room}")
    assert all(hasattr(module, name) for name in module.__all__)


def documented_things():
    """Every public name, with the public methods of classes."""
    for name in fb.__all__:
        thing = getattr(fb, name)
        yield f"fastbackprop.{name}"
        if inspect.isclass(thing):
            for member, value in inspect.getmembers(thing):
                is_ours = str(getattr(value, "__module__", "")).startswith("fastbackprop")
                if not member.startswith("_") and callable(value) and is_ours:
                    yield f"fastbackprop.{name}.{member}"


# Left out: where the summary starts (GL01), extended summaries, see-also sections and
# examples everywhere (ES01, SA01, EX01), the mood of the verb (SS05), words of a return
# value that its type and the summary say already (RT03), parameters of errors and
# private constructors documented in the class (PR01 stays on).
LEFT_OUT = {"GL01", "ES01", "SA01", "EX01", "SS05", "RT03"}


@pytest.mark.parametrize("name", sorted(set(documented_things())))
def test_docstrings_are_numpydoc(name):
    errors = [f"{code} {text}" for code, text in validate(name)["errors"] if code not in LEFT_OUT]
    assert errors == []


def test_examples_in_docstrings_run():
    import doctest

    failed = attempted = 0
    for module in pkgutil.iter_modules([str(PACKAGE)]):
        if module.name.startswith("__"):
            continue
        result = doctest.testmod(importlib.import_module(f"fastbackprop.{module.name}"))
        failed, attempted = failed + result.failed, attempted + result.attempted
    assert attempted > 20
    assert failed == 0


def test_python_and_the_kernels_name_the_same_activations():
    from fastbackprop import _activations, _dispatch

    for dtype in _dispatch.DTYPES:
        assert _dispatch.kernels(dtype).ACTIVATIONS == _activations.ACTIVATIONS


def test_import_needs_nothing_optional():
    code = (
        "import sys, fastbackprop; "
        "print([m for m in ('tqdm', 'safetensors', 'sklearn', 'matplotlib', 'scipy', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_cpu_that_is_too_old_is_refused_by_name_before_numpy_crashes_on_it():
    """For real under qemu in tools/check_cpus.sh; here a Core 2 Duo is pretended."""
    code = """
import sys, types
sys.modules["fastbackprop._cpu"] = cpu = types.ModuleType("_cpu")
cpu.features = lambda: frozenset({"cx16", "lahf_lm", "sse3", "ssse3"})
try:
    import fastbackprop
except ImportError as error:
    print(error, "numpy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    words = "fastbackprop needs at least x86-64-v2 or aarch64; this CPU lacks popcnt, sse4_1, sse4_2."
    assert done.stdout.strip() == f"{words} False"
