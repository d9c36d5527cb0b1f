# What Python sees of the kernels: the class Network, and a few functions (its calls: run/work.pxi).
# Arguments arrive checked (_core/validation.py does that); here they only become pointers.

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


cdef inline real rounded(double x) noexcept nogil:
    """A number from Python as a real, rounded to nearest whatever the caller's mode."""
    cdef Mode caller = begin_mode()
    cdef real nearest = quotient(x, 1)
    end_mode(caller)
    return nearest


cdef Loss loss_from(tuple spec, const real[:, ::1] targets, const int64_t[::1] labels):
    """spec = (name, fused, gradient factor, cost factor)."""
    cdef Loss loss
    loss.kind = LOSSES.index(spec[0])
    loss.fused = spec[1]
    loss.gradient_scale = 0
    loss.cost_scale = rounded(spec[3])
    loss.targets = start_of_2d(targets)
    loss.labels = &labels[0] if labels is not None and labels.shape[0] > 0 else NULL
    return loss


cdef Update update_from(tuple spec, real[::1] velocity):
    """spec = (learning rate, momentum, nesterov, weight decay)."""
    cdef Update update
    update.learning_rate, update.momentum = rounded(spec[0]), rounded(spec[1])
    update.nesterov, update.weight_decay = spec[2], rounded(spec[3])
    update.has_momentum = velocity is not None and not is_zero(update.momentum)
    update.is_plain = not update.has_momentum and is_zero(update.weight_decay)
    return update


cdef inline bint is_copied(const Layer* first) noexcept nogil:
    """Whether rows of the data lie as rows of scratch never do: a multiple of 1 KB apart."""
    return first.row_in > first.width_in and first.n_in == first.width_in


cdef inline Py_ssize_t round_up_4(Py_ssize_t n) noexcept nogil:
    return (n + 3) // 4 * 4


cdef inline bint keeps_z(int activation) noexcept nogil:
    """Whether the losses behind this activation want z too."""
    return activation == SIGMOID or activation == SOFTMAX


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
            layer.activation, layer.slope = ACTIVATIONS.index(activation), rounded(slope)
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
