"""Trainer: the four steps over many batches, one call of the kernels for many steps."""

import reprlib
from collections.abc import Iterable
from typing import Any

from fastbackprop._compare.losses import Loss, Targets
from fastbackprop._compare.own_loss import LossFunction, OwnLoss
from fastbackprop._compare.samples import as_samples
from fastbackprop._compare.weights import ClassWeight
from fastbackprop._core.finite import check_weights
from fastbackprop._core.naming import unusual
from fastbackprop._core.validation import check_real
from fastbackprop._correct.optimizer import Optimizer
from fastbackprop._model.sequential import Sequential
from fastbackprop._train.data import TrainingData
from fastbackprop._train.evaluation import evaluate
from fastbackprop._train.fits import Fits
from fastbackprop._train.measures import MetricFunction, as_measures, check_targets
from fastbackprop._train.quick import quick_evaluation
from fastbackprop._train.storing import Storing

__all__ = ["Trainer"]


class Trainer(Fits, Storing):
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
        self._set_up(
            model,
            loss,
            optimizer,
            batch_size=batch_size,
            seed=seed,
            n_threads=n_threads,
            class_weight=class_weight,
            clip_value=clip_value,
            clip_norm=clip_norm,
            diagnose=diagnose,
            classes=classes,
        )

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

        Notes
        -----
        C-contiguous arrays of the model's dtype, and labels as integers, are taken as they are: a
        step of a small net is well below a microsecond then, and tens of them with anything that
        must be converted first. The same goes for ``predict`` and ``evaluate``, for the loop by
        hand, and for ``fit`` of one row.
        """
        quick = self._quick_step
        if quick is not None:
            cost = quick.step(X, y, sample_weight, check_finite)
            if cost is not None:
                return cost
        rows, targets = self._samples(X, y, sample_weight, check_finite, is_step=True)
        cost = self._step(rows, targets)
        self._prepare_quick_step(len(rows))
        return cost

    def _step(self, rows: Any, targets: Targets, of: tuple[int, int] | None = None) -> float:
        """Do it with samples that were checked, whose weights aren't those of classes yet.

        ``of``: as for ``Loop.step``.
        """
        targets = self._class_weights.on(targets, self._model.dtype, are_all=False)
        data = TrainingData(rows, targets, None, len(rows))
        cost = self._model._lock.run(self._loop.step, data, of)
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
            What is measured besides, as in ``fit``.
        check_finite : bool, default=True
            Whether NaN and infinity are looked for in the data, and values of y
            outside of what the loss allows; labels are always checked.
        scale : float, default=1.0
            What the numbers of X are multiplied by, as in ``fit``.

        Returns
        -------
        dict
            ``loss``, the mean cost, and for classification ``accuracy``: the share of
            samples (with binary cross entropy: of outputs) that were right, by their weights; and
            the metrics by name. A loss that outgrows the model's dtype is infinite or NaN.

        Raises
        ------
        ValueError, TypeError
            As in ``fit``, or if a weight isn't finite.
        """
        quick = self._quick_evaluation
        if quick is not None and metrics == () and type(scale) is float and scale == 1:
            figures = quick.evaluate(X, y, sample_weight, check_finite)
            if figures is not None:
                return figures
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
        figures = evaluate(self._model, self._loss, samples, self._loop.n_threads, measures)
        if quick is None or not quick.suits(len(samples.rows)):
            self._quick_evaluation = quick_evaluation(self, len(samples.rows)) or quick
        return figures

    def __repr__(self) -> str:
        words, labels = repr(self._loss), self._model.classes
        is_plain = isinstance(self._loss, OwnLoss) or words.endswith("()")
        loss = repr(self._loss.name) if is_plain else words
        more = unusual({name: (value, None) for name, value in self._settings.items()})
        if labels is not None:
            more += f", classes={reprlib.repr(labels.tolist())}"
        more += unusual({"diagnose": (self._fitting.diagnoses_left > 0, False)})
        return f"Trainer({self._model!r}, loss={loss}, {self._optimizer!r}{more})"
