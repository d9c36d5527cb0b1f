# explain: what a batch was inside, layer by layer. Copied out of the scratch of training, or made
# again by the tiles that made it there, to the same bits.

def inspect(
    Workspace workspace, Py_ssize_t k,
    real[:, ::1] z, real[:, ::1] a, real[:, ::1] derivative, real[:, ::1] d_a, real[:, ::1] delta,
):
    """Layer k of the batch of the workspace's last forward and backward.

    Each array is (n, row of the layer), aligned. ``derivative`` is act'(z), not set for softmax;
    ``d_a`` is dC/da, not set for the last layer.
    """
    cdef const Layer* layer = &workspace.plan.layers[k]
    cdef const Layer* above = layer + 1
    cdef Layer linear = layer[0]
    cdef const real* x = &z[0, 0] if derives_from_z(layer.activation) else &a[0, 0]
    cdef Py_ssize_t i, j, n = z.shape[0]
    cdef Mode caller
    fbp_assert(n <= workspace.plan.capacity and z.shape[1] == layer.row)
    linear.activation = IDENTITY
    with nogil:
        caller = begin_mode()
        layer_forward(&linear, layer.inputs, &z[0, 0], &z[0, 0], NULL, n)
        memcpy(&a[0, 0], layer.a, n * layer.row * sizeof(real))
        memcpy(&delta[0, 0], layer.delta, n * layer.row * sizeof(real))
        if layer.op == DROPOUT and layer.drops:
            memcpy(&derivative[0, 0], layer.mask, n * layer.row * sizeof(real))
        elif layer.activation != SOFTMAX:
            for i in range(n):
                for j in range(layer.width):
                    derivative[i, j] = 1
                derive_row(layer.activation, layer.alpha, x + i * layer.row, &derivative[i, 0],
                           layer.width)
        if k < workspace.plan.n_layers - 1:
            layer_backward(above, 0, n, IDENTITY, 0, NULL, &d_a[0, 0])
        end_mode(caller)
