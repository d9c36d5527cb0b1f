"""What else blame is good for: gradients as results.

``Sequential`` gets these methods from here. They run on the tiles that train, each call in a
workspace of its own: so they need no lock, and what a ``forward`` has kept stays.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbackprop._blame.hessian import HessianRoom, LayerGradients, as_shown
from fastbackprop._compare.labels import Classes
from fastbackprop._compare.losses import Loss, Targets, as_loss
from fastbackprop._compare.quick import quick_targets
from fastbackprop._compare.samples import as_samples
from fastbackprop._compare.scaling import OutputScale, Scaling
from fastbackprop._core.arithmetic import exact_mode
from fastbackprop._core.buffers import Parameters
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.finite import check_weights
from fastbackprop._core.scaling import ColumnScale, by_inputs
from fastbackprop._core.threads import check_n_threads, run, share_of_work
from fastbackprop._core.validation import Rows, as_vector, check_integer
from fastbackprop._core.visits import Visits
from fastbackprop._predict.dense import Dense
from fastbackprop._predict.layer import Layer

__all__ = ["Derivatives", "LayerGradients"]

ROWS = 512  # of a batch that goes back together
QUICK_PRODUCTS = 2e6  # of a call whose room is kept for the next: what is around it counts


class Derivatives:
    """Derivatives of a network's outputs and costs."""

    if TYPE_CHECKING:
        _layers: tuple[Layer, ...]
        _dtype: np.dtype
        _network: Any
        _parameters: Parameters
        _workspaces: Any
        _quick_derivatives: Any
        _quick_samples: Any
        _idle_hessians: list[HessianRoom]
        _version: Any
        _classes: Classes | None
        _feature_names: tuple[str, ...] | None

        def _fitted_scaling(self, n_targets: int | None = None) -> Scaling: ...
        def _input_scale(self) -> ColumnScale | None: ...
        def _output_scale(self) -> OutputScale | None: ...
        @property
        def n_in(self) -> int: ...
        @property
        def n_out(self) -> int: ...
        @property
        def dtype(self) -> np.dtype: ...
        def _as_rows(
            self, X: Any, check_finite: bool, may_be_row: bool = True, scale: float = 1.0
        ) -> tuple[Rows, bool]: ...
        def _new_network(self, parameters: np.ndarray) -> Any: ...

    def input_gradient(self, X: Any, *, output: Any = None) -> np.ndarray:
        """Return the gradient of an output by the inputs, for each row of X.

        Parameters
        ----------
        X : array-like of shape (n, n_in) or (n_in,)
            Inputs.
        output : int or array-like of shape (n_out,), optional
            Index of the output, or how much of each counts; None where there is one only.

        Returns
        -------
        ndarray of shape (n, n_in) or (n_in,)
            The derivatives dy_hat/dx; row i has the same bits for any other rows of X. Both are in
            the user's units, where the model scales inputs or targets.

        Raises
        ------
        ValueError, TypeError
            If X or output has a wrong shape, or X, output or a weight isn't finite.
        """
        if self._quick_derivatives is not None:
            slopes = self._quick_derivatives.input_gradient(X, output)
            if slopes is not None:
                return slopes
        if output is None and self.n_out > 1:
            raise ValueError(
                f"output must be an integer from 0 to {self.n_out - 1}, or {self.n_out} numbers, "
                f"got None."
            )
        if output is None or np.ndim(output) == 0:
            index = 0 if output is None else check_integer("output", output, at_least=0)
            if index >= self.n_out:
                raise ValueError(f"output must be from 0 to {self.n_out - 1}, got {index}.")
            combination = np.zeros(self.n_out, self._dtype)
            combination[index] = 1
        else:
            combination = as_vector("output", output, self._dtype, self.n_out)
        result = self._output_derivatives(X, combination[None])
        return result[..., 0, :]

    def jacobian(self, X: Any) -> np.ndarray:
        """Return the derivatives of all outputs by all inputs, for each row of X.

        Parameters
        ----------
        X : array-like of shape (n, n_in) or (n_in,)
            Inputs.

        Returns
        -------
        ndarray of shape (n, n_out, n_in) or (n_out, n_in)
            ``[i, j, k]`` is dy_hat[i, j]/dx[i, k]. Row i has the same bits for any other rows of X.
            Both are in the user's units, where the model scales inputs or targets.

        Raises
        ------
        ValueError, TypeError
            If X has a wrong shape, or X or a weight isn't finite.

        Examples
        --------
        >>> import fastbackprop as fb
        >>> model = fb.Sequential([fb.Dense(2, 1, weight_init=[[3], [4]])])
        >>> model.jacobian([5, 6])
        array([[3., 4.]], dtype=float32)
        """
        if self._quick_derivatives is not None:
            slopes = self._quick_derivatives.jacobian(X)
            if slopes is not None:
                return slopes
        return self._output_derivatives(X, None)

    def _output_derivatives(self, X: Any, combinations: np.ndarray | None) -> np.ndarray:
        """Return (n, combinations, n_in), for one row without n; None takes each output alone."""
        source, is_row = self._as_rows(X, True)
        rows = source.whole()
        check_weights(self._parameters)
        outputs = self._output_scale()
        each = self.n_out if combinations is None else len(combinations)
        result = np.empty((len(rows), each, self.n_in), self._dtype)
        size = max(1, ROWS // each)
        size = -(-len(rows) // max(1, -(-len(rows) // size))) or 1  # no short part
        largest = min(len(rows), size) * min(each, ROWS)
        threads, crowded = self._share(4.0 * largest)
        module = kernels(self._dtype)
        with self._workspaces.borrowed(largest, reaches_inputs=True) as workspace:
            for first in range(0, len(rows), size):
                part = slice(first, first + size)
                for start in range(0, each, ROWS):
                    some = slice(start, min(start + ROWS, each))
                    if combinations is None:
                        chosen = np.eye(some.stop - start, self.n_out, start, self._dtype)
                    else:
                        chosen = combinations[some]
                    if outputs is not None:  # blame for numbers in the user's units
                        with exact_mode():
                            chosen = (chosen * outputs.factor).astype(self._dtype)
                    is_packed = first + start > 0
                    work = module.OutputDerivativesWork(
                        workspace,
                        rows[part],
                        chosen,
                        result[part, some],
                        is_packed,
                        threads,
                        crowded,
                    )
                    run(work, threads)
        self._prepare_quick(len(rows) * each)
        result = by_inputs(result, self._input_scale())
        return result[0] if is_row else result

    def _prepare_quick(self, size: int) -> None:
        """Let the next call find room for so many rows at hand, unless it takes long anyway."""
        quick = self._quick_derivatives
        if size == 0 or size * self._parameters.values.size > QUICK_PRODUCTS:
            return
        if quick is None or not quick.suits(size):
            version, pool = self._version(), self._workspaces
            if not version.is_current:
                return
            self._quick_derivatives = kernels(self._dtype).QuickDerivatives(
                version, pool.take(size, reaches_inputs=True)
            )

    def _share(self, rows: float) -> tuple[int, bool]:
        """Return how many threads work on so many rows, each forward or back once."""
        return share_of_work(check_n_threads(None), rows * self._parameters.values.size)

    def sample_gradients(self, X: Any, y: Any, loss: str | Loss) -> LayerGradients:
        """Return the gradient of each sample's own cost.

        Parameters
        ----------
        X, y : array-like
            A batch, as in ``Trainer.fit``.
        loss : str or Loss
            Loss as for Trainer.

        Returns
        -------
        list of tuple
            Gradients of each layer as (weight, bias): of shape (n, n_in, n_out), and (n, n_out) or
            None; of norms as (gamma, beta), of shape (n, n_out) each, and (None, None) for layers
            without parameters. Their means over n are what ``backward`` gives for the batch, to
            rounding, with ``forward(X, training=False)``: samples don't depend on each other here.
            Sample i has the same bits for any other rows.

        Raises
        ------
        ValueError, TypeError
            If data doesn't fit, or a weight isn't finite.
        """
        if self._quick_samples is not None:
            gradients = self._quick_samples.sample_gradients(X, y, loss)
            if gradients is not None:
                return gradients
        named, (loss, rows, targets) = loss, self._data(X, y, loss)
        spec = loss._spec(self.n_out, self._dtype)
        out: LayerGradients = [
            (
                np.empty((len(rows), layer._n_rows, layer.n_out), self._dtype)
                if layer._n_rows
                else None,
                np.empty((len(rows), layer.n_out), self._dtype) if layer.has_bias else None,
            )
            for layer in self._layers
        ]
        threads, crowded = self._share(6.0 * min(ROWS, len(rows)))
        with self._workspaces.borrowed(min(ROWS, len(rows))) as workspace:
            for first in range(0, len(rows), ROWS):
                part = slice(first, first + ROWS)
                batch_targets = targets[part]
                places = [tuple(None if x is None else x[part] for x in pair) for pair in out]
                work = kernels(self._dtype).SampleGradientsWork(
                    workspace,
                    rows[part],
                    batch_targets.values,
                    batch_targets.labels,
                    spec,
                    places,
                    threads,
                    crowded,
                )
                run(work, threads)
        if targets.shares is not None:  # a sample's own cost is the mean over what it has
            for array in (x for pair in out for x in pair if x is not None):
                array /= np.maximum(targets.shares, np.finfo(self._dtype).tiny).reshape(
                    -1, *(1,) * (array.ndim - 1)
                )
        self._prepare_quick_samples(len(rows), named)
        return [as_shown(layer, *pair) for layer, pair in zip(self._layers, out, strict=True)]

    def _prepare_quick_samples(self, n: int, loss: str | Loss) -> None:
        """Let the next call like this one find room at hand, unless it takes long anyway."""
        quick = self._quick_samples
        if n == 0 or n * self._parameters.values.size > QUICK_PRODUCTS:
            return
        if quick is not None and quick.suits(n, loss):
            return
        version = self._version()
        targets = quick_targets(self, as_loss(loss), n)
        is_simple = all(isinstance(layer, Dense) for layer in self._layers)
        if targets is None or not is_simple or not version.is_current:
            return
        room = HessianRoom(self._layers, self._parameters, self._new_network, n)
        self._quick_samples = kernels(self._dtype).QuickSamples(
            version, self._workspaces.take(n), room.workspace, targets, loss, room.out, room.scratch
        )

    def hessian_vector_product(
        self, X: Any, y: Any, loss: str | Loss, v: Sequence[tuple[Any, Any]]
    ) -> LayerGradients:
        """Return the product of the cost's Hessian with a vector, exactly.

        It costs about as much as two gradients. By Pearlmutter 1994, "Fast exact multiplication
        by the Hessian".

        Parameters
        ----------
        X, y : array-like
            A batch of at least one row, as in ``Trainer.fit``.
        loss : str or Loss
            Loss as for Trainer; the cost is the mean over the batch.
        v : sequence of tuple
            Vector, for each layer as (weight, bias): of shape (n_in, n_out), and (n_out,) or None;
            of norms as (gamma, beta), of shape (n_out,) each, and (None, None) for layers without
            parameters.

        Returns
        -------
        list of tuple
            The product H v, in the form of v.

        Raises
        ------
        ValueError, TypeError
            If data or v doesn't fit, or a weight isn't finite.
        """
        if self._quick_samples is not None:
            quick_product = self._quick_samples.hessian_vector_product(X, y, loss, v)
            if quick_product is not None:
                return quick_product
        named, (loss, rows, targets) = loss, self._data(X, y, loss)
        if len(rows) == 0:
            raise ValueError("X must have at least one row, got 0.")
        n, size, idle = len(rows), self._parameters.values.size, self._idle_hessians
        room = idle.pop() if idle else None
        if room is None or room.n != n:  # its scratch is cut for n
            room = HessianRoom(self._layers, self._parameters, self._new_network, n)
        room.set_direction(v)
        spec, (threads, crowded) = loss._spec(self.n_out, self._dtype), self._share(12.0 * n)
        module, visits = kernels(self._dtype), Visits()
        with self._workspaces.borrowed(n) as workspace:
            rows_of_chunk = module.hessian_rows(self._network, n, threads)
            n_chunks = module.hessian_chunks(self._network)
            # Each call has a chunk at least for every thread.
            for of_weights, end, chunk in (False, n, rows_of_chunk), (True, n_chunks, 1):
                unit = chunk * threads
                operations = 12.0 * n * size / end * unit
                for first, last in visits.parts(end, unit, operations):
                    work = module.HessianWork(
                        workspace, room.workspace, rows, targets.values, targets.labels, spec,
                        room.out, room.scratch, of_weights, first, last, threads, crowded,
                        targets.shares,
                    )  # fmt: skip
                    run(work, threads)
        product = [
            (None if weight is None else weight.copy(), None if bias is None else bias.copy())
            for weight, bias in room.product
        ]
        idle.append(room)
        self._prepare_quick_samples(n, named)
        return product

    def _data(self, X: Any, y: Any, loss: str | Loss) -> tuple[Loss, np.ndarray, Targets]:
        """Return the loss, and X and y in the kernels' form, or complain."""
        chosen = as_loss(loss)
        chosen._check_fits(self._layers[-1].activation, self.n_out)
        rows, targets = as_samples(self, chosen, X, y, may_be_empty=True)
        matrix = rows.whole()
        check_weights(self._parameters)
        return chosen, matrix, targets
