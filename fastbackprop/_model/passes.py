"""forward and backward: one batch through the layers and back, by hand."""

from typing import Any

import numpy as np

from fastbackprop._core.buffers import empty
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.scaling import by_inputs
from fastbackprop._core.validation import as_matrix, as_numeric, check_true_false
from fastbackprop._correct.schedule import Position
from fastbackprop._model.dropping import tell_rates
from fastbackprop._model.scaling import Scaled
from fastbackprop._predict.output import Output, OutputGradient

__all__ = ["Passes"]


class Passes(Scaled):
    """The forward and backward pass of one batch."""

    def forward(self, X: Any, *, training: bool = True, check_finite: bool = True) -> np.ndarray:
        """Predict, and keep what blame needs: the first of the four steps by hand.

        Parameters
        ----------
        X : array-like of shape (n, n_in) or (n_in,)
            Inputs, at least one row.
        training : bool, default=True
            Whether layers do what they do in training: ``Dropout`` draws masks, the next ones at
            each call, and ``BatchNorm`` takes the statistics of this batch, and the running ones
            follow. False infers, as ``predict`` does.
        check_finite : bool, default=True
            Whether NaN and infinity are looked for in X.

        Returns
        -------
        ndarray of shape (n, n_out) or (n_out,)
            The predictions y_hat; scaled, where the model scales its targets. Behind sigmoid or
            softmax it is read-only and remembers z, so
            that a loss can be as exact as in training; a slice or copy of it is a plain array and
            forgets z, which costs digits where a probability is nearly 0 or 1.

        Raises
        ------
        ValueError, TypeError
            If X has a wrong shape or dtype, isn't finite or has no rows.
        RuntimeError
            If another thread trains the model, where it has a ``BatchNorm`` that would change.
        """
        last = getattr(self._passes, "last", None)
        if last is not None:
            y_hat = last.forward(X, training, check_finite)
            if y_hat is not None:
                return y_hat
        training = check_true_false("training", training)
        source, is_row = self._as_rows(X, check_finite)
        rows = source.whole()
        if len(rows) == 0:
            raise ValueError("X must have at least one row, got 0.")
        # A copy: the caller may change X before backward reads it again.
        rows = rows.copy() if np.may_share_memory(rows, source.base) else rows
        return self._forward_rows(rows, training, is_row)

    def _forward_rows(
        self, rows: np.ndarray, training: bool = True, is_row: bool = False
    ) -> np.ndarray:
        """Do it for rows of the model's dtype, which are scaled already."""
        rows = np.ascontiguousarray(rows)
        if training and self._has_batch_norm:
            return self._lock.run(self._forward, rows, None, training, is_row)
        return self._forward(rows, None, training, is_row)

    def _forward(
        self,
        rows: np.ndarray,
        weights: np.ndarray | None,
        training: bool = True,
        is_row: bool = False,
        position: Position | None = None,
    ) -> np.ndarray:
        """Do it for rows in the kernels' form; those of weight 0 count in no statistics.

        ``position`` is where the step is in a fit.
        """
        y_hat = empty("The predictions", (len(rows), self.n_out), self._dtype)
        z = np.empty_like(y_hat)
        shape = (self.n_out,) if is_row else y_hat.shape
        before, self._passes.last = getattr(self._passes, "last", None), None
        if before is not None:
            before.pool.give_back(before.workspace)
        version, pool = self._version(), self._workspaces
        n_trainings = self._parameters.n_trainings
        workspace = pool.take(len(rows), reaches_inputs=True)
        if training and self._has_schedules:
            tell_rates(self, workspace, 1, position)
        forward, n_forwards = kernels(self._dtype).forward, self._parameters.n_forwards
        arguments = workspace, rows, y_hat, z, training, n_forwards, weights
        if training and self._has_batch_norm:
            self._lock.write(forward, *arguments)
        else:
            forward(*arguments)
        self._parameters.count_forwards(int(training))
        y_hat, z = y_hat.reshape(shape), z.reshape(shape)
        last = self._layers[-1]._activation.row
        traced = (Output, OutputGradient) if last.loss else (None, None)
        self._passes.last = kernels(self._dtype).Pass(
            version, workspace, pool, rows, is_row, n_trainings, (*traced, last.name)
        )
        return Output.of(y_hat, z, last.name) if last.loss else y_hat

    def backward(self, d_y_hat: Any) -> np.ndarray:
        """Blame: every gradient, for the batch of the last ``forward``.

        Fills ``weight_gradient`` and ``bias_gradient`` of every layer (of norms ``gamma_gradient``
        and ``beta_gradient``), with zeros where it isn't ``trainable``.

        Parameters
        ----------
        d_y_hat : array-like of the shape that forward returned
            The gradient dC/dy_hat, for instance from a loss.

        Returns
        -------
        ndarray of forward's input shape
            The gradient dC/dx, for whatever made x: by x as the user has it, where it is scaled.

        Raises
        ------
        RuntimeError
            If there was no ``forward``, or training came in between.
        ValueError, TypeError
            If d_y_hat has a wrong shape or dtype, or isn't finite.
        """
        last = getattr(self._passes, "last", None)
        if last is not None:
            d_x = last.backward(d_y_hat)
            if d_x is not None:
                return d_x
        given = as_numeric("d_y_hat", d_y_hat)
        is_d_z = (
            isinstance(d_y_hat, OutputGradient)
            and d_y_hat.activation == self._layers[-1].activation
        )

        def backward() -> np.ndarray:
            # Not before: a forward inside an __array__ would change it.
            last = getattr(self._passes, "last", None)
            if last is None or last.n_trainings != self._parameters.n_trainings:
                raise RuntimeError(
                    "backward must follow forward, got a model without a forward pass."
                )
            shape = last.shape
            if given.shape != shape:
                raise ValueError(
                    f"d_y_hat must have shape {shape}, as forward returned, got {given.shape}."
                )
            d_out = d_y_hat.z if is_d_z else given
            d_out = as_matrix(
                "d_y_hat", d_out, self._dtype, self.n_out, "the model's n_out", may_be_row=True
            )
            d_x = np.empty((len(d_out), self.n_in), self._dtype)
            gradients = self._parameters.gradients
            kernels(self._dtype).backward(last.workspace, d_out, is_d_z, gradients, d_x)
            self._parameters.has_blame = True
            last.begin_backward(gradients)
            if self._scaler is not None:
                d_x = by_inputs(d_x, self._input_scale())
            return d_x.reshape(-1) if len(shape) == 1 else d_x

        return self._lock.run(backward)

    def _forward_workspace(self) -> Any:
        """Return the workspace of this thread's last forward: for ``explain``."""
        return self._passes.last.workspace
