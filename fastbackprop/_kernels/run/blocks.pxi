# A batch that is cut into blocks of many rows, and each of those by the columns of a layer.
#
#   Each chunk of rows reads all weights of a layer. Where a net's weights don't stay near the core,
#   chunks of a few rows wait for them most of the time, and of many rows there are too few chunks
#   for threads to share out evenly. So all threads meet behind each layer, and a chunk is some
#   columns of it for a block of rows: the weights come once for each block. A number is the same
#   chain of multiply-adds in whatever chunk it is. Panels are whole blocks, so that no two chunks
#   write the same cache line, and so that the last block, which narrow.pxi does, is in one chunk.

cdef enum:
    BLOCK_ROWS = 256             # of the batch: a megabyte of a layer of 1,024
    CHUNKS_OF_SEAT = 4           # at least, where there are panels enough


cdef inline bint pays_layers(const Plan* plan) noexcept nogil:
    """Whether threads shall meet behind each layer: as measured."""
    return plan.is_far and not plan.has_batch_norm and plan.n_layers > 1


cdef inline const Layer* product_of(const Plan* plan, const Phase* here) noexcept nogil:
    """The layer whose weights a FORWARD or BACKWARD of one layer reads."""
    return &plan.layers[here.low if here.kind == FORWARD else here.high]


cdef inline bint is_cut(const Training* job, const Phase* here) noexcept nogil:
    """Whether a phase is shared out by columns, too; a softmax comes last, and not in these."""
    return (job.by_layers and (here.kind == FORWARD or here.kind == BACKWARD)
            and here.high == here.low + 1 and product_of(job.plan, here).op == PRODUCT)


cdef inline Py_ssize_t width_of_cut(const Plan* plan, const Phase* here) noexcept nogil:
    cdef const Layer* layer = product_of(plan, here)
    return layer.width if here.kind == FORWARD else layer.width_in


cdef inline Py_ssize_t rows_of_block(Py_ssize_t n) noexcept nogil:
    """Blocks of the same size, of whole tiles."""
    return pieces(pieces(n, pieces(n, BLOCK_ROWS)), MIN_ROWS) * MIN_ROWS


cdef inline Py_ssize_t groups_of_columns(
    const Training* job, const Phase* here, Py_ssize_t n,
) noexcept nogil:
    """Into how many groups of panels the columns are cut."""
    cdef Py_ssize_t enough = pieces(CHUNKS_OF_SEAT * job.n_seats, pieces(n, BLOCK_ROWS))
    return min(pieces(width_of_cut(job.plan, here), PANEL), enough)


def chunks_of_rows(Network network not None, Py_ssize_t n):
    """Into how many chunks a batch of n rows can be cut, on its way through most of the weights."""
    cdef Py_ssize_t k, panels = 0
    if not pays_layers(&network.plan):
        return pieces(n, MIN_ROWS)
    for k in range(network.plan.n_layers - 1):   # the last goes by rows
        if network.plan.layers[k].op == PRODUCT:
            panels = max(panels, pieces(network.plan.layers[k].width, PANEL))
    return max(pieces(n, MIN_ROWS), pieces(n, BLOCK_ROWS) * panels)


cdef int64_t blocks_of(const Training* job, const Phase* here, Py_ssize_t n) noexcept nogil:
    """Into how many chunks a phase that is cut falls."""
    return pieces(n, BLOCK_ROWS) * groups_of_columns(job, here, n)


cdef void block_work(const Training* job, const Phase* here, int64_t chunk) noexcept nogil:
    """FORWARD or BACKWARD of one layer for a block of rows and a group of columns."""
    cdef Py_ssize_t n = job.progress.n, width = width_of_cut(job.plan, here)
    cdef Py_ssize_t groups = groups_of_columns(job, here, n), panels = pieces(width, PANEL)
    cdef Py_ssize_t first = chunk // groups * rows_of_block(n), group = chunk % groups
    cdef Py_ssize_t last = min(first + rows_of_block(n), n)
    cdef Py_ssize_t j = group * panels // groups * PANEL
    cdef Py_ssize_t end = min((group + 1) * panels // groups * PANEL, width)
    cdef const Layer* layer = &job.plan.layers[here.low]
    fbp_assert(j % BLOCK == 0 and end % BLOCK == 0)
    if here.kind == FORWARD:
        forward_columns(layer, first, last, j, end)
    else:
        backward_columns(&job.plan.layers[here.high], layer, first, last, j, end)
