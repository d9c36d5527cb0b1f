# What Python asks of plain arrays: is all of it finite, in range; a shuffle; the kernels' exp and
# kin. And the kernels' mode of arithmetic, for what Python and NumPy compute.


cdef class ExactMode:
    """Round to nearest and keep subnormal numbers inside of ``with ExactMode():``, on this thread.

    For our own arithmetic in Python and NumPy, never around a user's function.
    """

    cdef Mode caller

    def __enter__(self):
        self.caller = begin_mode()

    def __exit__(self, *error):
        end_mode(self.caller)


def first_nonfinite(const real[::1] x):
    """The index of the first NaN or infinity in x, or -1."""
    cdef const real* start = &x[0] if x.shape[0] > 0 else NULL
    cdef Py_ssize_t at
    with nogil:
        at = find_nonfinite(start, x.shape[0])
    return at


cdef fused Real:
    float
    double


def scale_columns(const Real[:, ::1] x, const double[::1] center, const double[::1] scale,
                  real[:, ::1] out):
    """out = (x - center) / scale, in double, and rounded then."""
    cdef Py_ssize_t i, j
    cdef Py_ssize_t n_rows = x.shape[0], n_columns = x.shape[1]
    cdef const Real* row
    cdef const double* c
    cdef const double* s
    cdef real* scaled
    cdef Mode caller
    if n_rows == 0 or n_columns == 0:
        return
    fbp_assert(center.shape[0] == scale.shape[0] == n_columns)
    fbp_assert(out.shape[0] == n_rows and out.shape[1] == n_columns)
    c, s = &center[0], &scale[0]
    with nogil:
        caller = begin_mode()
        for i in range(n_rows):
            row, scaled = &x[i, 0], &out[i, 0]
            for j in range(n_columns):
                scaled[j] = <real>((<double>row[j] - c[j]) / s[j])
        end_mode(caller)


def first_outside(const int64_t[::1] labels, int64_t n_classes):
    """The index of the first label that isn't from 0 to n_classes - 1, or -1."""
    cdef Py_ssize_t i
    for i in range(labels.shape[0]):
        if not 0 <= labels[i] < n_classes:
            return i
    return -1


def shuffle(int64_t[::1] order, const uint64_t[::1] words, Py_ssize_t first=0):
    """Fisher-Yates of the places from ``first`` on, one raw 64-bit word each, the last first."""
    cdef Py_ssize_t i, j
    fbp_assert(first + words.shape[0] <= order.shape[0])
    with nogil:
        for i in range(first + words.shape[0] - 1, first - 1, -1):
            j = <Py_ssize_t>(words[i - first] % <uint64_t>(i + 1))
            order[i], order[j] = order[j], order[i]


def apply(str function, const real[::1] x, real[::1] out):
    """out = exp, log, log1p_small, tanh or sigmoid of x, as the kernels compute it."""
    cdef int which = ("exp", "log", "log1p_small", "tanh", "sigmoid").index(function)
    cdef Py_ssize_t i, k
    cdef real lanes[BLOCK]
    cdef vec v
    cdef Mode caller = begin_mode()
    i = 0
    while i < x.shape[0]:
        v = v_load_first(&x[i], x.shape[0] - i)
        if which == 0:
            v = v_exp(v)
        elif which == 1:
            v = v_log(v)
        elif which == 2:
            v = v_log1p_small(v)
        elif which == 3:
            v = v_tanh(v)
        else:
            v = v_sigmoid(v)
        v_store_any(lanes, v)
        for k in range(min(<Py_ssize_t>LANES, x.shape[0] - i)):
            out[i + k] = lanes[k]
        i += LANES
    end_mode(caller)
