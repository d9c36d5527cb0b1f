# The three products of a dense layer, each made of one kind of register tile.
#
#   a) predict   z       = a_prev W + b       (rows of the batch, n_in deep)
#      blame     d_prev  = delta W^T          (rows of the batch, n_out deep; W^T is packed)
#      correct   dC/dW   = a_prev^T delta     (rows of W, one step per sample of the batch)
#   b) The tile holds TILE_ROWS x TILE_VECTORS accumulators in registers and adds one
#      rank-1 update per step: a vector of the right-hand rows times one broadcast
#      number per left-hand row. Nothing is summed across lanes, so each element is
#      one chain of FMAs over k = 0, 1, 2 ... whatever the tile's size: the same bits.
#   c) Rows of a_prev come as pointers: those of the data are read where they lie.
#   d) Rows of W, a and delta are padded to whole vectors: no tails in n_out. Fewer
#      rows than TILE_ROWS are done by tiles of 4, 2 and 1 rows.
#   e) What follows a product (activation, its derivative, the update) is done in the
#      accumulators, before they are stored; only exp and its kin wait for the stored tile.

cdef enum:
    WIDE_VECTORS = 8             # of a tile with one row, whose chains would else be too few
    LONG_TIME = 32               # steps of a tile, in which weights come from anywhere

cdef inline void add_rows(
    const int rows, const int vectors,           # constants where it is called, here and below
    Py_ssize_t depth,
    const real** left,                           # IN (rows,) pointers to (depth,)
    const real* right, Py_ssize_t right_row,     # IN (depth, vectors)
    vec* sums,                                   # IN/OUT (rows, vectors)
) noexcept nogil:
    """sums += left right."""
    cdef vec r[WIDE_VECTORS]
    cdef vec x
    cdef int i, j
    cdef Py_ssize_t k
    for k in range(depth):
        for j in range(vectors):
            r[j] = v_load(right + j * LANES)
        for i in range(rows):
            x = v_set1(left[i][k])
            for j in range(vectors):
                sums[i * vectors + j] = v_fma(x, r[j], sums[i * vectors + j])
        right += right_row


cdef inline void add_columns(
    const int rows, const int vectors,
    Py_ssize_t depth,
    const real** left, Py_ssize_t column,        # IN (depth,) pointers to (.. column + rows)
    const real* right, Py_ssize_t right_row,     # IN (depth, vectors)
    vec* sums,                                   # IN/OUT (rows, vectors)
) noexcept nogil:
    """sums += left^T right, for the columns from ``column`` on."""
    cdef vec r[TILE_VECTORS]
    cdef vec x
    cdef const real* here
    cdef int i, j
    cdef Py_ssize_t k
    for k in range(depth):
        here = left[k] + column
        for j in range(vectors):
            r[j] = v_load(right + j * LANES)
        for i in range(rows):
            x = v_set1(here[i])
            for j in range(vectors):
                sums[i * vectors + j] = v_fma(x, r[j], sums[i * vectors + j])
        right += right_row


cdef inline int tile_width(Py_ssize_t reals_left) noexcept nogil:
    """In vectors, of a row that has this many reals to go; 2 and 2 rather than 3 and 1."""
    cdef Py_ssize_t vectors = reals_left // LANES
    if VECTORS_PER_BLOCK > 1:                    # every row is whole tiles wide
        return TILE_VECTORS
    if vectors == TILE_VECTORS + 1:
        return TILE_VECTORS - 1
    return <int>min(vectors, <Py_ssize_t>TILE_VECTORS)


# ---- predict ---------------------------------------------------------------------

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
    const int vectors, const Layer* layer, int kind, const real** x, real* z, Py_ssize_t n, Py_ssize_t j,
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
    if layer.activation == SOFTMAX:
        for i in range(n):
            softmax_row(z + i * layer.row, a + i * layer.row, layer.n_out, layer.width)
    elif not in_tile:
        for i in range(n):
            activate_row(layer.activation, layer.slope, z + i * layer.row, a + i * layer.row, layer.width)


# ---- blame -----------------------------------------------------------------------

cdef void pack_transposed(const Layer* layer, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Columns [first, last) of layer.transposed = W^T.

    Four rows of W^T are written at a time for a cache line of columns: so each line
    of both is touched once, also where many of them share a place in the cache.
    """
    cdef Py_ssize_t i, j, k, end
    cdef Py_ssize_t line = first
    while line < last:
        end = min(line + BLOCK, last)
        for j in range(0, layer.n_out, 4):
            i = line
            while i + 4 <= end:
                transpose_4x4(layer.weight + i * layer.row + j, layer.row,
                              layer.transposed + j * layer.row_in + i, layer.row_in)
                i += 4
            while i < end:
                for k in range(4):
                    layer.transposed[(j + k) * layer.row_in + i] = layer.weight[i * layer.row + j + k]
                i += 1
        line = end


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
            derive_row(kind, slope, a_prev + i * layer.row_in + j, delta_prev + i * layer.row_in + j, vectors * LANES)


cdef inline void blame_panel(
    const int vectors, const Layer* layer, int kind, real slope,
    const real* delta, const real* a, real* out, Py_ssize_t n, Py_ssize_t j,
) noexcept nogil:
    cdef Py_ssize_t i = 0, row = layer.row, row_in = layer.row_in
    while i + TILE_ROWS <= n:
        blame_tile(TILE_ROWS, vectors, layer, kind, slope, delta + i * row, a + i * row_in, out + i * row_in, j)
        i += TILE_ROWS
    if TILE_ROWS > 4 and i + 4 <= n:
        blame_tile(4, vectors, layer, kind, slope, delta + i * row, a + i * row_in, out + i * row_in, j)
        i += 4
    if i + 2 <= n:
        blame_tile(2, vectors, layer, kind, slope, delta + i * row, a + i * row_in, out + i * row_in, j)
        i += 2
    if i < n:
        blame_tile(1, vectors, layer, kind, slope, delta + i * row, a + i * row_in, out + i * row_in, j)


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


# ---- correct ---------------------------------------------------------------------

cdef struct Correction:                          # what a tile of weights needs to know
    const real** x                               # (depth,) pointers to rows of a_prev
    const real* delta                            # (depth, row)
    Py_ssize_t depth                             # samples in the batch
    const Update* update                         # NULL: gradients are wanted instead
    real* velocity                               # of this layer, (n_in + 1, row)
    real* gradient                               # likewise
    vec wrong                                    # zero as long as all new weights are finite


cdef inline void finish_gradient(
    const int rows, const int vectors,
    const Layer* layer, Correction* c, const vec* sums, Py_ssize_t at,
) noexcept nogil:
    """From dC/dw in registers: correct the weights from ``at`` on, or write the gradient there."""
    cdef real* w = layer.weight + at
    cdef real gradient[TILE_ROWS * TILE_VECTORS * LANES]
    cdef vec wrong, rate, x
    cdef int i, v
    if c.update == NULL:
        for i in range(rows):
            for v in range(vectors):
                v_store(c.gradient + at + i * layer.row + v * LANES, sums[i * vectors + v])
    elif c.update.is_plain:
        wrong, rate = c.wrong, v_set1(c.update.learning_rate)
        for i in range(rows):
            for v in range(vectors):
                x = v_fnma(rate, sums[i * vectors + v], v_load(w + i * layer.row + v * LANES))
                v_store(w + i * layer.row + v * LANES, x)
                wrong = v_or(wrong, v_sub(x, x))      # x - x is NaN for inf and NaN
        c.wrong = wrong
    else:                                        # too long to be unrolled: through memory
        for i in range(rows):
            for v in range(vectors):
                v_store_any(gradient + (i * vectors + v) * LANES, sums[i * vectors + v])
        correct_slowly(layer, c, gradient, at, rows, vectors)


cdef void correct_slowly(
    const Layer* layer, Correction* c, const real* gradient, Py_ssize_t at, int rows, int vectors,
) noexcept nogil:
    cdef vec x
    cdef real* w
    cdef int i, v
    for i in range(rows):
        for v in range(vectors):
            w = layer.weight + at + i * layer.row + v * LANES
            x = corrected(c.update, v_load(w), v_load_any(gradient + (i * vectors + v) * LANES),
                          c.velocity + (w - layer.weight))
            v_store(w, x)
            c.wrong = v_or(c.wrong, v_sub(x, x))


cdef inline void correct_tile(
    const int rows, const int vectors, const Layer* layer, Correction* c, Py_ssize_t i, Py_ssize_t j,
) noexcept nogil:
    """The weights from row i and column j on."""
    cdef vec sums[TILE_ROWS * TILE_VECTORS]
    cdef const real* w = layer.weight + i * layer.row + j
    cdef int k, v
    if c.depth >= LONG_TIME:
        for k in range(rows):
            for v in range(vectors):
                prefetch_near(w + k * layer.row + v * LANES)
    for k in range(rows):                        # nested: a loop of 24 would not be unrolled
        for v in range(vectors):
            sums[k * vectors + v] = v_zero()
    add_columns(rows, vectors, c.depth, c.x, i, c.delta + j, layer.row, sums)
    finish_gradient(rows, vectors, layer, c, sums, i * layer.row + j)


cdef inline void correct_bias(const int vectors, const Layer* layer, Correction* c, Py_ssize_t j) noexcept nogil:
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


cdef inline void correct_panel(
    const int vectors, const Layer* layer, Correction* c, Py_ssize_t first, Py_ssize_t last, Py_ssize_t j,
) noexcept nogil:
    """One panel of columns, and of the bias with row 0."""
    cdef Py_ssize_t i = first
    while i + TILE_ROWS <= last:
        correct_tile(TILE_ROWS, vectors, layer, c, i, j)
        i += TILE_ROWS
    if TILE_ROWS > 4 and i + 4 <= last:
        correct_tile(4, vectors, layer, c, i, j)
        i += 4
    if i + 2 <= last:
        correct_tile(2, vectors, layer, c, i, j)
        i += 2
    if i < last:
        correct_tile(1, vectors, layer, c, i, j)
    if first == 0 and layer.bias != NULL:
        correct_bias(vectors, layer, c, j)


cdef bint dense_correct(
    const Layer* layer,
    const real** x,                              # IN (n,) pointers to (n_in,): rows of a_prev
    const real* delta,                           # IN (n, row): dC/dz
    const Update* update, real* velocity,        # IN, IN/OUT: where update is not NULL
    real* gradient,                              # OUT (n_in + 1, row): where it is
    Py_ssize_t n,
    Py_ssize_t first, Py_ssize_t last,           # rows of W, a chunk of them; the bias goes with row 0
) noexcept nogil:
    """dC/dW = a_prev^T delta and dC/db: written to gradient, or at once into the weights.

    Returns whether all of the new weights are finite.
    """
    cdef Correction c
    cdef Py_ssize_t j = 0
    cdef int vectors
    c.x, c.delta, c.depth = x, delta, n
    c.update, c.velocity, c.gradient = update, velocity, gradient
    c.wrong = v_zero()
    while j < layer.width:
        vectors = tile_width(layer.width - j)
        if vectors == TILE_VECTORS:
            correct_panel(TILE_VECTORS, layer, &c, first, last, j)
        elif VECTORS_PER_BLOCK == 1 and vectors == 2:
            correct_panel(2, layer, &c, first, last, j)
        elif VECTORS_PER_BLOCK == 1:
            correct_panel(1, layer, &c, first, last, j)
        j += vectors * LANES
    return all_zero(c.wrong)
