"""fastbackprop: trains, runs and explains dense neural networks on the CPU.

predict (forward) -> compare (loss) -> blame (backward, gradient) -> correct (update).
"""

from fastbackprop._dispatch import kernel_info  # first: it refuses CPUs on which NumPy would crash

# isort: split
from fastbackprop._activations import LeakyReLU
from fastbackprop._builders import load, mlp
from fastbackprop._diagnose import diagnose
from fastbackprop._diagnosis import Diagnosis
from fastbackprop._errors import DiagnosisWarning, DivergenceError, FastbackpropError, ModelFileError
from fastbackprop._explain import explain
from fastbackprop._explain_training import TrainingExplanation, explain_training
from fastbackprop._explanation import Explanation
from fastbackprop._gradient_check import GradientCheck, gradient_check
from fastbackprop._history import History
from fastbackprop._initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    Uniform,
    Zeros,
)
from fastbackprop._layers import Dense
from fastbackprop._losses import BinaryCrossEntropy, CrossEntropy, HalfSquaredError, MeanSquaredError
from fastbackprop._model import Sequential
from fastbackprop._optimizers import SGD
from fastbackprop._trainer import Trainer

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "BinaryCrossEntropy",
    "Constant",
    "CrossEntropy",
    "Dense",
    "Diagnosis",
    "DiagnosisWarning",
    "DivergenceError",
    "Explanation",
    "FastbackpropError",
    "GlorotNormal",
    "GlorotUniform",
    "GradientCheck",
    "HalfSquaredError",
    "HeNormal",
    "HeUniform",
    "History",
    "LeakyReLU",
    "LecunNormal",
    "MeanSquaredError",
    "ModelFileError",
    "Sequential",
    "Trainer",
    "TrainingExplanation",
    "Uniform",
    "Zeros",
    "diagnose",
    "explain",
    "explain_training",
    "gradient_check",
    "kernel_info",
    "load",
    "mlp",
]
