# What else blame is good for: the derivative of outputs by inputs, and a gradient for each sample.
# Both are made of the tiles that train, and of rows that don't need each other: chunks of samples.

cdef enum:
    FEW_ROWS = 16                # of the workspace in a chunk, or one sample's: a tile or two
    MANY_ROWS = 192              # where nobody else waits for a chunk
    MOST_ROWS = 384              # where W is far away, and each chunk reads all of it


cdef Py_ssize_t samples_of_chunk(
    const Plan* plan, Py_ssize_t n,              # samples
    Py_ssize_t each,                             # rows of the workspace that belong to one
    int n_threads,
) noexcept nogil:
    """How many samples go forward and back together: chunks are as even as can be."""
    cdef bint is_far = plan.n_parameters >= FAR
    cdef Py_ssize_t rows = MOST_ROWS if is_far else MANY_ROWS
    if n_threads > 1:                            # some chunks for each, where W is near
        rows = max(<Py_ssize_t>FEW_ROWS, min(rows, n * each // ((1 if is_far else 4) * n_threads)))
    return even_chunk(n, max(<Py_ssize_t>1, rows // each), n_threads)


cdef inline Py_ssize_t even_chunk(Py_ssize_t n, Py_ssize_t most, int n_threads) noexcept nogil:
    """The size of chunks of at most so many: as many for each thread, and none that is short."""
    return pieces(max(n, 1), n_threads * pieces(max(n, 1), n_threads * most))


cdef void begin_inference(Plan* plan, Py_ssize_t n, Py_ssize_t rows_per_chunk) noexcept nogil:
    """What derivatives of the model as it predicts need before any of n rows; 0 packs all W^T."""
    cdef Mode caller = begin_mode()
    prepare_blame(plan, n, rows_per_chunk)
    begin_batch(plan, 0, False, 0, NULL, NULL, 0)
    take_running(plan)
    pack_all(plan)
    end_mode(caller)


cdef struct OutputDerivatives:
    Span span                    # of samples
    const Plan* plan
    Rows rows
    const real* combinations     # (each, n_out)
    Py_ssize_t each              # combinations: so many rows of the workspace belong to a sample
    real* out                    # OUT: of sample i and combination j at i * out_row + j * n_in
    Py_ssize_t out_row


cdef void spread(real* x, Py_ssize_t row, Py_ssize_t n, Py_ssize_t each) noexcept nogil:
    """Row i // each of x for every row i of n."""
    cdef Py_ssize_t i
    for i in range(n - 1, 0, -1):                # from the end: none is needed behind its place
        memcpy(x + i * row, x + i // each * row, row * sizeof(real))


cdef void spread_rows(
    const Plan* plan, Py_ssize_t start, Py_ssize_t end,  # rows; samples are the first of them
    Py_ssize_t each,
) noexcept nogil:
    """What blame reads of a sample, for each of its rows."""
    cdef const Layer* layer
    cdef Py_ssize_t i, k, n = end - start
    for k in range(plan.n_layers):
        layer = plan.layers + k
        spread(<real*>derivative_input(layer) + start * layer.row, layer.row, n, each)
        if layer.op == LAYER_NORM:
            spread(layer.statistics + 2 * start, 2, n, each)
        if k == 0:
            for i in range(n - 1, 0, -1):
                layer.inputs[start + i] = layer.inputs[start + i // each]
        elif (layer.op == LAYER_NORM or layer.op == BATCH_NORM) and (
                derivative_input(layer - 1) != layer[-1].a):     # a norm reads its inputs again
            spread(layer[-1].a + start * layer.row_in, layer.row_in, n, each)


cdef void output_derivatives_work(
    void* job_, int64_t phase, int64_t chunk, int64_t member,
) noexcept nogil:
    """Each sample goes forward once, and back once for each combination, all in one batch."""
    cdef const OutputDerivatives* job = <OutputDerivatives*>job_
    cdef const Plan* plan = job.plan
    cdef const Layer* last = plan.layers + plan.n_layers - 1
    cdef Py_ssize_t i, j, start, end, n_in = plan.layers[0].n_in, each = job.each
    cdef Py_ssize_t first_sample = 0, last_sample = 0
    chunk_of_span(&job.span, chunk, &first_sample, &last_sample)
    start, end = first_sample * each, last_sample * each
    point_at_rows(plan, &job.rows, first_sample - start, start, start + last_sample - first_sample)
    forward_rows(plan, start, start + last_sample - first_sample, 0, plan.n_layers)
    if each > 1:
        spread_rows(plan, start, end, each)
    for i in range(start, end):
        memset(last.delta + i * last.row, 0, last.row * sizeof(real))
        memcpy(last.delta + i * last.row, job.combinations + i % each * last.n_out,
               last.n_out * sizeof(real))
    derive_last(last, start, end)
    backward_rows(plan, start, end, 0, plan.n_layers - 1)
    backward_to_inputs(plan, start, end)
    for i in range(first_sample, last_sample):
        for j in range(each):
            memcpy(job.out + i * job.out_row + j * n_in,
                   plan.d_x + (i * each + j) * plan.layers[0].row_in, n_in * sizeof(real))


cdef class OutputDerivativesWork(SpanWork):
    """out[i, j] = d(combinations[j] . y_hat)/dx for row i of X; the identity gives the Jacobian.

    The workspace reaches the inputs and has a row for each sample and combination; with
    ``is_packed`` all its W^T are still there from a call before. ``out`` may be some of the
    combinations' places of a larger array.
    """

    cdef OutputDerivatives job

    def __init__(
        self, Workspace workspace, const real[:, ::1] X, const real[:, ::1] combinations,
        real[:, :, :] out, bint is_packed, int n_threads=1, bint crowded=False,
    ):
        cdef OutputDerivatives* job = &self.job
        cdef Py_ssize_t each = combinations.shape[0], n = X.shape[0]
        cdef Py_ssize_t size = samples_of_chunk(&workspace.plan, n, each, n_threads)
        fbp_assert(n * each <= workspace.plan.capacity and workspace.plan.d_x != NULL)
        fbp_assert(out.shape[0] == n and out.shape[1] == each)
        self.kept = workspace, X, combinations, out
        job.plan, job.each = &workspace.plan, each
        job.rows.x, job.rows.order = start_of_2d(X), NULL
        job.combinations = start_of_2d(combinations)
        if n > 0:
            job.out, job.out_row = &out[0, 0, 0], out.strides[0] // <Py_ssize_t>sizeof(real)
        with nogil:
            if is_packed:
                prepare_more(&workspace.plan, n * each, size * each)
            else:
                begin_inference(&workspace.plan, n * each, size * each)
        self.open(&job.span, 0, n, size, output_derivatives_work, n_threads, crowded)


cdef struct SampleGradients:
    Span span                    # of samples
    const Plan* plan
    Rows rows
    Loss loss
    real** out                   # OUT: (n, n_in, n_out) of each layer, then (n, n_out) or NULL


cdef void sample_gradients_work(
    void* job_, int64_t phase, int64_t chunk, int64_t member,
) noexcept nogil:
    cdef const SampleGradients* job = <SampleGradients*>job_
    cdef const Plan* plan = job.plan
    cdef const Layer* layer
    cdef Py_ssize_t first = 0, last = 0, i, k
    chunk_of_span(&job.span, chunk, &first, &last)
    point_at_rows(plan, &job.rows, 0, first, last)
    forward_rows(plan, first, last, 0, plan.n_layers)
    compare_last(plan, &job.loss, first, last)
    backward_rows(plan, first, last, 0, plan.n_layers - 1)
    for k in range(plan.n_layers):
        layer = plan.layers + k
        for i in range(first, last):
            if layer.op == PRODUCT:
                outer_product(layer.inputs[i], layer.delta + i * layer.row,
                              job.out[k] + i * layer.n_in * layer.n_out, layer.n_in, layer.n_out)
            elif has_parameters(layer):
                gamma_gradient(layer, i, job.out[k] + i * layer.n_out)
            if layer.bias != NULL:
                memcpy(job.out[plan.n_layers + k] + i * layer.n_out, layer.delta + i * layer.row,
                       layer.n_out * sizeof(real))


cdef void gamma_gradient(const Layer* layer, Py_ssize_t i, real* out) noexcept nogil:
    """d x^ for row i of a norm, without padding."""
    cdef Py_ssize_t j
    for j in range(layer.n_out):
        out[j] = layer.delta[i * layer.row + j] * normalized_at(layer, i, j)


cdef class SampleGradientsWork(SpanWork):
    """The gradient of each row's own cost, into ``out``.

    That has for each layer (n, n_in, n_out), of a norm (n, 1, n_out), and (n, n_out); None for
    what isn't there.
    """

    cdef SampleGradients job

    def __cinit__(self, Workspace workspace, *args):
        self.job.out = <real**>calloc(2 * workspace.plan.n_layers, sizeof(void*))
        if self.job.out == NULL:
            raise MemoryError("no memory for gradients")

    def __dealloc__(self):
        free(self.job.out)

    def __init__(
        self, Workspace workspace, const real[:, ::1] X, const real[:, ::1] targets,
        const int64_t[::1] labels, LossSpec loss_spec not None, list out, int n_threads=1,
        bint crowded=False,
    ):
        cdef SampleGradients* job = &self.job
        cdef Py_ssize_t k, n_layers = workspace.plan.n_layers
        cdef Py_ssize_t size = samples_of_chunk(&workspace.plan, X.shape[0], 1, n_threads)
        cdef real[:, :, ::1] weight
        cdef real[:, ::1] bias
        fbp_assert(0 < X.shape[0] <= workspace.plan.capacity)
        self.kept = workspace, X, targets, labels, out, loss_spec
        job.plan = &workspace.plan
        job.rows.x, job.rows.order = start_of_2d(X), NULL
        job.loss = loss_on(loss_spec, targets, labels, None, None)
        job.loss.gradient_scale = rounded(job.loss.gradient_factor)
        for k in range(n_layers):
            if out[k][0] is not None:
                weight = out[k][0]
                job.out[k] = &weight[0, 0, 0]
            if out[k][1] is not None:
                bias = out[k][1]
                job.out[n_layers + k] = &bias[0, 0]
        with nogil:
            begin_inference(&workspace.plan, X.shape[0], size)
        self.open(&job.span, 0, X.shape[0], size, sample_gradients_work, n_threads, crowded)


cdef inline void outer_product(
    const real* x, const real* delta,            # IN (n_in,), (n_out,)
    real* out,                                   # OUT (n_in, n_out), without padding
    Py_ssize_t n_in, Py_ssize_t n_out,
) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(n_in):
        for j in range(n_out):
            out[i * n_out + j] = x[i] * delta[j]
