# blame through normalisation: with d = dC/dz and g = gamma d,
#
#     dC/dx = (g - mean(g) - x^ mean(g x^)) / deviation
#
# where the means run along the row (LAYER_NORM) or down the column (BATCH_NORM). With running
# statistics, which don't depend on x, dC/dx = g / deviation.

cdef void layer_norm_backward_row(
    const Layer* layer,
    const real* x, const real* statistics,       # IN (width,), (2,)
    const real* d,                               # IN (width,)
    real* d_x,                                   # OUT (width,)
) noexcept nogil:
    cdef vec parts[VECTORS_PER_BLOCK]
    cdef vec dots[VECTORS_PER_BLOCK]
    cdef vec mean = v_set1(statistics[0]), scale = v_set1(statistics[1])
    cdef vec g, x_hat, mean_g, mean_dot
    cdef real n = <real>layer.n_out
    cdef Py_ssize_t b, j, k
    for k in range(VECTORS_PER_BLOCK):
        parts[k] = v_zero()
        dots[k] = v_zero()
    for b in range(layer.width // BLOCK):        # the padding of d is zero
        for k in range(VECTORS_PER_BLOCK):
            j = b * BLOCK + k * LANES
            g = v_mul(v_load(layer.weight + j), v_load(d + j))
            x_hat = v_first(normalized(v_load(x + j), mean, scale), layer.n_out - j)
            parts[k] = v_add(parts[k], g)
            dots[k] = v_fma(g, x_hat, dots[k])
    mean_g = v_set1(v_sum_of_block(parts) / n)
    mean_dot = v_set1(v_sum_of_block(dots) / n)
    for b in range(layer.width // LANES):
        j = b * LANES
        g = v_mul(v_load(layer.weight + j), v_load(d + j))
        x_hat = normalized(v_load(x + j), mean, scale)
        g = v_mul(v_fnma(x_hat, mean_dot, v_sub(g, mean_g)), scale)
        v_store(d_x + j, v_first(g, layer.n_out - j))


cdef void batch_norm_sums(
    const Layer* layer, Py_ssize_t n,
    Py_ssize_t first, Py_ssize_t last,           # columns, whole vectors of them
) noexcept nogil:
    """Down the batch, sum d and sum d x^: gradients of beta and gamma, and what blame needs."""
    cdef vec mean, scale, d, sums, dots
    cdef Py_ssize_t i, j = first
    while j < last:
        batch_norm_constants(layer, j, &mean, &scale)
        sums = v_zero()
        dots = v_zero()
        for i in range(n):
            d = v_load(layer.delta + i * layer.row + j)
            sums = v_add(sums, d)
            dots = v_fma(d, v_first(normalized(v_load(layer.inputs[i] + j), mean, scale),
                                    layer.n_out - j), dots)
        v_store(layer.statistics + 2 * layer.row + j, sums)
        v_store(layer.statistics + 3 * layer.row + j, dots)
        j += LANES


cdef void batch_norm_backward_rows(
    const Layer* layer,
    const real** x, const real* d,               # IN (n,) pointers to (width,), (n, row)
    const real* marks,                           # IN (n,) or NULL: rows that count
    real* d_x,                                   # OUT (n, row)
    Py_ssize_t n,
) noexcept nogil:
    cdef vec mean, scale, gamma, mean_d, mean_dot, g
    cdef vec count = v_set1(<real>layer.n_counted)
    cdef Py_ssize_t b, i, j
    for b in range(layer.width // LANES):
        j = b * LANES
        batch_norm_constants(layer, j, &mean, &scale)
        gamma = v_mul(v_load(layer.weight + j), scale)
        mean_d = mean_dot = v_zero()
        if layer.of_batch:
            mean_d = v_div(v_load(layer.statistics + 2 * layer.row + j), count)
            mean_dot = v_div(v_load(layer.statistics + 3 * layer.row + j), count)
        for i in range(n):
            if marks != NULL and is_zero(marks[i]):      # its d is 0, and it moved no statistics
                v_store(d_x + i * layer.row + j, v_zero())
                continue
            g = v_sub(v_load(d + i * layer.row + j), mean_d)
            g = v_mul(v_fnma(normalized(v_load(x[i] + j), mean, scale), mean_dot, g), gamma)
            v_store(d_x + i * layer.row + j, v_first(g, layer.n_out - j))
