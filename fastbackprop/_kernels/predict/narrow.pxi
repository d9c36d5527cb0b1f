# predict: z where the last block of columns has few outputs. With a row of W in the lanes, most of
# them would hold padding; each z is a chain of its own, so here rows of the batch lie in the lanes.
# For that a_prev is turned round in registers, a piece of its columns after the other.
#
#   z[i, j] = b[j] + sum over k of a_prev[i, k] w[k, j], from the first to the last k: the same
#   products in the same order as in predict_tile, so the same bits.

cdef enum:
    ROW_VECTORS = 2              # of rows, which go together
    PIECE = 64                   # columns of a_prev that are turned round at a time


cdef inline bint pays_turning_rows(const Layer* layer, Py_ssize_t n) noexcept nogil:
    """Whether rows and depth are enough to pay for turning rows round: as measured.

    In float64 a block has eight outputs, and fewer lanes are lost.
    """
    return (is_narrow(layer) and n >= ROW_VECTORS * LANES
            and (sizeof(real) == 4 or layer.width == BLOCK)
            and layer.n_in * (BLOCK - outputs_of_end(layer)) >= 200)


cdef inline void turn_rows(
    const real** x, Py_ssize_t k, Py_ssize_t n,  # IN: from column k on, of n in all
    real* turned,                                # OUT (PIECE, ROW_VECTORS)
) noexcept nogil:
    """Columns of ROW_VECTORS vectors of rows, each as vectors."""
    cdef vec t[LANES]
    cdef Py_ssize_t end = min(k + PIECE, n)
    cdef int i, v
    while k < end:
        for v in range(ROW_VECTORS):
            if k + LANES <= n:
                for i in range(LANES):
                    t[i] = v_load_any(x[v * LANES + i] + k)
            else:                                # nothing behind the row is touched
                for i in range(LANES):
                    t[i] = v_load_first(x[v * LANES + i] + k, n - k)
            v_transpose(t)
            for i in range(LANES):
                v_store_any(turned + (i * ROW_VECTORS + v) * LANES, t[i])
        turned += LANES * ROW_VECTORS * LANES
        k += LANES


cdef inline void narrow_chains(
    const int outputs,                           # a constant where it is called
    const real* turned, Py_ssize_t depth,        # IN (depth, ROW_VECTORS)
    const real* weight, Py_ssize_t row,          # IN (depth, outputs)
    vec* z,                                      # IN/OUT (outputs, ROW_VECTORS)
) noexcept nogil:
    cdef vec sums[6 * ROW_VECTORS]
    cdef vec r[ROW_VECTORS]
    cdef vec w
    cdef Py_ssize_t k
    cdef int j, v
    for j in range(outputs):
        for v in range(ROW_VECTORS):
            sums[j * ROW_VECTORS + v] = z[j * ROW_VECTORS + v]
    for k in range(depth):
        for v in range(ROW_VECTORS):
            r[v] = v_load_any(turned + v * LANES)
        for j in range(outputs):
            w = v_set1(weight[j])
            for v in range(ROW_VECTORS):
                sums[j * ROW_VECTORS + v] = v_fma(r[v], w, sums[j * ROW_VECTORS + v])
        turned += ROW_VECTORS * LANES
        weight += row
    for j in range(outputs):
        for v in range(ROW_VECTORS):
            z[j * ROW_VECTORS + v] = sums[j * ROW_VECTORS + v]


cdef inline void narrow_products(
    const Layer* layer, const real** x, Py_ssize_t first, Py_ssize_t outputs,
    vec* z,                                      # IN/OUT (outputs, ROW_VECTORS)
) noexcept nogil:
    """All outputs from column ``first`` on, some by some."""
    cdef real turned[PIECE * ROW_VECTORS * LANES]
    cdef const real* w
    cdef Py_ssize_t k = 0, j, depth, some
    while k < layer.n_in:
        depth = min(<Py_ssize_t>PIECE, layer.n_in - k)
        turn_rows(x, k, layer.n_in, turned)
        w = layer.weight + k * layer.row + first
        j = 0
        while j < outputs:
            some = outputs_of_pass(outputs - j)
            if some == 6 and MANY_SUMS:
                narrow_chains(6, turned, depth, w + j, layer.row, z + j * ROW_VECTORS)
            elif some == 5 and MANY_SUMS:
                narrow_chains(5, turned, depth, w + j, layer.row, z + j * ROW_VECTORS)
            elif some == 4:
                narrow_chains(4, turned, depth, w + j, layer.row, z + j * ROW_VECTORS)
            elif some == 3:
                narrow_chains(3, turned, depth, w + j, layer.row, z + j * ROW_VECTORS)
            elif some == 2:
                narrow_chains(2, turned, depth, w + j, layer.row, z + j * ROW_VECTORS)
            else:
                narrow_chains(1, turned, depth, w + j, layer.row, z + j * ROW_VECTORS)
            j += some
        k += PIECE


cdef Py_ssize_t forward_narrow(
    const Layer* layer, const real** x,          # IN (n,) pointers to (n_in,)
    int kind,                                    # activation, as predict_tile has it
    real* z,                                     # OUT (n, row): the last block of columns
    Py_ssize_t n,
) noexcept nogil:
    """z, activated, of as many rows as fill vectors; returns the first row that is left."""
    cdef vec sums[BLOCK * ROW_VECTORS]
    cdef vec t[LANES]
    cdef vec slope = v_set1(layer.alpha)
    cdef Py_ssize_t row = 0, j, first = layer.width - BLOCK, outputs = outputs_of_end(layer)
    cdef int i, k, v
    while row + ROW_VECTORS * LANES <= n:
        for j in range(BLOCK):
            for v in range(ROW_VECTORS):
                sums[j * ROW_VECTORS + v] = v_zero()
                if layer.bias != NULL:           # 0 where there is padding
                    sums[j * ROW_VECTORS + v] = v_set1(layer.bias[first + j])
        narrow_products(layer, x + row, first, outputs, sums)
        for v in range(ROW_VECTORS):
            for k in range(VECTORS_PER_BLOCK):
                for i in range(LANES):
                    t[i] = sums[(k * LANES + i) * ROW_VECTORS + v]
                v_transpose(t)
                for i in range(LANES):
                    if kind == RELU:
                        t[i] = relu_forward(t[i], slope)
                    elif kind == LEAKY_RELU:
                        t[i] = leaky_relu_forward(t[i], slope)
                    v_store(z + (row + v * LANES + i) * layer.row + first + k * LANES, t[i])
        row += ROW_VECTORS * LANES
    return row
