"""Sequential: a network of dense layers. predict and blame, by hand or in one call."""

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any, NamedTuple, Self

import numpy as np

from fastbackprop._blame.derivatives import Derivatives
from fastbackprop._core.buffers import (
    Parameters,
    aligned_empty,
    empty,
)
from fastbackprop._core.copies import own_attributes, set_own_attributes
from fastbackprop._core.dispatch import DTYPES, kernels
from fastbackprop._core.lock import TrainingLock
from fastbackprop._core.naming import layer_in_code
from fastbackprop._core.threads import (
    MOST_THREADS,
    check_n_threads,
    run,
    share_of_work,
)
from fastbackprop._core.validation import (
    Rows,
    as_matrix,
    as_numeric,
    as_rows,
    check_choice,
    check_out,
    check_seed,
)
from fastbackprop._core.visits import Visits
from fastbackprop._model.files import write_model_file
from fastbackprop._model.flat import flat_of, set_flat
from fastbackprop._model.workspaces import Workspaces
from fastbackprop._predict.dense import Dense, WeightAndBias
from fastbackprop._predict.output import Output, OutputGradient

__all__ = ["Sequential", "check_layers", "copy_of", "rebuild"]


class _Pass(NamedTuple):
    """What a forward keeps for the backward of the same thread."""

    workspace: Any
    rows: np.ndarray  # which the workspace points at
    shape: tuple[int, ...]
    n_trainings: int


class Sequential(Derivatives):
    """Dense layers, one behind the other.

    Parameters
    ----------
    layers : sequence of Dense
        At least one; each must have as many inputs as the one before has outputs.
    seed : int or None, default=None
        Of the initial weights; None takes one from the operating system.
    dtype : {"float32", "float64"}, default="float32"
        Of weights, inputs and outputs.

    Raises
    ------
    ValueError, TypeError
        If layers don't fit each other, or one belongs to another model already.

    Notes
    -----
    ``predict``, ``forward`` and all derivatives may be called from many threads at once, also while
    another one trains: each call has room of its own, and each thread its own last ``forward``.
    Training and ``backward`` are for one thread at a time; a second one gets a RuntimeError.

    Each output, and each element of a gradient, is one sum in the model's dtype, one term after
    the other: that is what makes the bits the same on every machine. Its error grows with the
    number of terms, most where all have one sign. In float32 a sum of 10,000 equal terms is up to
    0.01 % off, one of a million up to 1 %, of ten million (the gradient over a batch of so many
    rows) up to 14 %; terms of both signs and of many sizes lose far less. With more than some
    100,000 inputs take ``dtype="float64"``, with more than some 100,000 rows in a batch smaller
    batches, or float64.

    pickle, copy and deepcopy keep the class of a model and of its layers, and attributes that were
    added to them.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> layers = [fb.Dense(4, 8, activation="relu"), fb.Dense(8, 3, activation="softmax")]
    >>> model = fb.Sequential(layers, seed=0)
    >>> model
    Sequential(4-8-3, relu softmax, float32, 67 parameters)
    >>> model.predict([[5.1, 3.5, 1.4, 0.2]]).shape
    (1, 3)
    """

    def __init__(
        self, layers: Sequence[Dense], *, seed: int | None = None, dtype: Any = "float32"
    ) -> None:
        layers = check_layers(layers)
        seed = check_seed(seed)
        parameters = _room_for(layers, check_choice("dtype", _dtype_name(dtype), DTYPES))
        generator = np.random.PCG64(seed)
        for layer, (weight, bias) in zip(layers, parameters.views(), strict=True):
            layer._initialize("weight_init", weight, generator)
            if bias is not None:
                layer._initialize("bias_init", bias, generator)
        self._assemble(layers, parameters)

    def _assemble(self, layers: Sequence[Dense], parameters: Parameters) -> None:
        """Make a network of layers and parameters: what the constructor, copies and load share."""
        attributes_before = set(self.__dict__) - getattr(self, "_internals", frozenset())
        self._layers = tuple(layers)
        self._dtype = parameters.values.dtype
        self._parameters = parameters
        self._network = self._new_network(self._parameters.values)
        self._quick = kernels(self._dtype).QuickPredictor(self._network).predict
        for index, layer in enumerate(layers):
            layer._attach(self._parameters, index)
        self._n_parameters = sum(layer.n_parameters for layer in layers)
        self._workspaces = Workspaces(self._network, self._dtype)
        self._passes = threading.local()  # .last: what this thread's forward kept
        self._n_trainings = 0  # a backward after one would mix the weights of two moments
        self._idle_scratch: list[np.ndarray] = []
        self._lock = TrainingLock()
        # What copies make anew; all other attributes are the user's, and copied.
        self._internals = frozenset([*self.__dict__, "_internals"]) - attributes_before

    def _new_network(self, parameters: np.ndarray) -> Any:
        """The layers as the kernels see them, with the weights in this buffer."""
        ops = [
            layer._op(place.offset)
            for layer, place in zip(self._layers, self._parameters.places, strict=True)
        ]
        return kernels(self._dtype).Network(ops, parameters)

    @property
    def layers(self) -> tuple[Dense, ...]:
        """The layers, first to last."""
        return self._layers

    @property
    def dtype(self) -> np.dtype:
        """Of weights, inputs and outputs: float32 or float64."""
        return self._dtype

    @property
    def n_in(self) -> int:
        """Number of inputs: columns of X."""
        return self._layers[0].n_in

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return self._layers[-1].n_out

    @property
    def n_parameters(self) -> int:
        """Number of all weights and biases."""
        return self._n_parameters

    def get_parameters(self) -> np.ndarray:
        """Return all parameters as one vector: for genetic algorithms, L-BFGS, averages.

        Returns
        -------
        ndarray of shape (n_parameters,)
            A copy, of the model's dtype: layer after layer, first to last, each with its weight
            of shape (n_in, n_out) row by row, then its bias.

        See Also
        --------
        set_parameters : The way back.

        Examples
        --------
        >>> import fastbackprop as fb
        >>> model = fb.Sequential([fb.Dense(2, 1, weight_init=[[3], [4]], bias_init=[5])])
        >>> model.get_parameters()
        array([3., 4., 5.], dtype=float32)
        """
        return flat_of(self._parameters, self._copied_values())

    def set_parameters(self, flat: Any) -> None:
        """Set all parameters from one vector, in the order of ``get_parameters``.

        Parameters
        ----------
        flat : array-like of shape (n_parameters,)
            Finite numbers that the model's dtype can hold; copied.

        Raises
        ------
        ValueError, TypeError
            If flat has a wrong shape or dtype or isn't finite; the model has not changed.

        See Also
        --------
        get_parameters : The vector of the model as it is, and its order.
        """
        set_flat(self._parameters, flat)

    def _as_rows(self, X: Any, check_finite: bool, may_be_row: bool = True) -> tuple[Rows, bool]:
        """Return the rows of X, not converted yet, and whether X is one row by itself."""
        return as_rows(
            "X",
            X,
            self._dtype,
            self.n_in,
            "the model's n_in",
            may_be_row=may_be_row,
            check_finite=check_finite,
        )

    def _as_input(self, X: Any, check_finite: bool, may_be_row: bool = True) -> np.ndarray:
        return self._as_rows(X, check_finite, may_be_row)[0].whole()

    def predict(
        self,
        X: Any,
        *,
        out: np.ndarray | None = None,
        check_finite: bool = True,
        n_threads: int | None = None,
    ) -> np.ndarray:
        """Predict: the outputs for each row of X.

        Parameters
        ----------
        X : array-like of shape (n, n_in) or (n_in,)
            Any numbers, also a frame with columns of numbers; converted to the model's dtype. n may
            be 0.
        out : ndarray of shape (n, n_out) or (n_out,), optional
            C-contiguous, of the model's dtype: gets the result, and is returned.
        check_finite : bool, default=True
            Whether NaN and infinity are looked for in X.
        n_threads : int, optional
            How many threads share the rows; 1,024 at most. None takes as many as the work is
            worth, at most the CPUs that the process may use, and at most what
            FASTBACKPROP_NUM_THREADS or else OMP_NUM_THREADS says. The result is the same; a
            few rows are one thread's in any case.

        Returns
        -------
        ndarray of shape (n, n_out) or (n_out,)
            Row i has the same bits as ``predict(X[i:i+1])[0]``.

        Raises
        ------
        ValueError, TypeError
            If X or out has a wrong shape or dtype, or X isn't finite or has missing values.
        MemoryError
            If there is no memory for the predictions.

        Notes
        -----
        Rows of another dtype or layout (a file of uint8 that is mapped into memory, for instance)
        are converted some 16 MB at a time, not as a whole.

        Probabilities in float32 sum to 1 within some 1e-7, but ``numpy.random.multinomial`` and
        its kin want 1e-12: cast them to float64, then divide each row by its sum, by
        ``p = model.predict(X).astype("float64")`` and ``p /= p.sum(axis=1, keepdims=True)``.

        An output is one sum over the layer's inputs in the model's dtype: with hundreds of
        thousands of inputs of one sign take ``dtype="float64"``; see the notes of ``Sequential``.
        """
        if out is None and (
            n_threads is None or (type(n_threads) is int and 0 < n_threads <= MOST_THREADS)
        ):
            quick = self._quick(X, check_finite)
            if quick is not None:
                return quick
        rows, is_row = self._as_rows(X, check_finite)
        shape = (self.n_out,) if is_row else (len(rows), self.n_out)
        if out is None:
            result = empty("The predictions", shape, self._dtype)
        else:
            result = check_out(out, shape, self._dtype)
            rows.check()  # now: what is in out stays there, where X is refused
            if np.may_share_memory(rows.base, result):
                rows = rows.copy()
        matrix = result.reshape(len(rows), self.n_out)
        operations = 2.0 * self.n_parameters  # of one row
        threads, crowded = share_of_work(check_n_threads(n_threads), operations * len(rows))
        with self._scratch(threads) as scratch:
            for first, part in Visits().parts_of(rows, 64, 64 * operations):
                work = kernels(self._dtype).PredictionWork(
                    self._network,
                    part,
                    matrix[first : first + len(part)],
                    scratch,
                    n_threads=threads,
                    crowded=crowded,
                )
                run(work, threads)
        return result

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

    def forward(self, X: Any, *, check_finite: bool = True) -> np.ndarray:
        """Predict, and keep what blame needs: the first of the four steps by hand.

        Parameters
        ----------
        X : array-like of shape (n, n_in) or (n_in,)
            At least one row.
        check_finite : bool, default=True
            Whether NaN and infinity are looked for in X.

        Returns
        -------
        ndarray of shape (n, n_out) or (n_out,)
            The predictions y_hat. Behind sigmoid or softmax it is read-only and remembers z, so
            that a loss can be as exact as in training; a slice or copy of it is a plain array and
            forgets z, which costs digits where a probability is nearly 0 or 1.

        Raises
        ------
        ValueError, TypeError
            If X has a wrong shape or dtype, isn't finite or has no rows.
        """
        source, is_row = self._as_rows(X, check_finite)
        rows = source.whole()
        if len(rows) == 0:
            raise ValueError("X must have at least one row, got 0.")
        y_hat = empty("The predictions", (len(rows), self.n_out), self._dtype)
        z = np.empty_like(y_hat)
        shape = (self.n_out,) if is_row else y_hat.shape

        # A copy: the caller may change X before backward reads it again.
        rows = rows.copy() if np.may_share_memory(rows, source.base) else rows
        before, self._passes.last = getattr(self._passes, "last", None), None
        if before is not None:
            self._workspaces.give_back(before.workspace)
        workspace = self._workspaces.take(len(rows), reaches_inputs=True)
        n_trainings = self._n_trainings
        kernels(self._dtype).forward(workspace, rows, y_hat, z)
        self._passes.last = _Pass(workspace, rows, shape, n_trainings)
        y_hat, z = y_hat.reshape(shape), z.reshape(shape)
        last = self._layers[-1].activation
        return Output.of(y_hat, z, last) if last in ("sigmoid", "softmax") else y_hat

    def backward(self, d_y_hat: Any) -> np.ndarray:
        """Blame: every gradient, for the batch of the last ``forward``.

        Fills ``weight_gradient`` and ``bias_gradient`` of every layer.

        Parameters
        ----------
        d_y_hat : array-like of the shape that forward returned
            The gradient dC/dy_hat, for instance from a loss.

        Returns
        -------
        ndarray of forward's input shape
            The gradient dC/dx, for whatever made x.

        Raises
        ------
        RuntimeError
            If there was no ``forward``, or training came in between.
        ValueError, TypeError
            If d_y_hat has a wrong shape or dtype, or isn't finite.
        """
        given = as_numeric("d_y_hat", d_y_hat)
        is_d_z = (
            isinstance(d_y_hat, OutputGradient)
            and d_y_hat.activation == self._layers[-1].activation
        )

        def backward() -> np.ndarray:
            # Not before: a forward inside an __array__ would change it.
            last = getattr(self._passes, "last", None)
            if last is None or last.n_trainings != self._n_trainings:
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
            return d_x.reshape(-1) if len(shape) == 1 else d_x

        return self._lock.run(backward)

    def _forward_workspace(self) -> Any:
        """Return the workspace of this thread's last forward: for ``explain``."""
        return self._passes.last.workspace

    def summary(self) -> str:
        """Return the layers as a table.

        Returns
        -------
        str
            A line for each layer: kind, shape, activation, number of parameters.
        """
        head = ("layer", "shape", "activation", "bias", "parameters")
        rows = [
            (
                f"{layer_in_code(i)} Dense",
                f"{x.n_in:,} -> {x.n_out:,}",
                x.activation + (f" {x.slope:g}" if x.activation == "leaky_relu" else ""),
                "yes" if x.has_bias else "no",
                f"{x.n_parameters:,}",
            )
            for i, x in enumerate(self._layers)
        ]
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(5)]
        lines = [
            "  ".join(
                c.rjust(w) if i == 4 else c.ljust(w)
                for i, (c, w) in enumerate(zip(r, widths, strict=True))
            )
            for r in [head, *rows]
        ]
        rule = "-" * len(lines[0])
        size = self.n_parameters * self._dtype.itemsize
        total = f"{self.n_parameters:,} parameters, {self._dtype}, {size:,} bytes"
        return "\n".join([lines[0], rule, *lines[1:], rule, total])

    def __repr__(self) -> str:
        widths = "-".join(str(n) for n in [self.n_in, *(layer.n_out for layer in self._layers)])
        activations = [layer.activation for layer in self._layers]
        if len(widths) + sum(map(len, activations)) > 70:
            widths = f"{self.n_in}-...-{self.n_out} ({len(activations)} layers)"
            activations = list(dict.fromkeys(activations))
        return (
            f"Sequential({widths}, {' '.join(activations)}, {self._dtype}, "
            f"{self.n_parameters:,} parameters)"
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a safetensors file: beside it first, then renamed.

        Parameters
        ----------
        path : str or path-like
            The file; replaced if it is there, with its permissions kept. A link is followed.

        Raises
        ------
        ValueError
            If a weight isn't finite: ``load`` would refuse the file. (A pickle or a deepcopy
            keeps such a model, to look into.)
        OSError
            If it can't be written, or is a folder, a device, a pipe or a socket.
        MemoryError
            If there is no memory for a copy of the weights.

        Notes
        -----
        After every error a file that was there is as it was. While another thread trains the
        model, what is saved are the weights of the end of a step.
        """
        tensors, values = {}, self._copied_values()
        for i, place in enumerate(self._parameters.places):
            tensors[f"layers.{i}.weight"] = place.weight(values)
            bias = place.bias(values)
            if bias is not None:
                tensors[f"layers.{i}.bias"] = bias
        description = [
            {
                "n_in": x.n_in,
                "n_out": x.n_out,
                "activation": x.activation,
                "slope": x.slope,
                "bias": x.has_bias,
            }
            for x in self._layers
        ]
        write_model_file(path, tensors, {"dtype": self._dtype.name, "layers": description})

    def _copied_values(self) -> np.ndarray:
        """Return a copy of all parameters, of the end of one step, while another thread trains."""
        return self._lock.read(self._parameters.values.copy)

    def __getstate__(self) -> dict[str, Any]:
        """The layers, which bring their weights with them, and the user's own attributes."""
        moment = self._parameters.hold(self._copied_values())
        own = own_attributes(self, self._internals)
        return {"_moment": moment, **own, "_layers": self._layers, "_dtype": self._dtype.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become a model of the layers in ``state``, checked as ``load`` does."""
        layers = check_layers(state.get("_layers"))
        dtype = check_choice("dtype", state.get("_dtype"), DTYPES)
        parameters = _room_for(layers, dtype)
        for index, (layer, views) in enumerate(zip(layers, parameters.views(), strict=True)):
            for view, init in zip(views, (layer._weight_init, layer._bias_init), strict=True):
                if view is not None:
                    if not isinstance(init, np.ndarray):
                        raise ValueError(f"layers[{index}] of a copied model must have weights.")
                    view[...] = init
        self._assemble(layers, parameters)
        set_own_attributes(self, state, {*self._internals, "_moment"})

    def __copy__(self) -> Self:
        """A model with weights of its own; what else it refers to is shared."""
        state = self.__getstate__()
        copies = {id(layer): copy(layer) for layer in self._layers}
        # Attributes that are layers, such as `self.head = self.layers[-1]`, are the copy's layers.
        own = {name: copies.get(id(value), value) for name, value in state.items()}
        state = {**own, "_layers": tuple(copies[id(layer)] for layer in self._layers)}
        other = type(self).__new__(type(self))
        other.__setstate__(state)
        return other


def _dtype_name(dtype: Any) -> Any:
    """numpy.float32 and dtype("float32") as "float32"; what isn't a dtype as it is."""
    try:
        return np.dtype(dtype).name if dtype is not None else dtype
    except TypeError:
        return dtype


def _room_for(layers: Sequence[Dense], dtype: str) -> Parameters:
    """Return zeros for all parameters of these layers."""
    return Parameters(((x.n_in, x.n_out, x.has_bias) for x in layers), np.dtype(dtype))


def copy_of(model: Sequential, dtype: str) -> Sequential:
    """Return a copy with weights in this dtype, without the user's own attributes."""
    values = model._copied_values()
    layers = []
    for layer in model.layers:
        layer_copy = type(layer).__new__(type(layer))
        layer_copy.__dict__.update(layer.__dict__, _parameters=None, _index=0)
        layers.append(layer_copy)
    return rebuild(type(model), layers, dtype, model._parameters.views(values))


def rebuild(
    cls: type[Sequential], layers: list[Dense], dtype: str, arrays: Iterable[WeightAndBias]
) -> Sequential:
    """Return the model of these layers with these weights."""
    parameters = _room_for(layers, dtype)
    for views, numbers in zip(parameters.views(), arrays, strict=True):
        for view, array in zip(views, numbers, strict=True):
            if view is not None:
                view[...] = array
    model = cls.__new__(cls)
    model._assemble(layers, parameters)
    return model


def check_layers(layers: Any) -> list[Dense]:
    """Refuse layers that can't make a network, naming the first that doesn't fit."""
    if not isinstance(layers, Iterable) or isinstance(layers, str):
        raise TypeError(f"layers must be a sequence of Dense, got {layers!r}.")
    layers = list(layers)
    if not layers:
        raise ValueError("layers must have at least one Dense, got none.")
    for i, layer in enumerate(layers):
        if not isinstance(layer, Dense):
            raise TypeError(f"layers[{i}] must be a Dense, got {layer!r}.")
        if not hasattr(layer, "_parameters"):
            raise TypeError(
                f"layers[{i}] must be made by Dense.__init__, got an unfinished "
                f"{type(layer).__name__}; a layer that refers to its model can be copied only "
                f"with it: copy the model."
            )
        if layer._parameters is not None:
            raise ValueError(
                f"layers[{i}] must be a new layer, got {layer!r}, which is part of a model already."
            )
        if any(layer is other for other in layers[:i]):
            raise ValueError(f"layers[{i}] must be a layer of its own, got {layer!r} twice.")
        if i and layer.n_in != layers[i - 1].n_out:
            raise ValueError(
                f"layers[{i}] must have n_in {layers[i - 1].n_out}, the n_out of layers[{i - 1}] "
                f"{layers[i - 1]!r}, got {layer!r}."
            )
        if layer.activation == "softmax" and i < len(layers) - 1:
            raise ValueError(
                f"Only the last layer may have activation 'softmax', got layers[{i}] {layer!r}."
            )
    return layers
