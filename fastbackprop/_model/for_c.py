"""low_level_callable: predict as a function of C, for callers without Python's lock."""

from typing import Any

import numpy as np

from fastbackprop._core.dispatch import kernels
from fastbackprop._core.threads import most_calls
from fastbackprop._core.validation import check_choice
from fastbackprop._model.scaling import Scaled

__all__ = ["ForC"]


class ForC(Scaled):
    """A model that C can call."""

    def low_level_callable(self, signature: str | None = None) -> Any:
        """Return ``predict`` of one row as a function of C, for ``scipy.LowLevelCallable`` and kin.

        Whoever has the function's address calls the model without Python: routines of SciPy,
        ctypes, Numba, and loops of one's own without the GIL (``cimport fastbackprop``).
        docs/calling_from_c.md shows each.

        Parameters
        ----------
        signature : str, optional
            What the function takes and returns; None is the first for a model with one output, and
            the last for others.

            - ``"double (int, double *, void *)"``: the number of inputs, and these; returns the one
              output. For scipy.integrate.
            - ``"int (double *, intptr_t, double *, void *)"``: inputs, their number, where the one
              output goes; returns 1, or 0 for an error. For filters of scipy.ndimage.
            - ``"int (float *, float *, void *)"``, of a model in float64 ``"int (double *, double
              *, void *)"``: inputs, and where all outputs go; returns 0, or 1 if inputs aren't
              finite.

        Returns
        -------
        PyCapsule
            The function, as scipy wants it: the capsule's name is the signature, its context what
            must be given as the last argument of each call. It keeps all that a call needs:
            weights, and scratch for as many calls at once as the machine has cores, and some.

        Raises
        ------
        ValueError, TypeError
            If the signature is none of these, or is for one output and the model has more.
        RuntimeError
            If the model scales inputs or targets, and that isn't fitted yet.

        Notes
        -----
        Outputs have the bits of ``predict``; what it would refuse, NaN or infinity in the inputs,
        makes the outputs NaN. The function sees the weights as they are at each call, in training
        too, as ``predict`` does: take it from a deepcopy of the model to keep them as they are.
        What inputs and targets are scaled by is that of the moment when it was made.

        Any number of threads may call it at once, with or without the GIL. It takes no lock and no
        memory; more calls at once than there is scratch for wait for each other. A call in a child
        process is fine behind a fork; a capsule can't be pickled.

        Examples
        --------
        >>> import fastbackprop as fb
        >>> model = fb.Sequential([fb.Dense(2, 1, weight_init=[[3], [4]], bias_init=[5])])
        >>> model.low_level_callable()  # doctest: +ELLIPSIS
        <capsule object "double (int, double *, void *)" at ...>
        """
        module = kernels(self._dtype)
        for_one_output = (module.INTEGRAND, module.FILTER)
        if signature is None:
            signature = module.INTEGRAND if self.n_out == 1 else module.ROW
        signature = check_choice("signature", signature, (*for_one_output, module.ROW))
        if signature in for_one_output and self.n_out != 1:
            raise ValueError(
                f"signature must be {module.ROW!r} for a model with {self.n_out} outputs, got "
                f"{signature!r}, which is for one."
            )
        columns, outputs = self._input_scale(), self._output_scale()
        inputs: tuple[np.ndarray | None, ...] = (None, None, None)
        if columns is not None:
            center, scale, factor = columns._parts
            inputs = (np.ones_like(scale) if factor is None else factor, center, scale)
        net = module.CompiledNet(self._network, most_calls(), *inputs, *(outputs or (None, None)))
        return net.capsule(signature)
