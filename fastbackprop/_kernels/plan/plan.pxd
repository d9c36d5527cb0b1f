# What the kernels know of a network: plain C structs that point into buffers which
# Python owns. A "width" is n_out rounded up to 64 bytes, in reals; a "row" is the
# distance from one row to the next: the width, or 64 bytes more (see row_length in
# _core/buffers.py). The lanes between n_out and width are padding; those of weights, biases
# and deltas are zero, those of activations can hold anything finite. What lies
# between width and row is never touched.

from libc.stdint cimport int64_t

from fastbackprop._kernels.simd.simd cimport real

cdef enum Op:                    # the order of OPS in network.pxi
    PRODUCT, ACTIVATION, LAYER_NORM, BATCH_NORM

# enum Activation and what the plan asks of it, as setup.py writes it from _core/activations.py.
include "activation_kinds.pxi"

# enum LossKind and what follows from it, as setup.py writes it from _core/losses.py.
include "loss_kinds.pxi"

cdef enum:
    PREDICT_ROWS = 64            # rows that go through the whole net together to be predicted
    MIN_ROWS = 16                # rows of a batch in a chunk, or a multiple

cdef enum Outcome:
    FINE, LOSS_NOT_FINITE, WEIGHTS_NOT_FINITE

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
    real* delta                  # (capacity, row): dC/dz
    # LAYER_NORM: mean and 1 / deviation of each row (capacity, 2); BATCH_NORM: those of each
    # column, and two sums (4, row)
    real* statistics
    bint of_batch                # BATCH_NORM: whether the statistics are the batch's, not running
    real* transposed             # W^T, packed for blame: (n_out up to a multiple of 4, row_in)

cdef enum PhaseKind:
    PACK                         # W^T of all layers, before the first step
    FORWARD                      # rows: predict through the layers [low, high)
    STATISTICS                   # columns: of the batch norm ``low``
    TURN                         # rows: predict from low to the end, compare, blame down to low
    SUMS                         # columns: what the blame of the batch norm ``low`` sums over rows
    BACKWARD                     # rows: blame from the layer ``high`` down to low
    UPDATE                       # rows of weights, layer by layer

cdef struct Phase:
    int kind
    Py_ssize_t low
    Py_ssize_t high

cdef struct Plan:                # of a network; in a workspace with scratch, for one call
    Py_ssize_t n_layers
    Py_ssize_t capacity          # rows that the scratch has room for
    Layer* layers
    Phase* phases                # PACK, then those of a step
    Py_ssize_t n_phases
    bint has_batch_norm
    real* x                      # (capacity, row_in of the first layer): rows of the data, copied
    real* d_x                    # (capacity, row_in of the first layer): dC/dx, or NULL
    real* costs                  # (capacity + LANES,): of each sample

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
    const real* columns          # (width,): of quantile, q of each output; or NULL
    # Of a call:
    real gradient_scale          # gradient_factor / n, or / the sum of weights
    const real* targets          # (n, n_targets), or NULL where there are labels
    const int64_t* labels        # (n,)
    const real* weights          # (n,): a sample's factor in cost and gradient; or NULL
    const real* shares           # (n,): what it adds to the divisor, if not its weight; or NULL

cdef enum UpdateKind:            # the order of UPDATES in spec.pxi
    SGD_UPDATE

cdef struct Update:              # w <- w - learning_rate * step
    int kind
    bint is_plain                # without momentum and decay
    bint has_momentum
    real learning_rate
    real momentum
    bint nesterov
    real weight_decay
    # Where its state lies; a spec has no state.
    real* planes                 # each laid out as the parameters
    Py_ssize_t plane             # from one to the next

cdef struct StateHeader:         # a cache line in front of the planes, in either dtype
    double kind                  # of enum UpdateKind, once a step was done
    double n_steps               # that were done
    double unused[6]

cdef enum:
    RATES = 3                    # a step's learning rate, momentum, weight decay

cdef struct Batch:                               # rows of the last layer
    Py_ssize_t n
    Py_ssize_t n_out
    Py_ssize_t width
    Py_ssize_t row
    const real* z                                # IN (n, row)
    const real* a                                # IN (n, row)
    real* delta                                  # OUT (n, row) or NULL
    real* costs                                  # OUT (n + LANES,): junk behind the last
