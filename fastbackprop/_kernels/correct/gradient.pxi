# correct: dC/dW = a_prev^T delta in registers, and the weights corrected from there.


cdef struct Correction:                          # what a tile of weights needs to know
    const real** x                               # (depth,) pointers to rows of a_prev
    const real* delta                            # (depth, row)
    Py_ssize_t depth                             # samples in the batch
    const Update* update                         # NULL: gradients are wanted instead
    const Update* update_of_bias
    real* gradient                               # of this layer, (n_in + 1, row)
    vec nonfinite                                # what v_note_nonfinite saw of the new weights


cdef inline void finish_gradient(
    const int rows, const int vectors,
    const Layer* layer, Correction* c, const vec* sums, Py_ssize_t at,
) noexcept nogil:
    """From dC/dw in registers: correct the weights from ``at`` on, or write the gradient there."""
    cdef real* w = layer.weight + at
    cdef real gradient[TILE_ROWS * TILE_VECTORS * LANES]
    cdef vec noted, rate, x
    cdef int i, v
    if c.update == NULL:
        for i in range(rows):
            for v in range(vectors):
                v_store(c.gradient + at + i * layer.row + v * LANES, sums[i * vectors + v])
    elif c.update.is_plain:
        noted, rate = c.nonfinite, v_set1(c.update.learning_rate)
        for i in range(rows):
            for v in range(vectors):
                x = v_fnma(rate, sums[i * vectors + v], v_load(w + i * layer.row + v * LANES))
                v_store(w + i * layer.row + v * LANES, x)
                noted = v_note_nonfinite(noted, x)
        c.nonfinite = noted
    else:                                        # too long to be unrolled: through memory
        for i in range(rows):
            for v in range(vectors):
                v_store_any(gradient + (i * vectors + v) * LANES, sums[i * vectors + v])
        correct_slowly(layer, c, gradient, at, rows, vectors)


cdef void correct_slowly(
    const Layer* layer, Correction* c, const real* gradient, Py_ssize_t at, int rows, int vectors,
) noexcept nogil:
    cdef bint is_bias = at >= rows_of_weights(layer) * layer.row
    cdef const Update* update = c.update_of_bias if is_bias else c.update
    c.nonfinite = correct_block(
        update, rows, vectors, layer.weight + at, layer.row, gradient, vectors * LANES,
        update.planes + layer.offset + at, c.nonfinite,
    )


cdef inline void prefetch_planes(
    const int rows, const Update* update, Py_ssize_t at, Py_ssize_t row,
) noexcept nogil:
    cdef Py_ssize_t p
    cdef int k
    for p in range(update.n_planes):
        for k in range(rows):
            prefetch_near(update.planes + p * update.plane + at + k * row)


cdef inline void correct_tile(
    const int rows, const int vectors, const Layer* layer, Correction* c, Py_ssize_t i,
    Py_ssize_t j,
) noexcept nogil:
    """The weights from row i and column j on."""
    cdef vec sums[TILE_ROWS * TILE_VECTORS]
    cdef const real* w = layer.weight + i * layer.row + j
    cdef int k, v
    if c.depth >= LONG_TIME:
        for k in range(rows):
            for v in range(vectors):
                prefetch_near(w + k * layer.row + v * LANES)
        if c.update != NULL:
            prefetch_planes(rows, c.update, layer.offset + i * layer.row + j, layer.row)
    for k in range(rows):                        # nested: a loop of 24 would not be unrolled
        for v in range(vectors):
            sums[k * vectors + v] = v_zero()
    add_columns(rows, vectors, c.depth, c.x, i, c.delta + j, layer.row, sums)
    finish_gradient(rows, vectors, layer, c, sums, i * layer.row + j)


cdef inline void correct_bias(const int vectors, const Layer* layer, Correction* c,
                              Py_ssize_t j) noexcept nogil:
    """dC/db = sum of delta over the batch, sample by sample."""
    cdef vec sums[TILE_VECTORS]
    cdef const real* delta = c.delta + j
    cdef Py_ssize_t k
    cdef int v
    for v in range(vectors):
        sums[v] = v_zero()
    for k in range(c.depth):
        for v in range(vectors):
            sums[v] = v_add(sums[v], v_load(delta + v * LANES))
        delta += layer.row
    finish_gradient(1, vectors, layer, c, sums, layer.n_in * layer.row + j)


cdef extern from *:
    void correct_for_rows "FBP_FOR_ROWS"(
        void (*tile)(const int, const int, const Layer*, Correction*, Py_ssize_t, Py_ssize_t)
        noexcept nogil,
        int vectors, const Layer* layer, Correction* c, Py_ssize_t first, Py_ssize_t last,
        Py_ssize_t j,
    ) noexcept nogil


cdef inline void correct_panel(
    const int vectors, const Layer* layer, Correction* c, Py_ssize_t first, Py_ssize_t last,
    Py_ssize_t j, bint has_bias,
) noexcept nogil:
    """One panel of columns, and of the bias."""
    correct_for_rows(correct_tile, vectors, layer, c, first, last, j)
    if has_bias:
        correct_bias(vectors, layer, c, j)


cdef Py_ssize_t correct_narrow(
    const Layer* layer, Correction* c, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """The last block of columns, whole vectors of rows; returns the first row that is left."""
    cdef real gradient[BLOCK * NARROW_VECTORS * LANES]
    cdef vec rows[LANES]
    cdef Py_ssize_t end = layer.width - BLOCK, outputs = outputs_of_end(layer), vectors, v
    cdef int i, k
    while first + LANES <= last:
        vectors = min((last - first) // LANES, <Py_ssize_t>NARROW_VECTORS)
        narrow_gradient(c.x, first, vectors, c.delta + end, layer.row, c.depth, outputs,
                        gradient)
        for v in range(vectors):
            for k in range(VECTORS_PER_BLOCK):
                for i in range(LANES):
                    rows[i] = v_zero()           # of padding
                    if k * LANES + i < outputs:
                        rows[i] = v_load_any(
                            gradient + ((k * LANES + i) * NARROW_VECTORS + v) * LANES)
                v_transpose(rows)
                finish_gradient(LANES, 1, layer, c, rows, (first + v * LANES) * layer.row + end
                                + k * LANES)
        first += vectors * LANES
    return first


cdef bint dense_correct(
    const Layer* layer,
    const real** x,                              # IN (n,) pointers to (n_in,): rows of a_prev
    const real* delta,                           # IN (n, row): dC/dz
    const Update* update,                        # IN, and its state IN/OUT; or NULL:
    real* gradient,                              # OUT (n_in + 1, row)
    Py_ssize_t n,
    Py_ssize_t first, Py_ssize_t last,           # a chunk of rows of W; the bias goes with row 0
) noexcept nogil:
    """dC/dW = a_prev^T delta and dC/db: written to gradient, or at once into the weights.

    Returns whether all of the new weights are finite.
    """
    cdef Correction c
    cdef Update own[2]
    cdef bint has_bias = first == 0 and layer.bias != NULL
    cdef Py_ssize_t j = 0, end = layer.width, first_of_end = first
    cdef int vectors
    c.x, c.delta, c.depth = x, delta, n
    c.update, c.update_of_bias, c.gradient = update, update, gradient
    if update != NULL and is_own(layer, update):
        updates_of_layer(update, layer, own)
        c.update, c.update_of_bias = &own[0], &own[1]
    c.nonfinite = v_zero()
    fbp_assert(mode_is_set())
    if pays_turning(layer, n, last - first):
        end -= BLOCK
        first_of_end = correct_narrow(layer, &c, first, last)
    while j < layer.width:
        if j == end:
            first, end = first_of_end, layer.width
        vectors = tile_width(end - j)
        if vectors == TILE_VECTORS:
            correct_panel(TILE_VECTORS, layer, &c, first, last, j, has_bias)
        elif VECTORS_PER_BLOCK == 1 and vectors == 2:
            correct_panel(2, layer, &c, first, last, j, has_bias)
        elif VECTORS_PER_BLOCK == 1:
            correct_panel(1, layer, &c, first, last, j, has_bias)
        j += vectors * LANES
    return v_all_finite(c.nonfinite)
