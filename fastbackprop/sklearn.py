"""Estimators for scikit-learn: change the line of the import, keep the code.

::

    from fastbackprop.sklearn import MLPClassifier, MLPRegressor

in place of ``from sklearn.neural_network import ...``. It needs scikit-learn, which ``import
fastbackprop`` alone never imports.
"""

try:
    import sklearn  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "sklearn":
        raise
    raise ImportError(
        "fastbackprop.sklearn needs scikit-learn, which isn't installed: type "
        "pip install 'fastbackprop[sklearn]'."
    ) from None

from fastbackprop._estimators.classifier import MLPClassifier
from fastbackprop._estimators.display import LossCurveDisplay
from fastbackprop._estimators.errors import NonFiniteWeightsError
from fastbackprop._estimators.regressor import MLPRegressor

__all__ = ["LossCurveDisplay", "MLPClassifier", "MLPRegressor", "NonFiniteWeightsError"]
