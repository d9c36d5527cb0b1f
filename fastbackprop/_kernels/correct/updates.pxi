# correct: w <- w - learning_rate * step, where the step is the gradient, or what
# momentum and weight decay make of it (Sutskever et al. 2013, as PyTorch's SGD has it):
#
#     g <- g + weight_decay w        v <- momentum v + g
#     step = g + momentum v (Nesterov), else v
#
# A velocity below the smallest normal number becomes 0: where an input is lit once, momentum
# would else leave a subnormal one for ever, since it rounds to itself; sums with it are slow on
# some CPUs.

cdef inline vec corrected(
    const Update* update, vec w, vec g,
    real* velocity,                              # IN/OUT: one vector of the only plane
) noexcept nogil:
    """The new weights; the velocity is replaced in place."""
    cdef vec momentum = v_set1(update.momentum)
    cdef vec v
    if update.weight_decay != 0:
        g = v_fma(v_set1(update.weight_decay), w, g)
    if update.has_momentum:
        v = v_fma(momentum, v_load(velocity), g)
        v = v_select(v_less(v_abs(v), v_set1(SMALLEST_NORMAL)), v_zero(), v)    # NaN stays
        v_store(velocity, v)
        g = v_fma(momentum, v, g) if update.nesterov else v
    return v_fnma(v_set1(update.learning_rate), g, w)


cdef vec correct_row(
    const Update* update,
    real* w, const real* g,                      # IN/OUT, IN: so many vectors
    real* planes,                                # IN/OUT: likewise, of the first plane
    Py_ssize_t vectors, vec noted,
) noexcept nogil:
    """Correct weights by their gradients; returns ``noted``, by which v_all_finite knows."""
    cdef vec x
    cdef Py_ssize_t v, at
    for v in range(vectors):
        at = v * LANES
        x = corrected(update, v_load(w + at), v_load_any(g + at), planes + at)
        v_store(w + at, x)
        noted = v_note_nonfinite(noted, x)
    return noted
