"""What a trainer is made of, and how it looks at data: what all of its methods share."""

from typing import Any

import numpy as np

from fastbackprop._compare.losses import Loss, Targets
from fastbackprop._compare.own_loss import LossFunction, OwnLoss, as_loss_or_function
from fastbackprop._compare.samples import as_samples
from fastbackprop._compare.scaling import Scaling
from fastbackprop._compare.weights import ClassWeight
from fastbackprop._core.random import RawWords
from fastbackprop._core.rows import Rows
from fastbackprop._core.threads import check_n_threads
from fastbackprop._core.validation import check_integer, check_seed, check_true_false
from fastbackprop._correct.clipping import Clipping, check_limit
from fastbackprop._correct.optimizer import Optimizer
from fastbackprop._correct.optimizers import as_optimizer
from fastbackprop._model.sequential import Sequential
from fastbackprop._train.callback import Callback
from fastbackprop._train.class_weights import ClassWeights, check_classes_of
from fastbackprop._train.data import FitPlan
from fastbackprop._train.fitting import Fitting
from fastbackprop._train.history import History
from fastbackprop._train.loop import Loop
from fastbackprop._train.pending import Pending
from fastbackprop._train.quick import quick_step
from fastbackprop._train.split import split_rows
from fastbackprop._train.state import TrainingState

__all__ = ["TrainerBase"]


class TrainerBase:
    """The parts of a trainer."""

    stop_training = False
    _state: TrainingState | None = None  # of the fit at work
    _plan: FitPlan | None = None  # of that, too
    _pending: Pending | None = None  # the fit that the next one goes on with
    _callbacks: tuple[Callback, ...] = ()  # that were given to resume, for the next fit
    # The kernels' QuickStep and QuickEvaluation, once a call has made them.
    _quick_step: Any = None
    _quick_evaluation: Any = None

    def _set_up(
        self,
        model: Sequential,
        loss: str | Loss | LossFunction,
        optimizer: str | Optimizer,
        *,
        batch_size: int,
        seed: int | None,
        n_threads: int | None,
        class_weight: ClassWeight,
        clip_value: float | None,
        clip_norm: float | None,
        diagnose: bool = False,
        classes: Any = None,
    ) -> None:
        """Make the parts, or complain; the arguments are those of Trainer."""
        if not isinstance(model, Sequential):
            raise TypeError(f"model must be a Sequential, got {type(model).__name__}.")
        self._model = model
        self._loss = as_loss_or_function(loss)
        self._optimizer = as_optimizer(optimizer)
        self._batch_size = check_integer("batch_size", batch_size)
        model._check_loss(self._loss)
        self._optimizer._spec(model.dtype)
        seed = check_seed(seed)
        # Keyed apart from the weights, which may well be drawn from the same seed.
        generator = RawWords(np.random.SeedSequence(seed, spawn_key=(1,)))
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
            "seed": seed,
            "n_threads": n_threads,
            "class_weight": class_weight,
            "clip_value": clip_value,
            "clip_norm": clip_norm,
        }
        model._learn_loss(self._loss)
        model._learn(named)

    def _prepare_quick_step(self, n: int) -> None:
        """Let the next step over n rows, or a fit of one row, find what it needs at hand."""
        quick = self._quick_step
        if quick is None or not quick.suits(n):
            self._quick_step = quick_step(self, n) or quick

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
        scaling: Scaling | None = None,
    ) -> tuple[np.ndarray | Rows, Targets]:
        """X and y of all samples in the kernels' form, or a complaint; nothing has changed yet."""
        rows, targets = self._samples(X, y, sample_weight, True, scaling=scaling)
        return rows, self._class_weights.on(targets, self._model.dtype, are_all=True)

    def _scaling_for(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        check_finite: bool = True,
        scale: float = 1.0,
        share: float = 0.0,
    ) -> Scaling:
        """Return what the model scales by, or what it would by these samples, if it isn't fitted.

        ``share`` is the part of the samples that is for validation, and doesn't count. Nothing has
        changed yet.
        """
        model, n_targets = self._model, self._loss._n_targets(self._model.n_out)
        if model._is_fitted:
            return model._fitted_scaling(n_targets)
        rows, targets = as_samples(
            model, self._loss, X, y, sample_weight=sample_weight, check_finite=check_finite,
            may_learn=True, scale=scale, is_raw=True,
        )  # fmt: skip
        if share:
            train, _ = split_rows(targets, share, self._loss, self._fitting.generator, model.dtype)
            rows, targets = rows.chosen(train), targets[train]
        weighted = self._class_weights.on(targets, model.dtype, are_all=True)
        return model._first_scaling(rows, weighted, n_targets)

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
        scaling: Scaling | None = None,
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
            scaling=scaling,
            names=("X", "y") if which is None else (f"X of {which}", f"y of {which}"),
        )
        if is_step or rows.is_ready:
            return rows.whole(), targets
        rows.check()
        return rows.whole() if rows.is_ready else rows, targets
