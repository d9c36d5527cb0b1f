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
    center, scale : array of shape (n_in,), optional
        What columns of X are scaled by, in double: then X may have either dtype.
    factor, offset : array of shape (n_out,), optional
        What outputs come back by, in double.
    """

    cdef Network network
    cdef const double[::1] center, scale, factor, offset
    cdef int64_t busy            # this_process while a thread uses the scratch: there may be no GIL
    cdef void* memory
    cdef real* scratch

    def __cinit__(self, Network network, const double[::1] center=None,
                  const double[::1] scale=None, const double[::1] factor=None,
                  const double[::1] offset=None):
        cdef Py_ssize_t widest = network.widest
        cdef Py_ssize_t size = (3 * widest + (center is not None) * network.plan.layers[0].n_in)
        size *= PREDICT_ROWS * sizeof(real)
        self.network = network
        self.center, self.scale, self.factor, self.offset = center, scale, factor, offset
        fbp_assert(center is None or center.shape[0] == network.plan.layers[0].n_in)
        fbp_assert(factor is None or
                   factor.shape[0] == network.plan.layers[network.plan.n_layers - 1].n_out)
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

    cdef const real* scaled(self, X, Py_ssize_t n, Py_ssize_t n_in) noexcept:
        """Rows of X scaled in double, and then rounded, in the scratch."""
        cdef real* rows = self.scratch + 3 * PREDICT_ROWS * self.network.widest
        cdef const double* doubles = <const double*>cnp.PyArray_DATA(X)
        cdef const float* floats = <const float*>cnp.PyArray_DATA(X)
        cdef bint is_double = cnp.PyArray_TYPE(X) == cnp.NPY_DOUBLE
        cdef Py_ssize_t i, j
        cdef double x
        for i in range(n):
            for j in range(n_in):
                x = doubles[i * n_in + j] if is_double else floats[i * n_in + j]
                rows[i * n_in + j] = <real>((x - self.center[j]) / self.scale[j])
        return rows

    cdef void undo_scale(self, real* out, Py_ssize_t n, Py_ssize_t n_out) noexcept:
        """Bring outputs back into the user's units, in double."""
        cdef Py_ssize_t i, j
        for i in range(n):
            for j in range(n_out):
                out[i * n_out + j] = <real>(<double>out[i * n_out + j] * self.factor[j]
                                            + self.offset[j])

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
        cdef bint is_scaled = self.center is not None
        if not cnp.PyArray_CheckExact(X):
            return None
        if cnp.PyArray_TYPE(X) != REAL_TYPE and not (
            is_scaled and (cnp.PyArray_TYPE(X) == cnp.NPY_DOUBLE
                           or cnp.PyArray_TYPE(X) == cnp.NPY_FLOAT)
        ):
            return None
        n_dims = cnp.PyArray_NDIM(X)
        if not cnp.PyArray_ISCARRAY_RO(X) or not 1 <= n_dims <= 2:
            return None
        if n_dims == 2:
            n = cnp.PyArray_DIM(X, 0)
        if cnp.PyArray_DIM(X, n_dims - 1) != first.n_in or not 0 < n <= PREDICT_ROWS:
            return None
        x = <const real*>cnp.PyArray_DATA(X)
        if not is_scaled and check_finite and find_nonfinite(x, n * first.n_in) >= 0:
            return None
        shape[0], shape[n_dims - 1] = n, last.n_out
        result = cnp.PyArray_EMPTY(n_dims, shape, REAL_TYPE, 0)
        out = <real*>cnp.PyArray_DATA(result)
        if not self.take_scratch():                              # nothing from here on can raise
            return None
        caller = begin_mode()
        if is_scaled:
            x = self.scaled(X, n, first.n_in)
            if check_finite and find_nonfinite(x, n * first.n_in) >= 0:
                end_mode(caller)
                atomic_store(&self.busy, 0)
                return None
        if n * self.network.parameters.shape[0] <= QUICK_PRODUCTS:
            predict_rows(&self.network.plan, x, n, self.scratch, self.network.widest, &batch)
        else:
            with nogil:
                predict_rows(&self.network.plan, x, n, self.scratch, self.network.widest, &batch)
        for i in range(n):
            memcpy(out + i * batch.n_out, batch.a + i * batch.row, batch.n_out * sizeof(real))
        if self.factor is not None:
            self.undo_scale(out, n, batch.n_out)
        end_mode(caller)
        atomic_store(&self.busy, 0)
        return result
