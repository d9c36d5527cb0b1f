# W^T, packed for blame: what the tile reads row by row must lie row by row.


cdef void pack_transposed(const Layer* layer, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Columns [first, last) of layer.transposed = W^T.

    Four rows of W^T are written at a time for a cache line of columns: so each line
    of both is touched once, also where many of them share a place in the cache.
    """
    cdef Py_ssize_t i, j, k, end
    cdef Py_ssize_t line = first
    cdef real w
    while line < last:
        end = min(line + BLOCK, last)
        for j in range(0, layer.n_out, 4):
            i = line
            while i + 4 <= end:
                transpose_4x4(layer.weight + i * layer.row + j, layer.row,
                              layer.transposed + j * layer.row_in + i, layer.row_in)
                i += 4
            while i < end:
                for k in range(4):
                    w = layer.weight[i * layer.row + j + k]
                    layer.transposed[(j + k) * layer.row_in + i] = w
                i += 1
        line = end


cdef void pack_all(const Plan* plan) noexcept nogil:
    """W^T of every layer that has room for it, and needs it: see prepare_blame."""
    cdef Py_ssize_t k
    for k in range(plan.n_layers):
        if plan.layers[k].transposed != NULL and plan.layers[k].turned == 0:
            pack_transposed(&plan.layers[k], 0, plan.layers[k].n_in)
