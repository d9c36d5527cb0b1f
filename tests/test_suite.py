"""How the suite itself is set: which warnings are errors, and what runs when."""

import fnmatch
import re
import runpy
import tomllib
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
needs_clone = pytest.mark.skipif(
    not (ROOT / ".github").exists(), reason="workflows are in the repository only"
)


@pytest.mark.parametrize(
    "module", ["torch", "torch.jit._script", "sklearn.base", "matplotlib.font_manager"]
)
@pytest.mark.parametrize("category", [FutureWarning, DeprecationWarning, UserWarning])
def test_what_another_package_warns_of_inside_itself_fails_no_test(module, category):
    """torch.jit.script warned with a DeprecationWarning until torch 2.13, then a FutureWarning."""
    warnings.warn_explicit("is deprecated", category, "elsewhere.py", 1, module=module)


@pytest.mark.parametrize("module", ["fastbackprop._train.trainer", "torchlike", "test_page"])
@pytest.mark.parametrize("category", [FutureWarning, DeprecationWarning, RuntimeWarning])
def test_every_other_warning_is_an_error(module, category):
    with pytest.raises(category, match="is deprecated"):
        warnings.warn_explicit("is deprecated", category, "here.py", 1, module=module)


@needs_clone
def test_the_tools_of_lint_are_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    libraries = {
        "numpy",
        "safetensors",
        "matplotlib",
        "scikit-learn",
    }  # read by the tools, not tools themselves
    for requirement in project["optional-dependencies"]["lint"]:
        name = re.match(r"[\w-]+", requirement)[0]
        assert name in libraries or re.fullmatch(r"[\w\[\]-]+==[\d.]+", requirement), requirement


@needs_clone
def test_the_oldest_versions_are_those_that_are_declared():
    tool = runpy.run_path(str(ROOT / "tools/requirements.py"))
    names = {x.partition("==")[0] for x in tool["requirements"]("oldest")}
    assert names == {"numpy", "tqdm", "safetensors"}
    assert tool["oldest"]("Cython>=3.3,<3.4") == "Cython==3.3"
    for wrong in ("numpy", "numpy~=2.0", "numpy>=2.0; extra"):
        with pytest.raises(ValueError, match=r"must be like numpy>=2\.0, got 'numpy"):
            tool["oldest"](wrong)


def paths_of(workflow):
    """The patterns behind ``paths:``, each on a line of its own."""
    text = (ROOT / ".github/workflows" / workflow).read_text(encoding="utf-8")
    block = re.search(r"^    paths:.*\n((?:      - .*\n)+)", text, re.MULTILINE)[1]
    return [line.removeprefix("      - ").strip('"') for line in block.splitlines()]


@needs_clone
def test_a_change_of_anything_compiled_builds_wheels():
    sources = {".pyx", ".pxi", ".pxd", ".h"}
    changed = [x for x in (ROOT / "fastbackprop").rglob("*") if x.suffix in sources]
    changed = [x.relative_to(ROOT).as_posix() for x in changed]
    assert len(changed) > 30
    patterns = paths_of("wheels.yml")
    for path in [*changed, "setup.py", "pyproject.toml", "MANIFEST.in"]:
        # A ** of GitHub's, with the slash behind it, may stand for no folder at all.
        both = [y for x in patterns for y in (x, x.replace("**/", ""))]
        assert any(fnmatch.fnmatchcase(path, x) for x in both), path
    for pattern in patterns:
        assert [*ROOT.glob(pattern)], f"nothing matches {pattern}"
