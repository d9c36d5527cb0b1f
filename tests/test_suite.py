"""How the suite itself is set: which warnings are errors, and what its programs need."""

import warnings

import pytest


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
