# What the kernels know of a network: plain C structs that point into buffers which
# Python owns. A "width" is n_out rounded up to 64 bytes, in reals; a "row" is the
# distance from one row to the next: the width, or 64 bytes more (see row_length in
# _core/buffers.py). The lanes between n_out and width are padding; those of weights, biases
# and deltas are zero, those of activations can hold anything finite. What lies
# between width and row is never touched.

from libc.stdint cimport int64_t, uint32_t

from fastbackprop._kernels.simd.simd cimport real

cdef enum Op:                    # the order of OPS in network.pxi
    PRODUCT, ACTIVATION, LAYER_NORM, BATCH_NORM, DROPOUT

# enum Activation and what the plan asks of it, as setup.py writes it from _core/activations.py.
include "activation_kinds.pxi"

# enum LossKind and what follows from it, as setup.py writes it from _core/losses.py.
include "loss_kinds.pxi"

cdef enum:
    PREDICT_ROWS = 64            # rows that go through the whole net together to be predicted
    FAR_ROWS = 128               # ... where its weights don't stay near a core
    MIN_ROWS = 16                # rows of a batch in a chunk, or a multiple
    PHASE_LISTS = 4              # see list_phases

cdef enum Outcome:
    FINE, LOSS_NOT_FINITE, WEIGHTS_NOT_FINITE, GRADIENT_NOT_FINITE

cdef struct Layer:               # an op, and the activation that is done with it
    int op
    Py_ssize_t n_in
    Py_ssize_t n_out
    Py_ssize_t width             # n_out, padded
    Py_ssize_t width_in          # n_in, padded
    Py_ssize_t row
    Py_ssize_t row_in
    Py_ssize_t offset            # of the weight in the buffer of all parameters
    Py_ssize_t size              # reals of weight and bias together, with padding
    Py_ssize_t first_row         # its rows of weights and bias, counted through all layers
    int activation
    real alpha                   # the parameter of the activation
    real* weight                 # (n_in, row), or of a norm gamma: (1, row)
    real* bias                   # (row,), right behind the weight, or NULL; of a norm beta
    real epsilon                 # of norms: what is added to the variance
    real momentum                # of BATCH_NORM: how much of a batch the running statistics take
    real* running                # of BATCH_NORM: mean and variance (2, row)
    # scratch for training:
    const real** inputs          # (capacity,) pointers to rows of a_prev, or of the data
    real* z                      # (capacity, row): as a, but where z is needed later too
    real* a                      # (capacity, row)
    real* slope                  # (capacity, row): act'(z), where the table says that it is kept
    real* delta                  # (capacity, row): dC/dz
    # LAYER_NORM: mean and 1 / deviation of each row (capacity, 2); BATCH_NORM: those of each
    # column, and two sums (4, row)
    real* statistics
    real rate_factor             # of the optimizer's learning rate
    real l1                      # times the sign of a weight: added to its gradient
    real max_norm                # of a column of W, or 0
    bint is_ordinary             # a factor of 1, and no l1
    bint is_frozen               # nothing of it is corrected
    # Of a batch:
    bint of_batch                # BATCH_NORM: whether the statistics are the batch's, not running
    const real* marks            # BATCH_NORM: 0 for rows that don't count there; NULL: all do
    Py_ssize_t n_counted         # rows that count
    bint drops                   # DROPOUT: whether there is a mask
    int64_t n_forwards           # DROPOUT: training forwards before this one
    uint32_t key[2]              # DROPOUT: seed and layer
    uint32_t threshold           # DROPOUT: random words below it drop a unit
    real keep_scale              # DROPOUT: what the others are multiplied with
    const double* rates          # DROPOUT: of training forwards, where it changes; or NULL
    int64_t first_forward        # DROPOUT: that the first of them is for
    real* mask                   # DROPOUT: (capacity, row)
    real* transposed             # W^T, packed for blame: (n_out, row_in)
    # For few rows instead of W^T their deltas: see blame/turned.pxi.
    Py_ssize_t turned            # rows that go back together; 0: W^T is packed
    Py_ssize_t turned_row

cdef enum PhaseKind:
    PACK                         # W^T of all layers, before the first step
    FORWARD                      # rows: predict through the layers [low, high)
    STATISTICS                   # columns: of the batch norm ``low``
    TURN                         # rows: predict from low to the end, compare, blame down to low
    SUMS                         # columns: what the blame of the batch norm ``low`` sums over rows
    DELTAS                       # rows: delta^T of the layer ``low``, where it takes W^T's place
    BACKWARD                     # rows: blame from the layer ``high`` down to low
    UPDATE                       # rows of weights, layer by layer
    LIMIT                        # columns of weights, of layers that have a max_norm
    GRADIENT                     # rows of weights: where the global norm comes before UPDATE

cdef struct Phase:
    int kind
    Py_ssize_t low
    Py_ssize_t high

cdef struct Plan:                # of a network; in a workspace with scratch, for one call
    Py_ssize_t n_layers
    Py_ssize_t capacity          # rows that the scratch has room for
    Layer* layers
    Phase* phases[PHASE_LISTS]   # PACK, then those of a step
    Py_ssize_t n_phases[PHASE_LISTS]
    bint has_batch_norm
    bint is_far                  # more weights than stay near a core
    Py_ssize_t lowest            # the first layer that learns, or n_layers: blame ends there
    bint has_limits              # a layer has a max_norm
    Py_ssize_t n_parameters      # reals, with padding
    Py_ssize_t n_rows            # of weights and biases of all layers
    real* x                      # (capacity, row_in of the first layer): rows of the data, copied
    real* d_x                    # (capacity, row_in of the first layer): dC/dx, or NULL
    real* costs                  # (capacity + LANES,): of each sample
    real* marks                  # (capacity,), where there is a batch norm: see Layer

cdef struct Loss:
    int kind
    bint fused                   # dC/dz of the last layer at once, without dC/dy_hat
    double gradient_factor       # what is constant in the gradient of one sample
    real cost_scale              # from the sum over outputs to one sample's cost
    Py_ssize_t n_targets         # of a sample
    bint masks                   # whether targets that are NaN are missing
    real parameter               # delta of huber, gamma of focal_cross_entropy
    real on                      # with label smoothing: what is left of a target
    real off                     # ... and what is added to each
    real most                    # that a row costs, or of a loss by outputs an output
    const real* columns          # (width,): of quantile, q of each output; or NULL
    # Of a call:
    real gradient_scale          # gradient_factor / n, or / the sum of weights
    const real* targets          # (n, n_targets), or NULL where there are labels
    const int64_t* labels        # (n,)
    const real* weights          # (n,): a sample's factor in cost and gradient; or NULL
    const real* shares           # (n,): what it adds to the divisor, if not its weight; or NULL
    real* rights                 # gets how many answers of a sample were right, in the order of
    Py_ssize_t first_right       # ... rows, from this one on; or NULL

cdef enum UpdateKind:            # the order of UPDATES in spec.pxi
    SGD_UPDATE, ADAM_UPDATE, NADAM_UPDATE, RMSPROP_UPDATE, ADAGRAD_UPDATE, LION_UPDATE
    RPROP_UPDATE

cdef enum:
    RATES = 3                    # a step's learning rate, momentum, weight decay
    CORRECTIONS = 3

cdef struct Update:              # an optimizer: how weights follow from gradients
    int kind
    bint is_plain                # w <- w - learning_rate g, and nothing else
    bint has_momentum            # of SGD or RMSprop: a plane
    bint nesterov
    bint is_decoupled            # the decay is taken from the weights, apart from the gradient
    bint leaves_biases           # the decay does
    bint is_shared               # the decay is divided by the weight of the batch
    bint scales_velocity         # of SGD: the rate is in the velocity
    bint bare_epsilon            # of Adam: beside the root of a moment that isn't corrected
    bint amsgrad
    bint centered
    double given[RATES]          # where no table has a step's own
    double beta_1
    double beta_2
    double fading                # NAdam: by which its beta_1 approaches the limit
    # Of a step, and of a layer that has a learning rate of its own:
    real learning_rate
    real momentum
    real weight_decay            # that is added to the gradient
    real shrinking               # that is taken from the weights: learning rate times decay
    real epsilon
    real keep_1, take_1          # beta_1 and 1 - beta_1
    real keep_2, take_2
    real length                  # what a moment is multiplied with; with NAdam, too,
    real length_of_gradient
    real root_factor             # what the root of the second moment is multiplied with
    real shorten, lengthen, shortest, longest    # Rprop
    bint is_first                # Rprop: no step before
    real l1                      # of a layer
    real clip_value              # 0: none
    real clip_scale, clip_factor     # what gradients are multiplied with, one after the other
    bint is_clipped
    double corrections[CORRECTIONS]      # as the header has them behind the step
    # Where its state lies; a spec has no state.
    real* planes                 # each laid out as the parameters
    Py_ssize_t n_planes
    Py_ssize_t plane             # from one to the next

cdef struct StateHeader:         # a cache line in front of the planes, in either dtype
    double kind                  # of enum UpdateKind, once a step was done
    double n_steps               # that were done
    # Moving averages of 1, by the betas of the moments: 1 - beta^steps, by which moments that
    # began at 0 are divided. All are 0 before the first step.
    double corrections[CORRECTIONS]
    double unused[3]

cdef struct Counts:              # of a model: the array of _core/counts.py
    int64_t n_forwards           # in training: which masks dropout takes next
    int64_t n_trainings          # after one more, what a forward has kept is void
    int64_t has_blame            # whether a backward has filled the gradients
    int64_t n_changes            # of the plan, or of what labels mean
    int64_t is_pinned            # whether forwards aren't counted

cdef struct Batch:                               # rows of the last layer
    Py_ssize_t n
    Py_ssize_t n_out
    Py_ssize_t width
    Py_ssize_t row
    const real* z                                # IN (n, row)
    const real* a                                # IN (n, row)
    real* delta                                  # OUT (n, row) or NULL
    real* costs                                  # OUT (n + LANES,): junk behind the last
