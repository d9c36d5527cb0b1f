# Hinge: t = 1 where the target says yes, else -1, and an output costs max(0, 1 - t a).

cdef inline vec hinge_add(
    const Loss* loss, vec z, vec a, vec y, Py_ssize_t j, vec total,
    vec* gradient,                               # OUT
) noexcept nogil:
    """The total, carried on by max(0, 1 - t a)."""
    cdef vec one = v_set1(1)
    cdef vec t = v_select(v_less(v_set1(0.5), y), one, v_set1(-1))
    cdef vec margin = v_fnma(t, a, one)
    gradient[0] = v_select(v_less(v_zero(), margin), v_sub(v_zero(), t), v_zero())
    return v_add(total, v_max(v_zero(), margin))


cdef inline vec hinge_second(
    const Loss* loss, vec z, vec a, vec y, Py_ssize_t j,
) noexcept nogil:
    """The derivative of the gradient by a."""
    return v_zero()
