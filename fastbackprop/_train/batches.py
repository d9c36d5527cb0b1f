"""Batches of rows, shuffled anew in each pass: out of arrays, or of files larger than memory."""

from collections.abc import Iterator, Sequence
from os import PathLike
from typing import Any, NamedTuple, Self

import numpy as np

from fastbackprop._core.dispatch import kernels
from fastbackprop._core.random import RawWords
from fastbackprop._core.validation import check_integer, check_real, check_seed, check_true_false
from fastbackprop._train.blocks import (
    ArrayBlocks,
    ArrowBlocks,
    Blocks,
    Group,
    ParquetBlocks,
    taken,
)

__all__ = ["Batches", "Run"]

RUN = 4 * 2**20  # bytes of rows in float64 that are taken at once, unless a batch has more


class Run(NamedTuple):
    """Rows of some batches, of which only the last may be shorter."""

    X: Any
    y: Any
    weights: np.ndarray | None
    batch_size: int
    scale: float
    names: list[str] | None


class Batches:
    """Batches of rows for ``Trainer.fit_batches``, shuffled anew in each pass.

    Each pass is one epoch. Rows are copied batch by batch, so that arrays may be files that are
    mapped into memory; ``from_parquet`` and ``from_arrow`` read files block by block.

    Parameters
    ----------
    X, y : array-like
        Samples as for ``Trainer.fit``: arrays of any real dtype, frames, sparse matrices for X.
    sample_weight : array-like of shape (n,), optional
        How much each sample counts.
    batch_size : int, default=32
        Number of samples in a batch; the last of a pass may be shorter.
    shuffle : bool, default=True
        Whether each pass takes the samples in a new order.
    block_size : int, optional
        Rows that lie together and are read together. Shuffled, a pass takes the blocks in a random
        order, ``blocks_in_memory`` at a time, and shuffles the rows of those among each other: a
        file larger than memory is read once, in large pieces, and not row by row. Rows that are
        sorted (by class, say) are mixed only as far as that many blocks are. None takes all rows
        for one block: any order is as likely as another.
    blocks_in_memory : int, default=8
        Blocks whose rows are mixed.
    seed : int or None, default=None
        Seed for the order; None takes one from the operating system. With one block the order is
        that of ``Trainer(..., seed=seed).fit``.
    drop_last : bool, default=False
        Whether a pass leaves out the samples behind its last whole batch.
    scale : float, default=1.0
        What the numbers of X are multiplied by, in double, before they become the model's dtype.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, or X and y don't fit each other.

    Examples
    --------
    >>> import numpy as np
    >>> import fastbackprop as fb
    >>> pixels = np.zeros((100, 4), np.uint8)
    >>> batches = fb.Batches(pixels, np.arange(100) % 2, batch_size=32, scale=1 / 255, seed=0)
    >>> len(batches)
    4
    >>> X, y = next(iter(batches))
    >>> X.shape, y.shape
    ((32, 4), (32,))
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        block_size: int | None = None,
        blocks_in_memory: int = 8,
        seed: int | None = None,
        drop_last: bool = False,
        scale: float = 1.0,
    ) -> None:
        size = None if block_size is None else check_integer("block_size", block_size)
        blocks = ArrayBlocks(X, y, sample_weight, size)
        self._begin(blocks, batch_size, shuffle, blocks_in_memory, seed, drop_last, scale)

    @classmethod
    def from_parquet(
        cls,
        path: str | PathLike[str],
        target: str | Sequence[str],
        *,
        features: Sequence[str] | None = None,
        sample_weight: str | None = None,
        batch_size: int = 32,
        shuffle: bool = True,
        blocks_in_memory: int = 8,
        seed: int | None = None,
        drop_last: bool = False,
        scale: float = 1.0,
    ) -> Self:
        """Return batches of a Parquet file, whose blocks are its row groups; needs pyarrow.

        Parameters
        ----------
        path : str or path-like
            The file.
        target : str or sequence of str
            Name of the column with targets, or names of several.
        features : sequence of str, optional
            Names of the columns that are inputs, in their order; None takes all others.
        sample_weight : str, optional
            Name of the column with weights of samples.
        batch_size : int, default=32
            Number of samples in a batch.
        shuffle : bool, default=True
            Whether each pass takes the samples in a new order, in two levels: see ``Batches``.
        blocks_in_memory : int, default=8
            Blocks that are read, and whose rows are mixed.
        seed : int or None, default=None
            Seed for the order.
        drop_last : bool, default=False
            Whether a pass leaves out the samples behind its last whole batch.
        scale : float, default=1.0
            What the inputs are multiplied by.

        Returns
        -------
        Batches
            Reads ``blocks_in_memory`` row groups at a time.

        Raises
        ------
        ImportError
            If pyarrow isn't installed.
        ValueError, TypeError
            If an argument is out of range, or there is no such column.
        """
        blocks = ParquetBlocks(path, target, features, sample_weight)
        return cls._of(blocks, batch_size, shuffle, blocks_in_memory, seed, drop_last, scale)

    @classmethod
    def from_arrow(
        cls,
        path: str | PathLike[str],
        target: str | Sequence[str],
        *,
        features: Sequence[str] | None = None,
        sample_weight: str | None = None,
        batch_size: int = 32,
        shuffle: bool = True,
        blocks_in_memory: int = 8,
        seed: int | None = None,
        drop_last: bool = False,
        scale: float = 1.0,
    ) -> Self:
        """Return batches of an Arrow file (Feather), whose blocks are its record batches.

        Needs pyarrow.

        Parameters
        ----------
        path : str or path-like
            The file, of Arrow's format for random access.
        target : str or sequence of str
            Name of the column with targets, or names of several.
        features : sequence of str, optional
            Names of the columns that are inputs, in their order; None takes all others.
        sample_weight : str, optional
            Name of the column with weights of samples.
        batch_size : int, default=32
            Number of samples in a batch.
        shuffle : bool, default=True
            Whether each pass takes the samples in a new order, in two levels: see ``Batches``.
        blocks_in_memory : int, default=8
            Blocks that are read, and whose rows are mixed.
        seed : int or None, default=None
            Seed for the order.
        drop_last : bool, default=False
            Whether a pass leaves out the samples behind its last whole batch.
        scale : float, default=1.0
            What the inputs are multiplied by.

        Returns
        -------
        Batches
            Reads ``blocks_in_memory`` record batches at a time.

        Raises
        ------
        ImportError
            If pyarrow isn't installed.
        ValueError, TypeError
            If an argument is out of range, or there is no such column.
        """
        blocks = ArrowBlocks(path, target, features, sample_weight)
        return cls._of(blocks, batch_size, shuffle, blocks_in_memory, seed, drop_last, scale)

    @classmethod
    def _of(cls, blocks: Blocks, *settings: Any) -> Self:
        batches = cls.__new__(cls)
        batches._begin(blocks, *settings)
        return batches

    def _begin(
        self,
        blocks: Blocks,
        batch_size: Any,
        shuffle: Any,
        blocks_in_memory: Any,
        seed: Any,
        drop_last: Any,
        scale: Any,
    ) -> None:
        self._blocks = blocks
        self.batch_size = check_integer("batch_size", batch_size)
        self._shuffles = check_true_false("shuffle", shuffle)
        self._at_once = check_integer("blocks_in_memory", blocks_in_memory)
        self._drops_last = check_true_false("drop_last", drop_last)
        self.scale = check_real("scale", scale)
        self.n_rows = int(blocks.lengths.sum())
        self._words = RawWords(np.random.SeedSequence(check_seed(seed), spawn_key=(1,)))
        if len(self) == 0:
            least = self.batch_size if self._drops_last else 1
            raise ValueError(f"batches must have at least {least} rows, got {self.n_rows}.")

    def __len__(self) -> int:
        n, size = self.n_rows, self.batch_size
        return n // size if self._drops_last else -(-n // size)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Yield (X, y), or (X, y, weights), of each batch of a new pass."""
        for X, y, weights, size, *_ in self._runs():
            for first in range(0, len(y), size):
                some = slice(first, first + size)
                rows = X[some] if self.scale == 1 else X[some] * self.scale
                yield (rows, y[some]) if weights is None else (rows, y[some], weights[some])

    def _runs(self) -> Iterator[Run]:
        """Yield the batches of a new pass, many at a time."""
        rest: list[tuple[Group, np.ndarray]] = []
        n_rest, size = 0, self.batch_size
        for group, index in self._groups():
            rest.append((group, index))
            n_rest += len(index)
            most = max(1, RUN // max(1, 8 * size * group.X.shape[1])) * size
            while n_rest >= size:
                n = min(n_rest // size * size, most)
                pieces, rest = _split(rest, n)
                n_rest -= n
                yield self._run(pieces)
        if n_rest and not self._drops_last:
            yield self._run(rest)

    def _run(self, pieces: list[tuple[Group, np.ndarray]]) -> Run:
        group = taken(pieces)
        names = self._blocks.names
        return Run(group.X, group.y, group.weights, self.batch_size, self.scale, names)

    def _groups(self) -> Iterator[tuple[Group, np.ndarray]]:
        """Yield what is in memory at a time, and the order of its rows."""
        blocks = np.arange(len(self._blocks.lengths))
        if len(blocks) > 1:
            self._shuffle(blocks)
        for first in range(0, len(blocks), self._at_once):
            group, index = self._blocks.load(blocks[first : first + self._at_once])
            self._shuffle(index)
            yield group, index

    def _shuffle(self, order: np.ndarray) -> None:
        if self._shuffles:
            kernels("float32").shuffle(order, self._words.random_raw(len(order)))

    def __repr__(self) -> str:
        return f"Batches({self.n_rows:,} rows, {len(self):,} batches of {self.batch_size})"


def _split(
    pieces: list[tuple[Group, np.ndarray]], n: int
) -> tuple[list[tuple[Group, np.ndarray]], list[tuple[Group, np.ndarray]]]:
    """Cut off the first n rows."""
    head, tail = [], []
    for group, index in pieces:
        if len(index[:n]):
            head.append((group, index[:n]))
        if len(index[n:]):
            tail.append((group, index[n:]))
        n = max(0, n - len(index))
    return head, tail
