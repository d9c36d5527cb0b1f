# forward, backward and the optimizer's step by hand, for batches that need no conversion.


cdef class Pass:
    """What a forward keeps for the backward of the same thread; it does the next ones quickly.

    Parameters
    ----------
    version : Version
        The model.
    workspace : Workspace
        It reaches the inputs, and is for this thread alone as long as this lives.
    pool : Workspaces
        Where it goes then.
    rows : ndarray of shape (n, n_in)
        What it points at.
    is_row : bool
        Whether that is one row by itself.
    n_trainings : int
        As before the forward.
    output : tuple
        Behind sigmoid, softmax or exp the classes Output and OutputGradient, else nothing; and the
        name of the last activation.
    """

    cdef Version version
    cdef readonly Workspace workspace
    cdef readonly object pool
    cdef readonly object rows    # or None, where they are in ``room``
    cdef Room room
    cdef Py_ssize_t n, n_out
    cdef bint is_row
    cdef readonly int64_t n_trainings
    cdef real[::1] gradients     # of the model, once a backward has made them
    cdef type output, output_gradient
    cdef str activation

    def __init__(self, Version version not None, Workspace workspace not None, pool, rows,
                 bint is_row, int64_t n_trainings, tuple output, /):
        self.version = version
        self.workspace, self.pool, self.rows, self.is_row = workspace, pool, rows, is_row
        self.n, self.n_trainings = len(rows), n_trainings
        self.n_out = workspace.plan.layers[workspace.plan.n_layers - 1].n_out
        self.output, self.output_gradient, self.activation = output
        self.gradients = None                    # a view that nothing was assigned to isn't None

    @property
    def shape(self):
        """The shape of y_hat."""
        if self.is_row:
            return (self.n_out,)
        return self.n, self.n_out

    def begin_backward(self, real[::1] gradients not None, /):
        """Let the next ones write their gradients there."""
        fbp_assert(gradients.shape[0] == self.workspace.plan.n_parameters)
        self.gradients = gradients

    def forward(self, X, training, bint check_finite, /):
        """y_hat for X, as ``Sequential.forward`` returns it; None for what isn't simple."""
        cdef Plan* plan = &self.workspace.plan
        cdef const Layer* last = plan.layers + plan.n_layers - 1
        cdef Seen rows
        cdef bint is_training = training is True, changes
        cdef real* out
        cdef real* z = NULL
        if not self.version.holds() or not (is_training or training is False):
            return None
        if not look_at_rows(X, plan.layers.n_in, min(plan.capacity, <Py_ssize_t>PREDICT_ROWS),
                            check_finite, &rows):
            return None
        if self.room is None:
            self.room = Room(min(plan.capacity, <Py_ssize_t>PREDICT_ROWS) * plan.layers.n_in)
        if self.output is None:
            y_hat = empty_like_rows(&rows, last.n_out)
        else:
            z_hat = empty_like_rows(&rows, last.n_out)
            z = <real*>cnp.PyArray_DATA(z_hat)
            y_hat = traced_like_rows(self.output, &rows, last.n_out, z_hat, self.activation)
        changes = is_training and plan.has_batch_norm
        if changes and not self.version.lock.begin_step():
            return None
        # From here on nothing can raise. The caller may change X before backward reads it.
        memcpy(self.room.start, rows.x, rows.n * plan.layers.n_in * sizeof(real))
        self.rows, self.n, self.is_row = None, rows.n, rows.n_dims == 1
        self.n_trainings = self.version.counts.n_trainings
        out = <real*>cnp.PyArray_DATA(y_hat)
        if is_short(plan, rows.n):
            self.predict(out, z, is_training)
        else:
            with nogil:
                self.predict(out, z, is_training)
        if is_training:
            atomic_add(&self.version.counts.n_forwards, 1)
        if changes:
            self.version.lock.end_step()
        if z != NULL:
            cnp.PyArray_CLEARFLAGS(y_hat, cnp.NPY_ARRAY_WRITEABLE)
        return y_hat

    cdef void predict(self, real* y_hat, real* z, bint training) noexcept nogil:
        cdef Plan* plan = &self.workspace.plan
        cdef const Layer* last = plan.layers + plan.n_layers - 1
        cdef Py_ssize_t i
        forward_batch(plan, self.room.start, self.n, training, self.version.counts.n_forwards, NULL)
        for i in range(self.n):
            memcpy(y_hat + i * last.n_out, last.a + i * last.row, last.n_out * sizeof(real))
            if z != NULL:
                memcpy(z + i * last.n_out, last.z + i * last.row, last.n_out * sizeof(real))

    def backward(self, d_y_hat, /):
        """dC/dx, as ``Sequential.backward`` returns it; None for what isn't simple."""
        cdef const Plan* plan = &self.workspace.plan
        cdef const Layer* last = plan.layers + plan.n_layers - 1
        cdef Seen d_out
        cdef real* out
        cdef bint is_d_z = False
        if not self.version.holds() or self.gradients is None:
            return None
        if self.output_gradient is not None and type(d_y_hat) is self.output_gradient:
            if d_y_hat.activation != self.activation:
                return None
            # Of the same shape, as it says; changed in place it may be anything.
            z, is_d_z = d_y_hat.z, True
            if not self.is_like_output(d_y_hat):
                return None
        else:
            z = d_y_hat
        if not self.is_like_output(z):
            return None
        if not look_at_rows(z, last.n_out, self.n, True, &d_out):
            return None
        d_out.n_dims = 1 if self.is_row else 2
        d_x = empty_like_rows(&d_out, plan.layers.n_in)
        if not self.version.lock.begin_step():
            return None
        # From here on nothing can raise.
        if self.version.counts.n_trainings != self.n_trainings:
            self.version.lock.end_step()
            return None
        out = <real*>cnp.PyArray_DATA(d_x)
        if is_short(plan, 3 * d_out.n):
            self.blame(&d_out, is_d_z, out)
        else:
            with nogil:
                self.blame(&d_out, is_d_z, out)
        self.version.counts.has_blame = True
        self.version.lock.end_step()
        return d_x

    cdef bint is_like_output(self, object array) noexcept:
        """Whether it has the shape that forward returned."""
        if not cnp.PyArray_Check(array):
            return False
        if self.is_row:
            return cnp.PyArray_NDIM(array) == 1 and cnp.PyArray_DIM(array, 0) == self.n_out
        return (cnp.PyArray_NDIM(array) == 2 and cnp.PyArray_DIM(array, 0) == self.n
                and cnp.PyArray_DIM(array, 1) == self.n_out)

    cdef void blame(self, const Seen* d_out, bint is_d_z, real* d_x) noexcept nogil:
        cdef const Plan* plan = &self.workspace.plan
        cdef const Layer* first = plan.layers
        cdef Py_ssize_t i
        backward_batch(plan, d_out.x, d_out.n, is_d_z, &self.gradients[0])
        for i in range(d_out.n):
            memcpy(d_x + i * first.n_in, plan.d_x + i * first.row_in, first.n_in * sizeof(real))


cdef class QuickUpdate:
    """The optimizer's step by hand, where nothing can overflow.

    Parameters
    ----------
    version : Version
        The model.
    network : Network
        Its plan.
    specs : dict
        The optimizer's ``_specs``, which is another dict once a setting was assigned.
    update_spec : UpdateSpec
        What is in there for this module.
    state, gradients : ndarray
        The optimizer's, and the model's.
    """

    cdef Version version
    cdef Network network
    cdef object specs
    cdef UpdateSpec spec
    cdef real[::1] state, gradients

    def __init__(self, Version version not None, Network network not None, specs,
                 UpdateSpec update_spec not None, real[::1] state not None,
                 real[::1] gradients not None, /):
        fbp_assert(gradients.shape[0] == network.plan.n_parameters)
        self.version, self.network = version, network
        self.specs, self.spec, self.state, self.gradients = specs, update_spec, state, gradients

    def suits(self, specs, /):
        """Whether the steps of this optimizer can be quick, as far as this knows."""
        return specs is self.specs and self.version.holds()

    def correct(self, specs, /):
        """Do the step; returns False, and has changed nothing, where it isn't simple."""
        cdef Py_ssize_t wrong
        if specs is not self.specs or not self.version.holds() or not self.version.counts.has_blame:
            return False
        if not self.version.lock.begin_step():
            return False
        # From here on nothing can raise.
        if is_short(&self.network.plan, 2):
            wrong = correct_safely(&self.network.plan, self.spec, &self.gradients[0], self.state)
        else:
            with nogil:
                wrong = correct_safely(&self.network.plan, self.spec, &self.gradients[0],
                                       self.state)
        self.version.lock.end_step()
        return wrong == CORRECTED
