# correct: w <- w - learning_rate * step, where the step is the gradient, or what
# momentum and weight decay make of it (Sutskever et al. 2013, as PyTorch's SGD has it):
#
#     g <- g + weight_decay w        v <- momentum v + g
#     step = g + momentum v (Nesterov), else v

cdef inline vec corrected(
    const Update* update, vec w, vec g,
    real* velocity,                              # IN/OUT, one vector; used with momentum only
) noexcept nogil:
    """The new weights; the velocity is replaced in place."""
    cdef vec momentum = v_set1(update.momentum)
    cdef vec v
    if update.weight_decay != 0:
        g = v_fma(v_set1(update.weight_decay), w, g)
    if update.momentum != 0:
        v = v_fma(momentum, v_load(velocity), g)
        v_store(velocity, v)
        g = v_fma(momentum, v, g) if update.nesterov else v
    return v_fnma(v_set1(update.learning_rate), g, w)
