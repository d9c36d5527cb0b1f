"""Compile rollouts.pyx beside a folder's name: python build.py FOLDER."""

import shutil
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
source = folder / "rollouts.pyx"
if not source.exists():
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).with_name("rollouts.pyx"), source)
openmp = [] if sys.platform in ("darwin", "win32") else ["-fopenmp"]  # for prange, if there is one
module = Extension("rollouts", [str(source)], extra_compile_args=openmp, extra_link_args=openmp)
setup(
    script_args=["-q", "build_ext", "--build-lib", str(folder), "--build-temp", str(folder)],
    ext_modules=cythonize([module], language_level=3, quiet=True),
)
