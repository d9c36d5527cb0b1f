# predict for no more rows than one thread takes at a time, where calling Python would
# take longer than the network: X is looked at as the NumPy array that it is, and only
# the result is allocated.

import os

cimport numpy as cnp

cnp.import_array()

# Which of the forked processes this is, counted from 1. A thread that uses scratch marks it by this
# number, so that the mark of a thread that a fork left behind means nothing in the child.
cdef int64_t this_process = 1


def count_fork():
    """Make the marks of threads that aren't in this process void; a forked child calls it."""
    global this_process
    this_process += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=count_fork)

cdef enum:
    QUICK_PRODUCTS = 200000      # multiply-adds: a few microseconds, for which the GIL is kept


cdef class QuickPredictor:
    """predict for arrays that need no conversion.

    Parameters
    ----------
    network : Network
        Whose weights are used, as they are at each call.
    """

    cdef Network network
    cdef int64_t busy            # this_process while a thread uses the scratch: there may be no GIL
    cdef void* memory
    cdef real* scratch

    def __cinit__(self, Network network):
        cdef Py_ssize_t size = 3 * PREDICT_ROWS * network.widest * sizeof(real)
        self.network = network
        self.memory = calloc(size + ALIGNMENT,
                             1)        # most systems give a page when it is used, not before
        if self.memory == NULL:
            raise MemoryError("no memory for predictions")
        self.scratch = <real*>((<size_t>self.memory + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT)

    def __dealloc__(self):
        free(self.memory)

    cdef bint take_scratch(self) noexcept:
        """Whether the scratch was free, and is now the caller's until ``busy`` is 0 again."""
        cdef int64_t busy = atomic_load(&self.busy)
        return busy != this_process and atomic_replace(&self.busy, busy, this_process)

    def predict(self, X, bint check_finite):
        """The outputs for X, or None for what isn't simple: the long way knows more."""
        cdef const Layer* first = self.network.plan.layers
        cdef const Layer* last = first + self.network.plan.n_layers - 1
        cdef cnp.npy_intp shape[2]
        cdef Py_ssize_t i, n = 1
        cdef int n_dims
        cdef const real* x
        cdef real* out
        cdef Batch batch
        cdef Mode caller
        if not cnp.PyArray_CheckExact(X) or cnp.PyArray_TYPE(X) != REAL_TYPE:
            return None
        n_dims = cnp.PyArray_NDIM(X)
        if not cnp.PyArray_ISCARRAY_RO(X) or not 1 <= n_dims <= 2:
            return None
        if n_dims == 2:
            n = cnp.PyArray_DIM(X, 0)
        if cnp.PyArray_DIM(X, n_dims - 1) != first.n_in or not 0 < n <= PREDICT_ROWS:
            return None
        x = <const real*>cnp.PyArray_DATA(X)
        if check_finite and find_nonfinite(x, n * first.n_in) >= 0:
            return None
        shape[0], shape[n_dims - 1] = n, last.n_out
        result = cnp.PyArray_EMPTY(n_dims, shape, REAL_TYPE, 0)
        out = <real*>cnp.PyArray_DATA(result)
        if not self.take_scratch():                              # nothing from here on can raise
            return None
        caller = begin_mode()
        if n * self.network.parameters.shape[0] <= QUICK_PRODUCTS:
            predict_rows(&self.network.plan, x, n, self.scratch, self.network.widest, &batch)
        else:
            with nogil:
                predict_rows(&self.network.plan, x, n, self.scratch, self.network.widest, &batch)
        end_mode(caller)
        for i in range(n):
            memcpy(out + i * batch.n_out, batch.a + i * batch.row, batch.n_out * sizeof(real))
        atomic_store(&self.busy, 0)
        return result
