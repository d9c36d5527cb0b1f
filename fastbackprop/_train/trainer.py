"""Trainer: the four steps over many batches, one call of the kernels for many steps."""

import copy
import os
from collections.abc import Callable, Iterable
from functools import partial
from logging import Logger, LoggerAdapter
from typing import Any, Self

import numpy as np

from fastbackprop._compare.losses import Loss, Targets
from fastbackprop._compare.own_loss import LossFunction, OwnLoss, as_loss_or_function
from fastbackprop._compare.samples import as_samples
from fastbackprop._compare.weights import ClassWeight
from fastbackprop._core.arrays import feature_names
from fastbackprop._core.copies import own_attributes, set_own_attributes
from fastbackprop._core.errors import ModelFileError
from fastbackprop._core.finite import check_weights
from fastbackprop._core.lock import run_then
from fastbackprop._core.random import RawWords
from fastbackprop._core.rows import Rows
from fastbackprop._core.threads import check_n_threads
from fastbackprop._core.validation import (
    check_integer,
    check_like,
    check_real,
    check_seed,
    check_true_false,
)
from fastbackprop._correct.clipping import Clipping, check_limit
from fastbackprop._correct.optimizer import Optimizer
from fastbackprop._correct.optimizers import as_optimizer
from fastbackprop._model.files import one_line, write_model_file
from fastbackprop._model.sequential import Sequential
from fastbackprop._train.best import BestWeights
from fastbackprop._train.callback import Callback
from fastbackprop._train.callbacks import as_callbacks, with_those_of_resume
from fastbackprop._train.class_weights import ClassWeights, check_classes_of
from fastbackprop._train.data import FitPlan, TrainingData
from fastbackprop._train.evaluation import evaluate
from fastbackprop._train.fitting import Fitting
from fastbackprop._train.history import History
from fastbackprop._train.loop import Loop
from fastbackprop._train.measures import MetricFunction, as_measures, check_targets
from fastbackprop._train.outcome import warn_of_useless_fit
from fastbackprop._train.pending import Pending
from fastbackprop._train.planning import plan_fit
from fastbackprop._train.rate_search import LearningRateSearch, check_sweep
from fastbackprop._train.saving import pack_fit, pack_trainer, read_checkpoint
from fastbackprop._train.state import TrainingState
from fastbackprop._train.streaming import fit_stream, plan_stream

__all__ = ["Trainer"]


class Trainer:
    """Trains a model: predict, compare, blame, correct.

    Parameters
    ----------
    model : Sequential
        The model to train, in place.
    loss : str, Loss or callable
        The loss to make small, by name: "half_squared_error", "mean_squared_error",
        "mean_absolute_error", "huber", "log_cosh", "quantile", "gaussian_nll", "hinge", "poisson"
        (behind exp), "cross_entropy", "focal_cross_entropy" (behind softmax),
        "binary_cross_entropy" (behind sigmoid); an object; or a callable of your own:
        ``cost, d_y_hat = loss(y_hat, y)``, the mean over the rows of a batch and its gradient. It
        gets the rows of y as they are, and costs a call of Python in each step.
    optimizer : str or Optimizer, default="sgd"
        "sgd", "adam", "adamw", "nadam", "rmsprop", "adagrad", "lion" or "rprop" with its default
        settings, or an object like ``SGD(0.1)``.
    batch_size : int, default=32
        Number of samples in a step of ``fit``; a last batch may be shorter.
    seed : int or None, default=None
        Seed for shuffling the rows; None takes one from the operating system.
    n_threads : int or None, default=None
        Number of threads that share the work; 1,024 at most. None takes as many as a batch is
        worth, at most the CPUs that the process may use, and at most what FASTBACKPROP_NUM_THREADS
        or else OMP_NUM_THREADS says. The weights come out the same to the last bit.
    class_weight : None, "balanced" or dict, default=None
        How much samples of each class count in training, on top of their own weights: by label,
        1 for classes that the dict doesn't name. "balanced" gives each class the same weight
        together, n / (number of classes * samples of this class), by the samples of a fit.
        Validation and metrics don't know of it.
    diagnose : bool, default=False
        Whether the first fit looks for what is wrong (see ``diagnose``), before it begins and again
        after the first epoch, and warns of it once by a DiagnosisWarning. The weights come out the
        same.
    clip_value : float or None, default=None
        The largest size of each gradient by itself, above 0; applied before clip_norm.
    clip_norm : float or None, default=None
        The largest norm of all gradients of a step together, above 0: where it is larger, all are
        multiplied by the same factor.
    classes : sequence, optional
        The labels of y: text, True and False, or any integers, in the order of the outputs; for one
        output those of no and yes. They become the model's, instead of what ``fit`` would learn:
        for ``step``, which sees no data but a batch.

    Attributes
    ----------
    history : History
        The figures of the last fit, also where it was interrupted.
    stop_training : bool
        Whether the fit ends after the step at work: a callback or another thread may set it. Each
        fit begins with False.

    Raises
    ------
    ValueError, TypeError
        If the loss doesn't fit the model's last layer, an argument is out of range, or the model's
        dtype can't hold a setting of the optimizer.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> model = fb.mlp([2, 8, 1], activation="tanh", output_activation="sigmoid", seed=1)
    >>> sgd = fb.SGD(0.5, momentum=0.9)
    >>> trainer = fb.Trainer(model, loss="binary_cross_entropy", optimizer=sgd, seed=1)
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> history = trainer.fit(X, y, epochs=200)
    >>> trainer.evaluate(X, y)["accuracy"]
    1.0
    """

    stop_training = False
    _state: TrainingState | None = None  # of the fit at work
    _plan: FitPlan | None = None  # of that, too
    _pending: Pending | None = None  # the fit that the next one goes on with
    _callbacks: tuple[Callback, ...] = ()  # that were given to resume, for the next fit

    def __init__(
        self,
        model: Sequential,
        loss: str | Loss | LossFunction,
        optimizer: str | Optimizer = "sgd",
        *,
        batch_size: int = 32,
        seed: int | None = None,
        n_threads: int | None = None,
        class_weight: ClassWeight = None,
        diagnose: bool = False,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        classes: Any = None,
    ) -> None:
        if not isinstance(model, Sequential):
            raise TypeError(f"model must be a Sequential, got {type(model).__name__}.")
        self._model = model
        self._loss = as_loss_or_function(loss)
        self._optimizer = as_optimizer(optimizer)
        self._batch_size = check_integer("batch_size", batch_size)
        self._loss._check_fits(model.layers[-1].activation, model.n_out)
        self._optimizer._spec(model.dtype)
        # Keyed apart from the weights, which may well be drawn from the same seed.
        generator = RawWords(np.random.SeedSequence(check_seed(seed), spawn_key=(1,)))
        named = check_classes_of(self._loss, model, classes)
        self._class_weights = ClassWeights(
            class_weight, self._loss, model.n_out, named or model._classes
        )
        clipping = Clipping(
            check_limit("clip_value", clip_value, model.dtype),
            check_limit("clip_norm", clip_norm, model.dtype),
        )
        threads = check_n_threads(n_threads)
        self._loop = Loop(model, self._loss, self._optimizer, threads, clipping)
        self._fitting = Fitting(self._loop, generator, check_true_false("diagnose", diagnose))
        self.history = History()
        self._settings = {
            "batch_size": self._batch_size,
            "n_threads": n_threads,
            "class_weight": class_weight,
            "clip_value": clip_value,
            "clip_norm": clip_norm,
        }
        model._learn(named)

    @property
    def model(self) -> Sequential:
        """The model that is trained."""
        return self._model

    @property
    def loss(self) -> Loss | LossFunction:
        """The loss, or the callable that was given for it."""
        return self._loss.function if isinstance(self._loss, OwnLoss) else self._loss

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer; its learning rate can be assigned."""
        return self._optimizer

    @property
    def batch_size(self) -> int:
        """Number of samples in a step of ``fit``."""
        return self._batch_size

    def _data(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        check_finite: bool,
        *,
        is_step: bool = False,
    ) -> tuple[np.ndarray | Rows, Targets]:
        """X and y in the kernels' form, or a complaint; nothing has changed yet."""
        rows, targets = self._samples(X, y, sample_weight, check_finite, is_step=is_step)
        return rows, self._class_weights.on(targets, self._model.dtype, are_all=not is_step)

    def _samples(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        check_finite: bool,
        *,
        is_step: bool = False,
        scale: float = 1.0,
        which: str | None = None,
    ) -> tuple[np.ndarray | Rows, Targets]:
        """The same without weights of classes."""
        rows, targets = as_samples(
            self._model,
            self._loss,
            X,
            y,
            may_be_row=is_step,
            may_be_weightless=is_step,
            sample_weight=sample_weight,
            check_finite=check_finite,
            may_learn=not is_step,
            scale=scale,
            names=("X", "y") if which is None else (f"X of {which}", f"y of {which}"),
        )
        if is_step or rows.is_ready:
            return rows.whole(), targets
        rows.check()
        return rows.whole() if rows.is_ready else rows, targets

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        epochs: int = 1,
        batch_size: int | None = None,
        sample_weight: Any = None,
        validation_data: tuple[Any, ...] | None = None,
        validation_split: float = 0.0,
        metrics: Iterable[str | MetricFunction] = (),
        callbacks: Iterable[Callback] = (),
        shuffle: bool = True,
        drop_last: bool = False,
        progress_bar: bool | None = None,
        on_epoch_end: Callable[[History], object] | None = None,
        check_finite: bool = True,
        log: bool | str | Logger | LoggerAdapter | None = None,
        scale: float = 1.0,
    ) -> History:
        """Train on all samples, again and again; another fit goes on where this one has ended.

        Parameters
        ----------
        X : array-like of shape (n, n_in)
            Inputs; not copied. Rows of another dtype or layout than the kernels want (a file of
            uint8 that is mapped into memory, for instance), and those of a matrix of scipy.sparse,
            are converted batch by batch; the bits are those of the array converted beforehand.
        y : array-like of shape (n,) or (n, n_out)
            Targets: for cross entropy labels (n,), one-hot or probabilities (n, n_out); else
            numbers, (n,) for one output. Labels are indices of outputs where all are integers from
            0 to n_out - 1; or text, True and False, or any integers, whose sorted distinct ones
            become the model's ``classes`` if it has none. So are those of one output with binary
            cross entropy or hinge: 0 and 1, or two labels.
        epochs : int, default=1
            Number of times that each sample is used.
        batch_size : int, optional
            Number of samples in a step of this fit, instead of the trainer's.
        sample_weight : array-like of shape (n,), optional
            How much each sample counts, at least 0; None is 1 for each. Cost and gradient of a
            batch are divided by the sum of its weights, so weight 2 is the sample twice and weight
            0 is none; the loss of an epoch is the weighted mean over all its samples. A batch
            without weight counts as a step and changes nothing.
        validation_data : tuple (X, y) or (X, y, weights), optional
            Data that the model is evaluated on after each epoch, and the weights of its samples.
        validation_split : float, default=0
            Share of the samples that is taken for validation instead, and not trained on: drawn by
            the trainer's seed, the same in each fit on the same data, and of classes from each its
            share.
        metrics : iterable of str and callables, optional
            What is measured after each epoch besides the loss, on the training samples and on those
            for validation: "accuracy", "top_k", "balanced_accuracy", "f1", "roc_auc", "mae",
            "rmse", "r2" (see ``fastbackprop.metrics``; weighted where samples have weights), and
            functions ``metric(y, y_hat)``: labels or numbers, and outputs, both (n,) where there is
            one output. The history has them by name, as ``accuracy`` and ``validation_accuracy``.
            Those of training take a forward pass over the samples.
        callbacks : iterable of Callback, optional
            What is done besides: ``EarlyStopping``, ``TimeBudget``, ``WeightAveraging``, or your
            own.
        shuffle : bool, default=True
            Whether each epoch takes the samples in a new order.
        drop_last : bool, default=False
            Whether an epoch leaves out the samples behind its last whole batch; shuffled, those are
            others each time.
        progress_bar : bool, optional
            None shows one where standard error is a terminal, or in a notebook.
        on_epoch_end : callable, optional
            Function that is called with the history after each epoch, behind the callbacks.
        check_finite : bool, default=True
            Whether NaN and infinity are looked for in the data, and values of y
            outside of what the loss allows; labels are always checked.
        log : bool, str or Logger, optional
            A logger of Python's ``logging``, or its name, which gets the figures of each epoch at
            level INFO; True is that of "fastbackprop".
        scale : float, default=1.0
            What the numbers of X (and of the validation's) are multiplied by, in double, before
            they become the model's dtype: 1 / 255 for pixels of uint8. ``predict`` must be told
            the same.

        Returns
        -------
        History
            The figures of each epoch; also as ``trainer.history``, where an interrupted fit leaves
            what it had.

        Raises
        ------
        ValueError, TypeError
            If data or an argument doesn't fit; the model has not changed.
        DivergenceError
            If loss or weights stop being finite; weights and optimizer go back to the end of the
            epoch with the lowest loss so far, or to the start: in the first epoch, or where that
            epoch itself left weights that are worse than those of the start.
        RuntimeError
            If another thread trains the model.
        KeyboardInterrupt
            At Ctrl-C, after the step in hand, with a note on what is kept: all that was learned, or
            the best epoch's weights of ``EarlyStopping``. Model and trainer can go on.

        Warns
        -----
        TrainingWarning
            Once, if the loss has risen by more than noise can explain, or if after more than 10
            epochs and 100 steps the outputs are the same for all samples.

        Notes
        -----
        A gradient is one sum over the rows of its batch in the model's dtype: in float32, over a
        million rows of one sign, up to 1 % off, over ten million up to 14 %. Take batches of fewer
        than some 100,000 rows, or ``dtype="float64"``; see the notes of ``Sequential``.
        """
        scale = check_real("scale", scale)
        rows, targets = self._samples(X, y, sample_weight, check_finite, scale=scale)
        plan = plan_fit(
            self,
            rows,
            targets,
            epochs=epochs,
            batch_size=batch_size,
            validation_data=validation_data,
            validation_split=validation_split,
            metrics=metrics,
            callbacks=with_those_of_resume(callbacks, self._callbacks),
            shuffle=shuffle,
            drop_last=drop_last,
            progress_bar=progress_bar,
            on_epoch_end=on_epoch_end,
            check_finite=check_finite,
            log=log,
            features=feature_names(X),
            scale=scale,
        )
        if self._pending is not None:
            self._pending.check(plan)
        return self._model._lock.run(self._fit, plan)

    def _fit(self, plan: FitPlan) -> History:
        """Do it, in the model's lock."""
        self._model._learn(plan.data.targets.classes, plan.feature_names)
        parameters, data, callbacks = self._model._parameters, plan.data, plan.callbacks
        optimizer_state = self._optimizer._state(parameters)
        pending, self._pending, self._callbacks = self._pending, None, ()
        if pending is None:
            best = BestWeights(parameters, optimizer_state.buffer)
            n_rows = plan.epochs * data.n_used
            state = TrainingState(parameters, optimizer_state, best, plan.epochs, n_rows)
        else:
            state = pending.begin(parameters, optimizer_state, self.history, plan)
        outer, stops = (self._plan, self._state), self.stop_training  # of a fit around this one
        self._plan, self._state, self.stop_training = plan, state, False
        self.history = state.history
        try:
            run_then(partial(self._fitting.run, plan, state, pending), callbacks.settle)
        except KeyboardInterrupt as error:
            error.add_note(state.what_is_kept(callbacks.kept))
            raise
        finally:
            state.is_over = True
            callbacks.end()
            self._plan, self._state = outer
            self.stop_training = self.stop_training if outer[1] is None else stops
        losses = state.history.loss[: state.kept]
        warn_of_useless_fit(
            self._model, self._loss, data.rows, data.targets, losses, data.batch_size
        )
        return state.history

    def fit_batches(
        self,
        batches: Any,
        *,
        epochs: int = 1,
        validation_data: tuple[Any, ...] | None = None,
        metrics: Iterable[str | MetricFunction] = (),
        callbacks: Iterable[Callback] = (),
        progress_bar: bool | None = None,
        on_epoch_end: Callable[[History], object] | None = None,
        check_finite: bool = True,
        log: bool | str | Logger | LoggerAdapter | None = None,
    ) -> History:
        """Train on batches as they come: from files, generators, other libraries' loaders.

        Parameters
        ----------
        batches : iterable
            Tuples or lists (X, y) or (X, y, weights) as for ``step``, each of which is one step:
            ``Batches``, a list, a torch DataLoader, a generator; or a function that returns such an
            iterable, which is called for each epoch.
        epochs : int, default=1
            Number of times that the batches are gone through.
        validation_data : tuple (X, y) or (X, y, weights), optional
            Data that the model is evaluated on after each epoch, as for ``fit``.
        metrics : iterable of str or callable
            Figures of the validation data, as for ``fit``; training records its loss, and for
            classification its accuracy.
        callbacks : iterable of Callback
            As for ``fit``.
        progress_bar : bool, optional
            None shows one where standard error is a terminal, or in a notebook.
        on_epoch_end : callable, optional
            Function that is called with the history after each epoch.
        check_finite : bool, default=True
            Whether NaN and infinity are looked for in each batch.
        log : bool, str or Logger, optional
            As for ``fit``.

        Returns
        -------
        History
            The figures of each epoch, as of ``fit``; its loss is the weighted mean over the rows of
            all batches.

        Raises
        ------
        ValueError, TypeError
            If an argument or the first batch doesn't fit, or ``epochs`` is more than 1 and the
            iterable can be used once: the model has not changed. If a later batch doesn't fit: the
            model keeps the steps before it.
        DivergenceError, RuntimeError, KeyboardInterrupt
            As in ``fit``.

        Notes
        -----
        Labels other than indices need ``Trainer(classes=[...])``, and a schedule that goes over the
        whole fit needs to know how long that is, by ``len(batches)`` or its own ``n_steps``.
        Memory is that of one batch, or of the blocks that ``Batches`` reads at a time.

        Examples
        --------
        >>> import numpy as np
        >>> import fastbackprop as fb
        >>> X = np.random.default_rng(0).normal(size=(100, 2))
        >>> trainer = fb.Trainer(fb.mlp([2, 1], seed=0), "mean_squared_error", seed=0)
        >>> batches = fb.Batches(X, X.sum(axis=1), batch_size=10, seed=0)
        >>> len(trainer.fit_batches(batches, epochs=3))
        3
        >>> history = trainer.fit_batches((x[None], [x.sum()]) for x in X)
        """
        plan = plan_stream(
            self,
            batches,
            epochs=epochs,
            validation_data=validation_data,
            metrics=metrics,
            callbacks=callbacks,
            progress_bar=progress_bar,
            on_epoch_end=on_epoch_end,
            check_finite=check_finite,
            log=log,
        )
        return self._model._lock.run(fit_stream, self, plan)

    def find_learning_rate(
        self,
        X: Any,
        y: Any,
        *,
        lowest: float = 1e-6,
        highest: float = 10.0,
        n_steps: int = 100,
        batch_size: int | None = None,
        sample_weight: Any = None,
    ) -> LearningRateSearch:
        """Try learning rates from small to large, a step with each, and suggest one.

        A copy is trained: model, optimizer and the trainer's random state stay as they are. The
        sweep ends early where the loss has risen for good. By Smith 2017, "Cyclical learning rates
        for training neural networks".

        Parameters
        ----------
        X, y : array-like
            Samples, as in ``fit``.
        lowest, highest : float, default=1e-6 and 10
            The first rate and the last.
        n_steps : int, default=100
            Number of rates to try, each as many times larger than the one before.
        batch_size : int, optional
            Number of samples in a step, instead of the trainer's.
        sample_weight : array-like of shape (n,), optional
            How much each sample counts, as in ``fit``.

        Returns
        -------
        LearningRateSearch
            ``suggestion``, and ``plot()`` to see what it comes from.

        Raises
        ------
        ValueError, TypeError
            If data or an argument doesn't fit.

        Examples
        --------
        >>> import numpy as np
        >>> import fastbackprop as fb
        >>> X = np.random.default_rng(0).normal(size=(500, 4))
        >>> trainer = fb.Trainer(fb.mlp([4, 8, 1], seed=0), "half_squared_error", seed=0)
        >>> search = trainer.find_learning_rate(X, X.sum(axis=1))
        >>> 1e-3 < search.suggestion < 1
        True
        """
        rates = check_sweep(lowest, highest, n_steps)
        size = self._batch_size if batch_size is None else check_integer("batch_size", batch_size)
        rows, targets = self._data(X, y, sample_weight, check_finite=True)
        twin = copy.deepcopy(self)
        data = TrainingData(rows, targets, np.empty(len(rows), np.int64), min(size, len(rows)))
        return twin._fitting.try_rates(data, rates)

    def reset(self) -> None:
        """Forget what former fits have left, but for the weights: begin training anew.

        The optimizer's state for this model becomes that of before its first step, the order of
        the rows and the masks of dropout begin again as the seeds have it, and the history is
        empty. Running statistics stay with the weights.

        Raises
        ------
        RuntimeError
            If another thread trains the model.

        Examples
        --------
        >>> import fastbackprop as fb
        >>> model = fb.mlp([2, 1], seed=0)
        >>> trainer = fb.Trainer(model, "half_squared_error", fb.SGD(0.1, momentum=0.9), seed=0)
        >>> start, data = model.get_parameters(), ([[0.0, 1.0], [1.0, 1.0]], [1.0, 2.0])
        >>> first = trainer.fit(*data, epochs=3).loss
        >>> trainer.reset()
        >>> model.set_parameters(start)
        >>> trainer.fit(*data, epochs=3).loss == first
        True
        """
        self._model._lock.run(self._reset)

    def _reset(self) -> None:
        self._optimizer._state(self._model._parameters).buffer.fill(0)
        self._model._parameters.n_forwards = 0
        self._fitting.generator.restart()
        self.history, self._pending, self._callbacks = History(), None, ()

    def save_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Write all that it takes to go on: model, optimizer state, random state and history.

        Called by a callback inside of ``fit``, it holds where that fit is too, in the middle of an
        epoch as well: ``resume`` reads it, and the same call of ``fit`` finishes it, with the same
        bits as if it had never stopped. ``fastbackprop.load`` reads the model alone.

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
            If the optimizer is of a class of your own.
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
        described = self._model._in_file()
        tensors = described.tensors
        packed = pack_trainer(tensors, self._loop, self._fitting, self._settings, self.history)
        if self._plan is not None and self._state is not None and not self._state.is_over:
            packed["fit"] = pack_fit(tensors, self._plan, self._state, self.stop_training)
        write_model_file(path, *described, trainer=packed)

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
            the same class that the fit had, in their order.

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
            Trainer.__init__(
                trainer, saved.model, saved.loss, saved.optimizer, seed=0, **saved.settings
            )
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

    def step(
        self, X: Any, y: Any, *, sample_weight: Any = None, check_finite: bool = True
    ) -> float:
        """One step on one batch: predict, compare, blame, correct.

        Parameters
        ----------
        X : array-like of shape (n, n_in) or (n_in,)
            The batch, or one sample.
        y : array-like
            Targets, as in ``fit``; for one sample (n_out,), or one label.
        sample_weight : array-like of shape (n,), optional
            How much each sample counts, as in ``fit``; all may be 0.
        check_finite : bool, default=True
            Whether NaN and infinity are looked for in the data, and values of y
            outside of what the loss allows; labels are always checked.

        Returns
        -------
        float
            The cost, as it was before the step.

        Raises
        ------
        ValueError, TypeError, RuntimeError
            As in ``fit``.
        DivergenceError
            If loss or weights stop being finite; the step is undone.
        """
        rows, targets = self._data(X, y, sample_weight, check_finite, is_step=True)
        data = TrainingData(rows, targets, None, len(rows))
        cost = self._model._lock.run(self._loop.step, data)
        return targets.mean_of(cost)

    def evaluate(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        metrics: Iterable[str | MetricFunction] = (),
        check_finite: bool = True,
        scale: float = 1.0,
    ) -> dict[str, float]:
        """Compare the model's predictions with y, without training.

        Parameters
        ----------
        X, y : array-like
            Samples, as in ``fit``.
        sample_weight : array-like of shape (n,), optional
            How much the cost of each sample counts, as in ``fit``; ``class_weight`` has no part in
            this.
        metrics : iterable of str and callables, optional
            What is measured besides, as in ``fit``; with the weights of samples, which accuracy
            that isn't asked for has not.
        check_finite : bool, default=True
            Whether NaN and infinity are looked for in the data, and values of y
            outside of what the loss allows; labels are always checked.
        scale : float, default=1.0
            What the numbers of X are multiplied by, as in ``fit``.

        Returns
        -------
        dict
            ``loss``, the mean cost, and for classification ``accuracy``: the share of
            samples (with binary cross entropy: of outputs) that were right; and the metrics by
            name. A loss that outgrows the model's dtype is infinite or NaN.

        Raises
        ------
        ValueError, TypeError
            As in ``fit``, or if a weight isn't finite.
        """
        samples = as_samples(
            self._model,
            self._loss,
            X,
            y,
            sample_weight=sample_weight,
            check_finite=check_finite,
            scale=check_real("scale", scale),
        )
        measures = as_measures(metrics, self._loss, self._model.n_out)
        check_targets(measures, self._loss, samples.targets)
        check_weights(self._model._parameters)
        return evaluate(self._model, self._loss, samples, self._loop.n_threads, measures)

    def __getstate__(self) -> dict[str, Any]:
        state = self._optimizer._state(self._model._parameters).buffer
        lock, values = self._model._lock, self._model._parameters.store
        # While another thread trains, weights and state must be copied at once to belong
        # together; else the weights that the model pickles are enough.
        arrays = [state, values] if lock.is_held_by_another() else [state]
        copies = lock.read(_copies, arrays)
        return {**own_attributes(self), "_state": None, "_plan": None, "arrays": copies}

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

    def __repr__(self) -> str:
        return (
            f"Trainer({self._model!r}, loss={self._loss.name!r}, {self._optimizer!r}, "
            f"batch_size={self._batch_size})"
        )


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
