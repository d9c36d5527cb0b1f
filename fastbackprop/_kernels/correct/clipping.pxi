# correct: gradients made shorter. The global norm is a sum of squares for each row of W, added in
# order by whoever closes the phase; where that is too large or too small for its type, the sum is
# taken again of numbers that are scaled by a power of two.

cdef real squares_of_row(const Update* update, const real* g, Py_ssize_t width) noexcept nogil:
    """The sum of squares of one row, in BLOCK fixed lanes."""
    cdef vec parts[VECTORS_PER_BLOCK]
    cdef vec x
    cdef Py_ssize_t j
    cdef int k
    for k in range(VECTORS_PER_BLOCK):
        parts[k] = v_zero()
    for j in range(width // BLOCK):
        for k in range(VECTORS_PER_BLOCK):
            x = clipped(update, v_load(g + j * BLOCK + k * LANES))
            parts[k] = v_fma(x, x, parts[k])
    return v_sum_of_block(parts)


cdef void note_squares(
    const Layer* layer, const Update* update,
    const real* gradient,                        # IN (n_in + 1, row): of this layer
    Py_ssize_t first, Py_ssize_t last,           # a chunk of rows of W; the bias goes with row 0
    real* squares,                               # OUT: of all rows of all layers
) noexcept nogil:
    cdef Py_ssize_t i, bias = rows_of_weights(layer)
    for i in range(first, min(last, bias)):
        squares[layer.first_row + i] = squares_of_row(update, gradient + i * layer.row, layer.width)
    if first == 0 and layer.bias != NULL:
        squares[layer.first_row + bias] = squares_of_row(update, gradient + bias * layer.row,
                                                         layer.width)


cdef double squares_of_weights(const Plan* plan) noexcept nogil:
    """The sum of squares of all weights, without biases and what norms learn."""
    cdef const Layer* layer
    cdef Update update
    cdef Py_ssize_t k, i
    cdef double total = 0
    update.clip_value = 0
    for k in range(plan.n_layers):
        layer = &plan.layers[k]
        for i in range(layer.n_in if layer.op == PRODUCT else 0):
            total += squares_of_row(&update, layer.weight + i * layer.row, layer.width)
    return total


cdef double size_of_clipped(const Update* update, real x) noexcept nogil:
    cdef double size = -x if x < 0 else x
    return min(size, <double>update.clip_value) if update.clip_value != 0 else size


cdef double scaled_norm(
    const Plan* plan, const Update* update, const real* gradients,
    int* exponent,                               # OUT: the norm is 2^exponent times the result
) noexcept nogil:
    """The norm of gradients whose squares are too large or too small; all are finite."""
    cdef const Layer* layer
    cdef double x, scale, largest = 0, total = 0
    cdef Py_ssize_t k, i, j, way
    exponent[0] = 0
    for way in range(2):                         # the largest, then the sum
        scale = ldexp(1, -exponent[0])
        for k in range(plan.n_layers):
            layer = &plan.layers[k]
            for i in range(rows_of_weights(layer) + (layer.bias != NULL)):
                for j in range(layer.n_out):
                    x = size_of_clipped(update, gradients[layer.offset + i * layer.row + j]) * scale
                    largest = max(largest, x)
                    total += x * x
        if way == 0:
            frexp(largest, exponent)
            exponent[0] = max(exponent[0], -1000)
            total = 0
    return sqrt(total)


cdef bint begin_clipping(
    const Plan* plan, Update* update, double clip_norm, const real* gradients,
    const real* squares, Py_ssize_t n_rows,
    double* norm,                                # OUT: infinity where it is beyond a double
) noexcept nogil:
    """Make the factors that bring the norm down to clip_norm; returns whether it is finite."""
    cdef double total = 0, root
    cdef Py_ssize_t i
    cdef int exponent = 0
    for i in range(n_rows):
        total += squares[i]
    update.is_clipped = True
    update.clip_scale = update.clip_factor = 1
    if SMALLEST_NORMAL * <double>(1 << 60) < total < INFINITY:
        root = frexp(sqrt(total), &exponent)
    elif find_nonfinite(gradients, plan.n_parameters) >= 0:
        return False
    else:
        root = scaled_norm(plan, update, gradients, &exponent)
    norm[0] = ldexp(root, exponent)
    if norm[0] > clip_norm:
        update.clip_scale = <real>ldexp(1, -exponent)
        update.clip_factor = <real>(clip_norm / root)
    return True
