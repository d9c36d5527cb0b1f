# What the kernels are told of a loss and of an optimizer: C structs, made once for each loss and
# number of outputs, or optimizer, and dtype. Targets and weights of samples belong to a call.
#
# An optimizer keeps its state for a model in one buffer: a header of 64 bytes, advanced by the
# kernel that did the step, and planes laid out as the parameters.

include "loss_names.pxi"         # LOSSES, as setup.py writes it


cdef class LossSpec:
    """A loss's kind and constants.

    Parameters
    ----------
    kind : str
        One of LOSSES.
    fused : bool
        Whether the gradient is dC/dz of the last layer at once, without dC/dy_hat.
    gradient_factor : float
        The number of samples times the constant in the gradient.
    cost_factor : float
        From the sum over outputs to one sample's cost.
    n_targets : int
        Targets of a sample.
    parameter : float
        Delta of huber, gamma of focal_cross_entropy.
    on, off : float
        With label smoothing a target y becomes on y + off.
    masks : bool
        Whether targets that are NaN are missing.
    columns : array, optional
        A parameter for each output, and zeros up to the width.
    """

    cdef Loss loss
    cdef const real[::1] columns

    def __cinit__(
        self, str kind, bint fused, double gradient_factor, double cost_factor,
        Py_ssize_t n_targets, double parameter=0, double on=1, double off=0, bint masks=False,
        const real[::1] columns=None,
    ):
        cdef Loss* loss = &self.loss
        fbp_assert(columns is None or columns.shape[0] >= padded(n_targets))
        loss.kind, loss.fused = LOSSES.index(kind), fused
        loss.gradient_factor, loss.cost_scale = gradient_factor, rounded(cost_factor)
        loss.n_targets, loss.masks, loss.parameter = n_targets, masks, rounded(parameter)
        loss.on, loss.off = rounded(on), rounded(off)
        self.columns = columns
        loss.columns = &columns[0] if columns is not None else NULL

    @property
    def gradient_factor(self):
        """The number of samples times the constant in the gradient."""
        return self.loss.gradient_factor


cdef Loss loss_on(
    LossSpec spec, const real[:, ::1] targets, const int64_t[::1] labels, const real[::1] weights,
    const real[::1] shares,
) noexcept:
    """The spec's struct, with what a call compares with."""
    cdef Loss loss = spec.loss
    loss.targets = start_of_2d(targets)
    loss.labels = &labels[0] if labels is not None and labels.shape[0] > 0 else NULL
    loss.weights = &weights[0] if weights is not None and weights.shape[0] > 0 else NULL
    loss.shares = &shares[0] if shares is not None and shares.shape[0] > 0 else NULL
    return loss


cdef double total_weight(
    const Loss* loss, const int64_t* order, Py_ssize_t first, Py_ssize_t n,
) noexcept nogil:
    """What sums over the rows [first, first + n) of the order are divided by."""
    cdef const real* shares = loss.weights if loss.shares == NULL else loss.shares
    cdef double total = 0
    cdef Py_ssize_t i
    if shares == NULL:
        return <double>n
    for i in range(first, first + n):
        total += shares[i if order == NULL else order[i]]
    return total


cdef inline void scale_gradient(Loss* loss, double total) noexcept nogil:
    """Let the gradient be that of the mean over samples of this weight together."""
    loss.gradient_scale = quotient(loss.gradient_factor, total) if total > 0 else 0


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
