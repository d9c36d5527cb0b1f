# Negative log-likelihood of a Gaussian: outputs are n means, then the logarithms s of n variances,
# and a target costs 1/2 (s + e^2 / variance), without the constant 1/2 log 2 pi.

cdef inline real scalar_exp(real x) noexcept nogil:
    return v_get_first(v_exp(v_set1(x)))


cdef real gaussian_nll_row(
    const Loss* loss,
    const real* a,                               # IN (width,)
    const real* y,                               # IN (n,)
    real* delta,                                 # OUT (width,) or NULL
    Py_ssize_t width,
) noexcept nogil:
    """sum_j of what each target costs, and (e / variance, 1/2 (1 - e^2 / variance))."""
    cdef const real* s = a + loss.n_targets
    cdef real cost = 0, error, precision, distance, square
    cdef Py_ssize_t j
    if delta != NULL:
        memset(delta, 0, width * sizeof(real))
    for j in range(loss.n_targets):
        if loss.masks and y[j] != y[j]:
            continue
        error = a[j] - y[j]
        precision = scalar_exp(-s[j])
        distance = 0                             # an error of 0 is 0 with any variance
        if error != 0:
            distance = error * precision
        square = error * distance
        if is_finite(square):
            cost += <real>0.5 * (s[j] + square)
        else:                                    # outgrows s, even if that is -inf
            cost += square
        if delta != NULL:
            delta[j] = distance * loss.gradient_scale
            delta[loss.n_targets + j] = (<real>0.5 - <real>0.5 * square) \
                * loss.gradient_scale
    return cost


cdef void gaussian_nll_second_row(
    const Loss* loss,
    const real* a,                               # IN (width,)
    const real* y,                               # IN (n,)
    const real* r_a,                             # IN (width,): R{a}
    real* r_delta,                               # OUT (width,), zeros so far
) noexcept nogil:
    """R{.} of both gradients."""
    cdef Py_ssize_t j, n = loss.n_targets
    cdef real error, precision
    for j in range(n):
        if loss.masks and y[j] != y[j]:
            continue
        error = a[j] - y[j]
        precision = scalar_exp(-a[n + j])
        r_delta[j] = precision * (r_a[j] - error * r_a[n + j]) * loss.gradient_scale
        r_delta[n + j] = error * precision * (<real>0.5 * error * r_a[n + j] - r_a[j]) \
            * loss.gradient_scale
