# correct: optimizers that divide by the root of a second moment, as PyTorch has them. Epsilon is
# outside of the root; moments m and v begin at 0 and are divided by c = 1 - beta^steps.
#
#     Adam (Kingma & Ba 2015), AdamW (Loshchilov & Hutter 2019)
#         m <- beta_1 m + (1 - beta_1) g      v <- beta_2 v + (1 - beta_2) g^2
#         w <- w - learning_rate (m / c_1) / (sqrt(v / c_2) + epsilon)
#         AMSGrad (Reddi et al. 2018): the largest v so far instead of v
#     NAdam (Dozat 2016): m is looked at one step ahead, with a beta_1 that grows
#     RMSprop (Hinton 2012; centered: Graves 2013)
#         v <- rho v + (1 - rho) g^2          a <- rho a + (1 - rho) g
#         b <- momentum b + g / (sqrt(v - a^2 if centered, else v) + epsilon)
#         w <- w - learning_rate b
#     Adagrad (Duchi et al. 2011)
#         s <- s + g^2                        w <- w - learning_rate g / (sqrt(s) + epsilon)
#
# A second moment that isn't finite would stop its weight without a word: so it is noted.

cdef inline vec second_moment(
    const Update* u, vec g, real* plane, vec* noted,       # IN/OUT both
) noexcept nogil:
    cdef vec v = faded(v_fma(v_set1(u.keep_2), v_load(plane), v_mul(v_mul(v_set1(u.take_2), g), g)))
    v_store(plane, v)
    noted[0] = v_note_nonfinite(noted[0], v)
    return v


cdef inline vec first_moment(
    vec keep, vec take, vec g, real* plane,                # IN/OUT
) noexcept nogil:
    cdef vec m = faded(v_fma(keep, v_load(plane), v_mul(take, g)))
    v_store(plane, m)
    return m


cdef inline vec corrected_adam(
    const Update* u, vec w, vec g, real* planes, vec* noted,
) noexcept nogil:
    cdef vec m = first_moment(v_set1(u.keep_1), v_set1(u.take_1), g, planes)
    cdef vec v = second_moment(u, g, planes + u.plane, noted)
    if u.amsgrad:
        v = v_max(v_load(planes + 2 * u.plane), v)
        v_store(planes + 2 * u.plane, v)
    v = v_fma(v_sqrt(v), v_set1(u.root_factor), v_set1(u.epsilon))
    return v_fnma(v_set1(u.length), v_div(m, v), w)


cdef inline vec corrected_nadam(
    const Update* u, vec w, vec g, real* planes, vec* noted,
) noexcept nogil:
    cdef vec m = first_moment(v_set1(u.keep_1), v_set1(u.take_1), g, planes)
    cdef vec v = second_moment(u, g, planes + u.plane, noted)
    v = v_fma(v_sqrt(v), v_set1(u.root_factor), v_set1(u.epsilon))
    m = v_fma(v_set1(u.length), m, v_mul(v_set1(u.length_of_gradient), g))
    return v_sub(w, v_div(m, v))


cdef inline vec corrected_rmsprop(
    const Update* u, vec w, vec g, real* planes, vec* noted,
) noexcept nogil:
    cdef vec v = second_moment(u, g, planes, noted)
    cdef vec a
    planes += u.plane
    if u.centered:
        a = first_moment(v_set1(u.keep_2), v_set1(u.take_2), g, planes)
        v = v_max(v_zero(), v_fnma(a, a, v))     # it may round to less than 0
        planes += u.plane
    v = v_div(g, v_add(v_sqrt(v), v_set1(u.epsilon)))
    if u.has_momentum:
        v = faded(v_fma(v_set1(u.momentum), v_load(planes), v))
        v_store(planes, v)
    return v_fnma(v_set1(u.learning_rate), v, w)


cdef inline vec corrected_adagrad(
    const Update* u, vec w, vec g, real* plane, vec* noted,
) noexcept nogil:
    cdef vec s = v_fma(g, g, v_load(plane))
    v_store(plane, s)
    noted[0] = v_note_nonfinite(noted[0], s)
    s = v_div(g, v_add(v_sqrt(s), v_set1(u.epsilon)))
    return v_fnma(v_set1(u.learning_rate), s, w)
