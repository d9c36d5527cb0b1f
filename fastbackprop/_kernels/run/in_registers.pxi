# Many steps of one sample each, of a net whose layers are one vector wide. Such a step is one chain
# of latencies: z, a, the cost's gradient, delta, the new weights, z again. So nothing on this chain
# goes through memory, where it would wait for stores:
#
#   a) Activations and deltas are vectors; where a product wants one number, that is spread.
#   b) W and b of the first layer are variables. The weights of other layers are corrected long
#      before they are read again, and stay in memory.
#   c) Costs and finiteness are beside the chain.
#   d) Whatever is odd (an infinite cost, a probability that is 0) is left to single.pxi, before
#      the step has changed anything.
#
# The same numbers by the same operations in the same order as in single.pxi, so the same bits.

cdef enum:
    RESIDENT = 16                # inputs of the first layer at most
    DEPTH = 8                    # layers at most
    ANY = -1


cdef bint fits_registers(const Training* job) noexcept nogil:
    """Whether the steps, which are those of single.pxi, can be done here."""
    cdef const Plan* plan = job.plan
    cdef const Layer* last = &plan.layers[plan.n_layers - 1]
    cdef Py_ssize_t k
    if job.last - job.first == 1 or job.report != NULL or job.rates != NULL or job.loss.masks:
        return False
    if plan.n_layers > DEPTH or plan.layers[0].n_in > RESIDENT:
        return False
    for k in range(plan.n_layers):
        if plan.layers[k].n_out > LANES:
            return False
        if plan.layers[k].activation == SOFTMAX and k < plan.n_layers - 1:
            return False
    if is_by_output(job.loss.kind):
        return last.activation != SOFTMAX
    return (job.loss.kind == CROSS_ENTROPY and job.loss.labels != NULL and job.loss.fused
            and job.loss.off == 0)


cdef inline vec products_of(const Layer* layer, vec a) noexcept nogil:
    """z of a layer but the first."""
    cdef const real* w = layer.weight
    cdef vec z = v_load(layer.bias) if layer.bias != NULL else v_zero()
    cdef Py_ssize_t i
    for i in range(layer.n_in):
        z = v_fma(v_lane(a, i), v_load(w), z)
        w += layer.row
    return z


cdef inline vec blame_of(const Layer* layer, vec delta) noexcept nogil:
    """dC/da of the layer below."""
    cdef const real* w = layer.transposed
    cdef vec sums = v_zero()
    cdef Py_ssize_t j
    for j in range(layer.n_out):
        sums = v_fma(v_lane(delta, j), v_load(w), sums)
        w += layer.row_in
    return sums


cdef inline vec correct_rows_of(
    real* w, Py_ssize_t row, Py_ssize_t n,       # IN/OUT (n, row)
    vec left, vec right, vec rate, vec noted,
) noexcept nogil:
    """w <- w - rate left right; returns ``noted``, by which v_all_finite knows."""
    cdef vec x
    cdef Py_ssize_t i
    for i in range(n):
        x = v_fnma(rate, v_fma(v_lane(left, i), right, v_zero()), v_load(w))
        v_store(w, x)
        noted = v_note_nonfinite(noted, x)
        w += row
    return noted


cdef inline vec correct_layer(
    const Layer* layer, vec a_prev, vec delta, vec rate, vec noted,
) noexcept nogil:
    """W, b and W^T of a layer but the first."""
    cdef vec x
    noted = correct_rows_of(layer.weight, layer.row, layer.n_in, a_prev, delta, rate, noted)
    if layer.bias != NULL:
        x = v_fnma(rate, v_add(v_zero(), delta), v_load(layer.bias))
        v_store(layer.bias, x)
        noted = v_note_nonfinite(noted, x)
    correct_rows_of(layer.transposed, layer.row_in, layer.n_out, delta, v_first(a_prev, layer.n_in),
                    rate, v_zero())
    return noted


cdef inline bint softmax_of(vec z, Py_ssize_t n, vec* p) noexcept nogil:
    """p = softmax(z) of the first n lanes; False, where that takes a limit."""
    cdef real most = v_largest_of_first(z, n)
    cdef vec e = v_first(v_exp(v_sub(z, v_set1(most))), n)
    p[0] = v_div(e, v_set1(v_sum_of_first(e, n)))
    return is_finite(most)


cdef void count_steps(Training* job, Py_ssize_t n) noexcept nogil:
    """Count n steps that were FINE."""
    if n > 0:
        job.n_done += n
        end_update(&job.update, job.header)
        job.header.n_steps += n - 1


cdef Py_ssize_t lowest_nonfinite(const Plan* plan) noexcept nogil:
    """The first layer with a number that isn't finite."""
    cdef Py_ssize_t k = 0
    while find_nonfinite(plan.layers[k].weight, plan.layers[k].size) < 0:
        k += 1
    return k


cdef inline void steps_in_registers(
    const int depth, const int hidden, const int output, const int kind,     # constants, or ANY
    Training* job,
) noexcept nogil:
    """Do steps until all are done, or one went wrong, or one isn't for here."""
    cdef const Plan* plan = job.plan
    cdef const Layer* first = plan.layers
    cdef const Layer* last = &plan.layers[plan.n_layers - 1]
    cdef const Layer* layer
    cdef Progress* progress = &job.progress
    cdef Loss loss = job.loss                    # which no store can change
    cdef Rows rows = job.rows
    cdef Py_ssize_t start = progress.start, n_in = first.n_in
    cdef Py_ssize_t n_layers = depth if depth != ANY else plan.n_layers
    cdef int last_kind = output if output != ANY else last.activation, below
    cdef int loss_kind = kind if kind != ANY else loss.kind
    cdef Py_ssize_t n_out = last.n_out, end = job.last, n_right = 0, here_right, place, label
    cdef bint has_bias = first.bias != NULL, is_softmax = last_kind == SOFTMAX
    cdef bint is_fine = True
    cdef real most = INFINITY if is_by_output(loss_kind) else loss.most
    cdef double total = progress.cost, total_now
    cdef vec rate = v_set1(job.update.learning_rate), scale = v_set1(loss.gradient_scale)
    cdef vec w[RESIDENT]
    cdef vec b, z, a, delta, p, noted, x, costs
    cdef vec outputs[DEPTH]                      # a of each layer
    cdef vec kept[DEPTH]                         # what their act' is made from
    cdef real hot[2 * BLOCK]                     # the label's target in the middle
    cdef real cost
    cdef const real* row
    cdef Py_ssize_t i, j, k
    memset(hot, 0, 2 * BLOCK * sizeof(real))
    hot[BLOCK] = loss.on + loss.off
    for j in range(RESIDENT // 4):
        for i in range(4):
            w[4 * j + i] = v_zero()
            if 4 * j + i < n_in:
                w[4 * j + i] = v_load(first.weight + (4 * j + i) * first.row)
    b = v_load(first.bias) if has_bias else v_zero()
    while True:
        place = place_of(rows.order, 0, start)
        row = rows.x + place * n_in
        if rows.order != NULL and start + 1 < end:
            fetch_row(job, start + 1, 0, n_in)
        z = b
        for j in range(RESIDENT // 4):
            if 4 * j < n_in:
                for i in range(4):
                    if 4 * j + i < n_in:
                        z = v_fma(v_set1(row[4 * j + i]), w[4 * j + i], z)
        for k in range(1, n_layers):
            layer = &plan.layers[k - 1]
            below = hidden if hidden != ANY else layer.activation
            a = activated(below, v_set1(layer.alpha), z, &kept[k - 1])
            outputs[k - 1] = a
            z = products_of(layer + 1, a)
        if is_softmax:
            label = loss.labels[place]
            if not softmax_of(z, n_out, &a):
                break
            p = v_lane(a, label)
            cost = -v_get_first(v_log(p))
            if not cost < LARGE_NEGATIVE_LOG:
                break
            here_right = is_largest_of(a, p, label, n_out)
            delta = v_mul(v_sub(a, v_load_any(hot + BLOCK - label)), scale)
        else:
            a = activated(last_kind, v_set1(last.alpha), z, &kept[n_layers - 1])
            z = z if last.z != last.a else a
            row = loss.targets + place * loss.n_targets
            costs = costs_of_outputs(loss_kind, &loss, z, a, load_target(row, 0, n_out), &delta)
            cost = v_sum_of_first(v_first(costs, n_out), n_out)
            delta = v_first(v_mul(delta, scale), n_out)
            here_right = 0
            if is_yes_or_no(loss_kind):
                v_store(last.z, z)
                here_right = count_right(last.z, row, n_out)
            if not loss.fused:
                delta = derived(last_kind, v_set1(last.alpha), kept[n_layers - 1], delta)
        total_now = total + (most if cost > most else cost) * loss.cost_scale
        if not is_finite_double(total_now - total):
            break
        total = total_now
        n_right += here_right
        noted = v_zero()
        for k in range(n_layers - 1, 0, -1):
            layer = &plan.layers[k - 1]
            below = hidden if hidden != ANY else layer.activation
            x = derived(below, v_set1(layer.alpha), kept[k - 1],
                        blame_of(layer + 1, delta))
            noted = correct_layer(layer + 1, outputs[k - 1], delta, rate, noted)
            delta = x
        row = rows.x + place * n_in
        for j in range(RESIDENT // 4):
            if 4 * j < n_in:
                for i in range(4):
                    if 4 * j + i < n_in:
                        x = v_fma(v_set1(row[4 * j + i]), delta, v_zero())
                        w[4 * j + i] = v_fnma(rate, x, w[4 * j + i])
                        noted = v_note_nonfinite(noted, w[4 * j + i])
        if has_bias:
            b = v_fnma(rate, v_add(v_zero(), delta), b)
            noted = v_note_nonfinite(noted, b)
        is_fine = v_all_finite(noted)
        if not is_fine:
            break
        start += 1
        if start == end:
            break
    for j in range(RESIDENT // 4):
        for i in range(4):
            if 4 * j + i < n_in:
                v_store(first.weight + (4 * j + i) * first.row, w[4 * j + i])
    if has_bias:
        v_store(first.bias, b)
    progress.cost = total
    progress.n_right += n_right
    count_steps(job, start - progress.start)
    progress.start = min(start, end - 1)
    if not is_fine:
        progress.outcome, progress.layer = WEIGHTS_NOT_FINITE, lowest_nonfinite(plan)


cdef out_of_line train_in_registers(Training* job) noexcept nogil:
    """Do steps until all are done, or one went wrong, or one isn't for here.

    Usual nets have code of their own, since every instruction counts.
    """
    cdef const Plan* plan = job.plan
    cdef int output = plan.layers[plan.n_layers - 1].activation, kind = job.loss.kind
    cdef bint is_relu = plan.n_layers == 2 and plan.layers[0].activation == RELU
    if kind == SQUARED_ERROR and output == IDENTITY and plan.n_layers == 1:
        steps_in_registers(1, ANY, IDENTITY, SQUARED_ERROR, job)
    elif kind == SQUARED_ERROR and output == IDENTITY and is_relu:
        steps_in_registers(2, RELU, IDENTITY, SQUARED_ERROR, job)
    elif kind == CROSS_ENTROPY and plan.n_layers == 1:
        steps_in_registers(1, ANY, SOFTMAX, CROSS_ENTROPY, job)
    elif kind == CROSS_ENTROPY and is_relu:
        steps_in_registers(2, RELU, SOFTMAX, CROSS_ENTROPY, job)
    else:
        steps_in_registers(ANY, ANY, ANY, ANY, job)
