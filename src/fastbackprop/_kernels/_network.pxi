# What Python sees of the kernels: the class Network and a few functions. Arguments
# arrive checked (_validation.py does that); here they only become pointers.

ACTIVATIONS = ("identity", "relu", "leaky_relu", "sigmoid", "tanh", "softmax")
LOSSES = ("squared_error", "cross_entropy", "binary_cross_entropy")

dtype = DTYPE.decode()
variant = ISA.decode()
has_fma = bool(HAS_FMA)
is_debug = bool(IS_DEBUG)

cdef enum:
    PREDICT_ROWS = 64            # rows that go through the whole net together


cdef inline real* start_of(real[::1] x) noexcept:
    return &x[0] if x is not None and x.shape[0] > 0 else NULL


cdef inline const real* start_of_2d(const real[:, ::1] x) noexcept:
    return &x[0, 0] if x is not None and x.shape[0] > 0 and x.shape[1] > 0 else NULL


cdef void spoil(real[::1] scratch) noexcept:
    """Fill with NaN: whatever is read before it was written shows (debug builds)."""
    cdef Py_ssize_t i
    for i in range(scratch.shape[0]):
        scratch[i] = NAN


cdef inline Py_ssize_t padded(Py_ssize_t n) noexcept nogil:
    return (n + BLOCK - 1) // BLOCK * BLOCK


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
    cdef Py_ssize_t widest       # the longest padded row, of inputs too

    def __cinit__(self, list layers, real[::1] parameters):
        self.plan.layers = <Layer*>calloc(len(layers), sizeof(Layer))
        if self.plan.layers == NULL:
            raise MemoryError("no memory for the network's plan")

    def __dealloc__(self):
        free(self.plan.layers)

    def __init__(self, list layers, real[::1] parameters):
        cdef Layer* layer
        cdef Py_ssize_t i, n_in, n_out, offset
        cdef bint has_bias
        self.parameters = parameters
        self.plan.n_layers = len(layers)
        self.widest = 0
        for i, (n_in, n_out, offset, has_bias, activation, slope) in enumerate(layers):
            layer = &self.plan.layers[i]
            layer.n_in, layer.n_out = n_in, n_out
            layer.row, layer.row_in = padded(n_out), padded(n_in)
            layer.offset, layer.size = offset, (n_in + has_bias) * layer.row
            layer.activation, layer.slope = ACTIVATIONS.index(activation), slope
            layer.weight = &parameters[0] + layer.offset
            layer.bias = layer.weight + n_in * layer.row if has_bias else NULL
            fbp_assert(layer.offset + layer.size <= parameters.shape[0])
            fbp_assert(<size_t>layer.weight % ALIGNMENT == 0)
            self.widest = max(self.widest, layer.row, layer.row_in)

    @property
    def predict_scratch_size(self):
        """Reals of scratch that predict and evaluate want."""
        return 3 * PREDICT_ROWS * self.widest

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
        cdef Py_ssize_t at = 0, panel = 0, i
        cdef Layer* layer
        cdef bint keeps_z
        for i in range(self.plan.n_layers):
            layer = &self.plan.layers[i]
            keeps_z = i == self.plan.n_layers - 1
            panel = max(panel, layer.n_out * layer.row_in)
            if start != NULL:
                layer.delta = start + at
                layer.a = layer.delta + capacity * layer.row
                layer.z = layer.a + capacity * layer.row if keeps_z else layer.a
            at += (3 if keeps_z else 2) * capacity * layer.row
        if start != NULL:
            self.plan.panel = start + at
            self.plan.x = self.plan.panel + panel
            self.plan.d_x = self.plan.x + capacity * self.plan.layers[0].row_in
        return at + panel + 2 * capacity * self.plan.layers[0].row_in

    def predict(self, const real[:, ::1] X, real[:, ::1] out, real[::1] scratch):
        """out = the network's outputs for every row of X."""
        cdef Py_ssize_t n = X.shape[0]
        cdef Py_ssize_t start, i, rows
        cdef const real* x = start_of_2d(X)
        cdef const real* z
        cdef const real* a
        cdef const Layer* last = &self.plan.layers[self.plan.n_layers - 1]
        fbp_assert(scratch.shape[0] >= 3 * PREDICT_ROWS * self.widest and out.shape[0] == n)
        if IS_DEBUG:
            spoil(scratch)
        with nogil:
            start = 0
            while start < n:
                rows = min(<Py_ssize_t>PREDICT_ROWS, n - start)
                predict_rows(&self.plan, x + start * self.plan.layers[0].n_in, rows, &scratch[0], self.widest, &z, &a)
                for i in range(rows):
                    memcpy(&out[start + i, 0], a + i * last.row, last.n_out * sizeof(real))
                start += rows

    def evaluate(
        self, const real[:, ::1] X, const real[:, ::1] targets, const int64_t[::1] labels,
        tuple loss_spec, real[::1] scratch, double cost, Py_ssize_t n_right,
    ):
        """Add the costs of all rows to ``cost``, and what was right to ``n_right``."""
        cdef Py_ssize_t n = X.shape[0]
        cdef Py_ssize_t start, i, rows
        cdef const real* x = start_of_2d(X)
        cdef const real* z
        cdef const real* a
        cdef const Layer* last = &self.plan.layers[self.plan.n_layers - 1]
        cdef Loss loss = loss_from(loss_spec, targets, labels)
        fbp_assert(scratch.shape[0] >= 3 * PREDICT_ROWS * self.widest)
        with nogil:
            start = 0
            while start < n:
                rows = min(<Py_ssize_t>PREDICT_ROWS, n - start)
                predict_rows(&self.plan, x + start * self.plan.layers[0].n_in, rows, &scratch[0], self.widest, &z, &a)
                for i in range(rows):
                    cost += compare_row(&loss, start + i, z + i * last.row, a + i * last.row, NULL,
                                        last.n_out, last.row, &n_right)
                start += rows
        return cost, n_right

    def forward(self, const real[:, ::1] X, real[:, ::1] y_hat, real[:, ::1] z):
        """predict for one batch, and keep what backward needs."""
        cdef Py_ssize_t i, n = X.shape[0]
        cdef const Layer* last = &self.plan.layers[self.plan.n_layers - 1]
        fbp_assert(n <= self.plan.capacity)
        if n == 0:
            return
        memcpy(self.plan.x, &X[0, 0], n * X.shape[1] * sizeof(real))
        with nogil:
            forward_batch(&self.plan, self.plan.x, n)
        for i in range(n):
            memcpy(&y_hat[i, 0], last.a + i * last.row, last.n_out * sizeof(real))
            memcpy(&z[i, 0], last.z + i * last.row, last.n_out * sizeof(real))

    def backward(self, const real[:, ::1] d_out, bint is_d_z, real[::1] gradients, real[:, ::1] d_x):
        """Blame for the batch of the last forward: all gradients, and dC/dx.

        ``d_out`` is dC/dy_hat, or dC/dz of the last layer with ``is_d_z``.
        """
        cdef Py_ssize_t i, n = d_out.shape[0]
        cdef const Layer* first = &self.plan.layers[0]
        cdef const Layer* last = &self.plan.layers[self.plan.n_layers - 1]
        fbp_assert(n <= self.plan.capacity and gradients.shape[0] == self.parameters.shape[0])
        for i in range(n):
            memset(last.delta + i * last.row, 0, last.row * sizeof(real))
            memcpy(last.delta + i * last.row, &d_out[i, 0], last.n_out * sizeof(real))
        with nogil:
            if not is_d_z:
                derive_last(last, n)
            blame_batch(&self.plan, n)
            correct_batch(&self.plan, self.plan.x, n, NULL, NULL, &gradients[0])
            pack_transposed(first, self.plan.panel)
            dense_backward(first, self.plan.panel, first.delta, IDENTITY, 0, NULL, self.plan.d_x, n)
        for i in range(n):
            memcpy(&d_x[i, 0], self.plan.d_x + i * first.row_in, first.n_in * sizeof(real))

    def train(
        self, const real[:, ::1] X, const real[:, ::1] targets, const int64_t[::1] labels,
        const int64_t[::1] order, Py_ssize_t first, Py_ssize_t last, Py_ssize_t batch_size,
        tuple loss_spec, tuple update_spec, real[::1] velocity, real[::1] snapshot,
        double cost, Py_ssize_t n_right,
    ):
        """Steps over the rows [first, last) of ``order``, or of X where it is None.

        ``snapshot`` has room for the parameters and, with momentum, the velocity.
        Returns the outcome, the sums carried on from ``cost`` and ``n_right``, and
        for an outcome other than 0 the first row of that batch and the layer.
        """
        cdef Loss loss = loss_from(loss_spec, targets, labels)
        cdef Update update = update_from(update_spec)
        cdef double gradient_factor = loss_spec[2]
        cdef real* parameters = &self.parameters[0]
        # Without momentum nobody reads the velocity; any valid address will do.
        cdef real* v = &velocity[0] if update.momentum != 0 else parameters
        cdef size_t n_bytes = self.parameters.shape[0] * sizeof(real)
        cdef Py_ssize_t n_copies = 2 if update.momentum != 0 else 1
        cdef Rows rows
        cdef Progress progress
        cdef Progress again
        fbp_assert(min(batch_size, last - first) <= self.plan.capacity and last <= X.shape[0])
        fbp_assert(snapshot.shape[0] >= n_copies * self.parameters.shape[0])
        rows.x = start_of_2d(X)
        rows.order = &order[0] if order is not None else NULL
        progress.cost, progress.n_right = cost, n_right
        progress.outcome, progress.start, progress.layer = FINE, -1, -1
        with nogil:
            memcpy(&snapshot[0], parameters, n_bytes)
            if n_copies == 2:
                memcpy(&snapshot[0] + self.parameters.shape[0], v, n_bytes)
            train_batches(&self.plan, &rows, &loss, gradient_factor, &update, v,
                          first, last, batch_size, &progress)
            if progress.outcome == WEIGHTS_NOT_FINITE:
                memcpy(parameters, &snapshot[0], n_bytes)
                if n_copies == 2:
                    memcpy(v, &snapshot[0] + self.parameters.shape[0], n_bytes)
                again = progress
                again.outcome = FINE
                train_batches(&self.plan, &rows, &loss, gradient_factor, &update, v,
                              first, progress.start, batch_size, &again)
        return progress.outcome, progress.cost, progress.n_right, progress.start, progress.layer


def compare(
    tuple loss_spec, const real[:, ::1] z, const real[:, ::1] a,
    const real[:, ::1] targets, const int64_t[::1] labels, real[:, ::1] delta, Py_ssize_t n_out,
):
    """The sum of the costs of a batch, with its gradient in ``delta``; rows padded."""
    cdef Loss loss = loss_from(loss_spec, targets, labels)
    cdef Py_ssize_t i, n = a.shape[0], row = a.shape[1], n_right = 0
    cdef double cost = 0
    loss.gradient_scale = <real>(<double>loss_spec[2] / <double>n)
    for i in range(n):
        cost += compare_row(&loss, i, &z[i, 0], &a[i, 0], &delta[i, 0], n_out, row, &n_right)
    return cost


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
    fbp_assert(gradients.shape[0] == size and snapshot.shape[0] >= 2 * size)
    with nogil:
        memcpy(&snapshot[0], w, size * sizeof(real))
        memcpy(&snapshot[0] + size, v, size * sizeof(real))
        for i in range(size // LANES):
            at = i * LANES
            if not correct_tile(&update, &gradients[0] + at, LANES, w + at, v + at, LANES, 1, 1) and wrong < 0:
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
