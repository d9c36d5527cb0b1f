# Targets of a quick path: copied from the caller's array, so that nobody changes them meanwhile.

import numpy

cdef enum:
    NOT_SIMPLE = -1              # what ``read`` returns instead of a total

cdef double SUM_TOLERANCE = 5e-4     # of probabilities: half of what the long way allows
cdef type INTEGER = numpy.integer


cdef inline bint has_labels(const Loss* loss) noexcept nogil:
    """Whether integers are classes."""
    return loss.kind == CROSS_ENTROPY or loss.kind == FOCAL_CROSS_ENTROPY


cdef bint copy_reals(object y, Py_ssize_t n, real* out) noexcept:
    """The numbers of an array, rounded to nearest; returns whether it knows their dtype."""
    cdef int dtype = cnp.PyArray_TYPE(y)
    cdef void* start = cnp.PyArray_DATA(y)
    cdef Py_ssize_t i
    cdef bint is_known = True
    cdef Mode caller = begin_mode()
    if dtype == cnp.NPY_DOUBLE:
        for i in range(n):
            out[i] = <real>(<const double*>start)[i]
    elif dtype == cnp.NPY_FLOAT:
        for i in range(n):
            out[i] = <real>(<const float*>start)[i]
    elif dtype == cnp.NPY_INT64:
        for i in range(n):
            out[i] = <real>(<const int64_t*>start)[i]
    elif dtype == cnp.NPY_INT32:
        for i in range(n):
            out[i] = <real>(<const int32_t*>start)[i]
    else:
        is_known = False
    end_mode(caller)
    return is_known


cdef bint copy_labels(object y, Py_ssize_t n, Py_ssize_t n_classes, int64_t* out) noexcept:
    """The integers of an array; returns whether they are labels."""
    cdef int dtype = cnp.PyArray_TYPE(y)
    cdef void* start = cnp.PyArray_DATA(y)
    cdef Py_ssize_t i
    for i in range(n):
        if dtype == cnp.NPY_INT64:
            out[i] = (<const int64_t*>start)[i]
        elif dtype == cnp.NPY_INT32:
            out[i] = (<const int32_t*>start)[i]
        elif dtype == cnp.NPY_UINT8:
            out[i] = (<const unsigned char*>start)[i]
        else:
            return False
        if not 0 <= out[i] < n_classes:
            return False
    return True


cdef bint values_fit(const Loss* loss, const real* y, Py_ssize_t n) noexcept nogil:
    """Whether the long way would take n rows of these values for certain."""
    cdef Py_ssize_t i, j
    cdef double total
    if find_nonfinite(y, n * loss.n_targets) >= 0:
        return False
    for i in range(n):
        total = 0
        for j in range(i * loss.n_targets, (i + 1) * loss.n_targets):
            if y[j] < 0 and (has_labels(loss) or loss.kind in (BINARY_CROSS_ENTROPY, POISSON)):
                return False
            if y[j] > 1 and loss.kind == BINARY_CROSS_ENTROPY:
                return False
            if loss.kind == HINGE and y[j] != 0 and y[j] != 1:
                return False
            total += y[j]
        if has_labels(loss) and not 1 - SUM_TOLERANCE < total < 1 + SUM_TOLERANCE:
            return False
    return True


cdef class QuickTargets:
    """Room for the targets and weights of at most ``capacity`` rows, checked as they are copied.

    Parameters
    ----------
    spec : LossSpec
        The loss; none that lets targets be missing.
    n_out : int
        Outputs.
    capacity : int
        Rows of the largest batch.
    """

    cdef LossSpec spec
    cdef Loss loss               # with the targets that were read last
    cdef double total            # of their weights
    cdef Py_ssize_t n_out
    cdef readonly Py_ssize_t capacity
    cdef Room values
    cdef Room weights
    cdef int64_t* labels

    def __cinit__(self, LossSpec spec not None, Py_ssize_t n_out, Py_ssize_t capacity, /):
        fbp_assert(not spec.loss.masks)
        self.spec, self.loss, self.n_out, self.capacity = spec, spec.loss, n_out, capacity
        self.values = Room(capacity * max(n_out, spec.loss.n_targets))
        self.weights = Room(capacity)
        self.labels = <int64_t*>calloc(capacity, sizeof(int64_t))
        if self.labels == NULL:
            raise MemoryError("no memory for labels")

    def __dealloc__(self):
        free(self.labels)

    cdef double read(self, object y, object weights, const Seen* rows, bint check_finite) noexcept:
        """Copy them; returns what sums over the rows are divided by, or NOT_SIMPLE."""
        cdef Loss* loss = &self.loss
        cdef Mode caller
        if rows.n > self.capacity:
            return NOT_SIMPLE
        loss.targets, loss.labels, loss.weights, loss.shares = NULL, NULL, NULL, NULL
        if not (self.read_array(y, rows, check_finite) if cnp.PyArray_CheckExact(y)
                else rows.n_dims == 1 and self.read_number(y, check_finite)):
            return NOT_SIMPLE
        if weights is not None:
            if not self.read_weights(weights, rows.n):
                return NOT_SIMPLE
            loss.weights = self.weights.start
        caller = begin_mode()
        self.total = total_weight(loss, NULL, 0, rows.n)     # a local could be moved
        end_mode(caller)
        return self.total

    cdef bint read_array(self, object y, const Seen* rows, bint check_finite) noexcept:
        cdef int n_dims = cnp.PyArray_NDIM(y)
        cdef Py_ssize_t size = cnp.PyArray_SIZE(y), columns, n = rows.n
        if not cnp.PyArray_ISCARRAY_RO(y) or n_dims > 2:
            return False
        # A number by itself, or for a row alone its targets; else (n,) or (n, columns).
        columns = cnp.PyArray_DIM(y, n_dims - 1) if n_dims > 0 else 1
        if rows.n_dims == 1 and n_dims == 2 and cnp.PyArray_DIM(y, 0) != 1:
            return False
        if rows.n_dims == 2 and n_dims == 1:
            columns = 1
        if size != n * columns or (rows.n_dims == 2 and (
                n_dims == 0 or cnp.PyArray_DIM(y, 0) != n)):
            return False
        if has_labels(&self.loss) and columns == 1:
            self.loss.labels = self.labels
            return copy_labels(y, n, self.n_out, self.labels)
        if columns != self.loss.n_targets or not copy_reals(y, size, self.values.start):
            return False
        self.loss.targets = self.values.start
        return not check_finite or values_fit(&self.loss, self.values.start, n)

    cdef bint read_number(self, object y, bint check_finite) noexcept:
        """The label or target of a row by itself, as a number of Python's or an integer of NumPy's.
        """
        cdef int64_t label
        if PyFloat_Check(y) and not has_labels(&self.loss) and self.loss.n_targets == 1:
            self.values.start[0] = rounded(PyFloat_AS_DOUBLE(y))
        elif type(y) is int or isinstance(y, INTEGER):
            try:
                label = y
            except Exception:                    # beyond int64
                return False
            if has_labels(&self.loss):
                self.labels[0], self.loss.labels = label, self.labels
                return 0 <= label < self.n_out
            if self.loss.n_targets != 1 or not -(1 << 24) <= label <= 1 << 24:
                return False
            self.values.start[0] = <real>label       # exact
        else:
            return False
        self.loss.targets = self.values.start
        return not check_finite or values_fit(&self.loss, self.values.start, 1)

    cdef bint read_weights(self, object weights, Py_ssize_t n) noexcept:
        cdef Py_ssize_t i
        cdef real* w = self.weights.start
        if not cnp.PyArray_CheckExact(weights) or cnp.PyArray_TYPE(weights) != REAL_TYPE:
            return False
        if (not cnp.PyArray_ISCARRAY_RO(weights) or cnp.PyArray_NDIM(weights) != 1
                or cnp.PyArray_DIM(weights, 0) != n):
            return False
        memcpy(w, cnp.PyArray_DATA(weights), n * sizeof(real))
        for i in range(n):
            if not w[i] >= 0:
                return False
        return find_nonfinite(w, n) < 0
