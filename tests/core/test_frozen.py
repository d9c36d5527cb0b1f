"""Where a program is frozen, modules and data are found by the import system alone."""

import subprocess
import sys
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import fastbackprop as fb

PACKAGE = Path(fb.__file__).parent

# A frozen program: Python files in an archive, compiled modules wherever its loader says.
FROZEN = """
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import spec_from_file_location

archive, extensions = sys.argv[1], dict(x.split("=", 1) for x in sys.argv[2:])

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in extensions:
            loader = ExtensionFileLoader(name, extensions[name])
            return spec_from_file_location(name, extensions[name], loader=loader)

sys.meta_path = [x for x in sys.meta_path if "editable" not in repr(x).lower()]
sys.meta_path.insert(0, Finder)
sys.path.insert(0, archive)
import fastbackprop as fb
assert fb.__file__.startswith(archive), fb.__file__
print(*fb.kernel_info()["built"])
from fastbackprop._cli.main import main
sys.exit(main(["explain", "--demo", "-o", archive + ".html"]))
"""


def freeze(tmp_path, with_kernels):
    """Run the program above; return what it printed and what it complained about."""
    archive = tmp_path / "program.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in PACKAGE.rglob("*"):
            if path.suffix in (".py", ".npz", ".html", ".css", ".js"):
                file.write(path, path.relative_to(PACKAGE.parent))
    extensions = {}
    for path in PACKAGE.rglob("*"):
        if suffix := next((x for x in EXTENSION_SUFFIXES if path.name.endswith(x)), None):
            module = path.relative_to(PACKAGE.parent).as_posix().removesuffix(suffix)
            extensions.setdefault(module.replace("/", "."), path)
    assert "fastbackprop._core.cpu" in extensions
    arguments = [
        f"{name}={path}"
        for name, path in extensions.items()
        if with_kernels or "._kernels." not in name
    ]
    command = [sys.executable, "-P", "-c", FROZEN, str(archive), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout, done.stderr


def test_a_frozen_program_finds_kernels_page_and_digits(tmp_path):
    printed, complaints = freeze(tmp_path, with_kernels=True)
    assert complaints == ""
    assert printed.splitlines()[0].split() == fb.kernel_info()["built"]
    assert "<html" in (tmp_path / "program.zip.html").read_text(encoding="utf-8")


def test_a_frozen_program_without_kernels_says_what_to_type(tmp_path):
    _, complaints = freeze(tmp_path, with_kernels=False)
    assert "pyinstaller --collect-all fastbackprop" in complaints
