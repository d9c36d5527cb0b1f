# blame of few rows, by W as it is stored: to pack W^T would take longer than the product.
#
#   delta_prev^T = W delta^T: rows of W at the left of the tile, at the right delta^T, which is
#   small then. Samples lie in the lanes; each number is the same chain over k = 0, 1, 2 ... as in
#   blame_tile, so it has the same bits. delta^T stands where W^T would.

cdef extern from *:
    enum:
        TURNED_INPUTS "(8 / FBP_VECTORS_PER_BLOCK)"      # rows of W in a tile: of eight chains

cdef enum:
    FAR = 250000                 # weights: a megabyte, which doesn't stay near the core


cdef inline Py_ssize_t whole_blocks(Py_ssize_t n) noexcept nogil:
    return (n + BLOCK - 1) // BLOCK * BLOCK


cdef inline bint pays_turned(const Layer* layer, Py_ssize_t n, Py_ssize_t row) noexcept nogil:
    """Whether n rows take less by W as it is stored than packing W^T would: as measured.

    Very few don't turn even their deltas round; but squares of few outputs would be half empty.
    """
    if n <= DIRECT_ROWS:
        return layer.n_out > LANES
    return (row <= layer.row_in
            and 4 * n * (layer.n_in + layer.n_out) <= layer.n_in * layer.n_out)


cdef void prepare_blame(Plan* plan, Py_ssize_t n, Py_ssize_t rows_per_chunk) noexcept nogil:
    """Choose for batches of n rows, which go back in chunks, the layers that need no W^T.

    With n = 0 all shall be packed.
    """
    cdef Py_ssize_t k
    for k in range(plan.n_layers):
        if plan.layers[k].transposed != NULL:
            prepare_layer(&plan.layers[k], n, rows_per_chunk)


cdef void prepare_layer(Layer* layer, Py_ssize_t n, Py_ssize_t rows_per_chunk) noexcept nogil:
    cdef Py_ssize_t row = pieces(max(n, 1), rows_per_chunk) * whole_blocks(rows_per_chunk)
    if n > 0 and pays_turned(layer, n, row):
        layer.turned, layer.turned_row = rows_per_chunk, row
    elif layer.turned > 0:                       # W^T has zeros where the inputs are padding
        memset(layer.transposed, 0, layer.n_out * layer.row_in * sizeof(real))
        layer.turned = 0


cdef void prepare_more(Plan* plan, Py_ssize_t n, Py_ssize_t rows_per_chunk) noexcept nogil:
    """The same for other rows with the same weights, whose W^T is there where it was packed."""
    cdef Py_ssize_t k
    for k in range(plan.n_layers):
        if plan.layers[k].turned > 0:
            prepare_layer(&plan.layers[k], n, rows_per_chunk)
            if plan.layers[k].turned == 0:
                pack_transposed(&plan.layers[k], 0, plan.layers[k].n_in)


cdef void turn_delta(
    const Layer* layer, const real* delta, Py_ssize_t n,             # IN (n, row)
    real* right,                                 # OUT (n_out, turned_row): whole blocks of columns
) noexcept nogil:
    cdef vec rows[LANES]
    cdef Py_ssize_t i = 0, k
    cdef int r
    while i < whole_blocks(n):                   # with zeros for rows that aren't there
        k = 0
        while k < layer.n_out:
            for r in range(LANES):
                rows[r] = v_zero()
                if i + r < n:
                    rows[r] = v_load(delta + (i + r) * layer.row + k)
            v_transpose(rows)
            for r in range(LANES):
                if k + r < layer.n_out:
                    v_store(right + (k + r) * layer.turned_row + i, rows[r])
            k += LANES
        i += LANES


cdef out_of_line turned_tile(
    const Layer* layer, const real* right, Py_ssize_t i,
    real* sums,                                  # OUT (TURNED_INPUTS, BLOCK)
) noexcept nogil:
    """W delta^T for rows of W from i on, the last again where there are no more."""
    cdef vec accumulators[TURNED_INPUTS * VECTORS_PER_BLOCK]
    cdef const real* left[TURNED_INPUTS]
    cdef int r, v
    for r in range(TURNED_INPUTS):
        left[r] = layer.weight + min(i + r, layer.n_in - 1) * layer.row
    for v in range(TURNED_INPUTS * VECTORS_PER_BLOCK):
        accumulators[v] = v_zero()
    add_rows(TURNED_INPUTS, VECTORS_PER_BLOCK, layer.n_out, left, right, layer.turned_row,
             accumulators)
    for v in range(TURNED_INPUTS * VECTORS_PER_BLOCK):
        v_store_any(sums + v * LANES, accumulators[v])


cdef void turned_backward(
    const Layer* layer, const real* delta,       # IN (rows, row): dC/dz of this layer
    Py_ssize_t first, Py_ssize_t last,           # rows
    int kind, real alpha, const real* a_prev,    # IN of the layer below; (rows, row_in)
    real* delta_prev,                            # OUT (rows, row_in): dC/dz of the layer below
) noexcept nogil:
    """As dense_backward; chunks of rows turn their deltas into columns of their own."""
    cdef real sums[TURNED_INPUTS * BLOCK]
    cdef real* right = layer.transposed + first // layer.turned * whole_blocks(layer.turned)
    cdef Py_ssize_t c, r, v, i = 0, n = last - first
    fbp_assert(mode_is_set() and first % layer.turned == 0)
    turn_delta(layer, delta, n, right)
    while i < layer.n_in:
        c = 0
        while c < n:
            turned_tile(layer, right + c, i, sums)
            for r in range(min(<Py_ssize_t>BLOCK, n - c)):
                for v in range(min(<Py_ssize_t>TURNED_INPUTS, layer.n_in - i)):
                    delta_prev[(c + r) * layer.row_in + i + v] = sums[v * BLOCK + r]
            c += BLOCK
        i += TURNED_INPUTS
    for r in range(n):
        memset(delta_prev + r * layer.row_in + layer.n_in, 0,
               (layer.width_in - layer.n_in) * sizeof(real))
        if kind != IDENTITY:
            derive_row(kind, alpha, a_prev + r * layer.row_in, delta_prev + r * layer.row_in,
                       layer.width_in)
