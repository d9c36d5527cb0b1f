# What other people's Cython says ``cimport fastbackprop`` for: to call a model in their own loops,
# without the GIL and at no cost.
#
#     cimport fastbackprop
#
#     capsule = model.low_level_callable("int (float *, float *, void *)")   # keeps the network
#     cdef const fastbackprop.Float32Net* net = fastbackprop.float32_net(capsule)
#     with nogil:
#         status = net.predict(net, &X[0, 0], &Y[0, 0], n)
#
# Nothing of this is linked or imported: the structs are a form, which a version of the package has
# (and float32_net checks it) or not. Fields are only ever added, behind these.

from cpython.pycapsule cimport PyCapsule_GetContext, PyCapsule_IsValid
from libc.stdint cimport int64_t


cdef struct Float32Net:
    int64_t form                 # 1
    int64_t real_size            # bytes of a number: 4
    int64_t n_in
    int64_t n_out
    # x (n, n_in) and y (n, n_out) are C-contiguous. Returns 0; or 1 if a number of x isn't finite,
    # whose row of y is NaN then. Bits are those of model.predict, with the weights as they are now.
    # Any number of threads may call it at once.
    int (*predict)(const Float32Net* net, const float* x, float* y, int64_t n) noexcept nogil


cdef struct Float64Net:          # the same of a model in float64
    int64_t form
    int64_t real_size            # 8
    int64_t n_in
    int64_t n_out
    int (*predict)(const Float64Net* net, const double* x, double* y, int64_t n) noexcept nogil


cdef inline const Float32Net* float32_net(object capsule) except NULL:
    """The net of a capsule, which must be kept as long as the net is used."""
    cdef const Float32Net* net = NULL
    if PyCapsule_IsValid(capsule, "int (float *, float *, void *)"):
        net = <const Float32Net*>PyCapsule_GetContext(capsule)
    if net == NULL or net.form != 1 or net.real_size != 4:
        raise ValueError(
            "capsule must be what model.low_level_callable('int (float *, float *, void *)') "
            f"returns, got {capsule!r}."
        )
    return net


cdef inline const Float64Net* float64_net(object capsule) except NULL:
    """The same for a model in float64."""
    cdef const Float64Net* net = NULL
    if PyCapsule_IsValid(capsule, "int (double *, double *, void *)"):
        net = <const Float64Net*>PyCapsule_GetContext(capsule)
    if net == NULL or net.form != 1 or net.real_size != 8:
        raise ValueError(
            "capsule must be what model.low_level_callable('int (double *, double *, void *)') "
            f"returns, got {capsule!r}."
        )
    return net
