# predict, compare, blame, correct: for one batch, then for many. All that runs
# without the GIL between two visits to Python is here.
#
#   a) A batch goes forward through all layers, its rows are compared, and the blame
#      goes back through all layers before any weight is corrected: every delta is
#      made with the weights of before the step.
#   b) Nothing is allocated: the plan points into scratch that Python sized once.
#   c) Costs are summed in double, sample by sample, in the order of the samples.
#   d) A step that would leave a weight that isn't finite is undone: the weights from
#      the start of the call are put back and the good steps are done again, which
#      gives the same bits as before, since all here is deterministic.

cdef struct Progress:
    double cost                  # sum of the costs of all samples so far
    Py_ssize_t n_right           # samples (or outputs) classified right so far
    int outcome                  # of enum Outcome
    Py_ssize_t start             # where outcome isn't FINE: the first row of that batch
    Py_ssize_t layer             # ... and the layer where it shows first

cdef struct Rows:
    const real* x                # (n, n_in of the first layer)
    const int64_t* order         # which row is the i-th, or NULL for 0, 1, 2 ...


cdef const real* gather(const Plan* plan, const Rows* rows, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
    """The rows of one batch, one behind the other: copied only where they are shuffled."""
    cdef Py_ssize_t i, n_in = plan.layers[0].n_in
    if rows.order == NULL:
        return rows.x + start * n_in
    for i in range(n):
        memcpy(plan.x + i * n_in, rows.x + rows.order[start + i] * n_in, n_in * sizeof(real))
    return plan.x


cdef void forward_batch(const Plan* plan, const real* x, Py_ssize_t n) noexcept nogil:
    """predict, and keep what blame needs: a of every layer, z of the last."""
    cdef Py_ssize_t i, x_row = plan.layers[0].n_in
    cdef const Layer* layer
    fbp_assert(n <= plan.capacity)
    for i in range(plan.n_layers):
        layer = &plan.layers[i]
        dense_forward(layer, x, x_row, layer.z, layer.a, n)
        x, x_row = layer.a, layer.row


cdef void compare_batch(
    const Plan* plan, const Loss* loss, const int64_t* order,
    Py_ssize_t start, Py_ssize_t n,
    Progress* progress,                          # IN/OUT
) noexcept nogil:
    """The costs, and delta of the last layer."""
    cdef const Layer* last = &plan.layers[plan.n_layers - 1]
    cdef Py_ssize_t i, at
    for i in range(n):
        at = start + i if order == NULL else order[start + i]
        progress.cost += compare_row(loss, at, last.z + i * last.row, last.a + i * last.row,
                                     last.delta + i * last.row, last.n_out, last.row, &progress.n_right)
    if not loss.fused:
        derive_last(last, n)


cdef void derive_last(const Layer* last, Py_ssize_t n) noexcept nogil:
    """From dC/dy_hat to dC/dz of the last layer, in place."""
    cdef Py_ssize_t i
    if last.activation == SOFTMAX:
        for i in range(n):
            softmax_derive_row(last.a + i * last.row, last.delta + i * last.row, last.row)
    else:
        for i in range(n):
            derive(last.activation, last.slope, last.a + i * last.row, last.delta + i * last.row,
                   last.row, 1, <int>(last.row // LANES))


cdef void blame_batch(const Plan* plan, Py_ssize_t n) noexcept nogil:
    """delta of every layer from that of the last."""
    cdef Py_ssize_t i
    cdef const Layer* layer
    cdef const Layer* below
    for i in range(plan.n_layers - 1, 0, -1):
        layer, below = &plan.layers[i], &plan.layers[i - 1]
        pack_transposed(layer, plan.panel)
        dense_backward(layer, plan.panel, layer.delta, below.activation, below.slope, below.a, below.delta, n)


cdef Py_ssize_t correct_batch(
    const Plan* plan, const real* x, Py_ssize_t n,
    const Update* update, real* velocity,        # where the weights are to be corrected
    real* gradients,                             # where update is NULL: the gradients are wanted
) noexcept nogil:
    """Gradients of all layers; returns the first layer with weights not finite, or -1."""
    cdef Py_ssize_t i, x_row = plan.layers[0].n_in
    cdef Py_ssize_t wrong = -1
    cdef const Layer* layer
    for i in range(plan.n_layers):
        layer = &plan.layers[i]
        if update == NULL:
            dense_correct(layer, x, x_row, layer.delta, NULL, NULL, gradients + layer.offset, n)
        elif not dense_correct(layer, x, x_row, layer.delta, update, velocity + layer.offset, NULL, n) and wrong < 0:
            wrong = i
        x, x_row = layer.a, layer.row
    return wrong


cdef Py_ssize_t first_layer_not_finite(const Plan* plan, Py_ssize_t n) noexcept nogil:
    """Where a forward pass went wrong first; the last layer if only the cost did."""
    cdef Py_ssize_t i, j, k
    cdef const Layer* layer
    for k in range(plan.n_layers):
        layer = &plan.layers[k]
        for i in range(n):
            for j in range(layer.n_out):
                if not isfinite(layer.z[i * layer.row + j]):
                    return k
    return plan.n_layers - 1


cdef void train_batches(
    const Plan* plan, const Rows* rows, Loss* loss, double gradient_factor,
    const Update* update, real* velocity,
    Py_ssize_t first, Py_ssize_t last, Py_ssize_t batch_size,
    Progress* progress,                          # IN/OUT
) noexcept nogil:
    """Steps over the rows [first, last); stops at the first that isn't FINE."""
    cdef Py_ssize_t n, start = first
    cdef double cost_before
    cdef const real* x
    while start < last and progress.outcome == FINE:
        n = min(batch_size, last - start)
        loss.gradient_scale = <real>(gradient_factor / <double>n)
        x = gather(plan, rows, start, n)
        forward_batch(plan, x, n)
        cost_before = progress.cost
        compare_batch(plan, loss, rows.order, start, n, progress)
        if not isfinite(progress.cost - cost_before):
            progress.outcome = LOSS_NOT_FINITE
            progress.layer = first_layer_not_finite(plan, n)
        else:
            blame_batch(plan, n)
            progress.layer = correct_batch(plan, x, n, update, velocity, NULL)
            if progress.layer >= 0:
                progress.outcome = WEIGHTS_NOT_FINITE
        if progress.outcome != FINE:
            progress.start = start
        start += n


cdef void predict_rows(
    const Plan* plan, const real* x, Py_ssize_t n,
    real* scratch,                               # 3 x (PREDICT_ROWS, widest row)
    Py_ssize_t widest,
    const real** z, const real** a,              # OUT: of the last layer, in the scratch
) noexcept nogil:
    """predict for at most PREDICT_ROWS rows without touching what training keeps."""
    cdef Py_ssize_t i, x_row = plan.layers[0].n_in
    cdef Py_ssize_t room = PREDICT_ROWS * widest
    cdef real* here = scratch
    cdef real* there = scratch + room
    cdef const Layer* layer
    for i in range(plan.n_layers - 1):
        dense_forward(&plan.layers[i], x, x_row, here, here, n)
        x, x_row = here, plan.layers[i].row
        here, there = there, here
    layer = &plan.layers[plan.n_layers - 1]
    dense_forward(layer, x, x_row, here, scratch + 2 * room, n)
    z[0], a[0] = here, scratch + 2 * room


cdef Py_ssize_t find_nonfinite(const real* x, Py_ssize_t n) noexcept nogil:
    """The index of the first NaN or infinity, or -1."""
    cdef vec wrong = v_zero()                    # stays 0: x - x is NaN for inf and NaN
    cdef vec one
    cdef Py_ssize_t i = 0
    while i + LANES <= n:
        one = v_load_any(x + i)
        wrong = v_add(wrong, v_sub(one, one))
        i += LANES
    one = v_load_first(x + i, n - i)
    if all_zero(v_add(wrong, v_sub(one, one))):
        return -1
    for i in range(n):
        if not isfinite(x[i]):
            return i
    return -1
