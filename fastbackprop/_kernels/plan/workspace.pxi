# The workspace: the room that one call has for a batch. It is a copy of the plan whose layers point
# into scratch that Python sized and keeps in a pool; the plan itself never changes, so that any
# number of calls, each with a workspace of its own, may work on one network at once.

cdef void spoil(real[::1] scratch) noexcept:
    """Fill with NaN: whatever is read before it was written shows (debug builds)."""
    cdef Py_ssize_t i
    for i in range(scratch.shape[0]):
        scratch[i] = NAN


cdef inline int64_t pieces(Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    return (n + size - 1) // size


cdef inline bint is_copied(const Layer* first) noexcept nogil:
    """Whether rows of the data can't be read where they lie.

    Only products need no padding; rows a multiple of 1 KB apart push each other out of the cache.
    """
    return first.op != PRODUCT or (first.row_in > first.width_in and first.n_in == first.width_in)


cdef inline const real* derivative_input(const Layer* layer) noexcept nogil:
    """What act' is written in terms of: z, itself, or a, (capacity, row)."""
    if keeps_slope(layer.activation):
        return layer.slope
    return second_input(layer)


cdef inline const real* second_input(const Layer* layer) noexcept nogil:
    """What the derivative of act' is written in terms of: z or a, (capacity, row)."""
    return layer.z if derives_from_z(layer.activation) else layer.a


cdef class Workspace:
    """Room for training steps, forward and backward, or derivatives, of at most ``capacity`` rows.

    Parameters
    ----------
    network : Network
        Whose layers and weights are used.
    capacity : int
        Rows of the largest batch.
    reaches_inputs : bool
        Whether there is room for dC/dx, too.
    scratch : ndarray
        ``workspace_size`` reals, 64-byte aligned; nothing in it is read before it is written.
    """

    cdef Network network
    cdef Plan plan
    cdef object scratch
    cdef dict rates              # of dropout, by layer: what the layers point at

    def __cinit__(
        self, Network network, Py_ssize_t capacity, bint reaches_inputs, real[::1] scratch,
    ):
        cdef Py_ssize_t size = network.plan.n_layers * sizeof(Layer)
        self.plan = network.plan
        self.plan.layers = <Layer*>calloc(1, size)       # at once: __dealloc__ frees it
        if self.plan.layers == NULL:
            raise MemoryError("no memory for a workspace")
        memcpy(self.plan.layers, network.plan.layers, size)
        if scratch.shape[0] < lay_out(&self.plan, capacity, reaches_inputs, NULL):
            raise ValueError("the scratch is too small")
        if IS_DEBUG:
            spoil(scratch)
        self.network, self.scratch, self.plan.capacity = network, scratch, capacity
        self.rates = {}
        lay_out(&self.plan, capacity, reaches_inputs, &scratch[0])

    def __dealloc__(self):
        free(self.plan.layers)

    def drop_by(self, Py_ssize_t k, const double[::1] rates not None, int64_t first_forward):
        """Give the dropout of layer k a rate for each of the next training forwards."""
        cdef Layer* layer = &self.plan.layers[k]
        fbp_assert(layer.op == DROPOUT and rates.shape[0] > 0)
        self.rates[k] = rates
        layer.rates, layer.first_forward = &rates[0], first_forward

    @property
    def capacity(self):
        """Rows of the largest batch."""
        return self.plan.capacity

    @property
    def reaches_inputs(self):
        """Whether there is room for dC/dx."""
        return self.plan.d_x != NULL


def workspace_size(Network network, Py_ssize_t capacity, bint reaches_inputs):
    """Reals of scratch for a Workspace."""
    return lay_out(&network.plan, capacity, reaches_inputs, NULL)


cdef Py_ssize_t lay_out(
    Plan* plan, Py_ssize_t capacity, bint reaches_inputs,
    real* start,                                 # of the scratch; NULL only counts
) noexcept:
    """Deal out the scratch; returns how many reals are used."""
    cdef Py_ssize_t i, k, size, used = 0
    cdef Layer* layer
    cdef Layer* first = plan.layers
    size = padded(capacity + LANES)
    if start != NULL:
        plan.costs = start
    used += size
    if plan.has_batch_norm:
        if start != NULL:
            plan.marks = start + used
        used += size
    size = capacity * first.row_in if is_copied(first) else 0
    if start != NULL:
        plan.x = start + used
    used += size
    if reaches_inputs:
        if start != NULL:
            plan.d_x = start + used
        used += capacity * first.row_in
    for k in range(plan.n_layers):
        layer = &plan.layers[k]
        size = padded((capacity * sizeof(void*) + sizeof(real) - 1) // sizeof(real))
        if start != NULL:
            layer.inputs = <const real**>(start + used)
            for i in range(capacity if k > 0 else 0):
                layer.inputs[i] = plan.layers[k - 1].a + i * layer.row_in
        used += size
        size = capacity * layer.row
        if start != NULL:
            layer.delta, layer.a, layer.z = start + used, start + used + size, start + used + size
        used += 2 * size
        if layer.op == DROPOUT:
            if start != NULL:
                layer.mask = start + used
            used += size
        if derives_from_z(layer.activation) or (
                k == plan.n_layers - 1 and keeps_z(layer.activation)):
            if start != NULL:
                layer.z = start + used
            used += size
        if keeps_slope(layer.activation):
            if start != NULL:
                layer.slope = start + used
            used += size
        size = capacity * 2 if layer.op == LAYER_NORM else 4 * layer.row
        size = padded(size) if layer.op in (LAYER_NORM, BATCH_NORM) else 0
        if start != NULL and size > 0:
            layer.statistics = start + used
        used += size
        size = layer.n_out * layer.row_in if k > 0 or reaches_inputs else 0
        size = size if layer.op == PRODUCT else 0
        if start != NULL and size > 0:
            layer.transposed = start + used
            memset(layer.transposed, 0, size * sizeof(real))     # for its padding
        used += size
    return used
