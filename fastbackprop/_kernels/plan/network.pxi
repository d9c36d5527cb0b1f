# What Python sees of the kernels: the class Network, and a few functions (its calls: run/work.pxi). Arguments
# arrive checked (_core/validation.py does that); here they only become pointers.

ACTIVATIONS = ("identity", "relu", "leaky_relu", "sigmoid", "tanh", "softmax")
LOSSES = ("squared_error", "cross_entropy", "binary_cross_entropy")

dtype = DTYPE.decode()
variant = ISA.decode()
has_fma = bool(HAS_FMA)
is_debug = bool(IS_DEBUG)
sources = SOURCES.decode()


cdef inline const real* start_of_2d(const real[:, ::1] x) noexcept:
    return &x[0, 0] if x is not None and x.shape[0] > 0 and x.shape[1] > 0 else NULL


cdef void spoil(real[::1] scratch) noexcept:
    """Fill with NaN: whatever is read before it was written shows (debug builds)."""
    cdef Py_ssize_t i
    for i in range(scratch.shape[0]):
        scratch[i] = NAN


cdef inline Py_ssize_t padded(Py_ssize_t n) noexcept nogil:
    return (n + BLOCK - 1) // BLOCK * BLOCK


cdef inline Py_ssize_t row_length(Py_ssize_t n) noexcept nogil:
    """From one row of n to the next: see row_length in _core/buffers.py."""
    return padded(n) + (BLOCK if padded(n) * sizeof(real) % 1024 == 0 else 0)


cdef Loss loss_from(tuple spec, const real[:, ::1] targets, const int64_t[::1] labels):
    """spec = (name, fused, gradient factor, cost factor)."""
    cdef Loss loss
    loss.kind = LOSSES.index(spec[0])
    loss.fused = spec[1]
    loss.gradient_scale = 0
    loss.cost_scale = spec[3]
    loss.targets = start_of_2d(targets)
    loss.labels = &labels[0] if labels is not None and labels.shape[0] > 0 else NULL
    return loss


cdef Update update_from(tuple spec):
    """spec = (learning rate, momentum, nesterov, weight decay)."""
    cdef Update update
    update.learning_rate, update.momentum, update.nesterov, update.weight_decay = spec
    update.is_plain = update.momentum == 0 and update.weight_decay == 0
    return update


cdef class Network:
    """A network's layers and buffers as the kernels see them.

    Parameters
    ----------
    layers : list of tuple
        (n_in, n_out, offset of the weight, has a bias, activation, slope) each.
    parameters : ndarray
        All weights and biases; 64-byte aligned, rows padded with zeros.
    """

    cdef Plan plan
    cdef real[::1] parameters
    cdef object scratch
    cdef Py_ssize_t widest       # the longest row of a layer's outputs

    def __cinit__(self, list layers, real[::1] parameters):
        cdef Layer* layer
        cdef Py_ssize_t i, n_in, n_out, offset
        cdef bint has_bias
        self.plan.layers = <Layer*>calloc(len(layers), sizeof(Layer))
        if self.plan.layers == NULL:
            raise MemoryError("no memory for the network's plan")
        self.parameters = parameters
        self.plan.n_layers = len(layers)
        self.widest = 0
        for i, (n_in, n_out, offset, has_bias, activation, slope) in enumerate(layers):
            layer = &self.plan.layers[i]
            layer.n_in, layer.n_out = n_in, n_out
            layer.width, layer.width_in = padded(n_out), padded(n_in)
            layer.row, layer.row_in = row_length(n_out), row_length(n_in)
            layer.offset, layer.size = offset, (n_in + has_bias) * layer.row
            layer.activation, layer.slope = ACTIVATIONS.index(activation), slope
            layer.weight = &parameters[0] + layer.offset
            layer.bias = layer.weight + n_in * layer.row if has_bias else NULL
            fbp_assert(layer.offset + layer.size <= parameters.shape[0])
            fbp_assert(<size_t>layer.weight % ALIGNMENT == 0)
            self.widest = max(self.widest, layer.row)

    def __dealloc__(self):
        free(self.plan.layers)

    @property
    def predict_scratch_size(self):
        """Reals of scratch that one thread wants for predict and evaluate."""
        return 3 * PREDICT_ROWS * self.widest

    @property
    def backward_scratch_size(self):
        """Reals of scratch for backward, without its rows; they must be zero."""
        return round_up_4(self.plan.layers[0].n_out) * self.plan.layers[0].row_in

    def scratch_size(self, Py_ssize_t capacity):
        """Reals of scratch for training with batches of at most ``capacity`` rows."""
        return self.lay_out(capacity, NULL)

    def set_scratch(self, Py_ssize_t capacity, real[::1] scratch):
        """Train in this scratch from now on; nothing in it is read before it is written."""
        if scratch.shape[0] < self.lay_out(capacity, NULL):
            raise ValueError("the scratch is too small")
        if IS_DEBUG:
            spoil(scratch)
        self.scratch = scratch
        self.plan.capacity = capacity
        self.lay_out(capacity, &scratch[0])

    cdef Py_ssize_t lay_out(self, Py_ssize_t capacity, real* start):
        """Deal out the scratch (unless it is NULL); returns how much is used."""
        cdef Py_ssize_t i, k, size, at = 0
        cdef Layer* layer
        cdef Layer* first = self.plan.layers
        size = padded(capacity + LANES)
        if start != NULL:
            self.plan.costs = start
        at += size
        size = capacity * first.row_in if is_copied(first) else 0
        if start != NULL:
            self.plan.x = start + at
        at += size
        for k in range(self.plan.n_layers):
            layer = &self.plan.layers[k]
            size = padded((capacity * sizeof(void*) + sizeof(real) - 1) // sizeof(real))
            if start != NULL:
                layer.inputs = <const real**>(start + at)
                for i in range(capacity if k > 0 else 0):
                    layer.inputs[i] = self.plan.layers[k - 1].a + i * layer.row_in
            at += size
            size = capacity * layer.row
            if start != NULL:
                layer.delta, layer.a, layer.z = start + at, start + at + size, start + at + size
            at += 2 * size
            if k == self.plan.n_layers - 1 and keeps_z(layer.activation):
                if start != NULL:
                    layer.z = start + at
                at += size
            size = round_up_4(layer.n_out) * layer.row_in if k > 0 else 0
            if start != NULL and k > 0:
                layer.transposed = start + at
                memset(layer.transposed, 0, size * sizeof(real))     # for its padding
            at += size
        return at

    def forward(self, const real[:, ::1] X, real[:, ::1] y_hat, real[:, ::1] z):
        """predict for one batch, and keep what backward needs: X must stay as it is."""
        cdef Py_ssize_t i, n = X.shape[0]
        cdef const Layer* last = &self.plan.layers[self.plan.n_layers - 1]
        cdef Rows rows
        fbp_assert(n <= self.plan.capacity)
        rows.x, rows.order = start_of_2d(X), NULL
        with nogil:
            point_at_rows(&self.plan, &rows, 0, 0, n)
            forward_rows(&self.plan, 0, n)
        for i in range(n):
            memcpy(&y_hat[i, 0], last.a + i * last.row, last.n_out * sizeof(real))
            memcpy(&z[i, 0], last.z + i * last.row, last.n_out * sizeof(real))

    def backward(
        self, const real[:, ::1] d_out, bint is_d_z, real[::1] gradients, real[:, ::1] d_x, real[::1] scratch,
    ):
        """Blame for the batch of the last forward: all gradients, and dC/dx.

        ``d_out`` is dC/dy_hat, or dC/dz of the last layer with ``is_d_z``; ``scratch``
        has backward_scratch_size zeros, and then a row (row_length of n_in) for each row.
        """
        cdef Py_ssize_t i, k, n = d_out.shape[0]
        cdef Layer* first = &self.plan.layers[0]
        cdef Layer* layer
        cdef const Layer* last = &self.plan.layers[self.plan.n_layers - 1]
        cdef real* d_rows = &scratch[0] + round_up_4(first.n_out) * first.row_in
        fbp_assert(n <= self.plan.capacity and gradients.shape[0] == self.parameters.shape[0])
        fbp_assert(scratch.shape[0] >= (round_up_4(first.n_out) + n) * first.row_in)
        for i in range(n):
            memset(last.delta + i * last.row, 0, last.row * sizeof(real))
            memcpy(last.delta + i * last.row, &d_out[i, 0], last.n_out * sizeof(real))
        first.transposed = &scratch[0]
        with nogil:
            if not is_d_z:
                derive_last(last, 0, n)
            for k in range(self.plan.n_layers):
                pack_transposed(&self.plan.layers[k], 0, self.plan.layers[k].n_in)
            backward_rows(&self.plan, 0, n)
            for k in range(self.plan.n_layers):
                layer = &self.plan.layers[k]
                dense_correct(layer, layer.inputs, layer.delta, NULL, NULL, &gradients[0] + layer.offset,
                              n, 0, layer.n_in)
            dense_backward(first, first.delta, IDENTITY, 0, NULL, d_rows, n)
        first.transposed = NULL
        for i in range(n):
            memcpy(&d_x[i, 0], d_rows + i * first.row_in, first.n_in * sizeof(real))


cdef inline bint keeps_z(int activation) noexcept nogil:
    """Whether the losses behind this activation want z too."""
    return activation == SIGMOID or activation == SOFTMAX


cdef inline Py_ssize_t round_up_4(Py_ssize_t n) noexcept nogil:
    return (n + 3) // 4 * 4


def sum_costs(const real[::1] costs, double total):
    """The total, with these costs added one by one."""
    return sum_of_costs(&costs[0], costs.shape[0], total) if costs.shape[0] > 0 else total


def compare(
    tuple loss_spec, const real[:, ::1] z, const real[:, ::1] a,
    const real[:, ::1] targets, const int64_t[::1] labels, real[:, ::1] delta, Py_ssize_t n_out, real[::1] costs,
):
    """The sum of the costs of a batch, with its gradient in ``delta``; rows padded.

    ``costs`` has room for a vector more than there are rows.
    """
    cdef Loss loss = loss_from(loss_spec, targets, labels)
    cdef Py_ssize_t n_right = 0
    cdef Batch batch
    batch.n, batch.n_out, batch.width, batch.row = a.shape[0], n_out, padded(n_out), a.shape[1]
    batch.z, batch.a, batch.delta, batch.costs = &z[0, 0], &a[0, 0], &delta[0, 0], &costs[0]
    fbp_assert(costs.shape[0] >= batch.n + LANES)
    loss.gradient_scale = <real>(<double>loss_spec[2] / <double>batch.n)
    compare_rows(&loss, &batch, NULL, 0, &n_right)
    return sum_of_costs(batch.costs, batch.n, 0)


def correct(
    real[::1] parameters, const real[::1] gradients, real[::1] velocity, tuple update_spec, real[::1] snapshot,
):
    """One update of all parameters, or none.

    Returns -1, or where the first would not have been finite: then nothing has changed.
    """
    cdef Update update = update_from(update_spec)
    cdef Py_ssize_t size = parameters.shape[0]
    cdef real* w = &parameters[0]
    cdef real* v = &velocity[0] if update.momentum != 0 else w
    cdef Py_ssize_t i, at
    cdef Py_ssize_t wrong = -1
    cdef vec x
    fbp_assert(gradients.shape[0] == size and snapshot.shape[0] >= 2 * size)
    with nogil:
        memcpy(&snapshot[0], w, size * sizeof(real))
        memcpy(&snapshot[0] + size, v, size * sizeof(real))
        for i in range(size // LANES):
            at = i * LANES
            x = corrected(&update, v_load(w + at), v_load(&gradients[0] + at), v + at)
            v_store(w + at, x)
            if wrong < 0 and not all_zero(v_sub(x, x)):
                wrong = at
        if wrong >= 0:
            memcpy(v, &snapshot[0] + size, size * sizeof(real))
            memcpy(w, &snapshot[0], size * sizeof(real))
    return wrong


def first_nonfinite(const real[::1] x):
    """The index of the first NaN or infinity in x, or -1."""
    cdef const real* start = &x[0] if x.shape[0] > 0 else NULL
    cdef Py_ssize_t at
    with nogil:
        at = find_nonfinite(start, x.shape[0])
    return at


def first_outside(const int64_t[::1] labels, int64_t n_classes):
    """The index of the first label that isn't from 0 to n_classes - 1, or -1."""
    cdef Py_ssize_t i
    for i in range(labels.shape[0]):
        if not 0 <= labels[i] < n_classes:
            return i
    return -1


def shuffle(int64_t[::1] order, const uint64_t[::1] words):
    """Fisher-Yates: one raw 64-bit word a place, from the last to the first."""
    cdef Py_ssize_t i, j
    with nogil:
        for i in range(order.shape[0] - 1, 0, -1):
            j = <Py_ssize_t>(words[i] % <uint64_t>(i + 1))
            order[i], order[j] = order[j], order[i]


def apply(str function, const real[::1] x, real[::1] out):
    """out = exp, log, log1p_small, tanh or sigmoid of x, as the kernels compute it."""
    cdef int which = ("exp", "log", "log1p_small", "tanh", "sigmoid").index(function)
    cdef Py_ssize_t i, k
    cdef real lanes[BLOCK]
    cdef vec v
    i = 0
    while i < x.shape[0]:
        v = v_load_first(&x[i], x.shape[0] - i)
        if which == 0:
            v = v_exp(v)
        elif which == 1:
            v = v_log(v)
        elif which == 2:
            v = v_log1p_small(v)
        elif which == 3:
            v = v_tanh(v)
        else:
            v = v_sigmoid(v)
        v_store_any(lanes, v)
        for k in range(min(<Py_ssize_t>LANES, x.shape[0] - i)):
            out[i + k] = lanes[k]
        i += LANES
