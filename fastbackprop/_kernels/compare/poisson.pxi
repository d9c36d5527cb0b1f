# Negative log-likelihoods of counts, behind exp and fused: the gradient is dC/dz = a - y.

cdef inline vec limit_of_poisson(vec cost, vec z, vec y) noexcept nogil:
    """The cost; where z is infinite its limit: the formula may have 0 times inf there."""
    cdef vec infinity = v_set1(INFINITY)
    cdef vec limit = v_select(v_less(v_zero(), y), infinity, v_zero())
    limit = v_select(v_less(z, v_zero()), limit, infinity)
    return v_select(v_less(v_set1(LARGEST), v_abs(z)), limit, cost)


cdef inline vec poisson_add(
    const Loss* loss, vec z, vec a, vec y, Py_ssize_t j, vec total,
    vec* gradient,                               # OUT
) noexcept nogil:
    """The total, carried on by e^z - y z."""
    gradient[0] = v_sub(a, y)
    return v_add(total, limit_of_poisson(v_fnma(y, z, a), z, y))


cdef inline vec poisson_second(
    const Loss* loss, vec z, vec a, vec y, Py_ssize_t j,
) noexcept nogil:
    """The derivative of dC/dz by a."""
    return v_set1(1)
