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
from fastbackprop._core.finite import check_weights
from fastbackprop._core.random import RawWords
from fastbackprop._core.threads import check_n_threads, run, share_of_work
from fastbackprop._core.validation import (
    Rows,
    as_rows,
    check_integer,
    check_seed,
    check_true_false,
    same_length,
)
from fastbackprop._core.visits import Visits
from fastbackprop._correct.optimizers import SGD, as_optimizer
from fastbackprop._model.sequential import Sequential
from fastbackprop._train.best import BestWeights
from fastbackprop._train.causes import advice_after_divergence
from fastbackprop._train.history import History
from fastbackprop._train.outcome import warn_of_useless_fit
from fastbackprop._train.progress import figures_of, show_progress, wants_bar

__all__ = ["Trainer"]

# Each layer counts as this many operations more for each batch and row: its overhead.
OVERHEAD_PER_LAYER = 2000
OVERHEAD_PER_ROW = 200


WEIGHTS_NOT_FINITE = 2  # of the kernels' enum Outcome


class _Data(NamedTuple):
    """What steps are made of: rows and targets, in this order or their own, so many at a time."""

    rows: np.ndarray
    targets: Targets
    order: np.ndarray | None
    batch_size: int

    def as_rows(self) -> Rows:
        """Return the rows as ``evaluate`` takes them; they were checked."""
        return Rows("X", self.rows, self.rows.dtype, check_finite=False)


class _Sums(NamedTuple):
    """Over the samples so far."""

    cost: float
    n_right: int


class _Fit(NamedTuple):
    """What ``fit`` was asked for, checked."""

    data: _Data
    epochs: int
    validation: tuple[Rows, Targets] | None
    shows_bar: bool
    on_epoch_end: Callable[[History], object] | None


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
        How many threads share the work; 1,024 at most. None takes as many as a batch is
        worth, at most the CPUs that the process may use, and at most what
        FASTBACKPROP_NUM_THREADS or else OMP_NUM_THREADS says. The weights come out the
        same to the last bit.
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
        self._optimizer._spec(model.dtype)
        # Keyed apart from the weights, which may well be drawn from the same seed.
        self._generator = RawWords(np.random.SeedSequence(check_seed(seed), spawn_key=(1,)))
        self._n_threads = check_n_threads(n_threads)
        self._visits = Visits()
        self._n_steps = np.zeros(1, np.int64)  # counted by the kernels, which do them
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

    def _checked(
        self,
        X: Any,
        y: Any,
        check_finite: bool,
        *,
        may_be_row: bool = False,
        names: tuple[str, str] = ("X", "y"),
    ) -> tuple[Rows, Targets]:
        """X, whose rows are converted when they are asked for, and y in the kernels' form."""
        model, (x_name, y_name) = self._model, names
        rows, one_row = as_rows(
            x_name,
            X,
            model.dtype,
            model.n_in,
            "the model's n_in",
            may_be_row=may_be_row,
            check_finite=check_finite,
        )
        if len(rows) == 0:
            raise ValueError(f"{x_name} must have at least one row, got 0.")
        targets = self._loss._targets(
            y, model.n_out, model.dtype, name=y_name, one_row=one_row, check_finite=check_finite
        )
        same_length(rows, targets, x_name, y_name)
        return rows, targets

    def _data(
        self, X: Any, y: Any, check_finite: bool, *, may_be_row: bool = False
    ) -> tuple[np.ndarray, Targets]:
        """X and y in the kernels' form, or a complaint; nothing has changed yet."""
        rows, targets = self._checked(X, y, check_finite, may_be_row=may_be_row)
        return rows.whole(), targets

    def _validation(self, pair: Any, check_finite: bool) -> tuple[Rows, Targets]:
        """validation_data in the kernels' form, or a complaint that names it."""
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            got = f"{len(pair)} items" if isinstance(pair, tuple | list) else type(pair).__name__
            raise TypeError(f"validation_data must be a tuple (X, y), got {got}.")
        X, y = pair
        rows, targets = self._checked(X, y, check_finite, names=("validation X", "validation y"))
        rows.check()
        return rows, targets

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
            If loss or weights stop being finite; weights and optimizer go back to the end of the
            epoch with the lowest loss so far, or to the start: in the first epoch, or where that
            epoch itself left weights that are worse than those of the start.
        RuntimeError
            If another thread trains the model.
        KeyboardInterrupt
            At Ctrl-C, after the step in hand; model and trainer can go on.

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
        epochs = check_integer("epochs", epochs)
        size = self._batch_size if batch_size is None else check_integer("batch_size", batch_size)
        shuffle = check_true_false("shuffle", shuffle)
        rows, targets = self._data(X, y, check_finite)
        validation = (
            None if validation_data is None else self._validation(validation_data, check_finite)
        )
        if on_epoch_end is not None and not callable(on_epoch_end):
            raise TypeError(f"on_epoch_end must be callable, got {on_epoch_end!r}.")
        order = np.empty(len(rows), np.int64) if shuffle else None
        data = _Data(rows, targets, order, min(size, len(rows)))
        plan = _Fit(data, epochs, validation, wants_bar(progress_bar), on_epoch_end)
        return self._model._lock.run(self._fit, plan)

    def _fit(self, plan: _Fit) -> History:
        """Do it, in the model's lock."""
        data, parameters = plan.data, self._model._parameters
        self.history = history = History()
        best = BestWeights(parameters, self._optimizer._velocity(parameters))
        with show_progress(plan.shows_bar, plan.epochs * len(data.rows)) as bar:
            self._diagnose(data.rows, data.targets)
            for epoch in range(1, plan.epochs + 1):
                if plan.shows_bar:
                    bar.set_description_str(f"epoch {epoch}/{plan.epochs}", refresh=False)
                self._shuffle(data.order)
                self._epoch(data, epoch, history, best, bar.update, plan.validation)
                best.note(epoch, history.loss[-1])
                self._diagnose(data.rows, data.targets)
                if plan.shows_bar:
                    bar.set_postfix_str(figures_of(history), refresh=False)
                if plan.on_epoch_end is not None:
                    plan.on_epoch_end(history)
        warn_of_useless_fit(
            self._model, self._loss, data.rows, data.targets, history, data.batch_size
        )
        return history

    def _shuffle(self, order: np.ndarray | None) -> None:
        """Put the rows into a new order, from the same start each time.

        So two fits of one epoch are a fit of two.
        """
        if order is not None:
            order[:] = np.arange(len(order))
            kernels(self._model.dtype).shuffle(order, self._generator.random_raw(len(order)))

    def _diagnose(self, rows: np.ndarray, targets: Targets) -> None:
        """Warn once of what is wrong, if that was asked for."""
        if self._diagnoses_left == 0:
            return
        # For those who ask: the import takes its time.
        from fastbackprop._diagnose.diagnose import look
        from fastbackprop._explain.explain import Samples

        samples = Samples.of(rows, targets)
        rate = self._optimizer.learning_rate
        found = look(copy.deepcopy(self._model), samples, self._loss, rate)
        self._diagnoses_left = 0 if found.findings else self._diagnoses_left - 1
        if found.findings:
            warnings.warn(str(found), DiagnosisWarning, stacklevel=4)

    def _epoch(
        self,
        data: _Data,
        epoch: int,
        history: History,
        best: BestWeights,
        done: Callable[[int], object],
        validation: tuple[Rows, Targets] | None,
    ) -> None:
        """One pass over the data, with its line in the history."""
        start = time.perf_counter()
        n = len(data.rows)
        sums = self._steps(data, epoch, best, done)
        seconds = time.perf_counter() - start
        figures = {"loss": quotient(sums.cost, n)}
        accuracy = self._accuracy(sums.n_right, n)
        if accuracy is not None:
            figures["accuracy"] = accuracy
        if validation is not None:
            for name, value in self._evaluate(*validation).items():
                figures[f"validation_{name}"] = value
        history._note(**figures, seconds=seconds)

    def _steps(
        self,
        data: _Data,
        epoch: int | None,
        best: BestWeights | None,
        done: Callable[[int], object] | None = None,
    ) -> _Sums:
        """All steps over the data, a few milliseconds to a call, in the model's lock.

        ``best`` has what is put back where a step goes wrong; None stands for what was there before
        a single step.
        """
        n, size = len(data.rows), data.batch_size
        operations = self._operations(min(size, n))
        # Once: the learning rate of an epoch is that of its start.
        settings = self._optimizer._spec(self._model.dtype)
        velocity = self._optimizer._velocity(self._model._parameters)
        parameters, sums = self._model._parameters, _Sums(0.0, 0)
        if best is None:
            parameters.save(velocity, parameters.snapshot)
        undo = parameters.snapshot if best is None else best.room
        self._model._n_trainings += 1
        with self._model._workspaces.borrowed(min(size, n)) as workspace:
            for first, last in self._visits.parts(n, size, operations):
                outcome, cost, n_right, start, layer = self._call(
                    workspace, data, first, last, settings, velocity, sums, undo
                )
                if outcome:
                    batch = start // size + 1 if epoch is not None else int(self._n_steps[0]) + 1
                    kept = "of before the step"
                    if best is not None:
                        best.settle(lambda: self._evaluate(data.as_rows(), data.targets)["loss"])
                        kept = str(best)
                    is_loss = outcome != WEIGHTS_NOT_FINITE
                    raise self._divergence(data, is_loss, epoch, batch, layer, kept)
                sums = _Sums(cost, n_right)
                if done is not None:
                    done(last - first)
        return sums

    def _call(
        self,
        workspace: Any,
        data: _Data,
        first: int,
        last: int,
        settings: tuple[float, float, bool, float],
        velocity: np.ndarray | None,
        sums: _Sums,
        undo: np.ndarray,
    ) -> Any:
        """Steps over the rows [first, last), in one call of the kernels."""
        model, targets = self._model, data.targets
        n_threads, crowded = share_of_work(
            self._n_threads, self._operations(min(data.batch_size, last - first))
        )
        work = kernels(model.dtype).TrainingWork(
            workspace, data.rows, targets.values, targets.labels, data.order,
            first, last, data.batch_size, self._loss._spec(model.n_out), settings, velocity,
            sums.cost, sums.n_right, n_threads, crowded, undo, self._n_steps,
        )  # fmt: skip
        return model._lock.write(run, work, n_threads)

    def _divergence(
        self, data: _Data, is_loss: bool, epoch: int | None, batch: int, layer: int, kept: str
    ) -> DivergenceError:
        what = (
            "The loss stopped being finite"
            if is_loss
            else "A step would have made weights infinite or NaN"
        )
        when = f"step {batch}" if epoch is None else f"epoch {epoch}, batch {batch}"
        advice = advice_after_divergence(
            self._optimizer, self._model._parameters, data.rows, data.targets
        )
        return DivergenceError(
            f"{what} in {when}, first in layers[{layer}] ({self._model.layers[layer]!r}); "
            f"the model keeps the weights {kept}. {advice}",
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
        ValueError, TypeError, RuntimeError
            As in ``fit``.
        DivergenceError
            If loss or weights stop being finite; the step is undone.
        """
        rows, targets = self._data(X, y, check_finite, may_be_row=True)
        data = _Data(rows, targets, None, len(rows))
        sums = self._model._lock.run(self._steps, data, None, None)
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
            samples (with binary cross entropy: of outputs) that were right. A loss that outgrows
            the model's dtype is infinite or NaN.

        Raises
        ------
        ValueError, TypeError
            As in ``fit``, or if a weight isn't finite.
        """
        rows, targets = self._checked(X, y, check_finite)
        check_weights(self._model._parameters)
        return self._evaluate(rows, targets)

    def _evaluate(self, rows: Rows, targets: Targets) -> dict[str, float]:
        model, spec = self._model, self._loss._spec(self._model.n_out)
        n_threads, crowded = share_of_work(self._n_threads, 2.0 * len(rows) * model.n_parameters)
        cost, n_right, kernel = 0.0, 0, kernels(rows.dtype)
        with model._scratch(n_threads) as scratch:
            for first, part in Visits().parts_of(rows, 64, self._operations(64)):
                wanted = targets[first : first + len(part)]
                costs = np.empty(len(part), rows.dtype)
                work = kernel.PredictionWork(
                    model._network, part, None, scratch,
                    wanted.values, wanted.labels, spec, costs, n_threads, crowded,
                )  # fmt: skip
                n_right += run(work, n_threads)
                cost = kernel.sum_costs(costs, cost)
        result = {"loss": quotient(cost, len(rows))}
        accuracy = self._accuracy(n_right, len(rows))
        if accuracy is not None:
            result["accuracy"] = accuracy
        return result

    def __getstate__(self) -> dict[str, Any]:
        velocity = self._optimizer._velocity(self._model._parameters)
        lock, values = self._model._lock, self._model._parameters.values
        # While another thread trains, weights and velocity must be copied at once to belong
        # together; else the weights that the model pickles are enough.
        arrays = [velocity, values] if lock.is_held_by_another() else [velocity]
        copies = lock.read(_copies, arrays)
        return {**self.__dict__, "arrays": copies}

    def __setstate__(self, state: dict[str, Any]) -> None:
        copies = state.pop("arrays")
        self.__dict__.update(state)
        parameters = self._model._parameters
        for array, copy_of_array in zip(
            (self._optimizer._velocity(parameters), parameters.values), copies, strict=False
        ):
            if array is not None:
                array[:] = copy_of_array

    def __repr__(self) -> str:
        return (
            f"Trainer({self._model!r}, loss={self._loss.name!r}, {self._optimizer!r}, "
            f"batch_size={self._batch_size})"
        )


def _copies(arrays: list[np.ndarray | None]) -> list[np.ndarray | None]:
    return [None if array is None else array.copy() for array in arrays]
