# compare: the cost of each row of outputs and, unless delta is NULL, its gradient: with loss.fused
# dC/dz of the last layer, else dC/dy_hat. Costs are before cost_scale until compare_rows is done;
# what was right is counted.
#
# Losses that are a sum over outputs have two functions of vectors in their family's file, ``_add``
# and ``_second``; setup.py writes the loops around them from the table (_core/losses.py). The
# others have functions of a row, and their lines here.

cdef inline Py_ssize_t place_of(
    const int64_t* order, Py_ssize_t first, Py_ssize_t i,
) noexcept nogil:
    """Where row i of a batch lies among the targets."""
    return first + i if order == NULL else order[first + i]


include "loss_loops.pxi"


cdef real compare_row(
    const Loss* loss, const Batch* batch, Py_ssize_t i,
    Py_ssize_t place,                            # among the targets
    Py_ssize_t* n_right,
) noexcept nogil:
    """The cost of row i, and its delta, where a row costs more than what each output does."""
    cdef const real* z = batch.z + i * batch.row
    cdef const real* a = batch.a + i * batch.row
    cdef real* delta = batch.delta + i * batch.row if batch.delta != NULL else NULL
    cdef const real* y = NULL
    cdef Py_ssize_t label = 0
    if loss.labels != NULL:
        label = loss.labels[place]
        fbp_assert(0 <= label < batch.n_out)
    else:
        y = loss.targets + place * loss.n_targets
    if loss.kind == CROSS_ENTROPY:
        return cross_entropy_row(loss, z, a, y, delta, batch.n_out, batch.width, n_right)
    if loss.kind == FOCAL_CROSS_ENTROPY:
        return focal_cross_entropy_row(loss, z, a, y, label, delta, batch.n_out, batch.width,
                                       n_right)
    return gaussian_nll_row(loss, a, y, delta, batch.width)


cdef void compare_rows(
    const Loss* loss, const Batch* batch,
    const int64_t* order, Py_ssize_t first,      # the batch's rows among the targets
    Py_ssize_t* n_right,                         # IN/OUT, for classification
) noexcept nogil:
    """The costs of a batch, its delta, and what was predicted right."""
    cdef real scale = loss.cost_scale            # locals: no store can change them
    cdef real most = INFINITY if is_by_output(loss.kind) else loss.most
    cdef real* costs = batch.costs
    cdef vec x
    cdef Py_ssize_t i, n = batch.n
    fbp_assert(mode_is_set())
    if is_by_output(loss.kind):
        outputs_rows(loss, batch, order, first)
    elif loss.kind == CROSS_ENTROPY and loss.labels != NULL:
        cross_entropy_labels(loss, batch, order, first, n_right)
    else:
        for i in range(batch.n):
            batch.costs[i] = compare_row(loss, batch, i, place_of(order, first, i), n_right)
    if is_yes_or_no(loss.kind):
        for i in range(batch.n):
            n_right[0] += count_right(batch.z + i * batch.row, loss.targets
                                      + place_of(order, first, i) * loss.n_targets, batch.n_out)
    i = 0
    while i + LANES <= n:
        x = v_min(v_set1(most), v_load_any(costs + i))
        v_store_any(costs + i, v_mul(x, v_set1(scale)))
        i += LANES
    while i < n:
        costs[i] = (most if costs[i] > most else costs[i]) * scale
        i += 1
    if loss.weights != NULL:
        weigh_rows(loss, batch, order, first)
    if loss.rights != NULL:
        note_right(loss, batch, order, first)


cdef void note_right(
    const Loss* loss, const Batch* batch,
    const int64_t* order, Py_ssize_t first,      # the batch's rows among the targets
) noexcept nogil:
    """How many answers of each row were right: where weights make some count more than others."""
    cdef real* rights = loss.rights + (first - loss.first_right)
    cdef const real* y = NULL
    cdef Py_ssize_t i, j, place, label
    for i in range(batch.n):
        place = place_of(order, first, i)
        y = loss.targets + place * loss.n_targets if loss.labels == NULL else NULL
        if is_yes_or_no(loss.kind):
            rights[i] = <real>count_right(batch.z + i * batch.row, y, batch.n_out)
            continue
        label = loss.labels[place] if loss.labels != NULL else 0
        for j in range(1, batch.n_out if loss.labels == NULL else 0):
            if y[j] > y[label]:
                label = j
        rights[i] = <real>is_first_largest(batch.a + i * batch.row, label, batch.n_out)


cdef void compare_rows_r(
    const Loss* loss, const Batch* batch,        # the batch's delta and costs aren't touched
    Py_ssize_t first,                            # the batch's rows among the targets
    const real* r_a,                             # IN (n, row): R{a} of the last layer
    real* r_delta,                               # OUT (n, row): R{dC/da}, or fused R{dC/dz}
) noexcept nogil:
    """What the gradient of each row's cost changes by, along a direction: see run/hessian.pxi."""
    cdef const real* y = NULL
    cdef Py_ssize_t i, at, label = 0
    for i in range(batch.n):
        at = i * batch.row
        memset(r_delta + at, 0, batch.row * sizeof(real))
        if loss.labels != NULL:
            label = loss.labels[first + i]
        else:
            y = loss.targets + (first + i) * loss.n_targets
        if is_by_output(loss.kind):
            second_row(loss, batch.z + at, batch.a + at, y, r_a + at, r_delta + at, batch.n_out,
                       batch.width)
        elif loss.kind == CROSS_ENTROPY:
            cross_entropy_second_row(loss, r_a + at, r_delta + at, batch.n_out, batch.width)
        elif loss.kind == FOCAL_CROSS_ENTROPY:
            focal_cross_entropy_second_row(loss, batch.z + at, batch.a + at, y, label, r_a + at,
                                           r_delta + at, batch.n_out, batch.width)
        else:
            gaussian_nll_second_row(loss, batch.a + at, y, r_a + at, r_delta + at)


cdef inline double sum_of_costs(const real* costs, Py_ssize_t n, double total) noexcept nogil:
    """The total, carried on sample by sample."""
    cdef Py_ssize_t i
    for i in range(n):
        total += costs[i]
    return total
