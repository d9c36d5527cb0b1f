"""The flag table and the extensions, nothing else; pyproject.toml has the rest."""

import os
import runpy
import shutil
import sys
import sysconfig
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DEBUG = os.environ.get("FASTBACKPROP_DEBUG", "0") not in ("", "0")
# What is built for, which isn't always what builds: linux-aarch64, macosx-11.0-arm64, win-amd64 ...
MACHINE = sysconfig.get_platform().rpartition("-")[2]
if sys.platform == "darwin":  # one at a time: a universal2 Python would compile each file for both
    MACHINE = os.uname().machine if MACHINE == "universal2" else MACHINE
    os.environ.setdefault("ARCHFLAGS", f"-arch {MACHINE}")
IS_X86_64 = MACHINE in ("x86_64", "amd64")

# Appended to all that Python and the environment say (CFLAGS), so that the last word is ours;
# whatever bits or speed depend on stands here. Contraction is off so that an FMA stands where the
# kernels write one and nowhere else. -fwrapv (which some Pythons bring and some don't) lets the
# compiler step through rows by pointers: without it wide nets are 7-10 % slower. _core has no
# flag that could bring in an instruction; without debug information (it holds the paths of the
# build) two builds are the same bytes.
OPTIMIZATION = ["-O1", "-g"] if DEBUG else ["-O3", "-g0"]
# What -ffast-math and -Ofast turn on. Also for the linker: its driver would add crtfastm.o, by
# which the import of a module makes subnormal numbers 0 in the whole process.
EXACT = [
    "-fno-fast-math",
    "-fno-unsafe-math-optimizations",
    "-fno-finite-math-only",
    "-fno-associative-math",
    "-fno-reciprocal-math",
    "-fno-rounding-math",
    "-fsigned-zeros",
]
V2 = ["-msse4.2", "-mpopcnt", "-mcx16"]  # one by one: older compilers don't know x86-64-v2
V3 = [*V2, "-mavx2", "-mfma", "-mbmi", "-mbmi2", "-mf16c", "-mlzcnt", "-mmovbe"]
V4 = [
    *V3,
    "-mavx512f",
    "-mavx512bw",
    "-mavx512cd",
    "-mavx512dq",
    "-mavx512vl",
    "-mprefer-vector-width=512",
]
KERNEL_FLAGS = [
    *EXACT,
    "-ffp-contract=off",
    "-fwrapv",
    "-fno-math-errno",
    "-fno-trapping-math",
]
BASELINE = V2 if IS_X86_64 else []


def for_clang_cl(flags: list[str]) -> list[str]:
    """Return clang's own flags as its driver for Windows takes them."""
    return [f"/clang:{flag}" for flag in flags]


FLAGS = {
    "unix": {
        "all": [*OPTIMIZATION, *KERNEL_FLAGS, "-Wno-unused-function"],
        "baseline": BASELINE,
        "x86_64_v3": V3,
        "x86_64_v4": V4,
        "_core": ["-g"] if DEBUG else ["-g0"],
        "link": [*OPTIMIZATION, *EXACT],
    },
    "msvc": {
        "all": ["/Od" if DEBUG else "/O2", "/fp:precise"],
        "baseline": [],
        "x86_64_v3": ["/arch:AVX2"],
        "x86_64_v4": ["/arch:AVX512"],
        "_core": [],
        "link": [],
    },
    "clang-cl": {
        "all": [
            "/Od" if DEBUG else "/clang:-O3",
            *for_clang_cl(KERNEL_FLAGS),
        ],
        "baseline": for_clang_cl(BASELINE),
        "x86_64_v3": for_clang_cl(V3),
        "x86_64_v4": for_clang_cl(V4),
        "_core": [],
        "link": [],
    },
}
CLANG_TARGETS = {"amd64": "x86_64-pc-windows-msvc", "arm64": "aarch64-pc-windows-msvc"}
VARIANTS = ["baseline", "x86_64_v3", "x86_64_v4"] if IS_X86_64 else ["baseline"]
MACROS = [("FBP_DEBUG", "1")] if DEBUG else []
BUILD = "build/debug" if DEBUG else "build/release"  # or one would reuse the other's objects
KERNELS = "fastbackprop/_kernels"
SHARED = "fastbackprop._core.cyutility"
WRITTEN = Path("build/include")  # what is made here for the kernels to include
BUILT_FROM = WRITTEN / "built_from.h"


def write_sources() -> None:
    """Write what the modules are built from: its digest, and what is made from tables."""
    sources = runpy.run_path("fastbackprop/_core/sources.py")
    digest = sources["digest_of_sources"]()
    write(BUILT_FROM, f'#define FBP_SOURCES "{digest}"\n/* {"debug" if DEBUG else "release"} */\n')
    for name, text in sources["written_sources"]().items():
        write(WRITTEN / name, text)


def write(path: Path, text: str) -> None:
    """Write a file unless it says that already, so that it keeps its time."""
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def kernel(variant: str, dtype: str) -> Extension:
    """One extension: one instruction set, one dtype."""
    return Extension(
        f"fastbackprop._kernels.{variant}_{dtype}",
        [f"{KERNELS}/{variant}_{dtype}.pyx"],
        include_dirs=[f"{KERNELS}/simd", str(WRITTEN), np.get_include()],
        define_macros=MACROS
        + [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]
        + ([("FBP_FLOAT64", "1")] if dtype == "float64" else []),
        depends=[
            *(f"{KERNELS}/simd/{x}.h" for x in ("simd", "mode", "atomics", "philox")),
            str(BUILT_FROM),
        ],
    )


def complaint(compiler: list[str]) -> str | None:
    """What this machine lacks to compile, where there are no wheels to look it up."""
    program = (
        compiler[0] if compiler and not compiler[0].startswith("-") else ""
    )  # CC may be set to nothing
    if shutil.which(program) is None:
        return f"a C compiler ('{program}' was not found; Debian: apt install gcc, or set CC)"
    folders = {sysconfig.get_path("include"), sysconfig.get_path("platinclude")}
    if not any(os.path.exists(os.path.join(folder, "Python.h")) for folder in folders):
        return "the headers of Python (there is no Python.h; Debian: apt install python3-dev)"
    return None


class BuildExt(build_ext):
    """Appends the kernel flags once it is known which compiler builds."""

    def finalize_options(self) -> None:
        """Compile on all cores unless told otherwise."""
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extensions(self) -> None:
        """Say what is missing in one sentence, not in a traceback for each file."""
        lacks = complaint(self.compiler.compiler) if self.compiler.compiler_type == "unix" else None
        if lacks:
            sys.exit(
                f"error: fastbackprop needs {lacks} to be built from source; its wheels need none."
            )
        self.table = FLAGS["msvc" if self.compiler.compiler_type == "msvc" else "unix"]
        clang_cl = shutil.which("clang-cl") if self.table is FLAGS["msvc"] else None
        if clang_cl and MACHINE in CLANG_TARGETS:
            # The kernels keep their sums in registers by clang, as tools/check_tiles.py counts;
            # of cl.exe that isn't known. Linked, as Python itself, by Microsoft's linker.
            if not self.compiler.initialized:
                self.compiler.initialize()
            self.compiler.cc = clang_cl
            target = f"--target={CLANG_TARGETS[MACHINE]}"
            self.table = {**FLAGS["clang-cl"], "all": [target, *FLAGS["clang-cl"]["all"]]}
            self.table["_core"] = [target]
        super().build_extensions()

    def build_extension(self, ext: Extension) -> None:
        """Compile one extension with the flags of its variant."""
        flags = self.table
        variant = ext.name.rpartition(".")[2].partition("_float")[0]
        if ext.name.startswith("fastbackprop._core."):
            variant = "_core"
        common = [] if variant == "_core" else flags["all"]
        ext.extra_compile_args = [*ext.extra_compile_args, *common, *flags[variant]]
        ext.extra_link_args = [*ext.extra_link_args, *flags["link"]]
        super().build_extension(ext)


write_sources()
extensions = [kernel(variant, dtype) for variant in VARIANTS for dtype in ("float32", "float64")]
extensions.append(
    Extension(
        "fastbackprop._core.cpu",
        ["fastbackprop/_core/cpu.pyx"],
        include_dirs=["fastbackprop/_core"],
        depends=["fastbackprop/_core/cpu_id.h", str(BUILT_FROM)],
    )
)
extensions.append(
    Extension("fastbackprop._core.lock", ["fastbackprop/_core/lock.pyx"], depends=[str(BUILT_FROM)])
)

# What Cython writes for memory views, once for all modules instead of in each: 0.9 MB less.
extensions.append(Extension(SHARED, ["fastbackprop/_core/cyutility.c"]))

setup(
    options={"build": {"build_base": BUILD}},
    cmdclass={"build_ext": BuildExt},
    ext_modules=cythonize(
        extensions,
        include_path=[".", str(WRITTEN)],
        build_dir=f"{BUILD}/cython",  # no generated C beside the sources
        shared_utility_qualified_name=SHARED,
        module_name=SHARED,  # of the shared one alone, which would call itself "cyutility"
        compiler_directives={
            "language_level": 3,
            "boundscheck": DEBUG,
            "wraparound": False,
            "initializedcheck": DEBUG,
            "cdivision": True,
            "freethreading_compatible": True,
            "auto_pickle": False,  # which nobody needs: 20 KB a module
        },
        nthreads=0 if sys.platform == "win32" else os.cpu_count() or 1,
    ),
)
