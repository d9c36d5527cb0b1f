# predict for many rows, some at a time: nothing of what training keeps is touched.


cdef void predict_rows(
    const Plan* plan, const real* x, Py_ssize_t n,
    real* scratch,                               # 3 x (capacity, widest row)
    Py_ssize_t capacity,                         # at least n, at most FAR_ROWS
    Py_ssize_t widest,
    Batch* batch,                                # OUT: z and a of the last layer, in the scratch
) noexcept nogil:
    """predict for at most ``capacity`` rows without touching what training keeps."""
    cdef const real* inputs[FAR_ROWS]
    cdef Py_ssize_t i, k
    cdef Py_ssize_t room = capacity * widest
    cdef real* here = scratch
    cdef real* there = scratch + room
    cdef real* z
    cdef const Layer* layer = plan.layers
    for i in range(n):
        inputs[i] = x + i * layer.n_in
        if layer.op != PRODUCT:                  # which alone needs no padding
            memcpy(there + i * layer.row_in, x + i * layer.n_in, layer.n_in * sizeof(real))
            inputs[i] = there + i * layer.row_in
    for k in range(plan.n_layers):
        layer = &plan.layers[k]
        if layer.op == DROPOUT:                  # which is nothing here, and never the last layer
            continue
        z = here
        if keeps_z(layer.activation) and k == plan.n_layers - 1:
            z = scratch + 2 * room
        layer_forward(layer, inputs, z, here, NULL, n)
        batch.z, batch.a = z, here
        for i in range(n):
            inputs[i] = here + i * layer.row
        here, there = there, here
    batch.n, batch.n_out, batch.width, batch.row = n, layer.n_out, layer.width, layer.row
    batch.delta = NULL
