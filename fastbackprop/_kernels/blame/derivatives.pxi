# What else blame is good for: the derivative of outputs by inputs, and a gradient for each sample.
# Both are made of the tiles that train, on the scratch of training.

def output_derivatives(
    Network network, const real[:, ::1] X, const real[:, ::1] combinations, real[:, :, ::1] out,
    real[::1] scratch,
    bint is_packed,
):
    """out[i, j] = d(combinations[j] . y_hat)/dx for row i of X: with the identity, the Jacobian.

    Each sample goes forward once and back once for each combination, all of them in one batch: the
    network's scratch must have room for that many rows. ``scratch`` is that of ``backward``, zeros
    first. With ``is_packed`` all W^T are still there from a call before.
    """
    cdef const Plan* plan = &network.plan
    cdef Layer* first = plan.layers
    cdef const Layer* last = plan.layers + plan.n_layers - 1
    cdef const Layer* layer
    cdef real* d_rows = &scratch[0] + round_up_4(first.n_out) * first.row_in
    cdef Py_ssize_t i, k, n = X.shape[0], each = combinations.shape[0]
    cdef Mode caller
    fbp_assert(n * each <= plan.capacity)
    fbp_assert(scratch.shape[0] >= (round_up_4(first.n_out) + n * each) * first.row_in)
    first.transposed = &scratch[0]
    with nogil:
        caller = begin_mode()
        begin_forward(plan, &X[0, 0], n)
        for k in range(plan.n_layers):
            layer = plan.layers + k
            for i in range(n * each - 1, 0, -1):     # from the end: one a for each combination
                memmove(layer.a + i * layer.row, layer.a + i // each * layer.row,
                        layer.row * sizeof(real))
        for i in range(n * each):
            memset(last.delta + i * last.row, 0, last.row * sizeof(real))
            memcpy(last.delta + i * last.row, &combinations[i % each, 0], last.n_out * sizeof(real))
        derive_last(last, 0, n * each)
        if not is_packed:
            pack_all(plan)
        backward_rows(plan, 0, n * each)
        dense_backward(first, first.delta, IDENTITY, 0, NULL, d_rows, n * each)
        for i in range(n * each):
            memcpy(&out[0, 0, 0] + i * first.n_in, d_rows + i * first.row_in,
                   first.n_in * sizeof(real))
        end_mode(caller)
    first.transposed = NULL


def sample_gradients(
    Network network, const real[:, ::1] X, const real[:, ::1] targets, const int64_t[::1] labels,
    tuple loss_spec,
    list out,
):
    """The gradient of each row's own cost, into ``out``.

    That has for each layer (n, n_in, n_out), and (n, n_out) or None.
    """
    cdef const Plan* plan = &network.plan
    cdef const Layer* layer
    cdef Py_ssize_t i, k, n = X.shape[0]
    cdef real[:, :, ::1] weight
    cdef real[:, ::1] bias
    cdef bint fused = loss_spec[1]
    cdef Mode caller
    fbp_assert(n <= plan.capacity)
    with nogil:
        caller = begin_mode()
        begin_forward(plan, &X[0, 0], n)
        for k in range(1, plan.n_layers):
            pack_transposed(&plan.layers[k], 0, plan.layers[k].n_in)
        end_mode(caller)
    compare_last(plan, loss_spec, targets, labels, n, <double>loss_spec[2])
    with nogil:
        caller = begin_mode()
        if not fused:
            derive_last(plan.layers + plan.n_layers - 1, 0, n)
        backward_rows(plan, 0, n)
        end_mode(caller)
    for k in range(plan.n_layers):
        layer = plan.layers + k
        weight = out[k][0]
        with nogil:
            caller = begin_mode()
            for i in range(n):
                outer_product(layer.inputs[i], layer.delta + i * layer.row, &weight[i, 0, 0],
                              layer.n_in, layer.n_out)
            end_mode(caller)
        if out[k][1] is not None:
            bias = out[k][1]
            for i in range(n):
                memcpy(&bias[i, 0], layer.delta + i * layer.row, layer.n_out * sizeof(real))


cdef compare_last(
    const Plan* plan, tuple loss_spec, const real[:, ::1] targets, const int64_t[::1] labels,
    Py_ssize_t n, double scale,
):
    """delta of the last layer for rows [0, n), or dC/dy_hat if loss and activation aren't fused."""
    cdef const Layer* last = plan.layers + plan.n_layers - 1
    cdef Loss loss = loss_from(loss_spec, targets, labels)
    cdef Batch batch
    cdef Py_ssize_t n_right = 0
    cdef Mode caller
    batch.n, batch.n_out, batch.width, batch.row = n, last.n_out, last.width, last.row
    batch.z, batch.a, batch.delta, batch.costs = last.z, last.a, last.delta, plan.costs
    loss.gradient_scale = rounded(scale)
    with nogil:
        caller = begin_mode()
        compare_rows(&loss, &batch, NULL, 0, &n_right)
        end_mode(caller)


cdef inline void outer_product(
    const real* x, const real* delta,            # IN (n_in,), (n_out,)
    real* out,                                   # OUT (n_in, n_out), without padding
    Py_ssize_t n_in, Py_ssize_t n_out,
) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(n_in):
        for j in range(n_out):
            out[i * n_out + j] = x[i] * delta[j]
