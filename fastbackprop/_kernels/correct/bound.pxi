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
    const Update* update,                        # after begin_update
    double w, double g, double planes,           # IN: no magnitude is larger; gradients of a batch
) noexcept nogil:
    """Whether all that an update writes is finite for certain: far from the largest number."""
    cdef double momentum = update.momentum
    cdef double step = g + update.l1 + update.weight_decay * w
    cdef double state = planes + step            # of all planes, after the step
    cdef double length = update.learning_rate
    if update.kind == SGD_UPDATE:
        if update.scales_velocity:
            step, length = length * step, 1
        state = momentum * planes + step
        step = step + momentum * state if update.nesterov else state
    elif update.kind == LION_UPDATE:
        step = 1
    elif update.kind == RPROP_UPDATE:
        step, length = update.longest, 1
    else:                                        # the root may be 0
        step = state / update.epsilon
        length = max(length, <double>update.length) + update.length_of_gradient
        state += state * state
        state = max(state, planes + step if update.kind == RMSPROP_UPDATE else 0)
        step = max(step, state if update.kind == RMSPROP_UPDATE else 0)
    return max(state, step, (1 + update.shrinking) * w + length * step) < LARGEST / 2
