# What is put back where a step goes wrong: a copy of parameters and optimizer state. A fit has one
# of its best epoch. A single step makes it only where that is cheaper than to look for the largest
# numbers of the step, or where these do not exclude that a weight overflows.

cdef struct Undo:
    real* parameters             # and the running statistics right behind them
    Py_ssize_t n_parameters      # of both
    real* state
    Py_ssize_t n_state
    real* room                                   # for parameters, then state; NULL: no undo
    bint is_filled


cdef void fill_undo(Undo* undo) noexcept nogil:
    memcpy(undo.room, undo.parameters, undo.n_parameters * sizeof(real))
    memcpy(undo.room + undo.n_parameters, undo.state, undo.n_state * sizeof(real))
    undo.is_filled = True


cdef void put_back(const Undo* undo) noexcept nogil:
    """Put back the copy, if there is one: without it nothing has been changed."""
    if undo.room != NULL and undo.is_filled:
        memcpy(undo.parameters, undo.room, undo.n_parameters * sizeof(real))
        memcpy(undo.state, undo.room + undo.n_parameters, undo.n_state * sizeof(real))


cdef bint can_be_bounded(const Plan* plan, Py_ssize_t n, Py_ssize_t n_copied) noexcept nogil:
    """Whether looking at n rows of every layer is cheaper than copying so many numbers.

    Norms have gradients of another kind, and batch norms change what they remember of the batches
    even before the loss is known.
    """
    cdef Py_ssize_t k, n_read = 0
    if plan.has_limits:
        return False
    for k in range(plan.n_layers):
        if not plan.layers[k].is_ordinary:
            return False
        if plan.layers[k].op == LAYER_NORM or plan.layers[k].op == BATCH_NORM:
            return False
        n_read += n * (plan.layers[k].width_in + plan.layers[k].width)
    return n_read <= n_copied


cdef double largest_of_rows(const real** rows, Py_ssize_t n, Py_ssize_t width) noexcept nogil:
    """The largest magnitude in n rows of any alignment; infinity where one isn't finite."""
    cdef vec largest = v_zero()
    cdef vec noted = v_zero()
    cdef vec x
    cdef Py_ssize_t i, j
    for i in range(n):
        j = 0
        while j < width:
            if j + LANES <= width:
                x = v_load_any(rows[i] + j)
            else:
                x = v_load_first(rows[i] + j, width - j)
            noted = v_note_nonfinite(noted, x)
            largest = v_max(largest, v_abs(x))
            j += LANES
    return <double>v_largest(largest) if v_all_finite(noted) else INFINITY


cdef bint step_stays_finite(
    const Plan* plan, Py_ssize_t n, const Update* update, const Undo* undo,
) noexcept nogil:
    """Whether no update of this batch can overflow; a_prev and delta of all layers are there.

    |dC/dw| is at most n max|a_prev| max|delta|; twice that allows for what rounding adds.
    """
    cdef const Layer* layer
    cdef double inputs, delta, gradient = 0
    cdef Py_ssize_t i, k
    for k in range(plan.n_layers):
        layer = &plan.layers[k]
        if layer.is_frozen or not has_parameters(layer):
            continue
        inputs, delta = largest_of_rows(layer.inputs, n, layer.n_in), 0
        for i in range(n):
            delta = max(delta, largest_magnitude(layer.delta + i * layer.row, layer.width))
        if inputs == INFINITY or delta == INFINITY:
            return False
        gradient = max(gradient, 2 * <double>n * max(inputs, 1.0) * delta)
    return stays_finite(update, largest_magnitude(undo.parameters, undo.n_parameters), gradient,
                        largest_magnitude(update.planes, undo.n_state - BLOCK))
