# a = act(z), and delta = (dC/da) act'(z). Each derivative is written in terms of a,
# so that z need not be kept: relu and leaky_relu pass where a > 0, sigmoid has
# a (1 - a), tanh 1 - a^2. Softmax is not elementwise: it takes a whole row.

cdef inline void activate(
    int kind, real slope,
    const real* z, real* a,                      # IN, OUT (rows, row); may be the same
    Py_ssize_t row, int rows, int vectors,
) noexcept nogil:
    """a = act(z) on a tile of whole vectors."""
    cdef vec zero = v_zero()
    cdef vec v_slope = v_set1(slope)
    cdef vec x
    cdef Py_ssize_t i, j
    cdef int v
    if kind == IDENTITY and z == a:
        return
    for i in range(rows):
        for v in range(vectors):
            j = i * row + v * LANES
            x = v_load(z + j)
            if kind == RELU:
                x = v_select(v_less(x, zero), zero, x)        # -0 and NaN stay what they are
            elif kind == LEAKY_RELU:
                x = v_select(v_less(x, zero), v_mul(x, v_slope), x)
            elif kind == SIGMOID:
                x = v_sigmoid(x)
            elif kind == TANH:
                x = v_tanh(x)
            v_store(a + j, x)


cdef inline void derive(
    int kind, real slope,
    const real* a, real* delta,                  # IN, IN/OUT (rows, row)
    Py_ssize_t row, int rows, int vectors,
) noexcept nogil:
    """delta = delta act'(z), where delta comes as dC/da."""
    cdef vec zero = v_zero()
    cdef vec one = v_set1(1)
    cdef vec v_slope = v_set1(slope)
    cdef vec x, d
    cdef Py_ssize_t i, j
    cdef int v
    if kind == IDENTITY:
        return
    for i in range(rows):
        for v in range(vectors):
            j = i * row + v * LANES
            x = v_load(a + j)
            d = v_load(delta + j)
            if kind == RELU:
                d = v_select(v_less(zero, x), d, zero)
            elif kind == LEAKY_RELU:
                d = v_select(v_less(zero, x), d, v_mul(d, v_slope))
            elif kind == SIGMOID:
                d = v_mul(d, v_mul(x, v_sub(one, x)))
            elif kind == TANH:
                d = v_mul(d, v_fnma(x, x, one))
            v_store(delta + j, d)


cdef inline void softmax_row(
    const real* z, real* p,                      # IN, OUT (row,); may be the same
    Py_ssize_t n, Py_ssize_t row,
) noexcept nogil:
    """p = e^(z - max z) / sum, and zeros in the padding."""
    cdef vec parts[VECTORS_PER_BLOCK]
    cdef vec largest = v_set1(max_of_row(z, n))
    cdef vec e, total
    cdef Py_ssize_t b, j, k
    for k in range(VECTORS_PER_BLOCK):
        parts[k] = v_zero()
    for b in range(row // BLOCK):
        for k in range(VECTORS_PER_BLOCK):
            j = b * BLOCK + k * LANES
            e = v_first(v_exp(v_sub(v_load(z + j), largest)), n - j)
            parts[k] = v_add(parts[k], e)
            v_store(p + j, e)
    total = v_set1(sum_of_lanes(parts))
    for b in range(row // LANES):
        j = b * LANES
        v_store(p + j, v_div(v_load(p + j), total))


cdef inline void softmax_derive_row(
    const real* p, real* delta,                  # IN, IN/OUT (row,)
    Py_ssize_t row,
) noexcept nogil:
    """delta_j = p_j (d_j - sum_k d_k p_k), where delta comes as d = dC/dp."""
    cdef vec parts[VECTORS_PER_BLOCK]
    cdef vec mean
    cdef Py_ssize_t b, j, k
    for k in range(VECTORS_PER_BLOCK):
        parts[k] = v_zero()
    for b in range(row // BLOCK):
        for k in range(VECTORS_PER_BLOCK):
            j = b * BLOCK + k * LANES
            parts[k] = v_fma(v_load(delta + j), v_load(p + j), parts[k])
    mean = v_set1(sum_of_lanes(parts))
    for b in range(row // LANES):
        j = b * LANES
        v_store(delta + j, v_mul(v_load(p + j), v_sub(v_load(delta + j), mean)))
