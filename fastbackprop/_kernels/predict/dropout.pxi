# predict: dropout (Srivastava et al. 2014). In training a = x mask, where each unit of each row is
# 0 with the layer's rate, and the others are divided by what is left, so that to predict nothing is
# to be done: a = x. A mask depends on (seed, layer), the number of the training forward, the row of
# the batch and the unit, whoever draws it. It is kept for blame, where dC/dx = mask dC/da.

cdef void dropout_rows(
    const Layer* layer, Py_ssize_t first, Py_ssize_t last,           # rows of the batch
) noexcept nogil:
    """Draw the masks of rows, and apply them."""
    cdef Py_ssize_t i, j
    cdef real* mask
    cdef real* a
    for i in range(first, last):
        mask, a = layer.mask + i * layer.row, layer.a + i * layer.row
        mask_row(layer.key[0], layer.key[1], <uint64_t>layer.n_forwards, <uint32_t>i,
                 layer.threshold, layer.keep_scale, mask, layer.width)
        for j in range(layer.width // LANES):
            v_store(a + j * LANES, v_mul(v_load(layer.inputs[i] + j * LANES),
                                         v_load(mask + j * LANES)))


cdef void begin_batch(
    Plan* plan, Py_ssize_t n, bint training, int64_t n_forwards,
    const real* weights, const int64_t* order, Py_ssize_t start,     # of rows; or NULL
) noexcept nogil:
    """What layers of all kinds must know of n rows from ``start`` before they go forward.

    Batch norms take the statistics of the rows that have a weight where that are two or more, else
    the running ones: one row has no deviation.
    """
    cdef Py_ssize_t i, k, n_counted = n
    cdef real* marks = NULL
    cdef Layer* layer
    if training and weights != NULL and plan.has_batch_norm:
        marks, n_counted = plan.marks, 0
        for i in range(n):
            marks[i] = weights[start + i if order == NULL else order[start + i]] > 0
            n_counted += marks[i] > 0
    for k in range(plan.n_layers):
        layer = plan.layers + k
        layer.of_batch = training and n_counted > 1 and not layer.is_frozen
        layer.marks, layer.n_counted = marks, n_counted
        layer.drops, layer.n_forwards = training, n_forwards
        if training and layer.rates != NULL:
            set_rate(layer, layer.rates[n_forwards - layer.first_forward])
