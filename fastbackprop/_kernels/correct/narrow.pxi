# correct: dC/dW where the last block of columns has few outputs. With a row of W in the lanes, most
# of them would hold padding; each gradient is a chain of its own, so here inputs lie in the lanes,
# and none is lost. Results are turned round in registers, and corrected there.
#
#   dC/dW[i, j] = sum over samples of x[i] delta[j], from the first sample to the last: the same
#   products in the same order as in correct_tile, so the same bits.

cdef enum:
    NARROW_VECTORS = 8           # of inputs, whose gradients are made together


cdef inline bint pays_turning(
    const Layer* layer, Py_ssize_t depth, Py_ssize_t inputs,
) noexcept nogil:
    """Whether so many samples save more than it takes to turn the result round: as measured.

    Of a wider layer the tile of full panels gets thinner by it.
    """
    return (is_narrow(layer) and inputs >= LANES
            and depth >= (8 if layer.width == BLOCK else 24))


cdef inline Py_ssize_t rows_of_chunk(const Layer* layer) noexcept nogil:
    """How many rows of weights are corrected together: of narrow ones whole NARROW_VECTORS."""
    cdef Py_ssize_t most = WEIGHT_ROWS
    if is_narrow(layer) and layer.width == BLOCK:
        most *= 4
    # All the same: 32 and 32 rows rather than 48 and 16.
    return max(<Py_ssize_t>1, pieces(pieces(layer.n_in, pieces(layer.n_in, most)), BLOCK)) * BLOCK


cdef inline void narrow_tile(
    const int outputs, const int vectors,        # constants where it is called
    const real** x, Py_ssize_t i,                # IN (depth,) pointers to (.. i + inputs)
    const real* delta, Py_ssize_t row,           # IN (depth, outputs)
    Py_ssize_t depth,
    real* gradient,                              # OUT (outputs, NARROW_VECTORS): some vectors
) noexcept nogil:
    """The gradients of some vectors of inputs, from input i on, and of some outputs."""
    cdef vec sums[6 * 4]
    cdef vec r[NARROW_VECTORS]
    cdef vec d
    cdef Py_ssize_t k
    cdef int j, v
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
            v_store_any(gradient + (j * NARROW_VECTORS + v) * LANES, sums[j * vectors + v])


cdef inline void narrow_outputs(
    const int vectors, Py_ssize_t outputs,
    const real** x, Py_ssize_t i, const real* delta, Py_ssize_t row, Py_ssize_t depth,
    real* gradient,
) noexcept nogil:
    """All outputs of some vectors of inputs, some by some."""
    cdef Py_ssize_t some, j = 0
    while j < outputs:
        some = outputs_of_pass(outputs - j)
        if some == 6 and MANY_SUMS:
            narrow_tile(6, vectors, x, i, delta + j, row, depth, gradient)
        elif some == 5 and MANY_SUMS:
            narrow_tile(5, vectors, x, i, delta + j, row, depth, gradient)
        elif some == 4:
            narrow_tile(4, vectors, x, i, delta + j, row, depth, gradient)
        elif some == 3:
            narrow_tile(3, vectors, x, i, delta + j, row, depth, gradient)
        elif some == 2:
            narrow_tile(2, vectors, x, i, delta + j, row, depth, gradient)
        else:
            narrow_tile(1, vectors, x, i, delta + j, row, depth, gradient)
        gradient += some * NARROW_VECTORS * LANES
        j += some


cdef void narrow_gradient(
    const real** x, Py_ssize_t i, Py_ssize_t vectors,        # inputs from i on, so many vectors
    const real* delta, Py_ssize_t row, Py_ssize_t depth, Py_ssize_t outputs,
    real* gradient,                              # OUT (outputs, NARROW_VECTORS): of inputs
) noexcept nogil:
    """By tiles of many chains, if there are so many: fewer would wait for themselves."""
    cdef Py_ssize_t v = 0
    if outputs == 1 and vectors == NARROW_VECTORS:
        narrow_tile(1, NARROW_VECTORS, x, i, delta, row, depth, gradient)
        return
    while v < vectors:
        if v + 4 <= vectors and MANY_SUMS:
            narrow_outputs(4, outputs, x, i + v * LANES, delta, row, depth, gradient + v * LANES)
            v += 4
        elif v + 2 <= vectors:
            narrow_outputs(2, outputs, x, i + v * LANES, delta, row, depth, gradient + v * LANES)
            v += 2
        else:
            narrow_outputs(1, outputs, x, i + v * LANES, delta, row, depth, gradient + v * LANES)
            v += 1
