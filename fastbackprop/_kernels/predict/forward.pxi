# predict: z = a_prev W + b and a = act(z), tile by tile; and through layers of all kinds.


cdef inline void predict_tile(
    const int rows, const int vectors,
    const Layer* layer, int kind,                # activation for the accumulators
    const real** x,                              # IN (rows,) pointers
    real* z,                                     # OUT (rows, row), both from this tile on
    Py_ssize_t j,                                # column where the tile begins
) noexcept nogil:
    cdef vec sums[TILE_ROWS * TILE_VECTORS]
    cdef const real* left[TILE_ROWS]
    cdef vec y
    cdef int i, v
    for v in range(vectors):
        y = v_load(layer.bias + j + v * LANES) if layer.bias != NULL else v_zero()
        for i in range(rows):
            sums[i * vectors + v] = y
    for i in range(rows):
        left[i] = x[i]
    add_rows(rows, vectors, layer.n_in, left, layer.weight + j, layer.row, sums)
    if kind == RELU:
        for i in range(rows):
            for v in range(vectors):
                sums[i * vectors + v] = v_relu(sums[i * vectors + v])
    elif kind == LEAKY_RELU:
        y = v_set1(layer.slope)
        for i in range(rows):
            for v in range(vectors):
                sums[i * vectors + v] = leaky(sums[i * vectors + v], y)
    for i in range(rows):
        for v in range(vectors):
            v_store(z + i * layer.row + j + v * LANES, sums[i * vectors + v])


cdef inline void predict_panel(
    const int vectors, const Layer* layer, int kind, const real** x, real* z, Py_ssize_t n,
    Py_ssize_t j,
) noexcept nogil:
    """One panel of columns for all rows."""
    cdef Py_ssize_t i = 0
    while i + TILE_ROWS <= n:
        predict_tile(TILE_ROWS, vectors, layer, kind, x + i, z + i * layer.row, j)
        i += TILE_ROWS
    if TILE_ROWS > 4 and i + 4 <= n:
        predict_tile(4, vectors, layer, kind, x + i, z + i * layer.row, j)
        i += 4
    if i + 2 <= n:
        predict_tile(2, vectors, layer, kind, x + i, z + i * layer.row, j)
        i += 2
    if i < n:
        predict_tile(1, vectors, layer, kind, x + i, z + i * layer.row, j)


cdef void dense_forward(
    const Layer* layer,
    const real** x,                              # IN (n,) pointers to (n_in,)
    real* z, real* a,                            # OUT (n, row); may be the same
    Py_ssize_t n,
) noexcept nogil:
    """z = x W + b and a = act(z)."""
    cdef Py_ssize_t i, j = 0
    cdef int vectors
    cdef bint in_tile = layer.activation in (IDENTITY, RELU, LEAKY_RELU) and z == a
    cdef int kind = layer.activation if in_tile else IDENTITY
    fbp_assert(mode_is_set())
    if n == 1 and TILE_VECTORS < WIDE_VECTORS:
        while j + WIDE_VECTORS * LANES <= layer.width:
            predict_tile(1, WIDE_VECTORS, layer, kind, x, z, j)
            j += WIDE_VECTORS * LANES
        if j + 4 * LANES <= layer.width:
            predict_tile(1, 4, layer, kind, x, z, j)
            j += 4 * LANES
    while j < layer.width:
        vectors = tile_width(layer.width - j)
        if vectors == TILE_VECTORS:
            predict_panel(TILE_VECTORS, layer, kind, x, z, n, j)
        elif VECTORS_PER_BLOCK == 1 and vectors == 2:
            predict_panel(2, layer, kind, x, z, n, j)
        elif VECTORS_PER_BLOCK == 1:
            predict_panel(1, layer, kind, x, z, n, j)
        j += vectors * LANES
    if not in_tile:
        activate_rows(layer, z, a, n)


cdef void activate_rows(
    const Layer* layer, const real* z, real* a, Py_ssize_t n,        # IN, OUT (n, row)
) noexcept nogil:
    """a = act(z), for whole rows."""
    cdef Py_ssize_t i
    for i in range(n):
        if layer.activation == SOFTMAX:
            softmax_row(z + i * layer.row, a + i * layer.row, layer.n_out, layer.width)
        else:
            activate_row(layer.activation, layer.slope, z + i * layer.row, a + i * layer.row,
                         layer.width)


cdef void layer_forward(
    const Layer* layer,
    const real** x,                              # IN (n,) pointers to (n_in,)
    real* z, real* a,                            # OUT (n, row); may be the same
    real* statistics,                            # OUT (n, 2) of LAYER_NORM, or NULL
    Py_ssize_t n,
) noexcept nogil:
    """One op and its activation, for rows that don't need each other."""
    cdef Py_ssize_t i
    if layer.op == PRODUCT:
        dense_forward(layer, x, z, a, n)
        return
    if layer.op == LAYER_NORM:
        for i in range(n):
            layer_norm_row(layer, x[i], z + i * layer.row,
                           statistics + 2 * i if statistics != NULL else NULL)
    elif layer.op == BATCH_NORM:
        batch_norm_rows(layer, x, z, n)
    else:
        for i in range(n):
            memcpy(z + i * layer.row, x[i], layer.width * sizeof(real))
    if layer.activation != IDENTITY or z != a:
        activate_rows(layer, z, a, n)


cdef struct Rows:
    const real* x                # (n, n_in of the first layer)
    const int64_t* order         # which row is the i-th, or NULL for 0, 1, 2 ...


cdef void point_at_rows(
    const Plan* plan, const Rows* rows, Py_ssize_t start, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """Inputs [first, last) of the batch from ``start``: where they lie, or copied.

    Rows whose addresses share few places in the cache are copied to where they don't.
    """
    cdef const Layer* layer = plan.layers
    cdef Py_ssize_t i
    cdef const real* x
    for i in range(first, last):
        x = rows.x + (start + i if rows.order == NULL else rows.order[start + i]) * layer.n_in
        if is_copied(layer):
            memcpy(plan.x + i * layer.row_in, x, layer.n_in * sizeof(real))
            memset(plan.x + i * layer.row_in + layer.n_in, 0,
                   (layer.width_in - layer.n_in) * sizeof(real))
            x = plan.x + i * layer.row_in
        layer.inputs[i] = x


cdef void forward_rows(
    const Plan* plan, Py_ssize_t first, Py_ssize_t last,             # rows
    Py_ssize_t low, Py_ssize_t high,                                 # layers
) noexcept nogil:
    """predict, and keep what blame needs: a of every layer, z of the last."""
    cdef Py_ssize_t k
    cdef const Layer* layer
    fbp_assert(last <= plan.capacity)
    for k in range(low, high):
        layer = &plan.layers[k]
        layer_forward(layer, layer.inputs + first, layer.z + first * layer.row,
                      layer.a + first * layer.row,
                      layer.statistics + 2 * first if layer.op == LAYER_NORM else NULL,
                      last - first)


cdef inline Batch batch_of(const Plan* plan, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Rows [first, last) of the last layer, as the losses want them."""
    cdef const Layer* out = plan.layers + plan.n_layers - 1
    cdef Batch batch
    batch.n, batch.n_out, batch.width, batch.row = last - first, out.n_out, out.width, out.row
    batch.z, batch.a = out.z + first * out.row, out.a + first * out.row
    batch.delta, batch.costs = out.delta + first * out.row, plan.costs + first
    return batch


cdef void begin_forward(const Plan* plan, const real* x, Py_ssize_t n) noexcept nogil:
    """Point at n rows, one behind the other."""
    cdef Rows rows
    rows.x, rows.order = x, NULL
    point_at_rows(plan, &rows, 0, 0, n)
