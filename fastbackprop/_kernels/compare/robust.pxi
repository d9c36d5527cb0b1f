# Losses of the error e = a - y that grow more slowly than its square: its size, huber, log cosh.

cdef inline vec sign_of(vec x, vec below, vec above) noexcept nogil:
    """``below`` where x < 0, ``above`` where x > 0, else x itself: 0, or NaN."""
    cdef vec y = v_select(v_less(v_zero(), x), above, x)
    return v_select(v_less(x, v_zero()), below, y)


cdef inline vec mean_absolute_error_add(
    const Loss* loss, vec z, vec a, vec y, Py_ssize_t j, vec total,
    vec* gradient,                               # OUT
) noexcept nogil:
    """The total, carried on by |e|."""
    cdef vec error = v_sub(a, y)
    gradient[0] = sign_of(error, v_set1(-1), v_set1(1))
    return v_add(total, v_abs(error))


cdef inline vec mean_absolute_error_second(
    const Loss* loss, vec z, vec a, vec y, Py_ssize_t j,
) noexcept nogil:
    """The derivative of the gradient by a."""
    return v_zero()


cdef inline vec huber_add(
    const Loss* loss, vec z, vec a, vec y, Py_ssize_t j, vec total,
    vec* gradient,                               # OUT
) noexcept nogil:
    """The total, carried on by e^2 / 2 up to delta, and delta (|e| - delta / 2) beyond."""
    cdef vec error = v_sub(a, y)
    cdef vec size = v_abs(error)
    cdef vec most = v_min(v_set1(loss.parameter), size)
    gradient[0] = v_copysign(most, error)
    return v_fma(most, v_fnma(v_set1(0.5), most, size), total)


cdef inline vec huber_second(
    const Loss* loss, vec z, vec a, vec y, Py_ssize_t j,
) noexcept nogil:
    """The derivative of the gradient by a."""
    return v_select(v_less(v_set1(loss.parameter), v_abs(v_sub(a, y))), v_zero(), v_set1(1))


cdef inline vec log_cosh_add(
    const Loss* loss, vec z, vec a, vec y, Py_ssize_t j, vec total,
    vec* gradient,                               # OUT
) noexcept nogil:
    """The total, carried on by log cosh e: from t = tanh(e/2), cosh e = 1 + 2 t^2 / (1 - t^2)."""
    cdef vec one = v_set1(1)
    cdef vec error = v_sub(a, y)
    cdef vec size = v_abs(error)
    cdef vec t = v_tanh(v_mul(v_set1(0.5), error))
    cdef vec square = v_mul(t, t)
    cdef vmask is_small = v_less(size, one)
    cdef vec x = v_div(v_add(square, square), v_sub(one, square))
    x = v_log1p_small(v_select(is_small, x, v_exp(v_mul(v_set1(-2), size))))
    gradient[0] = v_div(v_add(t, t), v_add(one, square))
    x = v_add(x, v_select(is_small, v_zero(), v_sub(size, v_set1(0.6931471805599453094))))
    return v_add(total, x)


cdef inline vec log_cosh_second(
    const Loss* loss, vec z, vec a, vec y, Py_ssize_t j,
) noexcept nogil:
    """The derivative of the gradient by a: 1 - tanh^2."""
    cdef vec tanh = v_tanh(v_sub(a, y))
    return v_fnma(tanh, tanh, v_set1(1))


cdef inline vec quantile_add(
    const Loss* loss, vec z, vec a, vec y, Py_ssize_t j, vec total,
    vec* gradient,                               # OUT
) noexcept nogil:
    """The total, carried on by q |e| where a is too small, and (1 - q) |e| where too large."""
    cdef vec q = v_load_any(loss.columns + j)
    cdef vec error = v_sub(a, y)
    gradient[0] = sign_of(error, v_sub(v_zero(), q), v_sub(v_set1(1), q))
    return v_fma(gradient[0], error, total)


cdef inline vec quantile_second(
    const Loss* loss, vec z, vec a, vec y, Py_ssize_t j,
) noexcept nogil:
    """The derivative of the gradient by a."""
    return v_zero()
