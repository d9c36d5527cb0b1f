"""Where batches come from: arrays, or files of columns, in blocks of rows that lie together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from fastbackprop._core.arrays import as_numeric, feature_names, is_sparse, sparse_rows
from fastbackprop._core.validation import same_length

__all__ = ["ArrayBlocks", "ArrowBlocks", "Blocks", "Group", "ParquetBlocks", "taken"]


@dataclass(frozen=True)
class Group:
    """Rows that are at hand together.

    Parameters
    ----------
    X, y, weights : array, sparse matrix or None
        Of all of them; no targets are only in a file without.
    """

    X: Any
    y: Any
    weights: np.ndarray | None


class Blocks(Protocol):
    """What has rows in blocks: how many each, and some blocks at a time."""

    lengths: np.ndarray
    names: list[str] | None

    def load(self, blocks: np.ndarray) -> tuple[Group, np.ndarray]:
        """Return rows among which those of some blocks are, and their indices in order."""
        ...


class ArrayBlocks:
    """Blocks of rows of arrays, which stay where they are.

    Parameters
    ----------
    X, y, weights : array-like
        As for ``fit``; weights may be None.
    block_size : int or None
        Rows of a block; None takes all for one.
    """

    def __init__(self, X: Any, y: Any, weights: Any, block_size: int | None) -> None:
        self.names = feature_names(X)
        rows = sparse_rows("X", X) if is_sparse(X) else as_numeric("X", X)
        if rows.ndim != 2:
            raise ValueError(f"X must have shape (n, n_in), got {rows.shape}.")
        n = rows.shape[0]
        if n == 0:
            raise ValueError("X must have at least one row, got 0.")
        self._group = Group(rows, as_targets(y), None if weights is None else as_weights(weights))
        same_length(range(n), self._group.y)
        if self._group.weights is not None:
            same_length(range(n), self._group.weights, "X", "sample_weight")
        size = n if block_size is None else min(block_size, n)
        starts = np.arange(0, n, size)
        self.lengths = np.minimum(starts + size, n) - starts
        self._starts = starts

    def load(self, blocks: np.ndarray) -> tuple[Group, np.ndarray]:
        """Return all rows, and the indices of those of some blocks."""
        index = [np.arange(self._starts[k], self._starts[k] + self.lengths[k]) for k in blocks]
        return self._group, np.concatenate(index)


class _Columns:
    """Blocks of a file whose columns are read by name."""

    lengths: np.ndarray

    def __init__(
        self, known: Sequence[str], target: Any, features: Any, weight: str | None
    ) -> None:
        self._target = [target] if isinstance(target, str) else list(target)
        self._is_column = isinstance(target, str)
        self._weight = weight
        others = {*self._target, weight}
        self._features = (
            [x for x in known if x not in others] if features is None else list(features)
        )
        self.names: list[str] | None = self._features
        for name in (*self._target, *self._features, *([] if weight is None else [weight])):
            if name not in known:
                names = ", ".join(map(repr, known))
                raise ValueError(f"columns must be of {names}, got {name!r}.")

    @property
    def _read(self) -> list[str]:
        """Names of all columns that are read."""
        return [*self._features, *self._target, *([] if self._weight is None else [self._weight])]

    def _group(self, table: Any) -> tuple[Group, np.ndarray]:
        y = table.column(self._target[0]) if self._is_column else table.select(self._target)
        weights = None if self._weight is None else as_weights(table.column(self._weight))
        group = Group(as_numeric("X", table.select(self._features)), as_targets(y), weights)
        return group, np.arange(table.num_rows)


class ParquetBlocks(_Columns):
    """Row groups of a Parquet file."""

    def __init__(self, path: Any, target: Any, features: Any, weight: str | None) -> None:
        parquet = _pyarrow("from_parquet", "pyarrow.parquet")
        self._file = parquet.ParquetFile(path)
        super().__init__(self._file.schema_arrow.names, target, features, weight)
        n = self._file.num_row_groups
        self.lengths = np.array([self._file.metadata.row_group(k).num_rows for k in range(n)])

    def load(self, blocks: np.ndarray) -> tuple[Group, np.ndarray]:
        """Read some row groups."""
        return self._group(self._file.read_row_groups(blocks.tolist(), columns=self._read))


class ArrowBlocks(_Columns):
    """Record batches of an Arrow file (Feather), which is mapped into memory."""

    def __init__(self, path: Any, target: Any, features: Any, weight: str | None) -> None:
        self._pyarrow = _pyarrow("from_arrow", "pyarrow")
        ipc = _pyarrow("from_arrow", "pyarrow.ipc")
        self._file = ipc.open_file(self._pyarrow.memory_map(str(path)))
        super().__init__(self._file.schema.names, target, features, weight)
        n = self._file.num_record_batches
        self.lengths = np.array([self._file.get_batch(k).num_rows for k in range(n)])

    def load(self, blocks: np.ndarray) -> tuple[Group, np.ndarray]:
        """Read some record batches."""
        batches = [self._file.get_batch(k).select(self._read) for k in blocks.tolist()]
        return self._group(self._pyarrow.Table.from_batches(batches))


def _pyarrow(method: str, module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise ImportError(
            f"{method} needs pyarrow, which is not installed: pip install pyarrow."
        ) from None


def as_targets(y: Any) -> np.ndarray:
    """Return targets as an array: numbers, or labels of any kind."""
    try:
        return as_numeric("y", y)
    except TypeError:
        return np.asarray(y)


def as_weights(weights: Any) -> np.ndarray:
    """Return weights as an array; what they are is checked with their batch."""
    return as_numeric("sample_weight", weights)


def taken(pieces: list[tuple[Group, np.ndarray]]) -> Group:
    """Return the rows of some groups, one behind the other, in memory of their own."""
    groups = {id(group): group for group, _ in pieces}
    if len(groups) == 1:
        group, index = pieces[0][0], np.concatenate([index for _, index in pieces])
        weights = None if group.weights is None else group.weights[index]
        return Group(group.X[index], group.y[index], weights)
    parts = [taken([piece]) for piece in pieces]
    weights = [x.weights for x in parts if x.weights is not None]
    return Group(
        np.concatenate([x.X for x in parts]),
        np.concatenate([x.y for x in parts]),
        np.concatenate(weights) if weights else None,
    )
