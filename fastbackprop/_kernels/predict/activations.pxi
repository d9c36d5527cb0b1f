# a = act(z), and delta = (dC/da) act'(z): for each row of the table (_core/activations.py)
#
#   NAME_forward(z, alpha)         a
#   NAME_backward(a, d, alpha)     d act'(z), where d is dC/da. The derivative is written in terms
#                                  of a, so that z need not be kept.
#   NAME_second(a, alpha)          the derivative of act'(z), so written, by a; none where it is 0
#
# on one vector; alpha is the activation's parameter. What loops over rows of them is written by
# setup.py from the table and included below. Softmax is not elementwise: it takes a whole row.

cdef inline vec identity_forward(vec z, vec alpha) noexcept nogil:
    return z


cdef inline vec identity_backward(vec a, vec d, vec alpha) noexcept nogil:
    return d


cdef inline vec relu_forward(vec z, vec alpha) noexcept nogil:
    return v_relu(z)


cdef inline vec relu_backward(vec a, vec d, vec alpha) noexcept nogil:
    return v_select(v_less(v_zero(), a), d, v_zero())


cdef inline vec leaky_relu_forward(vec z, vec alpha) noexcept nogil:
    return v_select(v_less(z, v_zero()), v_mul(z, alpha), z)


cdef inline vec leaky_relu_backward(vec a, vec d, vec alpha) noexcept nogil:
    return v_select(v_less(v_zero(), a), d, v_mul(d, alpha))


cdef inline vec sigmoid_forward(vec z, vec alpha) noexcept nogil:
    return v_sigmoid(z)


cdef inline vec sigmoid_backward(vec a, vec d, vec alpha) noexcept nogil:
    return v_mul(d, v_mul(a, v_sub(v_set1(1), a)))


cdef inline vec sigmoid_second(vec a, vec alpha) noexcept nogil:
    return v_fnma(v_set1(2), a, v_set1(1))


cdef inline vec tanh_forward(vec z, vec alpha) noexcept nogil:
    return v_tanh(z)


cdef inline vec tanh_backward(vec a, vec d, vec alpha) noexcept nogil:
    return v_mul(d, v_fnma(a, a, v_set1(1)))


cdef inline vec tanh_second(vec a, vec alpha) noexcept nogil:
    return v_mul(v_set1(-2), a)


cdef inline vec softplus_forward(vec z, vec alpha) noexcept nogil:
    return v_add(v_relu(z), v_log1p_small(v_exp(v_sub(v_zero(), v_abs(z)))))


cdef inline vec softplus_backward(vec a, vec d, vec alpha) noexcept nogil:
    """sigmoid(z) = 1 - e^-a."""
    return v_mul(d, v_sub(v_zero(), v_expm1_below_0(v_sub(v_zero(), a))))


cdef inline vec softplus_second(vec a, vec alpha) noexcept nogil:
    return v_exp(v_sub(v_zero(), a))


include "activation_dispatch.pxi"


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


def activate(str name, double alpha, const real[::1] z, real[::1] a, real[::1] derivative):
    """a = act(z) and act'(z), for all but softmax; each (a multiple of 64 bytes,), aligned."""
    cdef int kind = ACTIVATIONS.index(name)
    cdef Py_ssize_t i, width = z.shape[0]
    cdef Mode caller
    fbp_assert(kind != SOFTMAX and width % BLOCK == 0)
    for i in range(width):
        derivative[i] = 1
    caller = begin_mode()
    activate_row(kind, rounded(alpha), &z[0], &a[0], width)
    derive_row(kind, rounded(alpha), &a[0], &derivative[0], width)
    end_mode(caller)
