# correct: weights from their gradients, by whatever optimizer. What all optimizers share (clipping,
# L1, decay) is done here; each has an inline ``corrected_``. To add one: its formula in one of the
# files before, a line here, its name in UPDATES, its planes in ``planes_of``, what a step needs in
# ``begin_update``, how large it can be in ``stays_finite``, a class in _correct/, by its name in
# OPTIMIZERS.

cdef inline vec clipped(const Update* u, vec g) noexcept nogil:
    """Each number of a gradient at most clip_value in size; NaN stays."""
    cdef vec limit = v_set1(u.clip_value)
    return v_max(v_sub(v_zero(), limit), v_min(limit, g)) if u.clip_value != 0 else g


cdef inline void prepare(const Update* u, vec* w, vec* g, vec* noted) noexcept nogil:
    """What all optimizers share, before their own formula: clipping, L1 and decay."""
    if u.is_clipped:
        noted[0] = v_note_nonfinite(noted[0], g[0])
        g[0] = v_mul(v_mul(clipped(u, g[0]), v_set1(u.clip_scale)), v_set1(u.clip_factor))
    if u.l1 != 0:
        g[0] = v_fma(v_set1(u.l1), signum(w[0]), g[0])
    if u.weight_decay != 0:
        g[0] = v_fma(v_set1(u.weight_decay), w[0], g[0])
    if u.shrinking != 0:
        w[0] = v_fnma(v_set1(u.shrinking), w[0], w[0])


cdef inline vec corrected(
    const int kind, const Update* u, vec w, vec g,
    real* planes,                                # IN/OUT: one vector of each
    vec* noted,
) noexcept nogil:
    """The new weights; what must be finite, too, is noted."""
    if kind == SGD_UPDATE:
        return corrected_sgd(u, w, g, planes)
    elif kind == ADAM_UPDATE:
        return corrected_adam(u, w, g, planes, noted)
    elif kind == NADAM_UPDATE:
        return corrected_nadam(u, w, g, planes, noted)
    elif kind == RMSPROP_UPDATE:
        return corrected_rmsprop(u, w, g, planes, noted)
    elif kind == ADAGRAD_UPDATE:
        return corrected_adagrad(u, w, g, planes, noted)
    elif kind == LION_UPDATE:
        return corrected_lion(u, w, g, planes, noted)
    return corrected_rprop(u, w, g, planes, noted)


cdef inline vec correct_block_as(
    const int kind, const Update* update, Py_ssize_t rows, Py_ssize_t vectors,
    real* w, Py_ssize_t row, const real* g, Py_ssize_t row_of_g, real* planes, vec noted,
) noexcept nogil:
    cdef Update u = update[0]                    # which no store can change: so loops keep it
    cdef vec x, gradient
    cdef Py_ssize_t i, v, at
    cdef bint is_prepared = (not u.is_clipped and u.l1 == 0 and u.weight_decay == 0
                             and u.shrinking == 0)
    for i in range(rows):
        for v in range(vectors):
            at = v * LANES
            x, gradient = v_load(w + at), v_load_any(g + at)
            if not is_prepared:
                prepare(&u, &x, &gradient, &noted)
            x = corrected(kind, &u, x, gradient, planes + at, &noted)
            v_store(w + at, x)
            noted = v_note_nonfinite(noted, x)
        w += row
        planes += row
        g += row_of_g
    return noted


cdef vec correct_block(
    const Update* update, Py_ssize_t rows, Py_ssize_t vectors,
    real* w, Py_ssize_t row,                     # IN/OUT (rows, vectors), and from row to row
    const real* g, Py_ssize_t row_of_g,          # IN: likewise
    real* planes,                                # IN/OUT: of the first plane, as w
    vec noted,
) noexcept nogil:
    """Correct weights by their gradients; returns ``noted``, by which v_all_finite knows."""
    if update.kind == SGD_UPDATE:
        return correct_block_as(SGD_UPDATE, update, rows, vectors, w, row, g, row_of_g, planes,
                                noted)
    elif update.kind == ADAM_UPDATE:
        return correct_block_as(ADAM_UPDATE, update, rows, vectors, w, row, g, row_of_g, planes,
                                noted)
    elif update.kind == NADAM_UPDATE:
        return correct_block_as(NADAM_UPDATE, update, rows, vectors, w, row, g, row_of_g, planes,
                                noted)
    elif update.kind == RMSPROP_UPDATE:
        return correct_block_as(RMSPROP_UPDATE, update, rows, vectors, w, row, g, row_of_g,
                                planes, noted)
    elif update.kind == ADAGRAD_UPDATE:
        return correct_block_as(ADAGRAD_UPDATE, update, rows, vectors, w, row, g, row_of_g,
                                planes, noted)
    elif update.kind == LION_UPDATE:
        return correct_block_as(LION_UPDATE, update, rows, vectors, w, row, g, row_of_g, planes,
                                noted)
    return correct_block_as(RPROP_UPDATE, update, rows, vectors, w, row, g, row_of_g, planes,
                            noted)
