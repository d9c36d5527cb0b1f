"""See that flags from outside change nothing: the kernels' own come last and undo what would.

    python tools/check_flags.py

Compiles one kernel module with flags as distributions and users set them, and again with
-ffast-math, -Ofast and kin in CFLAGS and LDFLAGS: both must be the same instructions. Without the
flags of setup.py the header must refuse to be compiled. The linker may add nothing that makes
subnormal numbers 0 in the process that imports a module. Of the instruction sets and dtypes only
``baseline`` in float32 is built, since setup.py gives all of them the same. Takes a minute.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
FAST = "-Ofast -ffast-math -funsafe-math-optimizations -ffinite-math-only -fno-signed-zeros"
FLAGS = {
    "plain": {"CFLAGS": "-O2 -fwrapv"},
    "fast": {"CFLAGS": f"-O2 -fno-wrapv {FAST}", "LDFLAGS": FAST},
}
ONE_KERNEL = {
    'VARIANTS = ["baseline", "x86_64_v3", "x86_64_v4"]': 'VARIANTS = ["baseline"]',
    'for dtype in ("float32", "float64")': 'for dtype in ("float32",)',
}


def build(folder: Path, flags: dict[str, str]) -> list[Path]:
    """The modules, built with these flags in the environment."""
    shutil.copytree(
        HERE / "fastbackprop", folder / "fastbackprop", ignore=shutil.ignore_patterns("*.so")
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(HERE / name, folder)
    setup = (HERE / "setup.py").read_text()
    for line, replacement in ONE_KERNEL.items():
        if setup.count(line) != 1:
            sys.exit(f"setup.py must hold {line!r} once.")
        setup = setup.replace(line, replacement)
    (folder / "setup.py").write_text(setup)
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=folder, env={**os.environ, **flags}, check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return sorted((folder / "fastbackprop").rglob("*.so"))


def instructions(module: Path) -> str:
    """The disassembly, without the file's name."""
    command = ["objdump", "-d", "--no-show-raw-insn", str(module)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return text.partition("Disassembly of section .text:")[2]


def refuses(folder: Path) -> bool:
    """Whether the header ends a compilation with -ffast-math by our sentence."""
    source = folder / "fast.c"
    source.write_text('#include "simd.h"\n')
    simd = HERE / "fastbackprop/_kernels/simd"
    command = [*os.environ.get("CC", "cc").split(), "-msse4.2", "-ffast-math", f"-I{simd}", "-c"]
    result = subprocess.run(
        [*command, str(source), "-o", os.devnull], capture_output=True, text=True, check=False
    )
    return result.returncode != 0 and "need exact arithmetic" in result.stderr


def main() -> int:
    """Return how many things are wrong."""
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        modules = {}
        for kind, flags in FLAGS.items():
            folder = Path(name) / kind
            folder.mkdir()
            modules[kind] = build(folder, flags)
        for plain, fast in zip(modules["plain"], modules["fast"], strict=True):
            code = instructions(fast)
            if "set_fast_math" in code:
                wrong.append(f"{fast.name} makes subnormal numbers 0 in the whole process")
            if "_kernels" in str(fast) and instructions(plain) != code:
                wrong.append(f"{fast.name} is other instructions with {FLAGS['fast']}")
        if not refuses(Path(name)):
            wrong.append("simd.h can be compiled with -ffast-math")
    print(*wrong or ["flags from outside change nothing"], sep="\n")
    return len(wrong)


if __name__ == "__main__":
    if sys.platform != "linux" or not shutil.which("objdump"):
        print("skipped: it needs Linux with objdump (Debian: binutils).")
        sys.exit(77)
    sys.exit(main())
