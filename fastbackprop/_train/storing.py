"""A trainer in files and pickles."""

import os
from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from fastbackprop._compare.losses import Loss
from fastbackprop._core.copies import own_attributes, set_own_attributes
from fastbackprop._core.errors import ModelFileError
from fastbackprop._core.naming import layer_in_code
from fastbackprop._core.validation import check_like
from fastbackprop._correct.describing import callables_in, describe_schedule
from fastbackprop._correct.optimizer import Optimizer
from fastbackprop._model.descriptions import Description
from fastbackprop._model.files import one_line, write_model_file
from fastbackprop._model.sequential import Sequential
from fastbackprop._predict.plain import Dropout
from fastbackprop._train.base import TrainerBase
from fastbackprop._train.callback import Callback
from fastbackprop._train.callbacks import as_callbacks
from fastbackprop._train.fitting import Fitting
from fastbackprop._train.history import History
from fastbackprop._train.loop import Loop
from fastbackprop._train.saving import pack_fit, pack_pending, pack_trainer, read_checkpoint
from fastbackprop._train.state import validated_weights

__all__ = ["Storing"]

# What pickles must bring.
PARTS: dict[str, type] = {
    "_model": Sequential,
    "_loss": Loss,
    "_optimizer": Optimizer,
    "_loop": Loop,
    "_fitting": Fitting,
    "history": History,
    "_batch_size": int,
}


def _copies(arrays: list[np.ndarray]) -> list[np.ndarray]:
    return [array.copy() for array in arrays]


class Storing(TrainerBase):
    """What writes a trainer down, and takes it up again."""

    def save_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Write all that it takes to go on: model, optimizer state, random state and history.

        Called by a callback inside of ``fit``, it holds where that fit is too, in the middle of an
        epoch as well: ``resume`` reads it, and the same call of ``fit`` finishes it, with the same
        bits as if it had never stopped. ``fastbackprop.load`` reads the model alone, with the
        weights that validation sees: beside ``WeightAveraging`` the average.

        Parameters
        ----------
        path : str or path-like
            The file; replaced whole or left as it is, with its permissions, as by
            ``Sequential.save``.

        Raises
        ------
        ValueError
            If a weight isn't finite.
        TypeError
            If the optimizer is of a class of your own, or the rate of dropout a function.
        RuntimeError
            If a fit is at work and this is no callback of it.
        OSError, MemoryError
            As ``Sequential.save``.

        See Also
        --------
        resume : The way back.
        """
        state = self._state
        is_between_steps = state is None or state.is_at_rest or state.is_over
        if self._model._lock.is_held_by_another() or not is_between_steps:
            raise RuntimeError(
                "save_checkpoint must be called where no fit is at work, or by a callback of it at "
                "the end of a step, of an epoch or of the fit, got a call from elsewhere."
            )
        self._model._lock.run(self._save_checkpoint, path)

    def _save_checkpoint(self, path: str | os.PathLike[str]) -> None:
        for i, layer in enumerate(self._model.layers):
            if isinstance(layer, Dropout) and callables_in(describe_schedule(layer.rate)):
                raise TypeError(
                    f"the rate of {layer_in_code(i)} must be a number or a schedule of the library "
                    f"to be written to a checkpoint, got {layer!r}, a function that only this "
                    f"program knows."
                )
        described, weights = self._described()
        tensors = described.tensors
        packed = pack_trainer(
            tensors, self._loop, self._fitting, self._settings, self.history, weights
        )
        if self._plan is not None and self._state is not None and not self._state.is_over:
            packed["fit"] = pack_fit(
                tensors, self._plan, self._state, self.stop_training, self._loop
            )
        elif self._pending is not None:
            packed["fit"] = pack_pending(tensors, self._model._parameters, self._pending)
        write_model_file(path, *described, trainer=packed)

    def _described(self) -> tuple[Description, np.ndarray | None]:
        """Return what a file says of the model, with the weights that validation sees.

        Where these are an average, those that training goes on with come beside.
        """
        state, weights = self._state, None
        if state is None or state.is_over or state.average is None:
            return self._model._in_file(), None
        weights = state.parameters.store.copy()
        with validated_weights(state):
            described = self._model._in_file()
            tensors = {name: array.copy() for name, array in described.tensors.items()}
        return described._replace(tensors=tensors), weights

    @classmethod
    def resume(
        cls,
        path: str | os.PathLike[str],
        *,
        loss: Any = None,
        schedule: Any = None,
        callbacks: Iterable[Callback] = (),
    ) -> Self:
        """Return the trainer that a checkpoint holds, with its model; nothing in it is executed.

        If it was written inside of a fit, the next ``fit(X, y, epochs=n, ...)`` goes on with that
        one until there are n epochs, and returns the whole history; where nothing is left it
        returns at once. ``reset`` forgets that fit.

        Parameters
        ----------
        path : str or path-like
            A file that ``save_checkpoint`` wrote.
        loss : Loss or callable, optional
            The loss, where it was a callable of your own, which a file can't hold.
        schedule : schedule, callable or dict, optional
            What stood for the learning rate, where that was or had a callable of your own; a dict
            by names of settings where that was another one.
        callbacks : iterable of Callback, optional
            Callbacks of the next fit, besides those that it is given: they take over from those of
            the same class and settings that the fit had, or else of the same class, in their order.

        Returns
        -------
        Trainer
            It goes on with the same bits, on other threads and other instruction sets with FMA too.

        Raises
        ------
        ValueError, TypeError
            If a callable is missing.
        FileNotFoundError, ModelFileError, OSError, MemoryError
            As ``load``.

        Examples
        --------
        >>> import os, tempfile
        >>> import fastbackprop as fb
        >>> path = os.path.join(tempfile.mkdtemp(), "checkpoint.safetensors")
        >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]
        >>> trainer = fb.Trainer(fb.mlp([1, 1], seed=0), "half_squared_error", "adam", seed=0)
        >>> save = lambda history: len(history) == 2 and trainer.save_checkpoint(path)
        >>> whole = trainer.fit(X, y, epochs=5, on_epoch_end=save)
        >>> trainer = fb.Trainer.resume(path)
        >>> trainer.fit(X, y, epochs=5).loss == whole.loss
        True
        """
        callbacks = tuple(as_callbacks(callbacks, None))
        saved = read_checkpoint(path, loss, schedule)
        trainer = cls.__new__(cls)
        try:
            settings = {"seed": None, **saved.settings}  # which older files don't know
            trainer._set_up(saved.model, saved.loss, saved.optimizer, **settings)
        except (TypeError, ValueError) as error:
            if loss is not None or schedule is not None:
                raise
            raise ModelFileError(
                f"{path} is damaged: its trainer can't be made ({one_line(error)})."
            ) from error
        trainer._fitting.generator.__setstate__(saved.generator)
        trainer._fitting.diagnoses_left = saved.diagnoses_left
        trainer.history, trainer._pending = saved.history, saved.pending
        trainer._callbacks = callbacks
        return trainer

    def __getstate__(self) -> dict[str, Any]:
        state = self._optimizer._state(self._model._parameters).buffer
        lock, values = self._model._lock, self._model._parameters.store
        # While another thread trains, weights and state must be copied at once to belong
        # together; else the weights that the model pickles are enough.
        arrays = [state, values] if lock.is_held_by_another() else [state]
        copies = lock.read(_copies, arrays)
        own = own_attributes(self, {"_quick_step", "_quick_evaluation"})
        return {**own, "_state": None, "_plan": None, "arrays": copies}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what ``__getstate__`` gave, checked: parts of their kind that fit each other."""
        for name, kind in PARTS.items():
            if not isinstance(state.get(name), kind):
                got = type(state.get(name)).__name__
                raise TypeError(
                    f"{name.lstrip('_')} of a copied Trainer must be a {kind.__name__}, got {got}."
                )
        model, loss, optimizer = state["_model"], state["_loss"], state["_optimizer"]
        loss._check_fits(model.layers[-1].activation, model.n_out)
        parameters = model._parameters
        arrays = optimizer._state(parameters).buffer, parameters.store
        copies = state.get("arrays")
        for array, copy_of_array in zip(arrays, copies or [None], strict=False):
            check_like("optimizer state of a copied Trainer", copy_of_array, array)
        set_own_attributes(self, state, {"arrays"})
        for array, copy_of_array in zip(arrays, copies or (), strict=False):
            array[:] = copy_of_array
