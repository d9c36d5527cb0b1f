# correct: optimizers whose steps have a length of their own, whatever that of the gradient:
#
#     Lion (Chen et al. 2023, as optax has it)
#         w <- w - learning_rate sign(beta_1 m + (1 - beta_1) g)
#         m <- beta_2 m + (1 - beta_2) g
#     Rprop (Riedmiller & Braun 1993, as PyTorch has it): a step for each weight, at first the
#     learning rate, longer where the gradient kept its sign; where it changed shorter, and not done
#
# The sign of NaN is 0: so what must be finite is noted.

cdef inline vec corrected_lion(
    const Update* u, vec w, vec g, real* plane, vec* noted,
) noexcept nogil:
    cdef vec m = v_load(plane)
    cdef vec sign = signum(v_fma(v_set1(u.keep_1), m, v_mul(v_set1(u.take_1), g)))
    m = faded(v_fma(v_set1(u.keep_2), m, v_mul(v_set1(u.take_2), g)))
    v_store(plane, m)
    noted[0] = v_note_nonfinite(noted[0], m)
    return v_fnma(v_set1(u.learning_rate), sign, w)


cdef inline vec corrected_rprop(
    const Update* u, vec w, vec g, real* planes, vec* noted,
) noexcept nogil:
    cdef vec agreement = v_mul(signum(g), signum(v_load(planes)))
    cdef vec length = v_set1(u.learning_rate)
    noted[0] = v_note_nonfinite(noted[0], g)
    if not u.is_first:
        length = v_load(planes + u.plane)
    length = v_select(
        v_less(v_zero(), agreement), v_mul(length, v_set1(u.lengthen)),
        v_select(v_less(agreement, v_zero()), v_mul(length, v_set1(u.shorten)), length))
    length = v_max(v_set1(u.shortest), v_min(v_set1(u.longest), length))
    g = v_select(v_less(agreement, v_zero()), v_zero(), g)
    v_store(planes, g)
    v_store(planes + u.plane, length)
    return v_fnma(signum(g), length, w)
