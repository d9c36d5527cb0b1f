# correct: gamma and beta of a norm, from sums down the batch, each column one chain over the rows.

cdef void layer_norm_sums(
    const Layer* layer, Py_ssize_t n, Py_ssize_t j,
    vec* sums, vec* dots,                        # OUT: sum d, and sum d x^
) noexcept nogil:
    cdef vec d, x_hat
    cdef Py_ssize_t i
    sums[0] = v_zero()
    dots[0] = v_zero()
    for i in range(n):
        d = v_load(layer.delta + i * layer.row + j)
        x_hat = normalized(v_load(layer.inputs[i] + j), v_set1(layer.statistics[2 * i]),
                           v_set1(layer.statistics[2 * i + 1]))
        sums[0] = v_add(sums[0], d)
        dots[0] = v_fma(d, v_first(x_hat, layer.n_out - j), dots[0])


cdef bint norm_correct(
    const Layer* layer, Py_ssize_t n,
    const Update* update,                        # IN, and its state IN/OUT; or NULL:
    real* gradient,                              # OUT (2, row)
) noexcept nogil:
    """dC/dgamma and dC/dbeta: as dense_correct has it for W and b."""
    cdef Correction c
    cdef Update own[2]
    cdef vec sums, dots
    cdef Py_ssize_t b, j
    c.x, c.delta, c.depth = layer.inputs, layer.delta, n
    c.update, c.update_of_bias, c.gradient = update, update, gradient
    if update != NULL and is_own(layer, update):
        updates_of_layer(update, layer, own)
        c.update, c.update_of_bias = &own[0], &own[1]
    c.nonfinite = v_zero()
    for b in range(layer.width // LANES):
        j = b * LANES
        if layer.op == BATCH_NORM:
            sums = v_load(layer.statistics + 2 * layer.row + j)
            dots = v_load(layer.statistics + 3 * layer.row + j)
        else:
            layer_norm_sums(layer, n, j, &sums, &dots)
        finish_gradient(1, 1, layer, &c, &dots, j)
        finish_gradient(1, 1, layer, &c, &sums, layer.row + j)
    return v_all_finite(c.nonfinite)


cdef bint layer_correct(
    const Layer* layer, Py_ssize_t n,
    const Update* update, real* gradient,        # as in dense_correct
    Py_ssize_t first, Py_ssize_t last,           # a chunk of rows of W; of norms the only one
) noexcept nogil:
    """Correct one op's parameters, or write their gradients; returns whether all are finite."""
    if layer.op == PRODUCT:
        return dense_correct(layer, layer.inputs, layer.delta, update, gradient, n, first, last)
    if not has_parameters(layer):
        return True
    return norm_correct(layer, n, update, gradient)


cdef void gradient_of_rows(
    const Layer* layer, Py_ssize_t n,
    real* gradient,                              # OUT (n_in + 1, row): of this layer
    Py_ssize_t first, Py_ssize_t last,           # a chunk of rows of W; the bias goes with row 0
) noexcept nogil:
    """The gradients of one op's parameters; zeros where they are frozen."""
    cdef Py_ssize_t n_rows = rows_of_weights(layer)
    if not layer.is_frozen:
        layer_correct(layer, n, NULL, gradient, first, last)
        return
    if first < n_rows:
        memset(gradient + first * layer.row, 0,
               (min(last, n_rows) - first) * layer.row * sizeof(real))
    if first == 0 and layer.bias != NULL:
        memset(gradient + n_rows * layer.row, 0, layer.row * sizeof(real))
