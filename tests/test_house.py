"""The house: who may import whom, what is public, and that all of it is documented."""

import ast
import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from numpydoc.validate import validate
from privates import activations, dispatch

import fastbackprop as fb

PACKAGE = Path(fb.__file__).parent

# From the ground up: a folder may import from folders further up in this list only.
FLOORS = [
    "_core",
    "_data",
    "_kernels",
    "_predict",
    "_compare",
    "_blame",
    "_correct",
    "_model",
    "_explain",
    "_diagnose",
    "_train",
    "_estimators",
    "initializers",
    "metrics",
    "schedules",
    "sklearn",
    "__init__",
    "_cli",
    "__main__",
]

COMPILED = {"_core.cpu", "_core.lock"}
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py" or path.parent == PACKAGE
}


def imports_of(path):
    """Modules of the package that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            names = [f"{node.module}.{x.name}" for x in node.names]
        elif isinstance(node, ast.Import):
            names = [x.name for x in node.names]
        for name in names:
            head, _, rest = name.partition(".")
            if head == "fastbackprop":
                parts = rest.split(".")
                # `import fastbackprop` and its public names are a floor of their own.
                yield "__init__" if not parts[0].startswith("_") else ".".join(parts[:2])


def floor_of(module):
    return FLOORS.index(module.split(".")[0])


def test_every_room_has_a_floor():
    assert {module.split(".")[0] for module in MODULES} | {"_kernels"} == set(FLOORS)
    assert all(len(module.split(".")) <= 2 for module in MODULES)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_go_downwards(module):
    for imported in imports_of(MODULES[module]):
        is_a_room = imported in MODULES or imported in COMPILED
        assert is_a_room, f"{module} imports {imported}, which is no room"
        assert floor_of(imported) <= floor_of(module), (
            f"{module} imports {imported}, which is above it"
        )


def test_no_circle_inside_a_folder():
    below = {
        module: set(imports_of(path)) & set(MODULES) - {module} for module, path in MODULES.items()
    }
    while below:
        ground = {module for module, imports in below.items() if not imports & set(below)}
        assert ground, f"a circle among {sorted(below)}"
        below = {module: imports for module, imports in below.items() if module not in ground}


# The same below the line, where files are included instead of imported.
KERNEL_FLOORS = ["simd", "plan", "products", "predict", "compare", "blame", "correct", "run"]
CLONE = Path(__file__).resolve().parent.parent / "fastbackprop"
needs_sources = pytest.mark.skipif(not CLONE.exists(), reason="the sources aren't beside the tests")
KERNEL_SOURCES = {
    path.relative_to(CLONE / "_kernels").as_posix(): re.sub(
        r'""".*?"""|#[^\n]*', "", path.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    for path in sorted((CLONE / "_kernels").glob("*/*.px*"))
}
DEFINITION = re.compile(
    r"^cdef (?:inline |struct |class |const )*(?:[\w*]+ )*?\**(\w+) ?[(:]", re.MULTILINE
)


def uses_of_kernel_sources():
    """Which file of the kernels uses what another defines: (user, definer, name)."""
    homes = {
        name: path for path, text in KERNEL_SOURCES.items() for name in DEFINITION.findall(text)
    }
    homes.pop("enum", None)
    for path, text in KERNEL_SOURCES.items():
        for name in set(re.findall(r"\b\w+\b", text)) & set(homes):
            if homes[name] != path:
                yield path, homes[name], name


@needs_sources
def test_kernel_sources_use_what_is_below_them():
    uses = list(uses_of_kernel_sources())
    assert {"run/loop.pxi", "blame/backward.pxi"} <= {user for user, *_ in uses}
    assert ("blame/backward.pxi", "products/tile.pxi", "add_rows") in uses
    floors = {path: KERNEL_FLOORS.index(path.split("/")[0]) for path in KERNEL_SOURCES}
    assert [use for use in uses if floors[use[0]] < floors[use[1]]] == []


@needs_sources
def test_kernel_sources_have_no_circle():
    below = {path: set() for path in KERNEL_SOURCES}
    for user, definer, _ in uses_of_kernel_sources():
        below[user].add(definer)
    while below:
        ground = {path for path, used in below.items() if not used & set(below)}
        assert ground, f"a circle among {sorted(below)}"
        below = {path: used for path, used in below.items() if path not in ground}


@needs_sources
def test_kernel_sources_are_included_from_the_ground_up():
    included = re.findall(
        r'include "(.*)"', (CLONE / "_kernels/all.pxi").read_text(encoding="utf-8")
    )
    assert sorted(included) == sorted(path for path in KERNEL_SOURCES if path.endswith(".pxi"))
    floors = [KERNEL_FLOORS.index(path.split("/")[0]) for path in included]
    assert floors == sorted(floors)


TESTS = Path(__file__).resolve().parent
# Python's own, and what notebooks call.
PUBLIC_ENOUGH = {"_exit", "_repr_html_", "_repr_png_"}


def private_names_in(path):
    """What a file of tests imports or uses of the package's inside."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fastbackprop._"):
            yield node.module
        elif isinstance(node, ast.Attribute) and node.attr not in PUBLIC_ENOUGH:
            owner = getattr(node.value, "func", node.value)
            is_own = getattr(owner, "id", "") in {"self", "super"}
            if node.attr.startswith("_") and not node.attr.endswith("__") and not is_own:
                yield node.attr


@pytest.mark.parametrize(
    "path", sorted(x.relative_to(TESTS).as_posix() for x in TESTS.rglob("*.py"))
)
def test_tests_name_what_is_private_in_one_place(path):
    assert path == "privates.py" or [*private_names_in(TESTS / path)] == []


def test_all_is_what_is_public():
    public = {
        name
        for name, value in vars(fb).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public == set(fb.__all__)
    assert sorted(fb.__all__) == sorted(set(fb.__all__))


def is_of_estimators(module):
    """Whether a module needs scikit-learn."""
    return module == "sklearn" or module.startswith("_estimators.")


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"__main__"}))
def test_rooms_keep_their_all(module):
    if is_of_estimators(module):
        pytest.importorskip("sklearn", reason="scikit-learn isn't installed")
    room = importlib.import_module(
        "fastbackprop" if module == "__init__" else f"fastbackprop.{module}"
    )
    assert all(hasattr(room, name) for name in room.__all__)


@pytest.mark.parametrize("name", fb.__all__)
def test_public_names_say_that_they_are_of_the_package(name):
    assert getattr(fb, name).__module__ == "fastbackprop"


def documented_estimators():
    """The same of the door for scikit-learn, where that is installed."""
    if importlib.util.find_spec("sklearn") is None:
        return
    door = importlib.import_module("fastbackprop.sklearn")
    for name in door.__all__:
        thing = getattr(door, name)
        yield f"fastbackprop.sklearn.{name}"
        for member, value in inspect.getmembers(thing):
            is_ours = str(getattr(value, "__module__", "")).startswith("fastbackprop")
            if not member.startswith("_") and callable(value) and is_ours:
                yield f"fastbackprop.sklearn.{name}.{member}"


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

    for name in fb.metrics.__all__:
        yield f"fastbackprop.metrics.{name}"


# Left out: where the summary starts (GL01), extended summaries, see-also sections and
# examples everywhere (ES01, SA01, EX01), the mood of the verb (SS05), words of a return
# value that its type and the summary say already (RT03), parameters of errors and
# private constructors documented in the class (PR01 stays on).
LEFT_OUT = {"GL01", "ES01", "SA01", "EX01", "SS05", "RT03"}


@pytest.mark.parametrize("name", sorted({*documented_things(), *documented_estimators()}))
def test_docstrings_are_numpydoc(name):
    errors = [f"{code} {text}" for code, text in validate(name)["errors"] if code not in LEFT_OUT]
    assert errors == []


def test_examples_in_docstrings_run():
    import doctest

    failed = attempted = 0
    lacks = importlib.util.find_spec("sklearn") is None
    modules = [x for x in MODULES if not x.startswith("__") and not (lacks and is_of_estimators(x))]
    names = ["fastbackprop", *(f"fastbackprop.{x}" for x in modules)]
    for name in names:
        result = doctest.testmod(
            importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE
        )
        failed, attempted = failed + result.failed, attempted + result.attempted
    assert attempted > 20
    assert failed == 0


def test_python_and_the_kernels_name_the_same_activations():
    for dtype in dispatch.DTYPES:
        assert dispatch.kernels(dtype).ACTIVATIONS == activations.ACTIVATIONS


def test_import_needs_nothing_optional():
    code = (
        "import sys, fastbackprop; "
        "print([m for m in ('tqdm', 'safetensors', 'sklearn', 'matplotlib', 'scipy', 'torch') if "
        "m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_cpu_that_is_too_old_is_refused_by_name_before_numpy_crashes_on_it():
    """For real under qemu in tools/check_cpus.sh; here a Core 2 Duo is pretended."""
    code = """
import sys, types
sys.modules["fastbackprop._core.cpu"] = cpu = types.ModuleType("_cpu")
cpu.features = lambda: frozenset({"cx16", "lahf_lm", "sse3", "ssse3"})
try:
    import fastbackprop
except ImportError as error:
    print(error, "numpy" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    words = (
        "fastbackprop needs at least x86-64-v2 or aarch64; this CPU lacks popcnt, sse4_1, sse4_2."
    )
    assert done.stdout.strip() == f"{words} False"


def copied_sources(folder):
    """A clone's package without anything built."""
    ours = [x for x in CLONE.rglob("*") if x.suffix in {".py", ".pyx", ".pxi", ".pxd", ".h"}]
    for path in ours:
        copy = folder / "fastbackprop" / path.relative_to(CLONE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return folder


def copied_build(folder):
    """The same with the modules that are tested."""
    copied_sources(folder)
    for module in [*PACKAGE.rglob("*.so"), *PACKAGE.rglob("*.pyd")]:
        (folder / "fastbackprop" / module.relative_to(PACKAGE)).write_bytes(module.read_bytes())
    return folder


@needs_sources
def test_a_clone_that_was_not_built_says_what_to_type(tmp_path):
    folder = copied_sources(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", "import fastbackprop"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        f"ImportError: fastbackprop in {folder / 'fastbackprop'} is a folder of sources that was "
        f"never built: "
        f"type 'pip install -e .' in {folder}, or leave that folder."
    )


@needs_sources
@pytest.mark.parametrize("missing", ["_core/errors.py", "_predict/dense.py"])
def test_another_missing_module_is_not_taken_for_a_clone(missing, tmp_path):
    folder = copied_build(tmp_path)
    (folder / "fastbackprop" / missing).unlink()
    done = subprocess.run(
        [sys.executable, "-c", "import fastbackprop"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    name = missing.removesuffix(".py").replace("/", ".")
    assert (
        done.stderr.strip().splitlines()[-1]
        == f"ModuleNotFoundError: No module named 'fastbackprop.{name}'"
    )


@needs_sources
def test_kernels_of_other_sources_are_refused(tmp_path):
    """A comment is enough to make a build stale."""
    folder = copied_build(tmp_path)
    code = "import fastbackprop; print(fastbackprop.kernel_info()['variant'])"

    def run():
        return subprocess.run(
            [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
        )

    assert run().returncode == 0
    with (folder / "fastbackprop/_kernels/run/loop.pxi").open("a", encoding="utf-8") as file:
        file.write("# another line\n")
    done = run()
    assert (
        "were built from other sources than those beside them: type 'pip install -e .'"
        in done.stderr
    )


@needs_sources
@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("_core/cyutility.*.*", "built when it had fewer of them"),
        ("_core/lock.*.*", "built when it had fewer of them"),
        ("_kernels/*_float32.*.*", "No kernels"),
    ],
)
def test_a_build_that_lacks_modules_says_what_to_type(missing, words, tmp_path):
    folder = copied_build(tmp_path)
    for module in (folder / "fastbackprop").glob(missing):
        module.unlink()
    (folder / "fastbackprop/_kernels/.#all.pxi").symlink_to("nowhere")  # an editor's lock
    code = "import fastbackprop; fastbackprop.kernel_info()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert words in last
    assert f"type 'pip install -e .' in {folder}, or leave that folder." in last
