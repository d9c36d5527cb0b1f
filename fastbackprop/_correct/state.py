"""What an optimizer keeps for a model: a header and planes, in one buffer that the kernels advance.

A copy of the buffer is a copy of the state: undoing a step, pickling and checkpoints take it whole.
"""

import numpy as np

from fastbackprop._core.buffers import ALIGNMENT, aligned_zeros

__all__ = ["OptimizerState"]

# Of the kernels' StateHeader, in doubles.
KIND, N_STEPS = 0, 1


class OptimizerState:
    """One optimizer's state for one model.

    Parameters
    ----------
    n_planes : int
        Number of values that the optimizer keeps for each parameter.
    size : int
        The parameters, with the padding of their rows.
    dtype : dtype
        Theirs, and that of the planes.

    Attributes
    ----------
    buffer : ndarray
        A header of 64 bytes, then the planes.
    planes : ndarray of shape (n_planes, size)
        Each laid out as the parameters; a view.
    """

    def __init__(self, n_planes: int, size: int, dtype: np.dtype) -> None:
        start = ALIGNMENT // dtype.itemsize
        self.buffer = aligned_zeros(start + n_planes * size, dtype, "The optimizer's state")
        self.planes = self.buffer[start:].reshape(n_planes, size)
        self._header = self.buffer[:start].view(np.float64)

    @property
    def n_steps(self) -> int:
        """The steps that were done."""
        return int(self._header[N_STEPS])

    def skip_step(self) -> None:
        """Count a step of a batch without weight, which changes nothing else."""
        self._header[N_STEPS] += 1
