# What the kernels know of a network: plain C structs that point into buffers which
# Python owns. A "row" is the distance from one row to the next, in reals: n_out
# rounded up to 64 bytes. The lanes between n_out and row are padding; those of
# weights, biases and deltas are zero, those of activations can hold anything finite.

from libc.stdint cimport int64_t

from fastbackprop._kernels._simd cimport real

cdef enum Activation:            # the order of ACTIVATIONS in _network.pxi
    IDENTITY, RELU, LEAKY_RELU, SIGMOID, TANH, SOFTMAX

cdef enum LossKind:              # the order of LOSSES in _network.pxi
    SQUARED_ERROR, CROSS_ENTROPY, BINARY_CROSS_ENTROPY

cdef enum Outcome:
    FINE, LOSS_NOT_FINITE, WEIGHTS_NOT_FINITE

cdef struct Layer:
    Py_ssize_t n_in
    Py_ssize_t n_out
    Py_ssize_t row               # n_out, padded
    Py_ssize_t row_in            # n_in, padded
    Py_ssize_t offset            # of the weight in the buffer of all parameters
    Py_ssize_t size              # reals of weight and bias together, with padding
    int activation
    real slope                   # of leaky_relu, for z < 0
    real* weight                 # (n_in, row)
    real* bias                   # (row,), right behind the weight, or NULL
    real* z                      # (capacity, row): the same as a, but for the last layer
    real* a                      # (capacity, row)
    real* delta                  # (capacity, row): dC/dz

cdef struct Plan:
    Py_ssize_t n_layers
    Py_ssize_t capacity          # rows that the scratch has room for
    Layer* layers
    real* x                      # (capacity, n_in of the first layer): gathered rows
    real* panel                  # W^T of one layer, (n_out, row_in)
    real* d_x                    # (capacity, row_in of the first layer): dC/dx

cdef struct Loss:
    int kind
    bint fused                   # dC/dz of the last layer at once, without dC/dy_hat
    real gradient_scale          # 1 / n, with whatever else is constant in the gradient
    real cost_scale              # from the sum over outputs to one sample's cost
    const real* targets          # (n, n_out), or NULL where there are labels
    const int64_t* labels        # (n,)

cdef struct Update:              # w <- w - learning_rate * step
    real learning_rate
    real momentum
    bint nesterov
    real weight_decay
