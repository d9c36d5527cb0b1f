"""scikit-learn's own tests of its MLPs, installed with it, run against ours.

The source is theirs; only the line that imports the two classes is another.
"""

from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="scikit-learn isn't installed")

import fastbackprop.sklearn

SPEC = find_spec("sklearn.neural_network.tests.test_mlp")
if SPEC is None:
    pytest.skip("scikit-learn is installed without its tests", allow_module_level=True)

THEIR_LINE = "from sklearn.neural_network import MLPClassifier, MLPRegressor\n"
OUR_LINE = THEIR_LINE.replace("sklearn.neural_network", "fastbackprop.sklearn")
SOURCE = Path(SPEC.origin).read_text(encoding="utf-8")
assert SOURCE.count(THEIR_LINE) == 1

# Not about what a user sees: each with what it asserts on.
EXCEPTIONS = {
    "test_gradient": "calls the private _loss_grad_lbfgs with lists of arrays to be filled; "
    "test_gradient_of_lbfgs below asserts the same of ours",
}

# Their settings of warnings, not ours.
pytestmark = pytest.mark.filterwarnings("default")

theirs = {"__name__": "their_tests", "__file__": SPEC.origin}
exec(compile(SOURCE.replace(THEIR_LINE, OUR_LINE), SPEC.origin, "exec"), theirs)
THEIR_TESTS = {name: test for name, test in theirs.items() if name.startswith("test_")}
globals().update({n: test for n, test in THEIR_TESTS.items() if n not in EXCEPTIONS})


@pytest.fixture
def global_random_seed():
    """What scikit-learn's conftest defines."""
    return 42


def test_theirs_are_many_and_of_our_classes():
    assert len(THEIR_TESTS) >= 40
    assert set(EXCEPTIONS) <= set(THEIR_TESTS)
    assert theirs["MLPClassifier"] is fastbackprop.sklearn.MLPClassifier
    assert theirs["MLPRegressor"] is fastbackprop.sklearn.MLPRegressor
