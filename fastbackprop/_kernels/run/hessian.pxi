# The product of the Hessian with a vector. It needs the gradient's tile of correct/ as well as
# blame, so it stands here, above both.
#
# Pearlmutter 1994, "Fast exact multiplication by the Hessian": the operator R{.} = d/dr (.) at w +
# r v, r = 0, put to each line of predict, compare and blame. With V for v's part of W, and c the
# derivative of act'(z) by what it is written in, x: a or z (NAME_second of activations.pxi):
#
#     R{z} = R{a_prev} W + a_prev V + v_b            R{a} = act'(z) R{z}
#     R{dC/da_prev} = R{delta} W^T + delta V^T
#     R{delta} = act'(z) R{dC/da} + R{x} c dC/da
#     R{dC/dW} = R{a_prev}^T delta + a_prev^T R{delta}        R{dC/db} = sum R{delta}
#
# A second Network, of the weights v, has the room: its a is R{a}, its z, where it is kept, R{z},
# its delta R{delta}. Norms take what they take to predict: batch norms their running statistics.
# With s = 1 / deviation of a row,
#
#     R{x^} = s (R{x} - mean(R{x}) - x^ mean(x^ R{x}))         R{s} = -s^2 mean(x^ R{x})
#
# Rows of the batch don't need each other, and then rows of weights don't: two phases, each a call
# that threads share.


cdef void derive_twice(
    const Layer* layer, const Layer* r,          # its a: R{a}; its delta: IN R{dC/da}, OUT R{delta}
    const real* d_a,                             # IN (.., row): dC/da
    Py_ssize_t first, Py_ssize_t last,           # rows
) noexcept nogil:
    """R{delta} = act'(z) R{dC/da} + R{act'(z)} dC/da; for all but softmax."""
    cdef Py_ssize_t i
    cdef real* delta
    for i in range(first, last):
        delta = r.delta + i * layer.row
        derive_row(layer.activation, layer.alpha, derivative_input(layer) + i * layer.row, delta,
                   layer.width)
        add_second_row(layer.activation, layer.alpha, second_input(layer) + i * layer.row,
                       second_input(r) + i * layer.row, d_a + i * layer.row, delta, layer.width)


cdef void softmax_derive_twice(
    const Layer* layer, const Layer* r, const real* d_a, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """The same behind softmax: of delta_j = p_j (d_j - m), m = sum_k d_k p_k."""
    cdef Py_ssize_t i, j
    cdef real mean, r_mean
    cdef const real* p
    cdef const real* rp
    cdef const real* d
    cdef real* delta
    for i in range(first, last):
        p, rp = layer.a + i * layer.row, r.a + i * layer.row
        d, delta = d_a + i * layer.row, r.delta + i * layer.row
        mean = 0
        r_mean = 0
        for j in range(layer.n_out):
            mean += d[j] * p[j]
            r_mean += delta[j] * p[j] + d[j] * rp[j]
        for j in range(layer.n_out):
            delta[j] = rp[j] * (d[j] - mean) + p[j] * (delta[j] - r_mean)


cdef inline void add_rows_to(real* x, const real* y, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(size):
        x[i] += y[i]


cdef void norm_forward_r(
    const Layer* layer, const Layer* r, bint moves,      # whether R{x} isn't 0
    Py_ssize_t first, Py_ssize_t last,                   # rows
) noexcept nogil:
    """R{z} = gamma R{x^} + v_gamma x^ + v_beta, into a of r; means that R{x^} needs are kept."""
    cdef Py_ssize_t i, j
    cdef real mean, dot
    cdef real* r_z
    for i in range(first, last):
        if layer.op == LAYER_NORM:
            mean = dot = 0
            for j in range(layer.n_out if moves else 0):
                mean += r.inputs[i][j]
                dot += normalized_at(layer, i, j) * r.inputs[i][j]
            r.statistics[2 * i], r.statistics[2 * i + 1] = mean / layer.n_out, dot / layer.n_out
        r_z = r.a + i * layer.row
        memset(r_z, 0, layer.row * sizeof(real))
        for j in range(layer.n_out):
            r_z[j] = (layer.weight[j] * normalized_r(layer, r, moves, i, j)
                      + r.weight[j] * normalized_at(layer, i, j) + r.bias[j])


cdef inline real normalized_r(
    const Layer* layer, const Layer* r, bint moves, Py_ssize_t i, Py_ssize_t j,
) noexcept nogil:
    """R{x^} in column j of row i."""
    cdef real moved
    if not moves:
        return 0
    moved = r.inputs[i][j]
    if layer.op == LAYER_NORM:
        moved -= r.statistics[2 * i] + normalized_at(layer, i, j) * r.statistics[2 * i + 1]
    return scale_at(layer, i, j) * moved


cdef void batch_norm_backward_r(
    const Layer* layer, const Layer* r, real* r_d_x, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """R{dC/dx} = s (gamma R{d} + v_gamma d), where d is delta."""
    cdef Py_ssize_t i, j, at
    for i in range(first, last):
        memset(r_d_x + i * layer.row, 0, layer.row * sizeof(real))
        for j in range(layer.n_out):
            at = i * layer.row + j
            r_d_x[at] = scale_at(layer, i, j) * (layer.weight[j] * r.delta[at]
                                                 + r.weight[j] * layer.delta[at])


cdef void layer_norm_backward_r(
    const Layer* layer, const Layer* r,
    const real* d_x,                             # IN (.., row): dC/dx
    real* r_d_x,                                 # OUT (.., row)
    Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """What R makes of dC/dx = s (g - mean(g) - x^ mean(g x^)), where g = gamma delta."""
    cdef Py_ssize_t i, j, at
    cdef real g, r_g, x_hat, r_x_hat, dot, r_mean, r_dot, scale
    for i in range(first, last):
        dot = r_mean = r_dot = 0
        for j in range(layer.n_out):
            at = i * layer.row + j
            g = layer.weight[j] * layer.delta[at]
            r_g = layer.weight[j] * r.delta[at] + r.weight[j] * layer.delta[at]
            x_hat, r_x_hat = normalized_at(layer, i, j), normalized_r(layer, r, True, i, j)
            dot += g * x_hat
            r_mean += r_g
            r_dot += r_g * x_hat + g * r_x_hat
        dot, r_mean, r_dot = dot / layer.n_out, r_mean / layer.n_out, r_dot / layer.n_out
        memset(r_d_x + i * layer.row, 0, layer.row * sizeof(real))
        for j in range(layer.n_out):
            at = i * layer.row + j
            r_g = layer.weight[j] * r.delta[at] + r.weight[j] * layer.delta[at]
            x_hat, r_x_hat = normalized_at(layer, i, j), normalized_r(layer, r, True, i, j)
            scale = scale_at(layer, i, j)
            r_d_x[at] = (scale * (r_g - r_mean - r_x_hat * dot - x_hat * r_dot)
                         - scale * r.statistics[2 * i + 1] * d_x[at])


cdef void norm_correct_r(
    const Layer* layer, const Layer* r, bint moves, real* out, Py_ssize_t n,
) noexcept nogil:
    """R{dC/dgamma} = sum R{d} x^ + d R{x^} and R{dC/dbeta} = sum R{d}, into out: (2, row)."""
    cdef Py_ssize_t i, j, at
    for j in range(layer.n_out):
        out[j] = out[layer.row + j] = 0
        for i in range(n):
            at = i * layer.row + j
            out[j] += (r.delta[at] * normalized_at(layer, i, j)
                       + layer.delta[at] * normalized_r(layer, r, moves, i, j))
            out[layer.row + j] += r.delta[at]


cdef struct Hessian:
    Span span                    # of samples, or of chunks of weights
    const Plan* plan
    const Plan* r_plan           # of the network whose weights are v
    Rows rows
    Loss loss
    Py_ssize_t n                 # samples
    Py_ssize_t widest
    real* spare                  # (n, widest)
    real* d_a                    # (n, widest)
    real* out                    # OUT: laid out as the parameters
    real* spare_out              # likewise


cdef inline real* room_for_d_a(
    const Hessian* job, Py_ssize_t first, Py_ssize_t row,
) noexcept nogil:
    """Where row 0 of dC/da would be if that of the chunk from ``first`` is in its own room.

    Rows of the layers differ in length, and chunks are not in the same layer at once.
    """
    return job.d_a + first * (job.widest - row)


cdef void product_forward_r(
    const Layer* layer, const Layer* r, bint moves, real* spare, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """R{z} = R{a_prev} W + a_prev V + v_b, into a of r."""
    cdef Layer linear = layer[0], moved = r[0]
    cdef real* r_a = r.a + first * layer.row
    cdef Py_ssize_t n = last - first
    moved.activation = linear.activation = IDENTITY
    linear.bias = NULL
    dense_forward(&moved, layer.inputs + first, r_a, r_a, n)
    if moves:
        dense_forward(&linear, r.inputs + first, spare, spare, n)
        add_rows_to(r_a, spare, n * layer.row)


cdef void forward_r(const Hessian* job, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """R{a} of every layer for rows [first, last), into a of r_plan."""
    cdef Py_ssize_t i, k
    cdef const Layer* layer
    cdef const Layer* r
    cdef real* r_a
    for k in range(job.plan.n_layers):
        layer, r = job.plan.layers + k, job.r_plan.layers + k
        if layer.op == PRODUCT:
            product_forward_r(layer, r, k > 0, job.spare + first * job.widest, first, last)
        elif has_parameters(layer):
            norm_forward_r(layer, r, k > 0, first, last)
        for i in range(first, last):
            r_a = r.a + i * layer.row
            if not has_parameters(layer) and k > 0:
                memcpy(r_a, r.inputs[i], layer.row * sizeof(real))
            elif not has_parameters(layer):
                memset(r_a, 0, layer.row * sizeof(real))
            if layer.activation == SOFTMAX:
                softmax_derive_row(layer.a + i * layer.row, r_a, layer.width)
            else:
                if derives_from_z(layer.activation):
                    memcpy(r.z + i * r.row, r_a, r.row * sizeof(real))
                derive_row(layer.activation, layer.alpha, derivative_input(layer) + i * layer.row,
                           r_a, layer.width)


cdef void layer_backward_r(
    const Hessian* job, const Layer* layer, const Layer* r, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """delta and R{delta} of the layer below, from one product delta W^T."""
    cdef real* d_x = room_for_d_a(job, first, layer.row_in)
    cdef real* r_d_x = (r - 1).delta
    cdef real* spare = job.spare + first * job.widest
    cdef Py_ssize_t n = last - first, above = first * layer.row, below = first * layer.row_in
    cdef Py_ssize_t i
    layer_backward(layer, first, last, IDENTITY, 0, NULL, d_x + below)
    for i in range(first, last):
        memcpy((layer - 1).delta + i * layer.row_in, d_x + i * layer.row_in,
               layer.width_in * sizeof(real))
    if (layer - 1).activation != IDENTITY:
        derive_last(layer - 1, first, last)
    if layer.op == PRODUCT:
        product_backward(layer, r.delta + above, first, last, IDENTITY, 0, NULL, r_d_x + below)
        product_backward(r, layer.delta + above, first, last, IDENTITY, 0, NULL, spare)
        add_rows_to(r_d_x + below, spare, n * layer.row_in)
    elif layer.op == LAYER_NORM:
        layer_norm_backward_r(layer, r, d_x, r_d_x, first, last)
    elif layer.op == BATCH_NORM:
        batch_norm_backward_r(layer, r, r_d_x, first, last)
    else:
        memcpy(r_d_x + below, r.delta + above, n * layer.row * sizeof(real))
    derive_twice(layer - 1, r - 1, d_x, first, last)


cdef void compare_r(const Hessian* job, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """delta of the last layer for rows [first, last), and R{delta}."""
    cdef const Layer* out = job.plan.layers + job.plan.n_layers - 1
    cdef const Layer* r_out = job.r_plan.layers + job.plan.n_layers - 1
    cdef Batch batch = batch_of(job.plan, first, last)
    cdef Py_ssize_t n_right = 0, at = first * out.row
    cdef real* d_a = room_for_d_a(job, first, out.row)
    compare_rows(&job.loss, &batch, NULL, first, &n_right)
    batch.delta = batch.costs = NULL
    compare_rows_r(&job.loss, &batch, first, r_out.a + at, r_out.delta + at)
    if not job.loss.fused:
        memcpy(d_a + at, out.delta + at, batch.n * out.row * sizeof(real))
        if out.activation == SOFTMAX:
            softmax_derive_twice(out, r_out, d_a, first, last)
        else:
            derive_twice(out, r_out, d_a, first, last)
        derive_last(out, first, last)


cdef void hessian_rows_work(
    void* job_, int64_t phase, int64_t chunk, int64_t member,
) noexcept nogil:
    """delta and R{delta} of every layer, for a chunk of samples."""
    cdef const Hessian* job = <Hessian*>job_
    cdef const Plan* plan = job.plan
    cdef Py_ssize_t k, first = 0, last = 0
    chunk_of_span(&job.span, chunk, &first, &last)
    point_at_rows(plan, &job.rows, 0, first, last)
    forward_rows(plan, first, last, 0, plan.n_layers)
    forward_r(job, first, last)
    compare_r(job, first, last)
    for k in range(plan.n_layers - 1, 0, -1):
        layer_backward_r(job, plan.layers + k, job.r_plan.layers + k, first, last)


cdef void hessian_weights_work(
    void* job_, int64_t phase, int64_t chunk, int64_t member,
) noexcept nogil:
    """R{dC/dW} and R{dC/db} for a chunk of the rows of weights, counted through all layers."""
    cdef const Hessian* job = <Hessian*>job_
    cdef const Layer* layer = job.plan.layers
    cdef const Layer* r
    cdef Layer unbiased
    cdef real* out
    cdef real* spare
    cdef Py_ssize_t first, last, n_chunk = job.span.first + chunk
    while n_chunk >= weight_chunks(layer):
        n_chunk -= weight_chunks(layer)
        layer += 1
    r = job.r_plan.layers + (layer - job.plan.layers)
    first = n_chunk * rows_of_chunk(layer)
    last = min(first + rows_of_chunk(layer), layer.n_in)
    out, spare = job.out + layer.offset, job.spare_out + layer.offset
    if layer.op == LAYER_NORM or layer.op == BATCH_NORM:
        norm_correct_r(layer, r, layer != job.plan.layers, out, job.n)
    elif layer.op == PRODUCT:
        dense_correct(layer, layer.inputs, r.delta, NULL, out, job.n, first, last)
        if layer != job.plan.layers:             # R{x} = 0
            unbiased = layer[0]
            unbiased.bias = NULL
            dense_correct(&unbiased, r.inputs, layer.delta, NULL, spare, job.n, first, last)
            add_rows_to(out + first * layer.row, spare + first * layer.row,
                        (last - first) * layer.row)


def hessian_rows(Network network, Py_ssize_t n, int n_threads):
    """How many of n samples are a chunk of a HessianWork; each call has whole ones."""
    return samples_of_chunk(&network.plan, n, 1, n_threads)


def hessian_chunks(Network network):
    """How many chunks of weights a HessianWork has."""
    cdef Py_ssize_t k, n_chunks = 0
    for k in range(network.plan.n_layers):
        n_chunks += weight_chunks(&network.plan.layers[k])
    return n_chunks


cdef class HessianWork(SpanWork):
    """A part of out = H v for the cost of the batch X, where v are the weights of ``direction``.

    First all samples, in one call or several, then all chunks of weights (``of_weights``).

    Parameters
    ----------
    first, last : int
        Samples, or chunks of weights (hessian_chunks).
    scratch : ndarray
        Two times n rows as long as the longest of any layer's inputs or outputs, and as much as
        ``out``.
    """

    cdef Hessian job

    def __init__(
        self, Workspace workspace, Workspace direction, const real[:, ::1] X,
        const real[:, ::1] targets, const int64_t[::1] labels, LossSpec loss_spec not None,
        real[::1] out, real[::1] scratch, bint of_weights, Py_ssize_t first, Py_ssize_t last,
        int n_threads=1, bint crowded=False, const real[::1] shares=None,
    ):
        cdef Hessian* job = &self.job
        cdef Mode caller
        cdef Py_ssize_t size
        self.kept = (workspace, direction, X, targets, labels, loss_spec, out, scratch, shares)
        job.plan, job.r_plan, job.n = &workspace.plan, &direction.plan, X.shape[0]
        job.rows.x, job.rows.order = start_of_2d(X), NULL
        job.loss = loss_on(loss_spec, targets, labels, None, shares)
        job.widest = (scratch.shape[0] - out.shape[0]) // (2 * job.n)
        job.spare, job.d_a = &scratch[0], &scratch[0] + job.n * job.widest
        job.out, job.spare_out = &out[0], &scratch[0] + 2 * job.n * job.widest
        fbp_assert(job.n <= job.plan.capacity and job.n <= job.r_plan.capacity)
        fbp_assert(job.widest >= workspace.network.widest)
        fbp_assert(job.widest >= job.plan.layers.row_in)
        caller = begin_mode()
        scale_gradient(&job.loss, total_weight(&job.loss, NULL, 0, job.n))
        end_mode(caller)
        if of_weights:
            self.open(&job.span, first, last, 1, hessian_weights_work, n_threads, crowded)
            return
        size = hessian_rows(workspace.network, job.n, n_threads)
        fbp_assert(first % size == 0)            # a chunk has its place for turned deltas
        if first == 0:
            with nogil:
                begin_inference(&workspace.plan, job.n, size)
                begin_inference(&direction.plan, job.n, size)
        self.open(&job.span, first, last, size, hessian_rows_work, n_threads, crowded)
