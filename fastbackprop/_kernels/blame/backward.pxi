# blame: delta of the layer below, tile by tile, and through all layers.


cdef inline void blame_tile(
    const int rows, const int vectors,
    const Layer* layer,
    int kind, real slope,                        # activation of the layer below
    const real* delta,                           # IN (rows, row)
    const real* a_prev,                          # IN (rows, row_in); not read for IDENTITY
    real* delta_prev,                            # OUT (rows, row_in)
    Py_ssize_t j,                                # column of a_prev and delta_prev
) noexcept nogil:
    cdef vec sums[TILE_ROWS * TILE_VECTORS]
    cdef const real* left[TILE_ROWS]
    cdef vec v_slope = v_set1(slope)
    cdef vec a
    cdef int i, v
    for i in range(rows):
        left[i] = delta + i * layer.row
        for v in range(vectors):
            sums[i * vectors + v] = v_zero()
    add_rows(rows, vectors, layer.n_out, left, layer.transposed + j, layer.row_in, sums)
    if kind == RELU:
        for i in range(rows):
            for v in range(vectors):
                a = v_load(a_prev + i * layer.row_in + j + v * LANES)
                sums[i * vectors + v] = derived(RELU, v_slope, a, sums[i * vectors + v])
    for i in range(rows):
        for v in range(vectors):
            v_store(delta_prev + i * layer.row_in + j + v * LANES, sums[i * vectors + v])
    if kind != RELU and kind != IDENTITY:        # too long to be unrolled: from memory
        for i in range(rows):
            derive_row(kind, slope, a_prev + i * layer.row_in + j,
                       delta_prev + i * layer.row_in + j, vectors * LANES)


cdef inline void blame_panel(
    const int vectors, const Layer* layer, int kind, real slope,
    const real* delta, const real* a, real* out, Py_ssize_t n, Py_ssize_t j,
) noexcept nogil:
    cdef Py_ssize_t i = 0, row = layer.row, row_in = layer.row_in
    while i + TILE_ROWS <= n:
        blame_tile(TILE_ROWS, vectors, layer, kind, slope, delta + i * row, a + i * row_in,
                   out + i * row_in, j)
        i += TILE_ROWS
    if TILE_ROWS > 4 and i + 4 <= n:
        blame_tile(4, vectors, layer, kind, slope, delta + i * row, a + i * row_in,
                   out + i * row_in, j)
        i += 4
    if i + 2 <= n:
        blame_tile(2, vectors, layer, kind, slope, delta + i * row, a + i * row_in,
                   out + i * row_in, j)
        i += 2
    if i < n:
        blame_tile(1, vectors, layer, kind, slope, delta + i * row, a + i * row_in,
                   out + i * row_in, j)


cdef void dense_backward(
    const Layer* layer,                          # with W^T as packed
    const real* delta,                           # IN (n, row): dC/dz of this layer
    int kind, real slope, const real* a_prev,    # IN the layer below: its activation, (n, row_in)
    real* delta_prev,                            # OUT (n, row_in): dC/dz of the layer below
    Py_ssize_t n,
) noexcept nogil:
    """delta_prev = (delta W^T) act'(z_prev)."""
    cdef Py_ssize_t j = 0
    cdef int vectors
    # Whatever a_prev is, its address is computed, though not read for IDENTITY.
    cdef const real* a = a_prev if kind != IDENTITY else delta_prev
    while j < layer.width_in:
        vectors = tile_width(layer.width_in - j)
        if vectors == TILE_VECTORS:
            blame_panel(TILE_VECTORS, layer, kind, slope, delta, a, delta_prev, n, j)
        elif VECTORS_PER_BLOCK == 1 and vectors == 2:
            blame_panel(2, layer, kind, slope, delta, a, delta_prev, n, j)
        elif VECTORS_PER_BLOCK == 1:
            blame_panel(1, layer, kind, slope, delta, a, delta_prev, n, j)
        j += vectors * LANES


cdef void derive_last(const Layer* last, Py_ssize_t first, Py_ssize_t end) noexcept nogil:
    """From dC/dy_hat to dC/dz of the last layer, in place."""
    cdef Py_ssize_t i
    for i in range(first, end):
        if last.activation == SOFTMAX:
            softmax_derive_row(last.a + i * last.row, last.delta + i * last.row, last.width)
        else:
            derive_row(last.activation, last.slope, last.a + i * last.row,
                       last.delta + i * last.row, last.width)


cdef void backward_rows(const Plan* plan, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """delta of every layer from that of the last."""
    cdef Py_ssize_t i
    cdef const Layer* layer
    cdef const Layer* below
    for i in range(plan.n_layers - 1, 0, -1):
        layer, below = &plan.layers[i], &plan.layers[i - 1]
        dense_backward(layer, layer.delta + first * layer.row, below.activation, below.slope,
                       below.a + first * below.row, below.delta + first * below.row, last - first)
