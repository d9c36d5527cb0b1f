# predict for no more rows than one thread takes at a time: only the result is allocated.


cdef class QuickPredictor(Quick):
    """predict for arrays that need no conversion.

    Parameters
    ----------
    network : Network
        Whose weights are used, as they are at each call.
    """

    cdef Network network
    cdef Room scratch

    def __cinit__(self, Network network):
        self.network = network
        self.scratch = Room(3 * PREDICT_ROWS * network.widest)

    def predict(self, X, bint check_finite, /):
        """The outputs for X, or None for what isn't simple: the long way knows more."""
        cdef const Plan* plan = &self.network.plan
        cdef const Layer* last = plan.layers + plan.n_layers - 1
        cdef Py_ssize_t i
        cdef real* out
        cdef Seen rows
        cdef Batch batch
        if not look_at_rows(X, plan.layers.n_in, PREDICT_ROWS, check_finite, &rows):
            return None
        result = empty_like_rows(&rows, last.n_out)
        out = <real*>cnp.PyArray_DATA(result)
        if not self.take():                      # nothing from here on can raise
            return None
        self.outputs_of(&rows, &batch)
        for i in range(rows.n):
            memcpy(out + i * batch.n_out, batch.a + i * batch.row, batch.n_out * sizeof(real))
        self.leave()
        return result

    cdef void outputs_of(self, const Seen* rows, Batch* batch) noexcept:
        """z and a of the last layer, in the scratch."""
        cdef Mode caller = begin_mode()
        if rows.n * self.network.plan.n_parameters <= QUICK_PRODUCTS:
            predict_rows(&self.network.plan, rows.x, rows.n, self.scratch.start,
                         self.network.widest, batch)
        else:
            with nogil:
                predict_rows(&self.network.plan, rows.x, rows.n, self.scratch.start,
                             self.network.widest, batch)
        end_mode(caller)
