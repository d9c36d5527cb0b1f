# Binary cross entropy behind a sigmoid, fused: the gradient is dC/dz = p - y.

cdef inline vec cost_of_infinite(vec cost, vec z, vec y) noexcept nogil:
    """The cost; where z is infinite its limit: 0 if the target is what z says, else inf.

    The formula has inf - inf there, or inf times 0.
    """
    cdef vec distance = v_select(v_less(z, v_zero()), y, v_sub(v_set1(1), y))
    cdef vec limit = v_select(v_less(v_zero(), distance), v_set1(INFINITY), v_zero())
    return v_select(v_less(v_set1(LARGEST), v_abs(z)), limit, cost)


cdef inline vec binary_cross_entropy_add(
    const Loss* loss, vec z, vec p, vec y, Py_ssize_t j, vec total,
    vec* gradient,                               # OUT
) noexcept nogil:
    """The total, carried on by max(z, 0) - z y + log(1 + e^-|z|)."""
    cdef vec zero = v_zero()
    cdef vec t = smoothed(loss, y)
    cdef vec cost = v_fnma(z, t, v_max(zero, z))
    cost = v_add(cost, v_log1p_small(v_exp(v_sub(zero, v_abs(z)))))
    cost = cost_of_infinite(cost, z, t)
    gradient[0] = v_sub(p, t)
    return v_add(total, v_select(v_less(v_set1(loss.most), cost), v_set1(loss.most), cost))


cdef inline vec binary_cross_entropy_second(
    const Loss* loss, vec z, vec p, vec y, Py_ssize_t j,
) noexcept nogil:
    """The derivative of dC/dz by p."""
    return v_set1(1)
