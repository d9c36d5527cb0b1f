# input_gradient and jacobian of a few rows that need no conversion.


cdef class QuickDerivatives(Quick):
    """Derivatives of outputs by inputs.

    Parameters
    ----------
    version : Version
        The model.
    workspace : Workspace
        It reaches the inputs, and is for this alone: a row for each sample and output.
    """

    cdef Version version
    cdef Workspace workspace
    cdef Room one, all           # combinations: an output by itself, and each of them

    def __init__(self, Version version not None, Workspace workspace not None, /):
        cdef Py_ssize_t j, n_out = workspace.plan.layers[workspace.plan.n_layers - 1].n_out
        self.version = version
        self.workspace, self.one, self.all = workspace, Room(n_out), Room(n_out * n_out)
        for j in range(n_out):
            self.all.start[j * n_out + j] = 1

    def suits(self, Py_ssize_t size, /):
        """Whether a call of so many samples times outputs can be quick, as far as this knows."""
        return self.version.holds() and size <= self.workspace.plan.capacity

    def input_gradient(self, X, output, /):
        """dy_hat/dx of an output, the only one if that is None; None for what isn't simple."""
        cdef const Plan* plan = &self.workspace.plan
        cdef Py_ssize_t n_out = plan.layers[plan.n_layers - 1].n_out, index = 0
        cdef Seen rows
        if output is None:
            if n_out > 1:
                return None
        elif type(output) is int and 0 <= output < n_out:
            index = output
        else:
            return None
        if not look_at_rows(X, plan.layers.n_in, plan.capacity, True, &rows):
            return None
        result = empty_like_rows(&rows, plan.layers.n_in)
        if not self.is_ready():
            return None
        memset(self.one.start, 0, n_out * sizeof(real))
        self.one.start[index] = 1
        self.derive(&rows, self.one.start, 1, <real*>cnp.PyArray_DATA(result))
        self.leave()
        return result

    def jacobian(self, X, /):
        """All dy_hat/dx; None for what isn't simple."""
        cdef const Plan* plan = &self.workspace.plan
        cdef Py_ssize_t n_out = plan.layers[plan.n_layers - 1].n_out, n_dims
        cdef cnp.npy_intp shape[3]
        cdef Seen rows
        if not look_at_rows(X, plan.layers.n_in, plan.capacity // n_out, True, &rows):
            return None
        n_dims = rows.n_dims + 1
        shape[0], shape[n_dims - 2], shape[n_dims - 1] = rows.n, n_out, plan.layers.n_in
        result = cnp.PyArray_EMPTY(n_dims, shape, REAL_TYPE, 0)
        if not self.is_ready():
            return None
        self.derive(&rows, self.all.start, n_out, <real*>cnp.PyArray_DATA(result))
        self.leave()
        return result

    cdef bint is_ready(self) noexcept:
        """Whether the scratch is the caller's now, until ``leave``."""
        cdef Network network = self.workspace.network
        if not self.version.holds() or not self.take():
            return False
        if find_nonfinite(network.plan.layers.weight, network.plan.n_parameters) < 0:
            return True
        self.leave()
        return False

    cdef void derive(
        self, const Seen* rows, const real* combinations, Py_ssize_t each, real* out,
    ) noexcept:
        if is_short(&self.workspace.plan, rows.n * (1 + each)):
            self.derive_rows(rows, combinations, each, out)
        else:
            with nogil:
                self.derive_rows(rows, combinations, each, out)

    cdef void derive_rows(
        self, const Seen* rows, const real* combinations, Py_ssize_t each, real* out,
    ) noexcept nogil:
        cdef OutputDerivatives job
        cdef Py_ssize_t chunk
        cdef Mode caller
        cdef Py_ssize_t size = samples_of_chunk(&self.workspace.plan, rows.n, each, 1)
        begin_inference(&self.workspace.plan, rows.n * each, size * each)
        job.plan, job.each = &self.workspace.plan, each
        job.rows.x, job.rows.order = rows.x, NULL
        job.combinations = combinations
        job.out, job.out_row = out, each * self.workspace.plan.layers.n_in
        job.span.first, job.span.last = 0, rows.n
        job.span.size = size
        caller = begin_mode()
        for chunk in range(span_chunks(&job, 0)):
            output_derivatives_work(&job, 0, chunk, 0)
        end_mode(caller)
