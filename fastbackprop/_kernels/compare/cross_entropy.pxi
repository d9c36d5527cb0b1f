# Cross entropy behind a softmax, fused: the gradient is dC/dz = p - y. The negative log-likelihood
# -log p comes from p where that has its digits, else from z. With label smoothing a target y is
# on y + off.

cdef enum:
    # Below -log of the smallest normal number of either dtype: beyond it p has lost
    # digits, and the logits must say.
    LARGE_NEGATIVE_LOG = 87


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


cdef inline real negative_log_likelihood(
    const real* z, const real* p, Py_ssize_t j, Py_ssize_t n, Py_ssize_t width,
    Normalizer* normalizer,                      # IN/OUT, shared by all j of a row
) noexcept nogil:
    """-log p_j; where p_j is too small to say, from the logits: log sum e^(z - z_j)."""
    if p[j] >= SMALLEST_NORMAL:
        return -scalar_log(p[j])
    if not normalizer.known:
        normalize(z, n, width, normalizer)
    return (normalizer.largest - z[j]) + normalizer.log_total


cdef real sum_of_negative_logs(
    const real* z, const real* p, Py_ssize_t n, Py_ssize_t width,
) noexcept nogil:
    """-sum_j log p_j."""
    cdef vec parts[VECTORS_PER_BLOCK]
    cdef vec x, one = v_set1(1)
    cdef vec most = v_set1(-1)                   # the largest of -p
    cdef Normalizer normalizer
    cdef real total = 0
    cdef Py_ssize_t b, j, k
    for k in range(VECTORS_PER_BLOCK):
        parts[k] = v_zero()
    for b in range(width // BLOCK):
        for k in range(VECTORS_PER_BLOCK):
            j = b * BLOCK + k * LANES
            x = v_first_or(v_load(p + j), n - j, one)
            most = v_max(most, v_sub(v_zero(), x))
            parts[k] = v_sub(parts[k], v_log(x))
    if v_largest(most) <= -SMALLEST_NORMAL:
        return v_sum_of_block(parts)
    normalizer.known = False                     # rare: one of them is too small to say
    for j in range(n):
        total += negative_log_likelihood(z, p, j, n, width, &normalizer)
    return total


cdef inline vec note_larger(
    vec noted, vec p, vec most,                  # most: p_j, whose place j is counted from p on
    Py_ssize_t j, Py_ssize_t n,
) noexcept nogil:
    """Note as not finite which of the first n lanes keep p_j from being the first largest."""
    cdef vec yes = v_zero(), no = v_set1(INFINITY)
    cdef vec before = v_select(v_less(p, most), yes, no)
    cdef vec behind = v_select(v_less(most, p), no, yes)
    return v_note_nonfinite(noted, v_first(v_first_or(before, j, behind), n))


cdef inline bint is_first_largest(const real* p, Py_ssize_t j, Py_ssize_t n) noexcept nogil:
    """Whether argmax p = j; among equals the first counts; NaN never does."""
    cdef vec most = v_set1(p[j])
    cdef vec noted = v_note_nonfinite(v_zero(), most)
    cdef Py_ssize_t k = 0
    while k < n:
        noted = note_larger(noted, v_load(p + k), most, j - k, n - k)
        k += LANES
    return v_all_finite(noted)


cdef inline bint is_largest_of(vec p, vec most, Py_ssize_t j, Py_ssize_t n) noexcept nogil:
    """The same of one vector, where p_j is there already, in all lanes."""
    return v_all_finite(note_larger(v_note_nonfinite(v_zero(), most), p, most, j, n))


cdef inline void cross_entropy_labels(
    const Loss* loss, const Batch* batch,
    const int64_t* order, Py_ssize_t first,      # the batch's rows among the labels
    Py_ssize_t* n_right,
) noexcept nogil:
    """-log p_label and the fused gradient (p - onehot) gradient_scale, for all rows."""
    cdef Loss own = loss[0]                      # which no store can change: so loops keep it
    cdef bint smooths = own.off > 0
    cdef real target = own.on + own.off          # of the label
    cdef vec scale = v_set1(own.gradient_scale)
    cdef vec d, off = v_set1(own.off)
    cdef const real* p
    cdef real* delta
    cdef Py_ssize_t i, j, label
    cdef Normalizer normalizer
    for i in range(batch.n):
        p = batch.a + i * batch.row
        label = own.labels[first + i if order == NULL else order[first + i]]
        fbp_assert(0 <= label < batch.n_out)
        n_right[0] += is_first_largest(p, label, batch.n_out)
        batch.costs[i] = p[label]
        if batch.delta != NULL:
            delta = batch.delta + i * batch.row
            for j in range(batch.width // LANES):
                d = v_load(p + j * LANES)
                if smooths:                      # else there are zeros in the padding already
                    d = v_first(v_sub(d, off), batch.n_out - j * LANES)
                v_store(delta + j * LANES, v_mul(d, scale))
            delta[label] = (p[label] - target) * own.gradient_scale
    # A vector of logarithms for many rows; what lies behind the last row is junk. Of one row it
    # would have to wait for the store of its only number.
    i = 0
    if batch.n == 1:
        batch.costs[0] = -scalar_log(batch.costs[0])
        i = 1
    while i < batch.n:
        v_store_any(batch.costs + i, v_sub(v_zero(), v_log(v_load_any(batch.costs + i))))
        i += LANES
    for i in range(batch.n):
        if not batch.costs[i] < LARGE_NEGATIVE_LOG:      # rare: the logits must say
            label = own.labels[first + i if order == NULL else order[first + i]]
            normalizer.known = False
            batch.costs[i] = negative_log_likelihood(
                batch.z + i * batch.row, batch.a + i * batch.row, label, batch.n_out, batch.width,
                &normalizer,
            )
        if smooths:
            batch.costs[i] = own.on * batch.costs[i] + own.off * sum_of_negative_logs(
                batch.z + i * batch.row, batch.a + i * batch.row, batch.n_out, batch.width,
            )


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
    cdef vec d
    cdef Normalizer normalizer
    cdef Py_ssize_t b, j
    cdef Py_ssize_t label = 0
    normalizer.known = False
    for j in range(n):
        if y[j] > y[label]:
            label = j
        if y[j] != 0:
            cost += y[j] * negative_log_likelihood(z, p, j, n, width, &normalizer)
    n_right[0] += is_first_largest(p, label, n)
    if loss.off > 0:
        cost = loss.on * cost + loss.off * sum_of_negative_logs(z, p, n, width)
    if delta != NULL:
        for b in range(width // LANES):
            j = b * LANES
            d = v_sub(v_load(p + j), smoothed(loss, load_target(y, j, n)))
            v_store(delta + j, v_first(v_mul(d, v_set1(loss.gradient_scale)), n - j))
    return cost


cdef inline void cross_entropy_second_row(
    const Loss* loss,
    const real* r_a,                             # IN (width,): R{a}
    real* r_delta,                               # OUT (width,)
    Py_ssize_t n, Py_ssize_t width,
) noexcept nogil:
    """R{(p - y) gradient_scale}: the same for all targets."""
    cdef Py_ssize_t j
    for j in range(n):
        r_delta[j] = r_a[j] * loss.gradient_scale
