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


cdef inline real* on_cache_line(void* memory) noexcept nogil:
    """The first cache line that begins there."""
    return <real*>((<size_t>memory + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT)


cdef class Room:
    """Zeros on whole cache lines; most systems give a page when it is used, not before."""

    cdef void* memory
    cdef real* start

    def __cinit__(self, Py_ssize_t size):
        self.memory = calloc(size * sizeof(real) + ALIGNMENT, 1)
        if self.memory == NULL:
            raise MemoryError("no memory for a quick path")
        self.start = on_cache_line(self.memory)

    def __dealloc__(self):
        free(self.memory)


cdef struct Places:              # scratch for some calls at a time
    char* start                  # of the first
    Py_ssize_t n
    Py_ssize_t size              # bytes of one: a mark on a cache line, and what is behind it


cdef inline bint take_mark(int64_t* mark) noexcept nogil:
    """Whether it was free, and is now the caller's until it is 0."""
    cdef int64_t busy = atomic_load(mark)
    return busy != this_process and atomic_replace(mark, busy, this_process)


cdef int64_t* search_place(
    const Places* places, int64_t* last,         # which one the thread had last
    bint waits,
) noexcept nogil:
    """The mark of a place that is the caller's until it is 0; NULL where none is free."""
    cdef int64_t* mark
    cdef Py_ssize_t times = 0
    while True:
        mark = <int64_t*>(places.start + last[0] * places.size)
        if take_mark(mark):
            return mark
        last[0] = last[0] + 1 if last[0] + 1 < places.n else 0
        times += 1
        if times == places.n:                    # as many calls as places, some without a core
            if not waits:
                return NULL
            times = 0
            yield_core()


cdef int64_t* take_place(const Places* places, bint waits) noexcept nogil:
    """The same; a thread looks first where it found a place last.

    So threads that call at once soon have places, and cache lines, of their own, and there are
    never more in use than there were calls at once.
    """
    cdef int64_t* last = number_of_thread()
    if last[0] >= places.n:
        last[0] = 0
    return search_place(places, last, waits)


cdef inline int64_t* take_place_by_gil(const Places* places) noexcept nogil:
    """The same for callers who come with the GIL, one after the other: nearly always the first."""
    cdef int64_t* first = <int64_t*>places.start
    cdef int64_t last = 0
    if not HAS_GIL:
        return take_place(places, False)
    return first if take_mark(first) else search_place(places, &last, False)


cdef class Quick:
    """Scratch that one thread uses at a time; there may be no GIL."""

    cdef int64_t busy            # this_process while a thread uses it

    cdef bint take(self) noexcept:
        """Whether it was free, and is now the caller's until ``leave``."""
        return take_mark(&self.busy)

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
