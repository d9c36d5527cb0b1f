# What the quick paths share: calls with so few rows that calling Python would take longer than the
# network. An argument is looked at as the NumPy array that it is; what isn't simple is left to the
# long way, which knows more, and complains.

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


cdef class Room:
    """Zeros on whole cache lines; most systems give a page when it is used, not before."""

    cdef void* memory
    cdef real* start

    def __cinit__(self, Py_ssize_t size):
        self.memory = calloc(size * sizeof(real) + ALIGNMENT, 1)
        if self.memory == NULL:
            raise MemoryError("no memory for a quick path")
        self.start = <real*>((<size_t>self.memory + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT)

    def __dealloc__(self):
        free(self.memory)


cdef class Quick:
    """Scratch that one thread uses at a time; there may be no GIL."""

    cdef int64_t busy            # this_process while a thread uses it

    cdef bint take(self) noexcept:
        """Whether it was free, and is now the caller's until ``leave``."""
        cdef int64_t busy = atomic_load(&self.busy)
        return busy != this_process and atomic_replace(&self.busy, busy, this_process)

    cdef void leave(self) noexcept:
        atomic_store(&self.busy, 0)


cdef struct Seen:                # rows of an argument, where they lie
    const real* x                # (n, columns)
    Py_ssize_t n
    int n_dims                   # 1: one row by itself


cdef bint look_at_rows(
    object X, Py_ssize_t columns, Py_ssize_t most, bint check_finite, Seen* rows,
) noexcept:
    """Whether X is an array, of no subclass, of 1 to ``most`` rows as the kernels want them."""
    return cnp.PyArray_CheckExact(X) and look_at_array(X, columns, most, check_finite, rows)


cdef bint look_at_array(
    object X, Py_ssize_t columns, Py_ssize_t most, bint check_finite, Seen* rows,
) noexcept:
    """The same for an array of whatever class."""
    if cnp.PyArray_TYPE(X) != REAL_TYPE or not look_at_shape(X, columns, most, rows):
        return False
    return not check_finite or find_nonfinite(rows.x, rows.n * columns) < 0


cdef bint look_at_shape(object X, Py_ssize_t columns, Py_ssize_t most, Seen* rows) noexcept:
    """Whether an array has 1 to ``most`` rows, one behind the other."""
    rows.n_dims = cnp.PyArray_NDIM(X)
    if not cnp.PyArray_ISCARRAY_RO(X) or not 1 <= rows.n_dims <= 2:
        return False
    rows.n = cnp.PyArray_DIM(X, 0) if rows.n_dims == 2 else 1
    if cnp.PyArray_DIM(X, rows.n_dims - 1) != columns or not 0 < rows.n <= most:
        return False
    rows.x = <const real*>cnp.PyArray_DATA(X)
    return True


cdef object empty_like_rows(const Seen* rows, Py_ssize_t columns):
    """An array, not set, with as many rows and other columns."""
    cdef cnp.npy_intp shape[2]
    shape[0], shape[rows.n_dims - 1] = rows.n, columns
    return cnp.PyArray_EMPTY(rows.n_dims, shape, REAL_TYPE, 0)


cdef object traced_like_rows(
    type cls, const Seen* rows, Py_ssize_t columns, object z, str activation,
):
    """The same as a Traced of _predict/output.py; whoever has filled it makes it read-only."""
    cdef cnp.npy_intp shape[2]
    shape[0], shape[rows.n_dims - 1] = rows.n, columns
    array = cnp.PyArray_New(cls, rows.n_dims, shape, REAL_TYPE, NULL, NULL, 0, 0, None)
    array.z, array.activation = z, activation
    return array
