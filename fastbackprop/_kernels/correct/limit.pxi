# correct: no column of W, what one unit gets from all inputs, longer than a layer's max_norm.

cdef bint limit_columns(const Layer* layer, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Shorten columns [first, last) of W, and of W^T where it is packed.

    Each column is one chain down the rows. Returns whether all norms are finite.
    """
    cdef vec longest = v_set1(layer.max_norm), noted = v_zero()
    cdef vec x, sums, factor
    cdef Py_ssize_t i, j, k
    for j in range(first, last):
        if j % LANES != 0:
            continue
        sums = v_zero()
        for i in range(layer.n_in):
            x = v_load(layer.weight + i * layer.row + j)
            sums = v_fma(x, x, sums)
        noted = v_note_nonfinite(noted, sums)
        sums = v_sqrt(sums)
        factor = v_select(v_less(longest, sums), v_div(longest, sums), v_set1(1))
        for i in range(layer.n_in):
            x = v_mul(v_load(layer.weight + i * layer.row + j), factor)
            v_store(layer.weight + i * layer.row + j, x)
            if layer.transposed != NULL and layer.turned == 0:
                for k in range(j, min(j + LANES, layer.n_out)):
                    layer.transposed[k * layer.row_in + i] = layer.weight[i * layer.row + k]
    return v_all_finite(noted)
