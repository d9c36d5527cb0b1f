"""How a trainer fits: over arrays, over batches as they come, and to find a learning rate."""

import copy
from collections.abc import Callable, Iterable
from functools import partial
from logging import Logger, LoggerAdapter
from typing import Any

import numpy as np

from fastbackprop._core.arrays import feature_names
from fastbackprop._core.lock import run_then
from fastbackprop._core.validation import check_integer, check_real
from fastbackprop._train.base import TrainerBase
from fastbackprop._train.best import BestWeights, put_back
from fastbackprop._train.callback import Callback
from fastbackprop._train.callbacks import with_those_of_resume
from fastbackprop._train.data import FitPlan, TrainingData
from fastbackprop._train.history import History
from fastbackprop._train.measures import MetricFunction
from fastbackprop._train.outcome import warn_of_useless_fit
from fastbackprop._train.planning import plan_fit
from fastbackprop._train.quick import quick_fit
from fastbackprop._train.rate_search import LearningRateSearch, check_sweep
from fastbackprop._train.split import check_split
from fastbackprop._train.state import TrainingState
from fastbackprop._train.streaming import fit_stream, plan_stream

__all__ = ["Fits"]


class Fits(TrainerBase):
    """What trains for epochs."""

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

        The first one fits what a model scales its inputs and targets by, to the rows that it trains
        on; with targets that are scaled, losses are in their units, metrics in the user's.

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
            batch are divided by the sum of its weights, so weight 2 is the sample twice (but once
            in statistics of ``BatchNorm``) and weight 0 is none; loss and accuracy of an epoch are
            weighted means over all its samples. A batch without weight counts as a step and changes
            nothing.
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
        # One row and nothing besides, as online learning calls it.
        is_plain = (
            type(epochs) is int
            and type(scale) is type(validation_split) is float
            and (epochs, scale, validation_split) == (1, 1.0, 0.0)
            and all(x is None for x in (sample_weight, validation_data, on_epoch_end, log))
            and (callbacks, metrics) == ((), ())
            and (batch_size is None or (type(batch_size) is int and batch_size > 0))
            and (shuffle is True or shuffle is False)
            and drop_last is False
            and check_finite is True
        )
        if is_plain and self._quick_step is not None:
            history = quick_fit(self, X, y, shuffle, progress_bar)
            if history is not None:
                return history
        scale = check_real("scale", scale)
        share = check_split(validation_split, validation_data)
        scaling = self._scaling_for(X, y, sample_weight, check_finite, scale, share)
        rows, targets = self._samples(
            X, y, sample_weight, check_finite, scale=scale, scaling=scaling
        )
        plan = plan_fit(
            self,
            rows,
            targets,
            epochs=epochs,
            batch_size=batch_size,
            validation_data=validation_data,
            share=share,
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
            scaling=scaling,
            source=self._fitting.source_of(X, scale),
        )
        if self._pending is not None:
            self._pending.check(plan)
        history = self._model._lock.run(self._fit, plan)
        if is_plain and len(rows) == 1:
            self._prepare_quick_step(1)
        return history

    def _fit(self, plan: FitPlan) -> History:
        """Do it, in the model's lock."""
        self._model._learn(plan.data.targets.classes, plan.feature_names)
        if plan.scaling is not None and not self._model._is_fitted:
            self._model._learn_scaling(plan.scaling)
        parameters, data, callbacks = self._model._parameters, plan.data, plan.callbacks
        optimizer_state = self._optimizer._state(parameters)
        pending, resumed = self._pending, self._callbacks
        self._pending, self._callbacks = None, ()
        if pending is None:
            best = BestWeights(parameters, optimizer_state.buffer)
            n_rows = plan.epochs * data.n_used
            state = TrainingState(parameters, optimizer_state, best, plan.epochs, n_rows)
        else:
            state = pending.begin(parameters, optimizer_state, self.history, plan)
        before = None if pending is None else state.copy()  # there is no average yet
        outer, stops = (self._plan, self._state), self.stop_training  # of a fit around this one
        self._plan, self._state, self.stop_training = plan, state, False
        self.history = state.history
        try:
            run_then(partial(self._fitting.run, plan, state, pending), callbacks.settle)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                error.add_note(state.what_is_kept(callbacks.kept))
            if pending is not None and before is not None and pending.is_at(state):
                put_back(parameters, optimizer_state.buffer, before)
                self._pending, self._callbacks = pending, resumed
            raise
        finally:
            state.is_over = True
            callbacks.end()
            self._plan, self._state = outer
            if outer[1] is not None:
                self.stop_training, self.history = stops, outer[1].history
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
        Labels other than indices need ``Trainer(classes=[...])``, a model that scales needs
        ``model.fit_scaling``, and a schedule that goes over the whole fit needs to know how long
        that is, by ``len(batches)`` or its own ``n_steps``.
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
            callbacks=with_those_of_resume(callbacks, self._callbacks),
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
        scaling = self._scaling_for(X, y, sample_weight)
        rows, targets = self._data(X, y, sample_weight, scaling)
        twin = copy.deepcopy(self)
        data = TrainingData(rows, targets, np.empty(len(rows), np.int64), min(size, len(rows)))
        return twin._fitting.try_rates(data, rates)

    def reset(self) -> None:
        """Forget what former fits have left, but for the weights: begin training anew.

        The optimizer's state for this model becomes that of before its first step, the order of
        the rows and the masks of dropout begin again as the seeds have it, and the history is
        empty. Running statistics, and what inputs and targets are scaled by, stay with the weights.

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
