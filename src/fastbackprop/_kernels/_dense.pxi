# The three products of a dense layer, each made of one register tile.
#
#   a) predict   z       = a_prev W + b       (rows of the batch, n_in deep)
#      blame     d_prev  = delta W^T          (rows of the batch, n_out deep; W^T is packed)
#      correct   dC/dW   = a_prev^T delta     (rows of W, one step per sample of the batch)
#   b) The tile holds TILE_ROWS x TILE_VECTORS accumulators in registers and adds one
#      rank-1 update per step: a vector of the right-hand rows times one broadcast
#      number per left-hand row. Nothing is summed across lanes, so each element is
#      one chain of FMAs over k = 0, 1, 2 ... whatever the tile's size: the same bits.
#   c) The left operand is walked with two strides, so that a_prev^T is read in place.
#   d) Rows of W, a and delta are padded to whole vectors: no tails in n_out. Fewer
#      rows than TILE_ROWS are done by tiles of 4, 2 and 1 rows.
#   e) What follows a product (activation, its derivative, the update) is done on
#      the finished tile while it is in the first-level cache.

cdef inline void tile(
    const int rows, const int vectors,                           # constants where it is called
    Py_ssize_t depth,
    const real* left, Py_ssize_t left_row, Py_ssize_t left_step,  # IN (rows, depth)
    const real* right, Py_ssize_t right_step,                    # IN (depth, vectors)
    const real* start,                                           # IN (vectors,) or NULL for zeros
    real* out, Py_ssize_t out_row,                               # OUT (rows, vectors)
) noexcept nogil:
    """out = start + left right, for rows x vectors accumulators."""
    cdef vec sums[TILE_ROWS * TILE_VECTORS]
    cdef vec r[TILE_VECTORS]
    cdef vec x
    cdef int i, j
    cdef Py_ssize_t k
    for j in range(vectors):
        x = v_load(start + j * LANES) if start != NULL else v_zero()
        for i in range(rows):
            sums[i * vectors + j] = x
    for k in range(depth):
        for j in range(vectors):
            r[j] = v_load(right + j * LANES)
        for i in range(rows):
            x = v_set1(left[i * left_row])
            for j in range(vectors):
                sums[i * vectors + j] = v_fma(x, r[j], sums[i * vectors + j])
        left += left_step
        right += right_step
    for i in range(rows):
        for j in range(vectors):
            v_store(out + i * out_row + j * LANES, sums[i * vectors + j])


cdef inline int tile_height(Py_ssize_t rows_left) noexcept nogil:
    """The tallest tile that fits: TILE_ROWS, 4, 2 or 1."""
    if rows_left >= TILE_ROWS:
        return TILE_ROWS
    return 4 if rows_left >= 4 else 2 if rows_left >= 2 else 1


cdef inline void tile_of_width(
    const int vectors, int rows, Py_ssize_t depth,
    const real* left, Py_ssize_t left_row, Py_ssize_t left_step,
    const real* right, Py_ssize_t right_step, const real* start,
    real* out, Py_ssize_t out_row,
) noexcept nogil:
    if rows >= TILE_ROWS:
        tile(TILE_ROWS, vectors, depth, left, left_row, left_step, right, right_step, start, out, out_row)
    elif rows == 4:
        tile(4, vectors, depth, left, left_row, left_step, right, right_step, start, out, out_row)
    elif rows == 2:
        tile(2, vectors, depth, left, left_row, left_step, right, right_step, start, out, out_row)
    else:
        tile(1, vectors, depth, left, left_row, left_step, right, right_step, start, out, out_row)


cdef void any_tile(
    int rows, int vectors, Py_ssize_t depth,
    const real* left, Py_ssize_t left_row, Py_ssize_t left_step,
    const real* right, Py_ssize_t right_step, const real* start,
    real* out, Py_ssize_t out_row,
) noexcept nogil:
    """The one place where the tile of each size is compiled."""
    fbp_assert(<size_t>right % (LANES * sizeof(real)) == 0)
    fbp_assert(<size_t>out % (LANES * sizeof(real)) == 0)
    if vectors >= TILE_VECTORS:
        tile_of_width(TILE_VECTORS, rows, depth, left, left_row, left_step, right, right_step, start, out, out_row)
    elif VECTORS_PER_BLOCK == 1 and vectors == 2:    # with more, every row is whole tiles wide
        tile_of_width(2, rows, depth, left, left_row, left_step, right, right_step, start, out, out_row)
    elif VECTORS_PER_BLOCK == 1:
        tile_of_width(1, rows, depth, left, left_row, left_step, right, right_step, start, out, out_row)


cdef inline int tile_width(Py_ssize_t reals_left) noexcept nogil:
    """In vectors, of a row that has this many reals to go."""
    return <int>min(reals_left // LANES, <Py_ssize_t>TILE_VECTORS)


cdef void dense_forward(
    const Layer* layer,
    const real* x, Py_ssize_t x_row,             # IN (n, n_in)
    real* z, real* a,                            # OUT (n, row); may be the same
    Py_ssize_t n,
) noexcept nogil:
    """z = x W + b and a = act(z)."""
    cdef Py_ssize_t row = layer.row
    cdef Py_ssize_t i, j
    cdef int rows, vectors
    cdef int kind = IDENTITY if layer.activation == SOFTMAX else layer.activation
    j = 0
    while j < row:
        vectors = tile_width(row - j)
        i = 0
        while i < n:
            rows = tile_height(n - i)
            any_tile(rows, vectors, layer.n_in, x + i * x_row, x_row, 1, layer.weight + j, row,
                     layer.bias + j if layer.bias != NULL else NULL, z + i * row + j, row)
            activate(kind, layer.slope, z + i * row + j, a + i * row + j, row, rows, vectors)
            i += rows
        j += vectors * LANES
    if layer.activation == SOFTMAX:
        for i in range(n):
            softmax_row(z + i * row, a + i * row, layer.n_out, row)


cdef void pack_transposed(const Layer* layer, real* panel) noexcept nogil:
    """panel = W^T, (n_out, row_in), with zeros in the padding."""
    cdef Py_ssize_t b, i, j, j0, row_in = layer.row_in
    # A block of columns at a time: one cache line of W per row is read whole.
    for b in range(layer.row // BLOCK):
        j0 = b * BLOCK
        for i in range(layer.n_in):
            for j in range(j0, min(j0 + BLOCK, layer.n_out)):
                panel[j * row_in + i] = layer.weight[i * layer.row + j]
        for j in range(j0, min(j0 + BLOCK, layer.n_out)):
            for i in range(layer.n_in, row_in):
                panel[j * row_in + i] = 0


cdef void dense_backward(
    const Layer* layer, const real* panel,       # IN W^T of pack_transposed
    const real* delta,                           # IN (n, row): dC/dz of this layer
    int kind, real slope, const real* a_prev,    # IN the layer below: its activation, (n, row_in)
    real* delta_prev,                            # OUT (n, row_in): dC/dz of the layer below
    Py_ssize_t n,
) noexcept nogil:
    """delta_prev = (delta W^T) act'(z_prev)."""
    cdef Py_ssize_t row = layer.row, row_in = layer.row_in
    cdef Py_ssize_t i, j
    cdef int rows, vectors
    j = 0
    while j < row_in:
        vectors = tile_width(row_in - j)
        i = 0
        while i < n:
            rows = tile_height(n - i)
            any_tile(rows, vectors, layer.n_out, delta + i * row, row, 1, panel + j, row_in,
                     NULL, delta_prev + i * row_in + j, row_in)
            derive(kind, slope, a_prev + i * row_in + j, delta_prev + i * row_in + j, row_in, rows, vectors)
            i += rows
        j += vectors * LANES


cdef void column_sums(
    const real* delta, Py_ssize_t n, Py_ssize_t row,    # IN (n, row)
    real* out, int vectors,                             # OUT (vectors,)
) noexcept nogil:
    """dC/db = sum of delta over the batch, sample by sample."""
    cdef vec total
    cdef Py_ssize_t i
    cdef int j
    for j in range(vectors):
        total = v_zero()
        for i in range(n):
            total = v_add(total, v_load(delta + i * row + j * LANES))
        v_store(out + j * LANES, total)


cdef bint dense_correct(
    const Layer* layer,
    const real* x, Py_ssize_t x_row,             # IN (n, n_in): a_prev
    const real* delta,                           # IN (n, row): dC/dz
    const Update* update, real* velocity,        # IN, IN/OUT: where update is not NULL
    real* gradient,                              # OUT (n_in + 1, row): where it is
    Py_ssize_t n,
) noexcept nogil:
    """dC/dW = a_prev^T delta and dC/db: written to gradient, or at once into the weights.

    Returns whether all the weights are still finite.
    """
    cdef Tile buffer
    cdef real* local = buffer.reals
    cdef Py_ssize_t row = layer.row, local_row = TILE_VECTORS * LANES
    cdef Py_ssize_t i, j
    cdef int rows, vectors
    cdef bint finite = True
    j = 0
    while j < row:
        vectors = tile_width(row - j)
        i = 0
        while i < layer.n_in:
            rows = tile_height(layer.n_in - i)
            if update == NULL:
                any_tile(rows, vectors, n, x + i, 1, x_row, delta + j, row, NULL, gradient + i * row + j, row)
            else:
                any_tile(rows, vectors, n, x + i, 1, x_row, delta + j, row, NULL, local, local_row)
                finite &= correct_tile(update, local, local_row, layer.weight + i * row + j,
                                       velocity + i * row + j, row, rows, vectors)
            i += rows
        if layer.bias != NULL and update == NULL:
            column_sums(delta + j, n, row, gradient + layer.n_in * row + j, vectors)
        elif layer.bias != NULL:
            column_sums(delta + j, n, row, local, vectors)
            finite &= correct_tile(update, local, local_row, layer.bias + j,
                                   velocity + layer.n_in * row + j, row, 1, vectors)
        j += vectors * LANES
    return finite
