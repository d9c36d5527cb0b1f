# blame of one row, or two: by W as it is stored, turned round in registers on the way.
#
#   delta_prev = delta W^T, inputs in the lanes: a square of W^T is made of LANES rows of W, and
#   used at once for all rows of delta. Packing would store it, and the tile would read it again;
#   turning delta round instead (turned.pxi) would leave most lanes empty. Each number is the same
#   chain over k = 0, 1, 2 ... as in blame_tile, so it has the same bits.

cdef enum:
    DIRECT_ROWS = 8              # the most that pay: as measured, for more the tile does


cdef inline void add_square(
    const vec* square, Py_ssize_t depth,         # IN (depth,): at most LANES rows of W^T
    const real* delta, Py_ssize_t row, Py_ssize_t n,     # IN (n, row), from the same column on
    vec* sums,                                   # IN/OUT (n,)
) noexcept nogil:
    cdef Py_ssize_t i
    cdef int k
    cdef vec total
    for i in range(n):
        total = sums[i]
        if depth >= LANES:
            for k in range(LANES):
                total = v_fma(v_set1(delta[k]), square[k], total)
        else:
            for k in range(<int>depth):
                total = v_fma(v_set1(delta[k]), square[k], total)
        sums[i] = total
        delta += row


cdef void direct_block(
    const Layer* layer, const real* delta, Py_ssize_t n,             # IN (n, row)
    Py_ssize_t i,
    real* delta_prev,                            # OUT (n, row_in): LANES columns from i on
) noexcept nogil:
    """delta W^T for inputs from i on; 0 where there are no more."""
    cdef vec sums[DIRECT_ROWS]
    cdef vec square[LANES]
    cdef const real* w = layer.weight + i * layer.row
    cdef Py_ssize_t r, k = 0, inputs = layer.n_in - i
    for r in range(n):
        sums[r] = v_zero()
    while k < layer.n_out:
        if inputs >= LANES:
            for r in range(LANES):
                square[r] = v_load(w + r * layer.row + k)
        else:
            for r in range(LANES):
                square[r] = v_load(w + r * layer.row + k) if r < inputs else v_zero()
        v_transpose(square)
        add_square(square, layer.n_out - k, delta + k, layer.row, n, sums)
        k += LANES
    for r in range(n):
        v_store(delta_prev + r * layer.row_in + i, sums[r])


cdef void direct_columns(
    const Layer* layer, const real* delta, Py_ssize_t n,             # IN (n, row): dC/dz
    Py_ssize_t j, Py_ssize_t end,                # columns of the layer below: whole blocks
    int kind, real alpha, const real* a_prev,    # IN of the layer below; (n, row_in)
    real* delta_prev,                            # OUT (n, row_in): dC/dz of the layer below
) noexcept nogil:
    """As dense_backward, for some columns."""
    cdef Py_ssize_t i = j, r
    fbp_assert(mode_is_set() and n <= DIRECT_ROWS)
    while i < end:
        direct_block(layer, delta, n, i, delta_prev)
        i += LANES
    for r in range(n):
        if kind != IDENTITY:
            derive_row(kind, alpha, a_prev + r * layer.row_in + j,
                       delta_prev + r * layer.row_in + j, end - j)
