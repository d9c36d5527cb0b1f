# a = softmax(z) of whole rows, and back.
#
#   a) A row alone lies in the lanes; its largest number and its sum are then folds across lanes, a
#      chain of a hundred cycles. Where it is short, as many rows as there are lanes are turned
#      round in registers: each lane has a row, and nothing waits.
#   b) Both add in the one order of v_sum_of_block: the blocks of a row, then lane j meets lane
#      j + BLOCK / 2, and so on.

cdef enum:
    TOGETHER = 4                 # blocks of a row that is short


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
    Py_ssize_t n, Py_ssize_t width,              # of a row: at most TOGETHER blocks
) noexcept nogil:
    """The same for LANES rows; False, with nothing done, where a number isn't finite."""
    cdef vec e[TOGETHER * BLOCK]
    cdef vec parts[BLOCK]
    cdef vec noted, total, largest
    cdef Py_ssize_t j, v, vectors = width // LANES
    cdef int i, half = BLOCK // 2
    for v in range(vectors):
        for i in range(LANES):
            e[v * LANES + i] = v_load(z + i * row + v * LANES)
        v_transpose(e + v * LANES)
    largest = e[0]
    for j in range(1, n):
        largest = v_max(largest, e[j])
    for j in range(n):
        e[j] = v_exp(v_sub(e[j], largest))
    for j in range(n, width):
        e[j] = v_zero()
    for i in range(BLOCK):
        parts[i] = e[i]
    for j in range(BLOCK, n):
        parts[j % BLOCK] = v_add(parts[j % BLOCK], e[j])
    while half > 0:
        for i in range(half):
            parts[i] = v_add(parts[i], parts[i + half])
        half //= 2
    total = parts[0]
    noted = v_note_nonfinite(v_note_nonfinite(v_zero(), largest), total)
    if not v_all_finite(noted):
        return False
    for j in range(n):
        e[j] = v_div(e[j], total)
    for v in range(vectors):
        v_transpose(e + v * LANES)
        for i in range(LANES):
            v_store(p + i * row + v * LANES, e[v * LANES + i])
    return True


cdef void softmax_rows(
    const real* z, real* p, Py_ssize_t row,      # IN, OUT (rows, row); may be the same
    Py_ssize_t n_rows, Py_ssize_t n, Py_ssize_t width,
) noexcept nogil:
    cdef Py_ssize_t i = 0, end
    while i < n_rows:
        end = min(i + LANES, n_rows)
        if (width <= TOGETHER * BLOCK and i + LANES == end
                and softmax_together(z + i * row, p + i * row, row, n, width)):
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
