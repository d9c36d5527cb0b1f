"""Everything that tests use of the package's inside: named here, and nowhere else.

Who moves or renames something inside mends it here. ``test_house.py`` holds the other tests to it.
"""

import importlib
from pathlib import Path

from fastbackprop._cli import data as cli_data
from fastbackprop._cli import lab as cli_lab
from fastbackprop._cli.data import read_data
from fastbackprop._cli.main import main
from fastbackprop._compare.loss import Loss
from fastbackprop._compare.loss import _spec_of as spec_of
from fastbackprop._compare.losses import LOSSES
from fastbackprop._compare.targets import Targets
from fastbackprop._compare.weights import (
    as_weights,
    check_class_weight,
    class_indices,
    of_classes,
)
from fastbackprop._core import activations, dispatch, rows, sharing, statistics, threads, visits
from fastbackprop._core import losses as loss_table
from fastbackprop._core.activations import ACTIVATIONS, TABLE
from fastbackprop._core.buffers import (
    Parameters,
    aligned_empty,
    aligned_zeros,
    padded_rows,
    row_length,
)
from fastbackprop._core.counts import new_counts
from fastbackprop._core.dispatch import built_variants, missing_features
from fastbackprop._core.hints import NAMES_ELSEWHERE
from fastbackprop._core.lock import TrainingLock
from fastbackprop._core.naming import layer_in_code, layer_in_words
from fastbackprop._core.threads import run
from fastbackprop._correct.optimizer import Optimizer
from fastbackprop._correct.optimizers import OPTIMIZERS
from fastbackprop._correct.state import OptimizerState
from fastbackprop._data.digits import load_digits
from fastbackprop._explain.chain import _through_softmax as through_softmax
from fastbackprop._model import files, passes, prediction, structure
from fastbackprop._model.beside import write_beside
from fastbackprop._model.copies import copy_of
from fastbackprop._model.files import _digest as digest_of_file
from fastbackprop._model.files import (
    read_checkpoint_file,
    read_model_file,
    write_model_file,
)
from fastbackprop._model.flat import flat_of
from fastbackprop._model.sequential import Sequential
from fastbackprop._predict.initializers import normal, uniform
from fastbackprop._predict.op import OpSpec
from fastbackprop._train import base, loop, planning, trainer
from fastbackprop._train import data as data_of_training
from fastbackprop._train.callback import Callback
from fastbackprop._train.history import History
from fastbackprop._train.progress import figures_of, show_progress

# What a script in a process of its own begins with to have these names.
FOR_SCRIPTS = f"""
import sys
sys.path.append({str(Path(__file__).parent)!r})
from privates import *
"""

__all__ = [
    "ACTIVATIONS",
    "FOR_SCRIPTS",
    "LOSSES",
    "NAMES_ELSEWHERE",
    "OPTIMIZERS",
    "TABLE",
    "History",
    "LongWayError",
    "Loss",
    "OpSpec",
    "OptimizerState",
    "Parameters",
    "Targets",
    "TrainingLock",
    "activations",
    "aligned_empty",
    "aligned_zeros",
    "alpha_of",
    "as_weights",
    "at_pauses",
    "built_variants",
    "call_a_helper",
    "cgroup_quota",
    "check_class_weight",
    "class_indices",
    "cli_data",
    "cli_lab",
    "compiled_net",
    "composed_after",
    "constraints_of",
    "copy_of",
    "data_of_training",
    "described_in_file",
    "digest_of_file",
    "dispatch",
    "figures_of",
    "files",
    "generator_of",
    "helpers_that_came",
    "kernel_module",
    "layer_in_code",
    "layer_in_words",
    "leave_quick_paths",
    "load_digits",
    "lock_of",
    "loss_table",
    "main",
    "mark_of_parameters",
    "mask_seed_of",
    "missing_features",
    "n_forwards_of",
    "n_helpers",
    "n_steps",
    "network_of",
    "new_counts",
    "normal",
    "objective_of",
    "of_classes",
    "only_quick_paths",
    "optimizer_bytes",
    "padded_rows",
    "parameters_of",
    "planning",
    "prediction_work",
    "quick_prediction",
    "quick_predictor",
    "read_checkpoint_file",
    "read_data",
    "read_model_file",
    "replace_run",
    "replace_workers",
    "row_length",
    "rows",
    "run",
    "sharing",
    "show_progress",
    "spec_of",
    "state_of",
    "statistics",
    "step_by_step",
    "store_of",
    "structure",
    "table_of",
    "threads",
    "through_softmax",
    "uniform",
    "update_spec_of",
    "value_after",
    "values_of",
    "visits",
    "write_beside",
    "write_model_file",
]


def kernel_module(variant, dtype):
    """The compiled module of one instruction set and dtype."""
    return importlib.import_module(f"fastbackprop._kernels.{variant}_{dtype}")


def network_of(model):
    """The kernels' plan of a model."""
    return model._network


def alpha_of(layer):
    """The parameter of a layer's activation."""
    return layer._activation.alpha


def parameters_of(model):
    """The Parameters of a model: values, gradients, places."""
    return model._parameters


def store_of(model):
    """All parameters of a model and its running statistics, with padding: one buffer."""
    return model._parameters.store


def mark_of_parameters(model):
    """What lives as long as the weights of a model: the array that they are in."""
    return model._parameters.values


def compiled_net(model, n_calls):
    """What a model's capsules come from, with scratch for so many calls at once."""
    return dispatch.kernels(model.dtype).CompiledNet(model._network, n_calls)


def mask_seed_of(model):
    """The 32 bits that a model's masks are drawn with."""
    return model._parameters.seed


def n_forwards_of(model):
    """How many training forwards a model has done."""
    return model._parameters.n_forwards


def values_of(model):
    """All parameters of a model with the padding of rows: the very buffer that is trained."""
    return model._parameters.values


def update_spec_of(optimizer, module):
    """An optimizer's settings as a module of the kernels takes them."""
    return module.UpdateSpec(
        optimizer._kind, **optimizer._fixed, **optimizer._flags, **optimizer._spec_numbers()
    )


def composed_after(schedule, history):
    """What a schedule with a ReduceOnPlateau inside is after the epochs of a history."""
    return schedule._at(history)


def value_after(plateau, history):
    """What a ReduceOnPlateau is for the epoch that follows those of a history."""
    return plateau._at(history).initial


def state_of(optimizer, model):
    """The OptimizerState for a model."""
    return optimizer._state(model._parameters)


def optimizer_bytes(trainer):
    """What a trainer's optimizer keeps, without the padding of rows, in which nothing counts."""
    parameters = trainer.model._parameters
    state = trainer.optimizer._state(parameters)
    planes = [flat_of(parameters, plane).tobytes() for plane in state.planes]
    return state.buffer[: -state.planes.size or None].tobytes() + b"".join(planes)


def n_steps(trainer):
    """How many steps a trainer's optimizer has done, as the kernels count them."""
    return state_of(trainer.optimizer, trainer.model).n_steps


def generator_of(trainer):
    """Where a trainer's order of rows comes from."""
    return trainer._fitting.generator


def at_pauses(trainer, listener):
    """Call the listener after each call of the kernels, a step or many; give it to ``resume``."""

    class AtPauses(Callback):
        def _after_steps(self, trainer, n_rows):
            listener()

    trainer._callbacks = (AtPauses(),)


def step_by_step(monkeypatch):
    """Let a call of the kernels be a single step."""
    monkeypatch.setattr(visits, "OPERATIONS_PER_CALL", 1.0)
    monkeypatch.setattr(visits, "LONGEST_CALL", 0.0)  # however long coming back takes


def table_of(diagnosis):
    """The table of layers on the page of a Diagnosis."""
    return diagnosis._layers_html()


def described_in_file(model):
    """What a model's file says: tensors, text, version."""
    return model._in_file()


def prediction_work(model, X, n_threads):
    """A Work that predicts X, and where its outputs go."""
    out = aligned_zeros(len(X) * model.n_out, model.dtype).reshape(len(X), model.n_out)
    scratch = aligned_zeros(n_threads * model._network.predict_scratch_size, model.dtype)
    module = dispatch.kernels(model.dtype)
    return module.PredictionWork(model._network, X, out, scratch, n_threads=n_threads), out


def quick_predictor(model, n_calls):
    """The short way of predict, with scratch for so many threads at once."""
    return dispatch.kernels(model.dtype).QuickPredictor(model._network, n_calls=n_calls)


def quick_prediction(model, X):
    """What predict tries first; None where it isn't for these rows."""
    return model._quick(X, True)


class LongWayError(Exception):
    """What ``only_quick_paths`` lets every long way raise."""


def only_quick_paths(monkeypatch):
    """Let whatever isn't done by a quick path raise LongWayError."""

    def refuse(*arguments, **options):
        raise LongWayError

    for place, name in (
        (base.TrainerBase, "_samples"),
        (trainer, "as_samples"),
        (Sequential, "_as_rows"),
        (passes, "as_numeric"),
        (Loss, "_prediction"),
        (Optimizer, "_step"),
    ):
        monkeypatch.setattr(place, name, refuse)


def leave_quick_paths(model, loss=None):
    """Let the next calls of a model, and of a loss by hand, take the long way."""
    model._parameters.n_changes += 1
    if loss is not None:
        object.__setattr__(loss, "_quick", ())


def lock_of(model):
    """The lock of a model."""
    return model._lock


def n_helpers():
    """How many helpers were started."""
    return threads._workers.n_started


def call_a_helper(work):
    """Let the next helper that is idle help with a Work."""
    threads._workers.calls.put(work)


def helpers_that_came():
    """The system's numbers of the helpers that have begun."""
    return threads._workers.come


def replace_workers(monkeypatch):
    """Begin without helpers; return who starts them."""
    monkeypatch.setattr(threads, "_workers", threads._Workers())
    return threads._workers


def cgroup_quota():
    """CPUs' worth of time of this process's control group, read anew."""
    return threads._cgroup_quota.__wrapped__()


def replace_run(monkeypatch, function):
    """Let training, predict and evaluate do their Works by ``function(work, n_threads)``."""
    for module in (loop, prediction):
        monkeypatch.setattr(module, "run", function)


def constraints_of(cls):
    """What an estimator's parameters may be, in scikit-learn's form."""
    return cls._parameter_constraints


def objective_of(estimator, X, y, sample_weight):
    """The loss and gradient that lbfgs would call for a fitted regressor."""
    from fastbackprop._estimators.data import Samples
    from fastbackprop._estimators.lbfgs import Objective

    network = estimator._network
    rule = estimator._loss_rule(network.model.dtype)
    return Objective(network, Samples(X, y, sample_weight), rule, estimator.alpha)
