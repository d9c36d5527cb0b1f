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
#      rows than TILE_ROWS are done by tiles of 4, 2 and 1 rows: for_rows.
#   e) What follows a product (activation, its derivative, the update) is done in the
#      accumulators, before they are stored; only exp and its kin wait for the stored tile.

cdef enum:
    WIDE_VECTORS = 8             # of a tile with one row, whose chains would else be too few
    MANY_SUMS = TILE_ROWS * TILE_VECTORS >= 16   # whether there are registers for 24 of them
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


cdef inline Py_ssize_t outputs_of_end(const Layer* layer) noexcept nogil:
    """How many outputs the last block of columns has; what is behind them is padding."""
    return layer.n_out - (layer.width - BLOCK)


cdef inline bint is_narrow(const Layer* layer) noexcept nogil:
    """Whether a third of the lanes of the last block would be lost.

    Then something else than its columns is laid into the lanes: from 11 of 16 outputs on it
    doesn't pay.
    """
    return 8 * outputs_of_end(layer) <= 5 * BLOCK


cdef inline Py_ssize_t outputs_of_pass(Py_ssize_t outputs) noexcept nogil:
    """How many of so many narrow outputs have registers at once, in passes of the same size."""
    cdef Py_ssize_t most = 6 if MANY_SUMS else 4
    cdef Py_ssize_t passes = (outputs + most - 1) // most
    return (outputs + passes - 1) // passes


# What each product does with a tile is a function of (rows, vectors, layer, job, row, column). It
# goes over the rows by a macro, since a height that the compiler knows keeps the sums in registers.
cdef extern from *:
    """
    #define FBP_FOR_ROWS(tile, vectors, layer, job, first, last, column)                         \
        do {                                                                                     \
            Py_ssize_t row_ = (first);                                                           \
            const Py_ssize_t end_ = (last);                                                      \
            for (; row_ + FBP_TILE_ROWS <= end_; row_ += FBP_TILE_ROWS)                          \
                tile(FBP_TILE_ROWS, vectors, layer, job, row_, column);                          \
            if (FBP_TILE_ROWS > 4 && row_ + 4 <= end_) {                                         \
                tile(4, vectors, layer, job, row_, column);                                      \
                row_ += 4;                                                                       \
            }                                                                                    \
            if (row_ + 2 <= end_) {                                                              \
                tile(2, vectors, layer, job, row_, column);                                      \
                row_ += 2;                                                                       \
            }                                                                                    \
            if (row_ < end_)                                                                     \
                tile(1, vectors, layer, job, row_, column);                                      \
        } while (0)
    """
