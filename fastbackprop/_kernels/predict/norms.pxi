# predict: normalisation. z = gamma x^ + beta, where x^ = (x - mean) / sqrt(variance + epsilon).
#
#   a) LAYER_NORM (Ba et al. 2016) takes mean and variance along a row, summed in blocks of lanes
#      as all sums along a row are.
#   b) BATCH_NORM (Ioffe and Szegedy 2015) takes them down a column of the batch, each column one
#      chain over the rows, as the gradient of a bias is: so columns are what threads share. To
#      predict, it takes the running ones, and each row is by itself.
#   c) Variances are those of the numbers at hand (divided by n); the running variance is that of
#      the population they came from (by n - 1), as in PyTorch. Rows of weight 0 count as absent.

cdef inline vec normalized(vec x, vec mean, vec scale) noexcept nogil:
    return v_mul(v_sub(x, mean), scale)


cdef inline vec inverse_deviation(vec variance, real epsilon) noexcept nogil:
    return v_div(v_set1(1), v_sqrt(v_add(variance, v_set1(epsilon))))


cdef void layer_norm_row(
    const Layer* layer,
    const real* x,                               # IN (width,)
    real* z,                                     # OUT (width,); may be x
    real* statistics,                            # OUT mean and 1 / deviation, or NULL
) noexcept nogil:
    cdef vec parts[VECTORS_PER_BLOCK]
    cdef vec mean, scale, d
    cdef real n = <real>layer.n_out
    cdef Py_ssize_t b, j, k
    for k in range(VECTORS_PER_BLOCK):
        parts[k] = v_zero()
    for b in range(layer.width // BLOCK):
        for k in range(VECTORS_PER_BLOCK):
            j = b * BLOCK + k * LANES
            parts[k] = v_add(parts[k], v_first(v_load(x + j), layer.n_out - j))
    mean = v_set1(v_sum_of_block(parts) / n)
    for k in range(VECTORS_PER_BLOCK):
        parts[k] = v_zero()
    for b in range(layer.width // BLOCK):
        for k in range(VECTORS_PER_BLOCK):
            j = b * BLOCK + k * LANES
            d = v_first(v_sub(v_load(x + j), mean), layer.n_out - j)
            parts[k] = v_fma(d, d, parts[k])
    scale = inverse_deviation(v_set1(v_sum_of_block(parts) / n), layer.epsilon)
    if statistics != NULL:
        statistics[0], statistics[1] = v_get_first(mean), v_get_first(scale)
    for b in range(layer.width // LANES):
        j = b * LANES
        d = v_fma(normalized(v_load(x + j), mean, scale), v_load(layer.weight + j),
                  v_load(layer.bias + j))
        v_store(z + j, v_first(d, layer.n_out - j))


cdef inline void batch_norm_constants(
    const Layer* layer, Py_ssize_t j, vec* mean, vec* scale,
) noexcept nogil:
    """Mean and 1 / deviation of the columns from j on."""
    if layer.of_batch:
        mean[0] = v_load(layer.statistics + j)
        scale[0] = v_load(layer.statistics + layer.row + j)
    else:
        mean[0] = v_load(layer.running + j)
        scale[0] = inverse_deviation(v_load(layer.running + layer.row + j), layer.epsilon)


cdef void batch_norm_rows(
    const Layer* layer,
    const real** x,                              # IN (n,) pointers to (width,)
    real* z,                                     # OUT (n, row)
    Py_ssize_t n,
) noexcept nogil:
    """By the batch's statistics, or by the running ones."""
    cdef vec mean, scale, gamma, beta
    cdef Py_ssize_t b, i, j
    for b in range(layer.width // LANES):
        j = b * LANES
        batch_norm_constants(layer, j, &mean, &scale)
        gamma, beta = v_load(layer.weight + j), v_load(layer.bias + j)
        for i in range(n):
            v_store(z + i * layer.row + j,
                    v_first(v_fma(normalized(v_load(x[i] + j), mean, scale), gamma, beta),
                            layer.n_out - j))


cdef inline bint counts(const Layer* layer, Py_ssize_t i) noexcept nogil:
    """Whether row i of the batch has a weight."""
    return layer.marks == NULL or not is_zero(layer.marks[i])


cdef void batch_statistics(
    const Layer* layer, Py_ssize_t n,
    Py_ssize_t first, Py_ssize_t last,           # columns, whole vectors of them
    bint is_kept,                                # whether the running statistics take part
) noexcept nogil:
    """Mean and 1 / deviation of columns of the batch, and what becomes of the running ones."""
    cdef vec sums, mean, variance, d, momentum = v_set1(layer.momentum)
    cdef vec count = v_set1(<real>layer.n_counted)
    cdef vec others = v_set1(<real>(layer.n_counted - 1))
    cdef real* running
    cdef Py_ssize_t i, j = first
    while j < last:
        sums = v_zero()
        for i in range(n):
            if counts(layer, i):
                sums = v_add(sums, v_load(layer.inputs[i] + j))
        mean = v_first(v_div(sums, count), layer.n_out - j)
        sums = v_zero()
        for i in range(n):
            if counts(layer, i):
                d = v_sub(v_load(layer.inputs[i] + j), mean)
                sums = v_fma(d, d, sums)
        sums = v_first(sums, layer.n_out - j)
        variance = v_div(sums, count)
        v_store(layer.statistics + j, mean)
        v_store(layer.statistics + layer.row + j, inverse_deviation(variance, layer.epsilon))
        if is_kept:
            running = layer.running + j
            v_store(running, v_fma(momentum, v_sub(mean, v_load(running)), v_load(running)))
            running += layer.row
            variance = v_div(sums, others)
            v_store(running, v_fma(momentum, v_sub(variance, v_load(running)), v_load(running)))
        j += LANES


cdef void take_running(const Plan* plan) noexcept nogil:
    """Put the constants of the running statistics where those of a batch would be."""
    cdef const Layer* layer
    cdef vec mean, scale
    cdef Py_ssize_t b, k
    for k in range(plan.n_layers):
        layer = &plan.layers[k]
        for b in range(layer.width // LANES if layer.op == BATCH_NORM else 0):
            batch_norm_constants(layer, b * LANES, &mean, &scale)
            v_store(layer.statistics + b * LANES, mean)
            v_store(layer.statistics + layer.row + b * LANES, scale)


cdef inline real scale_at(const Layer* layer, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """1 / deviation for column j of row i, from the statistics."""
    return layer.statistics[2 * i + 1 if layer.op == LAYER_NORM else layer.row + j]


cdef inline real normalized_at(const Layer* layer, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """x^ in column j of row i, from the statistics."""
    cdef real mean = layer.statistics[2 * i if layer.op == LAYER_NORM else j]
    return (layer.inputs[i][j] - mean) * scale_at(layer, i, j)
