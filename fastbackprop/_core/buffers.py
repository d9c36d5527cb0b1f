"""Aligned memory, and where each layer's parameters lie in one buffer.

All weights and biases of a model are one array, and so are the gradients and each
optimizer state: update, clip, save are one loop over one array. Rows are padded with
zeros to 64 bytes, so that kernels have no tails in ``n_out``; rows whose length is a
multiple of 1 KB get 64 bytes more, since the caches would keep only a few of them.
"""

import math
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from fastbackprop._core.counts import Count, new_counts

__all__ = [
    "Parameters",
    "Place",
    "aligned_empty",
    "aligned_zeros",
    "empty",
    "padded_rows",
    "places",
    "row_length",
]

ALIGNMENT = 64  # bytes: a cache line, and the widest vector
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def empty(what: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an array, not set, or say in a MemoryError what was too large, and how large."""
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError, OverflowError):  # the latter two beyond what can be addressed
        size = _bytes_in_words(math.prod(shape) * dtype.itemsize)
        raise MemoryError(f"{what} must fit into memory, got {size}.") from None


def _bytes_in_words(size: int) -> str:
    """Return a number of bytes as people read it: 16.0 GiB."""
    steps = min(max(0, size.bit_length() - 1) // 10, len(UNITS) - 1)
    return f"{size / 1024**steps:,.1f} {UNITS[steps]}" if steps else f"{size} bytes"


def aligned_empty(size: int, dtype: np.dtype, what: str = "Arrays for the kernels") -> np.ndarray:
    """Return a 1-D array of ``size`` numbers, not set, that starts on a cache line."""
    raw = empty(what, (size * dtype.itemsize + ALIGNMENT,), np.dtype(np.uint8))
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size * dtype.itemsize].view(dtype)


def aligned_zeros(size: int, dtype: np.dtype, what: str = "Arrays for the kernels") -> np.ndarray:
    """Return a 1-D array of ``size`` zeros that starts on a cache line."""
    array = aligned_empty(size, dtype, what)
    array.fill(0)
    return array


def row_length(n: int, dtype: np.dtype) -> int:
    """Return the numbers from one row of ``n`` to the next: whole cache lines that don't alias.

    Addresses 4 KB apart (and in smaller numbers 2 or 1 KB) share one place of the
    first cache; a column of a matrix with such rows would push itself out.
    """
    line = ALIGNMENT // dtype.itemsize
    width = -(-n // line) * line
    return width + line if width * dtype.itemsize % 1024 == 0 else width


def padded_rows(array: np.ndarray) -> np.ndarray:
    """Return a copy of a 2-D array in the kernels' form: aligned rows, zeros behind."""
    rows, columns = array.shape
    width = row_length(columns, array.dtype)
    copy = aligned_zeros(rows * width, array.dtype).reshape(rows, width)
    copy[:, :columns] = array
    return copy


class Place(NamedTuple):
    """Where one layer's parameters lie in a buffer: ``n_in`` rows, then the bias."""

    offset: int
    n_in: int
    n_out: int
    row: int
    has_bias: bool

    @property
    def end(self) -> int:
        """Offset behind this layer."""
        return self.offset + (self.n_in + self.has_bias) * self.row

    def weight(self, buffer: np.ndarray) -> np.ndarray:
        """Return a view of shape (n_in, n_out), without the padding."""
        block = buffer[self.offset : self.offset + self.n_in * self.row]
        return block.reshape(self.n_in, self.row)[:, : self.n_out]

    def bias(self, buffer: np.ndarray) -> np.ndarray | None:
        """Return a view of shape (n_out,), or None for a layer without bias."""
        start = self.offset + self.n_in * self.row
        return buffer[start : start + self.n_out] if self.has_bias else None


def places(shapes: Iterable[tuple[int, int, bool]], dtype: np.dtype) -> Iterator[Place]:
    """Yield one place after the other for layers of (n_in, n_out, has_bias)."""
    offset = 0
    for n_in, n_out, has_bias in shapes:
        place = Place(offset, n_in, n_out, row_length(n_out, dtype), has_bias)
        yield place
        offset = place.end


class Moment:
    """The values of one moment, for layers that are copied one by one while another thread trains.

    It is part of the model's state, so it lives as long as the copying; of itself nothing is kept.

    Parameters
    ----------
    values : ndarray
        A copy of all parameters and running statistics.
    """

    def __init__(self, values: np.ndarray) -> None:
        self._values = values
        self._thread = threading.get_ident()
        self._taken: set[int] = set()

    def take(self, index: int) -> np.ndarray | None:
        """Return the values for one layer, once; None for whoever else copies that layer."""
        if threading.get_ident() != self._thread or index in self._taken:
            return None
        self._taken.add(index)
        return self._values

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()


class Parameters:
    """All weights and biases of a model, and, once asked for, their gradients.

    What a model remembers of batches lies behind them: so one copy of ``store`` is of one moment.

    Parameters
    ----------
    shapes : iterable of tuple
        (n_in, n_out, has_bias) of each layer.
    dtype : dtype
        float32 or float64.
    have_running : sequence of bool, default=()
        Which layers have running statistics, two rows each; empty for none.
    seed : int, default=0
        Of the masks that dropout draws: 32 bits.
    """

    n_forwards = Count()  # in training, which number the masks of dropout
    n_trainings = Count()  # a backward after one would mix the weights of two moments
    has_blame = Count()  # whether a backward has filled the gradients
    n_changes = Count()  # of the plan, or of what labels mean: quick paths begin anew then
    is_pinned = Count()  # whether the same masks shall be drawn again and again, as by a copy

    def __init__(
        self,
        shapes: Iterable[tuple[int, int, bool]],
        dtype: np.dtype,
        have_running: Sequence[bool] = (),
        seed: int = 0,
    ) -> None:
        self.places = tuple(places(shapes, dtype))
        end = self.places[-1].end
        self.running_offsets: list[int | None] = []
        n_running = 0
        for i, place in enumerate(self.places):
            has_running = bool(have_running) and have_running[i]
            self.running_offsets.append(n_running if has_running else None)
            n_running += 2 * place.row if has_running else 0
        self.store = aligned_zeros(end + n_running, dtype, "The model's parameters")
        self.values, self.running = self.store[:end], self.store[end:]
        self.seed = seed
        self.counts = new_counts()
        # What schedules over a whole fit go by where nobody trains: the next step of the last fit,
        # and how many it had.
        self.place_in_fit: tuple[int, int] = (0, 1)
        self._listener: Callable[[], Callable[[], None] | None] = lambda: None
        self._others: dict[str, np.ndarray] = {}
        self._moment: weakref.ref[Moment] | None = None

    def _other(self, name: str, size: int) -> np.ndarray:
        """Return a buffer that is made when it is first asked for; one for all threads."""
        buffer = self._others.get(name)
        if buffer is None:
            # setdefault can't be interrupted: of several threads' buffers, all get the same.
            buffer = self._others.setdefault(name, aligned_zeros(size, self.values.dtype))
        return buffer

    def hold(self, values: np.ndarray) -> Moment:
        """Let layers that are copied as long as the result lives have these values."""
        moment = Moment(values)
        self._moment = weakref.ref(moment)
        return moment

    def copied(self, index: int) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Return copies of weight, bias and running statistics: of the moment held, or of now."""
        moment = None if self._moment is None else self._moment()
        values = None if moment is None else moment.take(index)
        values, place = self.store if values is None else values, self.places[index]
        bias, running = place.bias(values), self.running_views(values)[index]
        return (
            place.weight(values).copy(),
            None if bias is None else bias.copy(),
            None if running is None else running.copy(),
        )

    def listen(self, listener: "weakref.WeakMethod[Callable[[], None]]") -> None:
        """Call this whenever a layer has changed what the kernels know of it."""
        self._listener = listener

    def tell(self) -> None:
        """Say that a layer has changed what the kernels know of it."""
        hear = self._listener()
        if hear is not None:
            hear()

    def count_forwards(self, n: int) -> None:
        """Count forwards in training, from which the next ones' masks follow."""
        if not self.is_pinned:
            self.n_forwards += n

    def views(self, buffer: np.ndarray | None = None) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """Return each layer's weight and bias in the values, or in a buffer laid out as they."""
        values = self.values if buffer is None else buffer
        return [(place.weight(values), place.bias(values)) for place in self.places]

    def running_views(self, store: np.ndarray | None = None) -> list[np.ndarray | None]:
        """Return each layer's running mean and variance, (2, n_out), or None."""
        store = self.store if store is None else store
        running = store[self.values.size :]
        return [
            None
            if offset is None
            else running[offset : offset + 2 * place.row].reshape(2, place.row)[:, : place.n_out]
            for place, offset in zip(self.places, self.running_offsets, strict=True)
        ]

    @property
    def gradients(self) -> np.ndarray:
        """Gradients dC/dw of every value, in the same places; zeros before the first backward."""
        return self._other("gradients", self.values.size)

    def snapshot(self, state: np.ndarray) -> np.ndarray:
        """Room for a copy of the values and of an optimizer's state, for a step that goes wrong."""
        size = self.store.size + state.size
        return self._other(f"snapshot of {size}", size)

    def scratch(self, use: str) -> np.ndarray:
        """Room for a copy of the store, for this use."""
        return self._other(use, self.store.size)

    def clipping(self, size: int) -> np.ndarray:
        """Scratch for clipping gradients by their norm."""
        return self._other(f"clipping with {size}", size)

    def save(self, state: np.ndarray, room: np.ndarray) -> None:
        """Copy the store into ``room``, and an optimizer's state behind it."""
        size = self.store.size
        room[:size] = self.store
        room[size:] = state

    def layer_at(self, offset: int) -> int:
        """Return the index of the layer that an offset into the values belongs to."""
        return next(i for i, place in enumerate(self.places) if offset < place.end)
