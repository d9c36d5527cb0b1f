# The net as a function of C, for callers without the GIL: scipy.LowLevelCallable, ctypes, Numba,
# and whoever says ``cimport fastbackprop``.
#
#   a) A capsule is a function and its context, a NetForC, as scipy wants them: the capsule's name
#      is the function's signature, its context the last argument of each call. It keeps the
#      network.
#   b) The fields that come first are those of Float32Net and Float64Net in
#      fastbackprop/__init__.pxd, which others compile into their modules: they never change, or
#      FORM_FOR_C does.
#   c) Nothing is allocated in a call. There is scratch for more calls than the machine has cores,
#      in places that threads keep to (take_place), so that they don't write the same cache lines.
#   d) Bits are those of predict, which complains of NaN and infinity: here their row's outputs are
#      NaN, and the status says so.

from cpython.pycapsule cimport PyCapsule_GetContext, PyCapsule_New, PyCapsule_SetContext
from cpython.ref cimport Py_DECREF, Py_INCREF

cdef enum:
    FORM_FOR_C = 1
    ROWS_FOR_C = 16              # that go through the net together

cdef struct NetForC:
    int64_t form                 # FORM_FOR_C
    int64_t real_size            # bytes
    int64_t n_in
    int64_t n_out
    int (*predict)(const NetForC* net, const real* x, real* y, int64_t n) noexcept nogil
    # From here on it is nobody else's:
    const Plan* plan
    Py_ssize_t widest
    Places places                # scratch
    # What inputs are scaled by, (x factor - center) / scale, and outputs back; or NULL
    const double* factor
    const double* center
    const double* scale
    const double* out_factor
    const double* out_offset
    void* owner                  # the CompiledNet


cdef struct RowsForC:            # of one of both kinds
    const real* reals            # (n, n_in)
    const double* doubles        # ... or NULL
    real* out                    # OUT (n, n_out)
    double* out_doubles          # OUT ... or NULL


cdef const real* rows_in_reals(
    const NetForC* net, const RowsForC* rows, Py_ssize_t first, Py_ssize_t n,
    real* room,                                  # (n, n_in)
) noexcept nogil:
    """Rows as the net takes them: where they lie, or scaled, or rounded, in the room."""
    cdef Py_ssize_t n_in = net.n_in, i, j
    cdef double x
    if rows.doubles == NULL and net.center == NULL:
        return rows.reals + first * n_in
    for i in range(n):
        for j in range(n_in):
            if rows.doubles != NULL:
                x = rows.doubles[(first + i) * n_in + j]
            else:
                x = rows.reals[(first + i) * n_in + j]
            if net.center != NULL:
                x = (x * net.factor[j] - net.center[j]) / net.scale[j]
            room[i * n_in + j] = <real>x
    return room


cdef void put_row(
    const NetForC* net, const RowsForC* rows, Py_ssize_t i, const real* outputs, bint is_finite_row,
) noexcept nogil:
    """Outputs of row i, in the user's units, or NaN for what predict would refuse."""
    cdef Py_ssize_t j, n_out = net.n_out
    cdef real y
    for j in range(n_out):
        y = outputs[j] if is_finite_row else <real>NAN
        if net.out_factor != NULL:
            y = <real>(<double>y * net.out_factor[j] + net.out_offset[j])
        if rows.out_doubles != NULL:
            rows.out_doubles[i * n_out + j] = y
        else:
            rows.out[i * n_out + j] = y


cdef int predict_for_c(const NetForC* net, const RowsForC* rows, Py_ssize_t n) noexcept nogil:
    """predict, some rows at a time; returns 0, or 1 if inputs of a row aren't finite."""
    cdef int64_t* mark = take_place(&net.places, True)
    cdef real* scratch = <real*>(<char*>mark + ALIGNMENT)
    cdef Py_ssize_t first = 0, some, i
    cdef int status = 0
    cdef bint is_all_finite
    cdef const real* x
    cdef Batch batch
    cdef Mode caller = begin_mode()
    while first < n:
        some = min(n - first, <Py_ssize_t>ROWS_FOR_C)
        x = rows_in_reals(net, rows, first, some, scratch + 3 * ROWS_FOR_C * net.widest)
        is_all_finite = find_nonfinite(x, some * net.n_in) < 0
        predict_rows(net.plan, x, some, scratch, ROWS_FOR_C, net.widest, &batch)
        for i in range(some):
            put_row(net, rows, first + i, batch.a + i * batch.row,
                    is_all_finite or find_nonfinite(x + i * net.n_in, net.n_in) < 0)
        status |= not is_all_finite
        first += some
    end_mode(caller)
    atomic_store(mark, 0)
    return status


cdef int rows_for_c(const NetForC* net, const real* x, real* y, int64_t n) noexcept nogil:
    """Any number of rows, for those who have a NetForC."""
    cdef RowsForC rows
    rows.reals, rows.doubles, rows.out, rows.out_doubles = x, NULL, y, NULL
    return predict_for_c(net, &rows, n)


cdef int row_for_c(const real* x, real* y, const void* net) noexcept nogil:
    """One row of the model's dtype."""
    return rows_for_c(<const NetForC*>net, x, y, 1)


cdef int doubles_for_c(const double* x, double* y, const NetForC* net) noexcept nogil:
    """One row in doubles, whatever the model's dtype."""
    cdef RowsForC rows
    rows.reals, rows.doubles, rows.out, rows.out_doubles = NULL, x, NULL, y
    return predict_for_c(net, &rows, 1)


cdef double integrand_for_c(int n, const double* x, const void* net) noexcept nogil:
    """The one output as scipy.integrate wants it."""
    cdef double y[1]
    y[0] = NAN
    if n == (<const NetForC*>net).n_in:
        doubles_for_c(x, y, <const NetForC*>net)
    return y[0]


cdef int filter_for_c(const double* x, Py_ssize_t n, double* y, const void* net) noexcept nogil:
    """The one output of a window as scipy.ndimage wants it: returns 1, or 0 for an error."""
    return n == (<const NetForC*>net).n_in and doubles_for_c(x, y, <const NetForC*>net) == 0


cdef void let_go(object capsule) noexcept:
    """Give back the reference that a capsule has."""
    cdef const NetForC* net = <const NetForC*>PyCapsule_GetContext(capsule)
    if net != NULL:
        Py_DECREF(<object>net.owner)


INTEGRAND = "double (int, double *, void *)"
FILTER = "int (double *, intptr_t, double *, void *)"
ROW = "int (double *, double *, void *)" if sizeof(real) == 8 else "int (float *, float *, void *)"
cdef bytes integrand_name = INTEGRAND.encode(), filter_name = FILTER.encode()
cdef bytes row_name = ROW.encode()


cdef class CompiledNet:
    """A network, and scratch, for calls from C.

    Parameters
    ----------
    network : Network
        Whose weights are used, as they are at each call.
    n_calls : int
        How many calls at a time find scratch at once.
    factor, center, scale : array of shape (n_in,), optional
        Inputs are (x factor - center) / scale, in double.
    out_factor, out_offset : array of shape (n_out,), optional
        What outputs come back by, in double.
    """

    cdef NetForC net
    cdef object kept
    cdef Room room

    def __cinit__(self, Network network, Py_ssize_t n_calls, const double[::1] factor=None,
                  const double[::1] center=None, const double[::1] scale=None,
                  const double[::1] out_factor=None, const double[::1] out_offset=None):
        cdef NetForC* net = &self.net
        cdef Py_ssize_t size
        net.form, net.real_size, net.predict = FORM_FOR_C, sizeof(real), rows_for_c
        net.plan, net.widest, net.owner = &network.plan, network.widest, <void*>self
        net.n_in = network.plan.layers[0].n_in
        net.n_out = network.plan.layers[network.plan.n_layers - 1].n_out
        size = padded(ROWS_FOR_C * (3 * net.widest + net.n_in)) + BLOCK      # of a place
        self.room = Room(n_calls * size)
        net.places.start = <char*>self.room.start
        net.places.n, net.places.size = n_calls, size * sizeof(real)
        if center is not None:
            fbp_assert(factor.shape[0] == center.shape[0] == scale.shape[0] == net.n_in)
            net.factor, net.center, net.scale = &factor[0], &center[0], &scale[0]
        if out_factor is not None:
            fbp_assert(out_factor.shape[0] == out_offset.shape[0] == net.n_out)
            net.out_factor, net.out_offset = &out_factor[0], &out_offset[0]
        self.kept = network, factor, center, scale, out_factor, out_offset

    def capsule(self, str signature, /):
        """A new capsule with the function of this signature."""
        if signature == INTEGRAND:
            capsule = PyCapsule_New(<void*>integrand_for_c, integrand_name, let_go)
        elif signature == FILTER:
            capsule = PyCapsule_New(<void*>filter_for_c, filter_name, let_go)
        else:
            fbp_assert(signature == ROW)
            capsule = PyCapsule_New(<void*>row_for_c, row_name, let_go)
        PyCapsule_SetContext(capsule, &self.net)
        Py_INCREF(self)
        return capsule
