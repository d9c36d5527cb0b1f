"""Trainer: the four steps over many batches, one call of the kernels for many steps."""

import copy
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastbackprop._compare.losses import Loss, Targets, as_loss
from fastbackprop._core.arithmetic import quotient
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.errors import DiagnosisWarning, DivergenceError
from fastbackprop._core.threads import OPERATIONS_PER_CALL, check_n_threads, run, share_of_work
from fastbackprop._core.validation import (
    as_matrix,
    as_numeric,
    check_integer,
    check_seed,
    check_true_false,
    same_length,
)
from fastbackprop._correct.optimizers import SGD, as_optimizer
from fastbackprop._model.sequential import Sequential
from fastbackprop._train.history import History
from fastbackprop._train.progress import show_progress

__all__ = ["Trainer"]

# The weights are copied every so many operations: a step that goes wrong is undone by
# repeating those since the last copy, to the same bits.
OPERATIONS_PER_SNAPSHOT = 2e10
# ... where each layer counts as this many more for each batch and row: its overhead.
OVERHEAD_PER_LAYER = 2000
OVERHEAD_PER_ROW = 200


WEIGHTS_NOT_FINITE = 2  # of the kernels' enum Outcome


class _Data(NamedTuple):
    """What steps are made of: rows and targets, in this order or their own, so many at a time."""

    rows: np.ndarray
    targets: Targets
    order: np.ndarray | None
    batch_size: int


class _Sums(NamedTuple):
    """Over the samples so far."""

    cost: float
    n_right: int


class Trainer:
    """Trains a model: predict, compare, blame, correct.

    Parameters
    ----------
    model : Sequential
        Trained in place.
    loss : str or Loss
        "half_squared_error", "mean_squared_error", "cross_entropy" (behind softmax),
        "binary_cross_entropy" (behind sigmoid), or an object.
    optimizer : str or SGD, default="sgd"
        "sgd" is ``SGD()`` with a learning rate of 0.01.
    batch_size : int, default=32
        Samples in a step of ``fit``; a last batch may be shorter.
    seed : int or None, default=None
        Of the shuffling; None takes one from the operating system.
    n_threads : int or None, default=None
        How many threads share the work. None takes FASTBACKPROP_NUM_THREADS or
        OMP_NUM_THREADS, else as many as a batch is worth, at most the CPUs that the
        process may use; 1,024 at most. The weights come out the same to the last bit.
    diagnose : bool, default=False
        Whether the first fit looks for what is wrong (see ``diagnose``), before it begins and again
        after the first epoch, and warns of it once by a DiagnosisWarning. The weights come out the
        same.

    Attributes
    ----------
    history : History
        Of the last fit, also where it was interrupted.

    Raises
    ------
    ValueError, TypeError
        If the loss doesn't fit the model's last layer, or an argument is out of range.

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
        loss: str | Loss,
        optimizer: str | SGD = "sgd",
        *,
        batch_size: int = 32,
        seed: int | None = None,
        n_threads: int | None = None,
        diagnose: bool = False,
    ) -> None:
        if not isinstance(model, Sequential):
            raise TypeError(f"model must be a Sequential, got {type(model).__name__}.")
        self._model = model
        self._loss = as_loss(loss)
        self._optimizer = as_optimizer(optimizer)
        self._batch_size = check_integer("batch_size", batch_size)
        self._loss._check_fits(model.layers[-1].activation, model.n_out)
        # Keyed apart from the weights, which may well be drawn from the same seed.
        self._generator = np.random.PCG64(np.random.SeedSequence(check_seed(seed), spawn_key=(1,)))
        self._n_threads = check_n_threads(n_threads)
        self._n_steps = 0
        self._diagnoses_left = 2 if check_true_false("diagnose", diagnose) else 0
        self.history = History()

    @property
    def model(self) -> Sequential:
        """The model that is trained."""
        return self._model

    @property
    def loss(self) -> Loss:
        """The loss."""
        return self._loss

    @property
    def optimizer(self) -> SGD:
        """The optimizer; its learning rate can be assigned."""
        return self._optimizer

    @property
    def batch_size(self) -> int:
        """Samples in a step of ``fit``."""
        return self._batch_size

    def _data(
        self,
        X: Any,
        y: Any,
        check_finite: bool,
        *,
        one_row: bool = False,
        names: tuple[str, str] = ("X", "y"),
    ) -> tuple[np.ndarray, Targets]:
        """X and y in the kernels' form, or a complaint; nothing has changed yet."""
        model, (x_name, y_name) = self._model, names
        rows = as_matrix(
            x_name,
            X,
            model.dtype,
            model.n_in,
            "the model's n_in",
            may_be_row=one_row,
            check_finite=check_finite,
        )
        if len(rows) == 0:
            raise ValueError(f"{x_name} must have at least one row, got 0.")
        targets = self._loss._targets(
            y, model.n_out, model.dtype, name=y_name, one_row=one_row, check_finite=check_finite
        )
        same_length(rows, targets, x_name, y_name)
        return rows, targets

    def _validation(self, pair: Any, check_finite: bool) -> tuple[np.ndarray, Targets]:
        """validation_data in the kernels' form, or a complaint that names it."""
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            got = f"{len(pair)} items" if isinstance(pair, tuple | list) else type(pair).__name__
            raise TypeError(f"validation_data must be a tuple (X, y), got {got}.")
        X, y = pair
        return self._data(X, y, check_finite, names=("validation X", "validation y"))

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        epochs: int = 1,
        batch_size: int | None = None,
        validation_data: tuple[Any, Any] | None = None,
        shuffle: bool = True,
        progress_bar: bool | None = None,
        on_epoch_end: Callable[[History], object] | None = None,
        check_finite: bool = True,
    ) -> History:
        """Train on all samples, again and again.

        Parameters
        ----------
        X : array-like of shape (n, n_in)
            Inputs; not copied if C-contiguous and of the model's dtype.
        y : array-like of shape (n,) or (n, n_out)
            For cross entropy integer labels (n,), one-hot or probabilities (n, n_out);
            else numbers, (n,) for one output.
        epochs : int, default=1
            How often each sample is used.
        batch_size : int, optional
            Instead of the trainer's, for this fit.
        validation_data : tuple (X, y), optional
            Evaluated after each epoch.
        shuffle : bool, default=True
            Whether each epoch takes the samples in a new order.
        progress_bar : bool, optional
            None shows one where standard error is a terminal.
        on_epoch_end : callable, optional
            Called with the history after each epoch.
        check_finite : bool, default=True
            Whether NaN and infinity are looked for in the data, and values of y
            outside of what the loss allows; labels are always checked.

        Returns
        -------
        History
            Also as ``trainer.history``, where an interrupted fit leaves what it had.

        Raises
        ------
        ValueError, TypeError
            If data or an argument doesn't fit; the model has not changed.
        DivergenceError
            If loss or weights stop being finite; the model keeps its last finite weights.
        RuntimeError
            If another thread trains the model.
        KeyboardInterrupt
            At Ctrl-C, after the step in hand; model and trainer can go on.
        """
        epochs = check_integer("epochs", epochs)
        size = self._batch_size if batch_size is None else check_integer("batch_size", batch_size)
        shuffle = check_true_false("shuffle", shuffle)
        rows, targets = self._data(X, y, check_finite)
        validation = (
            None if validation_data is None else self._validation(validation_data, check_finite)
        )
        if on_epoch_end is not None and not callable(on_epoch_end):
            raise TypeError(f"on_epoch_end must be callable, got {on_epoch_end!r}.")
        bar = show_progress(progress_bar, epochs * len(rows))
        order = np.empty(len(rows), np.int64) if shuffle else None
        history = History()
        self._model._acquire()
        try:
            self.history = history
            with bar:
                self._diagnose(rows, targets)
                for epoch in range(1, epochs + 1):
                    if order is not None:
                        # From the same start each time: two fits of one epoch are a fit of two.
                        order[:] = np.arange(len(order))
                        kernels(rows.dtype).shuffle(order, self._generator.random_raw(len(order)))
                    self._epoch(
                        _Data(rows, targets, order, min(size, len(rows))),
                        epoch,
                        history,
                        bar.update,
                        validation,
                    )
                    self._diagnose(rows, targets)
                    bar.set_postfix_str(f"epoch {epoch}, " + _shown(history), refresh=False)
                    if on_epoch_end is not None:
                        on_epoch_end(history)
        finally:
            history._drop_unfinished()
            self._model._release()
        return history

    def _diagnose(self, rows: np.ndarray, targets: Targets) -> None:
        """Warn once of what is wrong, if that was asked for."""
        if self._diagnoses_left == 0:
            return
        from fastbackprop._diagnose.diagnose import (
            look,
        )  # for those who ask: the import takes its time

        each = targets.labels if targets.values is None else targets.values
        assert each is not None
        shown = each if targets.labels is None else np.eye(self._model.n_out)[targets.labels]
        found = look(
            copy.deepcopy(self._model), rows, each, shown, self._loss, self._optimizer.learning_rate
        )
        self._diagnoses_left = 0 if found.findings else self._diagnoses_left - 1
        if found.findings:
            warnings.warn(str(found), DiagnosisWarning, stacklevel=3)

    def _epoch(
        self,
        data: "_Data",
        epoch: int,
        history: History,
        done: Callable[[int], object],
        validation: tuple[np.ndarray, Targets] | None,
    ) -> None:
        """One pass over the data, with its line in the history."""
        start = time.perf_counter()
        n = len(data.rows)
        sums = self._steps(data, epoch, done)
        seconds = time.perf_counter() - start
        history.loss.append(quotient(sums.cost, n))
        accuracy = self._accuracy(sums.n_right, n)
        if accuracy is not None:
            history.accuracy.append(accuracy)
        if validation is not None:
            checked = self._evaluate(*validation)
            history.validation_loss.append(checked["loss"])
            if "accuracy" in checked:
                history.validation_accuracy.append(checked["accuracy"])
        history.seconds.append(seconds)  # last: see History._drop_unfinished

    def _steps(
        self, data: "_Data", epoch: int | None, done: Callable[[int], object] | None = None
    ) -> "_Sums":
        """All steps over the data, a few milliseconds to a call; the last finite weights stay."""
        n, size = len(data.rows), data.batch_size
        operations = self._operations(min(size, n))
        per_call = size * max(1, int(OPERATIONS_PER_CALL / operations))
        per_snapshot = size * max(1, int(OPERATIONS_PER_SNAPSHOT / operations))
        settings = (
            self._optimizer._spec()
        )  # once: the learning rate of an epoch is that of its start
        velocity = self._optimizer._velocity(self._model._parameters)
        sums = _Sums(0.0, 0)
        saved = -per_snapshot
        self._model._acquire()
        try:
            self._model._begin(min(size, n))
            for first in range(0, n, per_call):
                if first - saved >= per_snapshot:
                    self._model._parameters.save(velocity)
                    saved = first
                last = min(first + per_call, n)
                outcome, cost, n_right, start, layer = self._call(
                    data, first, last, settings, velocity, sums
                )
                if outcome:
                    if outcome == WEIGHTS_NOT_FINITE:
                        self._model._parameters.restore(velocity)
                        for again in range(saved, start, per_call):
                            self._call(
                                data, again, min(again + per_call, start), settings, velocity, sums
                            )
                    batch = start // size + 1 if epoch is not None else self._n_steps + 1
                    raise self._divergence(outcome != WEIGHTS_NOT_FINITE, epoch, batch, layer)
                sums = _Sums(cost, n_right)
                self._n_steps += -(-(last - first) // size)
                if done is not None:
                    done(last - first)
        finally:
            self._model._release()
        return sums

    def _call(
        self,
        data: "_Data",
        first: int,
        last: int,
        settings: tuple[float, float, bool, float],
        velocity: np.ndarray | None,
        sums: "_Sums",
    ) -> Any:
        """Steps over the rows [first, last), in one call of the kernels."""
        model, targets = self._model, data.targets
        n_threads, crowded = share_of_work(
            self._n_threads, self._operations(min(data.batch_size, last - first))
        )
        work = kernels(model.dtype).TrainingWork(
            model._network, data.rows, targets.values, targets.labels, data.order,
            first, last, data.batch_size, self._loss._spec(model.n_out), settings, velocity,
            sums.cost, sums.n_right, n_threads, crowded,
        )  # fmt: skip
        return run(work, n_threads)

    def _divergence(
        self, is_loss: bool, epoch: int | None, batch: int, layer: int
    ) -> DivergenceError:
        what = (
            "The loss stopped being finite"
            if is_loss
            else "A step would have made weights infinite or NaN"
        )
        when = f"step {batch}" if epoch is None else f"epoch {epoch}, batch {batch}"
        return DivergenceError(
            f"{what} in {when}, first in layer {layer} (model.layers[{layer}], "
            f"{self._model.layers[layer]!r}); "
            f"the model keeps its last finite weights. "
            f"Try a smaller learning rate than {self._optimizer.learning_rate:g}, or scale the "
            f"inputs.",
            epoch or 1,
            batch,
            layer,
        )

    def _operations(self, n_rows: int) -> float:
        """Floating-point operations of one training step, and its overhead in the same unit."""
        overhead = len(self._model._layers) * (OVERHEAD_PER_LAYER + n_rows * OVERHEAD_PER_ROW)
        return 6.0 * n_rows * self._model._n_parameters + overhead

    def _accuracy(self, n_right: int, n_rows: int) -> float | None:
        if not self._loss.is_classification:
            return None
        outputs = 1 if self._loss.activation == "softmax" else self._model.n_out
        return quotient(n_right, n_rows * outputs)

    def step(self, X: Any, y: Any, *, check_finite: bool = True) -> float:
        """One step on one batch: predict, compare, blame, correct.

        Parameters
        ----------
        X : array-like of shape (n, n_in) or (n_in,)
            The batch, or one sample.
        y : array-like
            As in ``fit``; for one sample (n_out,), or one label.
        check_finite : bool, default=True
            Whether NaN and infinity are looked for in the data, and values of y
            outside of what the loss allows; labels are always checked.

        Returns
        -------
        float
            The cost, as it was before the step.

        Raises
        ------
        ValueError, TypeError, DivergenceError
            As in ``fit``.
        """
        X = as_numeric("X", X)
        rows, targets = self._data(X, y, check_finite, one_row=X.ndim == 1)
        sums = self._steps(_Data(rows, targets, None, len(rows)), None)
        return quotient(sums.cost, len(rows))

    def evaluate(self, X: Any, y: Any, *, check_finite: bool = True) -> dict[str, float]:
        """Compare the model's predictions with y, without training.

        Parameters
        ----------
        X, y : array-like
            As in ``fit``.
        check_finite : bool, default=True
            Whether NaN and infinity are looked for in the data, and values of y
            outside of what the loss allows; labels are always checked.

        Returns
        -------
        dict
            ``loss``, the mean cost, and for classification ``accuracy``: the share of
            samples (with binary cross entropy: of outputs) that were right.

        Raises
        ------
        ValueError, TypeError
            As in ``fit``.
        """
        return self._evaluate(*self._data(X, y, check_finite))

    def _evaluate(self, rows: np.ndarray, targets: Targets) -> dict[str, float]:
        model, spec = self._model, self._loss._spec(self._model.n_out)
        per_call = max(1, int(OPERATIONS_PER_CALL / self._operations(64))) * 64
        n_threads, crowded = share_of_work(
            self._n_threads, 2.0 * min(per_call, len(rows)) * model.n_parameters
        )
        costs = np.empty(min(per_call, len(rows)), rows.dtype)
        cost, n_right, kernel = 0.0, 0, kernels(rows.dtype)
        with model._scratch(n_threads) as scratch:
            for first in range(0, len(rows), per_call):
                part, these = targets[first : first + per_call], costs[: len(rows) - first]
                work = kernel.PredictionWork(
                    model._network, rows[first : first + per_call], None, scratch,
                    part.values, part.labels, spec, these, n_threads, crowded,
                )  # fmt: skip
                n_right += run(work, n_threads)
                cost = kernel.sum_costs(these, cost)
        result = {"loss": quotient(cost, len(rows))}
        accuracy = self._accuracy(n_right, len(rows))
        if accuracy is not None:
            result["accuracy"] = accuracy
        return result

    def __getstate__(self) -> dict[str, Any]:
        velocity = self._optimizer._velocity(self._model._parameters)
        return {**self.__dict__, "velocity": velocity}

    def __setstate__(self, state: dict[str, Any]) -> None:
        kept = state.pop("velocity")
        self.__dict__.update(state)
        velocity = self._optimizer._velocity(self._model._parameters)
        if velocity is not None:
            velocity[:] = kept

    def __repr__(self) -> str:
        return (
            f"Trainer({self._model!r}, loss={self._loss.name!r}, {self._optimizer!r}, "
            f"batch_size={self._batch_size})"
        )


def _shown(history: History) -> str:
    """The last loss and, for classification, accuracy: of validation where there is one."""
    figures = {
        "loss": history.validation_loss or history.loss,
        "accuracy": history.validation_accuracy or history.accuracy,
    }
    prefix = "val. " if history.validation_loss else ""
    return ", ".join(
        f"{prefix}{name} {values[-1]:.4f}" for name, values in figures.items() if values
    )
