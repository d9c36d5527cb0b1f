# correct: dC/dW of layers with few outputs. With a row of W in the lanes, most of them would hold
# padding; each gradient is a chain of its own, so here inputs lie in the lanes, and none is lost.
#
#   dC/dW[i, j] = sum over samples of x[i] delta[j], from the first sample to the last: the same
#   products in the same order as in correct_tile, so the same bits.

cdef enum:
    NARROW_VECTORS = 8           # of inputs, whose gradients are made together


cdef inline bint is_narrow(const Layer* layer) noexcept nogil:
    """Whether a third of the lanes would be lost: from 11 of 16 outputs on it doesn't pay."""
    return 8 * layer.n_out <= 5 * BLOCK


cdef inline bint pays_turning(const Layer* layer, Py_ssize_t depth) noexcept nogil:
    """Whether so many samples save more than it takes to turn the result round: as measured."""
    return is_narrow(layer) and (BLOCK - layer.n_out) * depth >= 400


cdef inline Py_ssize_t rows_of_chunk(const Layer* layer) noexcept nogil:
    """How many rows of weights are corrected together: of narrow ones whole NARROW_VECTORS."""
    return 4 * WEIGHT_ROWS if is_narrow(layer) else WEIGHT_ROWS


cdef inline void narrow_tile(
    const int outputs, const int vectors,        # constants where it is called
    const real** x, Py_ssize_t i,                # IN (depth,) pointers to (.. i + inputs)
    const real* delta, Py_ssize_t row,           # IN (depth, outputs)
    Py_ssize_t depth,
    real* gradient,                              # OUT (inputs, BLOCK): some columns
) noexcept nogil:
    """The gradients of some vectors of inputs, from input i on, and of at most four outputs."""
    cdef vec sums[NARROW_VECTORS]
    cdef vec r[NARROW_VECTORS]
    cdef vec d
    cdef real lanes[BLOCK]
    cdef Py_ssize_t k
    cdef int j, v, lane
    for j in range(outputs):
        for v in range(vectors):
            sums[j * vectors + v] = v_zero()
    for k in range(depth):
        for v in range(vectors):
            r[v] = v_load_any(x[k] + i + v * LANES)
        for j in range(outputs):
            d = v_set1(delta[j])
            for v in range(vectors):
                sums[j * vectors + v] = v_fma(r[v], d, sums[j * vectors + v])
        delta += row
    for j in range(outputs):
        for v in range(vectors):
            v_store_any(lanes, sums[j * vectors + v])
            for lane in range(LANES):
                gradient[(v * LANES + lane) * BLOCK + j] = lanes[lane]


cdef inline Py_ssize_t narrow_vectors(Py_ssize_t inputs) noexcept nogil:
    """Of how many vectors of so many inputs the gradients are made together; 0: of none.

    With fewer than four the chains of a tile are few, and wait for themselves.
    """
    return inputs // (4 * LANES) * 4 if inputs < NARROW_VECTORS * LANES else NARROW_VECTORS


cdef inline void narrow_outputs(
    Py_ssize_t outputs, Py_ssize_t vectors,
    const real** x, Py_ssize_t i, const real* delta, Py_ssize_t row, Py_ssize_t depth,
    real* gradient,
) noexcept nogil:
    """Some outputs by tiles of at least eight chains, if there are so many: fewer would wait."""
    cdef Py_ssize_t v
    if outputs == 1 and vectors == NARROW_VECTORS:
        narrow_tile(1, NARROW_VECTORS, x, i, delta, row, depth, gradient)
        return
    for v in range(0, vectors, 4):
        if outputs == 1:
            narrow_tile(1, 4, x, i, delta, row, depth, gradient)
        elif outputs == 2:
            narrow_tile(2, 4, x, i, delta, row, depth, gradient)
        elif outputs == 3:                       # by 4 it would have no register left with AVX2
            narrow_tile(3, 2, x, i, delta, row, depth, gradient)
            narrow_tile(3, 2, x, i + 2 * LANES, delta, row, depth, gradient + 2 * LANES * BLOCK)
        else:
            narrow_tile(4, 2, x, i, delta, row, depth, gradient)
            narrow_tile(4, 2, x, i + 2 * LANES, delta, row, depth, gradient + 2 * LANES * BLOCK)
        i += 4 * LANES
        gradient += 4 * LANES * BLOCK


cdef void narrow_gradient(
    const Layer* layer, const real** x, const real* delta, Py_ssize_t depth,
    Py_ssize_t i, Py_ssize_t vectors,            # inputs from i on, as narrow_vectors has them
    real* gradient,                              # OUT (inputs, BLOCK), with padding
) noexcept nogil:
    cdef Py_ssize_t j
    memset(gradient, 0, vectors * LANES * BLOCK * sizeof(real))
    for j in range(0, layer.n_out, 4):
        narrow_outputs(min(layer.n_out - j, <Py_ssize_t>4), vectors, x, i, delta + j, layer.row,
                       depth, gradient + j)
