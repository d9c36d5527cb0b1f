# The plan: what a network is, without room to work in (that: workspace.pxi; its calls: run/).
# Arguments arrive checked (_core/validation.py does that); here they only become pointers.

include "activation_names.pxi"   # ACTIVATIONS, as setup.py writes it

OPS = ("product", "activation", "layer_norm", "batch_norm", "dropout")

dtype = DTYPE.decode()
variant = ISA.decode()
has_fma = bool(HAS_FMA)
is_debug = bool(IS_DEBUG)
sources = SOURCES.decode()


cdef inline const real* start_of_2d(const real[:, ::1] x) noexcept:
    return &x[0, 0] if x is not None and x.shape[0] > 0 and x.shape[1] > 0 else NULL


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


cdef inline Py_ssize_t rows_of_weights(const Layer* layer) noexcept nogil:
    """Rows in front of the bias."""
    return layer.n_in if layer.op == PRODUCT else 1 if has_parameters(layer) else 0


cdef inline bint has_parameters(const Layer* layer) noexcept nogil:
    return layer.op == PRODUCT or layer.op == LAYER_NORM or layer.op == BATCH_NORM


cdef inline void add_phase(
    Plan* plan, int phases, int kind, Py_ssize_t low, Py_ssize_t high,
) noexcept nogil:
    cdef Phase* phase = plan.phases[phases] + plan.n_phases[phases]
    phase.kind, phase.low, phase.high = kind, low, high
    plan.n_phases[phases] += 1


cdef inline int list_of_phases(bint by_layers, bint clips) noexcept nogil:
    """Which of the plan's lists."""
    return 2 * by_layers + clips


cdef void list_phases(Plan* plan, bint by_layers, bint clips) noexcept nogil:
    """What a step does in which order, between meetings of all threads.

    ``clips``: the norm of all gradients has to be known before weights are corrected.
    """
    cdef int phases = list_of_phases(by_layers, clips)
    add_phase(plan, phases, PACK, 0, plan.n_layers)
    if by_layers:
        list_layers(plan, phases)
    else:
        list_segments(plan, phases)
    if clips:
        add_phase(plan, phases, GRADIENT, 0, plan.n_layers)
    add_phase(plan, phases, UPDATE, 0, plan.n_layers)
    if plan.has_limits:
        add_phase(plan, phases, LIMIT, 0, plan.n_layers)


cdef void list_segments(Plan* plan, int phases) noexcept nogil:
    """Rows go through as many layers as they can alone; a batch norm needs numbers of all rows."""
    cdef Py_ssize_t k, low = 0
    for k in range(plan.n_layers):
        if plan.layers[k].op == BATCH_NORM:
            if k > low or low == 0:
                add_phase(plan, phases, FORWARD, low, k)         # the first points at the data, too
            add_phase(plan, phases, STATISTICS, k, k + 1)
            low = k
    add_phase(plan, phases, TURN, low, plan.n_layers)
    for k in range(plan.n_layers - 1, -1, -1):
        if plan.layers[k].op == BATCH_NORM:
            low = k - 1
            while low > plan.lowest and plan.layers[low].op != BATCH_NORM:
                low -= 1
            if k >= plan.lowest:
                add_phase(plan, phases, SUMS, k, k + 1)
            if k > plan.lowest:
                add_phase(plan, phases, BACKWARD, low, k)


cdef void list_layers(Plan* plan, int phases) noexcept nogil:
    """Rows go through one layer, whose columns threads share out too: see run/blocks.pxi."""
    cdef Py_ssize_t k
    add_phase(plan, phases, FORWARD, 0, 0)       # points at the data
    for k in range(plan.n_layers - 1):
        add_phase(plan, phases, FORWARD, k, k + 1)
    add_phase(plan, phases, TURN, plan.n_layers - 1, plan.n_layers)
    for k in range(plan.n_layers - 1, plan.lowest, -1):
        add_phase(plan, phases, DELTAS, k, k + 1)
        add_phase(plan, phases, BACKWARD, k - 1, k)


cdef inline void set_rate(Layer* layer, double rate) noexcept nogil:
    """Threshold and scale: a rate below 1 keeps some words, even the one nearest to it."""
    layer.threshold = <uint32_t>min(rate * 4294967296.0 + 0.5, 4294967295.0)
    layer.keep_scale = quotient(1, 1 - rate)


cdef void set_dropout(Layer* layer, double rate, uint32_t seed, Py_ssize_t k) noexcept:
    """Key, threshold and scale."""
    cdef Mode caller = begin_mode()
    layer.key[0], layer.key[1] = seed, <uint32_t>k
    set_rate(layer, rate)
    end_mode(caller)


cdef class Network:
    """A network's layers as the kernels see them; immutable, and shared by any number of calls.

    Parameters
    ----------
    layers : list of OpSpec
        One for each layer (_predict/op.py).
    parameters : ndarray
        All weights and biases; 64-byte aligned, rows padded with zeros. Gamma and beta of a norm
        are a weight of one row and a bias.
    running : ndarray, optional
        Mean and variance of each batch norm, laid out as its gamma and beta.
    seed : int, optional
        Of dropout's masks: 32 bits.
    near_weights : int
        Bytes of weights that stay near a core.
    """

    cdef Plan plan               # whose layers have no scratch
    cdef Phase* phases           # of all lists
    cdef real[::1] parameters
    cdef real[::1] running
    cdef Py_ssize_t widest       # the longest row of a layer's outputs

    def __cinit__(self, list layers, real[::1] parameters, real[::1] running=None,
                  uint32_t seed=0, Py_ssize_t near_weights=4 << 20):
        cdef Layer* layer
        cdef Py_ssize_t i
        cdef bint has_bias
        self.plan.layers = <Layer*>calloc(len(layers), sizeof(Layer))
        self.phases = <Phase*>calloc(PHASE_LISTS * (4 * len(layers) + 6), sizeof(Phase))
        if self.plan.layers == NULL or self.phases == NULL:
            raise MemoryError("no memory for the network's plan")
        for i in range(PHASE_LISTS):
            self.plan.phases[i] = self.phases + i * (4 * len(layers) + 6)
        self.parameters, self.running = parameters, running
        self.plan.n_layers, self.plan.n_parameters = len(layers), parameters.shape[0]
        self.widest = 0
        for i, spec in enumerate(layers):
            layer = &self.plan.layers[i]
            layer.op = OPS.index(spec.kind)
            layer.epsilon, layer.momentum = rounded(spec.epsilon), rounded(spec.momentum)
            layer.n_in, layer.n_out = spec.n_in, spec.n_out
            layer.width, layer.width_in = padded(layer.n_out), padded(layer.n_in)
            layer.row, layer.row_in = row_length(layer.n_out), row_length(layer.n_in)
            layer.offset, has_bias = spec.offset, spec.has_bias
            layer.size = (rows_of_weights(layer) + has_bias) * layer.row
            layer.first_row = self.plan.n_rows
            self.plan.n_rows += rows_of_weights(layer) + has_bias
            layer.rate_factor = rounded(spec.learning_rate_factor)
            layer.l1, layer.max_norm = rounded(spec.l1), rounded(spec.max_norm)
            layer.is_frozen = not spec.trainable
            layer.is_ordinary = spec.learning_rate_factor == 1 and spec.l1 == 0
            set_dropout(layer, spec.rate, seed, i)
            if layer.max_norm != 0 and not layer.is_frozen:
                self.plan.has_limits = True
            layer.activation, layer.alpha = ACTIVATIONS.index(spec.activation), rounded(spec.alpha)
            layer.weight = &parameters[0] + layer.offset
            layer.bias = layer.weight + rows_of_weights(layer) * layer.row if has_bias else NULL
            if layer.op == BATCH_NORM:
                fbp_assert(spec.running_offset + 2 * layer.row <= running.shape[0])
                layer.running = &running[0] + <Py_ssize_t>spec.running_offset
                self.plan.has_batch_norm = True
            fbp_assert(layer.op == PRODUCT or layer.n_in == layer.n_out)
            fbp_assert(layer.offset + layer.size <= parameters.shape[0])
            fbp_assert(<size_t>layer.weight % ALIGNMENT == 0)
            if self.plan.lowest == i and (layer.is_frozen or not has_parameters(layer)):
                self.plan.lowest = i + 1
            self.widest = max(self.widest, layer.row)
        self.plan.is_far = self.plan.n_parameters * <Py_ssize_t>sizeof(real) > near_weights
        for i in range(PHASE_LISTS):
            list_phases(&self.plan, i // 2, i % 2)

    @property
    def clipping_scratch_size(self):
        """Reals of scratch for training with clip_norm, and for ``clip``."""
        return self.plan.n_parameters + padded(self.plan.n_rows)

    def __dealloc__(self):
        free(self.plan.layers)
        free(self.phases)

    @property
    def most_rows(self):
        """The most rows that a thread takes together in predict and evaluate."""
        return FAR_ROWS if self.plan.is_far else PREDICT_ROWS

    @property
    def predict_scratch_size(self):
        """Reals of scratch that one thread wants for predict and evaluate."""
        return 3 * self.most_rows * self.widest
