# Focal cross entropy behind a softmax, fused: -sum_j y_j (1 - p_j)^gamma log p_j. With
# h_j = p_j dC/dp_j the gradient is dC/dz_k = h_k - p_k sum_j h_j.

cdef inline real positive_power(real x, real exponent) noexcept nogil:
    """x^exponent for 0 <= x <= 1, and 0 where x is 0, unless the exponent is, too."""
    if is_zero(exponent):
        return 1
    if x <= 0:
        return 0
    return v_get_first(v_exp(v_mul(v_set1(exponent), v_log(v_set1(x)))))


cdef inline real target_at(const real* y, Py_ssize_t label, Py_ssize_t j) noexcept nogil:
    """Of a row of targets, or of a label where y is NULL."""
    return y[j] if y != NULL else j == label


cdef real focal_cross_entropy_row(
    const Loss* loss,
    const real* z, const real* p,                # IN (width,)
    const real* y, Py_ssize_t label,             # IN (n,), or NULL and a label
    real* delta,                                 # OUT (width,) or NULL
    Py_ssize_t n, Py_ssize_t width,
    Py_ssize_t* n_right,
) noexcept nogil:
    """The cost of a row, and dC/dz."""
    cdef real gamma = loss.parameter, cost = 0, total = 0, t, q, focus, negative_log, h
    cdef Normalizer normalizer
    cdef Py_ssize_t j
    normalizer.known = False
    if delta != NULL:
        memset(delta, 0, width * sizeof(real))
    for j in range(n):
        t = target_at(y, label, j)
        if y != NULL and t > y[label]:
            label = j
        if t == 0:
            continue
        negative_log = negative_log_likelihood(z, p, j, n, width, &normalizer)
        q = 1 - p[j]
        focus = positive_power(q, gamma)
        cost += t * focus * negative_log
        if delta != NULL:
            h = -focus                           # gamma p (log p) q^(gamma - 1) is 0 at both ends
            if p[j] > 0 and q > 0:
                h -= gamma * p[j] * negative_log * focus / q
            delta[j] = t * h
            total += delta[j]
    n_right[0] += is_first_largest(p, label, n)
    if delta != NULL:
        for j in range(n):
            delta[j] = (delta[j] - p[j] * total) * loss.gradient_scale
    return cost


cdef void focal_cross_entropy_second_row(
    const Loss* loss,
    const real* z, const real* p,                # IN (width,)
    const real* y, Py_ssize_t label,             # IN (n,), or NULL and a label
    const real* r_p,                             # IN (width,): R{p}
    real* r_delta,                               # OUT (width,), zeros so far
    Py_ssize_t n, Py_ssize_t width,
) noexcept nogil:
    """R{h_k - p_k sum h}, where y dh/dp is gamma q^(gamma - 1) times the sum in brackets below."""
    cdef real gamma = loss.parameter, total = 0, r_total = 0, t, q, negative_log, h, r_h
    cdef Normalizer normalizer
    cdef Py_ssize_t j
    normalizer.known = False
    for j in range(n):
        t, q = target_at(y, label, j), 1 - p[j]
        if t == 0:
            continue
        h, r_h = -positive_power(q, gamma), 0
        if p[j] > 0 and q > 0:
            negative_log = negative_log_likelihood(z, p, j, n, width, &normalizer)
            h -= gamma * p[j] * negative_log * positive_power(q, gamma) / q
            r_h = gamma * positive_power(q, gamma) / q * (
                2 - negative_log + (gamma - 1) * p[j] * negative_log / q
            )
        r_delta[j] = t * r_h * r_p[j]
        total += t * h
        r_total += r_delta[j]
    for j in range(n):
        r_delta[j] = (r_delta[j] - r_p[j] * total - p[j] * r_total) * loss.gradient_scale
