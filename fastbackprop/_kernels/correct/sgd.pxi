# correct: stochastic gradient descent with momentum (Sutskever et al. 2013, as PyTorch has it):
#
#     v <- momentum v + g
#     w <- w - learning_rate (g + momentum v with Nesterov, else v)
#
# or, where the rate is in the velocity (as scikit-learn has it), with s = learning_rate g:
#
#     v <- momentum v + s
#     w <- w - (s + momentum v with Nesterov, else v)

cdef inline vec faded(vec x) noexcept nogil:
    """0 for what is below the smallest normal number; NaN stays.

    Where an input is lit once, a moment would else leave a subnormal number for ever, since it
    rounds to itself; sums with it are slow on some CPUs.
    """
    return v_select(v_less(v_abs(x), v_set1(SMALLEST_NORMAL)), v_zero(), x)


cdef inline vec signum(vec x) noexcept nogil:
    """-1, 0 or 1; of NaN 0."""
    return v_select(v_less(v_zero(), v_abs(x)), v_copysign(v_set1(1), x), v_zero())


cdef inline vec corrected_sgd(
    const Update* u, vec w, vec g,
    real* velocity,                              # IN/OUT: one vector of the only plane
) noexcept nogil:
    cdef vec momentum = v_set1(u.momentum)
    cdef vec v
    if u.scales_velocity:
        g = v_mul(v_set1(u.learning_rate), g)
    if u.has_momentum:
        v = faded(v_fma(momentum, v_load(velocity), g))
        v_store(velocity, v)
        g = v_fma(momentum, v, g) if u.nesterov else v
    if u.scales_velocity:
        return v_sub(w, g)
    return v_fnma(v_set1(u.learning_rate), g, w)
