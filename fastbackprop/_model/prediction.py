"""predict: the outputs for any number of rows, shared by threads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastbackprop._core.buffers import aligned_empty, empty
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.sharing import Phase
from fastbackprop._core.threads import MOST_THREADS, check_n_threads, run, share_of_work
from fastbackprop._core.validation import Rows, check_out, check_real
from fastbackprop._core.visits import Visits
from fastbackprop._model.scaling import Scaled

__all__ = ["Prediction"]

CHUNK = 64  # rows, of which the kernels make no less than a chunk


class Prediction(Scaled):
    """What a model predicts."""

    def predict(
        self,
        X: Any,
        *,
        out: np.ndarray | None = None,
        check_finite: bool = True,
        n_threads: int | None = None,
        scale: float = 1.0,
    ) -> np.ndarray:
        """Predict: the outputs for each row of X.

        Parameters
        ----------
        X : array-like of shape (n, n_in) or (n_in,)
            Any numbers, also a frame with columns of numbers, or a matrix of scipy.sparse;
            converted to the model's dtype. n may be 0.
        out : ndarray of shape (n, n_out) or (n_out,), optional
            C-contiguous, of the model's dtype: gets the result, and is returned.
        check_finite : bool, default=True
            Whether NaN and infinity are looked for in X.
        n_threads : int, optional
            Number of threads that share the rows; 1,024 at most. None takes as many as the work is
            worth, at most the CPUs that the process may use, and at most what
            FASTBACKPROP_NUM_THREADS or else OMP_NUM_THREADS says. The result is the same; a few
            rows are one thread's in any case.
        scale : float, default=1.0
            What the numbers of X are multiplied by, in double, before they become the model's
            dtype: 1 / 255 for pixels of uint8, for instance.

        Returns
        -------
        ndarray of shape (n, n_out) or (n_out,)
            Row i has the same bits as ``predict(X[i:i+1])[0]``. In the user's units, where the
            model scales its targets.

        Raises
        ------
        ValueError, TypeError
            If X or out has a wrong shape or dtype, or X isn't finite or has missing values.
        MemoryError
            If there is no memory for the predictions.
        RuntimeError
            If the model scales inputs or targets, and that isn't fitted yet.

        Notes
        -----
        Rows of another dtype or layout (a file of uint8 that is mapped into memory, for instance),
        and those of sparse matrices, are converted some 16 MB at a time, not as a whole.

        Probabilities in float32 sum to 1 within some 1e-7, but ``numpy.random.multinomial`` and
        its kin want 1e-12: cast them to float64, then divide each row by its sum, by
        ``p = model.predict(X).astype("float64")`` and ``p /= p.sum(axis=1, keepdims=True)``.

        An output is one sum over the layer's inputs in the model's dtype: with hundreds of
        thousands of inputs of one sign take ``dtype="float64"``; see the notes of ``Sequential``.
        """
        if scale != 1:
            scale = check_real("scale", scale)
        elif out is None and (
            n_threads is None or (type(n_threads) is int and 0 < n_threads <= MOST_THREADS)
        ):
            quick = self._quick(X, check_finite)
            if quick is not None:
                return quick
        scale_back = self._output_scale()
        rows, is_row = self._as_rows(X, check_finite, scale=scale)
        shape = (self.n_out,) if is_row else (len(rows), self.n_out)
        if out is None:
            result = empty("The predictions", shape, self._dtype)
        else:
            result = check_out(out, shape, self._dtype)
            rows.check()  # now: what is in out stays there, where X is refused
            if not rows.is_sparse and np.may_share_memory(rows.base, result):
                rows = rows.copy()
        matrix = result.reshape(len(rows), self.n_out)
        threads = check_n_threads(n_threads)
        self._run_over_rows(rows, threads, lambda some: {"out": matrix[some]})
        if scale_back is not None:
            scale_back.apply_to(matrix)
        return result

    def _predict_rows(self, rows: np.ndarray) -> np.ndarray:
        """Return what losses compare, for rows in the kernels' form, which are scaled already."""
        outputs = empty("The predictions", (len(rows), self.n_out), self._dtype)
        some = Rows("X", rows, self._dtype, check_finite=False)
        self._run_over_rows(some, None, lambda part: {"out": outputs[part]})
        return outputs

    def _run_over_rows(
        self,
        rows: Rows,
        n_threads: int | None,
        arguments_of: Callable[[slice], dict[str, Any]],
    ) -> int:
        """Send all rows through the network; return how many outputs were right.

        Parameters
        ----------
        rows : Rows
            Converted part by part.
        n_threads : int or None
            What ``check_n_threads`` returned.
        arguments_of : callable
            Returns what PredictionWork shall do with some of the rows: ``out`` for their outputs,
            or targets, a loss and ``costs``.
        """
        operations = 2.0 * self.n_parameters  # of one row
        threads, crowded = share_of_work(
            n_threads, (Phase(operations * len(rows), max(1, -(-len(rows) // CHUNK))),)
        )
        # Each call has as many chunks for each thread, and as many rows as the others.
        n_calls = max(1, -(-len(rows) // (threads * self._network.most_rows)))
        unit = max(1, -(-len(rows) // n_calls // CHUNK)) * CHUNK
        n_right = 0
        with self._scratch(threads) as scratch:
            for first, part in Visits().parts_of(rows, unit, unit * operations):
                work = kernels(self._dtype).PredictionWork(
                    self._network,
                    part,
                    scratch=scratch,
                    n_threads=threads,
                    crowded=crowded,
                    **arguments_of(slice(first, first + len(part))),
                )
                n_right += run(work, threads)
        return n_right

    @contextmanager
    def _scratch(self, n_threads: int) -> Iterator[np.ndarray]:
        """Scratch for one call of predict or evaluate; kept for the next."""
        size = n_threads * self._network.predict_scratch_size
        try:
            scratch = self._idle_scratch.pop()
        except IndexError:
            scratch = aligned_empty(0, self._dtype)
        if scratch.size < size:
            scratch = aligned_empty(size, self._dtype)
        try:
            yield scratch
        finally:
            self._idle_scratch.append(scratch)
