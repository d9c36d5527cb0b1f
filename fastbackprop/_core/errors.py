"""The exceptions and warnings of fastbackprop.

::

    Exception
    ├── ValueError, TypeError        bad input: one sentence says what, must be, got
    └── FastbackpropError
        ├── DivergenceError          training stopped being finite   (an ArithmeticError too)
        └── ModelFileError           a model file can't be read      (an OSError too)

    UserWarning
    ├── DiagnosisWarning             what ``Trainer(..., diagnose=True)`` found
    └── TrainingWarning              a fit ended in a model that is no use
"""

__all__ = [
    "DiagnosisWarning",
    "DivergenceError",
    "FastbackpropError",
    "ModelFileError",
    "TrainingWarning",
]


class FastbackpropError(Exception):
    """Base of the errors that are fastbackprop's own."""


class DivergenceError(FastbackpropError, ArithmeticError):
    """Training stopped being finite; the model keeps good weights, and the message says which.

    ``Trainer.fit`` leaves those of its best epoch, with the optimizer's state of then; a single
    step leaves those of before the step.

    Parameters
    ----------
    message : str
        One sentence for a person.
    epoch : int
        The epoch, counted from 1 (1 for single steps).
    batch : int
        The batch in that epoch, counted from 1; for ``Trainer.step`` the number of the
        step among all that the trainer has made.
    layer : int
        Index in ``model.layers`` of the first layer where it showed.
    """

    def __init__(self, message: str, epoch: int = 1, batch: int = 1, layer: int = 0) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.batch = batch
        self.layer = layer

    def __reduce__(self) -> tuple[type, tuple[str, int, int, int]]:
        return type(self), (str(self), self.epoch, self.batch, self.layer)


class DiagnosisWarning(UserWarning):
    """What ``Trainer(..., diagnose=True)`` found wrong during a fit."""


class TrainingWarning(UserWarning):
    """A fit ended in a useless model: its loss rose, or it gives all rows the same outputs."""


class ModelFileError(FastbackpropError, OSError):
    """A file is no model of fastbackprop, damaged, of a newer version, or not finite."""
