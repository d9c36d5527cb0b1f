# a = act(z), and delta = (dC/da) act'(z): for each row of the table (_core/activations.py)
#
#   NAME_forward(z, alpha)         a
#   NAME_backward(x, d, alpha)     d act'(z), where d is dC/da. Where the derivative can be written
#                                  in terms of a without losing digits, x is a; where the table
#                                  says needs_z, x is z, which the plan keeps beside a then; where
#                                  it says keeps_slope, x is act'(z) itself, which
#   NAME_and_slope(z, &slope)      made beside a
#   NAME_second(x, alpha)          the derivative of act'(z), by x, which is z or a; none where it
#                                  is 0
#
# on one vector; alpha is the activation's parameter. What loops over rows of them is written by
# setup.py from the table and included below. Softmax is not elementwise: see softmax.pxi.
# Functions of z times what vanishes bound z first, where that is 0 already: infinity times 0 would
# be NaN, and the limit is 0.

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


cdef inline vec sigmoid_and_slope(vec z, vec* slope) noexcept nogil:
    return v_sigmoid_and_slope(z, slope)


cdef inline vec sigmoid_backward(vec slope, vec d, vec alpha) noexcept nogil:
    return v_mul(d, slope)


cdef inline vec sigmoid_second(vec a, vec alpha) noexcept nogil:
    return v_fnma(v_set1(2), a, v_set1(1))


cdef inline vec tanh_forward(vec z, vec alpha) noexcept nogil:
    return v_tanh(z)


cdef inline vec tanh_and_slope(vec z, vec* slope) noexcept nogil:
    return v_tanh_and_slope(z, slope)


cdef inline vec tanh_backward(vec slope, vec d, vec alpha) noexcept nogil:
    return v_mul(d, slope)


cdef inline vec tanh_second(vec a, vec alpha) noexcept nogil:
    return v_mul(v_set1(-2), a)


cdef inline vec softplus_forward(vec z, vec alpha) noexcept nogil:
    return v_add(v_relu(z), v_log1p_small(v_exp(v_sub(v_zero(), v_abs(z)))))


cdef inline vec softplus_backward(vec a, vec d, vec alpha) noexcept nogil:
    """sigmoid(z) = 1 - e^-a."""
    return v_mul(d, v_sub(v_zero(), v_expm1_below_0(v_sub(v_zero(), a))))


cdef inline vec softplus_second(vec a, vec alpha) noexcept nogil:
    return v_exp(v_sub(v_zero(), a))


cdef inline vec negative_exp(vec x) noexcept nogil:
    """e^-|x|."""
    return v_exp(v_sub(v_zero(), v_abs(x)))


cdef inline vec bounded(vec x, real bound) noexcept nogil:
    """x, or the nearer of -bound and bound; NaN passes."""
    return v_min(v_set1(bound), v_max(v_set1(-bound), x))


cdef inline vec elu_forward(vec z, vec alpha) noexcept nogil:
    return v_select(v_less(v_zero(), z), z, v_mul(alpha, v_expm1_below_0(v_min(v_zero(), z))))


cdef inline vec elu_backward(vec z, vec d, vec alpha) noexcept nogil:
    return v_select(v_less(v_zero(), z), d, v_mul(d, v_mul(alpha, v_exp(v_min(v_zero(), z)))))


cdef inline vec elu_second(vec z, vec alpha) noexcept nogil:
    return v_select(v_less(v_zero(), z), v_zero(), v_mul(alpha, v_exp(v_min(v_zero(), z))))


# Klambauer et al. 2017, "Self-normalizing neural networks": the scale, and scale times alpha.
cdef inline vec selu_forward(vec z, vec alpha) noexcept nogil:
    return v_select(v_less(v_zero(), z), v_mul(z, v_set1(1.0507009873554804934)),
                    v_mul(v_set1(1.7580993408473768600), v_expm1_below_0(v_min(v_zero(), z))))


cdef inline vec selu_backward(vec z, vec d, vec alpha) noexcept nogil:
    return v_mul(d, v_select(v_less(v_zero(), z), v_set1(1.0507009873554804934),
                             selu_second(v_min(v_zero(), z), alpha)))


cdef inline vec selu_second(vec z, vec alpha) noexcept nogil:
    return v_select(v_less(v_zero(), z), v_zero(),
                    v_mul(v_set1(1.7580993408473768600), v_exp(v_min(v_zero(), z))))


cdef inline vec gelu_forward(vec z, vec alpha) noexcept nogil:
    """z Phi(z), Phi being the normal distribution."""
    cdef vec e, tail
    z = v_max(v_set1(-40), z)
    tail = v_normal_tail(v_abs(z), &e)
    return v_mul(z, v_select(v_less(z, v_zero()), tail, v_sub(v_set1(1), tail)))


cdef inline vec gelu_backward(vec z, vec d, vec alpha) noexcept nogil:
    """Phi(z) + z phi(z), phi being the density."""
    cdef vec e, tail, p
    z = bounded(z, 40)
    tail = v_normal_tail(v_abs(z), &e)
    p = v_select(v_less(z, v_zero()), tail, v_sub(v_set1(1), tail))
    return v_mul(d, v_fma(v_mul(z, v_set1(0.39894228040143267794)), e, p))


cdef inline vec gelu_second(vec z, vec alpha) noexcept nogil:
    """phi(z) (2 - z^2)."""
    cdef vec e
    z = bounded(z, 40)
    v_normal_tail(v_abs(z), &e)
    return v_mul(v_mul(e, v_set1(0.39894228040143267794)), v_fnma(z, z, v_set1(2)))


# 1/2 z (1 + tanh(u)) is z sigmoid(v) with v = 2 u = z (B + C z^2).
cdef inline vec gelu_tanh_inner(vec z, vec* slope, vec* curvature) noexcept nogil:
    """v, dv/dz and d2v/dz2."""
    cdef vec square = v_mul(z, z)
    cdef vec b = v_set1(1.5957691216057307117), c = v_set1(0.071354816272600249574)
    slope[0] = v_fma(v_mul(c, v_set1(3)), square, b)
    curvature[0] = v_mul(v_mul(c, v_set1(6)), z)
    return v_mul(z, v_fma(c, square, b))


cdef inline vec gelu_tanh_forward(vec z, vec alpha) noexcept nogil:
    cdef vec slope, curvature
    z = v_max(v_set1(-40), z)
    return v_mul(z, v_sigmoid(gelu_tanh_inner(z, &slope, &curvature)))


cdef inline vec sigmoid_slope(vec v) noexcept nogil:
    """sigmoid'(v), from v."""
    cdef vec e = negative_exp(v)
    cdef vec s = v_div(v_set1(1), v_add(v_set1(1), e))
    return v_mul(v_mul(e, s), s)


cdef inline vec gelu_tanh_backward(vec z, vec d, vec alpha) noexcept nogil:
    """sigmoid(v) + z sigmoid'(v) dv/dz."""
    cdef vec v, slope, curvature
    z = bounded(z, 40)
    v = gelu_tanh_inner(z, &slope, &curvature)
    return v_mul(d, v_fma(v_mul(z, slope), sigmoid_slope(v), v_sigmoid(v)))


cdef inline vec gelu_tanh_second(vec z, vec alpha) noexcept nogil:
    """sigmoid'(v) (2 dv/dz + z d2v/dz2 + z (dv/dz)^2 (1 - 2 sigmoid(v)))."""
    cdef vec v, slope, curvature, factor
    z = bounded(z, 40)
    v = gelu_tanh_inner(z, &slope, &curvature)
    factor = v_fma(z, curvature, v_add(slope, slope))
    factor = v_fnma(v_mul(z, v_mul(slope, slope)), v_tanh(v_mul(v, v_set1(0.5))), factor)
    return v_mul(sigmoid_slope(v), factor)


cdef inline vec silu_forward(vec z, vec alpha) noexcept nogil:
    z = v_max(v_set1(-800), z)
    return v_mul(z, v_sigmoid(z))


cdef inline vec silu_backward(vec z, vec d, vec alpha) noexcept nogil:
    """s + z s (1 - s)."""
    z = bounded(z, 800)
    return v_mul(d, v_fma(z, sigmoid_slope(z), v_sigmoid(z)))


cdef inline vec silu_second(vec z, vec alpha) noexcept nogil:
    """s' (2 + z (1 - 2 s))."""
    z = bounded(z, 800)
    return v_mul(sigmoid_slope(z), v_fnma(z, v_tanh(v_mul(z, v_set1(0.5))), v_set1(2)))


# tanh(log(1 + E)) with E = e^z is t = w / (w + 2), w = E (E + 2).
cdef inline vec mish_forward(vec z, vec alpha) noexcept nogil:
    cdef vec e = v_exp(v_min(v_set1(40), z))
    cdef vec w = v_mul(e, v_add(e, v_set1(2)))
    return v_mul(v_max(v_set1(-800), z), v_div(w, v_add(w, v_set1(2))))


cdef inline vec mish_slope(vec e, vec w) noexcept nogil:
    """dt/dz = 4 E (E + 1) / (w + 2)^2."""
    cdef vec r = v_div(v_set1(1), v_add(w, v_set1(2)))
    return v_mul(v_mul(v_mul(v_set1(4), e), r), v_mul(v_add(e, v_set1(1)), r))


cdef inline vec mish_backward(vec z, vec d, vec alpha) noexcept nogil:
    """t + z dt/dz."""
    cdef vec e, w
    z = v_min(v_set1(40), v_max(v_set1(-800), z))
    e = v_exp(z)
    w = v_mul(e, v_add(e, v_set1(2)))
    return v_mul(d, v_fma(z, mish_slope(e, w), v_div(w, v_add(w, v_set1(2)))))


cdef inline vec mish_second(vec z, vec alpha) noexcept nogil:
    """dt/dz (2 + z (1 + E / (E + 1) - 4 E (E + 1) / (w + 2)))."""
    cdef vec e, w, one = v_set1(1), f
    z = v_min(v_set1(40), v_max(v_set1(-800), z))
    e = v_exp(z)
    w = v_mul(e, v_add(e, v_set1(2)))
    f = v_add(one, v_div(e, v_add(e, one)))
    f = v_sub(f, v_mul(v_div(v_mul(v_set1(4), e), v_add(w, v_set1(2))), v_add(e, one)))
    return v_mul(mish_slope(e, w), v_fma(z, f, v_set1(2)))


cdef inline vec softsign_forward(vec z, vec alpha) noexcept nogil:
    z = bounded(z, LARGEST)
    return v_div(z, v_add(v_set1(1), v_abs(z)))


cdef inline vec softsign_backward(vec z, vec d, vec alpha) noexcept nogil:
    """1 / (1 + |z|)^2."""
    cdef vec r = v_div(v_set1(1), v_add(v_set1(1), v_abs(z)))
    return v_mul(d, v_mul(r, r))


cdef inline vec softsign_second(vec z, vec alpha) noexcept nogil:
    cdef vec r = v_div(v_set1(1), v_add(v_set1(1), v_abs(z)))
    return v_copysign(v_mul(v_mul(v_add(r, r), r), r), v_sub(v_zero(), z))


cdef inline vec hard_sigmoid_forward(vec z, vec alpha) noexcept nogil:
    z = v_fma(z, v_set1(0.16666666666666666667), v_set1(0.5))
    return v_min(v_set1(1), v_max(v_zero(), z))


cdef inline vec hard_sigmoid_backward(vec a, vec d, vec alpha) noexcept nogil:
    d = v_select(v_less(a, v_set1(1)), v_mul(d, v_set1(0.16666666666666666667)), v_zero())
    return v_select(v_less(v_zero(), a), d, v_zero())


cdef inline vec hard_tanh_forward(vec z, vec alpha) noexcept nogil:
    return bounded(z, 1)


cdef inline vec hard_tanh_backward(vec a, vec d, vec alpha) noexcept nogil:
    return v_select(v_less(v_abs(a), v_set1(1)), d, v_zero())


cdef inline vec exp_forward(vec z, vec alpha) noexcept nogil:
    return v_exp(z)


cdef inline vec exp_backward(vec a, vec d, vec alpha) noexcept nogil:
    return v_mul(d, a)


cdef inline vec exp_second(vec a, vec alpha) noexcept nogil:
    return v_set1(1)


include "activation_dispatch.pxi"


def activate(
    str name, double alpha, const real[::1] z, real[::1] a, real[::1] derivative, real[::1] second,
):
    """a = act(z), act'(z) and act''(z), for all but softmax; aligned, of whole 64 bytes each."""
    cdef int kind = ACTIVATIONS.index(name)
    cdef bint needs_z = derives_from_z(kind)
    cdef const real* x = &z[0] if needs_z else &a[0]
    cdef Py_ssize_t i, width = z.shape[0]
    cdef Mode caller
    fbp_assert(kind != SOFTMAX and width % BLOCK == 0)
    for i in range(width):
        derivative[i] = 1
        second[i] = 0
    caller = begin_mode()
    activate_row(kind, rounded(alpha), &z[0], &a[0], NULL, width)
    add_second_row(kind, rounded(alpha), x, &derivative[0], &derivative[0], &second[0], width)
    if keeps_slope(kind):
        activate_row(kind, rounded(alpha), &z[0], &a[0], &derivative[0], width)
    else:
        derive_row(kind, rounded(alpha), x, &derivative[0], width)
    for i in range(width):                       # d act'/dx dx/dz
        second[i] *= 1 if needs_z else derivative[i]
    end_mode(caller)
