# The phases of training: what all threads do between two meetings, cut into chunks. The plan lists
# the phases of a step (network.pxi); the first of all packs the weights.

cdef enum:
    COLUMNS = 64                 # of a batch norm in a chunk: whole cache lines in both dtypes


cdef inline const Phase* phase_of(const Training* job, int64_t phase) noexcept nogil:
    """What the phase with this number does."""
    return job.phases + (0 if phase == 0 else 1 + (phase - 1) % (job.n_phases - 1))


cdef inline int64_t weight_chunks(const Layer* layer) noexcept nogil:
    return pieces(layer.n_in, rows_of_chunk(layer)) if layer.op == PRODUCT else 1


def chunks_of_weights(Network network not None):
    """Into how many chunks the weights of a network are cut, to be updated."""
    cdef int64_t n_chunks = 0
    cdef Py_ssize_t k
    for k in range(network.plan.n_layers):
        n_chunks += weight_chunks(&network.plan.layers[k])
    return n_chunks


cdef inline int64_t column_chunks(const Layer* layer) noexcept nogil:
    """Into how many chunks the columns of its weights are cut, to be limited."""
    return pieces(layer.width, COLUMNS) if layer.max_norm != 0 and not layer.is_frozen else 0


cdef int64_t chunks_of(const Training* job, const Phase* here, Py_ssize_t n) noexcept nogil:
    """Into how many chunks a phase is cut for a batch of n rows."""
    cdef Py_ssize_t k
    cdef int64_t n_chunks = 0
    if here.kind == STATISTICS or here.kind == SUMS:
        return pieces(job.plan.layers[here.low].width, COLUMNS)
    if here.kind == PACK and job.is_packed:
        return 1
    if here.kind == DELTAS and job.plan.layers[here.low].turned == 0:
        return 1
    if is_cut(job, here):
        return blocks_of(job, here, n)
    if here.kind == PACK or here.kind == UPDATE or here.kind == GRADIENT:
        for k in range(job.plan.n_layers):
            n_chunks += weight_chunks(&job.plan.layers[k])
    elif here.kind == LIMIT:
        for k in range(job.plan.n_layers):
            n_chunks += column_chunks(&job.plan.layers[k])
    else:
        n_chunks = pieces(n, job.rows_per_chunk)
    return n_chunks


cdef int64_t training_chunks(void* job_, int64_t phase) noexcept nogil:
    cdef const Training* job = <Training*>job_
    # Not from job.progress, which who closes the phase may be changing.
    cdef Py_ssize_t start = job.first + (phase - 1) // (job.n_phases - 1) * job.batch_size
    return chunks_of(job, phase_of(job, phase), min(job.batch_size, job.last - start))


cdef void rows_work(
    Training* job, const Phase* here, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """FORWARD, TURN, DELTAS or BACKWARD for rows [first, last) of the batch."""
    cdef const Plan* plan = job.plan
    cdef const Layer* layer
    if here.kind == DELTAS:
        layer = &plan.layers[here.low]
        if layer.turned > 0 and job.progress.n > DIRECT_ROWS:
            turn_deltas(layer, layer.delta + first * layer.row, first, last)
        return
    if here.kind == BACKWARD:
        backward_rows(plan, first, last, here.low, here.high)
        return
    if (here.high if job.by_layers else here.low) == 0:
        point_at_rows(plan, &job.rows, job.progress.start, first, last)
    forward_rows(plan, first, last, here.low, here.high)
    if here.kind == TURN:
        atomic_add(&job.progress.n_right, compare_batch(job, first, last))
        backward_rows(plan, first, last, max(here.low, plan.lowest), plan.n_layers - 1)


cdef void columns_work(
    Training* job, const Phase* here, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """STATISTICS or SUMS for columns [first, last) of a batch norm."""
    cdef const Layer* layer = &job.plan.layers[here.low]
    if here.kind == SUMS:
        batch_norm_sums(layer, job.progress.n, first, last)
    elif layer.of_batch:
        batch_statistics(layer, job.progress.n, first, last, True)


cdef void weights_work(Training* job, const Phase* here, int64_t chunk) noexcept nogil:
    """PACK, GRADIENT or UPDATE for a chunk of the rows of weights, counted through all layers."""
    cdef const Plan* plan = job.plan
    cdef Py_ssize_t k = 0, first, last
    while chunk >= weight_chunks(&plan.layers[k]):
        chunk -= weight_chunks(&plan.layers[k])
        k += 1
    first = chunk * rows_of_chunk(&plan.layers[k])
    last = min(first + rows_of_chunk(&plan.layers[k]), plan.layers[k].n_in)
    if here.kind == UPDATE:
        if not update_chunk(job, k, first, last):
            note_wrong_layer(job, k)
    elif here.kind == GRADIENT:
        gradient_chunk(job, k, first, last)
    elif k > plan.lowest and plan.layers[k].op == PRODUCT and plan.layers[k].turned == 0:
        pack_transposed(&plan.layers[k], first, last)


cdef void limit_work(Training* job, int64_t chunk) noexcept nogil:
    """LIMIT for a chunk of columns of weights, counted through all layers."""
    cdef Py_ssize_t k = 0, first
    while chunk >= column_chunks(&job.plan.layers[k]):
        chunk -= column_chunks(&job.plan.layers[k])
        k += 1
    first = chunk * COLUMNS
    if not limit_columns(&job.plan.layers[k], first,
                         min(first + COLUMNS, job.plan.layers[k].width)):
        note_wrong_layer(job, k)


cdef void phase_work(Training* job, const Phase* here, int64_t chunk) noexcept nogil:
    cdef Py_ssize_t first
    if here.kind == PACK and job.is_packed:
        return
    if is_cut(job, here):
        block_work(job, here, chunk)
    elif here.kind == PACK or here.kind == UPDATE or here.kind == GRADIENT:
        weights_work(job, here, chunk)
    elif here.kind == LIMIT:
        limit_work(job, chunk)
    elif here.kind == STATISTICS or here.kind == SUMS:
        first = chunk * COLUMNS
        columns_work(job, here, first, min(first + COLUMNS, job.plan.layers[here.low].width))
    else:
        first = chunk * job.rows_per_chunk
        rows_work(job, here, first, min(first + job.rows_per_chunk, job.progress.n))


cdef bint phase_close(Training* job, const Phase* here) noexcept nogil:
    """What follows when all chunks are done; returns whether there is a next phase."""
    if here.kind == PACK:
        begin_step(job, job.first)
    elif here.kind == TURN:
        return close_blame(job)
    elif here.kind == GRADIENT:
        return close_gradient(job)
    elif here.kind == UPDATE or here.kind == LIMIT:
        if job.progress.layer >= 0:
            job.progress.outcome = WEIGHTS_NOT_FINITE
        if here.kind == UPDATE and job.plan.has_limits:
            return job.progress.outcome == FINE
        if not end_step(job):
            return False
        begin_step(job, job.progress.start + job.progress.n)
    return True


cdef void training_work(void* job_, int64_t phase, int64_t chunk, int64_t member) noexcept nogil:
    cdef Training* job = <Training*>job_
    phase_work(job, phase_of(job, phase), chunk)


cdef int64_t training_close(void* job_, int64_t phase) noexcept nogil:
    cdef Training* job = <Training*>job_
    return phase + 1 if phase_close(job, phase_of(job, phase)) else THE_END


cdef void train_alone(Training* job) noexcept nogil:
    """All phases in one thread, which takes all rows together."""
    cdef Py_ssize_t k = 0
    cdef int64_t chunk
    cdef const Phase* here = job.phases
    job.rows_per_chunk = job.batch_size
    if not prepare_blame(job.plan, job.batch_size, job.rows_per_chunk):
        job.is_packed = False
    while True:
        for chunk in range(chunks_of(job, here, job.progress.n)):
            phase_work(job, here, chunk)
        if not phase_close(job, here):
            return
        k = k + 1 if k + 1 < job.n_phases else 1
        here = job.phases + k
