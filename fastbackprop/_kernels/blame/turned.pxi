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


cdef bint prepare_blame(Plan* plan, Py_ssize_t n, Py_ssize_t rows_per_chunk) noexcept nogil:
    """Choose for batches of n rows, which go back in chunks, the layers that need no W^T.

    With n = 0 all shall be packed. Returns whether no layer needs a W^T that didn't before.
    """
    cdef Py_ssize_t k
    cdef bint is_kept = True, had
    for k in range(plan.n_layers):
        if plan.layers[k].transposed != NULL:
            had = plan.layers[k].turned == 0
            prepare_layer(&plan.layers[k], n, rows_per_chunk)
            is_kept = is_kept and (had or plan.layers[k].turned > 0)
    return is_kept


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


cdef inline real* columns_of_rows(const Layer* layer, Py_ssize_t first) noexcept nogil:
    """Where delta^T has the rows from ``first`` on: each that go back together begin a block."""
    return (layer.transposed + first // layer.turned * whole_blocks(layer.turned)
            + first % layer.turned)


cdef void turn_deltas(
    const Layer* layer, const real* delta,       # IN (rows, row): dC/dz of this layer
    Py_ssize_t first, Py_ssize_t last,           # rows, from a whole block on
) noexcept nogil:
    """delta^T, up to the end of a block of columns."""
    cdef vec rows[LANES]
    cdef real* right = columns_of_rows(layer, first)
    cdef Py_ssize_t i = 0, k, n = last - first
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


cdef void turned_columns(
    const Layer* layer, Py_ssize_t first, Py_ssize_t last,           # rows
    Py_ssize_t j, Py_ssize_t end,                # columns of the layer below: whole blocks
    int kind, real alpha, const real* a_prev,    # IN of the layer below; (rows, row_in)
    real* delta_prev,                            # OUT (rows, row_in): dC/dz of the layer below
) noexcept nogil:
    """As dense_backward, for some columns, when delta^T is there."""
    cdef real sums[TURNED_INPUTS * BLOCK]
    cdef const real* right = columns_of_rows(layer, first)
    cdef Py_ssize_t c, r, v, i = j, n = last - first, inputs = min(end, layer.n_in)
    fbp_assert(mode_is_set())
    while i < inputs:
        c = 0
        while c < n:
            turned_tile(layer, right + c, i, sums)
            for r in range(min(<Py_ssize_t>BLOCK, n - c)):
                for v in range(min(<Py_ssize_t>TURNED_INPUTS, inputs - i)):
                    delta_prev[(c + r) * layer.row_in + i + v] = sums[v * BLOCK + r]
            c += BLOCK
        i += TURNED_INPUTS
    for r in range(n):
        memset(delta_prev + r * layer.row_in + inputs, 0, (end - inputs) * sizeof(real))
        if kind != IDENTITY:
            derive_row(kind, alpha, a_prev + r * layer.row_in + j,
                       delta_prev + r * layer.row_in + j, end - j)


cdef void turned_backward(
    const Layer* layer, const real* delta,       # IN (rows, row): dC/dz of this layer
    Py_ssize_t first, Py_ssize_t last,           # rows that go back together
    int kind, real alpha, const real* a_prev,    # IN of the layer below; (rows, row_in)
    real* delta_prev,                            # OUT (rows, row_in): dC/dz of the layer below
) noexcept nogil:
    """As dense_backward."""
    fbp_assert(first % layer.turned == 0)
    turn_deltas(layer, delta, first, last)
    turned_columns(layer, first, last, 0, layer.width_in, kind, alpha, a_prev, delta_prev)
