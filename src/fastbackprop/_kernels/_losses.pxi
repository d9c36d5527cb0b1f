# compare: the cost of one row of outputs and, unless delta is NULL, its gradient.
# With loss.fused the gradient is dC/dz of the last layer (softmax with cross
# entropy, sigmoid with binary cross entropy: both y_hat - y), else dC/dy_hat.
# Each returns the cost of the row before cost_scale, and counts what was right.

cdef inline vec load_target(const real* y, Py_ssize_t j, Py_ssize_t n) noexcept nogil:
    """y[j:] up to y[n - 1], then zeros; nothing past the end is touched."""
    return v_load_any(y + j) if j + LANES <= n else v_load_first(y + min(j, n), n - j)


cdef inline real squared_error_row(
    const Loss* loss,
    const real* a,                               # IN (row,)
    const real* y,                               # IN (n,)
    real* delta,                                 # OUT (row,) or NULL
    Py_ssize_t n, Py_ssize_t row,
) noexcept nogil:
    """sum_j (a_j - y_j)^2 and the gradient (a - y) gradient_scale."""
    cdef vec parts[VECTORS_PER_BLOCK]
    cdef vec scale = v_set1(loss.gradient_scale)
    cdef vec error
    cdef Py_ssize_t b, j, k
    for k in range(VECTORS_PER_BLOCK):
        parts[k] = v_zero()
    for b in range(row // BLOCK):
        for k in range(VECTORS_PER_BLOCK):
            j = b * BLOCK + k * LANES
            error = v_first(v_sub(v_load(a + j), load_target(y, j, n)), n - j)
            parts[k] = v_fma(error, error, parts[k])
            if delta != NULL:
                v_store(delta + j, v_mul(error, scale))
    return sum_of_lanes(parts)


cdef struct Normalizer:                          # of one row: log sum e^z = largest + log_total
    bint known                                   # only few rows need it
    real largest
    real log_total


cdef inline void normalize(
    const real* z, Py_ssize_t n, Py_ssize_t row, Normalizer* normalizer,
) noexcept nogil:
    cdef vec parts[VECTORS_PER_BLOCK]
    cdef vec largest, e
    cdef Py_ssize_t b, j, k
    normalizer.largest = max_of_row(z, n)
    largest = v_set1(normalizer.largest)
    for k in range(VECTORS_PER_BLOCK):
        parts[k] = v_zero()
    for b in range(row // BLOCK):
        for k in range(VECTORS_PER_BLOCK):
            j = b * BLOCK + k * LANES
            e = v_exp(v_sub(v_load(z + j), largest))
            parts[k] = v_add(parts[k], v_first(e, n - j))
    normalizer.log_total = scalar_log(sum_of_lanes(parts))
    normalizer.known = True


cdef inline real surprise(
    const real* z, const real* p, Py_ssize_t j, Py_ssize_t n, Py_ssize_t row,
    Normalizer* normalizer,                      # IN/OUT, shared by all j of a row
) noexcept nogil:
    """-log p_j; where p_j is too small to say, from the logits: log sum e^(z - z_j)."""
    if p[j] >= SMALLEST_NORMAL:
        return -scalar_log(p[j])
    if not normalizer.known:
        normalize(z, n, row, normalizer)
    return (normalizer.largest - z[j]) + normalizer.log_total


cdef inline bint is_first_largest(const real* p, Py_ssize_t j, Py_ssize_t n) noexcept nogil:
    """Whether argmax p = j; among equals the first counts; with NaN nothing does."""
    cdef Py_ssize_t k
    if p[j] != p[j]:
        return False
    for k in range(n):
        if p[k] > p[j] or (p[k] == p[j] and k < j):
            return False
    return True


cdef inline real cross_entropy_label_row(
    const Loss* loss,
    const real* z, const real* p,                # IN (row,)
    Py_ssize_t label,
    real* delta,                                 # OUT (row,) or NULL
    Py_ssize_t n, Py_ssize_t row,
    Py_ssize_t* n_right,
) noexcept nogil:
    """-log p_label and the fused gradient (p - onehot) gradient_scale."""
    cdef Py_ssize_t b, j
    cdef Normalizer normalizer
    normalizer.known = False
    fbp_assert(0 <= label < n)
    n_right[0] += is_first_largest(p, label, n)
    if delta != NULL:
        for b in range(row // LANES):
            j = b * LANES
            v_store(delta + j, v_mul(v_load(p + j), v_set1(loss.gradient_scale)))
        delta[label] = (p[label] - 1) * loss.gradient_scale
    return surprise(z, p, label, n, row, &normalizer)


cdef inline real cross_entropy_row(
    const Loss* loss,
    const real* z, const real* p,                # IN (row,)
    const real* y,                               # IN (n,): one-hot, or probabilities
    real* delta,                                 # OUT (row,) or NULL
    Py_ssize_t n, Py_ssize_t row,
    Py_ssize_t* n_right,
) noexcept nogil:
    """-sum_j y_j log p_j and the fused gradient (p - y) gradient_scale."""
    cdef real cost = 0
    cdef Normalizer normalizer
    cdef Py_ssize_t b, j
    cdef Py_ssize_t label = 0
    normalizer.known = False
    for j in range(n):
        if y[j] > y[label]:
            label = j
        if y[j] != 0:
            cost += y[j] * surprise(z, p, j, n, row, &normalizer)
    n_right[0] += is_first_largest(p, label, n)
    if delta != NULL:
        for b in range(row // LANES):
            j = b * LANES
            v_store(delta + j, v_mul(v_sub(v_load(p + j), load_target(y, j, n)),
                                     v_set1(loss.gradient_scale)))
    return cost


cdef inline real binary_cross_entropy_row(
    const Loss* loss,
    const real* z, const real* p,                # IN (row,)
    const real* y,                               # IN (n,)
    real* delta,                                 # OUT (row,) or NULL
    Py_ssize_t n, Py_ssize_t row,
    Py_ssize_t* n_right,
) noexcept nogil:
    """sum_j max(z, 0) - z y + log(1 + e^-|z|), and (p - y) gradient_scale."""
    cdef vec parts[VECTORS_PER_BLOCK]
    cdef vec zero = v_zero()
    cdef vec x, t, cost
    cdef Py_ssize_t b, j, k
    for k in range(VECTORS_PER_BLOCK):
        parts[k] = zero
    for b in range(row // BLOCK):
        for k in range(VECTORS_PER_BLOCK):
            j = b * BLOCK + k * LANES
            x = v_load(z + j)
            t = load_target(y, j, n)
            cost = v_fnma(x, t, v_max(zero, x))
            cost = v_add(cost, v_log1p_small(v_exp(v_sub(zero, v_abs(x)))))
            parts[k] = v_add(parts[k], v_first(cost, n - j))
            if delta != NULL:
                x = v_mul(v_sub(v_load(p + j), t), v_set1(loss.gradient_scale))
                v_store(delta + j, v_first(x, n - j))
    for j in range(n):
        n_right[0] += z[j] == z[j] and (z[j] > 0) == (y[j] > <real>0.5)
    return sum_of_lanes(parts)


cdef inline double compare_row(
    const Loss* loss, Py_ssize_t target,         # row of loss.targets or loss.labels
    const real* z, const real* a,                # IN (row,)
    real* delta,                                 # OUT (row,) or NULL
    Py_ssize_t n, Py_ssize_t row,
    Py_ssize_t* n_right,                         # IN/OUT, for classification
) noexcept nogil:
    """The cost of one sample; delta gets its gradient, n_right what was predicted right."""
    cdef real cost
    if loss.kind == SQUARED_ERROR:
        cost = squared_error_row(loss, a, loss.targets + target * n, delta, n, row)
    elif loss.kind == BINARY_CROSS_ENTROPY:
        cost = binary_cross_entropy_row(loss, z, a, loss.targets + target * n, delta, n, row, n_right)
    elif loss.labels != NULL:
        cost = cross_entropy_label_row(loss, z, a, loss.labels[target], delta, n, row, n_right)
    else:
        cost = cross_entropy_row(loss, z, a, loss.targets + target * n, delta, n, row, n_right)
    return <double>(cost * loss.cost_scale)
