# The product of the Hessian with a vector. It needs the gradient's tile of correct/ as well as
# blame, so it stands here, above both.
#
# Pearlmutter 1994, "Fast exact multiplication by the Hessian": the operator R{.} = d/dr (.) at w +
# r v, r = 0, put to each line of predict, compare and blame. With V for v's part of W, and act'' =
# act' c where c depends on a alone:
#
#     R{z} = R{a_prev} W + a_prev V + v_b            R{a} = act'(z) R{z}
#     R{dC/da_prev} = R{delta} W^T + delta V^T
#     R{delta} = act'(z) R{dC/da} + R{a} c dC/da
#     R{dC/dW} = R{a_prev}^T delta + a_prev^T R{delta}        R{dC/db} = sum R{delta}
#
# A second Network, of the weights v, has the room: its a is R{a}, its delta R{delta}.


cdef inline real bend(int kind, real a) noexcept nogil:
    """c: act''(z) / act'(z), from a; 0 for what is made of straight lines."""
    if kind == SIGMOID:
        return 1 - 2 * a
    if kind == TANH:
        return -2 * a
    return 0


cdef void derive_twice(
    const Layer* layer, const Layer* r,          # its a: R{a}; its delta: IN R{dC/da}, OUT R{delta}
    const real* d_a,                             # IN (n, row): dC/da
    Py_ssize_t n,
) noexcept nogil:
    """R{delta} = act'(z) R{dC/da} + R{a} c dC/da; for all but softmax."""
    cdef Py_ssize_t i, j
    cdef const real* a
    cdef const real* ra
    cdef const real* d
    cdef real* delta
    for i in range(n):
        a, ra = layer.a + i * layer.row, r.a + i * layer.row
        d, delta = d_a + i * layer.row, r.delta + i * layer.row
        derive_row(layer.activation, layer.slope, a, delta, layer.width)
        if layer.activation == SIGMOID or layer.activation == TANH:
            for j in range(layer.n_out):
                delta[j] += ra[j] * bend(layer.activation, a[j]) * d[j]


cdef void softmax_derive_twice(const Layer* layer, const Layer* r, const real* d_a,
                               Py_ssize_t n) noexcept nogil:
    """The same behind softmax: of delta_j = p_j (d_j - m), m = sum_k d_k p_k."""
    cdef Py_ssize_t i, j
    cdef real mean, r_mean
    cdef const real* p
    cdef const real* rp
    cdef const real* d
    cdef real* delta
    for i in range(n):
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


cdef void forward_r(const Plan* plan, const Plan* r_plan, real* spare, Py_ssize_t n) noexcept nogil:
    """R{a} of every layer, into r_plan's a."""
    cdef Py_ssize_t i, k
    cdef Layer linear, moved
    cdef const Layer* layer
    cdef const Layer* r
    for k in range(plan.n_layers):
        layer, r = plan.layers + k, r_plan.layers + k
        moved = r[0]
        moved.activation = IDENTITY
        dense_forward(&moved, layer.inputs, r.a, r.a, n)
        if k > 0:
            linear = layer[0]
            linear.activation, linear.bias = IDENTITY, NULL
            dense_forward(&linear, r.inputs, spare, spare, n)
            add_rows_to(r.a, spare, n * layer.row)
        for i in range(n):
            if layer.activation == SOFTMAX:
                softmax_derive_row(layer.a + i * layer.row, r.a + i * layer.row, layer.width)
            else:
                derive_row(layer.activation, layer.slope, layer.a + i * layer.row,
                           r.a + i * layer.row, layer.width)


cdef void backward_r(const Plan* plan, const Plan* r_plan, real* spare, real* d_a,
                     Py_ssize_t n) noexcept nogil:
    """R{delta} of every layer from that of the last."""
    cdef Py_ssize_t k
    cdef const Layer* layer
    cdef const Layer* r
    for k in range(plan.n_layers - 1, 0, -1):
        layer, r = plan.layers + k, r_plan.layers + k
        dense_backward(layer, layer.delta, IDENTITY, 0, NULL, d_a, n)
        dense_backward(layer, r.delta, IDENTITY, 0, NULL, (r - 1).delta, n)
        dense_backward(r, layer.delta, IDENTITY, 0, NULL, spare, n)
        add_rows_to((r - 1).delta, spare, n * layer.row_in)
        derive_twice(layer - 1, r - 1, d_a, n)


cdef void correct_r(const Plan* plan, const Plan* r_plan, real* out, real* spare,
                    Py_ssize_t n) noexcept nogil:
    """R{dC/dW} and R{dC/db} of every layer, into out; spare is as large."""
    cdef Py_ssize_t k
    cdef Layer unbiased
    cdef const Layer* layer
    cdef const Layer* r
    for k in range(plan.n_layers):
        layer, r = plan.layers + k, r_plan.layers + k
        dense_correct(layer, layer.inputs, r.delta, NULL, NULL, out + layer.offset, n, 0,
                      layer.n_in)
        if k > 0:                                # R{x} = 0
            unbiased = layer[0]
            unbiased.bias = NULL
            dense_correct(&unbiased, r.inputs, layer.delta, NULL, NULL, spare + layer.offset, n, 0,
                          layer.n_in)
            add_rows_to(out + layer.offset, spare + layer.offset, layer.n_in * layer.row)


def hessian_vector_product(
    Workspace workspace, Workspace direction, const real[:, ::1] X, const real[:, ::1] targets,
    const int64_t[::1] labels, tuple loss_spec, real[::1] out, real[::1] scratch,
):
    """out = H v for the cost of the batch X, where v are the weights of ``direction``'s network.

    ``scratch``: two times n rows as long as the longest of any layer's inputs or outputs, and as
    much as ``out``.
    """
    cdef const Plan* plan = &workspace.plan
    cdef const Plan* r_plan = &direction.plan
    cdef const Layer* last = plan.layers + plan.n_layers - 1
    cdef const Layer* r_last = r_plan.layers + plan.n_layers - 1
    cdef Py_ssize_t k, n = X.shape[0]
    cdef Py_ssize_t room = (scratch.shape[0] - out.shape[0]) // 2
    cdef real* spare = &scratch[0]
    cdef real* d_a = spare + room
    cdef double factor = loss_spec[2]
    cdef Mode caller
    cdef bint fused = loss_spec[1]
    cdef Loss loss = loss_from(loss_spec, targets, labels)
    cdef Batch batch = batch_of(plan, 0, n)
    cdef Py_ssize_t n_right = 0
    fbp_assert(n <= plan.capacity)
    fbp_assert(n <= r_plan.capacity)
    fbp_assert(room >= n * workspace.network.widest)
    with nogil:
        caller = begin_mode()
        loss.gradient_scale = quotient(factor, <double>n)
        begin_forward(plan, &X[0, 0], n)
        forward_rows(plan, 0, n, 0, plan.n_layers)
        for k in range(1, plan.n_layers):
            pack_transposed(&plan.layers[k], 0, plan.layers[k].n_in)
            pack_transposed(&r_plan.layers[k], 0, plan.layers[k].n_in)
        forward_r(plan, r_plan, spare, n)
        compare_rows(&loss, &batch, NULL, 0, &n_right)
        batch.delta = batch.costs = NULL
        compare_rows_r(&loss, &batch, r_last.a, r_last.delta)
        if not fused:
            memcpy(d_a, last.delta, n * last.row * sizeof(real))
            if last.activation == SOFTMAX:
                softmax_derive_twice(last, r_last, d_a, n)
            else:
                derive_twice(last, r_last, d_a, n)
            derive_last(last, 0, n)
        backward_rows(plan, n, 0, n, 0, plan.n_layers - 1)
        backward_r(plan, r_plan, spare, d_a, n)
        correct_r(plan, r_plan, &out[0], d_a + room, n)
        end_mode(caller)
