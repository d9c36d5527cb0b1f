# Training with one sample a step and plain SGD: the same numbers as in loop.pxi, to
# the bit, without all that a batch needs. In a net of a few neurons a step is so
# short (a few hundred cycles) that calls, chunks and packing would double it.

cdef inline void forward_one(const Layer* layer, const real* x, bint is_last) noexcept nogil:
    """z = x W + b and a = act(z)."""
    cdef const real* left[1]
    cdef Py_ssize_t j = 0
    cdef bint in_tile = is_in_tile(layer.activation)
    cdef Forward f
    left[0] = x
    f.kind, f.x, f.z = layer.activation if in_tile else IDENTITY, left, layer.z
    while j + WIDE_VECTORS * LANES <= layer.width:
        predict_tile(1, WIDE_VECTORS, layer, &f, 0, j)
        j += WIDE_VECTORS * LANES
    while j < layer.width:
        predict_tile(1, VECTORS_PER_BLOCK, layer, &f, 0, j)
        j += BLOCK
    if is_last and layer.activation == SOFTMAX:
        softmax_row(layer.z, layer.a, layer.n_out, layer.width)
    elif not in_tile:
        activate_row(layer.activation, layer.alpha, layer.z, layer.a, layer.slope, layer.width)


cdef inline void backward_one(const Layer* layer, const Layer* below) noexcept nogil:
    """delta of the layer below = (delta W^T) act'(z)."""
    cdef vec sums[VECTORS_PER_BLOCK]
    cdef vec d
    cdef const real* w
    cdef Py_ssize_t b, j, k
    for b in range(layer.width_in // BLOCK):
        w = layer.transposed + b * BLOCK
        for k in range(VECTORS_PER_BLOCK):
            sums[k] = v_zero()
        for j in range(layer.n_out):
            d = v_set1(layer.delta[j])
            for k in range(VECTORS_PER_BLOCK):
                sums[k] = v_fma(d, v_load(w + k * LANES), sums[k])
            w += layer.row_in
        for k in range(VECTORS_PER_BLOCK):
            j = b * BLOCK + k * LANES
            if below.activation == RELU:
                sums[k] = relu_backward(v_load(below.a + j), sums[k], sums[k])
            elif keeps_slope(below.activation):
                sums[k] = v_mul(sums[k], v_load(below.slope + j))
            v_store(below.delta + j, sums[k])
    if not derives_in_tile(below.activation):
        derive_row(below.activation, below.alpha, derivative_input(below), below.delta, below.width)


cdef inline vec correct_outer(
    const real* left, Py_ssize_t n,              # IN (n,): a broadcast number for each row
    vec right, vec rate,                         # IN: one vector of the row
    real* w, Py_ssize_t row,                     # IN/OUT (n, row): one vector of each
    vec noted,
) noexcept nogil:
    """w <- w - rate left right; returns ``noted``, by which v_all_finite knows."""
    cdef vec x
    cdef Py_ssize_t i
    for i in range(n):
        x = v_fnma(rate, v_fma(v_set1(left[i]), right, v_zero()), v_load(w))
        v_store(w, x)
        noted = v_note_nonfinite(noted, x)
        w += row
    return noted


cdef inline bint correct_one(const Layer* layer, const real* x, real learning_rate,
                             bint is_first) noexcept nogil:
    """Correct W and b, and W^T by the same numbers; returns whether all are finite."""
    cdef vec rate = v_set1(learning_rate)
    cdef vec noted = v_zero()
    cdef vec w
    cdef Py_ssize_t j
    for j in range(layer.width // LANES):
        noted = correct_outer(x, layer.n_in, v_load(layer.delta + j * LANES), rate,
                              layer.weight + j * LANES, layer.row, noted)
        if layer.bias != NULL:                   # a sum from 0, so that -0 becomes 0 as in a batch
            w = v_fnma(rate, v_add(v_zero(), v_load(layer.delta + j * LANES)),
                       v_load(layer.bias + j * LANES))
            v_store(layer.bias + j * LANES, w)
            noted = v_note_nonfinite(noted, w)
    if not is_first:                             # W^T has zeros where a is padding
        for j in range(layer.width_in // LANES):
            correct_outer(layer.delta, layer.n_out, v_first(v_load(x + j * LANES),
                                                            layer.n_in - j * LANES), rate,
                          layer.transposed + j * LANES, layer.row_in, noted)
    return v_all_finite(noted)


cdef void train_singly(Training* job) noexcept nogil:
    """All steps of one sample each, in one thread; stops at the first that isn't FINE."""
    cdef const Plan* plan = job.plan
    cdef const Layer* layer
    cdef const Layer* last = &plan.layers[plan.n_layers - 1]
    cdef Progress* progress = &job.progress
    cdef const real* x
    cdef Py_ssize_t k, n_right = 0
    cdef Batch batch = batch_of(plan, 0, 1)
    cdef bint in_registers = fits_registers(job)
    prepare_blame(job.plan, 0, 1)
    for k in range(1, plan.n_layers):
        pack_transposed(&plan.layers[k], 0, plan.layers[k].n_in)
    begin_step(job, job.first)
    while True:
        if in_registers:
            train_in_registers(job)
            if progress.outcome != FINE or job.n_done == job.last - job.first:
                break
        k = progress.start if job.rows.order == NULL else job.rows.order[progress.start]
        x = job.rows.x + k * plan.layers[0].n_in
        if job.rows.order != NULL and has_next(job):
            fetch_row(job, progress.start + 1, 0, plan.layers[0].n_in)
        for k in range(plan.n_layers):
            layer = &plan.layers[k]
            forward_one(layer, x if k == 0 else plan.layers[k - 1].a, layer == last)
        compare_rows(&job.loss, &batch, job.rows.order, progress.start, &n_right)
        if not job.loss.fused:
            derive_last(last, 0, 1)
        if not close_blame(job):
            break
        for k in range(plan.n_layers - 1, -1, -1):
            layer = &plan.layers[k]
            if k > 0:
                backward_one(layer, &plan.layers[k - 1])
            if not correct_one(layer, x if k == 0 else plan.layers[k - 1].a,
                               job.update.learning_rate, k == 0):
                progress.outcome, progress.layer = WEIGHTS_NOT_FINITE, k
        if not end_step(job):
            break
        progress.start += 1
    progress.n_right += n_right


cdef bint is_products(const Plan* plan) noexcept nogil:
    """Whether there is nothing but dense layers, all of which learn with the same rate."""
    cdef Py_ssize_t k
    for k in range(plan.n_layers):
        if (plan.layers[k].op != PRODUCT or not plan.layers[k].is_ordinary
                or plan.layers[k].is_frozen):
            return False
    return True
