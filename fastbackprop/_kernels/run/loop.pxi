# predict, compare, blame, correct: for one batch, then for many. All that runs
# without the GIL between two visits to Python is here.
#
#   a) Rows of a batch go forward through all layers, are compared, and their blame
#      goes back through all layers, before any weight is corrected: every delta is
#      made with the weights of before the step. Then each layer's weights are
#      corrected, and packed transposed for the blame of the next step.
#   b) Rows don't need each other, and neither do rows of a layer's weights: so any
#      number of threads may share them out (train_alone is one, the chunks below it are
#      for several), to the same bits.
#   c) Nothing is allocated: the plan points into scratch that Python sized once.
#   d) Costs are summed in double, sample by sample, in the order of the samples.

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
    double gradient_factor
    Update update
    real* velocity
    Py_ssize_t first
    Py_ssize_t last
    Py_ssize_t batch_size
    Progress progress
    Py_ssize_t rows_per_chunk                    # of the batch; of weights always WEIGHT_ROWS


cdef inline int64_t pieces(Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    return (n + size - 1) // size


cdef Py_ssize_t blame_rows(
    const Training* job, const Loss* loss, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """predict, compare and blame for rows [first, last) of the batch; returns what was right."""
    cdef const Plan* plan = job.plan
    cdef const Layer* out = &plan.layers[plan.n_layers - 1]
    cdef Py_ssize_t n_right = 0
    cdef Batch batch
    point_at_rows(plan, &job.rows, job.progress.start, first, last)
    forward_rows(plan, first, last)
    batch.n, batch.n_out, batch.width, batch.row = last - first, out.n_out, out.width, out.row
    batch.z, batch.a = out.z + first * out.row, out.a + first * out.row
    batch.delta = out.delta + first * out.row
    batch.costs = plan.costs + first
    compare_rows(loss, &batch, job.rows.order, job.progress.start + first, &n_right)
    if not loss.fused:
        derive_last(out, first, last)
    backward_rows(plan, first, last)
    return n_right


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
    job.progress.start = start
    job.progress.n = min(job.batch_size, job.last - start)
    job.loss.gradient_scale = <real>(job.gradient_factor / <double>job.progress.n)


cdef bint close_blame(Training* job) noexcept nogil:
    """Add up the costs; returns whether the step may go on."""
    cdef Progress* progress = &job.progress
    cdef double before = progress.cost
    progress.cost = sum_of_costs(job.plan.costs, progress.n, before)
    if is_finite_double(progress.cost - before):
        return True
    progress.outcome = LOSS_NOT_FINITE
    progress.layer = first_layer_not_finite(job.plan, progress.n)
    return False


cdef bint has_next(const Training* job) noexcept nogil:
    return job.progress.start + job.progress.n < job.last


cdef void fetch_ahead(const Training* job, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Columns [first, last) of the next batch's rows, from memory into the second cache.

    Shuffled rows come from anywhere: without this, forward would wait for each.
    """
    cdef Py_ssize_t n_in = job.plan.layers[0].n_in
    cdef Py_ssize_t next = job.progress.start + job.progress.n
    cdef Py_ssize_t i, j
    cdef const real* x
    for i in range(next, min(next + job.batch_size, job.last)):
        x = job.rows.x + (i if job.rows.order == NULL else job.rows.order[i]) * n_in
        j = first
        while j < last:
            prefetch(x + j)
            j += BLOCK


cdef bint correct_chunk(Training* job, Py_ssize_t k, Py_ssize_t first,
                        Py_ssize_t last) noexcept nogil:
    """Correct rows [first, last) of layer k, and pack them if there is a next step."""
    cdef const Layer* layer = &job.plan.layers[k]
    cdef bint finite
    if k == 0:
        fetch_ahead(job, first, last)
    finite = dense_correct(layer, layer.inputs, layer.delta, &job.update,
                           job.velocity + layer.offset,
                           NULL, job.progress.n, first, last)
    if k > 0 and has_next(job):
        pack_transposed(layer, first, last)
    return finite


cdef bint correct_layer(Training* job, Py_ssize_t k) noexcept nogil:
    """Chunk by chunk, so that columns of a_prev and of delta stay in the nearer caches."""
    cdef Py_ssize_t first = 0, n_in = job.plan.layers[k].n_in
    cdef bint finite = True
    while first < n_in:
        finite &= correct_chunk(job, k, first, min(first + WEIGHT_ROWS, n_in))
        first += WEIGHT_ROWS
    return finite


cdef void train_alone(Training* job) noexcept nogil:
    """All steps, in one thread; stops at the first that isn't FINE."""
    cdef Py_ssize_t k
    cdef const Plan* plan = job.plan
    for k in range(1, plan.n_layers):
        pack_transposed(&plan.layers[k], 0, plan.layers[k].n_in)
    begin_step(job, job.first)
    while True:
        job.progress.n_right += blame_rows(job, &job.loss, 0, job.progress.n)
        if not close_blame(job):
            return
        for k in range(plan.n_layers):
            if not correct_layer(job, k) and job.progress.outcome == FINE:
                job.progress.outcome, job.progress.layer = WEIGHTS_NOT_FINITE, k
        if job.progress.outcome != FINE or not has_next(job):
            return
        begin_step(job, job.progress.start + job.progress.n)


# ---- the same, in chunks ----------------------------------------------------------
# Phase 0 packs all weights; then each step has two phases: blame (rows of the batch)
# and correct (rows of weights, layer by layer).

cdef int64_t training_chunks(void* job_, int64_t phase) noexcept nogil:
    cdef const Training* job = <Training*>job_
    cdef Py_ssize_t k
    cdef int64_t n = 0
    # Not from job.progress, which who closes the phase may be changing.
    cdef Py_ssize_t start = job.first + (phase - 1) // 2 * job.batch_size
    if phase % 2 == 1:
        return pieces(min(job.batch_size, job.last - start), job.rows_per_chunk)
    for k in range(job.plan.n_layers):
        n += pieces(job.plan.layers[k].n_in, WEIGHT_ROWS)
    return n


cdef void training_work(void* job_, int64_t phase, int64_t chunk, int64_t member) noexcept nogil:
    cdef Training* job = <Training*>job_
    cdef const Plan* plan = job.plan
    cdef Py_ssize_t k = 0, first, last, n
    if phase % 2 == 1:
        first = chunk * job.rows_per_chunk
        last = min(first + job.rows_per_chunk, job.progress.n)
        atomic_add(&job.progress.n_right, blame_rows(job, &job.loss, first, last))
        return
    n = pieces(plan.layers[0].n_in, WEIGHT_ROWS)
    while chunk >= n:
        chunk -= n
        k += 1
        n = pieces(plan.layers[k].n_in, WEIGHT_ROWS)
    first = chunk * WEIGHT_ROWS
    last = min(first + WEIGHT_ROWS, plan.layers[k].n_in)
    if phase == 0:
        if k > 0:
            pack_transposed(&plan.layers[k], first, last)
    elif not correct_chunk(job, k, first, last):
        note_wrong_layer(job, k)


cdef void note_wrong_layer(Training* job, int64_t k) noexcept nogil:
    """progress.layer = the first of the layers that any thread names."""
    cdef int64_t known = atomic_load(&job.progress.layer)
    while (known < 0 or k < known) and not atomic_replace(&job.progress.layer, known, k):
        known = atomic_load(&job.progress.layer)


cdef int64_t training_close(void* job_, int64_t phase) noexcept nogil:
    cdef Training* job = <Training*>job_
    if phase == 0:
        begin_step(job, job.first)
    elif phase % 2 == 1:
        if not close_blame(job):
            return THE_END
    else:
        if job.progress.layer >= 0:
            job.progress.outcome = WEIGHTS_NOT_FINITE
        if job.progress.outcome != FINE or not has_next(job):
            return THE_END
        begin_step(job, job.progress.start + job.progress.n)
    return phase + 1
