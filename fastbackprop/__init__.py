"""fastbackprop: trains, runs and explains dense neural networks on the CPU.

predict (forward) -> compare (loss) -> blame (backward, gradient) -> correct (update).
"""

from fastbackprop._core.dispatch import (
    kernel_info,
)  # first: it refuses CPUs on which NumPy would crash

# isort: split
from fastbackprop._compare.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    FocalCrossEntropy,
    GaussianNLL,
    HalfSquaredError,
    Hinge,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanSquaredError,
    Poisson,
    Quantile,
)
from fastbackprop._core.errors import (
    DiagnosisWarning,
    DivergenceError,
    FastbackpropError,
    ModelFileError,
    TrainingWarning,
)
from fastbackprop._core.limit import set_num_threads
from fastbackprop._core.threads import get_num_threads
from fastbackprop._correct.clipping import clip_gradients
from fastbackprop._correct.composed import Warmup
from fastbackprop._correct.curves import Cosine, OneCycle
from fastbackprop._correct.optimizers import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Lion,
    NAdam,
    RMSprop,
    Rprop,
)
from fastbackprop._diagnose.check_report import GradientCheck
from fastbackprop._diagnose.diagnose import diagnose
from fastbackprop._diagnose.findings import Diagnosis
from fastbackprop._diagnose.gradient_check import gradient_check
from fastbackprop._explain.explain import explain
from fastbackprop._explain.explanation import Explanation
from fastbackprop._explain.lab import lab
from fastbackprop._model.builders import load, mlp
from fastbackprop._model.sequential import Sequential
from fastbackprop._predict.activations import ELU, LeakyReLU
from fastbackprop._predict.dense import Dense
from fastbackprop._predict.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    Uniform,
    Zeros,
)
from fastbackprop._predict.norms import BatchNorm, LayerNorm
from fastbackprop._predict.plain import Activation, Dropout
from fastbackprop._predict.scaling import RobustScale, Standardize
from fastbackprop._train.averaging import WeightAveraging
from fastbackprop._train.batches import Batches
from fastbackprop._train.callback import Callback
from fastbackprop._train.checkpoint import Checkpoint
from fastbackprop._train.early_stopping import EarlyStopping
from fastbackprop._train.explain_training import TrainingExplanation, explain_training
from fastbackprop._train.history import History
from fastbackprop._train.rate_search import LearningRateSearch
from fastbackprop._train.time_budget import TimeBudget
from fastbackprop._train.trainer import Trainer

# isort: split
from fastbackprop import initializers, metrics, schedules  # noqa: F401, the namespaces

__version__ = "0.1.0"

__all__ = [
    "ELU",
    "SGD",
    "Activation",
    "Adagrad",
    "Adam",
    "AdamW",
    "BatchNorm",
    "Batches",
    "BinaryCrossEntropy",
    "Callback",
    "Checkpoint",
    "Constant",
    "Cosine",
    "CrossEntropy",
    "Dense",
    "Diagnosis",
    "DiagnosisWarning",
    "DivergenceError",
    "Dropout",
    "EarlyStopping",
    "Explanation",
    "FastbackpropError",
    "FocalCrossEntropy",
    "GaussianNLL",
    "GlorotNormal",
    "GlorotUniform",
    "GradientCheck",
    "HalfSquaredError",
    "HeNormal",
    "HeUniform",
    "Hinge",
    "History",
    "Huber",
    "LayerNorm",
    "LeakyReLU",
    "LearningRateSearch",
    "LecunNormal",
    "Lion",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "ModelFileError",
    "NAdam",
    "OneCycle",
    "Poisson",
    "Quantile",
    "RMSprop",
    "RobustScale",
    "Rprop",
    "Sequential",
    "Standardize",
    "TimeBudget",
    "Trainer",
    "TrainingExplanation",
    "TrainingWarning",
    "Uniform",
    "Warmup",
    "WeightAveraging",
    "Zeros",
    "clip_gradients",
    "diagnose",
    "explain",
    "explain_training",
    "get_num_threads",
    "gradient_check",
    "kernel_info",
    "lab",
    "load",
    "mlp",
    "set_num_threads",
]

# Where users find them: in pickles, tracebacks and documentation.
for _name in __all__:
    globals()[_name].__module__ = "fastbackprop"
