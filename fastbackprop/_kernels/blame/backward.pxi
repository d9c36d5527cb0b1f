# blame: delta of the layer below, tile by tile; and through layers of all kinds.


cdef struct Blame:                               # what a tile of delta_prev needs to know
    int kind                                     # activation of the layer below
    real alpha
    const real* delta                            # IN (n, row): dC/dz of this layer
    const real* a_prev                           # IN (n, row_in); not read for IDENTITY
    real* delta_prev                             # OUT (n, row_in)


cdef inline bint derives_in_tile(int kind) noexcept nogil:
    """Whether the tile of blame applies act' to its sums before they are stored."""
    return kind == RELU or kind == IDENTITY or keeps_slope(kind)


cdef out_of_line derive_tile(const Blame* b, Py_ssize_t row_in, Py_ssize_t at, int rows,
                             int vectors) noexcept nogil:
    """Multiply a stored tile by act'(z).

    Inlined, its constants would take registers from the sums during the loop over k.
    """
    cdef int i
    for i in range(rows):
        derive_row(b.kind, b.alpha, b.a_prev + at, b.delta_prev + at, vectors * LANES)
        at += row_in


cdef inline void blame_tile(
    const int rows, const int vectors, const Layer* layer, const Blame* b, Py_ssize_t row,
    Py_ssize_t j,
) noexcept nogil:
    """delta_prev from row ``row`` and column j on."""
    cdef vec sums[TILE_ROWS * TILE_VECTORS]
    cdef const real* left[TILE_ROWS]
    cdef const real* a_prev
    cdef real* delta_prev
    cdef vec a
    cdef int i, v
    for i in range(rows):
        left[i] = b.delta + (row + i) * layer.row
        for v in range(vectors):
            sums[i * vectors + v] = v_zero()
    add_rows(rows, vectors, layer.n_out, left, layer.transposed + j, layer.row_in, sums)
    if b.kind == RELU:
        a_prev = b.a_prev + row * layer.row_in + j
        for i in range(rows):
            for v in range(vectors):
                a = v_load(a_prev + i * layer.row_in + v * LANES)
                sums[i * vectors + v] = relu_backward(a, sums[i * vectors + v], a)
    elif keeps_slope(b.kind):
        a_prev = b.a_prev + row * layer.row_in + j
        for i in range(rows):
            for v in range(vectors):
                a = v_load(a_prev + i * layer.row_in + v * LANES)
                sums[i * vectors + v] = v_mul(sums[i * vectors + v], a)
    delta_prev = b.delta_prev + row * layer.row_in + j
    for i in range(rows):
        for v in range(vectors):
            v_store(delta_prev + i * layer.row_in + v * LANES, sums[i * vectors + v])
    if not derives_in_tile(b.kind):              # too long to be unrolled: from memory
        derive_tile(b, layer.row_in, row * layer.row_in + j, rows, vectors)


cdef extern from *:
    void blame_for_rows "FBP_FOR_ROWS"(
        void (*tile)(const int, const int, const Layer*, const Blame*, Py_ssize_t, Py_ssize_t)
        noexcept nogil,
        int vectors, const Layer* layer, const Blame* b, Py_ssize_t first, Py_ssize_t last,
        Py_ssize_t j,
    ) noexcept nogil


cdef void dense_backward(
    const Layer* layer,                          # with W^T as packed
    const real* delta,                           # IN (n, row): dC/dz of this layer
    int kind, real alpha, const real* a_prev,    # IN the layer below: its derivative_input
    real* delta_prev,                            # OUT (n, row_in): dC/dz of the layer below
    Py_ssize_t n,
) noexcept nogil:
    """delta_prev = (delta W^T) act'(z_prev)."""
    cdef Blame b
    cdef Py_ssize_t j = 0
    cdef int vectors
    fbp_assert(mode_is_set())
    b.kind, b.alpha, b.delta, b.delta_prev = kind, alpha, delta, delta_prev
    # Whatever a_prev is, its address is computed, though not read for IDENTITY.
    b.a_prev = a_prev if kind != IDENTITY else delta_prev
    while j < layer.width_in:
        vectors = tile_width(layer.width_in - j)
        if vectors == TILE_VECTORS:
            blame_for_rows(blame_tile, TILE_VECTORS, layer, &b, 0, n, j)
        elif VECTORS_PER_BLOCK == 1 and vectors == 2:
            blame_for_rows(blame_tile, 2, layer, &b, 0, n, j)
        elif VECTORS_PER_BLOCK == 1:
            blame_for_rows(blame_tile, 1, layer, &b, 0, n, j)
        j += vectors * LANES


cdef void derive_last(const Layer* last, Py_ssize_t first, Py_ssize_t end) noexcept nogil:
    """From dC/dy_hat to dC/dz of the last layer, in place."""
    cdef Py_ssize_t i
    for i in range(first, end):
        if last.activation == SOFTMAX:
            softmax_derive_row(last.a + i * last.row, last.delta + i * last.row, last.width)
        else:
            derive_row(last.activation, last.alpha, derivative_input(last) + i * last.row,
                       last.delta + i * last.row, last.width)


cdef inline void mask_delta_row(
    const Layer* layer, Py_ssize_t i, const real* d, real* d_x,
) noexcept nogil:
    """dC/dx = mask dC/da for row i of the batch."""
    cdef Py_ssize_t j
    cdef const real* mask = layer.mask + i * layer.row
    for j in range(layer.width // LANES):
        v_store(d_x + j * LANES, v_mul(v_load(d + j * LANES), v_load(mask + j * LANES)))


cdef void product_backward(
    const Layer* layer, const real* delta,       # IN (rows, row): dC/dz of this layer
    Py_ssize_t first, Py_ssize_t last,           # rows
    int kind, real alpha, const real* a_prev,    # IN of the layer below; (rows, row_in)
    real* delta_prev,                            # OUT (rows, row_in): dC/dz of the layer below
) noexcept nogil:
    """delta_prev = (delta W^T) act'(z_prev), the way that prepare_blame chose."""
    cdef Py_ssize_t n = last - first
    if layer.turned == 0:
        dense_backward(layer, delta, kind, alpha, a_prev, delta_prev, n)
    elif n <= DIRECT_ROWS:
        direct_columns(layer, delta, n, 0, layer.width_in, kind, alpha, a_prev, delta_prev)
    else:
        turned_backward(layer, delta, first, last, kind, alpha, a_prev, delta_prev)


cdef void layer_backward(
    const Layer* layer, Py_ssize_t first, Py_ssize_t last,           # rows
    int kind, real alpha, const real* a_prev,    # IN of the layer below; (rows, row_in)
    real* delta_prev,                            # OUT (rows, row_in): dC/dz of the layer below
) noexcept nogil:
    """Back through one op, and through the activation of the layer below."""
    cdef Py_ssize_t i, n = last - first
    cdef const real* delta = layer.delta + first * layer.row
    if layer.op == PRODUCT:
        product_backward(layer, delta, first, last, kind, alpha, a_prev, delta_prev)
        return
    if layer.op == BATCH_NORM:
        batch_norm_backward_rows(layer, layer.inputs + first, delta,
                                 layer.marks + first if layer.marks != NULL else NULL,
                                 delta_prev, n)
    for i in range(n):
        if layer.op == LAYER_NORM:
            layer_norm_backward_row(layer, layer.inputs[first + i],
                                    layer.statistics + 2 * (first + i), delta + i * layer.row,
                                    delta_prev + i * layer.row_in)
        elif layer.op == DROPOUT and layer.drops:
            mask_delta_row(layer, first + i, delta + i * layer.row, delta_prev + i * layer.row_in)
        elif not has_parameters(layer):
            memcpy(delta_prev + i * layer.row_in, delta + i * layer.row,
                   layer.width * sizeof(real))
        if kind != IDENTITY:
            derive_row(kind, alpha, a_prev + i * layer.row_in, delta_prev + i * layer.row_in,
                       layer.width_in)


cdef void backward_rows(
    const Plan* plan, Py_ssize_t first, Py_ssize_t last,             # rows
    Py_ssize_t low, Py_ssize_t high,             # layers: delta of high is there, of low wanted
) noexcept nogil:
    """delta of the layers below high."""
    cdef Py_ssize_t k
    cdef const Layer* below
    for k in range(high, low, -1):
        below = &plan.layers[k - 1]
        layer_backward(&plan.layers[k], first, last, below.activation, below.alpha,
                       derivative_input(below) + first * below.row,
                       below.delta + first * below.row)


cdef void backward_columns(
    const Layer* layer, const Layer* below, Py_ssize_t first, Py_ssize_t last,       # rows
    Py_ssize_t j, Py_ssize_t end,                # columns of below: whole blocks
) noexcept nogil:
    """Some columns of the delta below a product; delta^T is there where it takes W^T's place."""
    cdef Layer part = layer[0]
    cdef const real* delta = layer.delta + first * layer.row
    cdef Py_ssize_t at = first * below.row + j
    if layer.turned > 0 and last - first <= DIRECT_ROWS:
        direct_columns(layer, delta, last - first, j, end, below.activation, below.alpha,
                       derivative_input(below) + first * below.row,
                       below.delta + first * below.row)
        return
    if layer.turned > 0:
        turned_columns(layer, first, last, j, end, below.activation, below.alpha,
                       derivative_input(below) + first * below.row,
                       below.delta + first * below.row)
        return
    part.transposed += j
    part.width_in, part.n_in = end - j, min(layer.n_in, end) - j
    dense_backward(&part, delta, below.activation, below.alpha,
                   derivative_input(below) + at, below.delta + at, last - first)


cdef void backward_to_inputs(
    const Plan* plan, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """dC/dx from delta of the first layer."""
    layer_backward(plan.layers, first, last, IDENTITY, 0, NULL,
                   plan.d_x + first * plan.layers.row_in)


cdef void compare_last(
    const Plan* plan, const Loss* loss, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """compare: delta of the last layer for rows [first, last) of the batch, each its own target."""
    cdef const Layer* out = plan.layers + plan.n_layers - 1
    cdef Py_ssize_t n_right = 0
    cdef Batch batch = batch_of(plan, first, last)
    compare_rows(loss, &batch, NULL, first, &n_right)
    if not loss.fused:
        derive_last(out, first, last)
