"""What a checkpoint says of a trainer, and what is read from it again, checked."""

import math
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from fastbackprop._compare.losses import Loss
from fastbackprop._compare.own_loss import LossFunction, as_loss_or_function
from fastbackprop._core.buffers import Parameters, aligned_zeros
from fastbackprop._core.errors import ModelFileError
from fastbackprop._core.validation import check_integer, check_real, check_true_false
from fastbackprop._correct.describing import callables_in
from fastbackprop._correct.optimizer import Optimizer
from fastbackprop._model.builders import model_in_file
from fastbackprop._model.files import OF_TRAINER, one_line, read_checkpoint_file
from fastbackprop._model.sequential import Sequential
from fastbackprop._train.data import FitPlan
from fastbackprop._train.descriptions import (
    describe_loss,
    describe_optimizer,
    described_loss,
    described_optimizer,
)
from fastbackprop._train.fitting import Fitting
from fastbackprop._train.history import History
from fastbackprop._train.loop import Loop
from fastbackprop._train.packing import (
    Tensors,
    Unpacking,
    pack_generator,
    pack_room,
    pack_value,
    unpacked_generator,
)
from fastbackprop._train.pending import Pending, arguments_of, fingerprints_of
from fastbackprop._train.state import Sums, TrainingState

__all__ = ["Saved", "pack_fit", "pack_pending", "pack_trainer", "read_checkpoint"]

NOW = OF_TRAINER + "now"  # tensors of the optimizer's state, and of weights that aren't the model's
VERSION = 1  # of what is said of a trainer; FORMAT_VERSION is that of the file


def pack_trainer(
    tensors: Tensors,
    loop: Loop,
    fitting: Fitting,
    settings: dict[str, Any],
    history: History,
    weights_now: np.ndarray | None,
) -> dict[str, Any]:
    """Return what a checkpoint says of a trainer, whose arrays are added to the tensors.

    ``weights_now``: those that training goes on with, where the tensors have others.
    """
    parameters = loop.model._parameters
    state = loop.optimizer._state(parameters).buffer
    weights = settings["class_weight"]
    if isinstance(weights, Mapping):  # JSON's keys are text, labels needn't be
        pairs = ((k.item() if isinstance(k, np.generic) else k, x) for k, x in weights.items())
        settings = {**settings, "class_weight": [[label, float(x)] for label, x in pairs]}
    return {
        "version": VERSION,
        "loss": describe_loss(loop.loss),
        "optimizer": describe_optimizer(loop.optimizer),
        "optimizer_state": pack_room(tensors, NOW, parameters, weights_now, state),
        "settings": settings,
        "diagnoses_left": fitting.diagnoses_left,
        "generator": pack_generator(fitting.generator.__getstate__()),
        "history": history.__getstate__(),
        "fit": None,
    }


def pack_fit(
    tensors: Tensors, plan: FitPlan, state: TrainingState, stops: bool, loop: Loop
) -> dict[str, Any]:
    """Return what a checkpoint says of the fit at work."""
    best = state.best
    is_at_last = state.sums.row >= plan.data.n_used and not state.is_between_epochs
    is_now = best.epoch > 0 and best.is_now()
    pending = Pending(
        plan.epochs,
        state.epoch,
        state.random_state,
        state.sums,
        state.seconds,
        best.epoch,
        best.loss,
        best.start,
        best.room,
        arguments_of(plan),
        fingerprints_of(plan),
        plan.callbacks.states(),
        stops,
        loop.gradient_norm() if is_at_last else None,
    )
    return pack_pending(tensors, state.parameters, pending, best_is_now=is_now)


def pack_pending(
    tensors: Tensors, parameters: Parameters, pending: Pending, *, best_is_now: bool = False
) -> dict[str, Any]:
    """Return what a checkpoint says of a fit that goes on from here."""
    size = parameters.store.size
    rooms = {"start": pending.start}
    if pending.best_epoch and not best_is_now:
        rooms["best"] = pending.room
    return {
        "epochs": pending.epochs,
        "epoch": pending.epoch,
        "generator": pack_generator(pending.random_state),
        "sums": list(pending.sums),
        "seconds": pending.seconds,
        "best_epoch": pending.best_epoch,
        "best_loss": pending.best_loss,
        "best_is_now": best_is_now,
        "arguments": pending.arguments,
        "data": pending.data,
        "callbacks": pack_value(tensors, OF_TRAINER + "callbacks", pending.callbacks),
        "stops": pending.stops,
        "gradient_norm": pending.gradient_norm,
        **{
            name: pack_room(tensors, OF_TRAINER + name, parameters, room[:size], room[size:])
            for name, room in rooms.items()
        },
    }


class Saved(NamedTuple):
    """What a checkpoint holds; the optimizer has its state for the model.

    Parameters
    ----------
    model, loss, optimizer
        As a trainer takes them.
    settings : dict
        What else it takes.
    diagnoses_left : int
        Of the fitting.
    generator : object
        State of the one that the order of rows is drawn from.
    history : History
        Of the last fit, or the one at work.
    pending : Pending or None
        The fit at work.
    """

    model: Sequential
    loss: Loss | LossFunction
    optimizer: Optimizer
    settings: dict[str, Any]
    diagnoses_left: int
    generator: Any
    history: History
    pending: Pending | None


def read_checkpoint(path: str | os.PathLike[str], loss: Any, schedule: Any) -> Saved:
    """Return what a checkpoint holds, with what it can't hold: a user's callables."""
    tensors, description, trainer = read_checkpoint_file(path)
    if trainer is None:
        raise ModelFileError(
            f"{path} must be a checkpoint, got a model without a trainer; fastbackprop.load reads "
            f"it."
        )
    of_trainer = {name: tensors.pop(name) for name in list(tensors) if name.startswith(OF_TRAINER)}
    model = model_in_file(path, tensors, description)
    try:
        if trainer["version"] != VERSION:
            raise ValueError(f"its version must be {VERSION}, got {trainer['version']}")
        known_loss, callables = described_loss(trainer["loss"]), _callables(trainer["optimizer"])
    except Exception as error:
        raise _damaged(path, error) from error
    if loss is None and known_loss is None:
        raise ValueError(
            f"loss must be given: the checkpoint was written with a callable, "
            f"{one_line(trainer['loss']['own'])}, which a file can't hold."
        )
    schedules = _schedules(schedule, callables)
    try:
        return _unpacked(
            model, trainer, known_loss if loss is None else loss, schedules, of_trainer
        )
    except MemoryError:
        raise
    except Exception as error:  # what was read says anything, so that anything may be raised
        raise _damaged(path, error) from error


def _damaged(path: str | os.PathLike[str], error: Exception) -> ModelFileError:
    return ModelFileError(
        f"{path} is damaged: what it says of its trainer doesn't fit ({one_line(error)})."
    )


def _callables(optimizer: dict[str, Any]) -> dict[str, str]:
    """Return the names of the callables that stood for settings."""
    named = {setting: callables_in(value) for setting, value in optimizer.items()}
    return {setting: one_line(names[0]) for setting, names in named.items() if names}


def _schedules(schedule: Any, callables: dict[str, str]) -> dict[str, Any]:
    """Return the schedules that were given, by the setting they are for."""
    if isinstance(schedule, Mapping):
        schedules = dict(schedule)
    elif schedule is None:
        schedules = {}
    else:
        schedules = {next(iter(callables), "learning_rate"): schedule}
    for setting, name in callables.items():
        if setting not in schedules:
            raise ValueError(
                f"schedule must be given for {setting}: the checkpoint was written with a "
                f"callable, {name}, which a file can't hold."
            )
    return schedules


def _unpacked(
    model: Sequential, trainer: dict[str, Any], loss: Any, schedules: dict[str, Any],
    tensors: Tensors,
) -> Saved:  # fmt: skip
    parameters = model._parameters
    optimizer = described_optimizer(trainer["optimizer"], schedules)
    state = optimizer._state(parameters).buffer
    unpacking = Unpacking(tensors, parameters)
    other_weights = parameters.store if f"{NOW}.parameters" in tensors else None
    unpacking.room(NOW, trainer["optimizer_state"], other_weights, state)
    if not np.isfinite(parameters.store).all():
        raise ValueError("weights must be finite")
    settings = trainer["settings"]
    if isinstance(settings["class_weight"], list):
        settings = {**settings, "class_weight": dict(settings["class_weight"])}
    figures = {name: [float(x) for x in values] for name, values in trainer["history"].items()}
    if len({len(values) for values in figures.values() if values}) > 1:
        raise ValueError("all figures of the history must be of as many epochs")
    history = History(**figures)
    fit = trainer["fit"]
    pending = None if fit is None else _pending(fit, unpacking, state, parameters, history)
    if unpacking.tensors:
        raise ValueError(f"no use for {', '.join(unpacking.tensors)}")
    return Saved(
        model, as_loss_or_function(loss), optimizer, settings,
        check_integer("diagnoses_left", trainer["diagnoses_left"], at_least=0),
        unpacked_generator(trainer["generator"]), history, pending,
    )  # fmt: skip


def _pending(
    fit: dict[str, Any], unpacking: Unpacking, state: np.ndarray, parameters: Any, history: History
) -> Pending:
    """Return the fit at work, with numbers that are possible."""
    best_epoch = check_integer("best_epoch", fit["best_epoch"], at_least=0)
    start, room = _rooms(fit, unpacking, state, parameters, best_epoch)
    arguments, data = fit["arguments"], fit["data"]
    validation, norm = data["validation_data"], fit.get("gradient_norm")  # older files have none
    pending = Pending(
        check_integer("epochs", fit["epochs"]),
        check_integer("epoch", fit["epoch"]),
        unpacked_generator(fit["generator"]),
        _sums(*fit["sums"]),
        float(fit["seconds"]),
        best_epoch,
        float(fit["best_loss"]),
        start,
        room,
        {
            "batch_size": check_integer("batch_size", arguments["batch_size"]),
            "shuffle": check_true_false("shuffle", arguments["shuffle"]),
            "drop_last": check_true_false("drop_last", arguments["drop_last"]),
            "metrics": [str(name) for name in arguments["metrics"]],
        },
        {
            "X": _fingerprint(data["X"]),
            "validation_data": None if validation is None else _fingerprint(validation),
        },
        [_callback(x) for x in unpacking.value(fit["callbacks"])],
        check_true_false("stops", fit["stops"]),
        None if norm is None else check_real("gradient_norm", norm, at_least=0.0),
    )
    _check_place(pending, history)
    return pending


def _rooms(
    fit: dict[str, Any],
    unpacking: Unpacking,
    state: np.ndarray,
    parameters: Any,
    best_epoch: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights to go back to: of the start, and of the best epoch."""
    size = parameters.store.size
    start, room = (aligned_zeros(size + len(state), parameters.values.dtype) for _ in range(2))
    unpacking.room(OF_TRAINER + "start", fit["start"], start[:size], start[size:])
    if check_true_false("best_is_now", fit["best_is_now"]):
        parameters.save(state, room)
    elif best_epoch:
        unpacking.room(OF_TRAINER + "best", fit["best"], room[:size], room[size:])
    return start, room


def _check_place(pending: Pending, history: History) -> None:
    """Refuse a place that no fit comes to."""
    n_rows, arguments = pending.data["X"]["rows"], pending.arguments
    row, batch_size = pending.sums.row, arguments["batch_size"]
    n_used = n_rows // batch_size * batch_size if arguments["drop_last"] else n_rows
    if row > n_used or (row % batch_size and row < n_used):
        raise ValueError(f"row must be the first of a batch, got {row} of {n_used}")
    if pending.epoch - len(history) not in (0, 1) or pending.epoch > pending.epochs:
        raise ValueError(f"epoch must follow the {len(history)} of the history")


def _callback(stored: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(stored["state"], dict):
        raise TypeError("the state of a callback must be a dict")
    has_heard = check_true_false("has_heard", stored["has_heard"])
    return {**stored, "callback": str(stored["callback"]), "has_heard": has_heard}


def _fingerprint(packed: dict[str, Any]) -> dict[str, Any]:
    return {"rows": check_integer("rows", packed["rows"]), "sha256": str(packed["sha256"])}


def _sums(row: Any, cost: Any, n_right: Any) -> Sums:
    if isinstance(n_right, float):  # by the weights of samples
        n_right = check_real("n_right", n_right, at_least=0.0)
    else:
        n_right = check_integer("n_right", n_right, at_least=0)
    if not math.isfinite(cost) or (n_right > 2**53 and isinstance(n_right, int)):
        raise ValueError(f"sums must be finite, got {cost} and {n_right}")
    return Sums(check_integer("row", row, at_least=0), float(cost), n_right)
