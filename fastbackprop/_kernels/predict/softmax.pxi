# a = softmax(z) of whole rows, and back.
#
#   a) A row alone lies in the lanes; its largest number and its sum are then folds across lanes, a
#      chain of a hundred cycles. Where it is one block of 64 bytes, as many rows as there are lanes
#      are turned round in registers: each lane has a row, and nothing waits.
#   b) Both add in the one order of v_sum_of_block: lane j meets lane j + BLOCK / 2, and so on.

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


cdef bint softmax_together(
    const real* z, real* p, Py_ssize_t row,      # IN, OUT (LANES, row); may be the same
    Py_ssize_t n,                                # of a row: at most BLOCK
) noexcept nogil:
    """The same for LANES rows; False, with nothing done, where a number isn't finite."""
    cdef vec parts[BLOCK]
    cdef vec e[BLOCK]
    cdef vec noted, total, largest
    cdef Py_ssize_t j
    cdef int i, k, width = BLOCK // 2
    for k in range(VECTORS_PER_BLOCK):
        for i in range(LANES):
            e[k * LANES + i] = v_load(z + i * row + k * LANES)
        v_transpose(e + k * LANES)
    largest = e[0]
    for j in range(1, n):
        largest = v_max(largest, e[j])
    for j in range(n):
        e[j] = v_exp(v_sub(e[j], largest))
        parts[j] = e[j]
    for j in range(n, BLOCK):
        e[j] = parts[j] = v_zero()
    while width > 0:
        for i in range(width):
            parts[i] = v_add(parts[i], parts[i + width])
        width //= 2
    total = parts[0]
    noted = v_note_nonfinite(v_note_nonfinite(v_zero(), largest), total)
    if not v_all_finite(noted):
        return False
    for j in range(n):
        e[j] = v_div(e[j], total)
    for k in range(VECTORS_PER_BLOCK):
        v_transpose(e + k * LANES)
        for i in range(LANES):
            v_store(p + i * row + k * LANES, e[k * LANES + i])
    return True


cdef void softmax_rows(
    const real* z, real* p, Py_ssize_t row,      # IN, OUT (rows, row); may be the same
    Py_ssize_t n_rows, Py_ssize_t n, Py_ssize_t width,
) noexcept nogil:
    cdef Py_ssize_t i = 0, end
    while i < n_rows:
        end = min(i + LANES, n_rows)
        if width == BLOCK and i + LANES == end and softmax_together(z + i * row, p + i * row, row, n):
            i = end
        while i < end:
            softmax_row(z + i * row, p + i * row, n, width)
            i += 1


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
