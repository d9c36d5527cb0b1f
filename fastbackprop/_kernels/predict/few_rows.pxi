# predict for no more rows than one thread takes at a time: only the result is allocated, and
# scratch for each thread that is in it at once.

cdef struct ScratchPlace:        # a cache line
    int64_t busy                 # the mark
    void* memory                 # NULL until somebody needs it
    int64_t apart[6]


cdef inline ScratchPlace* take_scratch(const Places* places, Py_ssize_t size) noexcept nogil:
    """A place with so many bytes, the caller's until it isn't busy; NULL where there is none."""
    cdef ScratchPlace* place = <ScratchPlace*>take_place_by_gil(places)
    if place == NULL or place.memory != NULL:
        return place
    place.memory = calloc(size, 1)
    if place.memory != NULL:
        return place
    atomic_store(&place.busy, 0)
    return NULL


cdef class QuickPredictor:
    """predict for arrays that need no conversion.

    Parameters
    ----------
    network : Network
        Whose weights are used, as they are at each call.
    center, scale : array of shape (n_in,), optional
        What columns of X are scaled by, in double: then X may have either dtype.
    factor, offset : array of shape (n_out,), optional
        What outputs come back by, in double.
    n_calls : int
        How many threads may be in it at once; others go the long way.
    """

    cdef Network network
    cdef const double[::1] center, scale, factor, offset
    cdef Room room
    cdef Places places           # each a ScratchPlace
    cdef Py_ssize_t size         # bytes of scratch

    def __cinit__(self, Network network, const double[::1] center=None,
                  const double[::1] scale=None, const double[::1] factor=None,
                  const double[::1] offset=None, Py_ssize_t n_calls=1):
        cdef Py_ssize_t row = 3 * network.widest
        if center is not None:
            row += network.plan.layers[0].n_in
        self.network, self.size = network, row * PREDICT_ROWS * sizeof(real) + ALIGNMENT
        self.center, self.scale, self.factor, self.offset = center, scale, factor, offset
        fbp_assert(center is None or center.shape[0] == network.plan.layers[0].n_in)
        fbp_assert(factor is None or
                   factor.shape[0] == network.plan.layers[network.plan.n_layers - 1].n_out)
        self.room = Room(n_calls * sizeof(ScratchPlace) // sizeof(real))
        self.places.start, self.places.n = <char*>self.room.start, n_calls
        self.places.size = sizeof(ScratchPlace)

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.places.n):
            free((<ScratchPlace*>self.places.start)[i].memory)

    cdef const real* scaled(self, X, Py_ssize_t n, Py_ssize_t n_in, real* scratch) noexcept:
        """Rows of X scaled in double, and then rounded, in the scratch."""
        cdef real* rows = scratch + 3 * PREDICT_ROWS * self.network.widest
        cdef const double* doubles = <const double*>cnp.PyArray_DATA(X)
        cdef const float* floats = <const float*>cnp.PyArray_DATA(X)
        cdef bint is_double = cnp.PyArray_TYPE(X) == cnp.NPY_DOUBLE
        cdef Py_ssize_t i, j
        cdef double x
        for i in range(n):
            for j in range(n_in):
                x = doubles[i * n_in + j] if is_double else floats[i * n_in + j]
                rows[i * n_in + j] = <real>((x - self.center[j]) / self.scale[j])
        return rows

    cdef void undo_scale(self, real* out, Py_ssize_t n, Py_ssize_t n_out) noexcept:
        """Bring outputs back into the user's units, in double."""
        cdef Py_ssize_t i, j
        for i in range(n):
            for j in range(n_out):
                out[i * n_out + j] = <real>(<double>out[i * n_out + j] * self.factor[j]
                                            + self.offset[j])

    cdef bint look(self, X, bint check_finite, Seen* rows) noexcept:
        """Whether X is as simple as it must be; what is scaled may be of either dtype."""
        cdef Py_ssize_t n_in = self.network.plan.layers.n_in
        if self.center is None:
            return look_at_rows(X, n_in, PREDICT_ROWS, check_finite, rows)
        if not cnp.PyArray_CheckExact(X):
            return False
        if cnp.PyArray_TYPE(X) != cnp.NPY_DOUBLE and cnp.PyArray_TYPE(X) != cnp.NPY_FLOAT:
            return False
        return look_at_shape(X, n_in, PREDICT_ROWS, rows)

    def predict(self, X, bint check_finite, /):
        """The outputs for X, or None for what isn't simple: the long way knows more."""
        cdef const Plan* plan = &self.network.plan
        cdef const Layer* last = plan.layers + plan.n_layers - 1
        cdef Py_ssize_t i
        cdef real* out
        cdef Seen rows
        cdef Batch batch
        cdef Mode caller
        cdef ScratchPlace* place
        cdef real* scratch
        if not self.look(X, check_finite, &rows):
            return None
        result = empty_like_rows(&rows, last.n_out)
        out = <real*>cnp.PyArray_DATA(result)
        place = take_scratch(&self.places, self.size)    # nothing from here on can raise
        if place == NULL:
            return None
        scratch = on_cache_line(place.memory)
        caller = begin_mode()
        if self.center is not None:
            rows.x = self.scaled(X, rows.n, plan.layers.n_in, scratch)
            if check_finite and find_nonfinite(rows.x, rows.n * plan.layers.n_in) >= 0:
                end_mode(caller)
                atomic_store(&place.busy, 0)
                return None
        if rows.n * plan.n_parameters <= QUICK_PRODUCTS:
            predict_rows(plan, rows.x, rows.n, scratch, PREDICT_ROWS, self.network.widest, &batch)
        else:
            with nogil:
                predict_rows(plan, rows.x, rows.n, scratch, PREDICT_ROWS, self.network.widest,
                             &batch)
        for i in range(rows.n):
            memcpy(out + i * batch.n_out, batch.a + i * batch.row, batch.n_out * sizeof(real))
        if self.factor is not None:
            self.undo_scale(out, rows.n, batch.n_out)
        end_mode(caller)
        atomic_store(&place.busy, 0)
        return result
