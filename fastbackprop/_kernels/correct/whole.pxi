# correct: from gradients in memory: by hand, and where the global norm had to be known first.

cdef bint correct_rows(
    const Layer* layer, const Update* update,
    const real* gradient,                        # IN (n_in + 1, row): of this layer
    Py_ssize_t first, Py_ssize_t last,           # a chunk of rows of W; the bias goes with row 0
) noexcept nogil:
    """Correct parameters; returns whether all that is kept of them is finite."""
    cdef Update own[2]
    cdef const Update* of_weights = update
    cdef const Update* of_bias = update
    cdef Py_ssize_t at = first * layer.row, vectors = layer.width // LANES
    cdef vec noted
    if is_own(layer, update):
        updates_of_layer(update, layer, own)
        of_weights, of_bias = &own[0], &own[1]
    noted = correct_block(of_weights, last - first, vectors, layer.weight + at, layer.row,
                          gradient + at, layer.row, update.planes + layer.offset + at, v_zero())
    if first == 0 and layer.bias != NULL:
        at = rows_of_weights(layer) * layer.row
        noted = correct_block(of_bias, 1, vectors, layer.bias, layer.row, gradient + at,
                              layer.row, update.planes + layer.offset + at, noted)
    return v_all_finite(noted)
