# What the kernels are told of an optimizer: a C struct, made once for each optimizer and dtype.
#
# An optimizer keeps its state for a model in one buffer: a header of 64 bytes, advanced by the
# kernel that did the step, and planes laid out as the parameters.

UPDATES = ("sgd",)


cdef class UpdateSpec:
    """An optimizer's kind and numbers.

    Parameters
    ----------
    kind : str
        One of UPDATES.
    learning_rate, momentum, nesterov, weight_decay : float, float, bool, float
        As the optimizer has them; checked, and held by the dtype.
    """

    cdef Update update
    cdef readonly Py_ssize_t n_planes        # of the state

    def __cinit__(self, str kind, double learning_rate, double momentum=0, bint nesterov=False,
                  double weight_decay=0):
        cdef Update* update = &self.update
        update.kind = UPDATES.index(kind)
        update.learning_rate, update.momentum = rounded(learning_rate), rounded(momentum)
        update.nesterov, update.weight_decay = nesterov, rounded(weight_decay)
        update.has_momentum = not is_zero(update.momentum)
        update.is_plain = not update.has_momentum and is_zero(update.weight_decay)
        self.n_planes = 1 if update.has_momentum else 0


cdef inline StateHeader* header_of(real[::1] state) noexcept:
    return <StateHeader*>&state[0]


cdef Update update_on(UpdateSpec spec, real[::1] state, Py_ssize_t size) noexcept:
    """The spec's struct, with its planes: of ``size`` reals each."""
    cdef Update update = spec.update
    fbp_assert(state.shape[0] >= BLOCK + spec.n_planes * size)
    update.planes, update.plane = &state[0] + BLOCK, size
    return update


cdef inline void set_rates(Update* update, const double* rates) noexcept nogil:
    """Let one step have numbers of its own."""
    update.learning_rate = <real>rates[0]
    update.momentum = <real>rates[1]
    update.weight_decay = <real>rates[2]
