# Squared error: each output costs (a - y)^2, and its gradient is a - y (the 2 is in the spec).

cdef inline vec squared_error_add(
    const Loss* loss, vec z, vec a, vec y, Py_ssize_t j, vec total,
    vec* gradient,                               # OUT
) noexcept nogil:
    """The total, carried on by the costs of these outputs."""
    cdef vec error = v_sub(a, y)
    gradient[0] = error
    return v_fma(error, error, total)


cdef inline vec squared_error_second(
    const Loss* loss, vec z, vec a, vec y, Py_ssize_t j,
) noexcept nogil:
    """The derivative of the gradient by a."""
    return v_set1(1)
