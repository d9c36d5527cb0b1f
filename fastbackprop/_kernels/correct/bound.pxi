# correct: whether an update can overflow at all, known beforehand from the largest numbers that
# take part; who knows that it can't needs no copy to go back to.

cdef double largest_magnitude(const real* x, Py_ssize_t n) noexcept nogil:
    """The largest of n magnitudes, whole vectors of them; infinity where one isn't finite."""
    cdef vec largest = v_zero()
    cdef vec noted = v_zero()
    cdef vec here
    cdef Py_ssize_t i = 0
    while i < n:
        here = v_load(x + i)
        noted = v_note_nonfinite(noted, here)
        largest = v_max(largest, v_abs(here))
        i += LANES
    return <double>v_largest(largest) if v_all_finite(noted) else INFINITY


cdef bint stays_finite(
    const Update* update,
    double w, double g, double planes,           # IN: no magnitude is larger; gradients of a batch
) noexcept nogil:
    """Whether all that an update writes is finite for certain: far from the largest number."""
    cdef double momentum = update.momentum
    cdef double step = g + update.weight_decay * w
    cdef double v = momentum * planes + step
    cdef double size = step + momentum * v if update.nesterov else v
    return max(v, size, w + update.learning_rate * size) < LARGEST / 2
