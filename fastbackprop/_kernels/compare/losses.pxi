# compare: the cost of each row of outputs and, unless delta is NULL, its gradient.
# With loss.fused the gradient is dC/dz of the last layer (softmax with cross
# entropy, sigmoid with binary cross entropy: both y_hat - y), else dC/dy_hat.
# Costs are before cost_scale until compare_rows is done; what was right is counted.

cdef enum:
    # Below -log of the smallest normal number of either dtype: beyond it p has lost
    # digits, and the logits must say.
    NEARLY_ZERO_SURPRISE = 87


cdef inline vec load_target(const real* y, Py_ssize_t j, Py_ssize_t n) noexcept nogil:
    """y[j:] up to y[n - 1], then zeros; nothing past the end is touched."""
    return v_load_any(y + j) if j + LANES <= n else v_load_first(y + min(j, n), n - j)


cdef inline real squared_error_row(
    const Loss* loss,
    const real* a,                               # IN (width,)
    const real* y,                               # IN (n,)
    real* delta,                                 # OUT (width,) or NULL
    Py_ssize_t n, Py_ssize_t width,
) noexcept nogil:
    """sum_j (a_j - y_j)^2 and the gradient (a - y) gradient_scale."""
    cdef vec parts[VECTORS_PER_BLOCK]
    cdef vec scale = v_set1(loss.gradient_scale)
    cdef vec error
    cdef Py_ssize_t b, j, k
    for k in range(VECTORS_PER_BLOCK):
        parts[k] = v_zero()
    for b in range(width // BLOCK):
        for k in range(VECTORS_PER_BLOCK):
            j = b * BLOCK + k * LANES
            error = v_first(v_sub(v_load(a + j), load_target(y, j, n)), n - j)
            parts[k] = v_fma(error, error, parts[k])
            if delta != NULL:
                v_store(delta + j, v_mul(error, scale))
    return v_sum_of_block(parts)


cdef struct Normalizer:                          # of one row: log sum e^z = largest + log_total
    bint known                                   # only few rows need it
    real largest
    real log_total


cdef inline void normalize(
    const real* z, Py_ssize_t n, Py_ssize_t width, Normalizer* normalizer,
) noexcept nogil:
    cdef vec parts[VECTORS_PER_BLOCK]
    cdef vec largest, e
    cdef Py_ssize_t b, j, k
    normalizer.known = True
    normalizer.largest = max_of_first(z, n)
    if not is_finite(normalizer.largest):
        normalizer.log_total = -scalar_log(share_of_largest(z, n, normalizer.largest))
        return
    largest = v_set1(normalizer.largest)
    for k in range(VECTORS_PER_BLOCK):
        parts[k] = v_zero()
    for b in range(width // BLOCK):
        for k in range(VECTORS_PER_BLOCK):
            j = b * BLOCK + k * LANES
            e = v_exp(v_sub(v_load(z + j), largest))
            parts[k] = v_add(parts[k], v_first(e, n - j))
    normalizer.log_total = scalar_log(v_sum_of_block(parts))


cdef inline real surprise(
    const real* z, const real* p, Py_ssize_t j, Py_ssize_t n, Py_ssize_t width,
    Normalizer* normalizer,                      # IN/OUT, shared by all j of a row
) noexcept nogil:
    """-log p_j; where p_j is too small to say, from the logits: log sum e^(z - z_j)."""
    if p[j] >= SMALLEST_NORMAL:
        return -scalar_log(p[j])
    if not normalizer.known:
        normalize(z, n, width, normalizer)
    return (normalizer.largest - z[j]) + normalizer.log_total


cdef inline bint is_first_largest(const real* p, Py_ssize_t j, Py_ssize_t n) noexcept nogil:
    """Whether argmax p = j; among equals the first counts; NaN never does."""
    return (max_of_first(p, n) == p[j]) & (max_of_first(p, j) < p[j])


cdef inline void cross_entropy_labels(
    const Loss* loss, const Batch* batch,
    const int64_t* order, Py_ssize_t first,      # the batch's rows among the labels
    Py_ssize_t* n_right,
) noexcept nogil:
    """-log p_label and the fused gradient (p - onehot) gradient_scale, for all rows."""
    cdef vec scale = v_set1(loss.gradient_scale)
    cdef const real* p
    cdef real* delta
    cdef Py_ssize_t i, j, label
    cdef Normalizer normalizer
    for i in range(batch.n):
        p = batch.a + i * batch.row
        label = loss.labels[first + i if order == NULL else order[first + i]]
        fbp_assert(0 <= label < batch.n_out)
        n_right[0] += is_first_largest(p, label, batch.n_out)
        batch.costs[i] = p[label]
        if batch.delta != NULL:
            delta = batch.delta + i * batch.row
            for j in range(batch.width // LANES):
                v_store(delta + j * LANES, v_mul(v_load(p + j * LANES), scale))
            delta[label] = (p[label] - 1) * loss.gradient_scale
    # A vector of logarithms for many rows; what lies behind the last row is junk.
    i = 0
    while i < batch.n:
        v_store_any(batch.costs + i, v_sub(v_zero(), v_log(v_load_any(batch.costs + i))))
        i += LANES
    for i in range(batch.n):
        if not batch.costs[i] < NEARLY_ZERO_SURPRISE:      # rare: see surprise()
            label = loss.labels[first + i if order == NULL else order[first + i]]
            normalizer.known = False
            batch.costs[i] = surprise(batch.z + i * batch.row, batch.a + i * batch.row,
                                      label, batch.n_out, batch.width, &normalizer)


cdef inline real cross_entropy_row(
    const Loss* loss,
    const real* z, const real* p,                # IN (width,)
    const real* y,                               # IN (n,): one-hot, or probabilities
    real* delta,                                 # OUT (width,) or NULL
    Py_ssize_t n, Py_ssize_t width,
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
            cost += y[j] * surprise(z, p, j, n, width, &normalizer)
    n_right[0] += is_first_largest(p, label, n)
    if delta != NULL:
        for b in range(width // LANES):
            j = b * LANES
            v_store(delta + j, v_mul(v_sub(v_load(p + j), load_target(y, j, n)),
                                     v_set1(loss.gradient_scale)))
    return cost


cdef inline vec cost_of_infinite(vec cost, vec z, vec y) noexcept nogil:
    """The cost; where z is infinite its limit: 0 if the target is what z says, else inf.

    The formula has inf - inf there, or inf times 0.
    """
    cdef vec distance = v_select(v_less(z, v_zero()), y, v_sub(v_set1(1), y))
    cdef vec limit = v_select(v_less(v_zero(), distance), v_set1(INFINITY), v_zero())
    return v_select(v_less(v_set1(LARGEST), v_abs(z)), limit, cost)


cdef inline real binary_cross_entropy_row(
    const Loss* loss,
    const real* z, const real* p,                # IN (width,)
    const real* y,                               # IN (n,)
    real* delta,                                 # OUT (width,) or NULL
    Py_ssize_t n, Py_ssize_t width,
    Py_ssize_t* n_right,
) noexcept nogil:
    """sum_j max(z, 0) - z y + log(1 + e^-|z|), and (p - y) gradient_scale."""
    cdef vec parts[VECTORS_PER_BLOCK]
    cdef vec zero = v_zero()
    cdef vec x, t, cost
    cdef Py_ssize_t b, j, k
    for k in range(VECTORS_PER_BLOCK):
        parts[k] = zero
    for b in range(width // BLOCK):
        for k in range(VECTORS_PER_BLOCK):
            j = b * BLOCK + k * LANES
            x = v_load(z + j)
            t = load_target(y, j, n)
            cost = v_fnma(x, t, v_max(zero, x))
            cost = v_add(cost, v_log1p_small(v_exp(v_sub(zero, v_abs(x)))))
            cost = cost_of_infinite(cost, x, t)
            parts[k] = v_add(parts[k], v_first(cost, n - j))
            if delta != NULL:
                x = v_mul(v_sub(v_load(p + j), t), v_set1(loss.gradient_scale))
                v_store(delta + j, v_first(x, n - j))
    for j in range(n):
        n_right[0] += z[j] == z[j] and (z[j] > 0) == (y[j] > <real>0.5)
    return v_sum_of_block(parts)


cdef void compare_rows(
    const Loss* loss, const Batch* batch,
    const int64_t* order, Py_ssize_t first,      # the batch's rows among the targets
    Py_ssize_t* n_right,                         # IN/OUT, for classification
) noexcept nogil:
    """The costs of a batch, its delta, and what was predicted right."""
    cdef const real* y
    cdef const real* z
    cdef const real* a
    cdef real* delta
    cdef real cost
    cdef Py_ssize_t i
    fbp_assert(mode_is_set())
    if loss.kind == CROSS_ENTROPY and loss.labels != NULL:
        cross_entropy_labels(loss, batch, order, first, n_right)
    else:
        for i in range(batch.n):
            z, a = batch.z + i * batch.row, batch.a + i * batch.row
            delta = batch.delta + i * batch.row if batch.delta != NULL else NULL
            y = loss.targets + (first + i if order == NULL else order[first + i]) * batch.n_out
            if loss.kind == SQUARED_ERROR:
                cost = squared_error_row(loss, a, y, delta, batch.n_out, batch.width)
            elif loss.kind == BINARY_CROSS_ENTROPY:
                cost = binary_cross_entropy_row(loss, z, a, y, delta, batch.n_out, batch.width,
                                                n_right)
            else:
                cost = cross_entropy_row(loss, z, a, y, delta, batch.n_out, batch.width, n_right)
            batch.costs[i] = cost
    for i in range(batch.n):
        batch.costs[i] *= loss.cost_scale


# The second derivative, along a direction: R{.} is how a number changes along it (run/hessian.pxi).
# Each loss has its line in compare_rows_r, as it has one in compare_rows; what depends on the
# outputs or the targets is in the batch and the loss.

cdef inline void difference_row_r(
    const Loss* loss,
    const real* r_a,                             # IN (n,): R{a}
    real* r_delta,                               # OUT (row,)
    Py_ssize_t n, Py_ssize_t row,
) noexcept nogil:
    """R{(a - y) gradient_scale}: the same for all outputs and targets."""
    cdef Py_ssize_t j
    for j in range(n):
        r_delta[j] = r_a[j] * loss.gradient_scale
    for j in range(n, row):
        r_delta[j] = 0


cdef void compare_rows_r(
    const Loss* loss, const Batch* batch,        # the batch's delta and costs aren't touched
    const real* r_a,                             # IN (n, row): R{a} of the last layer
    real* r_delta,                               # OUT (n, row): R{dC/da}, or fused R{dC/dz}
) noexcept nogil:
    """What the gradient of each row's cost changes by; NaN for a loss that doesn't say."""
    cdef Py_ssize_t i, j
    for i in range(batch.n):
        if loss.kind in (SQUARED_ERROR, CROSS_ENTROPY, BINARY_CROSS_ENTROPY):
            difference_row_r(loss, r_a + i * batch.row, r_delta + i * batch.row, batch.n_out,
                             batch.row)
        else:
            for j in range(batch.row):
                r_delta[i * batch.row + j] = NAN


cdef inline double sum_of_costs(const real* costs, Py_ssize_t n, double total) noexcept nogil:
    """The total, carried on sample by sample."""
    cdef Py_ssize_t i
    for i in range(n):
        total += costs[i]
    return total
