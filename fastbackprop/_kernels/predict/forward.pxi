# predict: z = a_prev W + b and a = act(z), tile by tile; and through layers of all kinds.


cdef struct Forward:                             # what a tile of z needs to know
    int kind                                     # activation for the accumulators
    const real** x                               # IN (n,) pointers to (n_in,)
    real* z                                      # OUT (n, row)


cdef inline void predict_tile(
    const int rows, const int vectors, const Layer* layer, const Forward* f, Py_ssize_t row,
    Py_ssize_t j,
) noexcept nogil:
    """z from row ``row`` and column j on."""
    cdef vec sums[TILE_ROWS * TILE_VECTORS]
    cdef const real* left[TILE_ROWS]
    cdef real* z = f.z + row * layer.row + j
    cdef vec y
    cdef int i, v
    for v in range(vectors):
        y = v_load(layer.bias + j + v * LANES) if layer.bias != NULL else v_zero()
        for i in range(rows):
            sums[i * vectors + v] = y
    for i in range(rows):
        left[i] = f.x[row + i]
    add_rows(rows, vectors, layer.n_in, left, layer.weight + j, layer.row, sums)
    if f.kind == RELU:
        for i in range(rows):
            for v in range(vectors):
                sums[i * vectors + v] = relu_forward(sums[i * vectors + v], sums[0])
    elif f.kind == LEAKY_RELU:
        y = v_set1(layer.alpha)
        for i in range(rows):
            for v in range(vectors):
                sums[i * vectors + v] = leaky_relu_forward(sums[i * vectors + v], y)
    for i in range(rows):
        for v in range(vectors):
            v_store(z + i * layer.row + v * LANES, sums[i * vectors + v])


cdef extern from *:
    void forward_for_rows "FBP_FOR_ROWS"(
        void (*tile)(const int, const int, const Layer*, const Forward*, Py_ssize_t, Py_ssize_t)
        noexcept nogil,
        int vectors, const Layer* layer, const Forward* f, Py_ssize_t first, Py_ssize_t last,
        Py_ssize_t j,
    ) noexcept nogil


cdef void dense_forward(
    const Layer* layer,
    const real** x,                              # IN (n,) pointers to (n_in,)
    real* z, real* a,                            # OUT (n, row); may be the same
    Py_ssize_t n,
) noexcept nogil:
    """z = x W + b and a = act(z)."""
    cdef Py_ssize_t j = 0, end = layer.width, first = 0, first_of_end = 0
    cdef int vectors
    cdef bint in_tile = is_in_tile(layer.activation) and z == a
    cdef Forward f
    f.kind, f.x, f.z = layer.activation if in_tile else IDENTITY, x, z
    fbp_assert(mode_is_set())
    if n == 1 and TILE_VECTORS < WIDE_VECTORS:
        while j + WIDE_VECTORS * LANES <= layer.width:
            predict_tile(1, WIDE_VECTORS, layer, &f, 0, j)
            j += WIDE_VECTORS * LANES
        if j + 4 * LANES <= layer.width:
            predict_tile(1, 4, layer, &f, 0, j)
            j += 4 * LANES
    if pays_turning_rows(layer, n):
        end -= BLOCK
        first_of_end = forward_narrow(layer, x, f.kind, z, n)
    while j < layer.width:
        if j == end:
            first, end = first_of_end, layer.width
        vectors = tile_width(end - j)
        if vectors == TILE_VECTORS:
            forward_for_rows(predict_tile, TILE_VECTORS, layer, &f, first, n, j)
        elif VECTORS_PER_BLOCK == 1 and vectors == 2:
            forward_for_rows(predict_tile, 2, layer, &f, first, n, j)
        elif VECTORS_PER_BLOCK == 1:
            forward_for_rows(predict_tile, 1, layer, &f, first, n, j)
        j += vectors * LANES
    if not in_tile:
        activate_rows(layer, z, a, n)


cdef void activate_rows(
    const Layer* layer, const real* z, real* a, Py_ssize_t n,        # IN, OUT (n, row)
) noexcept nogil:
    """a = act(z), for whole rows, and act'(z) where a is that of training and it is kept."""
    cdef Py_ssize_t i
    cdef real* slope = layer.slope
    if layer.activation == SOFTMAX:
        softmax_rows(z, a, layer.row, n, layer.n_out, layer.width)
        return
    for i in range(n):
        if layer.slope != NULL:
            slope = layer.slope + (a - layer.a) + i * layer.row
        activate_row(layer.activation, layer.alpha, z + i * layer.row, a + i * layer.row, slope,
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


cdef void forward_columns(
    const Layer* layer, Py_ssize_t first, Py_ssize_t last,           # rows
    Py_ssize_t j, Py_ssize_t end,                # columns: whole blocks
) noexcept nogil:
    """Some columns of a product's z and a, for rows of the batch."""
    cdef Layer part = layer[0]
    cdef Py_ssize_t at = first * layer.row + j
    part.weight += j
    if part.bias != NULL:
        part.bias += j
    part.width, part.n_out = end - j, min(layer.n_out, end) - j
    dense_forward(&part, layer.inputs + first, layer.z + at, layer.a + at, last - first)


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
        if layer.op == DROPOUT and layer.drops:
            dropout_rows(layer, first, last)
            continue
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
