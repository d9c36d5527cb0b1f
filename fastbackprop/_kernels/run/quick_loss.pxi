# A loss by hand, for predictions that need no conversion.


cdef class QuickLoss(Quick):
    """A loss of so many outputs, and its gradient.

    Parameters
    ----------
    targets : QuickTargets
        The loss; fused, it is one of those whose dC/dy_hat ``slope_of`` knows.
    output : tuple
        The classes Output and OutputGradient; and the activation of a fused loss, else None.
    smoothing : float
        Of labels, with cross entropy.
    """

    cdef QuickTargets targets
    cdef Py_ssize_t row
    cdef Room z, a, delta, costs
    cdef type output, output_gradient
    cdef str activation
    cdef real smoothing
    cdef Figures figures         # of the last call

    def __init__(self, QuickTargets targets not None, tuple output, double smoothing, /):
        cdef Py_ssize_t size
        self.smoothing = rounded(smoothing)
        self.targets, self.row = targets, row_length(targets.n_out)
        size = targets.capacity * self.row
        self.z, self.a, self.delta = Room(size), Room(size), Room(size)
        self.costs = Room(targets.capacity + BLOCK)
        self.output, self.output_gradient, self.activation = output

    @property
    def capacity(self):
        """Rows of the largest call."""
        return self.targets.capacity

    def is_of(self, type cls, Py_ssize_t n_out, /):
        """Whether it is of this class, which has a dtype, and for so many outputs."""
        return type(self) is cls and self.targets.n_out == n_out

    def compare(self, y_hat, y, sample_weight, /):
        """The mean cost and dC/dy_hat; None for what isn't simple."""
        cdef Seen rows, z_rows
        cdef Py_ssize_t n_out = self.targets.n_out
        cdef double total, cost
        cdef real* d_y_hat = NULL
        if not self.look_at_prediction(y_hat, &rows, &z_rows):
            return None
        gradient = empty_like_rows(&rows, n_out)
        result = gradient
        if self.activation is not None:
            result = traced_like_rows(self.output_gradient, &rows, n_out, gradient,
                                      self.activation)
            d_y_hat = <real*>cnp.PyArray_DATA(result)
        if not self.take():
            return None
        # From here on nothing can raise until it is given back.
        total = self.targets.read(y, sample_weight, &rows, True)
        if total > 0:                            # NOT_SIMPLE is below, and no weight is refused
            self.compare_rows(&rows, &z_rows, total, <real*>cnp.PyArray_DATA(gradient), d_y_hat)
        cost = self.figures.loss
        self.leave()
        if not total > 0:
            return None
        if d_y_hat != NULL:
            cnp.PyArray_CLEARFLAGS(result, cnp.NPY_ARRAY_WRITEABLE)
        return cost, result

    cdef bint look_at_prediction(self, object y_hat, Seen* rows, Seen* z_rows):
        """Whether it is an array of outputs; of a fused loss what forward returned, with its z."""
        cdef Py_ssize_t n_out = self.targets.n_out, most = self.targets.capacity
        if type(y_hat) is not self.output:
            if self.activation is not None:
                return False
            if not look_at_rows(y_hat, n_out, most, True, rows):
                return False
        elif not look_at_array(y_hat, n_out, most, True, rows):
            return False
        z_rows[0] = rows[0]
        if self.activation is None:
            return True
        if y_hat.activation != self.activation:
            return False
        z = y_hat.z
        return (look_at_rows(z, n_out, most, False, z_rows)
                and rows.n == z_rows.n and rows.n_dims == z_rows.n_dims)

    cdef void compare_rows(
        self, const Seen* rows, const Seen* z_rows, double total, real* gradient, real* d_y_hat,
    ) noexcept nogil:
        """The cost, and the kernels' gradient; of a fused loss dC/dy_hat, too."""
        cdef Loss* loss = &self.targets.loss
        cdef Py_ssize_t i, n_right = 0, n_out = self.targets.n_out
        cdef real divisor
        cdef Batch batch
        cdef Mode caller = begin_mode()
        batch.n, batch.n_out, batch.width, batch.row = rows.n, n_out, padded(n_out), self.row
        batch.z, batch.a, batch.delta = self.z.start, self.a.start, self.delta.start
        batch.costs = self.costs.start
        for i in range(rows.n):
            memcpy(self.a.start + i * self.row, rows.x + i * n_out, n_out * sizeof(real))
            memcpy(self.z.start + i * self.row, z_rows.x + i * n_out, n_out * sizeof(real))
        scale_gradient(loss, total)
        compare_rows(loss, &batch, NULL, 0, &n_right)
        note_figures(&self.figures, sum_of_costs(batch.costs, rows.n, 0), total, 0, 0)
        divisor = quotient(total, 1)             # as a real; a cast could be moved
        for i in range(rows.n):
            memcpy(gradient + i * n_out, batch.delta + i * self.row, n_out * sizeof(real))
            if d_y_hat != NULL:
                output_slopes(loss, i, rows.x + i * n_out, gradient + i * n_out, divisor,
                              self.smoothing, d_y_hat + i * n_out, n_out)
        end_mode(caller)


cdef void output_slopes(
    const Loss* loss, Py_ssize_t i,              # the row
    const real* y_hat, const real* d_z, real total, real smoothing,      # IN (n_out,)
    real* d_y_hat,                               # OUT (n_out,)
    Py_ssize_t n_out,
) noexcept nogil:
    """dC/dy_hat, operation by operation as ``_output_gradient`` of the losses' classes."""
    cdef Py_ssize_t j
    cdef real one = 1, y, p, others = smoothing / <real>n_out
    for j in range(n_out):
        p = y_hat[j]
        if loss.kind == BINARY_CROSS_ENTROPY:
            p = p * (one - p)
        p = p if p > SMALLEST_NORMAL else SMALLEST_NORMAL
        if not has_labels(loss):
            d_y_hat[j] = d_z[j] / p
            continue
        if loss.labels == NULL:
            y = loss.targets[i * n_out + j]
        else:
            y = one if j == loss.labels[i] else 0
        if smoothing > 0:
            y = (one - smoothing) * y + others
        d_y_hat[j] = -y / p / total
        if loss.labels != NULL and y == 0:
            d_y_hat[j] = 0                       # not -0
        if loss.weights != NULL:
            d_y_hat[j] = d_y_hat[j] * loss.weights[i]
