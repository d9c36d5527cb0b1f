"""A pool of workspaces: the room that training, derivatives and the loop by hand work in.

A workspace (z, a, delta, packed weights, costs) belongs to one call at a time. Whatever only reads
a model takes one of its own, and so needs no lock.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastbackprop._core.buffers import aligned_empty
from fastbackprop._core.dispatch import kernels

__all__ = ["Workspaces"]

MOST_IDLE = 4  # of each kind: more threads than that at once allocate anew


class Workspaces:
    """Workspaces of one network that nobody uses at the moment.

    Parameters
    ----------
    network : Network
        The kernels' network.
    dtype : dtype
        float32 or float64.
    """

    def __init__(self, network: Any, dtype: np.dtype) -> None:
        self.network = network
        self._dtype = dtype
        # By whether they reach the inputs. Both ends of a list are taken in one operation each,
        # so threads need no lock here.
        self._idle: dict[bool, list[Any]] = {False: [], True: []}

    def take(self, n_rows: int, reaches_inputs: bool = False) -> Any:
        """Return a workspace for batches of at least so many rows; it is the caller's alone."""
        idle = self._idle[reaches_inputs]
        try:
            workspace = idle.pop()
        except IndexError:
            workspace = None
        if workspace is None or workspace.capacity < n_rows:
            module = kernels(self._dtype)
            size = module.workspace_size(self.network, n_rows, reaches_inputs)
            scratch = aligned_empty(size, self._dtype)
            workspace = module.Workspace(self.network, n_rows, reaches_inputs, scratch)
        return workspace

    def give_back(self, workspace: Any) -> None:
        """Keep a workspace for the next call."""
        idle = self._idle[workspace.reaches_inputs]
        if len(idle) < MOST_IDLE:
            idle.append(workspace)

    @contextmanager
    def borrowed(self, n_rows: int, reaches_inputs: bool = False) -> Iterator[Any]:
        """Take a workspace for the block, and give it back."""
        workspace = self.take(n_rows, reaches_inputs)
        try:
            yield workspace
        finally:
            self.give_back(workspace)
