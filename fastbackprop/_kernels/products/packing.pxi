# W^T, packed for blame: what the tile reads row by row must lie row by row.


cdef void pack_transposed(const Layer* layer, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Columns [first, last) of layer.transposed = W^T; whole vectors of them, or up to the last.

    Squares of LANES x LANES are turned round in registers, those at the edge with zeros for what
    isn't there: behind W^T's columns there is padding.
    """
    cdef vec rows[LANES]
    cdef Py_ssize_t j
    cdef int k
    fbp_assert((last - first) % LANES == 0 or last == layer.n_in)
    while first < last:
        j = 0
        while j < layer.n_out:
            for k in range(LANES):
                rows[k] = v_zero()
                if first + k < last:
                    rows[k] = v_load(layer.weight + (first + k) * layer.row + j)
            v_transpose(rows)
            for k in range(LANES):
                if j + k < layer.n_out:
                    v_store(layer.transposed + (j + k) * layer.row_in + first, rows[k])
            j += LANES
        first += LANES


cdef void pack_all(const Plan* plan) noexcept nogil:
    """W^T of every layer that has room for it, and needs it: see prepare_blame."""
    cdef Py_ssize_t k
    for k in range(plan.n_layers):
        if plan.layers[k].transposed != NULL and plan.layers[k].turned == 0:
            pack_transposed(&plan.layers[k], 0, plan.layers[k].n_in)
