# predict, compare, blame, correct: for one batch, then for many. All that runs
# without the GIL between two visits to Python is here.
#
#   a) Rows of a batch go forward through all layers, are compared, and their blame
#      goes back through all layers, before any weight is corrected: every delta is
#      made with the weights of before the step. Then each layer's weights are
#      corrected, and packed transposed for the blame of the next step.
#   b) Rows don't need each other, and neither do rows of a layer's weights: so any
#      number of threads may share them out (phases.pxi), to the same bits.
#   c) Nothing is allocated: the plan points into scratch that Python sized once.
#   d) Costs are summed in double, sample by sample, in the order of the samples.

cdef enum:
    REPORTS = 2                  # of a step: sums of costs, and of squares of weights before it

cdef struct Progress:
    double cost                  # sum of the costs of all samples so far
    int64_t n_right              # samples (or outputs) classified right so far
    int64_t outcome              # of enum Outcome
    Py_ssize_t start             # the first row of the batch at work
    Py_ssize_t n                 # its rows
    int64_t layer                # where outcome isn't FINE: where it shows first

cdef struct Training:                            # steps over the rows [first, last)
    Plan* plan
    Rows rows
    Loss loss
    Update update
    double clip_norm                             # 0: none
    real* gradients                              # of all parameters, where there is a clip_norm
    real* squares                                # of their rows: sums
    StateHeader* header
    const double* rates                          # (steps, RATES), or NULL: update has them
    double* report                               # OUT (steps, REPORTS), or NULL
    Py_ssize_t n_done                            # steps
    int64_t n_forwards                           # of the model in training before these steps
    Py_ssize_t first
    Py_ssize_t last
    Py_ssize_t batch_size
    Progress progress
    bint is_weightless                           # the batch at work: its step changes nothing
    Undo undo
    const Phase* phases                          # the plan's
    Py_ssize_t n_phases
    Py_ssize_t rows_per_chunk                    # of the batch; of weights: rows_of_chunk
    bint by_layers                               # rows meet behind each: see blocks.pxi
    int n_seats                                  # threads for which there is work
    bint is_packed                               # W^T is there before the first step
    bint goes_on                                 # ... and wanted behind the last


cdef Py_ssize_t first_layer_not_finite(const Plan* plan, Py_ssize_t n) noexcept nogil:
    """Where a forward pass went wrong first; the last layer if only the cost did."""
    cdef Py_ssize_t i, j, k
    cdef const Layer* layer
    for k in range(plan.n_layers):
        layer = &plan.layers[k]
        for i in range(n):
            for j in range(layer.n_out):
                if not is_finite(layer.z[i * layer.row + j]):
                    return k
    return plan.n_layers - 1


cdef void begin_step(Training* job, Py_ssize_t start) noexcept nogil:
    cdef double total
    cdef const double* rates = NULL
    if job.rates != NULL:
        rates = job.rates + job.n_done * RATES
    job.progress.start = start
    job.progress.n = min(job.batch_size, job.last - start)
    total = total_weight(&job.loss, job.rows.order, start, job.progress.n)
    if (rates != NULL or job.n_done == 0 or job.update.kind != SGD_UPDATE
            or job.update.is_shared):
        begin_update(&job.update, job.header, rates, total)
    job.is_weightless = not total > 0
    scale_gradient(&job.loss, total)
    begin_batch(job.plan, job.progress.n, not job.is_weightless, job.n_forwards + job.n_done,
                job.loss.weights, job.rows.order, start)


cdef void write_report(const Training* job, double* report) noexcept nogil:
    report[0] = sum_of_costs(job.plan.costs, job.progress.n, 0)
    report[1] = squares_of_weights(job.plan) if job.update.given[2] != 0 else 0


cdef bint close_blame(Training* job) noexcept nogil:
    """Add up the costs; returns whether the step may go on."""
    cdef Progress* progress = &job.progress
    cdef double before = progress.cost
    progress.cost = sum_of_costs(job.plan.costs, progress.n, before)
    if job.report != NULL:
        write_report(job, job.report + job.n_done * REPORTS)
    if is_finite_double(progress.cost - before):
        if job.undo.room != NULL and not job.undo.is_filled and not step_stays_finite(
            job.plan, progress.n, &job.update, &job.undo
        ):
            fill_undo(&job.undo)
        return True
    progress.outcome = LOSS_NOT_FINITE
    progress.layer = first_layer_not_finite(job.plan, progress.n)
    return False


cdef bint has_next(const Training* job) noexcept nogil:
    return job.progress.start + job.progress.n < job.last


cdef bint wants_packed(const Training* job) noexcept nogil:
    """Whether W^T of the new weights will be used."""
    return job.goes_on or has_next(job)


cdef bint end_step(Training* job) noexcept nogil:
    """Count the step if it is FINE; returns whether there is a next one."""
    if job.progress.outcome != FINE:
        return False
    job.n_done += 1
    if job.is_weightless:
        job.header.n_steps += 1                  # schedules go on
    else:
        end_update(&job.update, job.header)
    return has_next(job)


cdef inline void fetch_row(
    const Training* job, Py_ssize_t i, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """Columns [first, last) of the order's row i, and with the first of them what it should give.

    Shuffled rows and targets come from anywhere: without this, forward and compare would wait for
    each. (Single samples of 4-8-3, a million of them: 0.57 of the time. Batches hide what their
    targets wait for: no difference was measured.)
    """
    cdef Py_ssize_t place = place_of(job.rows.order, 0, i)
    cdef const real* x = job.rows.x + place * job.plan.layers[0].n_in
    cdef Py_ssize_t j = first
    while j < last:
        prefetch(x + j)
        j += BLOCK
    if first == 0 and job.loss.labels != NULL:
        prefetch(<const real*>(job.loss.labels + place))
    elif first == 0:
        prefetch(job.loss.targets + place * job.loss.n_targets)


cdef void fetch_ahead(const Training* job, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Columns [first, last) of the next batch's rows, from memory into the second cache."""
    cdef Py_ssize_t next = job.progress.start + job.progress.n
    cdef Py_ssize_t i
    for i in range(next, min(next + job.batch_size, job.last)):
        fetch_row(job, i, first, last)


cdef Py_ssize_t compare_batch(
    const Training* job, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """compare rows [first, last) of the batch, and begin their blame; returns what was right."""
    cdef const Plan* plan = job.plan
    cdef Py_ssize_t n_right = 0
    cdef Batch batch = batch_of(plan, first, last)
    compare_rows(&job.loss, &batch, job.rows.order, job.progress.start + first, &n_right)
    if not job.loss.fused:
        derive_last(&plan.layers[plan.n_layers - 1], first, last)
    return n_right


cdef bint update_chunk(
    Training* job, Py_ssize_t k, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """Update rows [first, last) of layer k, and pack them if there is a next step."""
    cdef const Layer* layer = &job.plan.layers[k]
    cdef bint finite
    if k == 0:
        fetch_ahead(job, first, last)
    if job.is_weightless or layer.is_frozen:
        return True
    if job.clip_norm != 0 and has_parameters(layer):
        finite = correct_rows(layer, &job.update, job.gradients + layer.offset, first,
                              min(last, rows_of_weights(layer)))
    else:
        finite = layer_correct(layer, job.progress.n, &job.update, NULL, first, last)
    if k > job.plan.lowest and layer.op == PRODUCT and layer.turned == 0 and wants_packed(job):
        pack_transposed(layer, first, last)
    return finite


cdef void gradient_chunk(
    Training* job, Py_ssize_t k, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """The gradients of rows [first, last) of layer k, and their squares."""
    cdef const Layer* layer = &job.plan.layers[k]
    cdef real* gradient = job.gradients + layer.offset
    gradient_of_rows(layer, job.progress.n, gradient, first, last)
    if has_parameters(layer):
        note_squares(layer, &job.update, gradient, first, last, job.squares)


cdef bint close_gradient(Training* job) noexcept nogil:
    """The global norm; returns whether the step may go on."""
    cdef double norm
    cdef Py_ssize_t k = 0, wrong
    if begin_clipping(job.plan, &job.update, job.clip_norm, job.gradients, job.squares,
                      job.plan.n_rows, &norm):
        return True
    wrong = find_nonfinite(job.gradients, job.plan.n_parameters)
    while wrong >= job.plan.layers[k].offset + job.plan.layers[k].size:
        k += 1
    job.progress.outcome, job.progress.layer = GRADIENT_NOT_FINITE, k
    return False


cdef void note_wrong_layer(Training* job, int64_t k) noexcept nogil:
    """progress.layer = the first of the layers that any thread names."""
    cdef int64_t known = atomic_load(&job.progress.layer)
    while (known < 0 or k < known) and not atomic_replace(&job.progress.layer, known, k):
        known = atomic_load(&job.progress.layer)
