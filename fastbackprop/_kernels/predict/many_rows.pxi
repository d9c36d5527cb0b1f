# predict, or evaluate, for many rows: nothing of what training keeps is touched.

cdef struct Prediction:                          # predict, or evaluate where loss isn't NULL
    const Plan* plan
    const real* x                                # (n, n_in)
    Py_ssize_t n
    Py_ssize_t widest                            # row of any layer
    real* scratch                                # 3 x (PREDICT_ROWS, widest) for each member
    real* out                                    # OUT (n, n_out)
    const Loss* loss
    real* costs                                  # OUT (n,)
    int64_t n_right


cdef void predict_rows(
    const Plan* plan, const real* x, Py_ssize_t n,
    real* scratch,                               # 3 x (PREDICT_ROWS, widest row)
    Py_ssize_t widest,
    Batch* batch,                                # OUT: z and a of the last layer, in the scratch
) noexcept nogil:
    """predict for at most PREDICT_ROWS rows without touching what training keeps."""
    cdef const real* inputs[PREDICT_ROWS]
    cdef Py_ssize_t i, k
    cdef Py_ssize_t room = PREDICT_ROWS * widest
    cdef real* here = scratch
    cdef real* there = scratch + room
    cdef real* z
    cdef const Layer* layer = plan.layers
    for i in range(n):
        inputs[i] = x + i * layer.n_in
    for k in range(plan.n_layers):
        layer = &plan.layers[k]
        z = here
        if keeps_z(layer.activation) and k == plan.n_layers - 1:
            z = scratch + 2 * room
        dense_forward(layer, inputs, z, here, n)
        batch.z, batch.a = z, here
        for i in range(n):
            inputs[i] = here + i * layer.row
        here, there = there, here
    batch.n, batch.n_out, batch.width, batch.row = n, layer.n_out, layer.width, layer.row
    batch.delta = NULL


cdef int64_t prediction_chunks(void* job_, int64_t phase) noexcept nogil:
    return pieces((<Prediction*>job_).n, PREDICT_ROWS)


cdef void prediction_work(void* job_, int64_t phase, int64_t chunk, int64_t member) noexcept nogil:
    cdef Prediction* job = <Prediction*>job_
    cdef Py_ssize_t first = chunk * PREDICT_ROWS
    cdef Py_ssize_t n = min(<Py_ssize_t>PREDICT_ROWS, job.n - first)
    cdef Py_ssize_t i, n_right = 0
    cdef real costs[PREDICT_ROWS + BLOCK]
    cdef Batch batch
    predict_rows(job.plan, job.x + first * job.plan.layers[0].n_in, n,
                 job.scratch + member * 3 * PREDICT_ROWS * job.widest, job.widest, &batch)
    if job.loss != NULL:
        batch.costs = costs
        compare_rows(job.loss, &batch, NULL, first, &n_right)
        memcpy(job.costs + first, costs, n * sizeof(real))
        atomic_add(&job.n_right, n_right)
    else:
        for i in range(n):
            memcpy(job.out + (first + i) * batch.n_out, batch.a + i * batch.row, batch.n_out * sizeof(real))


cdef int64_t prediction_close(void* job, int64_t phase) noexcept nogil:
    return THE_END
