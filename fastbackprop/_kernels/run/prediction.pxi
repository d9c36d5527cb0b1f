# predict, or evaluate, for many rows, shared by threads: a chunk is what goes through all layers.

cdef struct Prediction:                          # predict, or evaluate where loss isn't NULL
    Span span                                    # of rows
    const Plan* plan
    const real* x                                # (n, n_in)
    Py_ssize_t widest                            # row of any layer
    real* scratch                                # 3 x (span.size, widest) for each member
    real* out                                    # OUT (n, n_out)
    const Loss* loss
    real* costs                                  # OUT (n,)
    int64_t n_right


cdef inline Py_ssize_t rows_together(
    const Plan* plan, Py_ssize_t n, Py_ssize_t n_threads,
) noexcept nogil:
    """Rows of a chunk: more where weights are far, as each reads all; as many for each thread."""
    cdef Py_ssize_t chunks = n_threads * pieces(n, n_threads * FAR_ROWS)
    if not plan.is_far:
        return PREDICT_ROWS
    return max(<Py_ssize_t>PREDICT_ROWS, pieces(pieces(n, chunks), MIN_ROWS) * MIN_ROWS)


cdef void prediction_work(void* job_, int64_t phase, int64_t chunk, int64_t member) noexcept nogil:
    cdef Prediction* job = <Prediction*>job_
    cdef Py_ssize_t first = 0, last = 0, n_right = 0
    cdef Py_ssize_t i, n
    cdef real costs[FAR_ROWS + BLOCK]
    cdef Batch batch
    chunk_of_span(&job.span, chunk, &first, &last)
    n = last - first
    predict_rows(job.plan, job.x + first * job.plan.layers[0].n_in, n,
                 job.scratch + member * 3 * job.span.size * job.widest, job.span.size, job.widest,
                 &batch)
    if job.loss != NULL:
        batch.costs = costs
        compare_rows(job.loss, &batch, NULL, first, &n_right)
        memcpy(job.costs + first, costs, n * sizeof(real))
        atomic_add(&job.n_right, n_right)
    else:
        for i in range(n):
            memcpy(job.out + (first + i) * batch.n_out, batch.a + i * batch.row,
                   batch.n_out * sizeof(real))


cdef class PredictionWork(SpanWork):
    """The network's outputs for every row of X, or with a loss_spec their costs.

    Parameters
    ----------
    out : ndarray of shape (n, n_out)
        Gets the outputs; None for costs.
    costs : ndarray of shape (n,)
        Gets the cost of each row; None for outputs.
    scratch : ndarray
        predict_scratch_size for each thread.
    """

    cdef Prediction job
    cdef Loss loss

    def __init__(
        self, Network network, const real[:, ::1] X, real[:, ::1] out, real[::1] scratch,
        const real[:, ::1] targets=None, const int64_t[::1] labels=None, LossSpec loss_spec=None,
        real[::1] costs=None, int n_threads=1, bint crowded=False,
        const real[::1] weights=None, const real[::1] shares=None, real[::1] rights=None,
    ):
        cdef Prediction* job = &self.job
        fbp_assert(scratch.shape[0] >= n_threads * <Py_ssize_t>network.predict_scratch_size)
        if IS_DEBUG:
            spoil(scratch)
        self.kept = network, X, out, scratch, targets, labels, costs, loss_spec, weights, rights
        job.plan, job.x = &network.plan, start_of_2d(X)
        job.widest, job.scratch = network.widest, &scratch[0]
        job.loss, job.n_right = NULL, 0
        if loss_spec is not None:
            fbp_assert(costs.shape[0] == X.shape[0])
            fbp_assert(rights is None or rights.shape[0] == X.shape[0])
            self.loss = loss_on(loss_spec, targets, labels, weights, shares, rights)
            job.loss = &self.loss
            job.costs = &costs[0] if costs.shape[0] > 0 else NULL
        else:
            fbp_assert(out.shape[0] == X.shape[0])
            job.out = &out[0, 0] if out.shape[0] > 0 else NULL
        self.open(&job.span, 0, X.shape[0], rows_together(job.plan, X.shape[0], n_threads),
                  prediction_work, n_threads, crowded)

    def run(self, call=None):
        """Do it; returns how many were right, if a loss was given. ``call`` as in TrainingWork."""
        SpanWork.run(self, call)
        return self.job.n_right
