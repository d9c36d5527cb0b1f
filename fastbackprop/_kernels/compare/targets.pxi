# What a row is compared with: it lies in the user's array, so nothing past its end may be touched.
# And what becomes of a row by its weight.

cdef inline vec load_target(const real* y, Py_ssize_t j, Py_ssize_t n) noexcept nogil:
    """y[j:] up to y[n - 1], then zeros; nothing past the end is touched."""
    return v_load_any(y + j) if j + LANES <= n else v_load_first(y + min(j, n), n - j)


cdef inline Py_ssize_t count_right(const real* z, const real* y, Py_ssize_t n) noexcept nogil:
    """How many outputs, yes above 0, say what their target says, yes above 1/2; NaN never does."""
    cdef Py_ssize_t j, n_right = 0
    for j in range(n):
        n_right += z[j] == z[j] and (z[j] > 0) == (y[j] > <real>0.5)
    return n_right


cdef inline vec smoothed(const Loss* loss, vec y) noexcept nogil:
    """The target after label smoothing; y itself without."""
    return v_fma(v_set1(loss.on), y, v_set1(loss.off))


cdef void weigh_rows(
    const Loss* loss, const Batch* batch,        # IN/OUT: its costs and delta
    const int64_t* order, Py_ssize_t first,      # the batch's rows among the weights
) noexcept nogil:
    """Multiply costs and gradients by the weights; without weight a row is absent, even if NaN."""
    cdef real weight
    cdef real* delta
    cdef Py_ssize_t i, j
    for i in range(batch.n):
        weight = loss.weights[first + i if order == NULL else order[first + i]]
        batch.costs[i] = batch.costs[i] * weight if weight > 0 else 0
        if batch.delta != NULL:
            delta = batch.delta + i * batch.row
            if weight > 0:
                for j in range(batch.width // LANES):
                    v_store(delta + j * LANES, v_mul(v_load(delta + j * LANES), v_set1(weight)))
            else:
                memset(delta, 0, batch.width * sizeof(real))
