# a = act(z), and delta = (dC/da) act'(z). Each derivative is written in terms of a,
# so that z need not be kept: relu and leaky_relu pass where a > 0, sigmoid has
# a (1 - a), tanh 1 - a^2. Softmax is not elementwise: it takes a whole row.

cdef inline vec leaky(vec z, vec slope) noexcept nogil:
    return v_select(v_less(z, v_zero()), v_mul(z, slope), z)


cdef inline void activate_row(
    int kind, real slope,
    const real* z, real* a,                      # IN, OUT (width,); may be the same
    Py_ssize_t width,
) noexcept nogil:
    """a = act(z), for all but softmax."""
    cdef vec v_slope = v_set1(slope)
    cdef vec x
    cdef Py_ssize_t i, j
    for i in range(width // LANES):
        j = i * LANES
        x = v_load(z + j)
        if kind == RELU:
            x = v_relu(x)
        elif kind == LEAKY_RELU:
            x = leaky(x, v_slope)
        elif kind == SIGMOID:
            x = v_sigmoid(x)
        elif kind == TANH:
            x = v_tanh(x)
        v_store(a + j, x)


cdef inline vec derived(int kind, vec slope, vec a, vec d) noexcept nogil:
    """d act'(z), where d is dC/da."""
    if kind == RELU:
        return v_select(v_less(v_zero(), a), d, v_zero())
    if kind == LEAKY_RELU:
        return v_select(v_less(v_zero(), a), d, v_mul(d, slope))
    if kind == SIGMOID:
        return v_mul(d, v_mul(a, v_sub(v_set1(1), a)))
    if kind == TANH:
        return v_mul(d, v_fnma(a, a, v_set1(1)))
    return d


cdef inline void derive_row(
    int kind, real slope,
    const real* a, real* delta,                  # IN, IN/OUT (width,)
    Py_ssize_t width,
) noexcept nogil:
    """delta = delta act'(z), where delta comes as dC/da; for all but softmax."""
    cdef vec v_slope = v_set1(slope)
    cdef Py_ssize_t i, j
    for i in range(width // LANES):
        j = i * LANES
        v_store(delta + j, derived(kind, v_slope, v_load(a + j), v_load(delta + j)))


cdef real share_of_largest(const real* z, Py_ssize_t n, real largest) noexcept nogil:
    """1 / how many of z are ``largest``; NaN if one of z is NaN."""
    cdef Py_ssize_t j, count = 0
    for j in range(n):
        if z[j] != z[j]:
            return NAN
        count += z[j] == largest
    return 1 / <real>count


cdef void softmax_of_infinite(
    const real* z, real* p,                      # IN, OUT (width,); may be the same
    Py_ssize_t n, Py_ssize_t width, real largest,
) noexcept nogil:
    """The limit where the largest of finite z grew beyond all numbers, to inf or to -inf.

    Those that reached it share 1 equally, the others have 0.
    """
    cdef real share = share_of_largest(z, n, largest)
    cdef bint is_nan = share != share
    cdef Py_ssize_t j
    for j in range(width):
        if j < n and (is_nan or z[j] == largest):
            p[j] = share
        else:
            p[j] = 0


cdef inline void softmax_row(
    const real* z, real* p,                      # IN, OUT (width,); may be the same
    Py_ssize_t n, Py_ssize_t width,
) noexcept nogil:
    """p = e^(z - max z) / sum, and zeros in the padding."""
    cdef vec parts[VECTORS_PER_BLOCK]
    cdef real most = max_of_first(z, n)
    cdef vec largest = v_set1(most)
    cdef vec e, total
    cdef Py_ssize_t b, j, k
    if not is_finite(most):                      # else e^(inf - inf)
        softmax_of_infinite(z, p, n, width, most)
        return
    for k in range(VECTORS_PER_BLOCK):
        parts[k] = v_zero()
    for b in range(width // BLOCK):
        for k in range(VECTORS_PER_BLOCK):
            j = b * BLOCK + k * LANES
            e = v_first(v_exp(v_sub(v_load(z + j), largest)), n - j)
            parts[k] = v_add(parts[k], e)
            v_store(p + j, e)
    total = v_set1(v_sum_of_block(parts))
    for b in range(width // LANES):
        j = b * LANES
        v_store(p + j, v_div(v_load(p + j), total))


cdef inline void softmax_derive_row(
    const real* p, real* delta,                  # IN, IN/OUT (width,)
    Py_ssize_t width,
) noexcept nogil:
    """delta_j = p_j (d_j - sum_k d_k p_k), where delta comes as d = dC/dp."""
    cdef vec parts[VECTORS_PER_BLOCK]
    cdef vec mean
    cdef Py_ssize_t b, j, k
    for k in range(VECTORS_PER_BLOCK):
        parts[k] = v_zero()
    for b in range(width // BLOCK):
        for k in range(VECTORS_PER_BLOCK):
            j = b * BLOCK + k * LANES
            parts[k] = v_fma(v_load(delta + j), v_load(p + j), parts[k])
    mean = v_set1(v_sum_of_block(parts))
    for b in range(width // LANES):
        j = b * LANES
        v_store(delta + j, v_mul(v_load(p + j), v_sub(v_load(delta + j), mean)))
