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
    most : float
        The most that a row may cost, or with binary_cross_entropy an output: before cost_factor.
    """

    cdef Loss loss
    cdef const real[::1] columns

    def __cinit__(
        self, str kind, bint fused, double gradient_factor, double cost_factor,
        Py_ssize_t n_targets, double parameter=0, double on=1, double off=0, bint masks=False,
        const real[::1] columns=None, double most=INFINITY,
    ):
        cdef Loss* loss = &self.loss
        fbp_assert(columns is None or columns.shape[0] >= padded(n_targets))
        loss.kind, loss.fused = LOSSES.index(kind), fused
        loss.gradient_factor, loss.cost_scale = gradient_factor, rounded(cost_factor)
        loss.n_targets, loss.masks, loss.parameter = n_targets, masks, rounded(parameter)
        loss.on, loss.off, loss.most = rounded(on), rounded(off), rounded(most)
        self.columns = columns
        loss.columns = &columns[0] if columns is not None else NULL

    @property
    def gradient_factor(self):
        """The number of samples times the constant in the gradient."""
        return self.loss.gradient_factor


cdef Loss loss_on(
    LossSpec spec, const real[:, ::1] targets, const int64_t[::1] labels, const real[::1] weights,
    const real[::1] shares, real[::1] rights=None, Py_ssize_t first_right=0,
) noexcept:
    """The spec's struct, with what a call compares with."""
    cdef Loss loss = spec.loss
    loss.targets = start_of_2d(targets)
    loss.labels = &labels[0] if labels is not None and labels.shape[0] > 0 else NULL
    loss.weights = &weights[0] if weights is not None and weights.shape[0] > 0 else NULL
    loss.shares = &shares[0] if shares is not None and shares.shape[0] > 0 else NULL
    loss.rights = &rights[0] if rights is not None and rights.shape[0] > 0 else NULL
    loss.first_right = first_right
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


UPDATES = ("sgd", "adam", "nadam", "rmsprop", "adagrad", "lion", "rprop")


cdef class UpdateSpec:
    """An optimizer's kind and numbers; what a kind has no use for is ignored.

    Parameters
    ----------
    kind : str
        One of UPDATES.
    learning_rate, momentum, weight_decay : float
        Where no table of rates has a step's own.
    nesterov, decoupled, amsgrad, centered, decay_biases : bool
        As the optimizers have them; ``decoupled`` decay is taken from the weights.
    beta_1, beta_2, epsilon, fading : float
        Of moments; ``fading`` is NAdam's 0.96 to the power of its momentum_decay.
    shorten, lengthen, shortest, longest : float
        Rprop's factors and limits of a step.
    decay_per_weight : bool
        Whether the decay of a step is divided by the weight of its batch.
    scaled_velocity : bool
        Of SGD: whether the velocity sums steps, v <- momentum v + learning_rate g, not gradients.
    bare_epsilon : bool
        Of Adam: whether epsilon stands beside the root of the moment before its correction.
    """

    cdef Update update
    cdef readonly Py_ssize_t n_planes        # of the state

    def __cinit__(
        self, str kind, double learning_rate, double momentum=0, bint nesterov=False,
        double weight_decay=0, *, bint decoupled=False, bint decay_biases=True,
        bint amsgrad=False, bint centered=False, double beta_1=0, double beta_2=0,
        double epsilon=0, double fading=1, double shorten=0, double lengthen=0,
        double shortest=0, double longest=0, bint decay_per_weight=False,
        bint scaled_velocity=False, bint bare_epsilon=False,
    ):
        cdef Update* update = &self.update
        update.kind = UPDATES.index(kind)
        update.given[0], update.given[1], update.given[2] = learning_rate, momentum, weight_decay
        update.nesterov, update.is_decoupled, update.leaves_biases = (
            nesterov, decoupled, not decay_biases)
        update.amsgrad, update.centered = amsgrad, centered
        update.is_shared, update.scales_velocity = decay_per_weight, scaled_velocity
        update.bare_epsilon = bare_epsilon
        update.beta_1, update.beta_2, update.fading = beta_1, beta_2, fading
        update.epsilon = rounded(epsilon)
        update.keep_1, update.take_1 = rounded(beta_1), rounded(1 - beta_1)
        update.keep_2, update.take_2 = rounded(beta_2), rounded(1 - beta_2)
        update.shorten, update.lengthen = rounded(shorten), rounded(lengthen)
        update.shortest, update.longest = rounded(shortest), rounded(longest)
        update.has_momentum = momentum != 0
        update.is_plain = update.kind == SGD_UPDATE and momentum == 0 and weight_decay == 0
        update.clip_scale = update.clip_factor = 1
        self.n_planes = update.n_planes = planes_of(update)


cdef Py_ssize_t planes_of(const Update* update) noexcept nogil:
    """How many numbers are kept for each parameter."""
    if update.kind == SGD_UPDATE:
        return 1 if update.has_momentum else 0
    if update.kind == ADAM_UPDATE:
        return 3 if update.amsgrad else 2
    if update.kind == RMSPROP_UPDATE:
        return 1 + (1 if update.centered else 0) + (1 if update.has_momentum else 0)
    return 2 if update.kind == NADAM_UPDATE or update.kind == RPROP_UPDATE else 1


cdef inline StateHeader* header_of(real[::1] state) noexcept nogil:
    return <StateHeader*>&state[0]


cdef Update update_on(UpdateSpec spec, real[::1] state, Py_ssize_t size) noexcept nogil:
    """The spec's struct, with its planes: of ``size`` reals each."""
    cdef Update update = spec.update
    fbp_assert(state.shape[0] >= BLOCK + spec.n_planes * size)
    update.planes, update.plane = &state[0] + BLOCK, size
    return update
